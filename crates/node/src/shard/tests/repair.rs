//! What a read does about replicas that are behind, and about those that are slow.

use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{Input, Report};
use crate::{FailureKind, Message, NodeId, Op, Record, Replicas, Response};

const LONG: &str = "a value that is longer than the sixty-four bytes up to which a record is sent rather than compared";

fn holds(op: Op, record: Option<&Record>) -> Message {
    Message::ReadReply { op, record: record.cloned() }
}

fn agreed(wanted: u8, agreed: u8) -> Replicas {
    Replicas { wanted, answered: agreed, agreed, sloppy: false }
}

/// The repairs that were sent since the last time: to whom, and what.
fn repairs(bench: &mut Bench) -> Vec<(u64, Record)> {
    repairs_as(bench).0
}

/// The same, and the operation they belong to.
fn repairs_as(bench: &mut Bench) -> (Vec<(u64, Record)>, Option<Op>) {
    let sent = bench.sent();
    let op = sent.first().map(|(_, message)| message.op());
    let repair = |(node, message)| match message {
        Message::Write { record, minted: None, stand_in_for: None, relay, .. } if relay.is_empty() => (node, record),
        other => panic!("{other:?} is no repair"),
    };
    (sent.into_iter().map(repair).collect(), op)
}

/// A bench whose own copy is this, of which a client insists on replicas; what was asked of whom.
fn strictly_read(own: Option<&Record>) -> (Bench, Vec<u64>, Op) {
    let mut bench = Bench::node(1);
    bench.store.extend(own.map(|record| (key("k"), record.clone())));
    bench.ask(strict(get("k", Level::Quorum)));
    let (to, op) = bench.asked();
    (bench, to, op)
}

#[test]
fn who_is_behind_is_repaired_when_the_client_has_its_answer() {
    let (old, new) = (record(-50, "old"), record(0, "new"));
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), old.clone());
    bench.ask(get("k", Level::All));
    let (_, op) = bench.asked();
    bench.peer(2, holds(op, Some(&new)));
    bench.peer(3, holds(op, None));
    assert_eq!(value(&bench.reply()).1, Replicas { answered: 3, ..agreed(3, 1) });
    assert_eq!(repairs(&mut bench), [(3, new.clone())]);
    bench.sync();
    assert_eq!(bench.store[&key("k")], new, "this node was behind, too");
    for (node, message) in
        [(3, Message::WriteReply { op, newest: new.dot(), pulled_by: Vec::new() }), (2, holds(op, Some(&old)))]
    {
        bench.peer(node, message);
    }
    bench.tell(Input::Unsent { to: NodeId(3), op });
    assert_eq!(bench.reports(), [Report::PeerFailed(NodeId(3))]);
    bench.assert_idle();
}

#[test]
fn nobody_who_holds_the_same_is_repaired() {
    let same = record(0, "same");
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), same.clone());
    bench.ask(get("k", Level::All));
    let (_, op) = bench.asked();
    for node in [2, 3] {
        bench.peer(node, holds(op, Some(&same)));
    }
    assert_eq!(value(&bench.reply()).1, agreed(3, 3));
    assert_eq!(bench.log.len(), 0);
    bench.assert_idle();
}

#[test]
fn a_repair_does_not_overwrite_what_was_written_meanwhile() {
    let mut bench = Bench::node(1);
    bench.ask(get("k", Level::All));
    let (_, op) = bench.asked();
    bench.peer(2, holds(op, None));
    bench.peer(2, their_write(1, key("k"), record(10, "newer")));
    bench.peer(3, holds(op, Some(&record(0, "new"))));
    bench.sync();
    assert_eq!(bench.store[&key("k")], record(10, "newer"));
}

#[test]
fn a_long_record_is_compared_and_a_short_one_sent() {
    for (held, is_compared) in [(record(0, LONG), true), (record(0, "short"), false)] {
        let mut bench = Bench::node(1);
        bench.store.insert(key("k"), held.clone());
        bench.ask(get("k", Level::All));
        let sent = bench.sent();
        let known = is_compared.then(|| held.digest());
        for (_, message) in &sent {
            assert!(matches!(message, Message::Read { known: told, .. } if *told == known), "{message:?}");
        }
        let op = sent[0].1.op();
        if is_compared {
            bench.peer(2, Message::ReadSame { op });
            bench.peer(3, holds(op, Some(&record(-50, LONG))));
            let (found, replicas) = value(&bench.reply());
            assert_eq!((found, replicas), (Some(LONG.into()), Replicas { answered: 3, ..agreed(3, 2) }));
            assert_eq!(repairs(&mut bench), [(3, held)], "who said to hold the same is not behind");
        }
    }
}

