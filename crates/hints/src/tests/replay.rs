//! Reading back and sending: order, windows, throttle, failures, and writes that race with it.

use std::vec::Vec;

use super::{Bench, ms, read, send, sends};
use crate::{Config, Effect, Input, Kind};

#[test]
fn nothing_is_read_or_sent_until_the_target_is_up() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 3);
    assert_eq!(bench.next(), None);
    assert!(bench.wait_until(100_000).is_empty());
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, seqs[0].before(), 256)]);
    // Again is no news.
    assert!(bench.tell(Input::Up('a')).is_empty());
    assert_eq!(bench.rows('a', 1, &seqs, false), sends('a', 1, &seqs));
    for seq in &seqs {
        assert!(bench.delivered('a', 1, *seq).is_empty());
    }
    assert!(bench.hints.is_empty() && bench.hints.summaries().next().is_none());
    assert_eq!(bench.next(), None);
}

#[test]
fn the_partition_with_the_oldest_hint_comes_first() {
    let mut bench = Bench::new(Config { page: 2, ..Config::default() });
    let (first, second) = (bench.owed('a', 7, 2), bench.owed('a', 3, 3));
    let last = bench.owed('a', 7, 1);
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 7, first[0].before(), 2)]);
    let out = bench.rows('a', 7, &first, true);
    // Partition 7 has more, but what partition 3 has is older.
    assert_eq!(out, [sends('a', 7, &first), [read('a', 3, second[0].before(), 2)].to_vec()].concat());
    let out = bench.rows('a', 3, &second[..2], true);
    assert_eq!(out, [sends('a', 3, &second[..2]), [read('a', 7, Some(first[1]), 2)].to_vec()].concat());
    let out = bench.rows('a', 7, &last, false);
    assert_eq!(out, [send('a', 7, last[0]), read('a', 3, Some(second[1]), 2)]);
    assert_eq!(bench.rows('a', 3, &second[2..], false), sends('a', 3, &second[2..]));
}

#[test]
fn no_more_than_the_window_is_in_flight_and_a_page_is_read_when_the_last_is_used_up() {
    let mut bench = Bench::new(Config { in_flight: 2, page: 3, ..Config::default() });
    let seqs = bench.owed('a', 1, 4);
    bench.tell(Input::Up('a'));
    assert_eq!(bench.rows('a', 1, &seqs[..3], true), sends('a', 1, &seqs[..2]));
    // Any of them may be answered first.
    assert_eq!(bench.delivered('a', 1, seqs[1]), [send('a', 1, seqs[2])]);
    // The window is full: a page that nobody can send is not read.
    assert_eq!(bench.delivered('a', 1, seqs[0]), [read('a', 1, Some(seqs[2]), 3)]);
    assert_eq!(bench.rows('a', 1, &seqs[3..], false), [send('a', 1, seqs[3])]);
    assert_eq!(bench.hints.len(), 2);
}

#[test]
fn the_rate_holds_over_all_targets_and_turns_go_round() {
    // The bucket gives 100 bytes at once, and then a hint of ten bytes each 10 ms.
    let mut bench = Bench::new(Config { bytes_per_second: 1000, ..Config::default() });
    for target in ['a', 'b', 'c'] {
        let seqs = bench.owed(target, 1, 20);
        bench.tell(Input::Down(target));
        bench.hints.handle(ms(1), 1, Input::Up(target), &mut Vec::new());
        if target != 'c' {
            // Up to here only 'a' has something to send; what 'b' has waits for its turn.
            let sent = bench.rows(target, 1, &seqs, false).len();
            assert_eq!(sent, if target == 'a' { 11 } else { 0 });
        } else {
            assert!(bench.rows(target, 1, &seqs, false).is_empty());
        }
    }
    let mut order = Vec::new();
    for _ in 0..9 {
        let next = bench.next().expect("there is more to send");
        let out = bench.wait_until(u64::try_from(next.as_millis()).expect("a small number"));
        assert!(matches!(out[..], [Effect::Send { .. }]), "{out:?}");
        order.extend(out.into_iter().map(|it| match it {
            Effect::Send { target, .. } => (target, bench.now),
            other => panic!("{other:?}"),
        }));
    }
    let targets: Vec<char> = order.iter().map(|it| it.0).collect();
    assert_eq!(targets, ['b', 'c', 'a', 'b', 'c', 'a', 'b', 'c', 'a']);
    assert_eq!((order[0].1, order[8].1), (11, 91));
}

