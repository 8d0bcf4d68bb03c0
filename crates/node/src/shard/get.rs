//! Coordinating a read: asks just enough replicas, this node first, and one more whenever one fails or is slow;
//! merges what they durably hold, and judges expiry only then.

use core::time::Duration;

use bytes::Bytes;
use kvorum_quorum::{self as quorum, Level, Outcome};

use super::put::enough_are_up;
use super::{AfterDurable, Effect, Origin, Pending, Preference, Report, Shard, StoreError, emit};
use crate::{
    Failure, FailureKind, KeyspaceId, Message, NodeId, Now, Op, Record, Replicas, Response, StoredKey, context, record,
};

#[derive(Debug)]
pub(super) struct Get {
    origin: Origin,
    pub(super) place: Preference,
    key: StoredKey,
    tally: quorum::Read,
    /// When it is looked at next.
    wake: Duration,
    newest: Option<Record>,
    /// How many replicas hold exactly `newest`.
    agreed: u8,
    /// How many entries of contexts were pruned in merging.
    pruned: usize,
}

impl Get {
    /// Whether something was sent to that node and not answered.
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        is_waiting(&self.place, &self.tally, node)
    }

    fn merge(&mut self, record: Option<Record>) {
        let (merged, pruned) = record::merge_counting(self.newest.clone(), record.clone());
        self.pruned += pruned;
        if merged != self.newest {
            // Nobody who answered before holds this.
            self.agreed = 0;
        }
        self.agreed += u8::from(merged == record);
        self.newest = merged;
    }
}

impl Shard {
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, taken apart where it entered")]
    pub(super) fn get(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        key: StoredKey,
        level: Option<Level>,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let (tally, decisions) = match self.start_read(now, &place, key.keyspace(), level, deadline) {
            Ok(started) => started,
            Err(failure) => return self.answer(origin, Response::Failed(failure), out),
        };
        let get = Get { origin, place, key, tally, wake: Duration::MAX, newest: None, agreed: 0, pruned: 0 };
        let op = self.ops.insert(Pending::Get(get));
        self.carry_out_get(now, op, decisions, out);
    }

    /// Resolves a read's level and begins its tally; also for scans.
    pub(super) fn start_read(
        &mut self,
        now: Now,
        place: &Preference,
        keyspace: KeyspaceId,
        level: Option<Level>,
        deadline: Duration,
    ) -> Result<(quorum::Read, Vec<quorum::Effect>), Failure> {
        let settings = self.view.keyspace(keyspace).map(|keyspace| keyspace.settings).unwrap_or_default();
        let requirement = place.requirement(level, settings.read, settings.min_read)?;
        enough_are_up("read", place, &requirement)?;
        let (all, down) = (place.all(), place.unreadable());
        let mut decisions = core::mem::take(&mut self.decisions);
        let hedge = Some(self.hedge_after);
        let tally = quorum::Read::start(now.elapsed, requirement, all, down, deadline, hedge, &mut decisions);
        Ok((tally, decisions))
    }

    fn carry_out_get(&mut self, now: Now, op: Op, mut decisions: Vec<quorum::Effect>, out: &mut impl Extend<Effect>) {
        for decision in decisions.drain(..) {
            match decision {
                quorum::Effect::Send { replica } => self.send_get(now, op, replica, out),
                quorum::Effect::Done(outcome) => self.finish_get(now, op, outcome, out),
            }
        }
        self.decisions = decisions;
        if let Some(Pending::Get(get)) = self.ops.get_mut(op) {
            self.deadlines.watch(now.elapsed, get.tally.next_timeout(), &mut get.wake, op);
        }
    }

    fn send_get(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let key = get.key.clone();
        if get.place.is_me(replica) && self.view.fitness().in_doubt {
            self.get_store_failed(now, op, out);
        } else if get.place.is_me(replica) {
            self.read_here(now, op, key, out);
        } else {
            let (node, tag) = get.place.address(replica);
            self.ask(node, tag, Message::Read { op, key }, out);
        }
    }

    /// Has this node's own copy read, as far as it is durable: [`Shard::local_read`] follows.
    pub(super) fn read_here(&mut self, now: Now, op: Op, key: StoredKey, out: &mut impl Extend<Effect>) {
        match (self.overlay.newest(&key), self.log.failure()) {
            (Some(_), Some(error)) => {
                let error = error.clone();
                self.local_read(now, op, Err(error), out);
            }
            (Some((record, seq)), None) => {
                let record = record.clone();
                self.when_durable(seq, AfterDurable::LocalRead { op, record });
            }
            (None, _) => emit(out, Effect::Load { op, key }),
        }
    }

