//! How the files of a database are checked, and counted.

use super::engine::Engine;
use crate::error::Result;
use crate::metrics::Metrics;

/// What was checked, and is as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Tables.
    pub tables: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their entries.
    pub entries: u64,
}

impl Engine {
    /// Reads every table.
    pub(crate) fn verify(&self) -> Result<Verified> {
        let version = self.views.load().version.clone();
        let mut verified = Verified::default();
        for (_, file) in version.files() {
            file.table()?.verify()?;
            verified.tables += 1;
            verified.bytes += file.meta.size;
            verified.entries += file.meta.entries;
        }
        Ok(verified)
    }

    /// Figures of this moment, and those that were counted.
    pub(crate) fn metrics(&self) -> Metrics {
        let view = self.views.load();
        let mut metrics = self.counters.metrics();
        for (level, file) in view.version.files() {
            let level = &mut metrics.levels[level];
            level.tables += 1;
            level.bytes += file.meta.size;
            level.entries += file.meta.entries;
        }
        let sealed: usize = view.sealed.iter().map(|sealed| sealed.memtable.bytes()).sum();
        metrics.memtable_bytes = (view.memtable.bytes() + sealed) as u64;
        metrics.sealed_memtables = view.sealed.len() as u64;
        let reads = self.home.cache.reads().totals();
        (metrics.filter_hits, metrics.filter_misses) = (reads.filtered, reads.false_positives);
        (metrics.table_hits, metrics.block_reads) = (reads.found, reads.blocks);
        metrics.cache_bytes = self.home.cache.weight();
        metrics.snapshots = self.snapshots.len() as u64;
        metrics.dropped_ranges = view.version.dropped.len() as u64;
        metrics.debt = self.pressures.debt();
        metrics
    }
}
