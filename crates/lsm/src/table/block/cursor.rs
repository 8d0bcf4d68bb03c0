//! A position in a data block.

use std::sync::Arc;

use super::{Block, MALFORMED};
use crate::key;
use crate::table::damage::Checked;

/// Moves through one block after the other, with the same buffers. At no entry until it is sent to one.
#[derive(Default)]
pub(in crate::table) struct BlockCursor {
    block: Option<Arc<Block>>,
    /// The internal key here.
    key: Vec<u8>,
    here: Place,
    at_entry: bool,
    /// Entries right before this one, with their internal keys: going back, a whole stretch from a restart on is decoded at once.
    back: Vec<(Place, usize)>,
    back_keys: Vec<u8>,
}

/// Where an entry is.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Among all of the block.
    index: u32,
    /// Where the next key begins.
    next: usize,
    /// Where the value begins, and where it ends and the next one begins.
    value: usize,
    end: usize,
}

impl BlockCursor {
    /// Goes to a block, but to no entry of it.
    pub(in crate::table) fn enter(&mut self, block: Arc<Block>) {
        self.block = Some(block);
        self.leave();
    }

    /// Goes to no entry.
    pub(in crate::table) fn leave(&mut self) {
        self.at_entry = false;
        self.back.clear();
    }

    /// The encoded internal key and the value here.
    #[inline]
    pub(in crate::table) fn entry(&self) -> Option<(&[u8], &[u8])> {
        match &self.block {
            Some(block) if self.at_entry => Some((&self.key, &block.bytes[self.here.value..self.here.end])),
            _ => None,
        }
    }

    pub(in crate::table) fn first(&mut self) -> Checked<()> {
        self.start_at(0)
    }

    pub(in crate::table) fn last(&mut self) -> Checked<()> {
        self.here = Place { index: self.block().count, ..Place::default() };
        self.back.clear();
        self.prev()
    }

    /// Goes to the first entry at or after an internal key, if there is one.
    pub(in crate::table) fn seek(&mut self, internal: &[u8]) -> Checked<()> {
        let (user_key, trailer) = key::split(internal);
        let restart = self.block().restart_before(user_key, trailer)?;
        self.start_at(restart)?;
        while self.at_entry && key::compare(&self.key, internal).is_lt() {
            self.next()?;
        }
        Ok(())
    }

    /// Goes to the last entry before an internal key, if there is one.
    pub(in crate::table) fn seek_before(&mut self, internal: &[u8]) -> Checked<()> {
        self.seek(internal)?;
        if self.at_entry { self.prev() } else { self.last() }
    }

    #[inline]
    pub(in crate::table) fn next(&mut self) -> Checked<()> {
        self.back.clear();
        self.decode(self.here.index + 1, self.here.next, self.here.end)
    }

    pub(in crate::table) fn prev(&mut self) -> Checked<()> {
        if self.back.is_empty() {
            self.at_entry = false;
            let here = self.here;
            if here.index == 0 {
                return Ok(());
            }
            self.decode_back(here.index)?;
        }
        let (place, key_start) = self.back.pop().ok_or(MALFORMED)?;
        self.key.clear();
        self.key.extend_from_slice(&self.back_keys[key_start..]);
        self.back_keys.truncate(key_start);
        (self.here, self.at_entry) = (place, true);
        Ok(())
    }

    fn block(&self) -> &Block {
        self.block.as_ref().expect("the cursor has entered a block")
    }

    fn start_at(&mut self, restart: u32) -> Checked<()> {
        self.leave();
        let block = self.block();
        let (index, (key, value)) = (restart * block.interval, block.restart(restart)?);
        self.key.clear();
        self.key.extend_from_slice(&[0; key::TRAILER]);
        self.decode(index, key, value)
    }

    /// Goes to the entry whose key and value begin at these places. The key here is that of the entry before, or, for a restart, any.
    #[inline]
    fn decode(&mut self, index: u32, key: usize, value: usize) -> Checked<()> {
        self.at_entry = false;
        let block = self.block.as_ref().expect("the cursor has entered a block");
        if index >= block.count {
            let complete = key == block.tags as usize && value == block.keys as usize;
            return if complete { Ok(()) } else { Err(MALFORMED) };
        }
        let raw = block.raw(key)?;
        let (_, end) = block.value(value, &raw)?;
        let trailer = block.trailer(index)?;
        if raw.shared + key::TRAILER > self.key.len() {
            return Err(MALFORMED);
        }
        self.key.truncate(raw.shared);
        self.key.extend_from_slice(&block.bytes[raw.own..raw.end]);
        self.key.extend_from_slice(&trailer.to_le_bytes());
        self.here = Place { index, next: raw.end, value, end: end as usize };
        self.at_entry = true;
        Ok(())
    }

    /// Keeps the entries from the last restart before an entry up to it. The cursor is then at no entry.
    fn decode_back(&mut self, index: u32) -> Checked<()> {
        let restart = (index - 1) / self.block().interval;
        self.start_at(restart)?;
        self.back_keys.clear();
        while self.at_entry && self.here.index < index {
            self.back.push((self.here, self.back_keys.len()));
            self.back_keys.extend_from_slice(&self.key);
            // Not `next`, which would forget what is kept.
            self.decode(self.here.index + 1, self.here.next, self.here.end)?;
        }
        self.at_entry = false;
        Ok(())
    }
}