#[test]
fn a_copy_that_is_not_at_hand_is_compared_with_nothing() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(0, LONG));
    bench.hold_reads = true;
    bench.ask(get("k", Level::Quorum));
    let sent = bench.sent();
    assert!(matches!(sent[..], [(2, Message::Read { known: None, .. })]), "{sent:?}");
    // Nor is it believed that somebody holds what was not told.
    bench.peer(2, Message::ReadSame { op: sent[0].1.op() });
    bench.release();
    assert_eq!(bench.replies(), []);
}

#[test]
fn a_replica_says_that_it_holds_the_same_only_if_it_does() {
    let (mine, other) = (record(0, LONG), record(1, LONG));
    let mut bench = Bench::node(2);
    for (slot, known, expected) in [
        (1, &mine, Message::ReadSame { op: their_op(1) }),
        (2, &other, Message::ReadReply { op: their_op(2), record: Some(mine.clone()) }),
    ] {
        bench.store.insert(key("k"), mine.clone());
        let read = |name| Message::Read {
            op: their_op(slot),
            key: key(name),
            known: Some(known.digest()),
            stand_in_for: None,
        };
        bench.peer(1, read("k"));
        assert_eq!(bench.sent(), [(1, expected)]);
        bench.peer(1, read("absent"));
        assert_eq!(bench.sent(), [(1, holds(their_op(slot), None))]);
    }
    // What is not durable yet is not said to be held.
    bench.peer(1, their_write(3, key("k"), other.clone()));
    let known = Some(other.digest());
    bench.peer(3, Message::Read { op: their_op(4), key: key("k"), known, stand_in_for: None });
    assert_eq!(bench.sent(), []);
    bench.sync();
    assert!(bench.sent().contains(&(3, Message::ReadSame { op: their_op(4) })));
}

#[test]
fn a_strict_read_is_answered_when_w_replicas_hold_what_it_returns() {
    let new = record(0, "new");
    let (mut bench, to, op) = strictly_read(Some(&new));
    assert_eq!(to, [2]);
    bench.peer(2, holds(op, Some(&record(-50, "old"))));
    let (sent, repair) = repairs_as(&mut bench);
    assert_eq!((sent, bench.replies()), (vec![(2, new.clone())], vec![]));
    bench.peer(2, holds(op, Some(&new)));
    assert_eq!(bench.replies(), [], "a late answer to the read says nothing of the repair");
    bench.peer(2, Message::WriteReply { op: repair.unwrap(), newest: new.dot(), pulled_by: Vec::new() });
    assert_eq!(value(&bench.reply()), (Some("new".into()), agreed(2, 2)));
    bench.assert_idle();
}

#[test]
fn a_strict_read_waits_until_this_nodes_own_copy_is_durable() {
    let (mut bench, _, op) = strictly_read(None);
    let new = record(0, "new");
    bench.peer(2, holds(op, Some(&new)));
    assert_eq!((bench.replies(), bench.log.len()), (vec![], 1));
    bench.sync();
    assert_eq!(value(&bench.reply()).1, agreed(2, 2));
    bench.assert_idle();
}

#[test]
fn a_strict_read_asks_others_to_hold_it_when_one_fails() {
    type Fail = fn(&mut Bench, Op);
    let ways: [Fail; 3] = [
        |bench, op| bench.refuse(2, op),
        |bench, op| bench.tell(Input::Unsent { to: NodeId(2), op }),
        |bench, _| bench.tell(Input::PeerLost(NodeId(2))),
    ];
    for fail in ways {
        let new = record(0, "new");
        let (mut bench, _, op) = strictly_read(Some(&new));
        bench.peer(2, holds(op, None));
        let (sent, op) = repairs_as(&mut bench);
        let op = op.unwrap();
        assert_eq!(sent, [(2, new.clone())]);
        fail(&mut bench, op);
        assert_eq!((repairs(&mut bench), bench.replies()), (vec![(3, new.clone())], vec![]));
        bench.peer(3, Message::WriteReply { op, newest: new.dot(), pulled_by: Vec::new() });
        assert_eq!(value(&bench.reply()).1, agreed(2, 2));
        // Without any other it fails, and says who.
        let (mut bench, _, op) = strictly_read(Some(&new));
        bench.peer(2, holds(op, None));
        let op = repairs_as(&mut bench).1.unwrap();
        fail(&mut bench, op);
        bench.refuse(3, op);
        let reply = bench.reply();
        assert_eq!(failure(&reply).kind, FailureKind::Rejected);
        assert!(failure(&reply).message.contains("n1 answered, n2 failed, n3 failed"), "{reply:?}");
    }
}

