//! Coordinating a write: put and delete.
//!
//! 1. The stored record is read, unless the overlay knows it (an operation waits only for that).
//! 2. A dot is minted above it. The record goes to the log of this node and to the other replicas at the same time.
//! 3. Each replica answers when it is durable there, with the newest dot it holds. If one of W answers exceeds the
//!    minted one, the write has lost against a version that may have been acknowledged before it began: the
//!    coordinator mints again above the newest of them, once, and sends again before it acknowledges.
//!    In a `causal` keyspace nothing is lost against: the version is added to the siblings that its context does not
//!    cover, and replicas keep both.
//! 4. Reached: the client is told. Not reached: it is *indeterminate*, for a dot was minted; *rejected* is said only
//!    before that.
//! 5. A replica that missed it gets a hint, kept here, and the write is not forgotten before each has answered or is
//!    hinted. Where too few replicas can be reached, and the client does not insist on them, other nodes stand in and keep
//!    the hints (a sloppy quorum; Dynamo, section 4.6).
//!
//! To another data centre one copy is sent: the replica that gets it hands it on to the others there.

mod base;
mod spread;

use core::time::Duration;

use bytes::Bytes;
use kvorum_quorum::{self as quorum, Level, Outcome, ReplicaSet, Requirement};
use kvorum_vclock::{Context, Dot, Timestamp};

use super::stand_ins::StandIns;
use super::{Base, Effect, Origin, Pending, Preference, Report, Shard, Waiter, emit};
use crate::record::Attempted;
use crate::{
    ActorId, Attempt, Consistency, Failure, FailureKind, Keyspace, Mode, NodeId, Now, Op, Record, Replicas, Response,
    StoredKey, Unwritable, context,
};

/// How long replicas may be silent before others stand in for them, if the write needs that.
pub(super) const COVER_AFTER: Duration = Duration::from_millis(250);
/// How long a remote data centre's replica may be silent that was to hand the write on there.
const RELAY_PATIENCE: Duration = Duration::from_millis(250);
/// How many writes that are done may wait for silent replicas, of as many as may be in flight; the rest keep hints at once.
const SETTLING_PART: usize = 2;
/// How long a write that is done waits for silent replicas before it keeps hints for them.
const SETTLE_AFTER: Duration = Duration::from_millis(500);

/// What this node holds need not be what the deletion is meant for: it would be acknowledged, and the value stand.
const BLIND_DELETE: &str =
    "a delete in a causal keyspace must say what it deletes: read the key, and delete with the context of that read";
const LATE_DISK: &str = "cannot write: this node's disk did not answer in time; retry";

/// What a client wants written.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) key: StoredKey,
    /// `None` deletes.
    pub(super) value: Option<Bytes>,
    pub(super) lifetime: Lifetime,
    /// As the client holds it.
    pub(super) context: Bytes,
    pub(super) level: Option<Level>,
    pub(super) consistency: Option<Consistency>,
    pub(super) attempt: Option<Attempt>,
}

/// How long a value lives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lifetime {
    /// A deletion has no end.
    None,
    /// In milliseconds; as long as the keyspace says when none is given, for ever when 0.
    Asked(Option<u64>),
}

impl Lifetime {
    fn expires_at_ms(self, keyspace: &Keyspace, unix_ms: u64) -> Option<u64> {
        let Self::Asked(asked) = self else { return None };
        let ttl_ms = asked.or(keyspace.settings.ttl_ms).filter(|ttl_ms| *ttl_ms > 0);
        ttl_ms.map(|ttl_ms| unix_ms.saturating_add(ttl_ms))
    }
}

/// What is to be written.
#[derive(Debug)]
struct Intent {
    key: StoredKey,
    mode: Mode,
    /// `None` deletes.
    value: Option<Bytes>,
    expires_at_ms: Option<u64>,
    /// What the client has seen; none if it writes blindly.
    context: Option<Context<u64>>,
    attempt: Option<Attempt>,
}

