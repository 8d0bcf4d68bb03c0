//! Owns the one walk over two sorted sequences that merging and comparing are made of. Knows nothing about what is
//! joined.

use core::cmp::Ordering;
use core::iter;

/// Walks two sequences that are strictly ascending under `order` and pairs up the items that are equal under it.
/// Every item appears exactly once; at least one side of each pair is present. O(left + right).
pub(crate) fn outer_join<L, R>(
    left: impl IntoIterator<Item = L>,
    right: impl IntoIterator<Item = R>,
    mut order: impl FnMut(&L, &R) -> Ordering,
) -> impl Iterator<Item = (Option<L>, Option<R>)> {
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    iter::from_fn(move || {
        let next = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) => order(l, r),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        Some(match next {
            Ordering::Less => (left.next(), None),
            Ordering::Equal => (left.next(), right.next()),
            Ordering::Greater => (None, right.next()),
        })
    })
}