#[test]
fn a_strict_read_that_cannot_be_made_to_last_in_time_says_so() {
    let (mut bench, _, op) = strictly_read(Some(&record(0, "new")));
    bench.peer(2, holds(op, None));
    let op = repairs_as(&mut bench).1.unwrap();
    bench.wait(ms(1010));
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::TimedOut);
    let message = &failure(&reply).message;
    assert!(message.contains("what 2 of 3 replicas durably hold, 1 do: n1 answered, n2 did not answer"), "{message}");
    bench.peer(2, Message::WriteReply { op, newest: dot(0), pulled_by: Vec::new() });
    bench.assert_idle();
}

#[test]
fn what_is_absent_needs_no_repair() {
    let (mut bench, _, op) = strictly_read(None);
    bench.peer(2, holds(op, None));
    assert_eq!(value(&bench.reply()), (None, agreed(2, 2)));
    bench.assert_idle();
    // A deletion is no absence: whoever misses it would bring the value back.
    let gone = Record::lww(dot(0), None, None);
    let (mut bench, _, op) = strictly_read(Some(&gone));
    bench.peer(2, holds(op, Some(&record(-50, "old"))));
    let (sent, op) = repairs_as(&mut bench);
    assert_eq!((sent, bench.replies()), (vec![(2, gone.clone())], vec![]));
    bench.peer(2, Message::WriteReply { op: op.unwrap(), newest: gone.dot(), pulled_by: Vec::new() });
    assert_eq!(value(&bench.reply()).0, None);
}

/// Has node 2 take 40 ms to answer and node 3 four, often enough to be known.
fn measured() -> Bench {
    let mut bench = Bench::new(Setup { hedge_after: ms(500), ..Setup::default() });
    for _ in 0..300 {
        bench.ask(get("k", Level::All));
        let (_, op) = bench.asked();
        bench.wait(ms(4));
        bench.peer(3, holds(op, None));
        bench.wait(ms(36));
        bench.peer(2, holds(op, None));
        assert!(matches!(bench.reply(), Response::Value { .. }));
    }
    bench
}

#[test]
fn the_fastest_is_asked_first_and_another_one_early_within_a_budget() {
    let mut bench = measured();
    let mut hedged = Vec::new();
    for _ in 0..200 {
        bench.ask(get("k", Level::Quorum));
        let (to, op) = bench.asked();
        assert_eq!(to, [3]);
        bench.wait(ms(499));
        let others = bench.sent();
        assert!(others.iter().all(|(node, _)| *node == 2), "{others:?}");
        hedged.push(others.len());
        bench.peer(3, holds(op, None));
        bench.reply();
        // So slow an answer is no reason to expect it.
        *bench.shard.latency_of(NodeId(3)) = kvorum_quorum::Latency::new(ms(4));
    }
    let count = |reads: &[usize]| reads.iter().sum::<usize>();
    assert_eq!(count(&hedged[..16]), 16, "what was saved up goes at once");
    let later = count(&hedged[40..]);
    assert!((7..=9).contains(&later), "{later} of 160");
}

#[test]
fn how_long_a_hedge_takes_is_no_sample() {
    let mut bench = measured();
    let before = *bench.shard.latency_of(NodeId(2));
    bench.ask(get("k", Level::Quorum));
    let (_, op) = bench.asked();
    bench.wait(ms(100));
    assert_eq!(bench.asked(), (vec![2], op));
    bench.wait(ms(100));
    bench.peer(2, holds(op, None));
    bench.reply();
    assert_eq!(*bench.shard.latency_of(NodeId(2)), before);
    assert!(bench.shard.latency_of(NodeId(3)).p95() >= ms(200), "but who was silent is known to be slow");
}
