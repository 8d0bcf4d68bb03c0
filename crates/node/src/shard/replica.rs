//! Serving the reads, writes and scans that other nodes coordinate, as a replica or in the place of one.

use core::time::Duration;

use kvorum_hints::Kind;
use kvorum_vclock::Timestamp;

use super::hints::{HINTS_KEYSPACE, HintAnswer, Missed, StandInReader};
use super::scan::PAGE_BYTES;
use super::{AfterDurable, Base, Effect, LogSeq, Page, Pending, Report, Shard, StoreError, Waiter, emit};
use crate::{
    ActorId, Digest, Failure, FailureKind, KeyRange, Message, Mode, NodeId, Now, Op, PeerShard, Record, StoredKey,
};

const NO_REPLICA: &str = "holds no replica of that partition";
const NO_SUCH_REPLICA: &str = "does not know that node as a replica of that partition";
/// Why a node answers no reads of what it holds.
const IN_DOUBT: &str = "in doubt: may have lost acknowledged writes";

impl Shard {
    /// Merges another coordinator's record into what is stored, never overwrites, and answers when durable.
    #[expect(clippy::too_many_arguments, reason = "the parts of one message")]
    pub(super) fn replica_write(
        &mut self,
        now: Now,
        from: PeerShard,
        op: Op,
        key: &StoredKey,
        record: Record,
        minted: Option<Timestamp>,
        stand_in_for: Option<NodeId>,
        out: &mut impl Extend<Effect>,
    ) {
        let holder = stand_in_for.unwrap_or(self.me.node);
        if !self.view.replicas(key.partition()).any(|replica| replica.id == holder) {
            let why = if stand_in_for.is_some() { NO_SUCH_REPLICA } else { NO_REPLICA };
            return self.refuse(from, op, FailureKind::Rejected, why, out);
        }
        if let Err(failure) = self.admit_keyspace(key.keyspace()) {
            return self.send(from, Message::Refused { op, failure }, out);
        }
        if self
            .view
            .keyspace(key.keyspace())
            .is_some_and(|keyspace| record.is_causal() != (keyspace.mode == Mode::Causal))
        {
            return self.refuse(from, op, FailureKind::Invalid, "has that keyspace in another mode", out);
        }
        // What was written before is taken whatever its time, or it could never be repaired; but the clock follows
        // nothing beyond the bound.
        let time = minted.unwrap_or_else(|| record.time());
        let observed = self.clock.observe(time, now.unix_ms);
        self.ask_for_room_to_mint(out);
        if let Err(error) = observed {
            if let kvorum_vclock::Error::ClockDrift { ahead_ms, .. } = error {
                emit(out, Effect::Report(Report::ClockDrift { from: from.node, ahead_ms }));
            }
            if minted.is_some() {
                return self.refuse(from, op, FailureKind::Rejected, &error.to_string(), out);
            }
        }
        if let Some(target) = stand_in_for.filter(|target| *target != self.me.node) {
            let answer = HintAnswer::Peer(from, op);
            return self.keep_hint(now, Missed { target, key: key.clone(), record, kind: Kind::Owed, answer }, out);
        }
        match self.overlay.base_for(key, Waiter::Replica { from, op, record: record.clone() }) {
            Base::Known(newest, seq) => self.replica_merge(now, from, op, key, record, (newest, Some(seq)), out),
            Base::Waiting => {}
            Base::Unknown => self.load_base(key.clone(), out),
        }
    }

    /// Hands a write on to other replicas in this data centre. They answer its coordinator.
    pub(super) fn relay(
        &self,
        coordinator: PeerShard,
        op: Op,
        (key, record, minted): (&StoredKey, &Record, Option<Timestamp>),
        to: &[NodeId],
        out: &mut impl Extend<Effect>,
    ) {
        let replicas = self.view.replicas(key.partition());
        // Whoever is no replica of it here is not written to: who has the wrong layout is refused before.
        for node in replicas.map(|replica| replica.id).filter(|id| to.contains(id) && *id != self.me.node) {
            let (key, record) = (key.clone(), record.clone());
            let to = PeerShard { node, shard: self.me.shard };
            let message = Message::Relayed { coordinator, op, key, record, minted };
            emit(out, Effect::Send { to, lane: message.lane(), tag: self.view.tag(), until: Duration::MAX, message });
        }
    }

