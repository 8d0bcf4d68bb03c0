//! Reads a table: point reads, and how blocks and partitions get into memory.

use std::path::Path;
use std::sync::Arc;

use super::block::Block;
use super::cursor::TableCursor;
use super::frame::Handle;
use super::layout::{Layout, Source};
use super::partition::Partition;
use super::properties::Properties;
use super::slot::Slot;
use super::value::Value;
use crate::cache::{BlockCache, Cached, ReadTotals, Reads};
use crate::disk::Disk;
use crate::error::Result;
use crate::key::{self, Kind, Sequence};

/// An open table; clones are handles to the same one. When the last is dropped, so is what the cache holds of it; but blocks of
/// partitions that are no longer in memory themselves stay until they are evicted.
#[derive(Clone)]
pub(crate) struct Table(pub(super) Arc<Opened>);

/// How far a search goes for what is not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nowhere: no file is read.
    Memory,
    /// To the disk.
    Disk,
}

/// What a search came to.
pub(crate) enum Lookup<T> {
    Found(T),
    Absent,
    /// It takes a look at the disk to say; only of a search that must not.
    OnDisk,
}

/// What the handles share.
pub(super) struct Opened {
    pub(super) layout: Layout,
    partitions: Box<[Held]>,
    cache: Arc<dyn BlockCache>,
    reads: Arc<Reads>,
    /// Bytes of the partitions that are held here, and counted as pinned by the cache.
    pinned: u64,
}

/// How a partition is held.
enum Held {
    /// In memory for good.
    Pinned(Arc<Partition>),
    /// By the cache, if at all.
    Cached(Slot<Partition>),
}

impl Table {
    /// Opens a table and checks its footer, directory and properties. If the cache's budget for pinning admits it, all filters and
    /// indexes are read, checked and kept in memory too; else when they are needed.
    ///
    /// # Errors
    /// Of the disk, or what is damaged.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, number: u64, cache: Arc<dyn BlockCache>) -> Result<Self> {
        let layout = Layout::read(Source::open(disk, path, number)?)?;
        let mut pinned = 0;
        let partitions = match pin(&layout, &*cache)? {
            Some(partitions) => {
                pinned = partitions.iter().map(Partition::weight).sum::<usize>() as u64;
                partitions.into_iter().map(|partition| Held::Pinned(Arc::new(partition))).collect()
            }
            None => layout.directory.places.iter().map(|_| Held::Cached(Slot::empty())).collect(),
        };
        Ok(Self(Arc::new(Opened { layout, partitions, reads: cache.reads().clone(), cache, pinned })))
    }

    /// The newest version of a user key that is not newer than a sequence: its sequence, its kind and its value.
    ///
    /// # Errors
    /// Of the disk, or what is damaged.
    #[cfg(test)]
    pub(crate) fn get(&self, user_key: &[u8], at_or_below: Sequence) -> Result<Option<(Sequence, Kind, Value)>> {
        match self.search(user_key, super::hash::hash(user_key), at_or_below).finish(Reach::Disk)? {
            Lookup::Found(found) => Ok(Some(found)),
            Lookup::Absent => Ok(None),
            Lookup::OnDisk => unreachable!("the disk may be read"),
        }
    }

    /// Begins to look for a key, whose [`hash`](super::hash::hash) this is: what will be looked at first is on its way into the processor's cache
    /// from then on. For who looks into several tables one after the other, so that their cache misses come at the same time.
    #[inline]
    pub(crate) fn search<'a>(&'a self, user_key: &'a [u8], hash: u64, at_or_below: Sequence) -> Search<'a> {
        // No kind orders behind a put, so this trailer is before all versions that are not newer.
        let trailer = key::trailer(at_or_below, Kind::Put);
        let partition = self.0.layout.directory.separators.find(user_key, trailer);
        if let Some(Held::Pinned(partition)) = self.0.partitions.get(partition) {
            partition.prefetch(hash);
        }
        Search { table: &self.0, user_key, hash, trailer, partition }
    }

    /// A cursor for users' scans: what it reads from disk goes to the cache, and once it is seen to go forward, blocks are read
    /// ahead, ever more at once.
    pub(crate) fn cursor(&self) -> TableCursor {
        TableCursor::new(self.clone(), true)
    }

    /// A cursor for who reads all of the table once: it reads ahead from the start, and leaves the cache to others.
    pub(crate) fn bulk_cursor(&self) -> TableCursor {
        TableCursor::new(self.clone(), false)
    }

    /// Counts and bounds.
    #[cfg_attr(not(test), expect(dead_code, reason = "what a table holds is asked for by tests alone so far"))]
    pub(crate) fn properties(&self) -> &Properties {
        &self.0.layout.properties
    }

    /// What point reads of all tables of this cache came to.
    #[cfg_attr(not(test), expect(dead_code, reason = "the database asks its cache"))]
    pub(crate) fn reads(&self) -> ReadTotals {
        self.0.reads.totals()
    }

    /// Bytes of filters and indexes that are in memory for good.
    #[cfg_attr(not(test), expect(dead_code, reason = "the cache keeps the sum"))]
    pub(crate) fn pinned_bytes(&self) -> u64 {
        self.0.pinned
    }

    /// About how many bytes of the file lie before a user key, to within a block.
    ///
    /// # Errors
    /// Of the disk, or what is damaged, if the partition must be read.
    #[cfg_attr(not(test), expect(dead_code, reason = "for estimates of the size of a range"))]
    pub(crate) fn approximate_offset(&self, user_key: &[u8]) -> Result<u64> {
        let opened = &*self.0;
        let number = opened.layout.directory.separators.find(user_key, u64::MAX);
        if number == opened.partitions.len() {
            return Ok(opened.layout.data_end);
        }
        let partition = opened.partition(number)?;
        let block = partition.separators.find(user_key, u64::MAX).min(partition.blocks() - 1);
        Ok(partition.handle(block).offset)
    }
}

