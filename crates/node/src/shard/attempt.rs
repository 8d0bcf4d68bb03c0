//! A write that its client asks for again, not knowing what became of it. Its version, if it has one, may lie on replicas that
//! this node has not heard: so they are read first, as many as meet every write that could have been acknowledged. The
//! version that is found is made to last, and the write is not carried out again, even if it has been replaced since; where
//! none is found the write begins anew. Without those replicas nobody can tell, and the write stays indeterminate.

use kvorum_quorum::{QuorumSet, Requirement};

use super::put::Stage;
use super::{Effect, Pending, Shard};
use crate::record::ATTEMPTS_KEPT_MS;
use crate::{Attempt, Failure, FailureKind, MAX_DRIFT, Now, Op, Record, Replicas, Response};

/// How much earlier than a client counts its first attempt may have begun, by the clocks of nodes.
fn slack_ms() -> u64 {
    u64::try_from(2 * MAX_DRIFT.as_millis()).unwrap_or(u64::MAX)
}

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

impl Shard {
    /// Finds out what became of the earlier attempts.
    pub(super) fn check_attempt(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Checking(requirement) = &put.stage else { return };
        let (place, key) = (put.place.clone(), put.key().clone());
        let (write, deadline) = (requirement.clone(), put.deadline());
        self.read_for_attempt(now, op, place, key, (meeting(&write), write), deadline, out);
    }

    /// What the replicas hold is known, and lasts; or cannot be known.
    pub(super) fn attempt_told(
        &mut self,
        now: Now,
        op: Op,
        found: Result<(Option<Record>, Replicas), Failure>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Some(Attempt { id, retried_after_ms: Some(age_ms) }) = put.attempt() else { return };
        let (record, replicas) = match found {
            Ok(found) => found,
            Err(failure) => {
                let why = format!("what became of the earlier attempts cannot be found out: {}", failure.message);
                return self.attempt_ends_unknown(op, &why, out);
            }
        };
        if let Some(dot) = record.as_ref().and_then(|record| record.attempt(id)) {
            let versions = record.iter().flat_map(Record::versions);
            let expires_at_ms = versions.filter(|version| version.dot == dot).find_map(|version| version.expires_at_ms);
            let response = Response::Written { dot, expires_at_ms, replicas };
            return self.end_put(op, response, out);
        }
        let began_ms = now.unix_ms.saturating_sub(age_ms).saturating_sub(slack_ms());
        let is_old = age_ms.saturating_add(slack_ms()) >= ATTEMPTS_KEPT_MS;
        if is_old || record.is_some_and(|record| record.may_have_forgotten(began_ms)) {
            return self.attempt_ends_unknown(op, "its first attempt is too long ago to be remembered", out);
        }
        self.begin_put(now, op, out);
    }

    fn attempt_ends_unknown(&mut self, op: Op, why: &str, out: &mut impl Extend<Effect>) {
        let message = format!("indeterminate: {why}; this attempt wrote nothing; read before you retry");
        self.end_put(op, Response::Failed(Failure::new(FailureKind::Indeterminate, message)), out);
    }
}
