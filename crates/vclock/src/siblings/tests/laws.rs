//! The laws of merging and comparing, held against the plainest form of a record.

use super::*;
use crate::Causality;

/// Every record of one actor with times up to three, and of two actors with times up to two.
#[test]
fn merging_agrees_with_the_definition_on_all_small_records() {
    let states = |limit: u64| {
        let mut states = BTreeSet::new();
        for discard in 0..=limit {
            for subset in 0_u64..1 << limit {
                let times: BTreeSet<u64> = (1..=limit).filter(|n| subset >> (n - 1) & 1 == 1 && *n > discard).collect();
                states.insert((discard, times));
            }
        }
        states
    };
    let mut naives: BTreeSet<Naive> = states(3).into_iter().map(|state| Naive::from([(1, state)])).collect();
    for first in states(2) {
        for second in states(2) {
            naives.insert(Naive::from([(1, first.clone()), (2, second)]));
        }
    }
    let records: Vec<_> = naives.iter().map(from_naive).collect();
    assert_eq!(records.len(), 15 + 49);
    for left in &records {
        for right in &records {
            assert_eq!(to_naive(&merged(left, right)), naive_merge(&to_naive(left), &to_naive(right)));
        }
    }
}

proptest! {
    #[test]
    fn merging_commutes_associates_and_is_idempotent(a in records(), b in records(), c in records()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &a), a.clone());
        prop_assert_eq!(to_naive(&merged(&a, &b)), naive_merge(&to_naive(&a), &to_naive(&b)));
        let mut both = a.context();
        both.merge(&b.context());
        prop_assert_eq!(merged(&a, &b).context(), both, "merging sees what either side has seen");
    }

    /// The law that `compare` is documented by.
    #[test]
    fn comparing_is_the_order_of_merging(a in records(), b in records(), c in records()) {
        for (a, b) in [(&a, &b), (&a, &merged(&a, &c)), (&merged(&a, &b), &merged(&b, &c)), (&a, &a)] {
            let join = merged(a, b);
            let order = match (join == *b, join == *a) {
                (true, true) => Causality::Equal,
                (true, false) => Causality::Before,
                (false, true) => Causality::After,
                (false, false) => Causality::Concurrent,
            };
            prop_assert_eq!(a.compare(b), order);
            prop_assert_eq!(b.compare(a), order.reverse());
        }
    }

    /// Whatever the record holds, the new value stands, and of the old ones exactly those that the context does not cover.
    #[test]
    fn an_update_dominates_its_context(record in records(), seen in records(), actor in 0_u64..6) {
        let context = seen.context();
        let mut updated = record.clone();
        let new = Dot { actor, time: t(20) };
        updated.put(&context, new, vec![20]).unwrap();
        let mut left: Vec<_> = record.values().map(|(dot, _)| dot).filter(|dot| !context.covers(dot)).collect();
        left.push(new);
        left.sort_by_key(|dot| (dot.actor, dot.time));
        prop_assert_eq!(updated.values().map(|(dot, _)| dot).collect::<Vec<_>>(), left);
        let after = updated.context();
        prop_assert!(matches!(context.compare(&after), Causality::Before), "the context, and the new dot");
        prop_assert_eq!(record.compare(&updated), Causality::Before);
        // What the context covers stays out, wherever it comes from.
        let mut later = updated.clone();
        later.merge(&seen);
        later.merge(&record);
        prop_assert_eq!(later, updated);
    }
}
