//! Convergence: once the faults are over and anti-entropy has run, do all replicas of a key hold the same? It compares
//! copies and never looks at histories: whether what they hold is right is asked by the other checkers.

use core::fmt;
use std::collections::BTreeMap;

/// A key whose replicas disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence<K, R> {
    /// The key.
    pub key: K,
    /// The replicas that agree with each other, the largest group first; groups of one size by the first replica given.
    pub groups: Vec<Group<R>>,
}

/// Replicas that hold the same copy of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<R> {
    /// The replicas, in the order given.
    pub replicas: Vec<R>,
    /// Whether what they agree on is that they hold nothing.
    pub missing: bool,
}

/// A copy, and who holds it.
struct Held<R, B> {
    copy: Option<B>,
    by: Group<R>,
}

/// Finds every key of which not all copies are equal, by key. A copy is what one replica holds of one key: None, if it
/// holds nothing, which differs from any copy. Every replica of a key must be given, those that hold nothing too.
///
/// O(n log n) for n copies of which few differ; it keeps one copy of each group, not all.
///
/// ```
/// use kvorum_history::convergence::divergences;
///
/// let copies = [("a", 1, Some("x")), ("a", 2, Some("x")), ("b", 1, Some("y")), ("b", 2, None)];
/// let divergences = divergences(copies);
/// assert_eq!(divergences.len(), 1);
/// assert_eq!(divergences[0].key, "b");
/// assert!(divergences[0].groups[1].missing);
/// ```
#[must_use]
pub fn divergences<R: Clone, K: Ord + Clone, B: Eq>(
    copies: impl IntoIterator<Item = (K, R, Option<B>)>,
) -> Vec<Divergence<K, R>> {
    let mut keys: BTreeMap<K, Vec<Held<R, B>>> = BTreeMap::new();
    for (key, replica, copy) in copies {
        let groups = keys.entry(key).or_default();
        match groups.iter_mut().find(|held| held.copy == copy) {
            Some(held) => held.by.replicas.push(replica),
            None => {
                let by = Group { replicas: vec![replica], missing: copy.is_none() };
                groups.push(Held { copy, by });
            }
        }
    }
    let mut divergences = Vec::new();
    for (key, groups) in keys.into_iter().filter(|(_, groups)| groups.len() > 1) {
        let mut groups: Vec<_> = groups.into_iter().map(|held| held.by).collect();
        groups.sort_by_key(|group| core::cmp::Reverse(group.replicas.len()));
        divergences.push(Divergence { key, groups });
    }
    divergences
}

impl<K: fmt::Debug, R: fmt::Debug> fmt::Display for Divergence<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the replicas of {:?} disagree", self.key)?;
        for (at, group) in self.groups.iter().enumerate() {
            match group.missing {
                true => write!(f, "\n  nothing     {:?}", group.replicas)?,
                false => write!(f, "\n  copy {:<6} {:?}", at + 1, group.replicas)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_copies_in_any_order_are_no_divergence() {
        let copies = [("b", 1, Some(5)), ("a", 1, Some(4)), ("a", 2, Some(4)), ("b", 2, Some(5)), ("c", 1, Some(6))];
        assert_eq!(divergences(copies), []);
        assert_eq!(divergences([("a", 1, None::<u8>), ("a", 2, None)]), [], "nobody holds it");
    }

    #[test]
    fn the_replicas_are_grouped_by_what_they_hold_the_largest_group_first() {
        let copies = [("a", 1, Some(4)), ("b", 1, Some(9)), ("a", 2, Some(5)), ("a", 3, Some(5)), ("b", 2, Some(9))];
        let groups = vec![Group { replicas: vec![2, 3], missing: false }, Group { replicas: vec![1], missing: false }];
        assert_eq!(divergences(copies), [Divergence { key: "a", groups }]);
    }

    #[test]
    fn a_missing_copy_differs_from_every_other_even_an_empty_one() {
        let found = divergences([("a", 1, Some("")), ("a", 2, None), ("a", 3, Some(""))]);
        let [divergence] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(divergence.groups[1], Group { replicas: vec![2], missing: true });
        assert_eq!(divergence.to_string(), "the replicas of \"a\" disagree\n  copy 1      [1, 3]\n  nothing     [2]");
    }
}
