//! The directory of a table: its partitions, each with its last key and where its blocks, its filter and its index are.

use core::ops::Range;

use super::damage::{Checked, Damage};
use super::frame::{Handle, TRAILER};
use super::separators::{self, SeparatorEncoder, Separators};

/// All partitions; at least one.
pub(super) struct Directory {
    pub(super) separators: Separators,
    pub(super) places: Box<[Place]>,
}

/// Where a partition is. The filter stands right before the index.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) data: Range<u64>,
    pub(super) filter: Option<Handle>,
    pub(super) index: Handle,
}

impl Place {
    /// Filter and index together.
    pub(super) fn range(&self) -> Range<u64> {
        self.filter.unwrap_or(self.index).offset..self.index.end()
    }
}

impl Directory {
    /// Appends what the file says of a partition: bytes of its data, stored bytes of its filter (0 for none) and of its index.
    pub(super) fn push(encoder: &mut SeparatorEncoder, key: (&[u8], u64), data: u64, filter: u32, index: u32) {
        encoder.push(key.0, key.1, &[data, u64::from(filter), u64::from(index)]);
    }

    /// Decodes a directory. Data begin at 0, filters and indexes at `data_end`, and end at `end`.
    pub(super) fn decode(bytes: &[u8], data_end: u64, end: u64) -> Checked<Self> {
        let (mut data, mut meta) = (0_u64, data_end);
        let mut places = Vec::new();
        let outside = Damage("a partition lies outside its section");
        let separators = separators::decode(bytes, |numbers| {
            let (data_len, filter_len, index_len) = (numbers.number()?, numbers.number32()?, numbers.number32()?);
            let start = data;
            data = data.checked_add(data_len).filter(|data| *data <= data_end).ok_or(outside)?;
            let mut frame = |len: u32| {
                let handle = Handle { offset: meta, len };
                meta = meta.checked_add(u64::from(len) + TRAILER as u64).filter(|meta| *meta <= end).ok_or(outside)?;
                Ok(handle)
            };
            let filter = if filter_len == 0 { None } else { Some(frame(filter_len)?) };
            places.push(Place { data: start..data, filter, index: frame(index_len)? });
            Ok(())
        })?;
        if (data, meta) != (data_end, end) {
            return Err(Damage("the partitions do not fill their sections"));
        }
        Ok(Self { separators, places: places.into() })
    }
}
