//! Counting the hints that an earlier process of this node has kept.

use core::time::Duration;

use bytes::Bytes;
use kvorum_hints::Input as HintInput;
use kvorum_ring::PartitionId;

use super::HINTS_KEYSPACE;
use super::rows::{Named, parse_order_key, parse_order_row};
use crate::shard::scan::PAGE_BYTES;
use crate::shard::{Effect, Page, Pending, Shard, StoreError, emit};
use crate::{KeyRange, Now, Op};

/// When it is tried again to read what could not be read.
const AGAIN: Duration = Duration::from_secs(1);

impl Shard {
    /// Begins to count what an earlier process has kept, once the layout tells which partitions there are.
    pub(in crate::shard) fn recover_hints(&mut self, out: &mut impl Extend<Effect>) {
        if self.keeper.recovering.is_some() {
            return;
        }
        if let Some(layout) = &self.view.layout {
            let is_mine =
                |partition: &PartitionId| usize::from(partition.0) % self.shards == usize::from(self.me.shard.0);
            self.keeper.recovering = Some(layout.partitions().iter().filter(is_mine).rev().collect());
            self.recover_next(None, out);
        }
    }

    /// Reads again what could not be read.
    pub(super) fn recover_again(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        if self.keeper.recover_at.is_some_and(|at| at <= now.elapsed) {
            self.keeper.recover_at = None;
            self.recover_next(None, out);
        }
    }

    /// Reads on in the last of the partitions that are left.
    pub(super) fn recover_next(&mut self, after: Option<Bytes>, out: &mut impl Extend<Effect>) {
        let Some(left) = &mut self.keeper.recovering else { return };
        match left.last() {
            Some(partition) => {
                let range = KeyRange::of_partition(HINTS_KEYSPACE, *partition, &[0], after.as_deref());
                let op = self.begin_background(Pending::HintRecovery);
                emit(out, Effect::Scan { op, range, limit_bytes: PAGE_BYTES, until: Duration::MAX });
            }
            None => self.keeper.taken.clear(),
        }
    }

    pub(in crate::shard) fn hints_recovered(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Page, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        self.end_background(op);
        let Some(partition) = self.keeper.recovering.as_ref().and_then(|left| left.last()).copied() else { return };
        let Ok(Page { rows, more }) = result else {
            // It must not be forgotten what was kept: the partition is read again, from its start.
            self.keeper.recover_at = Some(now.elapsed.saturating_add(AGAIN));
            return;
        };
        let last = rows.last().map(|(key, _)| key.key()).filter(|_| more);
        for (key, row) in rows {
            let Some(((target, seq), Named { kind, bytes, .. })) = parse_order_key(&key).zip(parse_order_row(&row))
            else {
                continue;
            };
            if self.keeper.taken.insert((target, partition, seq)) {
                self.tell_machine(now, HintInput::Recovered { target, partition, seq, bytes, kind }, out);
            }
        }
        if last.is_none()
            && let Some(left) = &mut self.keeper.recovering
        {
            left.pop();
        }
        self.recover_next(last, out);
    }
}
