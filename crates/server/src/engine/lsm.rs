//! The `lsm` engine: `kvorum-lsm`, with its own log thread and compactions, and before its disk a cache of hot records.
//!
//! A batch of a shard is one batch of the log. The log thread writes what all shards have submitted in one go, syncs once, makes it visible, and
//! reports it, in that order. So nothing here waits on a shard's thread, and `durable` means what [`Durability`] says it does: with
//! `always` an `fdatasync` lies between the write and the report.
//!
//! A stored key begins with keyspace and partition, and keys are ordered as bytes: a partition is one range of the tree.

mod expiry;
mod figures;
mod hot;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kvorum_lsm::{Batch as LogBatch, Compression, Db, Error, Options, TryGet as Found, Value};
use kvorum_node::{KeyRange, KeyspaceId, Page, Record, StoreError, StoredKey};

use self::hot::HotRecords;
use super::{Batch, Completions, Durability, Engine, Figure, Opening, Submitted, TryGet};
use crate::memory::Shares;

/// What the system may have that the disk has not, with durability `interval`.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);
/// Keys and values are accompanied by their kind and lengths.
const OPERATION_BYTES: usize = 11;

/// See the module's documentation.
pub struct LsmEngine {
    db: Db,
    durability: kvorum_lsm::Durability,
    hot: Arc<HotRecords>,
    reports: Arc<Reports>,
}

/// Tells that the log has failed, once.
struct Reports {
    completions: Arc<dyn Completions>,
    failed: AtomicBool,
}

impl Reports {
    fn failed(&self, error: &Error) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            self.completions.failed(&store_error(error));
        }
    }
}

impl LsmEngine {
    /// Opens or creates the store in a directory, and starts its threads. What a crash left in the log is recovered first.
    ///
    /// # Errors
    /// When it is damaged, in use, or cannot be read or written; each says what to do.
    pub fn open(opening: Opening<'_>) -> Result<Self, StoreError> {
        let Opening { directory, durability, memory, expiry, completions } = opening;
        let db = Db::at(directory).options(options(&memory)).compaction_filter(expiry).open();
        let db = db.map_err(|error| opening_error(&error))?;
        let recovered = db.metrics();
        if recovered.torn_bytes > 0 {
            tracing::info!(
                bytes = recovered.torn_bytes,
                "the end of the log was incomplete and is dropped: writes under way when the node stopped"
            );
        }
        Ok(Self {
            db,
            durability: match durability {
                Durability::Always => kvorum_lsm::Durability::Always,
                Durability::Interval => kvorum_lsm::Durability::Interval,
                Durability::Never => kvorum_lsm::Durability::Never,
            },
            hot: Arc::new(HotRecords::new(memory.records)),
            reports: Arc::new(Reports { completions, failed: AtomicBool::new(false) }),
        })
    }
}

/// The engine's settings, from the memory it may use.
fn options(memory: &Shares) -> Options {
    let memtable_bytes = memory.memtable_bytes();
    let l0_compact = 4;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Options::default()
        .memtable_bytes(memtable_bytes as usize)
        .memtables(memory.memtable_count())
        .cache_bytes(memory.blocks as usize)
        .compression(Compression::Lz4)
        .bottom_compression(Compression::Lz4)
        .l0_compact(l0_compact)
        .level_base_bytes(memtable_bytes * l0_compact as u64)
        .target_file_bytes(memtable_bytes)
        .sync_interval(SYNC_INTERVAL)
        .workers((cores / 2).clamp(1, 2))
}

impl Engine for LsmEngine {
    fn try_get(&self, key: &StoredKey) -> TryGet {
        match self.db.try_get(key.as_bytes()) {
            Ok(Found::Found(value)) => match record(key.as_bytes(), value) {
                Ok(record) => TryGet::Hit(record),
                Err(error) => TryGet::Failed(error),
            },
            Ok(Found::Absent) => TryGet::Absent,
            Ok(Found::WouldRead) => self.hot.get(key).map_or(TryGet::WouldBlock, TryGet::Hit),
            Err(error) => TryGet::Failed(store_error(&error)),
        }
    }

    fn get(&self, key: &StoredKey) -> Result<Option<Record>, StoreError> {
        self.hot.fill(key, || {
            let value = self.db.get(key.as_bytes()).map_err(|error| store_error(&error))?;
            value.map(|value| record(key.as_bytes(), value)).transpose()
        })
    }

