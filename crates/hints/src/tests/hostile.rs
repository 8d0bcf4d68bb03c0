//! Inputs that make no sense, and numbers out of all proportion.

use core::time::Duration;
use std::vec::Vec;

use proptest::prelude::*;

use super::{Bench, ms, read, send};
use crate::{Config, Effect, Hints, Input, Kind, Seq, Taken};

#[test]
fn answers_that_nobody_waits_for_are_ignored() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 3);
    let page = |target, partition| {
        let rows = [(Seq(1), 5, Kind::Owed)].to_vec();
        Input::Page { target, partition, rows, more: true }
    };
    assert!(bench.tell(page('a', 1)).is_empty() && bench.tell(page('b', 1)).is_empty());
    bench.tell(Input::Up('a'));
    assert!(bench.tell(page('a', 2)).is_empty());
    assert!(bench.tell(Input::PageFailed { target: 'a', partition: 2 }).is_empty());
    assert_eq!(bench.rows('a', 1, &seqs, false).len(), 3);
    assert!(bench.rows('a', 1, &seqs, false).is_empty());
    let seq = seqs[0];
    bench.delivered('a', 1, seq);
    for input in [
        Input::Delivered { target: 'a', partition: 1, seq },
        Input::Failed { target: 'a', partition: 1, seq },
        Input::Changed { target: 'a', partition: 1, seq },
        Input::Delivered { target: 'a', partition: 2, seq: seqs[1] },
        Input::Delivered { target: 'z', partition: 1, seq: seqs[1] },
        Input::Down('z'),
        Input::Forgotten('z'),
    ] {
        assert!(bench.tell(input).is_empty());
        assert_eq!((bench.hints.len(), bench.hints.bytes(), bench.next()), (2, 20, None));
    }
}

#[test]
fn rows_out_of_order_or_before_the_page_are_left_out() {
    let mut bench = Bench::new(Config { page: 3, ..Config::default() });
    bench.now = 1000;
    let seqs = bench.owed('a', 1, 3);
    bench.tell(Input::Up('a'));
    let out = bench.rows('a', 1, &[Seq(7), seqs[1], seqs[0], seqs[2]], false);
    // The fourth row is more than was asked for.
    assert_eq!(out, [send('a', 1, seqs[1]), read('a', 1, Some(seqs[1]), 3)]);
    // An end without a row is an end.
    assert!(bench.rows('a', 1, &[Seq(7)], true).is_empty());
    assert_eq!(bench.next(), Some(ms(1500)));
}

#[test]
fn numbers_that_are_used_up_refuse_hints_and_time_that_goes_back_stands_still() {
    let mut bench = Bench::new(Config::default());
    let (target, partition, seq) = ('a', 1, Seq(u64::MAX));
    bench.tell(Input::Recovered { target, partition, seq, bytes: u32::MAX, kind: Kind::Spare });
    assert_eq!(bench.hints.take(1, 'a', 1, 1, Kind::Owed), Taken::Refused);
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, seq.before(), 256)]);
    let rows = [(seq, u32::MAX, Kind::Spare)].to_vec();
    assert_eq!(bench.tell(Input::Page { target, partition, rows, more: true })[0], send('a', 1, seq));
    bench.wait_until(5000);
    bench.now = 10;
    bench.failed('a', 1, seq);
    assert_eq!(bench.next(), Some(ms(5500)));
}

fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 20), any::<u64>()]
}

fn input() -> impl Strategy<Value = Input<u8, u8>> {
    let kind = || prop_oneof![Just(Kind::Owed), Just(Kind::Spare)];
    let row = (edge(), any::<u32>(), kind()).prop_map(|(seq, bytes, kind)| (Seq(seq), bytes, kind));
    let place = || (0..2_u8, 0..2_u8, edge().prop_map(Seq));
    prop_oneof![
        (place(), any::<u32>(), kind()).prop_map(|((target, partition, seq), bytes, kind)| Input::Recovered {
            target,
            partition,
            seq,
            bytes,
            kind
        }),
        (0..2_u8).prop_map(Input::Up),
        (0..2_u8).prop_map(Input::Down),
        (0..2_u8).prop_map(Input::Forgotten),
        (place(), proptest::collection::vec(row, 0..6), any::<bool>())
            .prop_map(|((target, partition, _), rows, more)| Input::Page { target, partition, rows, more }),
        place().prop_map(|(target, partition, _)| Input::PageFailed { target, partition }),
        place().prop_map(|(target, partition, seq)| Input::Delivered { target, partition, seq }),
        place().prop_map(|(target, partition, seq)| Input::Changed { target, partition, seq }),
        place().prop_map(|(target, partition, seq)| Input::Failed { target, partition, seq }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever it is told, and whenever: nothing panics, every sum stays the sum of its parts, and
    /// nothing is sent twice at once.
    #[test]
    fn nothing_breaks_whatever_is_said(
        inputs in proptest::collection::vec((edge(), edge(), input()), 0..60),
        in_flight in 0..3_usize,
        page in 0..4_usize,
        seconds in edge(),
    ) {
        let retry_after = Duration::from_secs(seconds);
        let config = Config { in_flight, page, retry_after, max_age: retry_after, bytes_per_second: seconds, bytes: seconds };
        let mut hints = Hints::new(config);
        let mut in_flight: Vec<(u8, u8, Seq)> = Vec::new();
        for (now, unix_ms, input) in inputs {
            match &input {
                Input::Delivered { target, partition, seq }
                | Input::Changed { target, partition, seq }
                | Input::Failed { target, partition, seq } => in_flight.retain(|it| *it != (*target, *partition, *seq)),
                Input::Forgotten(target) => in_flight.retain(|it| it.0 != *target),
                _ => {}
            }
            let mut out = Vec::new();
            hints.handle(Duration::from_millis(now), unix_ms, input, &mut out);
            for effect in out {
                if let Effect::Send { target, partition, seq } | Effect::Drop { target, partition, seq } = effect {
                    prop_assert!(!in_flight.contains(&(target, partition, seq)), "{effect:?}");
                    in_flight.push((target, partition, seq));
                }
            }
            hints.take(unix_ms, 1, 1, u32::MAX, Kind::Spare);
            hints.grew(&1, &1, Seq(now), (u32::MAX, Kind::Spare), (0, Kind::Owed));
            hints.next_timeout();
            hints.assert_consistent();
        }
    }
}