#[test]
fn a_failed_target_is_left_alone_for_longer_each_time_and_a_success_resets_that() {
    let mut bench = Bench::new(Config { in_flight: 3, ..Config::default() });
    let seqs = bench.owed('a', 1, 5);
    bench.tell(Input::Up('a'));
    bench.rows('a', 1, &seqs, false);
    let mut at = bench.now;
    for pause in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
        // What was in flight together fails together, and counts once.
        for seq in &seqs[..3] {
            assert!(bench.failed('a', 1, *seq).is_empty());
        }
        at += pause;
        assert_eq!(bench.next(), Some(ms(at)));
        assert!(bench.wait_until(at - 1).is_empty());
        // What failed is first in line.
        assert_eq!(bench.wait_until(at), sends('a', 1, &seqs[..3]));
    }
    assert_eq!(bench.failed('a', 1, seqs[1]).len(), 0);
    // A success does not cut the pause short that another failure began.
    assert!(bench.delivered('a', 1, seqs[0]).is_empty());
    assert_eq!(bench.next(), Some(ms(at + 30_000)));
    assert_eq!(bench.wait_until(at + 30_000), sends('a', 1, &[seqs[1], seqs[3]]));
    bench.failed('a', 1, seqs[3]);
    assert_eq!(bench.next(), Some(ms(at + 30_500)));
    // Word that it is up does.
    assert_eq!(bench.tell(Input::Up('a')), [send('a', 1, seqs[3])]);
}

#[test]
fn a_target_that_goes_down_is_sent_nothing_until_it_is_up_and_then_what_failed_first() {
    let mut bench = Bench::new(Config { in_flight: 2, ..Config::default() });
    let seqs = bench.owed('a', 1, 4);
    bench.tell(Input::Up('a'));
    bench.rows('a', 1, &seqs, false);
    assert!(bench.tell(Input::Down('a')).is_empty());
    assert!(bench.failed('a', 1, seqs[1]).is_empty());
    assert_eq!(bench.next(), None);
    // The other one is still in flight, and is not sent twice. What was read is read again.
    let out = bench.tell(Input::Up('a'));
    assert_eq!(out, [send('a', 1, seqs[1])]);
    // It failed before the target was up, so that this failure says nothing about it now.
    assert_eq!(bench.failed('a', 1, seqs[0]), [send('a', 1, seqs[0])]);
    assert_eq!(bench.delivered('a', 1, seqs[1]), [read('a', 1, Some(seqs[1]), 256)]);
    assert_eq!(bench.rows('a', 1, &seqs[2..], false), [send('a', 1, seqs[2])]);
    assert_eq!(bench.delivered('a', 1, seqs[0]), [send('a', 1, seqs[3])]);
}

#[test]
fn a_page_that_comes_after_the_target_went_down_is_not_used() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 2);
    bench.tell(Input::Up('a'));
    bench.tell(Input::Down('a'));
    assert!(bench.rows('a', 1, &seqs, false).is_empty());
    assert_eq!(bench.hints.len(), 2);
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, seqs[0].before(), 256)]);
}

#[test]
fn a_changed_hint_stays_and_is_sent_again() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 1);
    bench.tell(Input::Up('a'));
    bench.rows('a', 1, &seqs, false);
    bench.hints.grew(&'a', &1, seqs[0], (10, Kind::Owed), (25, Kind::Owed));
    let changed = Input::Changed { target: 'a', partition: 1, seq: seqs[0] };
    assert_eq!(bench.tell(changed), [send('a', 1, seqs[0])]);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (1, 25));
    bench.delivered('a', 1, seqs[0]);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (0, 0));
}

#[test]
fn hints_taken_during_the_replay_are_found_by_later_reads() {
    let mut bench = Bench::new(Config { page: 2, ..Config::default() });
    let mut seqs = bench.owed('a', 1, 2);
    bench.tell(Input::Up('a'));
    seqs.extend(bench.owed('a', 1, 1));
    // The page was read before.
    let out = bench.rows('a', 1, &seqs[..2], false);
    assert_eq!(out, sends('a', 1, &seqs[..2]));
    let again = bench.next().expect("it is read again");
    let out = bench.wait_until(u64::try_from(again.as_millis()).expect("a small number"));
    assert_eq!(out, [read('a', 1, Some(seqs[1]), 2)]);
    assert_eq!(bench.rows('a', 1, &seqs[2..], false), [send('a', 1, seqs[2])]);
    for seq in seqs {
        bench.delivered('a', 1, seq);
    }
    assert!(bench.hints.is_empty());
    // The first hint for a target that is up is looked for at once.
    let seq = bench.take('a', 2, 10, Kind::Spare);
    assert_eq!(bench.next(), Some(ms(bench.now)));
    assert_eq!(bench.wait_until(bench.now), [read('a', 2, seq.before(), 2)]);
}

#[test]
fn a_failed_read_is_tried_again_after_a_while() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 1);
    bench.tell(Input::Up('a'));
    assert!(bench.tell(Input::PageFailed { target: 'a', partition: 1 }).is_empty());
    assert_eq!(bench.next(), Some(ms(501)));
    assert_eq!(bench.wait_until(501), [read('a', 1, seqs[0].before(), 256)]);
}
