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
fn pruning_drops_the_oldest() {
    let mut context = Context::from_iter([(1, t(40)), (2, t(20)), (3, t(20)), (4, t(70))]);
    assert_eq!(context.prune(3), 1);
    assert_eq!(times(&context), [(1, 40), (3, 20), (4, 70)]);
    assert_eq!(context.prune(1), 2);
    assert_eq!(times(&context), [(4, 70)]);
    assert_eq!(context.prune(1), 0);
}

#[test]
fn the_newest_time_is_that_of_all_actors() {
    assert_eq!(Context::<u64>::new().newest(), Timestamp::MIN);
    assert_eq!(Context::from_iter([(1, t(40)), (2, t(70)), (3, t(20))]).newest(), t(70));
}

/// What a client carries for a key that three random actors wrote lately, with the rest of its token: a version byte, the
/// keyspace as a varint of up to two bytes, and a MAC of eight.
#[test]
fn a_token_with_three_actors_fits_64_bytes() {
    let rest = 1 + 2 + 8;
    let minute = 60 * 1_000;
    let actors = [0xD3A1_77C0_19BE_5F24, 0x0102_0304_0506_0708, u64::MAX];
    let encoded_len = |ages_ms: [u64; 3]| {
        let now_ms = 1_800_000_000_000;
        let entry = |(actor, age): (u64, u64)| (actor, Timestamp::from_parts(now_ms - age, (age % 7) as u16));
        let context: Context<u64> = actors.into_iter().zip(ages_ms).map(entry).collect();
        let mut bytes = vec![];
        context.encode(&mut bytes);
        assert_eq!(bytes.len(), context.encoded_len());
        bytes.len()
    };
    let hour = 60 * minute;
    let year = 366 * 24 * hour;
    assert_eq!([[0, 40, 5 * minute], [hour, 0, hour], [0, year, year]].map(encoded_len), [43, 46, 50]);
    // Half a century, and clocks that started at nought.
    assert_eq!([[0, 50 * year, 50 * year], [0, 1_800_000_000_000, 1_799_999_999_999]].map(encoded_len), [52, 52]);
    assert!(encoded_len([0, 50 * year, 50 * year]) + rest <= 64);
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
    fn merging_is_a_join_and_comparing_is_its_order(a in contexts(), b in contexts(), c in contexts()) {
        let merged = |left: &Context<u64>, right: &Context<u64>| {
            let mut merged = left.clone();
            merged.merge(right);
            merged
        };
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &a), a.clone());
        let order = match (merged(&a, &b) == b, merged(&a, &b) == a) {
            (true, true) => Causality::Equal,
            (true, false) => Causality::Before,
            (false, true) => Causality::After,
            (false, false) => Causality::Concurrent,
        };
        prop_assert_eq!(a.compare(&b), order);
        prop_assert_eq!(b.compare(&a), order.reverse());
    }

    #[test]
    fn collecting_at_once_or_one_by_one_is_the_same(entries in prop::collection::vec((0_u64..6, (0_u64..9).prop_map(t)), 0..12)) {
        let mut extended = Context::new();
        extended.extend(entries.iter().copied());
        prop_assert_eq!(Context::from_iter(entries), extended);
    }

    #[test]
    fn encoding_round_trips(entries in prop::collection::vec((any::<u64>(), any::<u64>().prop_map(t)), 0..20)) {
        let context = Context::from_iter(entries);
        let mut bytes = vec![];
        context.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), context.encoded_len());
        prop_assert_eq!(Context::decode(&bytes), Ok(context));
    }
}
