//! What a context covers, and what it may forget.

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

fn t(bits: u64) -> Timestamp {
    Timestamp::from_bits(bits)
}

fn times(context: &Context<u64>) -> Vec<(u64, u64)> {
    context.iter().map(|(actor, time)| (*actor, time.to_bits())).collect()
}

#[test]
fn collecting_sorts_keeps_the_largest_time_and_drops_nothingness() {
    let context = Context::from_iter([(3, t(1)), (1, t(4)), (3, t(9)), (2, Timestamp::MIN), (3, t(5))]);
    assert_eq!(times(&context), [(1, 4), (3, 9)]);
    assert_eq!((context.len(), context.is_empty()), (2, false));
}

#[test]
fn it_covers_every_dot_up_to_its_time_and_no_other() {
    let context = Context::from_iter([(1, t(4))]);
    let covers = |actor, bits| context.covers(&Dot { actor, time: t(bits) });
    assert!(covers(1, 1) && covers(1, 4));
    assert!(!covers(1, 5) && !covers(2, 1));
}

#[test]
fn forgetting_drops_what_is_stable_and_pruning_the_oldest() {
    let full = Context::from_iter([(1, t(40)), (2, t(20)), (3, t(20)), (4, t(70))]);

    let mut context = full.clone();
    assert_eq!(context.forget(t(20)), 2);
    assert_eq!(times(&context), [(1, 40), (4, 70)]);

    let mut context = full.clone();
    assert_eq!(context.prune(3), 1);
    assert_eq!(times(&context), [(1, 40), (3, 20), (4, 70)]);
    assert_eq!(context.prune(1), 2);
    assert_eq!(times(&context), [(4, 70)]);
    assert_eq!(context.prune(1), 0);
}

fn contexts() -> impl Strategy<Value = Context<u64>> {
    prop::collection::vec((0_u64..6, (0_u64..9).prop_map(t)), 0..8).prop_map(Context::from_iter)
}

proptest! {
    #[test]
    fn merging_covers_exactly_what_either_side_covers(left in contexts(), right in contexts()) {
        let mut merged = left.clone();
        merged.merge(&right);
        for actor in 0..6 {
            for bits in 1..9 {
                let dot = Dot { actor, time: t(bits) };
                prop_assert_eq!(merged.covers(&dot), left.covers(&dot) || right.covers(&dot));
            }
        }
        let mut reverse = right;
        reverse.merge(&left);
        prop_assert_eq!(merged, reverse);
    }

    #[test]
    fn encoding_round_trips(entries in prop::collection::vec((any::<u64>(), any::<u64>().prop_map(t)), 0..20)) {
        let context = Context::from_iter(entries);
        let mut bytes = vec![];
        context.encode(&mut bytes);
        prop_assert_eq!(Context::decode(&bytes), Ok(context));
    }
}
