//! The overlay: the newest record of every key that the engine does not durably hold yet, with the log sequence
//! that will make it so, and the keys whose stored record is being read before a write can merge into it.
//!
//! The log is ordered, so a later durable write of a key implies the earlier ones: writes merge here at once, and
//! only answers wait.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use foldhash::fast::FixedState;

use super::hints::HintWaiter;
use crate::{LogSeq, Op, PeerShard, Record, StoredKey};

/// What waits for a key's stored record.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A put or delete this node coordinates.
    Put(Op),
    /// A write another node coordinates.
    Replica { from: PeerShard, op: Op, record: Record },
    /// A record that was pulled, or by which this node's copy is repaired.
    Merge { record: Record, then: Merged },
    /// Something is done with a hint.
    Hint(HintWaiter),
}

/// Who wants to know that a record was merged into what is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Merged {
    /// The page it came with.
    Pulled(Op),
    /// The read that repairs this node's copy before it is answered.
    Repaired(Op),
    /// Nobody: a repair in the background.
    Quietly,
}

impl Waiter {
    /// What another coordinator's write holds on to while it waits.
    fn record_bytes(&self) -> Option<usize> {
        match self {
            Self::Put(_) | Self::Merge { .. } => None,
            Self::Replica { record, .. } => Some(record.as_bytes().len()),
            Self::Hint(waiter) => waiter.record_bytes(),
        }
    }
}

#[derive(Debug)]
enum Slot {
    Loading(Vec<Waiter>),
    /// None when the record was erased.
    Newest {
        record: Option<Record>,
        seq: LogSeq,
    },
}

#[expect(clippy::disallowed_types, reason = "its hasher is fixed, and nothing iterates it")]
type Slots = std::collections::HashMap<StoredKey, Slot, FixedState>;

#[derive(Debug)]
pub(super) struct Overlay {
    slots: Slots,
    /// The keys by the sequence of each append, oldest first.
    unsettled: VecDeque<(LogSeq, StoredKey)>,
    /// The other coordinators' writes among the waiters, and the bytes of their records.
    waiting_writes: usize,
    waiting_bytes: usize,
}

/// What a write finds.
#[derive(Debug)]
pub(super) enum Base {
    /// The newest record, if there is any, and when that is durable.
    Known(Option<Record>, LogSeq),
    /// The waiter was queued behind a read that is under way.
    Waiting,
    /// The waiter was queued, and the caller must have the record read.
    Unknown,
}

impl Overlay {
    /// The hash is seeded, so that nobody outside can choose keys that collide.
    pub(super) fn new(seed: u64) -> Self {
        let slots = Slots::with_hasher(FixedState::with_seed(seed));
        Self { slots, unsettled: VecDeque::new(), waiting_writes: 0, waiting_bytes: 0 }
    }

    /// The newest record of a key if the engine does not durably hold it yet.
    pub(super) fn newest(&self, key: &StoredKey) -> Option<(Option<&Record>, LogSeq)> {
        match self.slots.get(key)? {
            Slot::Newest { record, seq } => Some((record.as_ref(), *seq)),
            Slot::Loading(_) => None,
        }
    }

    /// Whether a key's stored record is being read.
    pub(super) fn is_loading(&self, key: &StoredKey) -> bool {
        matches!(self.slots.get(key), Some(Slot::Loading(_)))
    }

    /// Asks for the record that a write merges into.
    pub(super) fn base_for(&mut self, key: &StoredKey, waiter: Waiter) -> Base {
        let record_bytes = waiter.record_bytes();
        let base = match self.slots.get_mut(key) {
            Some(Slot::Newest { record, seq }) => return Base::Known(record.clone(), *seq),
            Some(Slot::Loading(waiters)) => {
                waiters.push(waiter);
                Base::Waiting
            }
            None => {
                self.slots.insert(key.detached(), Slot::Loading(vec![waiter]));
                Base::Unknown
            }
        };
        self.waiting_writes += usize::from(record_bytes.is_some());
        self.waiting_bytes += record_bytes.unwrap_or(0);
        base
    }

    /// A put or delete has ended before the stored record was known.
    pub(super) fn forget_waiter(&mut self, key: &StoredKey, op: Op) {
        if let Some(Slot::Loading(waiters)) = self.slots.get_mut(key) {
            waiters.retain(|waiter| !matches!(waiter, Waiter::Put(waiting) if *waiting == op));
        }
    }