    /// This node's own copy has been read, or cannot be.
    pub(super) fn local_read(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        match (self.ops.get_mut(op), result) {
            (Some(Pending::Why(_)), result) => {
                self.why_answered(op, 0, result.map_err(|error| error.to_string()), out);
            }
            (_, Ok(record)) => self.get_answered(now, op, 0, record, out),
            (_, Err(_)) => self.get_store_failed(now, op, out),
        }
    }

    /// This node's own copy cannot be read.
    pub(super) fn get_store_failed(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        self.get_voted(now, op, quorum::Input::Error { replica: 0 }, out);
    }

    /// A replica tells what it holds.
    pub(super) fn read_reply(
        &mut self,
        now: Now,
        node: NodeId,
        op: Op,
        record: Option<Record>,
        out: &mut impl Extend<Effect>,
    ) {
        let get = match self.ops.get_mut(op) {
            Some(Pending::Get(get)) => get,
            Some(Pending::Why(_)) => return self.why_reply(node, op, record, out),
            _ => return,
        };
        let Some(replica) = get.place.position_of(node) else { return };
        self.get_answered(now, op, replica, record, out);
    }

    pub(super) fn get_answered(
        &mut self,
        now: Now,
        op: Op,
        replica: usize,
        record: Option<Record>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        if get.tally.answered().contains(replica) {
            return;
        }
        get.merge(record);
        self.get_voted(now, op, quorum::Input::Answer { replica }, out);
    }

    pub(super) fn get_failed(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let Some(replica) = get.place.position_of(node) else { return };
        self.get_voted(now, op, quorum::Input::Error { replica }, out);
    }

    fn get_voted(&mut self, now: Now, op: Op, vote: quorum::Input, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let mut decisions = core::mem::take(&mut self.decisions);
        get.tally.handle(now.elapsed, vote, &mut decisions);
        self.carry_out_get(now, op, decisions, out);
    }

    pub(super) fn get_timeout(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        get.wake = Duration::MAX;
        let mut decisions = core::mem::take(&mut self.decisions);
        get.tally.handle_timeout(now.elapsed, &mut decisions);
        self.carry_out_get(now, op, decisions, out);
    }

    fn finish_get(&mut self, now: Now, op: Op, outcome: Outcome, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.remove(op) else { unreachable!("a tally is done once") };
        let response = match outcome {
            Outcome::Reached => {
                if get.pruned > 0 {
                    emit(out, Effect::Report(Report::Pruned { entries: get.pruned }));
                }
                let replicas = read_replicas(&get.tally, get.agreed);
                let context = self.seal_context(&get.key, get.newest.as_ref());
                let record = get.newest.filter(|record| record.is_live(now.unix_ms));
                Response::Value { record, context, as_of_ms: now.unix_ms, replicas }
            }
            Outcome::Impossible | Outcome::TimedOut => self.read_failure(now, &get.place, &get.tally, outcome, out),
        };
        self.answer(get.origin, response, out);
    }

    /// What a reader of the record has seen, as clients hold it; to have found nothing is something too. Empty while the
    /// cluster's secret is not known here.
    fn seal_context(&self, key: &StoredKey, record: Option<&Record>) -> Bytes {
        let Some(charter) = self.view.catalog.charter() else { return Bytes::new() };
        let seen = record.map(Record::context).unwrap_or_default();
        context::seal(&charter.secret, key, &seen)
    }

    /// What a read or scan says when too few replicas answered.
    pub(super) fn read_failure(
        &mut self,
        now: Now,
        place: &Preference,
        tally: &quorum::Read,
        outcome: Outcome,
        out: &mut impl Extend<Effect>,
    ) -> Response {
        self.report_silent(now, place, tally.open().intersection(tally.asked()), outcome, out);
        let (kind, when) = match outcome {
            Outcome::TimedOut => (FailureKind::TimedOut, " in time"),
            _ => (FailureKind::Rejected, ""),
        };
        let message = format!(
            "unavailable: the read needs {} of {} replicas, {} answered{when}: {}; retry, or ask for a lower level",
            tally.requirement().minimum(),
            place.len(),
            tally.answered().len(),
            place.account(tally.answered(), tally.failed(), outcome),
        );
        Response::Failed(Failure::new(kind, message))
    }
}

/// Whether a read sent something to that node that is not answered.
pub(super) fn is_waiting(place: &Preference, tally: &quorum::Read, node: NodeId) -> bool {
    let waiting = tally.asked().intersection(tally.open());
    place.position_of(node).is_some_and(|replica| waiting.contains(replica))
}

pub(super) fn read_replicas(tally: &quorum::Read, agreed: u8) -> Replicas {
    let count = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
    let wanted = count(tally.requirement().minimum());
    Replicas { wanted, answered: count(tally.answered().len()), agreed, sloppy: false }
}