/// A search of one table that has begun.
pub(crate) struct Search<'a> {
    table: &'a Opened,
    user_key: &'a [u8],
    hash: u64,
    trailer: u64,
    /// The number of the partition that may have the key; one too many if there is none.
    partition: usize,
}

impl Search<'_> {
    /// The newest version of the key that is not too new: its sequence, its kind and its value.
    ///
    /// # Errors
    /// Of the disk, or what is damaged.
    pub(crate) fn finish(self, reach: Reach) -> Result<Lookup<(Sequence, Kind, Value)>> {
        let Self { table: opened, user_key, hash, trailer, partition: number } = self;
        let Some(held) = opened.partitions.get(number) else { return Ok(Lookup::Absent) };
        let loaded;
        let partition = match held {
            Held::Pinned(partition) => &**partition,
            Held::Cached(slot) => {
                loaded = match opened.partition_in_memory(number, slot) {
                    Some(partition) => partition,
                    None if reach == Reach::Memory => return Ok(Lookup::OnDisk),
                    None => opened.read_partition(number, slot)?,
                };
                &*loaded
            }
        };
        if !partition.may_contain(hash) {
            opened.reads.count(Reads::FILTERED);
            return Ok(Lookup::Absent);
        }
        let block_number = partition.separators.find(user_key, trailer);
        // In a damaged table only, the directory leads to a partition that has no such block.
        if block_number == partition.blocks() {
            return Ok(Lookup::Absent);
        }
        let block = match opened.block_in_memory(partition, block_number) {
            Some(block) => block,
            None if reach == Reach::Memory => return Ok(Lookup::OnDisk),
            None => opened.read_block(partition, block_number, true)?,
        };
        let found = match block.search(user_key, hash, trailer) {
            Ok(found) => found,
            // Where the block is need not be known before.
            damaged => opened.layout.source.check(partition.handle(block_number).offset, damaged)?,
        };
        let Some((trailer, value)) = found else {
            if partition.has_filter() {
                opened.reads.count(Reads::FALSE_POSITIVE);
            }
            return Ok(Lookup::Absent);
        };
        opened.reads.count(Reads::FOUND);
        let kind = Kind::from_byte(trailer as u8).expect("blocks check the kinds they give");
        Ok(Lookup::Found((trailer >> 8, kind, Value::new(block, value))))
    }
}

