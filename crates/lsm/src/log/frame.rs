//! A frame's header: its encoding and when it is believed. Where frames lie and how they follow each other is not known here.

use super::{u32_at, u64_at};
use crate::batch::MAX_BATCH;
use crate::key::{LAST_SEQUENCE, Sequence};

/// How long a frame's header is, in bytes.
pub(super) const FRAME_HEADER: usize = 40;
/// Frames begin at multiples of this, and so does the number of the log in them, which is what a search looks for.
pub(super) const ALIGNMENT: usize = 8;
/// Where in a frame the number of the log is.
pub(super) const NUMBER_AT: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Of the log.
    pub(super) number: u64,
    /// Of the first operation, or of the next one if there is none.
    pub(super) first: Sequence,
    pub(super) synced_upto: Sequence,
    /// How many bytes of operations.
    pub(super) len: u32,
    /// How many operations.
    pub(super) count: u32,
    /// Of operations and padding.
    pub(super) checksum: u32,
}

impl FrameHeader {
    pub(super) fn encode(self, offset: u64) -> [u8; FRAME_HEADER] {
        debug_assert!(self.is_plausible(), "{self:?} is a frame");
        let mut bytes = [0; FRAME_HEADER];
        bytes[4..8].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.synced_upto.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.len.to_le_bytes());
        bytes[36..].copy_from_slice(&self.count.to_le_bytes());
        let own = own_checksum(&bytes, offset);
        bytes[..4].copy_from_slice(&own.to_le_bytes());
        bytes
    }

    /// The header of a frame of this log at this place, if these bytes are one.
    pub(super) fn decode(bytes: &[u8; FRAME_HEADER], offset: u64, number: u64) -> Option<Self> {
        if u64_at(bytes, NUMBER_AT) != number || u32_at(bytes, 0) != own_checksum(bytes, offset) {
            return None;
        }
        let header = Self {
            number,
            first: u64_at(bytes, 16),
            synced_upto: u64_at(bytes, 24),
            len: u32_at(bytes, 32),
            count: u32_at(bytes, 36),
            checksum: u32_at(bytes, 4),
        };
        header.is_plausible().then_some(header)
    }

    fn is_plausible(self) -> bool {
        self.synced_upto < self.first
            && self.first <= LAST_SEQUENCE
            && LAST_SEQUENCE - self.first >= u64::from(self.count)
            && self.len as usize <= MAX_BATCH
            && (self.len == 0) == (self.count == 0)
    }

    /// The sequence number behind its last operation.
    pub(super) fn next(self) -> Sequence {
        self.first + u64::from(self.count)
    }

    /// How many bytes of operations and padding follow the header.
    pub(super) fn padded_len(self) -> usize {
        (self.len as usize).next_multiple_of(ALIGNMENT)
    }
}

/// The place is part of it, so that a frame which lies elsewhere, say in somebody's value, is none.
fn own_checksum(bytes: &[u8; FRAME_HEADER], offset: u64) -> u32 {
    crc32fast::hash(&bytes[4..]) ^ offset as u32 ^ (offset >> 32) as u32
}
