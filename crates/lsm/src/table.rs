//! Owns sorted string tables: immutable files of entries in the order of internal keys, how they are written and how they are read.
//! It does not know levels, versions of the database or snapshots: an entry is an internal key and a value.
//!
//! # The file
//!
//! ```text
//! +--------------+-----+--------------+ 0
//! | data block 0 | ... | data block n |          entries in order, about `block_bytes` each
//! +----------+---+-----+----------+---+-----+ data end
//! | filter 0 | index 0 | filter 1 | index 1 | ...  one pair for each partition of the data blocks
//! +----------+---------+----------+---------+
//! | directory                               |    the partitions: last key, and lengths
//! +-----------------------------------------+
//! | properties                              |    counts, first and last key
//! +-----------------------------------------+
//! | footer                                  |    fixed size: where the above are, version, magic
//! +-----------------------------------------+ file end
//! ```
//!
//! Everything but the footer is a *frame* ([`frame`]): bytes, perhaps compressed, and a trailer with the codec, the length before
//! compression, and a checksum salted with the file's number and the frame's offset, so that a block that was written to or
//! read from the wrong place is noticed. Frames touch: the index has only their lengths, and that these add up to where the next
//! section begins is checked. So no byte of the file is outside a checksum.
//!
//! A small table has one partition. A large one has many, so that its filters and indexes need not be in memory as a whole: what
//! the cache's budget for pinning does not admit is read and cached a partition at a time. Since a partition's filter covers the
//! same keys as its index, a search needs one of each.
//!
//! All numbers are little-endian, or LEB128 where called varint.

mod block;
mod builder;
mod cursor;
mod damage;
mod directory;
mod filter;
mod footer;
mod frame;
mod hash;
mod layout;
mod partition;
mod prefetch;
mod properties;
mod reader;
mod separators;
mod slot;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod varint;
mod verify;

use crate::options::Compression;

pub(crate) use block::Block;
pub(crate) use builder::{TableBuilder, TableMeta};
pub(crate) use cursor::TableCursor;
pub(crate) use hash::hash;
pub(crate) use partition::Partition;
pub(crate) use reader::{Lookup, Reach, Table};
pub(crate) use value::Value;

/// How a table is written. Readers need not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TableOptions {
    /// A data block is closed before it would have more bytes than this, uncompressed. One entry always fits.
    pub(crate) block_bytes: usize,
    /// Every so many entries of a block one stands with its whole key. 1 to 65535.
    pub(crate) restart_interval: usize,
    /// How blocks are compressed that shrink by it.
    pub(crate) compression: Compression,
    /// Bits of the filter per user key; 0 for no filter.
    pub(crate) filter_bits: u8,
}
