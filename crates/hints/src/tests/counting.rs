//! Counters and rows that disagree: rows not visible yet, not counted, found late, or not there.

use std::vec::Vec;

use super::{Bench, read, send, sends};
use crate::{Config, Input, Kind, Seq};

#[test]
fn a_write_that_merges_while_its_row_is_read_is_counted_as_it_is_by_then() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 2);
    bench.tell(Input::Up('a'));
    bench.hints.grew(&'a', &1, seqs[0], (10, Kind::Owed), (35, Kind::Owed));
    bench.rows('a', 1, &seqs, false);
    bench.delivered('a', 1, seqs[0]);
    assert_eq!(bench.hints.bytes(), 10);
}

#[test]
fn an_empty_page_sets_the_counters_of_recovered_hints_right_without_looping() {
    let mut bench = Bench::new(Config::default());
    let mut seqs = Vec::new();
    for number in 1..=3 {
        seqs.push(Seq(number << 20));
        let (target, partition, seq) = ('a', 1, Seq(number << 20));
        bench.tell(Input::Recovered { target, partition, seq, bytes: 10, kind: Kind::Owed });
        // Reported twice: by a crash between the two rows of a hint, say.
        bench.tell(Input::Recovered { target, partition, seq, bytes: 10, kind: Kind::Spare });
    }
    bench.tell(Input::Up('a'));
    let out = bench.rows('a', 1, &seqs[1..], false);
    assert_eq!(out, sends('a', 1, &seqs[1..]));
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (2, 20));
    bench.delivered('a', 1, seqs[1]);
    bench.delivered('a', 1, seqs[2]);

    let (target, partition, seq) = ('a', 2, Seq(9 << 20));
    bench.tell(Input::Recovered { target, partition, seq, bytes: 10, kind: Kind::Owed });
    assert!(bench.rows('a', 2, &[], false).is_empty());
    assert!(bench.hints.is_empty());
    assert_eq!(bench.next(), None);
}

#[test]
fn hints_just_taken_that_no_read_sees_are_looked_for_during_a_minute() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 1);
    let mut out = bench.tell(Input::Up('a'));
    let mut reads = 0;
    while !bench.hints.is_empty() {
        assert_eq!(out, [read('a', 1, seqs[0].before(), 256)]);
        reads += 1;
        assert!(bench.rows('a', 1, &[], false).is_empty());
        if let Some(next) = bench.next() {
            out = bench.wait_until(u64::try_from(next.as_millis()).expect("a small number"));
        }
    }
    assert_eq!((reads, bench.now), (121, 60_001));
    assert_eq!(bench.next(), None);
}

#[test]
fn further_hints_do_not_make_reads_for_invisible_ones_more_frequent() {
    let mut bench = Bench::new(Config::default());
    let seqs = bench.owed('a', 1, 1);
    bench.tell(Input::Up('a'));
    bench.rows('a', 1, &[], false);
    for now in 2..501 {
        bench.now = now;
        bench.owed('a', 1, 1);
        assert!(bench.wait_until(now).is_empty());
    }
    assert_eq!(bench.wait_until(501), [read('a', 1, seqs[0].before(), 256)]);
    // They are as young as the youngest.
    bench.wait_until(60_400);
    bench.rows('a', 1, &[], false);
    assert_eq!(bench.hints.len(), 500);
}

#[test]
fn rows_that_nobody_counted_are_counted_and_delivered() {
    let mut bench = Bench::new(Config { page: 2, ..Config::default() });
    let seqs: Vec<Seq> = (1..=3).map(Seq).collect();
    let (target, partition) = ('a', 1);
    bench.tell(Input::Recovered { target, partition, seq: seqs[0], bytes: 10, kind: Kind::Owed });
    bench.tell(Input::Up('a'));
    let out = bench.rows('a', 1, &seqs[..2], true);
    assert_eq!(out, [sends('a', 1, &seqs[..2]), [read('a', 1, Some(seqs[1]), 2)].to_vec()].concat());
    assert_eq!(bench.hints.len(), 2);
    // The end is not forgotten when all that is counted has been delivered.
    bench.delivered('a', 1, seqs[0]);
    bench.delivered('a', 1, seqs[1]);
    assert_eq!(bench.rows('a', 1, &seqs[2..], false), sends('a', 1, &seqs[2..]));
    bench.delivered('a', 1, seqs[2]);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (0, 0));
}

#[test]
fn a_hint_recovered_behind_what_was_read_is_read_again() {
    let mut bench = Bench::new(Config::default());
    let late = Input::Recovered { target: 'a', partition: 1, seq: Seq(2), bytes: 10, kind: Kind::Owed };
    bench.tell(Input::Recovered { target: 'a', partition: 1, seq: Seq(5), bytes: 10, kind: Kind::Owed });
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, Some(Seq(4)), 256)]);
    bench.tell(late);
    // The answer to the read before does not move the reader past it.
    assert_eq!(bench.rows('a', 1, &[Seq(5)], false), [read('a', 1, Some(Seq(1)), 256)]);
    assert_eq!(bench.rows('a', 1, &[Seq(2), Seq(5)], false), sends('a', 1, &[Seq(2), Seq(5)]));
    let late = Input::Recovered { target: 'a', partition: 1, seq: Seq(3), bytes: 10, kind: Kind::Owed };
    assert_eq!(bench.tell(late), [read('a', 1, Some(Seq(2)), 256)]);
    assert_eq!(bench.rows('a', 1, &[Seq(3), Seq(5)], false), [send('a', 1, Seq(3))]);
    assert_eq!(bench.hints.len(), 3);
}

#[test]
fn a_page_of_hints_that_are_in_flight_is_passed_over() {
    let mut bench = Bench::new(Config { page: 1, ..Config::default() });
    let found = |number| Input::Recovered { target: 'a', partition: 1, seq: Seq(number), bytes: 10, kind: Kind::Owed };
    bench.tell(found(5));
    bench.tell(found(9));
    bench.tell(Input::Up('a'));
    assert_eq!(bench.rows('a', 1, &[Seq(5)], true), [send('a', 1, Seq(5)), read('a', 1, Some(Seq(5)), 1)]);
    bench.tell(found(3));
    assert_eq!(bench.rows('a', 1, &[Seq(9)], false), [read('a', 1, Some(Seq(2)), 1)]);
    assert_eq!(bench.rows('a', 1, &[Seq(3)], true), [send('a', 1, Seq(3)), read('a', 1, Some(Seq(3)), 1)]);
    assert_eq!(bench.rows('a', 1, &[Seq(5)], true), [read('a', 1, Some(Seq(5)), 1)]);
    assert_eq!(bench.rows('a', 1, &[Seq(9)], false), [send('a', 1, Seq(9))]);
}

#[test]
fn rows_known_only_from_a_page_are_not_forgotten_while_the_target_is_down() {
    let mut bench = Bench::new(Config { page: 1, ..Config::default() });
    let (target, partition, seq) = ('a', 1, Seq(5));
    bench.tell(Input::Recovered { target, partition, seq, bytes: 10, kind: Kind::Owed });
    bench.tell(Input::Up('a'));
    bench.rows('a', 1, &[seq], true);
    bench.delivered('a', 1, seq);
    bench.tell(Input::Down('a'));
    assert!(bench.rows('a', 1, &[Seq(6)], false).is_empty() && bench.hints.is_empty());
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, Some(seq), 1)]);
    assert_eq!(bench.rows('a', 1, &[Seq(6)], false), [send('a', 1, Seq(6))]);
    assert_eq!(bench.hints.len(), 1);
}
