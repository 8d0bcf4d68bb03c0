//! Minting again: a write that met a newer version is sent once more, above it, before it is acknowledged.

use kvorum_quorum::Level;
use kvorum_vclock::{Dot, Timestamp};

use super::bench::*;
use crate::shard::{Input, Report, StoreError};
use crate::{ActorId, FailureKind, Message, Op, Record, Replicas};

fn newest(op: Op, newest: Dot<ActorId>) -> Message {
    Message::WriteReply { op, newest, pulled_by: Vec::new() }
}

fn minted(bench: &Bench) -> Record {
    bench.log.back().expect("something was appended").2.clone()
}

#[test]
fn a_write_that_met_a_newer_version_is_sent_again_above_it() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, first) = bench.asked();
    let old = minted(&bench);
    bench.sync();
    bench.peer(2, newest(first, dot(100)));
    assert_eq!(bench.replies(), [], "it is not acknowledged as it is");
    let (to, second) = bench.asked();
    assert_eq!(to, [2, 3]);
    assert_ne!(first, second);
    let record = minted(&bench);
    assert!(record.time() > at(100));
    assert_eq!(value_of(&record), value_of(&old));

    bench.peer(3, newest(first, old.dot()));
    assert_eq!(bench.replies(), [], "answers to the first try say nothing of the second");
    bench.peer(3, newest(second, record.dot()));
    assert_eq!(bench.replies(), []);
    bench.sync();
    assert_eq!(written(&bench.reply()), (record.dot(), Replicas { wanted: 2, answered: 2, agreed: 2, sloppy: false }));
    assert_eq!(bench.store[&key("k")], record);
    bench.assert_idle();
}

#[test]
fn it_is_sent_again_once_and_no_more() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, first) = bench.asked();
    bench.sync();
    bench.peer(2, newest(first, dot(100)));
    let (_, second) = bench.asked();
    bench.sync();
    bench.peer(2, newest(second, dot(200)));
    let reply = bench.reply();
    assert_eq!(written(&reply).1, Replicas { wanted: 2, answered: 2, agreed: 1, sloppy: false });
    assert!(written(&reply).0.time < at(200));
    bench.assert_idle();
}

#[test]
fn of_equal_timestamps_the_greater_actor_is_newer() {
    let reply_with = |actor| {
        let mut bench = Bench::node(2);
        bench.ask(put("k", "v", Level::Quorum));
        let (_, op) = bench.asked();
        let record = minted(&bench);
        assert_eq!(record.dot().actor, ActorId(2));
        bench.sync();
        bench.peer(1, newest(op, Dot { time: record.time(), actor: ActorId(actor) }));
        bench.replies().len()
    };
    assert_eq!(reply_with(1), 1, "its own version wins: acknowledged");
    assert_eq!(reply_with(3), 0, "the other version wins: sent again");
}

/// With five replicas a version that was acknowledged earlier need not be at the first replica that answers, only
/// at one of the three. The second try must be above all three.
#[test]
fn the_second_try_is_above_the_newest_of_w_answers() {
    let mut bench = Bench::new(Setup { replicas: 5, ..Setup::default() });
    bench.ask(put("k", "v", Level::Quorum));
    let (_, first) = bench.asked();
    bench.sync();
    bench.peer(2, newest(first, dot(100)));
    assert_eq!(bench.sent(), []);
    bench.peer(3, newest(first, dot(200)));
    let (to, _) = bench.asked();
    assert_eq!(to, [2, 3, 4, 5]);
    assert!(minted(&bench).time() > at(200));
}

/// The stored record is being read for somebody else when the newer version is heard of.
#[test]
fn a_second_try_queues_behind_a_load_that_is_under_way() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, first) = bench.asked();
    bench.sync();
    bench.hold_reads = true;
    let other = bench.ask(put("k", "w", Level::One));
    assert_eq!(bench.held.len(), 1);
    bench.peer(2, newest(first, dot(100)));
    assert_eq!((bench.held.len(), bench.log.len()), (1, 0), "it waits too");
    bench.release();
    let values: Vec<_> = bench.log.iter().map(|(_, _, record)| value_of(record).unwrap()).collect();
    assert_eq!(values, ["w", "v"]);
    bench.sync();
    assert_eq!(bench.replies().iter().map(|reply| reply.0).collect::<Vec<_>>(), [other]);
}

#[test]
fn who_was_not_reached_by_the_first_try_is_sent_the_second() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, first) = bench.asked();
    bench.sync();
    bench.refuse(3, first);
    bench.peer(2, newest(first, dot(100)));
    assert_eq!(bench.asked().0, [2, 3]);
}

#[test]
fn a_second_try_that_cannot_be_made_is_indeterminate() {
    // The clock may not go so far yet.
    let mut bench = Bench::new(Setup { ceiling: Timestamp::from_parts(WALL + 50, 0), ..Setup::default() });
    bench.ask(put("k", "v", Level::Quorum));
    let (_, op) = bench.asked();
    bench.sync();
    bench.peer(2, newest(op, dot(100)));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
    let is_wanted = |report: &Report| matches!(report, Report::CeilingNeeded(needed) if *needed > at(100));
    assert!(bench.reports().iter().any(is_wanted));
    bench.assert_idle();

    // The other version lies beyond the drift bound, or at the end of time.
    for newer in [dot(501), Dot { time: Timestamp::MAX, actor: ActorId(u64::MAX) }] {
        let mut bench = Bench::node(1);
        bench.ask(put("k", "v", Level::Quorum));
        let (_, op) = bench.asked();
        bench.sync();
        bench.peer(2, newest(op, newer));
        assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
        bench.assert_idle();
    }

    // Too few are up by now.
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, op) = bench.asked();
    bench.peer(2, newest(op, dot(100)));
    bench.down(&[2, 3]);
    bench.sync();
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
    bench.assert_idle();
}

#[test]
fn a_second_try_that_waits_for_a_load_is_indeterminate_when_the_load_fails_or_is_late() {
    for late in [false, true] {
        let mut bench = Bench::node(1);
        bench.ask(put("k", "v", Level::Quorum));
        let (_, first) = bench.asked();
        bench.sync();
        bench.hold_reads = true;
        bench.peer(2, newest(first, dot(100)));
        assert_eq!(bench.held.len(), 1);
        if late {
            bench.wait(ms(1010));
        } else {
            bench.fail_load(StoreError::Corruption("bad block".to_owned()));
        }
        assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
        assert_eq!(bench.log.len(), 0);
        if late {
            bench.release();
        }
        bench.assert_idle();
    }
}

#[test]
fn nothing_is_appended_again_after_the_log_failed() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, first) = bench.asked();
    bench.sync();
    bench.tell(Input::LogFailed(StoreError::Io("no space".to_owned())));
    bench.peer(2, newest(first, dot(100)));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
    assert_eq!(bench.log.len(), 0);
    assert_eq!(bench.reports().len(), 1);
    bench.assert_idle();
}
