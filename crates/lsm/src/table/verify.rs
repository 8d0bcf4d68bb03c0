//! Reads all of a table from disk, past any cache, and checks that it is what a writer writes: each checksum, and what checksums do not
//! see.

use std::sync::Arc;

use super::block::{Block, BlockCursor};
use super::damage::{Checked, Damage};
use super::hash::hash;
use super::layout::Layout;
use super::partition::Partition;
use super::properties::Properties;
use super::reader::Table;
use crate::error::Result;
use crate::key;

/// So many bytes are read at once.
const CHUNK: usize = 1 << 20;

impl Table {
    /// Reads every byte and reports the first damage, with where it is.
    ///
    /// # Errors
    /// What is damaged, or of the disk.
    pub(crate) fn verify(&self) -> Result<()> {
        let layout = Layout::read(self.0.layout.source.again())?;
        let mut check = Check { layout: &layout, entries: BlockCursor::default(), found: Properties::empty() };
        for (number, place) in layout.directory.places.iter().enumerate() {
            check.partition(number, &layout.read_partition(place)?)?;
        }
        let matches = check.found == layout.properties;
        let checked = matches.then_some(()).ok_or(Damage("the properties of a table are not those of its entries"));
        layout.source.check(layout.properties_at, checked)
    }
}

/// What was seen so far.
struct Check<'a> {
    layout: &'a Layout,
    entries: BlockCursor,
    /// What the properties should say; the largest key is the last one seen.
    found: Properties,
}

impl Check<'_> {
    fn partition(&mut self, number: usize, partition: &Partition) -> Result<()> {
        let source = &self.layout.source;
        let (mut chunk, mut chunk_at) = (Vec::new(), 0);
        for block in 0..partition.blocks() {
            let handle = partition.handle(block);
            if chunk_at + (chunk.len() as u64) < handle.end() || chunk.is_empty() {
                let left = (self.layout.data_end - handle.offset).min(CHUNK as u64) as usize;
                chunk = source.read(handle.offset, left.max(handle.frame_bytes()))?;
                chunk_at = handle.offset;
            }
            let start = (handle.offset - chunk_at) as usize;
            let raw = source.unframe(chunk[start..start + handle.frame_bytes()].to_vec(), handle.offset)?;
            let last = block + 1 == partition.blocks();
            let checked = Block::parse(raw).and_then(|parsed| self.block(partition, block, Arc::new(parsed)));
            source.check(handle.offset, checked)?;
            let directory = &self.layout.directory.separators;
            let (user_key, trailer) = key::split(&self.found.largest);
            if last && directory.compare_whole(number, user_key, trailer).is_lt() {
                return source.check(handle.offset, Err(Damage("an entry is behind its partition")));
            }
        }
        Ok(())
    }

    fn block(&mut self, partition: &Partition, number: usize, block: Arc<Block>) -> Checked<()> {
        self.found.blocks += 1;
        let mut left = block.entries();
        self.entries.enter(block.clone());
        self.entries.first()?;
        while let Some((internal, value)) = self.entries.entry() {
            let (user_key, trailer) = key::split(internal);
            let first = self.found.entries == 0;
            if !first && key::compare(&self.found.largest, internal).is_ge() {
                return Err(Damage("entries are not in order"));
            }
            let separators = &partition.separators;
            let behind = number > 0 && separators.compare_whole(number - 1, user_key, trailer).is_ge();
            if behind || separators.compare_whole(number, user_key, trailer).is_lt() {
                return Err(Damage("an entry is outside its block's separators"));
            }
            let hash = hash(user_key);
            if !partition.may_contain(hash) {
                return Err(Damage("a filter does not know an entry"));
            }
            let found = block.search(user_key, hash, trailer)?;
            if found.is_none_or(|(found, range)| {
                found != trailer || block.bytes()[range.0 as usize..range.1 as usize] != *value
            }) {
                return Err(Damage("a search does not find an entry"));
            }
            self.found.add(internal, trailer, value);
            if first {
                self.found.smallest = internal.to_vec();
            }
            self.found.largest.clear();
            self.found.largest.extend_from_slice(internal);
            left -= 1;
            self.entries.next()?;
        }
        if left == 0 { Ok(()) } else { Err(Damage("a block has fewer entries than it says")) }
    }
}
