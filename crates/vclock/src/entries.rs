//! Owns the sorted vector of (actor, largest value seen) under every vector clock. An absent actor has the default
//! value, which is therefore never stored, so equal clocks have equal representations. Does not know what the values
//! mean.

use alloc::vec::Vec;
use core::mem;

use crate::Causality;
use crate::join::outer_join;
use crate::prune::oldest;

/// A map from actors to values that only grow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// From entries that are strictly ascending by actor and hold no default value, as a decoder has checked.
    pub(crate) fn from_canonical(entries: Vec<(A, T)>) -> Self {
        let entries = Self(entries);
        assert!(entries.is_canonical(), "decoded clock entries are sorted, unique and present");
        entries
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

    /// The larger value of each actor. O(n + m).
    pub(crate) fn merge(&mut self, other: &Self)
    where
        A: Clone,
    {
        let mine = mem::take(&mut self.0);
        self.0 = outer_join(mine, &other.0, |left, right| left.0.cmp(&right.0))
            .filter_map(|pair| match pair {
                (Some((actor, left)), Some((_, right))) => Some((actor, left.max(*right))),
                (left, right) => left.or_else(|| right.cloned()),
            })
            .collect();
        debug_assert!(self.is_canonical(), "merging keeps the entries sorted, unique and present");
    }

    /// The partial order of pointwise comparison, in one walk. O(n + m).
    pub(crate) fn compare(&self, other: &Self) -> Causality {
        let (mut left_ahead, mut right_ahead) = (false, false);
        for (left, right) in outer_join(&self.0, &other.0, |left, right| left.0.cmp(&right.0)) {
            let left = left.map_or_else(T::default, |(_, value)| *value);
            let right = right.map_or_else(T::default, |(_, value)| *value);
            left_ahead |= left > right;
            right_ahead |= left < right;
            if left_ahead && right_ahead {
                break;
            }
        }
        match (left_ahead, right_ahead) {
            (false, false) => Causality::Equal,
            (false, true) => Causality::Before,
            (true, false) => Causality::After,
            (true, true) => Causality::Concurrent,
        }
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

impl<A, T> Default for Entries<A, T> {
    fn default() -> Self {
        Self::new()
    }
}