    fn scan(&self, range: &KeyRange, limit_bytes: u32) -> Result<Page, StoreError> {
        let start: &[u8] = &range.start;
        let start = if range.after_start { Bound::Excluded(start) } else { Bound::Included(start) };
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.db.range::<[u8]>((start, end)).map(|row| {
            let (key, value) = row.map_err(|error| store_error(&error))?;
            let record = parse(&key, value)?;
            let key = StoredKey::parse(key.into()).map_err(|bad| StoreError::Corruption(bad.to_string()))?;
            Ok((key, record))
        });
        super::fill_page(rows, limit_bytes)
    }

    fn submit(&self, batch: Batch) -> Submitted {
        let Batch { shard, seq, changes } = batch;
        let (hot, reports) = (Arc::clone(&self.hot), Arc::clone(&self.reports));
        let submitted = log_batch(&changes).and_then(|log_batch| {
            self.db.submit_with(log_batch, self.durability, move |written| match written {
                Ok(_) => {
                    changes.iter().for_each(|(key, _)| hot.written(key.as_bytes()));
                    reports.completions.durable(shard, seq);
                }
                Err(error) => reports.failed(&error),
            })
        });
        if let Err(error) = submitted {
            self.reports.failed(&error);
        }
        Submitted::Pending
    }

    fn drop_keyspace(&self, keyspace: KeyspaceId) -> Result<bool, StoreError> {
        let (start, end) = super::keyspace_bounds(keyspace);
        let end = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let range = (Bound::Included(&start[..]), end);
        // What cannot be read can be dropped all the same. To drop it flushes the memtables, so it is not done for nothing.
        let found = self.db.range::<[u8]>(range).next().is_some();
        if found {
            self.db.drop_range::<[u8]>(range).map_err(|error| store_error(&error))?;
        }
        self.hot.forget(&start);
        Ok(found)
    }

    fn size_bytes(&self) -> u64 {
        let metrics = self.db.metrics();
        metrics.table_bytes() + metrics.memtable_bytes
    }

    fn figures(&self) -> Vec<Figure> {
        figures::figures(&self.db.metrics(), self.hot.figures())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.db.close().map_err(|error| store_error(&error))
    }
}

impl fmt::Debug for LsmEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LsmEngine").field("db", &self.db).finish_non_exhaustive()
    }
}

fn log_batch(changes: &[(StoredKey, Option<Record>)]) -> kvorum_lsm::Result<LogBatch> {
    let value = |record: &Option<Record>| record.as_ref().map_or(0, |record| record.as_bytes().len());
    let bytes = changes.iter().map(|(key, record)| OPERATION_BYTES + key.as_bytes().len() + value(record)).sum();
    let mut batch = LogBatch::with_capacity(bytes);
    for (key, record) in changes {
        match record {
            Some(record) => batch.put(key.as_bytes(), record.as_bytes())?,
            None => batch.delete(key.as_bytes())?,
        }
    }
    Ok(batch)
}

fn record(key: &[u8], value: Value) -> Result<Record, StoreError> {
    // A copy: the value would keep its whole block in memory.
    parse(key, value.into())
}

fn parse(key: &[u8], value: Vec<u8>) -> Result<Record, StoreError> {
    Record::parse(Bytes::from(value)).map_err(|bad| StoreError::Corruption(format!("{}: {bad}", key.escape_ascii())))
}

fn store_error(error: &Error) -> StoreError {
    match error {
        Error::Corruption { .. } => StoreError::Corruption(error.to_string()),
        error => StoreError::Io(error.to_string()),
    }
}

/// Why the store cannot be opened, and what to do about it.
fn opening_error(error: &Error) -> StoreError {
    let advice = match error {
        Error::Corruption { .. } => {
            "restore the data directory from a copy, or start this node anew with an empty --data-dir"
        }
        Error::Locked { .. } => "stop that process, or choose another --data-dir",
        _ => "check the free space and the permissions there",
    };
    match store_error(error) {
        StoreError::Corruption(what) => StoreError::Corruption(format!("{what}; {advice}")),
        _ => StoreError::Io(format!("{error}; {advice}")),
    }
}