#[derive(Debug)]
pub(super) struct Put {
    /// None once it is answered.
    origin: Option<Origin>,
    pub(super) place: Preference,
    intent: Intent,
    deadline: Duration,
    pub(super) consistency: Consistency,
    /// What it must stand above besides what this node holds.
    pub(super) above: Option<Timestamp>,
    /// The newest version that the first try lost against, once there is a second.
    lost_to: Option<Timestamp>,
    pub(super) stage: Stage,
    stand_ins: StandIns,
    /// Who was asked to hand it on in a remote data centre, to whom.
    relays: Vec<(usize, ReplicaSet)>,
    /// Until when they have time.
    relays_until: Duration,
    /// When it is looked at next.
    wake: Duration,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "every write comes to the large one")]
pub(super) enum Stage {
    /// A write that may be asked for again: what it must stand above, or what became of it before, is being found out.
    Checking(Requirement),
    /// The stored record is being read. Nothing has been minted; of a second try, nothing since the first.
    Loading(Requirement),
    Writing {
        tally: quorum::Write,
        /// The version that was minted.
        dot: Dot<ActorId>,
        record: Record,
        /// The newest version above the record that a replica or stand-in has told of, and which replicas have one.
        newer: Option<Timestamp>,
        ahead: ReplicaSet,
    },
}

impl Intent {
    /// The record to store, and how many entries of its context were pruned. The value then lives in it, and the slice of
    /// the receive buffer is let go.
    fn record(
        &mut self,
        stored: Option<&Record>,
        dot: Dot<ActorId>,
        max_bytes: usize,
        unix_ms: u64,
    ) -> Result<(Record, usize), Unwritable> {
        let (record, pruned) = self.bare_record(stored, dot, max_bytes, unix_ms)?;
        let own = self.attempt.map(|attempt| Attempted { dot, id: attempt.id });
        let before = stored.into_iter().flat_map(Record::attempts);
        let mut attempts = own.into_iter().chain(before).peekable();
        Ok((if attempts.peek().is_some() { record.remembering(attempts) } else { record }, pruned))
    }

    fn bare_record(
        &mut self,
        stored: Option<&Record>,
        dot: Dot<ActorId>,
        max_bytes: usize,
        unix_ms: u64,
    ) -> Result<(Record, usize), Unwritable> {
        match self.mode {
            Mode::Lww => {
                let record = Record::lww(dot, self.value.as_deref(), self.expires_at_ms);
                self.value = record.versions().next().and_then(|version| version.value);
                Ok((record, 0))
            }
            Mode::Causal => {
                // Nothing is lost if a blind write replaces what nobody can see: deletions and expired values.
                let here = || stored.filter(|stored| !stored.is_live(unix_ms)).map(Record::context);
                let context = self.context.take().or_else(here).unwrap_or_default();
                let value = self.value.take();
                Record::causal(stored, &context, dot, value.as_deref(), self.expires_at_ms, max_bytes)
            }
        }
    }
}

impl Put {
    /// Whether something was sent to that node and not answered.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        let Stage::Writing { tally, .. } = &self.stage else { return false };
        self.stand_ins.is_open(node)
            || self.place.position_of(node).is_some_and(|replica| tally.open().contains(replica))
    }

    /// Whether its client has been answered.
    pub(super) fn is_answered(&self) -> bool {
        self.origin.is_none()
    }

    pub(super) fn key(&self) -> &StoredKey {
        &self.intent.key
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn attempt(&self) -> Option<Attempt> {
        self.intent.attempt
    }

    /// How many may stand in for absent replicas.
    fn stand_in_count(&self) -> usize {
        stand_in_count(&self.place, self.consistency)
    }
}

/// How many may stand in for absent replicas, if the client does not insist on replicas.
pub(super) fn stand_in_count(place: &Preference, consistency: Consistency) -> usize {
    if consistency == Consistency::Sloppy { place.stand_in_count() } else { 0 }
}

