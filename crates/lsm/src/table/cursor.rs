//! A position in a table, which moves both ways, and reads ahead when it moves forward.

use core::ops::Range;
use std::sync::Arc;

use super::block::BlockCursor;
use super::frame::Handle;
use super::partition::Partition;
use super::reader::Table;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::key;

/// The first and the largest read ahead, in bytes.
const LEAST_AHEAD: usize = 16 << 10;
const MOST_AHEAD: usize = 256 << 10;
/// So many blocks in a row, read from disk, are taken for a scan.
const SCAN: u32 = 2;

/// Moves through the entries of a table. After an error it is at no entry.
pub(crate) struct TableCursor {
    table: Table,
    /// The partition and the block that `entries` is in.
    partition: Option<(usize, Arc<Partition>)>,
    block: usize,
    entries: BlockCursor,
    /// Whether what is read goes to the cache.
    caching: bool,
    ahead: Ahead,
}

/// Bytes of the file that were read ahead.
struct Ahead {
    bytes: Vec<u8>,
    offset: u64,
    /// Where the block behind the last one ends that was asked for, and how many were in a row.
    expected: u64,
    run: u32,
    /// How much is read ahead next.
    window: usize,
}

impl TableCursor {
    pub(super) fn new(table: Table, caching: bool) -> Self {
        let (run, window) = if caching { (0, LEAST_AHEAD) } else { (SCAN, MOST_AHEAD) };
        let ahead = Ahead { bytes: Vec::new(), offset: 0, expected: 0, run, window };
        Self { table, partition: None, block: 0, entries: BlockCursor::default(), caching, ahead }
    }

    /// Enters a partition; gives false if there is none of this number.
    fn enter_partition(&mut self, number: usize) -> Result<bool> {
        if number >= self.table.0.partition_count() {
            return Ok(false);
        }
        if self.partition.as_ref().is_none_or(|(here, _)| *here != number) {
            self.partition = None;
            self.partition = Some((number, self.table.0.partition(number)?));
        }
        Ok(true)
    }

    /// Enters a block of the partition, at no entry.
    fn enter_block(&mut self, number: usize) -> Result<()> {
        let opened = &*self.table.0;
        let (_, partition) = self.partition.as_ref().expect("a partition is entered before its blocks");
        let handle = partition.handle(number);
        let scan = self.ahead.follows(handle);
        let in_memory =
            if self.caching { opened.block_in_memory(partition, number) } else { partition.slot(number).get() };
        let block = match in_memory {
            Some(block) => block,
            None if scan => {
                let raw = self.ahead.read(&self.table, handle)?;
                opened.new_block(partition, number, raw, self.caching)?
            }
            None => opened.read_block(partition, number, self.caching)?,
        };
        self.block = number;
        self.entries.enter(block);
        Ok(())
    }

    /// Moves within the block.
    fn step(&mut self, step: impl FnOnce(&mut BlockCursor) -> Result<(), super::damage::Damage>) -> Result<()> {
        step(&mut self.entries).or_else(|damage| {
            self.entries.leave();
            let (_, partition) = self.partition.as_ref().expect("a cursor at an entry is in a partition");
            self.table.0.layout.source.check(partition.handle(self.block).offset, Err(damage))
        })
    }

    /// Goes to the first entry of the next block.
    fn next_block(&mut self) -> Result<()> {
        let (number, partition) = self.partition.as_ref().expect("a cursor at an entry is in a partition");
        if self.block + 1 < partition.blocks() {
            self.enter_block(self.block + 1)?;
        } else if self.enter_partition(number + 1)? {
            self.enter_block(0)?;
        } else {
            return Ok(());
        }
        self.step(BlockCursor::first)
    }

    /// Goes to the last entry of the block before.
    fn prev_block(&mut self) -> Result<()> {
        let (number, _) = self.partition.as_ref().expect("a cursor at an entry is in a partition");
        if self.block > 0 {
            self.enter_block(self.block - 1)?;
        } else if *number > 0 {
            self.enter_partition(number - 1)?;
            let (_, partition) = self.partition.as_ref().expect("entered above");
            self.enter_block(partition.blocks() - 1)?;
        } else {
            return Ok(());
        }
        self.step(BlockCursor::last)
    }

