//! Counting the hints that an earlier process of this node has kept.

use bytes::Bytes;
use kvorum_hints::Input as HintInput;
use kvorum_ring::PartitionId;

use super::HINTS_KEYSPACE;
use super::rows::{Named, parse_order_key, parse_order_row};
use crate::shard::scan::PAGE_BYTES;
use crate::shard::{Effect, Page, Pending, Shard, StoreError, emit};
use crate::{KeyRange, Now, Op};

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

    /// Reads on in the last of the partitions that are left.
    pub(super) fn recover_next(&mut self, after: Option<Bytes>, out: &mut impl Extend<Effect>) {
        let Some(left) = &mut self.keeper.recovering else { return };
        match left.last() {
            Some(partition) => {
                let range = KeyRange::of_partition(HINTS_KEYSPACE, *partition, &[0], after.as_deref());
                let op = self.begin_background(Pending::HintRecovery);
                emit(out, Effect::Scan { op, range, limit_bytes: PAGE_BYTES });
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
        // What cannot be read now is found by the next process.
        let Page { rows, more } = result.unwrap_or_default();
        let last = rows.last().map(|(key, _)| key.key()).filter(|_| more);
        for (key, row) in rows {
            let Some(((target, seq), Named { kind, bytes, .. })) = parse_order_key(&key).zip(parse_order_row(&row))
            else {
                continue;
            };
            if !self.keeper.taken.contains(&(target, partition, seq)) {
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
