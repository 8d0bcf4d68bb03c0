//! What is refused before anything is done about it: sizes, overload, and a clock that may not go on.

use kvorum_quorum::Level;
use kvorum_vclock::Timestamp;

use super::bench::*;
use crate::shard::{Input, Limits, Report};
use crate::{FailureKind, Message, Response};

/// What a request fails with; nothing if it is taken on.
fn refused(bench: &mut Bench) -> Option<FailureKind> {
    let replies = bench.replies();
    match &replies[..] {
        [] => None,
        [(_, response @ Response::Failed(_))] => Some(failure(response).kind),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_and_pairs_have_a_size() {
    let mut bench = Bench::node(1);
    for (key, value, taken) in [
        (0, 0, false),
        (1, 0, true),
        (1024, 0, true),
        (1025, 0, false),
        (1, 10_239, true),
        (1, 10_240, false),
        (1024, 9_216, true),
        (1024, 9_217, false),
    ] {
        bench.ask(put(&"k".repeat(key), &"v".repeat(value), Level::Quorum));
        assert_eq!(refused(&mut bench), (!taken).then_some(FailureKind::Invalid), "{key} + {value} bytes");
    }
    for (key, taken) in [(0, false), (1, true), (1024, true), (1025, false)] {
        for operation in [get(&"g".repeat(key), Level::Quorum), delete(&"d".repeat(key), Level::Quorum)] {
            bench.ask(operation);
            assert_eq!(refused(&mut bench), (!taken).then_some(FailureKind::Invalid), "{key} bytes");
        }
    }
}

#[test]
fn operations_in_flight_are_bounded() {
    let limits = Limits { operations: 4, ..Limits::default() };
    let mut bench = Bench::new(Setup { limits, ..Setup::default() });
    for _ in 0..4 {
        bench.ask(get("k", Level::Quorum));
        assert_eq!(refused(&mut bench), None);
    }
    bench.sent();
    for operation in [get("k", Level::One), put("k", "v", Level::One)] {
        bench.ask(operation);
        assert_eq!(refused(&mut bench), Some(FailureKind::Overloaded));
    }
    bench.peer(2, Message::Read { op: their_op(1), key: key("k"), known: None, stand_in_for: None });
    assert!(
        matches!(&bench.sent()[..], [(2, Message::Refused { failure, .. })] if failure.kind == FailureKind::Overloaded)
    );
    bench.wait(ms(1010));
    bench.replies();
    bench.ask(get("k", Level::One));
    assert!(matches!(bench.reply(), Response::Value { .. }), "there is room again");
}

#[test]
fn operations_in_flight_are_bounded_by_the_pairs_they_may_hold() {
    let limits = Limits { operation_bytes: 3 * crate::DEFAULT_PAIR_BYTES as usize, ..Limits::default() };
    let mut bench = Bench::new(Setup { limits, ..Setup::default() });
    for _ in 0..3 {
        bench.ask(get("k", Level::Quorum));
        assert_eq!(refused(&mut bench), None);
    }
    bench.ask(get("k", Level::Quorum));
    assert_eq!(refused(&mut bench), Some(FailureKind::Overloaded));
}

#[test]
fn what_other_coordinators_wait_for_is_bounded() {
    let limits = Limits { operations: 10, ..Limits::default() };
    let mut bench = Bench::new(Setup { limits, ..Setup::default() });
    bench.hold_reads = true;
    let write = |slot| their_write(slot, key("k"), record(0, "v"));
    let read = |slot| Message::Read { op: their_op(slot), key: key("k"), known: None, stand_in_for: None };
    let refusals = |bench: &mut Bench| {
        bench.sent().iter().filter(|(_, message)| matches!(message, Message::Refused { .. })).count()
    };
    // Behind a load: the load itself is one of the ten.
    (0..100).for_each(|slot| bench.peer(2, write(slot)));
    assert_eq!(refusals(&mut bench), 91);
    // Behind the log.
    bench.release();
    (0..100).for_each(|slot| bench.peer(2, read(slot)));
    assert_eq!(refusals(&mut bench), 99);
    bench.sync();
    assert_eq!(bench.sent().len(), 10);
    bench.peer(2, write(7));
    assert_eq!(refusals(&mut bench), 0);
}

#[test]
fn undurable_bytes_are_bounded_for_writes() {
    let limits = Limits { undurable_bytes: 3000, ..Limits::default() };
    let mut bench = Bench::new(Setup { limits, ..Setup::default() });
    let large = "v".repeat(1000);
    for n in 0..3 {
        bench.ask(put(&n.to_string(), &large, Level::One));
        assert_eq!(refused(&mut bench), None);
    }
    bench.ask(put("k", "small", Level::One));
    assert_eq!(refused(&mut bench), Some(FailureKind::Overloaded));
    bench.sent();
    bench.peer(2, their_write(1, key("k"), record(0, "v")));
    assert!(
        matches!(&bench.sent()[..], [(2, Message::Refused { failure, .. })] if failure.kind == FailureKind::Overloaded)
    );
    bench.ask(get("k", Level::One));
    assert!(matches!(bench.reply(), Response::Value { .. }), "reads pass");
    bench.sync();
    bench.replies();
    bench.ask(put("k", "small", Level::One));
    assert_eq!(refused(&mut bench), None);
}

#[test]
fn records_that_wait_for_a_load_count_as_undurable() {
    let limits = Limits { undurable_bytes: 3000, ..Limits::default() };
    let mut bench = Bench::new(Setup { limits, ..Setup::default() });
    bench.hold_reads = true;
    let large = record(0, &"v".repeat(1000));
    for slot in 0..4 {
        bench.peer(2, their_write(slot, key("k"), large.clone()));
    }
    assert_eq!(bench.sent().len(), 1, "the fourth is refused");
    bench.release();
    bench.sync();
    assert_eq!(bench.sent().len(), 3);
    bench.ask(put("other", "v", Level::One));
    assert_eq!(refused(&mut bench), None);
}

#[test]
fn nothing_is_minted_above_the_ceiling() {
    let mut bench = Bench::new(Setup { ceiling: Timestamp::MIN, ..Setup::default() });
    bench.ask(put("k", "v", Level::One));
    assert_eq!(refused(&mut bench), Some(FailureKind::Rejected));
    assert_eq!(bench.reports(), [Report::CeilingNeeded(at(0))]);
    assert_eq!((bench.log.len(), bench.sent()), (0, vec![]));
    bench.assert_idle();
    bench.ask(get("k", Level::One));
    assert!(matches!(bench.reply(), Response::Value { .. }), "reads need no ceiling");
    bench.tell(Input::ClockCeiling(at(10)));
    bench.ask(put("k", "v", Level::One));
    assert_eq!((refused(&mut bench), bench.log.len()), (None, 1));
}

#[test]
fn a_write_over_a_record_far_ahead_is_rejected() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(501, "far ahead"));
    bench.ask(put("k", "v", Level::One));
    assert_eq!(refused(&mut bench), Some(FailureKind::Rejected));
    assert_eq!(bench.log.len(), 0);
    bench.assert_idle();
}