impl Shard {
    pub(super) fn put(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        asked: Asked,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let consistency = self.consistency_of(asked.key.keyspace(), asked.consistency);
        let (intent, requirement) = match self.prepare_put(now, &place, asked, consistency) {
            Ok(prepared) => prepared,
            Err(failure) => return self.answer(origin, Response::Failed(failure), out),
        };
        let put = Put {
            origin: Some(origin),
            place,
            intent,
            deadline,
            consistency,
            above: None,
            lost_to: None,
            stage: Stage::Checking(requirement),
            stand_ins: StandIns::default(),
            relays: Vec::new(),
            relays_until: Duration::MAX,
            wake: Duration::MAX,
        };
        let (attempt, mode) = (put.intent.attempt, put.intent.mode);
        let op = self.ops.insert(Pending::Put(put));
        match attempt {
            Some(Attempt { retried_after_ms: Some(_), .. }) => self.check_attempt(now, op, out),
            Some(_) if mode == Mode::Lww => self.survey(now, op, out),
            _ => self.begin_put(now, op, out),
        }
    }

    /// Carries it out.
    pub(super) fn begin_put(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        if let Stage::Checking(requirement) = &put.stage {
            put.stage = Stage::Loading(requirement.clone());
            match self.log.failure() {
                Some(error) => self.put_rejected(op, format!("cannot write: {error}"), out),
                None => self.put_when_known(now, op, out),
            }
        }
    }

    /// Ends a write that need not, or must not, be carried out.
    pub(super) fn end_put(&mut self, op: Op, response: Response, out: &mut impl Extend<Effect>) {
        if let Some(Pending::Put(put)) = self.ops.remove(op) {
            self.answer_once(put.origin, response, out);
        }
    }

    /// Whose answers count for a request.
    pub(super) fn consistency_of(&self, keyspace: crate::KeyspaceId, asked: Option<Consistency>) -> Consistency {
        let own = || self.view.keyspace(keyspace).map(|keyspace| keyspace.settings.consistency);
        asked.or_else(own).unwrap_or_default()
    }

    /// What can be checked before anything is read.
    fn prepare_put(
        &self,
        now: Now,
        place: &Preference,
        asked: Asked,
        consistency: Consistency,
    ) -> Result<(Intent, Requirement), Failure> {
        let Asked { key, value, lifetime, context, level, attempt, .. } = asked;
        let keyspace = self.view.keyspace(key.keyspace()).expect("a request is admitted only for a keyspace there is");
        let requirement = place.requirement(level, keyspace.settings.write, keyspace.settings.min_write)?;
        enough_are_up("write", place, &requirement, stand_in_count(place, consistency))?;
        let requirement = if keyspace.mode == Mode::Lww { place.with_knowing(requirement) } else { requirement };
        let context = self.open_context(&key, &context)?;
        if keyspace.mode == Mode::Causal && value.is_none() && context.is_none() {
            return Err(Failure::new(FailureKind::Precondition, BLIND_DELETE));
        }
        let expires_at_ms = lifetime.expires_at_ms(keyspace, now.unix_ms);
        Ok((Intent { key, mode: keyspace.mode, value, expires_at_ms, context, attempt }, requirement))
    }

    /// Reads a context as a client holds it.
    fn open_context(&self, key: &StoredKey, token: &[u8]) -> Result<Option<Context<u64>>, Failure> {
        match self.view.catalog.charter() {
            _ if token.is_empty() => Ok(None),
            Some(charter) => context::open(&charter.secret, key, token)
                .map(Some)
                .map_err(|bad| Failure::new(FailureKind::Invalid, bad.to_string())),
            None => {
                let name = self.view.name_of(self.me.node);
                let message =
                    format!("{name} has not learned the cluster's secret yet, by which it knows a context; retry");
                Err(Failure::new(FailureKind::Rejected, message))
            }
        }
    }

    /// Goes on as soon as the stored record is known.
    fn put_when_known(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let key = put.intent.key.clone();
        self.deadlines.watch(now.elapsed, Some(put.deadline), &mut put.wake, op);
        if !put.place.contains_me() {
            // It holds nothing that the write could merge into.
            return self.put_above(now, op, None, out);
        }
        match self.overlay.base_for(&key, Waiter::Put(op)) {
            Base::Known(stored, _) => self.put_above(now, op, stored.as_ref(), out),
            Base::Waiting => {}
            Base::Unknown => self.load_base(key, out),
        }
    }

