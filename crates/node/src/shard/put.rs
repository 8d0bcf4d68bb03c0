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

use core::time::Duration;

use bytes::Bytes;
use kvorum_quorum::{self as quorum, Level, Outcome, ReplicaSet, Requirement};
use kvorum_vclock::{Context, Dot, Timestamp};

use super::{AfterDurable, Base, Effect, Origin, Pending, Preference, Report, Shard, StoreError, Waiter, emit};
use crate::{
    ActorId, Failure, FailureKind, Keyspace, Message, Mode, NodeId, Now, Op, PeerShard, Record, Replicas, Response,
    StoredKey, Unwritable, context, record,
};

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
}

#[derive(Debug)]
pub(super) struct Put {
    origin: Origin,
    pub(super) place: Preference,
    intent: Intent,
    deadline: Duration,
    /// The newest version that the first try lost against, once there is a second.
    lost_to: Option<Timestamp>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The stored record is being read. Nothing has been minted; of a second try, nothing since the first.
    Loading(Requirement),
    Writing {
        tally: quorum::Write,
        /// The version that was minted.
        dot: Dot<ActorId>,
        record: Record,
        /// The newest version above the record that a replica has told of, and who has one.
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
        self.place.position_of(node).is_some_and(|replica| tally.open().contains(replica))
    }
}

impl Shard {
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, taken apart where it entered")]
    pub(super) fn put(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        asked: Asked,
        level: Option<Level>,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let (intent, requirement) = match self.prepare_put(now, &place, asked, level) {
            Ok(prepared) => prepared,
            Err(failure) => return self.answer(origin, Response::Failed(failure), out),
        };
        let stage = Stage::Loading(requirement);
        let op = self.ops.insert(Pending::Put(Put { origin, place, intent, deadline, lost_to: None, stage }));
        self.put_when_known(now, op, out);
    }

    /// What can be checked before anything is read.
    fn prepare_put(
        &self,
        now: Now,
        place: &Preference,
        asked: Asked,
        level: Option<Level>,
    ) -> Result<(Intent, Requirement), Failure> {
        let Asked { key, value, lifetime, context } = asked;
        let keyspace = self.view.keyspace(key.keyspace()).expect("a request is admitted only for a keyspace there is");
        let requirement = place.requirement(level, keyspace.settings.write, keyspace.settings.min_write)?;
        enough_are_up("write", place, &requirement)?;
        let requirement = if keyspace.mode == Mode::Lww { place.with_knowing(requirement) } else { requirement };
        let context = self.open_context(&key, &context)?;
        if keyspace.mode == Mode::Causal && value.is_none() && context.is_none() {
            return Err(Failure::new(FailureKind::Precondition, BLIND_DELETE));
        }
        let expires_at_ms = lifetime.expires_at_ms(keyspace, now.unix_ms);
        Ok((Intent { key, mode: keyspace.mode, value, expires_at_ms, context }, requirement))
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
        self.deadlines.add(now.elapsed, put.deadline, op);
        match self.overlay.base_for(&key, Waiter::Put(op)) {
            Base::Known(stored, _) => self.put_above(now, op, Some(&stored), out),
            Base::Waiting => {}
            Base::Unknown => self.load_base(key, out),
        }
    }

    /// Has the stored record read that writes of this key wait for.
    pub(super) fn load_base(&mut self, key: StoredKey, out: &mut impl Extend<Effect>) {
        let op = self.ops.insert(Pending::BaseLoad(key.detached()));
        emit(out, Effect::Load { op, key });
    }