#[test]
fn without_a_layout_requests_are_rejected() {
    let mut bench = Bench::node(1);
    bench.tell(Input::View(view(1, None, &[])));
    for operation in [get("k", Level::One), put("k", "v", Level::One)] {
        bench.ask(operation);
        assert_eq!(refused(&mut bench), Some(FailureKind::Rejected));
    }
    bench.assert_idle();
}

#[test]
fn a_request_without_time_is_rejected_and_one_with_endless_time_is_not() {
    for node in [1, 4] {
        let mut bench = Bench::node(node);
        for operation in [get("k", Level::Quorum), put("k", "v", Level::Quorum)] {
            bench.ask_for(operation.clone(), ms(0));
            assert_eq!(refused(&mut bench), Some(FailureKind::Rejected));
            assert_eq!(bench.sent(), []);
            bench.ask_for(operation, core::time::Duration::MAX);
            assert_eq!(refused(&mut bench), None);
            bench.sent();
        }
        bench.wait(ms(299_000));
        assert_eq!(bench.replies().len(), 0);
        bench.wait(ms(2_000));
        assert_eq!(bench.replies().len(), 2, "a client may wait for five minutes at most");
        bench.reports();
        bench.sent();
        bench.sync();
        bench.assert_idle();
    }
}

#[test]
fn a_clock_at_the_end_of_its_range_panics_nowhere() {
    let mut bench = Bench::new(Setup {
        limits: Limits { timeout: core::time::Duration::MAX, ..Limits::default() },
        ..Setup::default()
    });
    bench.now.elapsed = core::time::Duration::MAX - ms(1);
    bench.now.unix_ms = u64::MAX;
    for operation in [get("k", Level::Quorum), put("k", "v", Level::Quorum)] {
        bench.ask_for(operation, core::time::Duration::MAX);
    }
    assert_eq!(bench.shard.operations(), 1, "the read; a clock at its end mints nothing");
    assert_eq!(bench.shard.next_timeout(), None, "what never ends is not looked at");
}
