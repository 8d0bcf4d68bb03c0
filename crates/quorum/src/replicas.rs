//! [`ReplicaSet`]: which replicas of one operation, as a mask of positions.
//!
//! It owns set arithmetic only. Which node stands at a position is the caller's business.

use core::fmt;

/// A set of replicas of one operation, each named by its position `0..64` in the caller's replica
/// list.
///
/// Sixty-four bits, so it is copied and compared for nothing. A position of 64 or more names no
/// replica: it is never a member, and inserting it does nothing.
///
/// ```
/// use kvorum_quorum::ReplicaSet;
///
/// let mut set: ReplicaSet = [4, 0, 2].into_iter().collect();
/// set.remove(2);
/// assert!(set.iter().eq([0, 4]));
/// assert_eq!(set.intersection(ReplicaSet::first(3)), ReplicaSet::single(0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ReplicaSet(u64);

impl ReplicaSet {
    /// The set without members.
    pub const EMPTY: ReplicaSet = ReplicaSet(0);

    /// How many positions there are.
    pub(crate) const POSITIONS: usize = 64;

    /// The positions `0..n`; all 64 when `n` is larger than that.
    pub const fn first(n: usize) -> ReplicaSet {
        if n >= Self::POSITIONS { ReplicaSet(u64::MAX) } else { ReplicaSet((1 << n) - 1) }
    }

    /// The set of one position; empty when `position` is 64 or more.
    pub const fn single(position: usize) -> ReplicaSet {
        if position < Self::POSITIONS { ReplicaSet(1 << position) } else { ReplicaSet::EMPTY }
    }

    /// Adds a position. True when it was not a member before and is one now.
    pub const fn insert(&mut self, position: usize) -> bool {
        let before = self.0;
        self.0 |= Self::single(position).0;
        self.0 != before
    }

    /// Takes a position out. True when it was a member.
    pub const fn remove(&mut self, position: usize) -> bool {
        let before = self.0;
        self.0 &= !Self::single(position).0;
        self.0 != before
    }

    /// Whether the position is a member.
    pub const fn contains(self, position: usize) -> bool {
        self.0 & Self::single(position).0 != 0
    }

    /// How many members there are, `0..=64`.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is no member.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The positions in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> + Clone {
        let mut rest = self;
        core::iter::from_fn(move || {
            let lowest = rest.lowest()?;
            rest.remove(lowest);
            Some(lowest)
        })
    }

    /// The lowest position, which the caller prefers most.
    pub(crate) const fn lowest(self) -> Option<usize> {
        if self.is_empty() { None } else { Some(self.0.trailing_zeros() as usize) }
    }

    /// The members of either set.
    pub const fn union(self, other: ReplicaSet) -> ReplicaSet {
        ReplicaSet(self.0 | other.0)
    }

    /// The members of both sets.
    pub const fn intersection(self, other: ReplicaSet) -> ReplicaSet {
        ReplicaSet(self.0 & other.0)
    }

    /// The members of this set that are not in the other.
    pub const fn difference(self, other: ReplicaSet) -> ReplicaSet {
        ReplicaSet(self.0 & !other.0)
    }
}

impl FromIterator<usize> for ReplicaSet {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> ReplicaSet {
        positions.into_iter().fold(ReplicaSet::EMPTY, |set, position| set.union(ReplicaSet::single(position)))
    }
}

impl fmt::Debug for ReplicaSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::format;
    use std::vec::Vec;

    /// The same set twice: as a mask and as the ordered set it must agree with.
    fn both() -> impl Strategy<Value = (ReplicaSet, BTreeSet<usize>)> {
        proptest::collection::vec(0usize..64, 0..64)
            .prop_map(|positions| (positions.iter().copied().collect(), positions.into_iter().collect()))
    }

    fn sorted(set: ReplicaSet) -> Vec<usize> {
        set.iter().collect()
    }

    proptest! {
        #[test]
        fn a_mask_behaves_like_an_ordered_set((a, x) in both(), (b, y) in both(), position in 0usize..64) {
            prop_assert_eq!(sorted(a), x.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.len(), x.len());
            prop_assert_eq!(a.is_empty(), x.is_empty());
            prop_assert_eq!(a.contains(position), x.contains(&position));
            prop_assert_eq!(sorted(a.union(b)), x.union(&y).copied().collect::<Vec<_>>());
            prop_assert_eq!(sorted(a.intersection(b)), x.intersection(&y).copied().collect::<Vec<_>>());
            prop_assert_eq!(sorted(a.difference(b)), x.difference(&y).copied().collect::<Vec<_>>());

            let (mut more, mut xs) = (a, x.clone());
            prop_assert_eq!(more.insert(position), xs.insert(position));
            prop_assert_eq!(sorted(more), xs.iter().copied().collect::<Vec<_>>());
            let (mut less, mut xs) = (a, x);
            prop_assert_eq!(less.remove(position), xs.remove(&position));
            prop_assert_eq!(sorted(less), xs.iter().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_n_are_the_positions_below_n_and_never_more_than_64() {
        for n in 0..=64 {
            assert_eq!(sorted(ReplicaSet::first(n)), (0..n).collect::<Vec<_>>());
        }
        assert_eq!(ReplicaSet::first(65), ReplicaSet::first(64));
        assert_eq!(ReplicaSet::first(usize::MAX).len(), 64);
    }

    #[test]
    fn a_position_past_the_last_is_never_a_member() {
        for position in [64, 65, 128, usize::MAX] {
            assert_eq!(ReplicaSet::single(position), ReplicaSet::EMPTY);
            assert!(!ReplicaSet::first(64).contains(position));
            let mut set = ReplicaSet::single(3);
            assert!(!set.insert(position));
            assert!(!set.remove(position));
            assert_eq!(set, ReplicaSet::single(3));
            assert_eq!([3, position].into_iter().collect::<ReplicaSet>(), ReplicaSet::single(3));
        }
    }

    #[test]
    fn debug_shows_the_positions() {
        assert_eq!(format!("{:?}", [5, 1].into_iter().collect::<ReplicaSet>()), "{1, 5}");
    }
}
