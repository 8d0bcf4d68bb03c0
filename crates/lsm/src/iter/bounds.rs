//! Owns the two ends of what is left of a range of user keys. They move toward each other as it is read from both sides.

use core::ops::{Bound, RangeBounds};

/// One end of a range. Its buffer is reused from one key to the next.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) key: Vec<u8>,
    pub(crate) kind: EdgeKind,
}

/// How the key of an end counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EdgeKind {
    /// It does not: there is no end.
    Open,
    /// The key belongs to the range.
    Included,
    /// The key does not belong to it.
    Excluded,
}

/// Both ends of a range.
#[derive(Clone, Debug)]
pub(crate) struct Edges {
    pub(crate) lower: Edge,
    pub(crate) upper: Edge,
}

impl Edges {
    /// The ends of any range: `..`, `a..b`, `(Bound, Bound)`, of whatever can be seen as bytes. One that ends before
    /// it begins is empty.
    pub(crate) fn new<K: AsRef<[u8]> + ?Sized>(range: &impl RangeBounds<K>) -> Self {
        Self { lower: Edge::new(range.start_bound()), upper: Edge::new(range.end_bound()) }
    }

    /// All keys that begin with this.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        let end = prefix_end(prefix);
        let upper = end.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        Self { lower: Edge::new(Bound::Included(prefix)), upper: Edge::new(upper) }
    }

    /// Whether a key is not too small.
    pub(crate) fn is_above_lower(&self, user_key: &[u8]) -> bool {
        match self.lower.kind {
            EdgeKind::Open => true,
            EdgeKind::Included => user_key >= self.lower.key.as_slice(),
            EdgeKind::Excluded => user_key > self.lower.key.as_slice(),
        }
    }

    /// Whether a key is not too large.
    pub(crate) fn is_below_upper(&self, user_key: &[u8]) -> bool {
        match self.upper.kind {
            EdgeKind::Open => true,
            EdgeKind::Included => user_key <= self.upper.key.as_slice(),
            EdgeKind::Excluded => user_key < self.upper.key.as_slice(),
        }
    }
}

impl Edge {
    fn new<K: AsRef<[u8]> + ?Sized>(bound: Bound<&K>) -> Self {
        match bound {
            Bound::Unbounded => Self { key: Vec::new(), kind: EdgeKind::Open },
            Bound::Included(key) => Self { key: key.as_ref().to_vec(), kind: EdgeKind::Included },
            Bound::Excluded(key) => Self { key: key.as_ref().to_vec(), kind: EdgeKind::Excluded },
        }
    }

    /// Moves the end.
    pub(crate) fn set(&mut self, key: &[u8], kind: EdgeKind) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.kind = kind;
    }
}

/// The first key behind all that begin with a prefix, if there is any.
pub(super) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(end)
}
