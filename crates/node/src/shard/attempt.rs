//! Writes that their clients may ask for more than once, by an id. Such a write is given one version for good, so that it takes
//! effect once however often it is asked for:
//!
//! - Its coordinator first reads who may know of what was acknowledged before, and mints above all that, so that it never has to
//!   mint again. (Attiya, Bar-Noy and Dolev write that way; other writes save the reading, and mint again where they lose.)
//! - A retry, which may have come to another node, reads as many replicas as meet every write that could have been
//!   acknowledged. The version that it finds is made to last. Where it finds none, nobody can tell whether one is still on
//!   its way, and the write stays indeterminate.
//! - A process that alone was ever asked for the write, and has not begun it, knows that there is none: it begins, and will not
//!   begin again when the lost request comes after all.

mod begun;

use core::time::Duration;

use kvorum_quorum::{QuorumSet, Requirement};

pub(super) use begun::Begun;

use super::put::{COVER_AFTER, Stage};
use super::{Effect, Pending, Shard};
use crate::{Attempt, Consistency, Failure, FailureKind, Now, Op, Operation, Record, Replicas, Response};

/// How much earlier than the client says its first attempt may have been: clocks run at different speeds.
const AGE_SLACK: Duration = Duration::from_secs(1);
/// What a client is told of a write that has two requests under way.
const BEGUN_ELSEWHERE: &str =
    "indeterminate: another request for the same write was here before this one; read before you retry";

/// How many replicas must be read to meet every write of that requirement: where it asks W of N, N - W + 1.
pub(super) fn meeting(write: &Requirement) -> Requirement {
    let meets = |set: &QuorumSet| {
        let need = set.members.len() + 1 - usize::from(set.need);
        QuorumSet { members: set.members, need: u8::try_from(need).unwrap_or(u8::MAX) }
    };
    // To meet it in one of its sets is enough; in the smallest it takes the fewest.
    let smallest = write.sets().iter().map(meets).min_by_key(|set| set.need);
    smallest.and_then(|set| Requirement::from_sets(&[set]).ok()).unwrap_or_else(|| write.clone())
}

/// Who knows of every version that was acknowledged before, as far as writes of that requirement meet each other.
fn knowing(write: &Requirement) -> Requirement {
    let meets = meeting(write);
    // Where they need not meet (W + W <= N) nobody knows, and W replicas say what they can.
    if meets.minimum() <= write.minimum() { meets } else { write.clone() }
}

impl Shard {
    /// A retry of what came to no other process, and was not begun here, is as good as a first attempt.
    pub(super) fn recognise(&self, now: Now, operation: &mut Operation) {
        let Some(attempt) = operation.attempt_mut() else { return };
        let (Attempt { id, .. }, asked) = (*attempt, attempt.first_asked.take());
        let Some(age_ms) = attempt.retried_after_ms.filter(|_| asked == Some(self.actor)) else { return };
        let since = now.elapsed.checked_sub(Duration::from_millis(age_ms).saturating_add(AGE_SLACK));
        if since.is_some_and(|since| self.begun.certainly_not(id, since)) {
            attempt.retried_after_ms = None;
        }
    }

    /// Whether this request may begin the write, here or through another node; from then on no other may.
    ///
    /// # Errors
    /// What the client is told otherwise.
    pub(super) fn begin_attempt(&mut self, now: Now, attempt: Option<Attempt>) -> Result<(), Failure> {
        match attempt {
            Some(Attempt { id, retried_after_ms: None, .. }) if !self.begun.begin(id, now.elapsed) => {
                Err(Failure::new(FailureKind::Indeterminate, BEGUN_ELSEWHERE.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The write came to nothing after all, for certain: another request may begin it.
    pub(super) fn undo_attempt(&mut self, attempt: Option<Attempt>) {
        if let Some(Attempt { id, retried_after_ms: None, .. }) = attempt {
            self.begun.undo(id);
        }
    }

    /// Finds out what became of the earlier attempts.
    pub(super) fn check_attempt(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Checking(write) = &put.stage else { return };
        let (place, key) = (put.place.clone(), put.key().clone());
        let (write, deadline) = (write.clone(), put.deadline());
        self.read_for_write(now, op, place, key, (meeting(&write), Some(write)), deadline, out);
    }

    /// Finds out what the version must stand above.
    pub(super) fn survey(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Checking(write) = &put.stage else { return };
        let (place, key, read) = (put.place.clone(), put.key().clone(), knowing(write));
        // A sloppy write promises less, and goes on without.
        let until = now.elapsed.saturating_add(COVER_AFTER);
        let deadline = if put.consistency == Consistency::Sloppy { put.deadline().min(until) } else { put.deadline() };
        self.read_for_write(now, op, place, key, (read, None), deadline, out);
    }

    /// What the replicas hold is known, or cannot be.
    pub(super) fn told_for_write(
        &mut self,
        now: Now,
        op: Op,
        found: Result<(Option<Record>, Replicas), Failure>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Some(Attempt { id, retried_after_ms, .. }) = put.attempt() else { return };
        if retried_after_ms.is_some() {
            let Stage::Checking(write) = &put.stage else { unreachable!("it is told what it waits for") };
            let wanted = u8::try_from(write.minimum()).unwrap_or(u8::MAX);
            // Who agrees holds it durably, as one who answers a write.
            let stored = |Replicas { agreed, sloppy, .. }| Replicas { wanted, answered: agreed, agreed, sloppy };
            let found = found.map(|(record, replicas)| (record, stored(replicas)));
            return self.attempt_told(op, id, found, out);
        }
        match found {
            Ok((record, _)) => {
                put.above = record.as_ref().map(Record::time);
                self.begin_put(now, op, out);
            }
            Err(_) if put.consistency == Consistency::Sloppy => self.begin_put(now, op, out),
            Err(failure) => {
                let message =
                    format!("unavailable: a write that may be asked for again first reads: {}", failure.message);
                self.end_put(op, Response::Failed(Failure::new(FailureKind::Rejected, message)), out);
            }
        }
    }

    /// What became of the earlier attempts is found, and lasts; or is not found.
    fn attempt_told(
        &mut self,
        op: Op,
        id: u64,
        found: Result<(Option<Record>, Replicas), Failure>,
        out: &mut impl Extend<Effect>,
    ) {
        let unknown = |why: &str| {
            let message = format!("indeterminate: {why}; this attempt wrote nothing; read before you retry");
            Response::Failed(Failure::new(FailureKind::Indeterminate, message))
        };
        let response = match found {
            Ok((Some(record), replicas)) if let Some(dot) = record.attempt(id) => {
                let expires_at_ms =
                    record.versions().find(|version| version.dot == dot).and_then(|version| version.expires_at_ms);
                Response::Written { dot, expires_at_ms, replicas }
            }
            Ok(_) => unknown("nothing is found of the earlier attempts, which may yet take effect"),
            Err(failure) => {
                unknown(&format!("what became of the earlier attempts cannot be found out: {}", failure.message))
            }
        };
        self.end_put(op, response, out);
    }
}
