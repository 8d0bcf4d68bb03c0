//! The cache of a database in use: moka, which keeps what is used often (TinyLFU), and so is not emptied by one large scan.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::pins::Pins;
use super::reads::Reads;
use super::{BlockCache, Cached, PINNED_SHARE};

/// A cache for many threads.
pub(crate) struct MokaCache {
    entries: ::moka::sync::Cache<(u64, u64), Cached, Mixing>,
    pins: Pins,
    reads: Arc<Reads>,
}

impl MokaCache {
    /// A cache of at most so many bytes, what is pinned among them.
    pub(crate) fn new(capacity: u64) -> Self {
        let pinned = capacity / PINNED_SHARE;
        let weigher = |_: &(u64, u64), cached: &Cached| u32::try_from(cached.weight()).unwrap_or(u32::MAX);
        let entries =
            ::moka::sync::Cache::builder().max_capacity(capacity - pinned).weigher(weigher).build_with_hasher(Mixing);
        Self { entries, pins: Pins::new(pinned), reads: Arc::default() }
    }

    /// Does what is put off: inserts and evictions take effect a little later.
    #[cfg(test)]
    pub(super) fn settle(&self) {
        self.entries.run_pending_tasks();
    }
}

impl BlockCache for MokaCache {
    fn get(&self, file: u64, offset: u64) -> Option<Cached> {
        self.entries.get(&(file, offset))
    }

    fn touch(&self, file: u64, offset: u64) {
        let _ = self.entries.get(&(file, offset));
    }

    fn insert(&self, file: u64, offset: u64, cached: Cached) {
        self.entries.insert((file, offset), cached);
    }

    fn remove(&self, file: u64, offset: u64) {
        self.entries.invalidate(&(file, offset));
    }

    fn weight(&self) -> u64 {
        self.entries.weighted_size() + self.pins.used()
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

/// Hashes two numbers that nobody chooses to collide.
#[derive(Clone, Copy, Default)]
struct Mixing;

struct Mixer(u64);

impl BuildHasher for Mixing {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer(0)
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0.rotate_left(32) ^ number ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
