//! Coordinating a read: whom it asks, when it asks others, and what it makes of the answers.

use bytes::Bytes;
use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{Input, Report, StoreError};
use crate::{FailureKind, Message, NodeId, Op, Operation, Record, Replicas};

fn holds(op: Op, record: &Record) -> Message {
    Message::ReadReply { op, record: Some(record.clone()) }
}

fn lacks(op: Op) -> Message {
    Message::ReadReply { op, record: None }
}

fn replicas(wanted: u8, answered: u8, agreed: u8) -> Replicas {
    Replicas { wanted, answered, agreed, sloppy: false }
}

#[test]
fn a_read_asks_as_many_replicas_as_it_needs_and_this_node_first() {
    for (level, others) in [(Level::One, vec![]), (Level::Quorum, vec![3]), (Level::All, vec![3, 1])] {
        let mut bench = Bench::node(2);
        bench.hold_reads = true;
        bench.ask(get("k", level));
        assert_eq!(bench.held.len(), 1);
        assert_eq!(bench.sent().into_iter().map(|(node, _)| node).collect::<Vec<_>>(), others);
    }
}

#[test]
fn the_newest_version_wins_and_who_holds_it_is_counted() {
    let (old, new) = (record(-50, "old"), record(-20, "new"));
    // What this node and the two others hold, and what the client is told.
    for (mine, theirs, expected, agreed) in [
        (Some(&old), [Some(&new), Some(&old)], Some("new"), 1),
        (Some(&new), [Some(&old), Some(&new)], Some("new"), 2),
        (Some(&new), [None, None], Some("new"), 1),
        (None, [None, Some(&old)], Some("old"), 1),
        (None, [None, None], None, 3),
    ] {
        let mut bench = Bench::node(1);
        if let Some(record) = mine {
            bench.store.insert(key("k"), record.clone());
        }
        bench.ask(get("k", Level::All));
        let (_, op) = bench.asked();
        bench.peer(3, theirs[1].map_or_else(|| lacks(op), |record| holds(op, record)));
        bench.peer(2, theirs[0].map_or_else(|| lacks(op), |record| holds(op, record)));
        let (found, who) = value(&bench.reply());
        assert_eq!(found.as_deref(), expected.map(str::as_bytes));
        assert_eq!(who, replicas(3, 3, agreed));
        let behind = |theirs: Option<&Record>| {
            theirs.is_none_or(|theirs| value_of(theirs).as_deref() != expected.map(str::as_bytes))
        };
        let repaired: Vec<u64> = bench.sent().iter().map(|(node, _)| *node).collect();
        let expected_repairs = (2..).zip(theirs).filter(|(_, theirs)| expected.is_some() && behind(*theirs));
        let mut expected_repairs: Vec<u64> = expected_repairs.map(|(node, _)| node).collect();
        expected_repairs.sort_unstable();
        let mut repaired = repaired;
        repaired.sort_unstable();
        assert_eq!(repaired, expected_repairs, "whoever holds less is repaired");
        assert_eq!(bench.log.len(), usize::from(expected.is_some() && behind(mine)), "this node too");
        bench.sync();
        bench.assert_idle();
    }
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    let new = record(0, "new");
    bench.ask(get("k", Level::All));
    let (_, op) = bench.asked();
    bench.peer(2, holds(op, &new));
    bench.peer(2, holds(op, &new));
    bench.peer(3, holds(op, &new));
    assert_eq!(bench.replies(), []);
    bench.release();
    assert_eq!(value(&bench.reply()).1, replicas(3, 3, 2));
}

#[test]
fn deleted_and_expired_values_are_absent() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("deleted"), Record::lww(dot(-1), None, None));
    bench.store.insert(key("expiring"), Record::lww(dot(-1), Some(b"v"), Some(WALL + 100)));
    bench.ask(get("deleted", Level::One));
    assert_eq!(value(&bench.reply()), (None, replicas(1, 1, 1)));
    bench.ask(get("expiring", Level::One));
    assert_eq!(value(&bench.reply()).0.as_deref(), Some(&b"v"[..]));
    bench.wait(ms(100));
    bench.ask(get("expiring", Level::One));
    assert_eq!(value(&bench.reply()).0, None);

    // A newer tombstone hides an older value, whoever holds which.
    bench.store.insert(key("k"), record(-50, "old"));
    bench.ask(get("k", Level::Two));
    let (_, op) = bench.asked();
    bench.peer(2, holds(op, &Record::lww(dot(-10), None, None)));
    assert_eq!(value(&bench.reply()), (None, replicas(2, 2, 1)));
}

#[test]
fn a_value_lives_as_long_as_its_ttl() {
    let mut bench = Bench::node(1);
    for (ttl_ms, expires) in [(250, WALL + 250), (u64::MAX, u64::MAX)] {
        let Operation::Put { key, value, level, .. } = put("k", "v", Level::One) else { unreachable!() };
        bench.ask(Operation::Put {
            key,
            value,
            level,
            ttl_ms: Some(ttl_ms),
            context: Bytes::new(),
            consistency: None,
            attempt: None,
        });
        assert_eq!(bench.log.back().unwrap().2.versions().next().unwrap().expires_at_ms, Some(expires));
    }
}

