//! Owns the sorted vector of (actor, largest value seen) under every vector clock. An absent actor has the default
//! value, which is therefore never stored, so equal clocks have equal representations. Does not know what the values
//! mean.

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::Causality;
use crate::join::{compare_sorted, merge_into};
use crate::prune::oldest;

/// A map from actors to values that only grow.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entries<A, T>(Vec<(A, T)>);

impl<A, T> Entries<A, T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// In ascending order of actors.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&A, T)> + DoubleEndedIterator + Clone
    where
        T: Copy,
    {
        self.0.iter().map(|(actor, value)| (actor, *value))
    }
}

impl<A: Ord, T: Copy + Ord + Default> Entries<A, T> {
    /// From entries that are strictly ascending by actor and hold no default value.
    pub(crate) fn from_canonical(entries: Vec<(A, T)>) -> Self {
        let entries = Self(entries);
        assert!(entries.is_canonical(), "clock entries are sorted, unique and present");
        entries
    }

    /// From entries in any order: an actor keeps its largest value, and default values say nothing. O(n log n).
    pub(crate) fn collect(entries: impl IntoIterator<Item = (A, T)>) -> Self {
        let mut entries: Vec<(A, T)> = entries.into_iter().filter(|(_, value)| *value != T::default()).collect();
        entries.sort_unstable_by(|left, right| (&left.0, Reverse(left.1)).cmp(&(&right.0, Reverse(right.1))));
        entries.dedup_by(|next, first| next.0 == first.0);
        Self(entries)
    }

    fn is_canonical(&self) -> bool {
        self.0.is_sorted_by(|left, right| left.0 < right.0) && self.0.iter().all(|(_, value)| *value != T::default())
    }

    /// O(log n).
    pub(crate) fn get(&self, actor: &A) -> T {
        self.position(actor).map_or_else(|_| T::default(), |found| self.0[found].1)
    }

    /// Raises the actor's value to at least `value`; never lowers it. O(n) for a new actor, else O(log n).
    pub(crate) fn raise(&mut self, actor: A, value: T) {
        match self.position(&actor) {
            Ok(found) => self.0[found].1 = self.0[found].1.max(value),
            Err(free) if value != T::default() => self.0.insert(free, (actor, value)),
            Err(_) => {}
        }
    }

    /// The larger value of each actor. O(n + m), and without any allocation when the other has no actor that is new here.
    pub(crate) fn merge(&mut self, other: &Self)
    where
        A: Clone,
    {
        merge_into(
            &mut self.0,
            &other.0,
            |held, new| held.0.cmp(&new.0),
            |held, new| held.1 = held.1.max(new.1),
            Clone::clone,
            |left, right| left.0.cmp(&right.0),
        );
        debug_assert!(self.is_canonical(), "merging keeps the entries sorted, unique and present");
    }

    /// The partial order of pointwise comparison, in one walk. O(n + m).
    pub(crate) fn compare(&self, other: &Self) -> Causality {
        compare_sorted(
            &self.0,
            &other.0,
            |left, right| left.0.cmp(&right.0),
            |left, right| (left.1 > right.1, left.1 < right.1),
        )
    }

    /// Keeps the entries for which `keep` holds; returns how many went.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&A, T) -> bool) -> usize {
        let before = self.0.len();
        self.0.retain(|(actor, value)| keep(actor, *value));
        before - self.0.len()
    }

    /// Drops the entries with the smallest key, then the smallest actor, until `keep` are left; returns how many went.
    pub(crate) fn prune<K: Ord>(&mut self, keep: usize, mut age: impl FnMut(&A, T) -> K) -> usize {
        let mut doomed = oldest(self.iter().map(|(actor, value)| age(actor, value)), keep).into_iter().peekable();
        let mut positions = 0..;
        self.retain(|_, _| {
            let position = positions.next();
            doomed.next_if(|next| Some(*next) == position).is_none()
        })
    }

    fn position(&self, actor: &A) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.cmp(actor))
    }
}

impl<A: Clone, T: Clone> Clone for Entries<A, T> {
    /// Leaves room for one more actor: who copies a clock mostly goes on to add itself.
    fn clone(&self) -> Self {
        let room = if self.0.is_empty() { 0 } else { self.0.len() + 1 };
        let mut entries = Vec::with_capacity(room);
        entries.extend_from_slice(&self.0);
        Self(entries)
    }
}

impl<A, T> Default for Entries<A, T> {
    fn default() -> Self {
        Self::new()
    }
}
