//! Owns the counters of a database and the plain figures that are made of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::compaction::Gone;
use crate::options::LEVELS;

/// Figures of a database since it was opened, and of this moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Batches that were written.
    pub batches: u64,
    /// Operations in them.
    pub operations: u64,
    /// Bytes of them, as they are encoded: keys, values, and a few bytes for each operation.
    pub user_bytes: u64,
    /// Groups of batches that went to the log in one write.
    pub groups: u64,
    /// Syncs of the log for writes that wanted one.
    pub log_syncs: u64,
    /// Bytes of logs that were dropped when the database was opened: the remains of writes that had not been synced when the machine or the
    /// process stopped, behind the first that was lost.
    pub torn_bytes: u64,
    /// How often writers were delayed because compaction was behind.
    pub delays: u64,
    /// How long all these delays were together.
    pub delayed: Duration,
    /// How often a writer had to wait until something was flushed or compacted.
    pub stops: u64,
    /// Searches of tables that ended at the filter: the key is not in the table.
    pub filter_hits: u64,
    /// Searches of tables that found the key.
    pub table_hits: u64,
    /// Searches of tables that the filter had let pass in vain.
    pub filter_misses: u64,
    /// Blocks that were read from the disk.
    pub block_reads: u64,
    /// Bytes that the cache holds, filters and indexes that stay in memory among them.
    pub cache_bytes: u64,
    /// Memtables that were written to tables.
    pub flushes: u64,
    /// Compactions that wrote tables.
    pub compactions: u64,
    /// Tables that became part of the next level as they are.
    pub moves: u64,
    /// Versions that were left out by flushes and compactions since nobody could see them any more.
    pub hidden: u64,
    /// Deletions that were left out, with nothing more to hide.
    pub tombstones: u64,
    /// Entries of dropped ranges that were left out.
    pub dropped: u64,
    /// Entries that the compaction filter removed.
    pub filtered: u64,
    /// Entries that the compaction filter gave another value.
    pub replaced: u64,
    /// Changes of the set of tables.
    pub edits: u64,
    /// The levels, from the one that memtables are written to down.
    pub levels: [LevelMetrics; LEVELS],
    /// Bytes of memory that memtables hold.
    pub memtable_bytes: u64,
    /// Memtables that wait to be written to tables.
    pub sealed_memtables: u64,
    /// Snapshots that are held.
    pub snapshots: u64,
    /// Dropped ranges of which tables still hold something.
    pub dropped_ranges: u64,
    /// Bytes that compaction is behind.
    pub debt: u64,
}

/// Figures of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LevelMetrics {
    /// Tables on it.
    pub tables: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Entries in them; each version and each deletion is one.
    pub entries: u64,
    /// Bytes of tables that were read from it to be compacted.
    pub read: u64,
    /// Bytes of tables that were written to it.
    pub written: u64,
}

impl Metrics {
    /// Bytes of tables written per byte that users wrote; the log is one more.
    #[must_use]
    pub fn write_amplification(&self) -> f64 {
        let written: u64 = self.levels.iter().map(|level| level.written).sum();
        written as f64 / self.user_bytes.max(1) as f64
    }

    /// Bytes of all tables.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        self.levels.iter().map(|level| level.bytes).sum()
    }
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) batches: Counter,
    pub(crate) operations: Counter,
    pub(crate) user_bytes: Counter,
    pub(crate) groups: Counter,
    pub(crate) log_syncs: Counter,
    pub(crate) torn_bytes: Counter,
    pub(crate) delays: Counter,
    pub(crate) delayed_nanos: Counter,
    pub(crate) stops: Counter,
    pub(crate) flushes: Counter,
    pub(crate) compactions: Counter,
    pub(crate) moves: Counter,
    pub(crate) hidden: Counter,
    pub(crate) tombstones: Counter,
    pub(crate) dropped: Counter,
    pub(crate) filtered: Counter,
    pub(crate) replaced: Counter,
    pub(crate) edits: Counter,
    pub(crate) read: [Counter; LEVELS],
    pub(crate) written: [Counter; LEVELS],
}

impl Counters {
    pub(crate) fn add_gone(&self, gone: Gone) {
        self.hidden.add(gone.hidden);
        self.tombstones.add(gone.tombstones);
        self.dropped.add(gone.dropped);
        self.filtered.add(gone.filtered);
        self.replaced.add(gone.replaced);
    }

    /// The figures that are counted; those of the moment are still to be filled in.
    pub(crate) fn metrics(&self) -> Metrics {
        let mut metrics = Metrics {
            batches: self.batches.get(),
            operations: self.operations.get(),
            user_bytes: self.user_bytes.get(),
            groups: self.groups.get(),
            log_syncs: self.log_syncs.get(),
            torn_bytes: self.torn_bytes.get(),
            delays: self.delays.get(),
            delayed: Duration::from_nanos(self.delayed_nanos.get()),
            stops: self.stops.get(),
            flushes: self.flushes.get(),
            compactions: self.compactions.get(),
            moves: self.moves.get(),
            hidden: self.hidden.get(),
            tombstones: self.tombstones.get(),
            dropped: self.dropped.get(),
            filtered: self.filtered.get(),
            replaced: self.replaced.get(),
            edits: self.edits.get(),
            ..Metrics::default()
        };
        for (level, (read, written)) in metrics.levels.iter_mut().zip(self.read.iter().zip(&self.written)) {
            (level.read, level.written) = (read.get(), written.get());
        }
        metrics
    }
}
