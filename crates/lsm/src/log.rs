//! The write-ahead log: batches in the order of their sequence numbers, one frame for each, in segment files that are
//! allocated whole and used again. It owns the format, the writing, and the question after a crash where the log ends: at
//! what was torn, or at what is damaged. When to sync, when to begin the next segment and what to do with the batches is
//! decided by others.
//!
//! ```text
//! segment = header, frame ..., whatever was there before
//!
//! header (40 bytes)                          frame (40 bytes, then operations, then zeros up to a multiple of 8)
//!  0  magic "kvlsmlog"                        0  crc32 of bytes 4..40, masked with the frame's place in the file
//!  8  version: 2                              4  crc32 of operations and zeros
//! 12  crc32 of the 36 other bytes             8  number of the log
//! 16  number of the log                      16  sequence number of the first operation
//! 24  sequence number of its first operation 24  synced_upto: every write up to this one was durable by then
//! 32  synced_upto, as in a frame             32  length of the operations in bytes
//!                                            36  how many operations
//! ```
//!
//! All numbers are little-endian; frames begin at multiples of 8. A frame's own header has its own checksum, so that a
//! length is believed only if it was written, and so that what the header says is known even if the operations are lost.
//!
//! **The end.** Frames that are written but not synced may be lost, a sector at a time, so after a crash the first bad
//! frame is where the log ends, unless it was durable. Whether it was, later frames tell: each says up to where everything
//! was durable when it was written. If one that is found anywhere behind the bad frame says so of it, something that was
//! acknowledged is damaged, which is an error; otherwise the bad frame and all behind it are dropped. The header of a segment
//! is such a claim too, once there is a frame.
//! After the last frame of a closed log comes one without operations, only for its claim.
//!
//! **From one segment to the next.** A segment is begun when its header and its name are durable, whether the one before is or
//! not: that one is synced first when the next sync is asked for, and never if its batches are in tables by then. So a segment
//! that nobody asked to sync is deleted before the system has written it. Until then a crash can take the end of a segment and
//! leave something of those behind it. A segment that begins behind a gap is dropped with all that follow, unless it or one
//! of them says that what is missing was durable. Recovery never goes on in such a log: what it keeps is in tables before the
//! numbers of what was lost are given again, and all segments up to then are obsolete.
//!
//! **Used again.** A segment that is synced and whose batches are in tables is given the name and number of a new one. What
//! lies in it bears the old number, so nobody takes it for the new log's. Numbers are never used twice.

mod frame;
mod older;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use older::Older;
#[cfg(test)]
pub(crate) use reader::Recovered;
pub(crate) use reader::{Beginning, End, Traces, beginning, recover, traces};
pub(crate) use writer::{Segment, Writer};

use crate::key::Sequence;

const MAGIC: [u8; 8] = *b"kvlsmlog";
const VERSION: u32 = 2;
/// How long a segment's header is, in bytes.
const HEADER: usize = 40;

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    number: u64,
    first: Sequence,
    synced_upto: Sequence,
}

/// Why a segment's header does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BadHeader {
    /// It is damaged, was never written, or is that of another log.
    NotOurs,
    /// It is that of this log, but of a version that this code does not know.
    UnknownVersion,
}

impl Header {
    fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..].copy_from_slice(&self.synced_upto.to_le_bytes());
        let checksum = Self::checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER], number: u64) -> Result<Self, BadHeader> {
        let header = Self { number: u64_at(bytes, 16), first: u64_at(bytes, 24), synced_upto: u64_at(bytes, 32) };
        if bytes[..8] != MAGIC || header.number != number {
            return Err(BadHeader::NotOurs);
        }
        // How long the header of another version is, and so what its checksum covers, is not known.
        if u32_at(bytes, 8) != VERSION {
            return Err(BadHeader::UnknownVersion);
        }
        let whole = u32_at(bytes, 12) == Self::checksum(bytes) && header.synced_upto < header.first;
        if whole { Ok(header) } else { Err(BadHeader::NotOurs) }
    }

    fn checksum(bytes: &[u8; HEADER]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..12]);
        hasher.update(&bytes[16..]);
        hasher.finalize()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes are four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes are eight bytes"))
}
