//! Dropping spare hints that are too old, met on the way or swept up while the target is away.

use core::time::Duration;
use std::vec::Vec;

use super::{Bench, drop, ms, read, send};
use crate::{Config, Input, Kind, Seq};

const HOUR: u64 = 60 * 60 * 1000;

fn aged() -> Config {
    Config { max_age: Duration::from_secs(3 * 60 * 60), ..Config::default() }
}

fn page(partition: u8, rows: &[(Seq, Kind)], more: bool) -> Input<char, u8> {
    let rows = rows.iter().map(|(seq, kind)| (*seq, 10, *kind)).collect();
    Input::Page { target: 'a', partition, rows, more }
}

#[test]
fn too_old_spare_hints_are_dropped_when_they_are_met_and_owed_ones_delivered() {
    let mut bench = Bench::new(aged());
    let (spare, owed) = (bench.take('a', 1, 10, Kind::Spare), bench.take('a', 1, 10, Kind::Owed));
    bench.now = 2 * HOUR;
    let young = bench.take('a', 1, 10, Kind::Spare);
    bench.now = 3 * HOUR + 2;
    bench.tell(Input::Up('a'));
    let out = bench.tell(page(1, &[(spare, Kind::Spare), (owed, Kind::Owed), (young, Kind::Spare)], false));
    assert_eq!(out, [drop('a', 1, spare), send('a', 1, owed), send('a', 1, young)]);
    assert_eq!(bench.hints.take_dirty(), [('a', 1)]);
    bench.delivered('a', 1, spare);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (2, 20));
    // Delivering makes nothing dirty.
    bench.delivered('a', 1, owed);
    assert!(bench.hints.take_dirty().is_empty());
}

#[test]
fn a_hint_of_exactly_the_greatest_age_is_still_sent() {
    let mut bench = Bench::new(aged());
    let spare = bench.take('a', 1, 10, Kind::Spare);
    bench.now = 3 * HOUR + 1;
    bench.tell(Input::Up('a'));
    assert_eq!(bench.tell(page(1, &[(spare, Kind::Spare)], false)), [send('a', 1, spare)]);
    // Failed and too old by now: it is not sent again.
    bench.failed('a', 1, spare);
    assert_eq!(bench.wait_until(3 * HOUR + 501), [drop('a', 1, spare)]);
}

#[test]
fn a_target_that_is_down_is_swept_each_minute_and_only_where_something_may_be_too_old() {
    let mut bench = Bench::new(aged());
    let owed = bench.take('a', 1, 10, Kind::Owed);
    let first = bench.take('a', 1, 10, Kind::Spare);
    bench.take('a', 2, 10, Kind::Owed);
    bench.now = HOUR;
    let young = bench.take('a', 1, 10, Kind::Spare);
    bench.take('a', 3, 10, Kind::Spare);
    assert_eq!(bench.next(), Some(ms(0)));
    assert!(bench.wait_until(3 * HOUR - 30_000).is_empty());
    assert_eq!(bench.next(), Some(ms(3 * HOUR + 30_000)));
    // A minute has not passed since the last sweep.
    assert!(bench.wait_until(3 * HOUR + 29_999).is_empty());
    // Partition 2 has no spare hint, and those of partition 3 are too young.
    assert_eq!(bench.wait_until(3 * HOUR + 30_000), [read('a', 1, owed.before(), 256)]);
    let rows = [(owed, Kind::Owed), (first, Kind::Spare), (young, Kind::Spare)];
    assert_eq!(bench.tell(page(1, &rows, false)), [drop('a', 1, first)]);
    assert_eq!(bench.hints.take_dirty(), [('a', 1)]);
    bench.delivered('a', 1, first);
    assert_eq!(bench.hints.len(), 4);
    // What was looked at is not read again.
    assert!(bench.wait_until(3 * HOUR + 90_000).is_empty());
    let out = bench.wait_until(4 * HOUR + 60_000);
    assert_eq!(out, [read('a', 1, Some(first), 256)]);
    let out = bench.tell(page(1, &[(young, Kind::Spare)], false));
    assert_eq!(out, [drop('a', 1, young), read('a', 3, Some(young), 256)]);
    // The owed one is still delivered.
    bench.tell(page(3, &[], false));
    bench.delivered('a', 1, young);
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, owed.before(), 256)]);
    // A row on its way out is not dropped twice.
    let rows = [(owed, Kind::Owed), (first, Kind::Spare), (young, Kind::Spare)];
    assert_eq!(bench.tell(page(1, &rows, false))[0], send('a', 1, owed));
    assert_eq!(bench.hints.len(), 3);
}