    /// Enters the block that may hold an internal key, or gives false if all blocks are before it.
    fn enter_block_of(&mut self, internal: &[u8]) -> Result<bool> {
        let (user_key, trailer) = key::split(internal);
        let number = self.table.0.layout.directory.separators.find(user_key, trailer);
        if !self.enter_partition(number)? {
            return Ok(false);
        }
        let (_, partition) = self.partition.as_ref().expect("entered above");
        let block = partition.separators.find(user_key, trailer);
        // In a damaged table only, the directory leads to a partition that has no such block.
        if block == partition.blocks() {
            return Ok(false);
        }
        self.enter_block(block)?;
        Ok(true)
    }
}

impl Cursor for TableCursor {
    fn first(&mut self) -> Result<()> {
        self.entries.leave();
        if self.enter_partition(0)? {
            self.enter_block(0)?;
            self.step(BlockCursor::first)?;
        }
        Ok(())
    }

    fn last(&mut self) -> Result<()> {
        self.entries.leave();
        self.enter_partition(self.table.0.partition_count() - 1)?;
        let (_, partition) = self.partition.as_ref().expect("a table has partitions");
        self.enter_block(partition.blocks() - 1)?;
        self.step(BlockCursor::last)
    }

    fn seek(&mut self, internal: &[u8]) -> Result<()> {
        self.entries.leave();
        if self.enter_block_of(internal)? {
            self.step(|entries| entries.seek(internal))?;
            // A separator may be behind its block's last entry.
            if self.entries.entry().is_none() {
                self.next_block()?;
            }
        }
        Ok(())
    }

    fn seek_before(&mut self, internal: &[u8]) -> Result<()> {
        self.entries.leave();
        if !self.enter_block_of(internal)? {
            return self.last();
        }
        self.step(|entries| entries.seek_before(internal))?;
        if self.entries.entry().is_none() {
            self.prev_block()?;
        }
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        assert!(self.entries.entry().is_some(), "a cursor is at an entry when it moves on");
        self.step(BlockCursor::next)?;
        if self.entries.entry().is_none() {
            self.next_block()?;
        }
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        assert!(self.entries.entry().is_some(), "a cursor is at an entry when it moves back");
        self.step(BlockCursor::prev)?;
        if self.entries.entry().is_none() {
            self.prev_block()?;
        }
        Ok(())
    }

    #[inline]
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.entries.entry()
    }
}

impl Ahead {
    /// Takes note of the block that is asked for, and says whether this is a scan.
    fn follows(&mut self, handle: Handle) -> bool {
        let scanned = self.run >= SCAN;
        if handle.offset == self.expected {
            self.run = self.run.saturating_add(1);
        } else if self.expected != 0 {
            (self.run, self.window) = (0, LEAST_AHEAD);
        }
        self.expected = handle.end();
        scanned && self.run >= SCAN
    }

    /// A frame's content, from what was read ahead, or else by reading ahead.
    fn read(&mut self, table: &Table, handle: Handle) -> Result<Vec<u8>> {
        let layout = &table.0.layout;
        let wanted = handle.offset..handle.end();
        if !self.holds(&wanted) {
            let left = (layout.data_end - handle.offset).min(usize::MAX as u64) as usize;
            let len = self.window.max(handle.frame_bytes()).min(left);
            self.bytes = layout.source.read(handle.offset, len)?;
            self.offset = handle.offset;
            self.window = (self.window * 2).min(MOST_AHEAD);
        }
        let start = (handle.offset - self.offset) as usize;
        layout.source.unframe(self.bytes[start..start + handle.frame_bytes()].to_vec(), handle.offset)
    }

    fn holds(&self, wanted: &Range<u64>) -> bool {
        self.offset <= wanted.start && wanted.end <= self.offset + self.bytes.len() as u64
    }
}
