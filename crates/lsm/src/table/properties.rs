//! What a table says of itself as a whole.

use super::damage::{Checked, Damage};
use super::varint::{self, Reader};
use crate::key::{self, Kind, Sequence};

/// Counts and bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) entries: u64,
    /// Entries that are deletions.
    pub(crate) tombstones: u64,
    pub(crate) smallest_sequence: Sequence,
    pub(crate) largest_sequence: Sequence,
    /// Bytes of all internal keys, and of all values.
    pub(crate) key_bytes: u64,
    pub(crate) value_bytes: u64,
    /// Data blocks.
    pub(crate) blocks: u64,
    /// The first and the last internal key.
    pub(crate) smallest: Vec<u8>,
    pub(crate) largest: Vec<u8>,
}

impl Properties {
    /// Of a table without entries.
    pub(super) fn empty() -> Self {
        Self {
            entries: 0,
            tombstones: 0,
            smallest_sequence: key::LAST_SEQUENCE,
            largest_sequence: 0,
            key_bytes: 0,
            value_bytes: 0,
            blocks: 0,
            smallest: Vec::new(),
            largest: Vec::new(),
        }
    }

    /// Counts an entry.
    pub(super) fn add(&mut self, internal: &[u8], trailer: u64, value: &[u8]) {
        let sequence = trailer >> 8;
        self.entries += 1;
        self.tombstones += u64::from(trailer as u8 == Kind::Delete as u8);
        self.smallest_sequence = self.smallest_sequence.min(sequence);
        self.largest_sequence = self.largest_sequence.max(sequence);
        self.key_bytes += internal.len() as u64;
        self.value_bytes += value.len() as u64;
    }

    /// The numbers in the order of the fields, then the two keys, each behind its length.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let numbers = [
            self.entries,
            self.tombstones,
            self.smallest_sequence,
            self.largest_sequence,
            self.key_bytes,
            self.value_bytes,
            self.blocks,
        ];
        numbers.iter().for_each(|number| varint::put(*number, &mut bytes));
        for internal in [&self.smallest, &self.largest] {
            varint::put(internal.len() as u64, &mut bytes);
            bytes.extend_from_slice(internal);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Checked<Self> {
        let mut reader = Reader::new(bytes);
        let mut numbers = [0; 7];
        for number in &mut numbers {
            *number = reader.number()?;
        }
        let [entries, tombstones, smallest_sequence, largest_sequence, key_bytes, value_bytes, blocks] = numbers;
        let mut internal = || -> Checked<Vec<u8>> {
            let len = reader.number32()? as usize;
            let bytes = reader.bytes(len)?;
            let valid =
                bytes.last_chunk::<{ key::TRAILER }>().is_some_and(|trailer| Kind::from_byte(trailer[0]).is_some());
            if valid { Ok(bytes.to_vec()) } else { Err(Damage("the bounds of a table are malformed")) }
        };
        let (smallest, largest) = (internal()?, internal()?);
        reader.end()?;
        let sound = entries > 0 && tombstones <= entries && smallest_sequence <= largest_sequence;
        if !sound || largest_sequence > key::LAST_SEQUENCE || key::compare(&smallest, &largest).is_gt() {
            return Err(Damage("the properties of a table contradict each other"));
        }
        Ok(Self {
            entries,
            tombstones,
            smallest_sequence,
            largest_sequence,
            key_bytes,
            value_bytes,
            blocks,
            smallest,
            largest,
        })
    }
}