    /// Mints a dot above what is stored, and sends the record everywhere at once.
    fn put_above(&mut self, now: Now, op: Op, stored: Option<&Record>, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Loading(requirement) = &put.stage else {
            unreachable!("a write waits for the stored record before it mints");
        };
        if now.elapsed >= put.deadline {
            return self.put_rejected(op, LATE_DISK.to_owned(), out);
        }
        put.place.refresh(&self.view);
        if let Err(failure) = enough_are_up("write", &put.place, requirement, put.stand_in_count()) {
            return self.put_refused(op, failure, out);
        }
        let seen = put.intent.context.iter().flat_map(Context::iter).map(|(_, time)| time).max();
        let above = stored.map(Record::time).max(put.above).max(put.lost_to).max(seen).unwrap_or(Timestamp::MIN);
        let minted = match (self.clock.mint_above(above, now.unix_ms), put.intent.mode) {
            // Siblings are told apart by their dots alone, so one from the future must not keep others from being written.
            (Err(kvorum_vclock::Error::ClockDrift { .. }), Mode::Causal) => self.clock.mint(now.unix_ms),
            (minted, _) => minted,
        };
        let time = match minted {
            Ok(time) => time,
            Err(error) => {
                if let kvorum_vclock::Error::CeilingReached { needed } = error {
                    emit(out, Effect::Report(Report::CeilingNeeded(needed)));
                }
                return self.put_rejected(op, format!("cannot write: this node's clock: {error}"), out);
            }
        };
        let (requirement, attempt) = (requirement.clone(), put.intent.attempt);
        self.ask_for_room_to_mint(out);
        if let Err(failure) = self.begin_attempt(now, attempt) {
            return self.put_refused(op, failure, out);
        }
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        // An actor has absorbed all that it wrote to a key before. A node that holds no replica does not know what that
        // was, so there each write is an actor of its own.
        let actor = if put.place.contains_me() { self.actor } else { self.actors.next() };
        let dot = Dot { time, actor };
        let max_bytes = self.view.layout.as_ref().map_or(0, |layout| layout.sibling_bytes());
        let record = match put.intent.record(stored, dot, max_bytes, now.unix_ms) {
            Ok((record, 0)) => record,
            Ok((record, pruned)) => {
                emit(out, Effect::Report(Report::Pruned { entries: pruned }));
                record
            }
            Err(error) => {
                self.undo_attempt(attempt);
                return self.put_refused(op, Failure::new(FailureKind::Precondition, error.to_string()), out);
            }
        };
        let config = quorum::WriteConfig {
            requirement,
            replicas: put.place.all(),
            down: put.place.down(),
            stand_ins: put.stand_in_count(),
            deadline: put.deadline,
            cover_after: COVER_AFTER,
            settle_after: SETTLE_AFTER,
        };
        let mut decisions = core::mem::take(&mut self.decisions);
        let tally = quorum::Write::start(now.elapsed, config, &mut decisions);
        put.stand_ins.clear();
        put.relays.clear();
        put.stage = Stage::Writing { tally, dot, record, newer: None, ahead: ReplicaSet::EMPTY };
        self.carry_out_put(now, op, decisions, out);
    }

    /// As many replicas as wanted hold the record, but some hold a newer version, which may have been acknowledged
    /// before this write began: tries once more, above the newest of them. Each version acknowledged by then is
    /// known to one of these replicas (W + W > N), so what a second try loses against is concurrent.
    fn put_again(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        // Answers to the first try say nothing of the second: under the new name they are ignored.
        let op = self.ops.rename(op);
        if let Some(Pending::Put(put)) = self.ops.get_mut(op) {
            put.wake = Duration::MAX;
        }
        match self.log.failure() {
            Some(error) => self.put_rejected(op, format!("cannot write: {error}"), out),
            None => self.put_when_known(now, op, out),
        }
    }

    fn put_rejected(&mut self, op: Op, why: String, out: &mut impl Extend<Effect>) {
        self.put_refused(op, Failure::new(FailureKind::Rejected, why), out);
    }

