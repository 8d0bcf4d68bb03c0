//! Owns the moments that somebody still looks at: compaction keeps the versions that are visible at them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::Sequence;

/// Sequence numbers at which somebody reads.
#[derive(Default)]
pub(crate) struct Snapshots {
    /// The last sequence number that readers may see.
    visible: AtomicU64,
    /// How many hold each.
    held: Mutex<BTreeMap<Sequence, usize>>,
}

impl Snapshots {
    pub(crate) fn new(visible: Sequence) -> Self {
        Self { visible: AtomicU64::new(visible), held: Mutex::default() }
    }

    /// Up to where readers may see.
    #[inline]
    pub(crate) fn visible(&self) -> Sequence {
        self.visible.load(Ordering::Acquire)
    }

    /// Lets readers see all up to there, which is in the memtable.
    pub(crate) fn publish(&self, sequence: Sequence) {
        self.visible.store(sequence, Ordering::Release);
    }

    /// Keeps what is visible now.
    pub(crate) fn hold(&self) -> Sequence {
        let mut held = self.held();
        // Under the lock: a compaction either counts this snapshot, or counts what is visible, which is no later.
        let sequence = self.visible();
        *held.entry(sequence).or_default() += 1;
        sequence
    }

    pub(crate) fn release(&self, sequence: Sequence) {
        let mut held = self.held();
        let count = held.get_mut(&sequence).expect("a snapshot is released once");
        *count -= 1;
        if *count == 0 {
            held.remove(&sequence);
        }
    }

    /// All that compaction must respect, ascending; the last one is what is visible now. And the newest that is held.
    pub(crate) fn list(&self) -> (Vec<Sequence>, Option<Sequence>) {
        let held = self.held();
        let mut list: Vec<_> = held.keys().copied().collect();
        let (newest, visible) = (list.last().copied(), self.visible());
        if newest != Some(visible) {
            list.push(visible);
        }
        (list, newest)
    }

    /// How many snapshots are held.
    pub(crate) fn len(&self) -> usize {
        self.held().values().sum()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Sequence, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
