//! Storage engines behind one trait, and what they report to.
//!
//! An engine is shared by all shards. A read is answered from durable state only; a batch that was submitted is
//! reported durable, per shard and in order, once reads see it.

mod memory;
#[cfg(feature = "sled")]
mod sled;

use std::path::Path;
use std::sync::Arc;

use kvorum_node::{KeyRange, LogSeq, Page, Record, ShardIndex, StoreError, StoredKey};

pub use memory::MemoryEngine;
#[cfg(feature = "sled")]
pub use sled::SledEngine;

/// What a shard appends in one turn: records in the order of their sequences, the last of which is `seq`.
#[derive(Debug)]
pub struct Batch {
    /// Whose.
    pub shard: ShardIndex,
    /// The last sequence in it.
    pub seq: LogSeq,
    /// Records that replace what is stored.
    pub records: Vec<(StoredKey, Record)>,
}

/// The answer to [`Engine::try_get`].
#[derive(Debug)]
pub enum TryGet {
    /// It is there.
    Hit(Record),
    /// Nothing is there.
    Absent,
    /// A disk may have to be asked: call [`Engine::get`] where waiting is allowed.
    WouldBlock,
    /// What is there is damaged.
    Failed(StoreError),
}

/// When a submitted batch is durable.
#[derive(Debug, PartialEq, Eq)]
pub enum Submitted {
    /// Now.
    Durable,
    /// When [`Completions::durable`] says so.
    Pending,
}

/// Where an engine reports; called on the engine's own thread.
pub trait Completions: Send + Sync {
    /// Everything this shard submitted up to `seq` is durable, and reads see it.
    fn durable(&self, shard: ShardIndex, seq: LogSeq);
    /// The log failed; nothing more will become durable, for any shard.
    fn failed(&self, error: &StoreError);
}

/// A storage engine: a seam between `memory`, `sled` and whatever comes after them.
pub trait Engine: Send + Sync {
    /// Reads without waiting for a disk.
    fn try_get(&self, key: &StoredKey) -> TryGet;

    /// Reads; may wait.
    ///
    /// # Errors
    /// When reading fails or what was read is damaged.
    fn get(&self, key: &StoredKey) -> Result<Option<Record>, StoreError>;

    /// Reads a page of a range; may wait. The page ends when its keys and records reach `limit_bytes`, but holds at
    /// least one row if there is one.
    ///
    /// # Errors
    /// When reading fails or what was read is damaged.
    fn scan(&self, range: &KeyRange, limit_bytes: u32) -> Result<Page, StoreError>;

    /// Stores a batch. Never waits for a disk.
    fn submit(&self, batch: Batch) -> Submitted;

    /// The bytes it takes, about.
    fn size_bytes(&self) -> u64;

    /// Makes everything durable and stops; nothing may be submitted after.
    ///
    /// # Errors
    /// When the last batches could not be made durable.
    fn close(&self) -> Result<(), StoreError>;
}

/// The engines a node can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Keeps nothing over a restart.
    Memory,
    /// A tree on disk.
    Sled,
}

/// When a write counts as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it.
    Always,
    /// When the operating system has it; the disk within half a second.
    Interval,
    /// When the engine has it.
    Never,
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Sled => "sled",
        })
    }
}

impl EngineKind {
    /// Opens the engine in its place below the data directory.
    ///
    /// # Errors
    /// When the store cannot be opened, or this build lacks the engine.
    pub fn open(
        self,
        directory: &Path,
        durability: Durability,
        cache_bytes: u64,
        completions: Arc<dyn Completions>,
    ) -> Result<Arc<dyn Engine>, StoreError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryEngine::default())),
            #[cfg(feature = "sled")]
            Self::Sled => {
                Ok(Arc::new(SledEngine::open(&directory.join("sled"), durability, cache_bytes, completions)?))
            }
            #[cfg(not(feature = "sled"))]
            Self::Sled => {
                let _ = (directory, durability, cache_bytes, completions);
                Err(StoreError::Io("this build has no sled engine; choose --engine memory".to_owned()))
            }
        }
    }
}

/// Collects rows into a page until its limit.
fn fill_page(
    rows: impl Iterator<Item = Result<(StoredKey, Record), StoreError>>,
    limit_bytes: u32,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut bytes = 0;
    for row in rows {
        if bytes >= limit_bytes as usize {
            page.more = true;
            break;
        }
        let (key, record) = row?;
        bytes += kvorum_node::row_weight(&key, &record);
        page.rows.push((key, record));
    }
    Ok(page)
}

#[cfg(test)]
mod tests;