    /// Ends a write that waits for the stored record. It is certainly not applied, unless this is its second try.
    fn put_refused(&mut self, op: Op, failure: Failure, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.remove(op) else { return };
        assert!(matches!(put.stage, Stage::Loading(_)), "a write that was sent is not refused any more");
        let failure = match put.lost_to {
            None => failure,
            Some(_) => Failure::new(
                FailureKind::Indeterminate,
                format!(
                    "indeterminate: the write met a newer version and was not sent again: {}; read before you retry",
                    failure.message
                ),
            ),
        };
        self.answer_once(put.origin, Response::Failed(failure), out);
    }

    fn answer_once(&self, origin: Option<Origin>, response: Response, out: &mut impl Extend<Effect>) {
        if let Some(origin) = origin {
            self.answer(origin, response, out);
        }
    }

    /// A replica, or who stands in for one, holds the record or a newer one durably.
    pub(super) fn put_reply(
        &mut self,
        now: Now,
        node: NodeId,
        op: Op,
        newest: Dot<ActorId>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        if let Some(replica) = put.place.position_of(node) {
            self.put_noticed(op, replica, newest);
            self.put_voted(now, op, quorum::Input::Answer { replica }, out);
        } else {
            self.put_stood_in(now, op, node, newest, out);
        }
    }

    /// Notes what a replica, or who stands in for it, holds by now.
    fn put_noticed(&mut self, op: Op, replica: usize, newest: Dot<ActorId>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Writing { dot, newer, ahead, .. } = &mut put.stage else { return };
        if newest > *dot && put.intent.mode == Mode::Lww {
            *newer = (*newer).max(Some(newest.time));
            ahead.insert(replica);
        }
    }

    /// A node that was written to will not answer, or refuses.
    pub(super) fn put_failed(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        if let Some(replica) = put.place.position_of(node) {
            self.relay_failed(op, replica, out);
            self.put_voted(now, op, quorum::Input::Error { replica }, out);
        } else {
            self.stand_in_failed(now, op, node, out);
        }
    }

