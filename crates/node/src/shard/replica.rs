//! Serving the reads, writes and scans that other nodes coordinate.

use super::scan::PAGE_BYTES;
use super::{AfterDurable, Base, Effect, Page, Pending, Report, Shard, StoreError, Waiter, emit};
use crate::{Failure, FailureKind, KeyRange, Message, Mode, Now, Op, PeerShard, Record, StoredKey};
use kvorum_vclock::Timestamp;

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
        out: &mut impl Extend<Effect>,
    ) {
        if !self.holds(key.partition()) {
            return self.refuse(from, op, FailureKind::Rejected, "holds no replica of that partition", out);
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
        if let Err(error) = self.clock.observe(time, now.unix_ms) {
            if let kvorum_vclock::Error::ClockDrift { ahead_ms, .. } = error {
                emit(out, Effect::Report(Report::ClockDrift { from: from.node, ahead_ms }));
            }
            if minted.is_some() {
                return self.refuse(from, op, FailureKind::Rejected, &error.to_string(), out);
            }
        }
        match self.overlay.base_for(key, Waiter::Replica { from, op, record: record.clone() }) {
            Base::Known(newest, seq) => self.replica_merge(from, op, key, record, Some(newest), Some(seq), out),
            Base::Waiting => {}
            Base::Unknown => self.load_base(key.clone(), out),
        }
    }

    pub(super) fn replica_read(&mut self, from: PeerShard, op: Op, key: StoredKey, out: &mut impl Extend<Effect>) {
        if !self.holds(key.partition()) {
            return self.refuse(from, op, FailureKind::Rejected, "holds no replica of that partition", out);
        }
        if self.view.fitness().in_doubt {
            return self.refuse(from, op, FailureKind::Rejected, IN_DOUBT, out);
        }
        if let Some((record, seq)) = self.overlay.newest(&key) {
            let then = AfterDurable::ReadReply { to: from, op, record: record.clone() };
            return self.when_durable(seq, then);
        }
        let mine = self.ops.insert(Pending::ReplicaRead { from, op });
        emit(out, Effect::Load { op: mine, key });
    }

    pub(super) fn replica_loaded(
        &mut self,
        mine: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::ReplicaRead { from, op }) = self.ops.remove(mine) else { return };
        match result {
            Ok(record) => self.send(from, Message::ReadReply { op, record }, out),
            Err(error) => self.refuse(from, op, error.kind(), &error.to_string(), out),
        }
    }

    pub(super) fn replica_scan(
        &mut self,
        from: PeerShard,
        op: Op,
        range: KeyRange,
        limit_bytes: u32,
        out: &mut impl Extend<Effect>,
    ) {
        if !range.place().is_some_and(|(_, partition)| self.holds(partition)) {
            return self.refuse(from, op, FailureKind::Rejected, "holds no replica of that partition", out);
        }
        if self.view.fitness().in_doubt {
            return self.refuse(from, op, FailureKind::Rejected, IN_DOUBT, out);
        }
        if range.is_reversed() {
            return self.refuse(from, op, FailureKind::Rejected, "the range ends before it starts", out);
        }
        let limit_bytes = limit_bytes.clamp(1, PAGE_BYTES);
        let mine = self.ops.insert(Pending::ReplicaScan { from, op });
        emit(out, Effect::Scan { op: mine, range, limit_bytes });
    }

    pub(super) fn replica_scanned(
        &mut self,
        mine: Op,
        result: Result<Page, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::ReplicaScan { from, op }) = self.ops.remove(mine) else { return };
        match result {
            Ok(Page { rows, more }) => self.send(from, Message::ScanReply { op, rows, more }, out),
            Err(error) => self.refuse(from, op, error.kind(), &error.to_string(), out),
        }
    }

    fn holds(&self, partition: kvorum_ring::PartitionId) -> bool {
        self.view.replicas(partition).any(|replica| replica.id == self.me.node)
    }

    fn refuse(&self, from: PeerShard, op: Op, kind: FailureKind, why: &str, out: &mut impl Extend<Effect>) {
        let failure = Failure::new(kind, format!("{}: {why}", self.view.name_of(self.me.node)));
        self.send(from, Message::Refused { op, failure }, out);
    }
}
