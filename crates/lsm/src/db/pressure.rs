//! Owns how far the background is behind, in numbers that a writer can look at without a lock, and how fast it has been lately.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::engine::Engine;
use super::views::View;
use crate::compaction::pick::debt;
use crate::options::{Pace, Pressure};

/// What the background absorbs before anything has been measured.
const FIRST_GUESS: u64 = 64 << 20;
/// Slower than that it is not believed to be: a short measurement may have met a pause.
const SLOWEST: u64 = 1 << 20;

/// Numbers for the pace of writers.
pub(crate) struct Pressures {
    flushed_tables: AtomicUsize,
    sealed_bytes: AtomicUsize,
    debt: AtomicU64,
    drained_per_second: AtomicU64,
}

impl Default for Pressures {
    fn default() -> Self {
        Self {
            flushed_tables: AtomicUsize::new(0),
            sealed_bytes: AtomicUsize::new(0),
            debt: AtomicU64::new(0),
            drained_per_second: AtomicU64::new(FIRST_GUESS),
        }
    }
}

impl Pressures {
    pub(crate) fn debt(&self) -> u64 {
        self.debt.load(Ordering::Relaxed)
    }

    /// So many bytes of users' writes went on, in that time.
    pub(crate) fn drained(&self, bytes: u64, time: Duration) {
        let rate = (bytes as f64 / time.as_secs_f64().max(1e-3)) as u64;
        let before = self.drained_per_second.load(Ordering::Relaxed);
        self.drained_per_second.store(((3 * before + rate) / 4).max(SLOWEST), Ordering::Relaxed);
    }
}

impl Engine {
    /// Remembers what a new view says.
    pub(crate) fn note_pressure(&self, view: &View) {
        let debt = debt(&view.version, &self.limits(&view.version));
        let sealed = view.sealed.iter().map(|sealed| sealed.memtable.bytes()).sum();
        self.pressures.flushed_tables.store(view.version.levels[0].len(), Ordering::Relaxed);
        self.pressures.sealed_bytes.store(sealed, Ordering::Relaxed);
        self.pressures.debt.store(debt, Ordering::Relaxed);
    }

    /// How a write of so many bytes is slowed down, with so many in the memtable that takes it.
    pub(crate) fn pace(&self, memtable_bytes: usize, bytes: usize) -> Pace {
        let Pressures { flushed_tables, sealed_bytes, debt, drained_per_second } = &self.pressures;
        let pressure = Pressure {
            l0_tables: flushed_tables.load(Ordering::Relaxed),
            memtable_bytes: memtable_bytes + sealed_bytes.load(Ordering::Relaxed),
            debt_bytes: debt.load(Ordering::Relaxed),
        };
        self.options.pace(&pressure, drained_per_second.load(Ordering::Relaxed), bytes)
    }
}
