//! A run of data blocks with their index and their filter: what must be in memory to search them.

use core::ops::Range;

use super::block::Block;
use super::damage::{Checked, Damage};
use super::filter::Filter;
use super::frame::{Handle, TRAILER};
use super::separators::{self, Separators};
use super::slot::{Slot, Uses};

/// Index and filter of some blocks, and where these are in memory.
pub(crate) struct Partition {
    pub(super) separators: Separators,
    /// Where each block begins; behind the last, where it ends.
    offsets: Box<[u64]>,
    slots: Box<[Slot<Block>]>,
    filter: Option<Filter>,
    uses: Uses,
}

impl Partition {
    /// Decodes an index, of blocks that fill a part of the file, and a filter.
    pub(super) fn decode(index: &[u8], filter: Option<&[u8]>, data: Range<u64>) -> Checked<Self> {
        let mut offsets = vec![data.start];
        let mut end = data.start;
        let separators = separators::decode(index, |numbers| {
            end += u64::from(numbers.number32()?) + TRAILER as u64;
            offsets.push(end);
            Ok(())
        })?;
        if end != data.end {
            return Err(Damage("the blocks of an index do not fill their part of the file"));
        }
        Ok(Self {
            slots: (0..separators.len()).map(|_| Slot::empty()).collect(),
            separators,
            offsets: offsets.into(),
            filter: filter.map(Filter::decode).transpose()?,
            uses: Uses::default(),
        })
    }

    /// Whether the filter says that a key may be here; without a filter, any may.
    #[inline]
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.may_contain(hash))
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(filter) = &self.filter {
            filter.prefetch(hash);
        }
    }

    pub(super) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// How many blocks it has; at least one.
    pub(super) fn blocks(&self) -> usize {
        self.slots.len()
    }

    /// Where a block stands.
    #[inline]
    pub(super) fn handle(&self, block: usize) -> Handle {
        let (offset, end) = (self.offsets[block], self.offsets[block + 1]);
        Handle { offset, len: (end - offset - TRAILER as u64) as u32 }
    }

    #[inline]
    pub(super) fn slot(&self, block: usize) -> &Slot<Block> {
        &self.slots[block]
    }

    /// The offsets of blocks that are in memory.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = u64> {
        self.offsets.iter().zip(&self.slots).filter(|(_, slot)| slot.get().is_some()).map(|(offset, _)| *offset)
    }

    #[inline]
    pub(super) fn count_use(&self) -> bool {
        self.uses.count()
    }

    /// Bytes of memory that it takes.
    pub(crate) fn weight(&self) -> usize {
        let slots = self.slots.len() * (size_of::<Slot<Block>>() + size_of::<u64>());
        size_of::<Self>() + slots + self.separators.weight() + self.filter.as_ref().map_or(0, Filter::weight)
    }
}
