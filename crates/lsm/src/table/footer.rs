//! The end of a table's file, where reading begins:
//!
//! ```text
//! data end (u64) | directory: offset (u64), stored bytes (u32) | properties: the same | checksum (u32) | version (u32) | magic (u64)
//! ```
//!
//! The checksum is of all before it and of version and magic, salted as a frame's.

use super::damage::{Checked, Damage};
use super::frame::{self, Handle};

/// Bytes of the footer.
pub(super) const FOOTER: usize = 48;
/// What a table's file ends with.
const MAGIC: u64 = u64::from_le_bytes(*b"kvtable\n");
/// The format that is written. Others are not read.
const VERSION: u32 = 1;

/// Where the sections are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// Where data blocks end, and filters and indexes begin.
    pub(super) data_end: u64,
    pub(super) directory: Handle,
    pub(super) properties: Handle,
}

impl Footer {
    /// The bytes of the footer of a file, where it stands at an offset.
    pub(super) fn encode(&self, file: u64, offset: u64) -> [u8; FOOTER] {
        let mut bytes = [0; FOOTER];
        bytes[..8].copy_from_slice(&self.data_end.to_le_bytes());
        for (handle, at) in [(self.directory, 8), (self.properties, 20)] {
            bytes[at..at + 8].copy_from_slice(&handle.offset.to_le_bytes());
            bytes[at + 8..at + 12].copy_from_slice(&handle.len.to_le_bytes());
        }
        bytes[36..40].copy_from_slice(&VERSION.to_le_bytes());
        bytes[40..].copy_from_slice(&MAGIC.to_le_bytes());
        let checksum = checksum(&bytes, file, offset);
        // Version and magic end the file, so that they are found where they are in each version to come.
        bytes[32..36].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Checks a footer, and that the sections it names fill the file up to it.
    pub(super) fn decode(bytes: &[u8; FOOTER], file: u64, offset: u64) -> Checked<Self> {
        if number(bytes, 40, 8) != MAGIC {
            return Err(Damage("the file does not end like a table"));
        }
        let version = number(bytes, 36, 4);
        if checksum(bytes, file, offset) != number(bytes, 32, 4) as u32 {
            return Err(Damage("the checksum of the footer does not match"));
        }
        if version != u64::from(VERSION) {
            return Err(Damage("the table has a version that this build does not read"));
        }
        let handle = |at: usize| Handle { offset: number(bytes, at, 8), len: number(bytes, at + 8, 4) as u32 };
        let footer = Self { data_end: number(bytes, 0, 8), directory: handle(8), properties: handle(20) };
        let ends = |handle: Handle| handle.offset.checked_add(handle.frame_bytes() as u64);
        let fits = footer.data_end <= footer.directory.offset
            && ends(footer.directory) == Some(footer.properties.offset)
            && ends(footer.properties) == Some(offset);
        if fits { Ok(footer) } else { Err(Damage("the sections of a table do not fit")) }
    }
}

/// Of all but the checksum's own place, which counts as zeros.
fn checksum(bytes: &[u8; FOOTER], file: u64, offset: u64) -> u32 {
    let mut covered = *bytes;
    covered[32..36].fill(0);
    frame::checksum(&covered, file, offset)
}

fn number(bytes: &[u8; FOOTER], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
