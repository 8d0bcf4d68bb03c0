//! Internal keys: a user key, the sequence number of the write, and what it was. They order by user key upward, then by
//! sequence downward, so that the newest version of a key comes first.

use core::cmp::Ordering;

/// The number of a write; each operation of a batch has its own, counted upward from 1. 56 bits.
pub type Sequence = u64;

/// The largest sequence number.
pub(crate) const LAST_SEQUENCE: Sequence = (1 << 56) - 1;
/// What an internal key has behind its user key.
pub(crate) const TRAILER: usize = 8;

/// What a write did. The order matters: at one sequence, which cannot happen, a put would come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Delete = 0,
    Put = 1,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Delete),
            1 => Some(Self::Put),
            _ => None,
        }
    }
}

/// Sequence and kind in one number.
pub(crate) fn trailer(sequence: Sequence, kind: Kind) -> u64 {
    debug_assert!(sequence <= LAST_SEQUENCE);
    sequence << 8 | kind as u64
}

/// Appends the encoding of an internal key: the user key, then the trailer's 8 bytes, little-endian.
pub(crate) fn encode(user_key: &[u8], sequence: Sequence, kind: Kind, into: &mut Vec<u8>) {
    into.extend_from_slice(user_key);
    into.extend_from_slice(&trailer(sequence, kind).to_le_bytes());
}

/// Takes an encoded internal key apart: user key and trailer. The key comes from a checked source and has its trailer.
pub(crate) fn split(internal: &[u8]) -> (&[u8], u64) {
    let (user_key, trailer) = internal.split_last_chunk::<TRAILER>().expect("an internal key has its trailer");
    (user_key, u64::from_le_bytes(*trailer))
}

/// The order of encoded internal keys.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let ((a_key, a_trailer), (b_key, b_trailer)) = (split(a), split(b));
    a_key.cmp(b_key).then(b_trailer.cmp(&a_trailer))
}