    pub(super) fn put_voted(&mut self, now: Now, op: Op, vote: quorum::Input, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(Put { stage: Stage::Writing { tally, .. }, .. })) = self.ops.get_mut(op) else { return };
        let mut decisions = core::mem::take(&mut self.decisions);
        tally.handle(now.elapsed, vote, &mut decisions);
        self.carry_out_put(now, op, decisions, out);
    }

    pub(super) fn put_timeout(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        put.wake = Duration::MAX;
        match &mut put.stage {
            // The read that finds it out has the same deadline.
            Stage::Checking(_) => {}
            Stage::Loading(_) if now.elapsed < put.deadline => {
                self.deadlines.watch(now.elapsed, Some(put.deadline), &mut put.wake, op);
            }
            Stage::Loading(_) => {
                self.overlay.forget_waiter(&put.intent.key, op);
                self.put_rejected(op, LATE_DISK.to_owned(), out);
            }
            Stage::Writing { .. } => {
                self.relays_overdue(now, op, out);
                let Some(Pending::Put(Put { stage: Stage::Writing { tally, .. }, .. })) = self.ops.get_mut(op) else {
                    return;
                };
                let mut decisions = core::mem::take(&mut self.decisions);
                tally.handle_timeout(now.elapsed, &mut decisions);
                self.carry_out_put(now, op, decisions, out);
            }
        }
    }

    fn carry_out_put(&mut self, now: Now, op: Op, mut decisions: Vec<quorum::Effect>, out: &mut impl Extend<Effect>) {
        // What is decided of the others may end the write, or have it go on in a second try under another name.
        decisions.sort_by_key(|decision| match decision {
            quorum::Effect::Send { .. } => 0,
            quorum::Effect::Hint { .. } => 1,
            quorum::Effect::StandIn { .. } | quorum::Effect::Repair { .. } => 2,
            quorum::Effect::Done(_) => 3,
        });
        let sends = decisions.iter().filter(|decision| matches!(decision, quorum::Effect::Send { .. })).count();
        if sends > 1 {
            self.choose_relays(now, op, &decisions);
        }
        for decision in decisions.drain(..) {
            match decision {
                quorum::Effect::Send { replica } => self.send_put_by_relay(op, replica, out),
                quorum::Effect::StandIn { replica } => self.ask_stand_in(now, op, replica, out),
                quorum::Effect::Hint { replica } => self.hint_put(now, op, replica, out),
                quorum::Effect::Done(outcome) => self.finish_put(now, op, outcome, out),
                quorum::Effect::Repair { .. } => unreachable!("a write repairs nobody"),
            }
        }
        self.decisions = decisions;
        self.put_settle(now, op, out);
    }

    fn finish_put(&mut self, now: Now, op: Op, outcome: Outcome, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { unreachable!("a tally is done once") };
        let Stage::Writing { tally, newer, dot, ahead, .. } = &put.stage else { unreachable!("a tally is done") };
        // One that may be asked for again has read first, so what it loses against is concurrent.
        let may_have_lost = put.intent.attempt.is_none() && put.lost_to.is_none();
        if outcome == Outcome::Reached && newer.is_some() && may_have_lost {
            put.lost_to = *newer;
            put.stage = Stage::Loading(tally.requirement().clone());
            return self.put_again(now, op, out);
        }
        let wanted = tally.requirement().minimum();
        let stored = tally.answered().union(tally.stood_in());
        let (silent, place) = (tally.open(), put.place.clone());
        let response = match outcome {
            Outcome::Reached => {
                let count = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
                let replicas = Replicas {
                    wanted: count(wanted),
                    answered: count(stored.len()),
                    agreed: count(stored.difference(*ahead).len()),
                    sloppy: tally.is_sloppy(),
                };
                Response::Written { dot: *dot, expires_at_ms: put.intent.expires_at_ms, replicas }
            }
            Outcome::Impossible | Outcome::TimedOut if tally.is_unsent() && put.lost_to.is_none() => {
                let account = place.account(stored, tally.failed(), outcome);
                let message = format!("unavailable: the write needs {wanted} of {} replicas: {account}", place.len());
                Response::Failed(Failure::new(FailureKind::Rejected, message))
            }
            Outcome::Impossible | Outcome::TimedOut => {
                let account = place.account(stored, tally.failed(), outcome);
                let message = format!(
                    "indeterminate: the write needs {wanted} of {} replicas, {} answered{}: {account}; \
                     it may or may not take effect: read before you retry",
                    place.len(),
                    stored.len(),
                    if outcome == Outcome::TimedOut { " in time" } else { "" },
                );
                Response::Failed(Failure::new(FailureKind::Indeterminate, message))
            }
        };
        let origin = put.origin.take();
        let came_to_nothing = matches!(&response, Response::Failed(failure) if failure.kind == FailureKind::Rejected);
        let attempt = put.intent.attempt.filter(|_| came_to_nothing);
        self.undo_attempt(attempt);
        // From now on it only keeps hints for those who do not answer.
        self.settling += 1;
        self.report_silent(now, &place, silent, outcome, out);
        self.answer_once(origin, response, out);
    }

    /// Tells the control part who was asked and stayed silent until a deadline.
    pub(super) fn report_silent(
        &mut self,
        now: Now,
        place: &Preference,
        silent: ReplicaSet,
        outcome: Outcome,
        out: &mut impl Extend<Effect>,
    ) {
        if outcome == Outcome::TimedOut {
            for position in silent.iter().filter(|position| !place.is_me(*position)) {
                self.report_failed(now, place.replica(position).id, out);
            }
        }
    }
}

/// Whether a level can be met by the replicas that are up; nothing is sent otherwise.
///
/// # Errors
/// Which of them are not.
pub(super) fn enough_are_up(
    what: &str,
    place: &Preference,
    requirement: &Requirement,
    stand_ins: usize,
) -> Result<(), Failure> {
    let up = place.all().difference(place.down());
    if requirement.missing(up) <= stand_ins {
        return Ok(());
    }
    let message = format!(
        "unavailable: the {what} needs {} of {} replicas, {} {} up: {}; wait for them, or ask for a lower level",
        requirement.minimum(),
        place.len(),
        up.len(),
        if up.len() == 1 { "is" } else { "are" },
        place.account_of_liveness(),
    );
    Err(Failure::new(FailureKind::Rejected, message))
}
