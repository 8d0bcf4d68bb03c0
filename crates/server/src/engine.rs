//! Storage engines behind one trait, and what they report to.
//!
//! An engine is shared by all shards. A read is answered from durable state only; a batch that was submitted is
//! reported durable, per shard and in order, once reads see it.

mod figure;
mod lsm;
mod memory;
#[cfg(feature = "sled")]
mod sled;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use kvorum_node::{KeyRange, KeyspaceId, LogSeq, Page, Record, ShardIndex, StoreError, StoredKey};

pub use figure::{Figure, FigureKind, Number, Unit};
pub use lsm::LsmEngine;
pub use memory::MemoryEngine;
#[cfg(feature = "sled")]
pub use sled::SledEngine;

use crate::memory::Shares;

/// What a shard appends in one turn, in the order of the sequences, the last of which is `seq`.
#[derive(Debug)]
pub struct Batch {
    /// Whose.
    pub shard: ShardIndex,
    /// The last sequence in it.
    pub seq: LogSeq,
    /// Records that replace what is stored, and keys under which nothing is to be stored any more.
    pub changes: Vec<(StoredKey, Option<Record>)>,
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

/// Where an engine reports; called on the engine's own thread, or on the one that submits.
pub trait Completions: Send + Sync {
    /// Everything this shard submitted up to `seq` is durable, and reads see it.
    fn durable(&self, shard: ShardIndex, seq: LogSeq);
    /// The log failed; nothing more will become durable, for any shard.
    fn failed(&self, error: &StoreError);
}

/// A storage engine: a seam between `lsm`, `sled` and `memory`.
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

    /// Removes all that a keyspace holds; may wait. Says whether there was anything. Nothing is written to it any more,
    /// but for what was on its way. When this returns the removal is as durable as the engine makes anything, and
    /// interrupted it may have been done in part.
    ///
    /// # Errors
    /// When it may not have been removed, or not durably.
    fn drop_keyspace(&self, keyspace: KeyspaceId) -> Result<bool, StoreError>;

    /// The bytes it takes, about.
    fn size_bytes(&self) -> u64;

    /// What it counts, for operators. Cheap, and waits for nothing.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }

    /// Makes everything durable and stops; nothing may be submitted after.
    ///
    /// # Errors
    /// When the last batches could not be made durable.
    fn close(&self) -> Result<(), StoreError>;
}

/// The engines a node can run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// A log-structured tree on disk, `kvorum-lsm`.
    Lsm,
    /// Another tree on disk, sled 0.34.
    Sled,
    /// Keeps nothing over a restart.
    Memory,
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

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lsm => "lsm",
            Self::Sled => "sled",
            Self::Memory => "memory",
        })
    }
}

/// What an engine is opened with.
pub struct Opening<'a> {
    /// The data directory; each engine has a place of its own below it.
    pub directory: &'a Path,
    /// When a write counts as stored.
    pub durability: Durability,
    /// What memory it may use.
    pub memory: Shares,
    /// Which values have expired.
    pub expiry: Expiry,
    /// Where it reports.
    pub completions: Arc<dyn Completions>,
}

/// Tells engines that can make use of it which values nobody will read again.
#[derive(Clone)]
pub struct Expiry {
    /// The wall clock, in milliseconds since the Unix epoch.
    pub unix_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// How long after its expiry a value is safe to take away, whatever other clocks say.
    pub grace_ms: u64,
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiry").field("grace_ms", &self.grace_ms).finish_non_exhaustive()
    }
}

impl EngineKind {
    /// Opens the engine in its place below the data directory.
    ///
    /// # Errors
    /// When the store cannot be opened, or this build lacks the engine.
    pub fn open(self, opening: Opening<'_>) -> Result<Arc<dyn Engine>, StoreError> {
        let place = opening.directory.join(self.to_string());
        let opening = Opening { directory: &place, ..opening };
        match self {
            Self::Lsm => Ok(Arc::new(LsmEngine::open(opening)?)),
            #[cfg(feature = "sled")]
            Self::Sled => Ok(Arc::new(SledEngine::open(opening)?)),
            #[cfg(not(feature = "sled"))]
            Self::Sled => {
                Err(StoreError::Io("this build has no sled engine; choose --engine lsm or memory".to_owned()))
            }
            Self::Memory => Ok(Arc::new(MemoryEngine::default())),
        }
    }
}

/// Where the keys of a keyspace begin, and where those of the next one do, if there can be one.
fn keyspace_bounds(keyspace: KeyspaceId) -> ([u8; 4], Option<[u8; 4]>) {
    (keyspace.0.to_be_bytes(), keyspace.0.checked_add(1).map(u32::to_be_bytes))
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