/// Reads all partitions in one go, if they may be pinned.
fn pin(layout: &Layout, cache: &dyn BlockCache) -> Result<Option<Vec<Partition>>> {
    let metadata = layout.metadata();
    // An estimate, before reading: in memory, an index has some 40 bytes per block more than the file.
    let wanted = (metadata.end - metadata.start) + 40 * layout.properties.blocks.min(layout.data_end / 16);
    if !cache.pin(wanted) {
        return Ok(None);
    }
    let read = || {
        let bytes = layout.source.read(metadata.start, (metadata.end - metadata.start) as usize)?;
        let partition = |place: &super::directory::Place| {
            let range = place.range();
            let (start, end) = ((range.start - metadata.start) as usize, (range.end - metadata.start) as usize);
            layout.decode_partition(place, &bytes[start..end])
        };
        layout.directory.places.iter().map(partition).collect::<Result<Vec<_>>>()
    };
    let partitions = read();
    cache.unpin(wanted);
    let partitions = partitions?;
    let weight = partitions.iter().map(Partition::weight).sum::<usize>() as u64;
    Ok(cache.pin(weight).then_some(partitions))
}

impl Opened {
    pub(super) fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    pub(super) fn partition(&self, number: usize) -> Result<Arc<Partition>> {
        match &self.partitions[number] {
            Held::Pinned(partition) => Ok(partition.clone()),
            Held::Cached(slot) => match self.partition_in_memory(number, slot) {
                Some(partition) => Ok(partition),
                None => self.read_partition(number, slot),
            },
        }
    }

    /// A partition that may leave memory, if it is there.
    fn partition_in_memory(&self, number: usize, slot: &Slot<Partition>) -> Option<Arc<Partition>> {
        let (file, offset) = (self.layout.source.number(), self.layout.directory.places[number].range().start);
        if let Some(partition) = slot.get() {
            if partition.count_use() {
                self.cache.touch(file, offset);
            }
            return Some(partition);
        }
        match self.cache.get(file, offset) {
            Some(Cached::Partition(partition)) => {
                slot.set(&partition, core::ptr::null());
                Some(partition)
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn read_partition(&self, number: usize, slot: &Slot<Partition>) -> Result<Arc<Partition>> {
        let place = &self.layout.directory.places[number];
        let partition = Arc::new(self.layout.read_partition(place)?);
        slot.set(&partition, core::ptr::null());
        let (file, offset) = (self.layout.source.number(), place.range().start);
        self.cache.insert(file, offset, Cached::Partition(partition.clone()));
        Ok(partition)
    }

    /// A block, if it is in memory.
    #[inline]
    pub(super) fn block_in_memory(&self, partition: &Partition, number: usize) -> Option<Arc<Block>> {
        let slot = partition.slot(number);
        if let Some(block) = slot.get() {
            if block.count_use() {
                self.cache.touch(self.layout.source.number(), partition.handle(number).offset);
            }
            return Some(block);
        }
        // The cache may hold it when the slot is new, since its partition was read again. And it learns what is asked for.
        match self.cache.get(self.layout.source.number(), partition.handle(number).offset) {
            Some(Cached::Block(block)) => {
                slot.set(&block, block.bytes().as_ptr_range().end);
                Some(block)
            }
            _ => None,
        }
    }

    #[inline(never)]
    pub(super) fn read_block(&self, partition: &Partition, number: usize, keep: bool) -> Result<Arc<Block>> {
        let raw = self.layout.source.read_frame(partition.handle(number))?;
        self.new_block(partition, number, raw, keep)
    }

    /// Makes a block of what was read for it, and gives it to the cache if it is to be kept.
    pub(super) fn new_block(
        &self,
        partition: &Partition,
        number: usize,
        raw: Vec<u8>,
        keep: bool,
    ) -> Result<Arc<Block>> {
        let Handle { offset, .. } = partition.handle(number);
        let block = Arc::new(self.layout.source.check(offset, Block::parse(raw))?);
        self.reads.count(Reads::READ);
        if keep {
            partition.slot(number).set(&block, block.bytes().as_ptr_range().end);
            self.cache.insert(self.layout.source.number(), offset, Cached::Block(block.clone()));
        }
        Ok(block)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let file = self.layout.source.number();
        for (held, place) in self.partitions.iter().zip(&self.layout.directory.places) {
            let partition = match held {
                Held::Pinned(partition) => Some(partition.clone()),
                Held::Cached(slot) => slot.get().inspect(|_| self.cache.remove(file, place.range().start)),
            };
            if let Some(partition) = partition {
                partition.in_memory().for_each(|offset| self.cache.remove(file, offset));
            }
        }
        self.cache.unpin(self.pinned);
    }
}
