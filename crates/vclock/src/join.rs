//! Owns the two walks over sorted sequences that merging and comparing are made of. Knows nothing about what is joined.

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Causality;

/// Adds `news`, which ascends strictly, to `items`, which do too. `order` compares an item with a newcomer, `meet` is told of
/// those that are equal under it, `admit` makes an item of a newcomer that has no equal. O(items + news), in place, and
/// without any allocation when nothing is admitted.
pub(crate) fn merge_into<T, N>(
    items: &mut Vec<T>,
    news: impl IntoIterator<Item = N>,
    order: impl Fn(&T, &N) -> Ordering,
    mut meet: impl FnMut(&mut T, N),
    mut admit: impl FnMut(N) -> T,
    sorted: impl Fn(&T, &T) -> Ordering,
) {
    let known = items.len();
    let mut place = 0;
    for new in news {
        // What was admitted lies behind the items that were there, and is in order by itself.
        let found = loop {
            if place == known {
                break false;
            }
            match order(&items[place], &new) {
                Ordering::Less => place += 1,
                Ordering::Equal => break true,
                Ordering::Greater => break false,
            }
        };
        if found {
            meet(&mut items[place], new);
        } else {
            items.push(admit(new));
        }
    }
    let in_order = known == 0 || known == items.len() || sorted(&items[known - 1], &items[known]).is_lt();
    if !in_order {
        // Two ascending runs: the sort finds them and merges them in linear time.
        items.sort_by(sorted);
    }
}

/// Walks two sequences that ascend strictly under `order`, and says which side is ahead: the one that has an item alone, or
/// of whose common items `ahead` says so. Stops once both are. O(left + right).
pub(crate) fn compare_sorted<T>(
    left: &[T],
    right: &[T],
    order: impl Fn(&T, &T) -> Ordering,
    ahead: impl Fn(&T, &T) -> (bool, bool),
) -> Causality {
    let (mut left, mut right) = (left.iter(), right.iter());
    let (mut next_left, mut next_right) = (left.next(), right.next());
    let (mut left_ahead, mut right_ahead) = (false, false);
    while !(left_ahead && right_ahead) {
        let (Some(l), Some(r)) = (next_left, next_right) else {
            left_ahead |= next_left.is_some();
            right_ahead |= next_right.is_some();
            break;
        };
        match order(l, r) {
            Ordering::Less => {
                left_ahead = true;
                next_left = left.next();
            }
            Ordering::Greater => {
                right_ahead = true;
                next_right = right.next();
            }
            Ordering::Equal => {
                let (l, r) = ahead(l, r);
                left_ahead |= l;
                right_ahead |= r;
                next_left = left.next();
                next_right = right.next();
            }
        }
    }
    Causality::of(left_ahead, right_ahead)
}