#[test]
fn a_sweep_goes_page_by_page_and_waits_for_what_it_dropped() {
    let mut bench = Bench::new(Config { in_flight: 1, page: 2, ..aged() });
    let seqs: Vec<Seq> = (0..5).map(|_| bench.take('a', 1, 10, Kind::Spare)).collect();
    let rows: Vec<(Seq, Kind)> = seqs.iter().map(|seq| (*seq, Kind::Spare)).collect();
    assert_eq!(bench.wait_until(4 * HOUR), [read('a', 1, seqs[0].before(), 2)]);
    let out = bench.tell(page(1, &rows[..2], true));
    assert_eq!(out, [drop('a', 1, seqs[0]), drop('a', 1, seqs[1]), read('a', 1, Some(seqs[1]), 1)]);
    assert_eq!(bench.tell(page(1, &rows[2..3], true)), [drop('a', 1, seqs[2])]);
    assert_eq!(bench.delivered('a', 1, seqs[0]), [read('a', 1, Some(seqs[2]), 1)]);
    bench.delivered('a', 1, seqs[1]);
    bench.delivered('a', 1, seqs[2]);
    let out = bench.tell(page(1, &rows[3..4], true));
    assert_eq!(out, [drop('a', 1, seqs[3]), read('a', 1, Some(seqs[3]), 2)]);
    assert_eq!(bench.tell(page(1, &rows[4..], false)), [drop('a', 1, seqs[4])]);
    bench.delivered('a', 1, seqs[3]);
    bench.delivered('a', 1, seqs[4]);
    assert!(bench.hints.is_empty());
    assert_eq!((bench.hints.take_dirty().len(), bench.next()), (1, None));
}

#[test]
fn what_failed_before_the_target_went_down_is_swept_as_well() {
    let mut bench = Bench::new(aged());
    let spare = bench.take('a', 1, 10, Kind::Spare);
    bench.tell(Input::Up('a'));
    bench.tell(page(1, &[(spare, Kind::Spare)], false));
    bench.tell(Input::Down('a'));
    bench.failed('a', 1, spare);
    assert_eq!(bench.wait_until(4 * HOUR), [drop('a', 1, spare)]);
    // The store failed: not before the next sweep.
    assert!(bench.failed('a', 1, spare).is_empty());
    assert_eq!(bench.next(), Some(ms(4 * HOUR + 60_000)));
    assert_eq!(bench.wait_until(4 * HOUR + 60_000), [drop('a', 1, spare)]);
}

#[test]
fn a_target_that_only_fails_is_swept_during_its_pauses() {
    let mut bench = Bench::new(Config { in_flight: 1, ..aged() });
    let (owed, spare) = (bench.take('a', 1, 10, Kind::Owed), bench.take('a', 1, 10, Kind::Spare));
    bench.tell(Input::Up('a'));
    let rows = [(owed, Kind::Owed), (spare, Kind::Spare)];
    assert_eq!(bench.tell(page(1, &rows, false)), [send('a', 1, owed)]);
    bench.now = 4 * HOUR;
    assert_eq!(bench.failed('a', 1, owed), [read('a', 1, Some(owed), 256)]);
    assert_eq!(bench.tell(page(1, &rows[1..], false)), [drop('a', 1, spare)]);
    assert_eq!(bench.wait_until(4 * HOUR + 500), []);
    assert_eq!(bench.delivered('a', 1, spare), [send('a', 1, owed)]);
}

