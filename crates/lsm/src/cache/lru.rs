//! A plain cache that evicts what was not used for longest: the same each time for the same calls, as simulation needs it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pins::Pins;
use super::reads::Reads;
use super::{BlockCache, Cached, PINNED_SHARE};

/// A cache behind one lock.
pub(crate) struct LruCache {
    entries: Mutex<Entries>,
    pins: Pins,
    reads: Arc<Reads>,
}

#[derive(Default)]
struct Entries {
    capacity: u64,
    weight: u64,
    /// Counts uses; each entry is in `by_use` under its last.
    uses: u64,
    by_name: BTreeMap<(u64, u64), (u64, Cached)>,
    by_use: BTreeMap<u64, (u64, u64)>,
}

impl LruCache {
    /// A cache of at most so many bytes, what is pinned among them.
    pub(crate) fn new(capacity: u64) -> Self {
        let pinned = capacity / PINNED_SHARE;
        let entries = Entries { capacity: capacity - pinned, ..Entries::default() };
        Self { entries: Mutex::new(entries), pins: Pins::new(pinned), reads: Arc::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn get(&mut self, name: (u64, u64)) -> Option<Cached> {
        let (last_use, cached) = self.by_name.get_mut(&name)?;
        self.by_use.remove(last_use);
        self.uses += 1;
        *last_use = self.uses;
        self.by_use.insert(self.uses, name);
        Some(cached.clone())
    }

    fn insert(&mut self, name: (u64, u64), cached: Cached) {
        self.remove(name);
        self.uses += 1;
        self.weight += cached.weight() as u64;
        self.by_use.insert(self.uses, name);
        self.by_name.insert(name, (self.uses, cached));
        while self.weight > self.capacity
            && let Some((_, oldest)) = self.by_use.first_key_value()
        {
            self.remove(*oldest);
        }
    }

    fn remove(&mut self, name: (u64, u64)) {
        if let Some((last_use, cached)) = self.by_name.remove(&name) {
            self.by_use.remove(&last_use);
            self.weight -= cached.weight() as u64;
        }
    }
}

impl BlockCache for LruCache {
    fn get(&self, file: u64, offset: u64) -> Option<Cached> {
        self.entries().get((file, offset))
    }

    fn touch(&self, file: u64, offset: u64) {
        self.entries().get((file, offset));
    }

    fn insert(&self, file: u64, offset: u64, cached: Cached) {
        self.entries().insert((file, offset), cached);
    }

    fn remove(&self, file: u64, offset: u64) {
        self.entries().remove((file, offset));
    }

    fn weight(&self) -> u64 {
        self.entries().weight + self.pins.used()
    }

    fn pin(&self, bytes: u64) -> bool {
        self.pins.take(bytes)
    }

    fn unpin(&self, bytes: u64) {
        self.pins.give_back(bytes);
    }

    fn reads(&self) -> &Arc<Reads> {
        &self.reads
    }
}
