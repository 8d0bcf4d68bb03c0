//! The laws of vector clocks, held against a map that says the same naively.

use std::collections::{BTreeMap, BTreeSet};
use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

type Naive = BTreeMap<u64, u64>;

fn clock(entries: &[(u64, u64)]) -> VClock<u64> {
    entries.iter().copied().collect()
}

/// The definition, word for word: a clock descends from another if none of its counters is smaller.
fn naive_descends(descendant: &Naive, ancestor: &Naive) -> bool {
    ancestor.iter().all(|(actor, counter)| descendant.get(actor).copied().unwrap_or(0) >= *counter)
}

fn naive_compare(left: &Naive, right: &Naive) -> Causality {
    match (naive_descends(left, right), naive_descends(right, left)) {
        (true, true) => Causality::Equal,
        (true, false) => Causality::After,
        (false, true) => Causality::Before,
        (false, false) => Causality::Concurrent,
    }
}

/// Every clock of three actors that count to two.
fn all_small_clocks() -> Vec<VClock<u64>> {
    let mut clocks = vec![];
    for (a, b, c) in (0..27).map(|n| (n / 9, n / 3 % 3, n % 3)) {
        clocks.push(clock(&[(0, a), (1, b), (2, c)]));
    }
    clocks
}

fn as_naive(clock: &VClock<u64>) -> Naive {
    clock.iter().map(|(actor, counter)| (*actor, counter)).collect()
}

fn merged(left: &VClock<u64>, right: &VClock<u64>) -> VClock<u64> {
    let mut merged = left.clone();
    merged.merge(right);
    merged
}

fn at_most(left: &VClock<u64>, right: &VClock<u64>) -> bool {
    matches!(left.compare(right), Causality::Before | Causality::Equal)
}

#[test]
fn comparing_agrees_with_the_definition_on_all_small_clocks() {
    let clocks = all_small_clocks();
    assert_eq!(clocks.iter().map(as_naive).collect::<BTreeSet<_>>().len(), 27);
    for left in &clocks {
        for right in &clocks {
            let answer = left.compare(right);
            assert_eq!(answer, naive_compare(&as_naive(left), &as_naive(right)), "{left:?} {right:?}");
            assert_eq!(answer.reverse(), right.compare(left));
            assert_eq!(answer == Causality::Equal, left == right, "antisymmetry");
        }
    }
}

#[test]
fn comparing_is_transitive_and_merging_is_the_least_upper_bound_on_all_small_clocks() {
    let clocks = all_small_clocks();
    for a in &clocks {
        assert_eq!(merged(a, a), *a, "idempotent");
        for b in &clocks {
            let join = merged(a, b);
            assert_eq!(join, merged(b, a), "commutative");
            assert!(at_most(a, &join) && at_most(b, &join), "an upper bound");
            for c in &clocks {
                assert_eq!(merged(&join, c), merged(a, &merged(b, c)), "associative");
                assert!(!(at_most(a, b) && at_most(b, c)) || at_most(a, c), "transitive");
                assert!(!(at_most(a, c) && at_most(b, c)) || at_most(&join, c), "the least one");
            }
        }
    }
}

#[test]
fn a_zero_is_never_stored_and_nothing_is_lowered() {
    let mut clock = VClock::new();
    clock.observe("a", 0);
    assert!(clock.is_empty());
    clock.observe("a", 5);
    clock.observe("a", 3);
    clock.observe("a", 0);
    assert_eq!((clock.get(&"a"), clock.get(&"b"), clock.len()), (5, 0, 1));
}

#[test]
fn a_forged_maximal_counter_is_an_error_at_the_next_increment() {
    let mut clock = clock(&[(1, 4), (9, u64::MAX)]);
    let before = clock.clone();
    assert_eq!(clock.increment(9), Err(Error::Overflow));
    assert_eq!(clock, before);
    assert_eq!(clock.increment(1), Ok(5), "other actors go on");
}

#[test]
fn pruning_drops_the_oldest_first_and_ties_by_actor() {
    let updated = BTreeMap::from([(1_u64, 50), (2, 10), (3, 10), (4, 70), (5, 10)]);
    let full = clock(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    let left_after = |keep| {
        let mut pruned = full.clone();
        assert_eq!(pruned.prune(keep, |actor, _| updated[actor]), 5_usize.saturating_sub(keep));
        pruned.iter().map(|(actor, _)| *actor).collect::<Vec<_>>()
    };
    assert_eq!(left_after(9), [1, 2, 3, 4, 5]);
    assert_eq!(left_after(5), [1, 2, 3, 4, 5]);
    assert_eq!(left_after(4), [1, 3, 4, 5]);
    assert_eq!(left_after(3), [1, 4, 5]);
    assert_eq!(left_after(2), [1, 4]);
    assert_eq!(left_after(1), [4]);
    assert!(left_after(0).is_empty());
}

/// Ten thousand coordinators take turns; the bound holds, and no update ever looks older than the one before.
#[test]
fn a_pruned_clock_stays_bounded_and_never_looks_older_than_its_ancestor() {
    let mut clock = VClock::new();
    let mut updated = BTreeMap::new();
    for update in 0_u64..30_000 {
        let before = clock.clone();
        let actor = update * 7_919 % 10_000;
        clock.increment(actor).unwrap();
        updated.insert(actor, update);
        clock.prune(10, |actor, _| updated[actor]);
        assert!(clock.len() <= 10);
        assert!(matches!(clock.compare(&before), Causality::After | Causality::Concurrent));
    }
}

fn naive_clock() -> impl Strategy<Value = Naive> {
    prop::collection::btree_map(0_u64..12, 1_u64..6, 0..10)
}

proptest! {
    #[test]
    fn larger_clocks_agree_with_the_naive_map(left in naive_clock(), right in naive_clock()) {
        let (l, r): (VClock<u64>, VClock<u64>) = (left.clone().into_iter().collect(), right.clone().into_iter().collect());
        prop_assert_eq!(as_naive(&l), left.clone());
        prop_assert_eq!(l.compare(&r), naive_compare(&left, &right));

        let mut union = left;
        for (actor, counter) in right {
            let slot = union.entry(actor).or_default();
            *slot = counter.max(*slot);
        }
        prop_assert_eq!(as_naive(&merged(&l, &r)), union);
    }

    #[test]
    fn encoding_round_trips(entries in prop::collection::btree_map(any::<u64>(), 1..=u64::MAX, 0..20)) {
        let clock: VClock<u64> = entries.into_iter().collect();
        let mut bytes = vec![];
        clock.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), clock.encoded_len());
        prop_assert_eq!(VClock::decode(&bytes), Ok(clock));
    }
}