    /// Ends the reading of a key's stored record: who waited for it, in order.
    pub(super) fn loaded(&mut self, key: &StoredKey) -> Vec<Waiter> {
        let waiters = match self.slots.remove(key) {
            Some(Slot::Loading(waiters)) => waiters,
            found => panic!("only a key that is being read is loaded, not {found:?}"),
        };
        for bytes in waiters.iter().filter_map(Waiter::record_bytes) {
            self.waiting_writes -= 1;
            self.waiting_bytes -= bytes;
        }
        waiters
    }

    /// A record was appended to the log, or its removal.
    pub(super) fn appended(&mut self, key: StoredKey, record: Option<Record>, seq: LogSeq) {
        match self.slots.entry(key.clone()) {
            Entry::Occupied(mut slot) => {
                let Slot::Newest { record: before, .. } = slot.get() else {
                    panic!("a write appends only once the stored record is known");
                };
                assert!(record != *before, "a record is replaced by newer ones only");
                if let (Some(record), Some(before)) = (&record, before) {
                    // One that keeps siblings may have forgotten what was replaced long ago.
                    debug_assert!(
                        record.is_causal() || record.covers(before),
                        "a record is replaced by what has absorbed it"
                    );
                }
                slot.insert(Slot::Newest { record, seq });
            }
            Entry::Vacant(slot) => {
                slot.insert(Slot::Newest { record, seq });
            }
        }
        self.unsettled.push_back((seq, key));
    }

    /// Everything up to this sequence is durable and visible in the engine.
    pub(super) fn settle(&mut self, durable: LogSeq) {
        while let Some((_, key)) = self.unsettled.pop_front_if(|(seq, _)| *seq <= durable) {
            if matches!(self.slots.get(&key), Some(Slot::Newest { seq, .. }) if *seq <= durable) {
                self.slots.remove(&key);
            }
        }
    }

    /// The other coordinators' writes that wait for a stored record, and the bytes of their records.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.waiting_writes, self.waiting_bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActorId, KeyspaceId};
    use kvorum_ring::PartitionId;
    use kvorum_vclock::{Dot, Timestamp};

    fn key(name: &str) -> StoredKey {
        StoredKey::new(KeyspaceId(1), PartitionId(0), name.as_bytes())
    }

    fn record(time: u64) -> Record {
        Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(1) }, None, None)
    }

    #[test]
    fn writers_queue_behind_one_read_of_the_stored_record() {
        let mut overlay = Overlay::new(1);
        let waiter = |slot| Waiter::Put(Op { slot, generation: 0 });
        assert!(matches!(overlay.base_for(&key("k"), waiter(1)), Base::Unknown));
        assert!(matches!(overlay.base_for(&key("k"), waiter(2)), Base::Waiting));
        assert!(overlay.newest(&key("k")).is_none());
        assert_eq!(overlay.loaded(&key("k")).len(), 2);
        assert_eq!(overlay.len(), 0);
    }

    #[test]
    fn a_key_leaves_when_its_newest_record_is_durable_and_not_before() {
        let mut overlay = Overlay::new(1);
        overlay.appended(key("k"), Some(record(1)), LogSeq(1));
        overlay.appended(key("k"), Some(record(2)), LogSeq(2));
        overlay.settle(LogSeq(1));
        assert_eq!(overlay.newest(&key("k")), Some((Some(&record(2)), LogSeq(2))));
        assert!(
            matches!(overlay.base_for(&key("k"), Waiter::Put(Op { slot: 0, generation: 0 })), Base::Known(found, LogSeq(2)) if found == Some(record(2)))
        );
        overlay.settle(LogSeq(2));
        assert_eq!(overlay.len(), 0);
    }

    #[test]
    fn what_waits_for_a_load_is_counted_and_who_has_ended_waits_no_more() {
        let mut overlay = Overlay::new(1);
        let op = |slot| Op { slot, generation: 0 };
        let from = PeerShard { node: crate::NodeId(2), shard: crate::ShardIndex(0) };
        let bytes = record(1).as_bytes().len();
        overlay.base_for(&key("k"), Waiter::Put(op(1)));
        for slot in [2, 3] {
            overlay.base_for(&key("k"), Waiter::Replica { from, op: op(slot), record: record(1) });
        }
        assert_eq!(overlay.waiting(), (2, 2 * bytes));
        overlay.forget_waiter(&key("k"), op(2));
        overlay.forget_waiter(&key("k"), op(1));
        let waiters = overlay.loaded(&key("k"));
        assert!(matches!(waiters[..], [Waiter::Replica { .. }, Waiter::Replica { .. }]), "{waiters:?}");
        assert_eq!(overlay.waiting(), (0, 0));
    }
}
