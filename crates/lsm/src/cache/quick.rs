//! The cache of a database in use: quick_cache, which keeps what is used often (S3-FIFO and CLOCK-Pro), and so is not emptied by one large
//! scan. It makes room for an entry when that comes in, and puts nothing off: with moka, before, readers did the upkeep that others had
//! put off, and one read of a hundred took ten times as long.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::pins::Pins;
use super::reads::Reads;
use super::{BlockCache, Cached, PINNED_SHARE};

/// A cache for many threads.
pub(crate) struct QuickCache {
    entries: Cache<(u64, u64), Cached, Weight, Mixing>,
    pins: Pins,
    reads: Arc<Reads>,
}

/// Bytes, as [`Cached`] counts them.
#[derive(Clone, Copy)]
struct Weight;

impl Weighter<(u64, u64), Cached> for Weight {
    fn weight(&self, _: &(u64, u64), cached: &Cached) -> u64 {
        cached.weight() as u64
    }
}

/// Most entries are blocks of that size, or larger by little.
const COMMON_ENTRY: u64 = 4 << 10;

impl QuickCache {
    /// A cache of at most so many bytes, what is pinned among them.
    pub(crate) fn new(capacity: u64) -> Self {
        let pinned = capacity / PINNED_SHARE;
        let rest = capacity - pinned;
        let entries = usize::try_from(rest / COMMON_ENTRY).unwrap_or(usize::MAX).max(1);
        let entries = Cache::with(entries, rest, Weight, Mixing, DefaultLifecycle::default());
        Self { entries, pins: Pins::new(pinned), reads: Arc::default() }
    }
}

impl BlockCache for QuickCache {
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
        self.entries.remove(&(file, offset));
    }

    fn weight(&self) -> u64 {
        self.entries.weight() + self.pins.used()
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