#[test]
fn a_read_waits_for_what_is_being_written_here_and_shows_it_then() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(-50, "old"));
    bench.ask(put("k", "new", Level::All));
    bench.sent();
    bench.ask(get("k", Level::One));
    bench.ask(put("k", "newer", Level::All));
    assert_eq!(bench.replies(), []);
    bench.sync_some(1);
    assert_eq!(value(&bench.reply()).0.as_deref(), Some(&b"new"[..]), "it waits for no later write");
}

#[test]
fn a_replica_that_fails_or_is_slow_is_made_good_by_the_next() {
    type Fail = fn(&mut Bench, Op);
    let ways: [Fail; 5] = [
        |bench, op| bench.refuse(2, op),
        |bench, op| bench.tell(Input::Unsent { to: NodeId(2), op }),
        |bench, _| bench.tell(Input::PeerLost(NodeId(2))),
        |bench, _| bench.down(&[2]),
        |bench, _| bench.wait(ms(60)),
    ];
    for fail in ways {
        let mut bench = Bench::new(Setup { hedge_after: ms(50), ..Setup::default() });
        bench.ask(get("k", Level::Quorum));
        let (to, op) = bench.asked();
        assert_eq!(to, [2]);
        fail(&mut bench, op);
        assert_eq!(bench.asked(), (vec![3], op));
        bench.peer(3, holds(op, &record(0, "v")));
        assert_eq!(value(&bench.reply()), (Some("v".into()), replicas(2, 2, 1)));
        bench.wait(ms(2000));
        bench.reports();
        bench.assert_idle();
    }
}

#[test]
fn a_broken_connection_to_a_replica_that_was_not_asked_does_not_rule_it_out() {
    let mut bench = Bench::node(1);
    bench.ask(get("k", Level::Quorum));
    let (_, op) = bench.asked();
    bench.tell(Input::PeerLost(NodeId(3)));
    bench.refuse(2, op);
    assert_eq!(bench.asked(), (vec![3], op));
    bench.peer(3, lacks(op));
    assert_eq!(value(&bench.reply()).1, replicas(2, 2, 2));
}

/// Two of five are down. When the others have failed, one of the two is asked as a last resort; from then on there
/// is somebody to hedge to again, and the moment for that must not be missed.
#[test]
fn a_hedge_that_becomes_possible_late_is_made() {
    let mut bench = Bench::new(Setup { replicas: 5, down: vec![4, 5], hedge_after: ms(50), ..Setup::default() });
    bench.hold_reads = true;
    bench.ask(get("k", Level::Two));
    let (to, op) = bench.asked();
    assert_eq!(to, [2]);
    bench.wait(ms(60));
    assert_eq!(bench.asked().0, [3]);
    bench.release();
    bench.refuse(2, op);
    bench.refuse(3, op);
    assert_eq!(bench.asked().0, [4]);
    bench.wait(ms(60));
    assert_eq!(bench.asked().0, [5]);
    bench.peer(5, lacks(op));
    assert_eq!(value(&bench.reply()).1, replicas(2, 2, 2));
}

#[test]
fn with_too_few_replicas_up_a_read_is_rejected_at_once() {
    let mut bench = Bench::new(Setup { down: vec![2, 3], ..Setup::default() });
    bench.ask(get("k", Level::Quorum));
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Rejected);
    assert!(failure(&reply).message.contains("n2 is down, n3 is down"), "{}", failure(&reply).message);
    bench.assert_idle();
}

#[test]
fn a_read_that_all_have_refused_is_rejected() {
    let mut bench = Bench::node(1);
    bench.ask(get("k", Level::Quorum));
    let (_, op) = bench.asked();
    bench.refuse(2, op);
    bench.sent();
    bench.refuse(3, op);
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
    bench.assert_idle();
}

#[test]
fn a_read_that_is_late_names_who_was_asked_and_silent() {
    let mut bench = Bench::node(1);
    bench.ask(get("k", Level::Quorum));
    bench.sent();
    bench.wait(ms(1010));
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::TimedOut);
    assert!(failure(&reply).message.contains("n1 answered, n2 did not answer"), "{}", failure(&reply).message);
    assert_eq!(bench.reports(), [Report::PeerFailed(NodeId(2))], "nothing is known of the third: it was not asked");
    bench.assert_idle();
}

#[test]
fn a_copy_that_cannot_be_read_here_is_made_good_by_others() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    bench.ask(get("k", Level::One));
    bench.fail_load(StoreError::Corruption("bad block".to_owned()));
    let (to, op) = bench.asked();
    assert_eq!(to, [2]);
    bench.peer(2, holds(op, &record(0, "v")));
    assert_eq!(value(&bench.reply()).0.as_deref(), Some(&b"v"[..]));
    bench.assert_idle();
}

#[test]
fn one_word_is_enough_about_a_node_that_fails_again_and_again() {
    let mut bench = Bench::node(1);
    for _ in 0..100 {
        bench.ask(get("k", Level::Quorum));
        let (_, op) = bench.asked();
        bench.tell(Input::Unsent { to: NodeId(2), op });
        let (_, op) = bench.asked();
        bench.peer(3, lacks(op));
    }
    assert_eq!(bench.reports(), [Report::PeerFailed(NodeId(2))]);
    bench.wait(ms(100));
    bench.ask(get("k", Level::Quorum));
    let (_, op) = bench.asked();
    bench.tell(Input::Unsent { to: NodeId(2), op });
    assert_eq!(bench.reports(), [Report::PeerFailed(NodeId(2))]);
}
