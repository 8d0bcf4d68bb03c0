//! The engine's figures, as operators see them.

use kvorum_lsm::{LevelMetrics, Metrics};

use super::hot::HotFigures;
use crate::engine::{Figure, Unit};

pub(super) fn figures(lsm: &Metrics, hot: HotFigures) -> Vec<Figure> {
    let (counter, gauge) = (Figure::counter, Figure::gauge);
    let by_level = |figure: Figure, number: fn(&LevelMetrics) -> u64| {
        figure.by("level", lsm.levels.iter().enumerate().map(|(level, of)| (level.to_string(), number(of))))
    };
    vec![
        by_level(gauge("kvorum_lsm_level_tables", "Tables of each level", 0), |level| level.tables),
        by_level(gauge("kvorum_lsm_level", "Size of the tables of each level", 0).of(Unit::Bytes), |level| level.bytes),
        by_level(gauge("kvorum_lsm_level_entries", "Versions in the tables of each level", 0), |level| level.entries),
        by_level(counter("kvorum_lsm_level_read", "Read from each level by compactions", 0).of(Unit::Bytes), |level| {
            level.read
        }),
        by_level(
            counter("kvorum_lsm_level_written", "Written to each level by flushes and compactions", 0).of(Unit::Bytes),
            |level| level.written,
        ),
        counter("kvorum_lsm_batches", "Batches written to the log", lsm.batches),
        counter("kvorum_lsm_operations", "Operations in these batches", lsm.operations),
        counter("kvorum_lsm_user", "Size of these operations: what writes are amplified from", lsm.user_bytes)
            .of(Unit::Bytes),
        counter("kvorum_lsm_log_groups", "Groups of batches that went to the log in one write", lsm.groups),
        counter("kvorum_lsm_log_syncs", "Syncs of the log", lsm.log_syncs),
        counter("kvorum_lsm_log_torn", "Dropped from the ends of logs when the store was opened", lsm.torn_bytes)
            .of(Unit::Bytes),
        counter("kvorum_lsm_delays", "How often writers were delayed since compaction was behind", lsm.delays),
        counter("kvorum_lsm_delayed", "How long writers were delayed in all", 0)
            .of(Unit::Seconds)
            .measured(lsm.delayed.as_secs_f64()),
        counter("kvorum_lsm_stops", "How often a writer waited for a flush or a compaction", lsm.stops),
        counter("kvorum_lsm_flushes", "Memtables written to tables", lsm.flushes),
        counter("kvorum_lsm_compactions", "Compactions that wrote tables", lsm.compactions),
        counter("kvorum_lsm_moves", "Tables moved to the next level as they are", lsm.moves),
        counter("kvorum_lsm_manifest_edits", "Changes of the set of tables", lsm.edits),
        gauge("kvorum_lsm_compaction_debt", "What compaction has still to rewrite", lsm.debt).of(Unit::Bytes),
        counter("kvorum_lsm_dropped_versions", "Overwritten versions left out by flushes and compactions", lsm.hidden),
        counter("kvorum_lsm_dropped_tombstones", "Deletions left out with nothing more to hide", lsm.tombstones),
        counter("kvorum_lsm_expired_cells", "Expired cells that compaction took the value from", lsm.replaced),
        gauge("kvorum_lsm_memtable", "Memory of the memtables", lsm.memtable_bytes).of(Unit::Bytes),
        gauge("kvorum_lsm_sealed_memtables", "Memtables that wait to be written", lsm.sealed_memtables),
        gauge("kvorum_lsm_cache", "Memory of cached blocks, indexes and filters", lsm.cache_bytes).of(Unit::Bytes),
        counter("kvorum_lsm_block_reads", "Blocks read from the disk", lsm.block_reads),
        counter("kvorum_lsm_filter_hits", "Searches of a table that its filter ended", lsm.filter_hits),
        counter("kvorum_lsm_filter_misses", "Searches of a table that its filter let pass in vain", lsm.filter_misses),
        counter("kvorum_lsm_table_hits", "Searches of a table that found the key", lsm.table_hits),
        counter("kvorum_hot_records_hits", "Disk reads saved by the cache of hot records", hot.hits),
        counter("kvorum_hot_records_misses", "Reads that the cache of hot records left to the disk", hot.misses),
        gauge("kvorum_hot_records", "Records in the cache of hot records", hot.records),
        gauge("kvorum_hot_records_memory", "Memory of the cache of hot records", hot.bytes).of(Unit::Bytes),
    ]
}
