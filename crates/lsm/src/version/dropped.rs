//! Owns ranges of keys that were dropped at once: what lies in them is hidden from readers at once, and leaves the tables
//! when they are next compacted.

use crate::key::Sequence;

/// A dropped range: of all keys from `start` to before `end`, every version at or below a sequence number is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Later ranges have larger ones; a table says up to which one it has been written without what they cover.
    pub(crate) id: u64,
    pub(crate) start: Box<[u8]>,
    /// None if the range has no end.
    pub(crate) end: Option<Box<[u8]>>,
    pub(crate) upto: Sequence,
}

impl Dropped {
    /// Whether a version of a key is gone by it.
    pub(crate) fn covers(&self, key: &[u8], sequence: Sequence) -> bool {
        sequence <= self.upto && self.contains(key)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        *key >= *self.start && self.end.as_deref().is_none_or(|end| key < end)
    }

    /// Whether it covers all that another covers.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let ends_later = match (&self.end, &other.end) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(end), Some(other)) => end >= other,
        };
        self.upto >= other.upto && self.start <= other.start && ends_later
    }

    /// Whether it has a key in common with the keys from `smallest` to `largest`.
    pub(crate) fn overlaps(&self, smallest: &[u8], largest: &[u8]) -> bool {
        *largest >= *self.start && self.end.as_deref().is_none_or(|end| smallest < end)
    }
}

/// Whether one of the ranges covers a version of a key.
pub(crate) fn covered(ranges: &[Dropped], key: &[u8], sequence: Sequence) -> bool {
    ranges.iter().any(|range| range.covers(key, sequence))
}
