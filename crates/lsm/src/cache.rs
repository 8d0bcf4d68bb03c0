//! Owns the memory for what is read from tables: which blocks and partitions stay in it, how much is pinned, and the counters of
//! reads that all tables share. It does not know what a block is, but for its weight.

mod lru;
mod pins;
mod quick;
mod reads;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use lru::LruCache;
pub(crate) use quick::QuickCache;
pub(crate) use reads::{ReadTotals, Reads};

use crate::table::{Block, Partition};

/// The share of a cache that filters and indexes may be pinned in: 1/8. They take some 2 % of the data, so it suffices for data of six times
/// the cache, and the rest goes through the cache like blocks.
const PINNED_SHARE: u64 = 8;
/// What an entry of a cache takes beside what it holds: the map and the queues, and what the allocator adds.
const ENTRY_BYTES: usize = 256;

/// What a cache holds.
#[derive(Clone)]
pub(crate) enum Cached {
    /// A data block.
    Block(Arc<Block>),
    /// Filter and index of some blocks.
    Partition(Arc<Partition>),
}

impl Cached {
    /// Bytes of memory that it takes.
    pub(crate) fn weight(&self) -> usize {
        ENTRY_BYTES
            + match self {
                Self::Block(block) => block.weight(),
                Self::Partition(partition) => partition.weight(),
            }
    }
}

/// A bounded memory for parts of tables, named by their file's number and their offset in it. A file's number is never used again, so
/// what is found is right, however old it is.
pub(crate) trait BlockCache: Send + Sync {
    /// What is there, if anything. It counts as a use even if not.
    fn get(&self, file: u64, offset: u64) -> Option<Cached>;
    /// Counts a use of what was found without asking.
    fn touch(&self, file: u64, offset: u64);
    /// Offers something, which may be taken in, perhaps in place of other things.
    fn insert(&self, file: u64, offset: u64, cached: Cached);
    /// Forgets something, since its file will not be read again.
    fn remove(&self, file: u64, offset: u64);
    /// Bytes that it holds, and those that are pinned.
    fn weight(&self) -> u64;
    /// Asks for memory that is not evicted, for filters and indexes of open tables. It counts against the capacity.
    fn pin(&self, bytes: u64) -> bool;
    /// Gives back what was pinned.
    fn unpin(&self, bytes: u64);
    /// What reads through this cache came to.
    fn reads(&self) -> &Arc<Reads>;
}
