//! What is taken, how it is counted, and what is summed up.

use std::vec::Vec;

use super::{Bench, read, send};
use crate::{Config, Input, Kind, Seq, Summary, Taken};

#[test]
fn hints_are_taken_until_the_bytes_are_used_up_and_again_when_there_is_room() {
    let mut bench = Bench::new(Config { bytes: 100, ..Config::default() });
    let first = bench.take('a', 1, 60, Kind::Owed);
    bench.take('b', 1, 40, Kind::Spare);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (2, 100));
    assert_eq!(bench.hints.take(1, 'a', 1, 1, Kind::Owed), Taken::Refused);
    assert_eq!(bench.hints.take(1, 'c', 1, 1, Kind::Owed), Taken::Refused);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (2, 100));

    bench.tell(Input::Up('a'));
    let rows = [(first, 60, Kind::Owed)].to_vec();
    let out = bench.tell(Input::Page { target: 'a', partition: 1, rows, more: false });
    assert_eq!(out, [send('a', 1, first)]);
    bench.delivered('a', 1, first);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (1, 40));
    assert_ne!(bench.hints.take(1, 'c', 1, 60, Kind::Owed), Taken::Refused);
}

#[test]
fn a_refused_spare_hint_makes_its_partition_dirty_and_a_refused_owed_one_does_not() {
    let mut bench = Bench::new(Config { bytes: 10, ..Config::default() });
    for kind in [Kind::Owed, Kind::Spare, Kind::Spare] {
        assert_eq!(bench.hints.take(1, 'b', 4, 11, kind), Taken::Refused);
    }
    assert_eq!(bench.hints.take(1, 'a', 9, 11, Kind::Spare), Taken::Refused);
    assert_eq!(bench.hints.take(1, 'a', 8, 11, Kind::Owed), Taken::Refused);
    assert_eq!(bench.hints.take_dirty(), [('a', 9), ('b', 4)]);
    assert!(bench.hints.take_dirty().is_empty());
    assert!(bench.hints.is_empty());
}

#[test]
fn a_merged_write_changes_the_size_and_may_make_a_hint_owed() {
    let mut bench = Bench::new(Config { bytes: 100, ..Config::default() });
    let seq = bench.take('a', 1, 60, Kind::Spare);
    bench.hints.grew(&'a', &1, seq, (60, Kind::Spare), (110, Kind::Owed));
    let summary = |count, bytes, owed| Summary { target: 'a', count, bytes, owed, oldest: Some(seq) };
    assert_eq!(bench.hints.summaries().collect::<Vec<_>>(), [summary(1, 110, 1)]);
    // It was not refused, but nothing is taken on top of it.
    assert_eq!(bench.hints.take(1, 'a', 1, 1, Kind::Owed), Taken::Refused);
    // What is owed stays owed.
    bench.hints.grew(&'a', &1, seq, (110, Kind::Owed), (30, Kind::Spare));
    assert_eq!(bench.hints.summaries().collect::<Vec<_>>(), [summary(1, 30, 1)]);
    // What is not kept does not grow.
    bench.hints.grew(&'a', &2, seq, (0, Kind::Spare), (30, Kind::Owed));
    bench.hints.grew(&'b', &1, seq, (0, Kind::Spare), (30, Kind::Owed));
    assert_eq!(bench.hints.bytes(), 30);
}

#[test]
fn recovered_hints_are_counted_and_numbers_go_on_above_them() {
    let mut bench = Bench::new(Config::default());
    let seq = Seq(5_000 << 20);
    let out = bench.tell(Input::Recovered { target: 'a', partition: 3, seq, bytes: 70, kind: Kind::Owed });
    assert!(out.is_empty());
    let recovered = Summary { target: 'a', count: 1, bytes: 70, owed: 1, oldest: Some(seq) };
    assert_eq!(bench.hints.summaries().collect::<Vec<_>>(), [recovered]);
    // The wall clock of this process is behind.
    assert_eq!(bench.take('a', 3, 1, Kind::Spare), Seq(seq.0 + 1));
}

#[test]
fn summaries_are_per_target_and_know_the_oldest() {
    let mut bench = Bench::new(Config::default());
    let first = bench.take('b', 2, 10, Kind::Spare);
    bench.now = 5;
    let second = bench.take('a', 2, 20, Kind::Owed);
    bench.take('b', 1, 30, Kind::Owed);
    bench.tell(Input::Up('c'));
    let a = Summary { target: 'a', count: 1, bytes: 20, owed: 1, oldest: Some(second) };
    let b = Summary { target: 'b', count: 2, bytes: 40, owed: 1, oldest: Some(first) };
    assert_eq!(bench.hints.summaries().collect::<Vec<_>>(), [a, b]);
    assert_eq!((first.unix_ms(), second.unix_ms()), (1, 5));
}

#[test]
fn a_forgotten_target_is_not_counted_and_its_answers_are_ignored() {
    let mut bench = Bench::new(Config { bytes: 20, ..Config::default() });
    let seqs = bench.owed('a', 1, 2);
    bench.hints.take(1, 'a', 1, 10, Kind::Spare);
    bench.tell(Input::Up('a'));
    assert_eq!(bench.rows('a', 1, &seqs, false).len(), 2);
    assert!(bench.tell(Input::Forgotten('a')).is_empty());
    assert_eq!((bench.hints.len(), bench.hints.bytes(), bench.next()), (0, 0, None));
    assert!(bench.hints.take_dirty().is_empty());
    assert!(bench.delivered('a', 1, seqs[0]).is_empty() && bench.failed('a', 1, seqs[1]).is_empty());

    // Its name may be used again: for a target that is down until it is said to be up.
    let again = bench.owed('a', 1, 1);
    assert_eq!((bench.hints.len(), bench.next()), (1, None));
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, again[0].before(), 256)]);
}