    /// The stored record is known: whoever waited for it goes on, in the order they came.
    pub(super) fn base_loaded(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::BaseLoad(key)) = self.ops.remove(op) else {
            unreachable!("only the reading of a base ends here");
        };
        let waiters = self.overlay.loaded(&key);
        let stored = match result {
            Ok(stored) => stored,
            Err(error) => return self.base_unreadable(waiters, &error, out),
        };
        for waiter in waiters {
            let (newest, durable_at) = match self.overlay.newest(&key) {
                Some((record, seq)) => (Some(record.clone()), Some(seq)),
                None => (stored.clone(), None),
            };
            match waiter {
                Waiter::Put(op) => self.put_above(now, op, newest.as_ref(), out),
                Waiter::Replica { from, op, record } => {
                    self.replica_merge(from, op, &key, record, newest, durable_at, out);
                }
            }
        }
    }

    /// A damaged stored record may hide an acknowledged version, so nothing may be merged into it.
    fn base_unreadable(&mut self, waiters: Vec<Waiter>, error: &StoreError, out: &mut impl Extend<Effect>) {
        for waiter in waiters {
            match waiter {
                Waiter::Put(op) => self.put_rejected(op, format!("cannot write: {error}"), out),
                Waiter::Replica { from, op, .. } => {
                    let message = format!("{}: {error}", self.view.name_of(self.me.node));
                    let failure = Failure::new(error.kind(), message);
                    self.send(from, Message::Refused { op, failure }, out);
                }
            }
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
        if let Err(failure) = enough_are_up("write", &put.place, requirement) {
            return self.put_refused(op, failure, out);
        }
        let seen = put.intent.context.iter().flat_map(Context::iter).map(|(_, time)| time).max();
        let above = stored.map(Record::time).max(put.lost_to).max(seen).unwrap_or(Timestamp::MIN);
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
        let requirement = requirement.clone();
        let dot = Dot { time, actor: self.actor };
        let max_bytes = self.view.layout.as_ref().map_or(0, |layout| layout.sibling_bytes());
        let record = match put.intent.record(stored, dot, max_bytes, now.unix_ms) {
            Ok((record, 0)) => record,
            Ok((record, pruned)) => {
                emit(out, Effect::Report(Report::Pruned { entries: pruned }));
                record
            }
            Err(error) => {
                return self.put_refused(op, Failure::new(FailureKind::Precondition, error.to_string()), out);
            }
        };
        let (all, down) = (put.place.all(), put.place.down());
        let mut decisions = core::mem::take(&mut self.decisions);
        let tally = quorum::Write::start(now.elapsed, requirement, all, down, put.deadline, &mut decisions);
        put.stage = Stage::Writing { tally, dot, record, newer: None, ahead: ReplicaSet::EMPTY };
        self.carry_out_put(now, op, decisions, out);
    }

    /// As many replicas as wanted hold the record, but some hold a newer version, which may have been acknowledged
    /// before this write began: tries once more, above the newest of them. Each version acknowledged by then is
    /// known to one of these replicas (W + W > N), so what a second try loses against is concurrent.
    fn put_again(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        // Answers to the first try say nothing of the second: under the new name they are ignored.
        let op = self.ops.rename(op);
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
        self.answer(put.origin, Response::Failed(failure), out);
    }

    /// A replica holds the record, or a newer one, durably.
    pub(super) fn put_reply(
        &mut self,
        now: Now,
        node: NodeId,
        op: Op,
        newest: Dot<ActorId>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Some(replica) = put.place.position_of(node) else { return };
        let Stage::Writing { dot, newer, ahead, .. } = &mut put.stage else { return };
        if newest > *dot && put.intent.mode == Mode::Lww {
            *newer = (*newer).max(Some(newest.time));
            ahead.insert(replica);
        }
        self.put_voted(now, op, quorum::Input::Answer { replica }, out);
    }

    pub(super) fn put_failed(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Some(replica) = put.place.position_of(node) else { return };
        self.put_voted(now, op, quorum::Input::Error { replica }, out);
    }

    pub(super) fn put_voted(&mut self, now: Now, op: Op, vote: quorum::Input, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(Put { stage: Stage::Writing { tally, .. }, .. })) = self.ops.get_mut(op) else { return };
        let mut decisions = core::mem::take(&mut self.decisions);
        tally.handle(now.elapsed, vote, &mut decisions);
        self.carry_out_put(now, op, decisions, out);
    }

    pub(super) fn put_timeout(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        if now.elapsed < put.deadline {
            self.deadlines.add(now.elapsed, put.deadline, op);
            return;
        }
        match &mut put.stage {
            Stage::Loading(_) => {
                self.overlay.forget_waiter(&put.intent.key, op);
                self.put_rejected(op, LATE_DISK.to_owned(), out);
            }
            Stage::Writing { tally, .. } => {
                let mut decisions = core::mem::take(&mut self.decisions);
                tally.handle_timeout(now.elapsed, &mut decisions);
                self.carry_out_put(now, op, decisions, out);
            }
        }
    }

    fn carry_out_put(&mut self, now: Now, op: Op, mut decisions: Vec<quorum::Effect>, out: &mut impl Extend<Effect>) {
        for decision in decisions.drain(..) {
            match decision {
                quorum::Effect::Send { replica } => self.send_put(op, replica, out),
                quorum::Effect::Done(outcome) => self.finish_put(now, op, outcome, out),
            }
        }
        self.decisions = decisions;
    }

    fn send_put(&mut self, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Writing { dot, record, .. } = &put.stage else { unreachable!("a tally exists") };
        let (key, record, minted) = (put.intent.key.clone(), record.clone(), Some(dot.time));
        if put.place.is_me(replica) {
            self.append(&key, &record, AfterDurable::Vote(op), out);
        } else {
            let (node, tag) = put.place.address(replica);
            self.ask(node, tag, Message::Write { op, key, record, minted }, out);
        }
    }

    fn finish_put(&mut self, now: Now, op: Op, outcome: Outcome, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { unreachable!("a tally is done once") };
        let Stage::Writing { tally, newer, .. } = &put.stage else { unreachable!("a tally is done") };
        if outcome == Outcome::Reached && newer.is_some() && put.lost_to.is_none() {
            put.lost_to = *newer;
            put.stage = Stage::Loading(tally.requirement().clone());
            return self.put_again(now, op, out);
        }
        let Some(Pending::Put(put)) = self.ops.remove(op) else { unreachable!("it was just found") };
        let Stage::Writing { tally, dot, ahead, .. } = put.stage else { unreachable!("a tally is done") };
        let wanted = tally.requirement().minimum();
        let response = match outcome {
            Outcome::Reached => {
                let count = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
                let agreed = tally.answered().difference(ahead);
                let replicas = Replicas {
                    wanted: count(wanted),
                    answered: count(tally.answered().len()),
                    agreed: count(agreed.len()),
                    sloppy: false,
                };
                Response::Written { dot, expires_at_ms: put.intent.expires_at_ms, replicas }
            }
            Outcome::Impossible | Outcome::TimedOut => {
                self.report_silent(now, &put.place, tally.open(), outcome, out);
                let account = put.place.account(tally.answered(), tally.failed(), outcome);
                let message = format!(
                    "indeterminate: the write needs {wanted} of {} replicas, {} answered{}: {account}; \
                     it may or may not take effect: read before you retry",
                    put.place.len(),
                    tally.answered().len(),
                    if outcome == Outcome::TimedOut { " in time" } else { "" },
                );
                Response::Failed(Failure::new(FailureKind::Indeterminate, message))
            }
        };
        self.answer(put.origin, response, out);
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

    /// A write merges into what this replica holds: the other half of [`Shard::put`]. `durable_at` is the sequence
    /// that makes `newest` durable, if it is not yet.
    #[expect(clippy::too_many_arguments, reason = "what is written, and what is there")]
    pub(super) fn replica_merge(
        &mut self,
        from: PeerShard,
        op: Op,
        key: &StoredKey,
        record: Record,
        newest: Option<Record>,
        durable_at: Option<super::LogSeq>,
        out: &mut impl Extend<Effect>,
    ) {
        let (merged, pruned) = record::merge_counting(newest.clone(), Some(record));
        let merged = merged.expect("what is merged with a record is one");
        if pruned > 0 {
            emit(out, Effect::Report(Report::Pruned { entries: pruned }));
        }
        if newest.is_some_and(|newest| newest == merged) {
            let newest = merged.dot();
            match durable_at {
                Some(seq) => self.when_durable(seq, AfterDurable::WriteReply { to: from, op, newest }),
                None => self.send(from, Message::WriteReply { op, newest }, out),
            }
        } else {
            let then = AfterDurable::WriteReply { to: from, op, newest: merged.dot() };
            self.append(&key.detached(), &merged.detached(), then, out);
        }
    }
}

/// Whether a level can be met by the replicas that are up; nothing is sent otherwise.
///
/// # Errors
/// Which of them are not.
pub(super) fn enough_are_up(what: &str, place: &Preference, requirement: &Requirement) -> Result<(), Failure> {
    let up = place.all().difference(place.down());
    if requirement.is_possible(ReplicaSet::EMPTY, up) {
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