    /// A write merges into what this replica holds: the other half of [`Shard::put`].
    #[expect(clippy::too_many_arguments, reason = "what is written, and what is there")]
    pub(super) fn replica_merge(
        &mut self,
        now: Now,
        from: PeerShard,
        op: Op,
        key: &StoredKey,
        record: Record,
        base: (Option<Record>, Option<LogSeq>),
        out: &mut impl Extend<Effect>,
    ) {
        let partition = key.partition();
        let then = |merged: &Record| AfterDurable::WriteReply { to: from, op, partition, newest: merged.dot() };
        self.merge_here(now, key, record, base, then, out);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one message")]
    pub(super) fn replica_read(
        &mut self,
        now: Now,
        from: PeerShard,
        op: Op,
        key: StoredKey,
        known: Option<Digest>,
        stand_in_for: Option<NodeId>,
        until: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        if self.view.fitness().in_doubt {
            return self.refuse(from, op, FailureKind::Rejected, IN_DOUBT, out);
        }
        if stand_in_for.is_some() {
            return self.stand_in_read(now, StandInReader::Peer(from, op), &key, until, out);
        }
        if !self.holds(key.partition()) {
            return self.refuse(from, op, FailureKind::Rejected, NO_REPLICA, out);
        }
        if let Some((Some(record), seq)) = self.overlay.newest(&key) {
            let then = AfterDurable::ReadReply { to: from, op, record: record.clone(), known };
            return self.when_durable(seq, then);
        }
        let mine = self.ops.insert(Pending::ReplicaRead { from, op, known });
        emit(out, Effect::Load { op: mine, key, until });
    }

    /// Tells another coordinator what this replica holds, in full unless it holds the same.
    pub(super) fn answer_read(
        &mut self,
        to: PeerShard,
        op: Op,
        record: Option<Record>,
        known: Option<Digest>,
        out: &mut impl Extend<Effect>,
    ) {
        let is_same = known.is_some() && record.as_ref().map(Record::digest) == known;
        let message = if is_same { Message::ReadSame { op } } else { Message::ReadReply { op, record } };
        self.send(to, message, out);
    }

    pub(super) fn replica_loaded(
        &mut self,
        mine: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::ReplicaRead { from, op, known }) = self.ops.remove(mine) else { return };
        match result {
            Ok(record) => self.answer_read(from, op, record, known, out),
            Err(StoreError::TooLate) => {}
            Err(error) => self.refuse(from, op, error.kind(), &error.to_string(), out),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one message")]
    pub(super) fn replica_scan(
        &mut self,
        from: PeerShard,
        op: Op,
        range: KeyRange,
        limit_bytes: u32,
        puller: Option<ActorId>,
        until: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        if !range.place().is_some_and(|(keyspace, partition)| keyspace != HINTS_KEYSPACE && self.holds(partition)) {
            return self.refuse(from, op, FailureKind::Rejected, NO_REPLICA, out);
        }
        // Who pulls wants what is left here, even if that may not be all.
        if self.view.fitness().in_doubt && puller.is_none() {
            return self.refuse(from, op, FailureKind::Rejected, IN_DOUBT, out);
        }
        if range.is_reversed() {
            return self.refuse(from, op, FailureKind::Rejected, "the range ends before it starts", out);
        }
        if let Some(process) = puller
            && let Some((_, partition)) = range.place()
        {
            self.pulled_from_here(from.node, process, partition, out);
        }
        let limit_bytes = limit_bytes.clamp(1, PAGE_BYTES);
        let mine = self.ops.insert(Pending::ReplicaScan { from, op, checked: puller.is_some() });
        emit(out, Effect::Scan { op: mine, range, limit_bytes, until });
    }

    pub(super) fn replica_scanned(
        &mut self,
        mine: Op,
        result: Result<Page, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::ReplicaScan { from, op, checked }) = self.ops.remove(mine) else { return };
        match result {
            Ok(Page { rows, more }) => {
                let digest = checked.then(|| Digest::of_rows(&rows));
                self.send(from, Message::ScanReply { op, rows, more, digest }, out);
            }
            Err(StoreError::TooLate) => {}
            Err(error) => self.refuse(from, op, error.kind(), &error.to_string(), out),
        }
    }

    pub(super) fn holds(&self, partition: kvorum_ring::PartitionId) -> bool {
        self.view.replicas(partition).any(|replica| replica.id == self.me.node)
    }

    pub(super) fn refuse(&self, from: PeerShard, op: Op, kind: FailureKind, why: &str, out: &mut impl Extend<Effect>) {
        let failure = Failure::new(kind, format!("{}: {why}", self.view.name_of(self.me.node)));
        self.send(from, Message::Refused { op, failure }, out);
    }
}