#[test]
fn a_hint_that_became_owed_is_not_dropped_although_its_row_says_spare() {
    let mut bench = Bench::new(aged());
    let seq = bench.take('a', 1, 10, Kind::Spare);
    assert_eq!(bench.wait_until(4 * HOUR), [read('a', 1, seq.before(), 256)]);
    // While the row is read:
    bench.hints.grew(&'a', &1, seq, (10, Kind::Spare), (20, Kind::Owed));
    assert!(bench.tell(page(1, &[(seq, Kind::Spare)], false)).is_empty());
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, seq.before(), 256)]);
    assert_eq!(bench.tell(page(1, &[(seq, Kind::Owed)], false)), [send('a', 1, seq)]);
    bench.delivered('a', 1, seq);
    assert_eq!((bench.hints.len(), bench.hints.bytes()), (0, 0));
}

#[test]
fn a_drop_that_the_caller_declines_leaves_an_owed_hint() {
    let mut bench = Bench::new(aged());
    let seq = bench.take('a', 1, 10, Kind::Spare);
    // Merged before the row was read, and not visible to the read.
    bench.hints.grew(&'a', &1, seq, (10, Kind::Spare), (10, Kind::Owed));
    bench.take('a', 1, 10, Kind::Spare);
    bench.wait_until(4 * HOUR);
    assert_eq!(bench.tell(page(1, &[(seq, Kind::Spare)], false)), [drop('a', 1, seq)]);
    assert!(bench.tell(Input::Changed { target: 'a', partition: 1, seq }).is_empty());
    bench.now = 8 * HOUR;
    assert!(bench.tell(Input::Up('a')).contains(&send('a', 1, seq)));
    bench.delivered('a', 1, seq);
    assert_eq!(bench.hints.summaries().map(|it| (it.count, it.owed)).collect::<Vec<_>>(), [(1, 0)]);
}

#[test]
fn what_was_delivered_before_reading_came_to_its_row_is_not_sent_again() {
    let mut bench = Bench::new(aged());
    let (first, second) = (bench.take('a', 1, 10, Kind::Spare), bench.take('a', 1, 10, Kind::Owed));
    bench.wait_until(4 * HOUR);
    assert_eq!(bench.tell(page(1, &[(first, Kind::Spare)], false)), [drop('a', 1, first)]);
    bench.hints.grew(&'a', &1, first, (10, Kind::Spare), (10, Kind::Owed));
    bench.tell(Input::Changed { target: 'a', partition: 1, seq: first });
    assert_eq!(bench.tell(Input::Up('a')), [read('a', 1, first.before(), 256), send('a', 1, first)]);
    bench.delivered('a', 1, first);
    // Its row is on its way out.
    let rows = [(first, Kind::Owed), (second, Kind::Owed)];
    assert_eq!(bench.tell(page(1, &rows, false)), [send('a', 1, second)]);
    bench.delivered('a', 1, second);
    assert!(bench.hints.is_empty());
}

#[test]
fn a_store_that_fails_ends_the_sweep_until_the_next() {
    let mut bench = Bench::new(aged());
    let (first, second) = (bench.take('a', 1, 10, Kind::Spare), bench.take('a', 2, 10, Kind::Spare));
    bench.wait_until(4 * HOUR);
    let out = bench.tell(page(1, &[(first, Kind::Spare)], false));
    assert_eq!(out, [drop('a', 1, first), read('a', 2, second.before(), 256)]);
    assert!(bench.failed('a', 1, first).is_empty());
    assert!(bench.tell(page(2, &[(second, Kind::Spare)], false)).is_empty());
    let out = bench.wait_until(4 * HOUR + 60_000);
    assert_eq!(out, [drop('a', 1, first), read('a', 2, second.before(), 256)]);
}

#[test]
fn a_merged_spare_write_does_not_make_an_owed_hint_spare() {
    let mut bench = Bench::new(aged());
    let seq = bench.take('a', 1, 10, Kind::Owed);
    bench.now = 4 * HOUR;
    bench.tell(Input::Up('a'));
    bench.hints.grew(&'a', &1, seq, (10, Kind::Owed), (20, Kind::Spare));
    assert_eq!(bench.tell(page(1, &[(seq, Kind::Owed)], false)), [send('a', 1, seq)]);
    bench.hints.grew(&'a', &1, seq, (20, Kind::Owed), (30, Kind::Spare));
    bench.tell(Input::Failed { target: 'a', partition: 1, seq });
    assert_eq!(bench.wait_until(4 * HOUR + 500), [send('a', 1, seq)]);
}
