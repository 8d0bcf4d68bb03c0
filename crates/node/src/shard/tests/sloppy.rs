//! Sloppy quorums: who stands in for replicas that cannot be reached, and what that counts for.

use kvorum_quorum::Level;

use super::bench::*;
use super::hints::{appended, started, told};
use crate::shard::{HintQueue, Input};
use crate::{ActorId, FailureKind, Message, NodeId, Op, Record, Replicas};

/// The stand-ins that were asked to write: each with the replica it stands in for.
fn asked_to_stand_in(bench: &mut Bench) -> Vec<(u64, u64, Op)> {
    let stand_in = |(node, message)| match message {
        Message::Write { op, stand_in_for: Some(target), minted: Some(_), .. }
        | Message::Read { op, stand_in_for: Some(target), .. } => Some((node, target.0, op)),
        _ => None,
    };
    bench.sent().into_iter().filter_map(stand_in).collect()
}

/// A write that another node coordinates, and has this one keep for a replica.
fn stand_in(slot: u32, record: &Record, target: u64) -> Message {
    let (minted, stand_in_for) = (Some(record.time()), Some(NodeId(target)));
    Message::Write { op: their_op(slot), key: key("k"), record: record.clone(), minted, stand_in_for, relay: vec![] }
}

fn fallbacks(down: &[u64]) -> Setup {
    Setup { fallbacks: true, down: down.to_vec(), ..Setup::default() }
}

fn holds(op: Op, record: Option<Record>) -> Message {
    Message::ReadReply { op, record }
}

fn sloppy(wanted: u8, answered: u8, agreed: u8) -> Replicas {
    Replicas { wanted, answered, agreed, sloppy: true }
}

#[test]
fn a_stand_in_is_asked_for_who_is_down_and_its_answer_counts() {
    let mut bench = started(fallbacks(&[2, 3]));
    bench.ask(put("k", "v", Level::Quorum));
    let asked = asked_to_stand_in(&mut bench);
    let [(4, 2, op)] = asked[..] else { panic!("{asked:?}") };
    assert_eq!(appended(&bench), [(0, 3), (2, 3)], "who is not stood in for gets a hint of this node");
    let record = bench.log[0].2.clone();
    bench.sync();
    assert_eq!(bench.replies(), []);
    bench.peer(4, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    assert_eq!(written(&bench.reply()), (record.dot(), sloppy(2, 2, 2)));
    assert!(matches!(told(&mut bench)[..], [HintQueue { target: NodeId(3), .. }]));
    bench.assert_idle();
}

#[test]
fn a_stand_in_that_fails_is_replaced_until_none_is_left() {
    type Fail = fn(&mut Bench, u64, Op);
    let ways: [Fail; 4] = [
        |bench, node, op| bench.refuse(node, op),
        |bench, node, op| bench.tell(Input::Unsent { to: NodeId(node), op }),
        |bench, node, _| bench.tell(Input::PeerLost(NodeId(node))),
        |bench, node, _| bench.down(if node == 4 { &[2, 3, 4] } else { &[2, 3, 4, 5] }),
    ];
    for fail in ways {
        let mut bench = started(fallbacks(&[2, 3]));
        bench.ask(put("k", "v", Level::Quorum));
        bench.sync();
        let asked = asked_to_stand_in(&mut bench);
        let [(4, 2, op)] = asked[..] else { panic!("{asked:?}") };
        fail(&mut bench, 4, op);
        let asked = asked_to_stand_in(&mut bench);
        assert_eq!(asked, [(5, 2, op)]);
        assert_eq!(bench.replies(), []);
        fail(&mut bench, 5, op);
        let reply = bench.reply();
        assert_eq!(failure(&reply).kind, FailureKind::Indeterminate);
        bench.sync();
        bench.reports();
        bench.assert_idle();
    }
}

#[test]
fn a_strict_write_is_rejected_and_nothing_leaves() {
    let mut bench = started(fallbacks(&[2, 3]));
    bench.ask(strict(put("k", "v", Level::Quorum)));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
    assert_eq!((bench.log.len(), bench.queues.len()), (0, 0));
    bench.assert_idle();
    bench.ask(strict(get("k", Level::Quorum)));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
    bench.assert_idle();
}

#[test]
fn silent_replicas_are_covered_after_a_while_unless_the_client_insists_on_them() {
    for insists in [false, true] {
        let mut bench = started(fallbacks(&[]));
        let operation = put("k", "v", Level::Quorum);
        bench.ask(if insists { strict(operation) } else { operation });
        bench.sync();
        let (to, _) = bench.asked();
        assert_eq!(to, [2, 3]);
        bench.wait(ms(249));
        assert_eq!(bench.sent(), []);
        bench.wait(ms(10));
        let asked: Vec<_> = asked_to_stand_in(&mut bench).into_iter().map(|(node, target, _)| (node, target)).collect();
        assert_eq!(asked, if insists { vec![] } else { vec![(4, 2)] }, "one is enough");
    }
}

#[test]
fn a_replica_that_answers_after_it_was_covered_makes_the_write_less_sloppy() {
    let mut bench = started(fallbacks(&[]));
    bench.ask(put("k", "v", Level::Quorum));
    let record = bench.log[0].2.clone();
    bench.sync();
    bench.wait(ms(260));
    let (_, _, op) = asked_to_stand_in(&mut bench)[0];
    bench.peer(3, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    assert_eq!(written(&bench.reply()).1, Replicas { sloppy: false, ..sloppy(2, 2, 2) });
    bench.peer(4, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    assert_eq!((bench.shard.settling(), appended(&bench)), (0, vec![]), "the stand-in keeps the hint");
    bench.assert_idle();
}

#[test]
fn a_node_without_a_replica_forwards_while_one_is_up_and_else_stands_in_itself() {
    let mut bench = started(Setup { me: 4, ..fallbacks(&[1, 2]) });
    bench.ask(put("k", "v", Level::Quorum));
    assert!(matches!(bench.sent()[..], [(3, Message::Forward { .. })]));
    bench.down(&[1, 2, 3]);
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);

    let mut actors = Vec::new();
    for value in ["a", "b"] {
        bench.ask(put("k", value, Level::Quorum));
        let asked = asked_to_stand_in(&mut bench);
        let [(5, other, op)] = asked[..] else { panic!("{asked:?}") };
        let owed: Vec<u64> = appended(&bench).into_iter().filter(|row| row.0 == 1).map(|row| row.1).collect();
        assert_eq!(owed.len(), 1, "for one it stands in itself");
        assert!((1..=3).contains(&owed[0]) && owed[0] != other);
        let newest = bench.log.back().unwrap().2.dot();
        bench.peer(5, Message::WriteReply { op, newest, pulled_by: Vec::new() });
        assert_eq!(bench.replies(), [], "what it keeps itself is not durable yet");
        bench.sync();
        assert_eq!(written(&bench.reply()), (newest, sloppy(2, 2, 2)));
        actors.push(newest.actor);
    }
    assert!(actors[0] != actors[1] && !actors.contains(&ActorId(4)), "each write is an actor of its own: {actors:?}");
    assert_eq!(bench.pairs(), [], "it is no replica");
}

#[test]
fn a_node_without_a_replica_whose_forwards_are_not_sent_coordinates_itself() {
    let mut bench = started(Setup { me: 4, ..fallbacks(&[]) });
    bench.ask(put("k", "v", Level::One));
    for _ in 0..3 {
        let (to, op) = bench.asked();
        bench.tell(Input::Unsent { to: NodeId(to[0]), op });
    }
    let (to, op) = bench.asked();
    assert_eq!(to.len(), 3, "the replicas are tried once more, as it is done for its own clients");
    to.iter().for_each(|node| bench.tell(Input::Unsent { to: NodeId(*node), op }));
    bench.sync();
    assert_eq!(written(&bench.reply()).1, sloppy(1, 1, 1));
}

#[test]
fn who_stands_in_keeps_the_write_apart_and_tells_the_newest_it_keeps() {
    let mut bench = started(Setup { me: 4, ..fallbacks(&[3]) });
    let (old, new) = (record(-20, "old"), record(0, "new"));
    for (slot, record) in [(1, &new), (2, &old)] {
        bench.peer(1, stand_in(slot, record, 3));
        if slot == 1 {
            assert_eq!(bench.sent(), [], "not before it is durable");
            bench.sync();
        }
        assert_eq!(
            bench.sent(),
            [(1, Message::WriteReply { op: their_op(slot), newest: new.dot(), pulled_by: Vec::new() })]
        );
    }
    assert_eq!((bench.pairs(), bench.hint_rows()), (vec![], 2));
    assert!(matches!(told(&mut bench)[..], [HintQueue { target: NodeId(3), count: 1, owed: 1, .. }]));
    bench.peer(1, stand_in(3, &new, 5));
    assert!(matches!(bench.sent()[..], [(1, Message::Refused { .. })]), "node 5 holds no replica of it");

    // It tells what it keeps of the key, for whichever replica, and of nothing else.
    let read = |slot, name, target| Message::Read {
        op: their_op(slot),
        key: key(name),
        known: None,
        stand_in_for: Some(NodeId(target)),
    };
    for (slot, name, target, expected) in [(4, "k", 3, Some(&new)), (5, "k", 2, Some(&new)), (6, "other", 3, None)] {
        bench.peer(1, read(slot, name, target));
        assert_eq!(bench.sent(), [(1, holds(their_op(slot), expected.cloned()))]);
    }
    bench.assert_idle();
}

#[test]
fn a_stand_in_that_may_keep_no_more_refuses() {
    let hints = kvorum_hints::Config { bytes: 40, ..kvorum_hints::Config::default() };
    let limits = crate::Limits { hints, ..crate::Limits::default() };
    let mut bench = started(Setup { me: 4, limits, ..fallbacks(&[1, 2, 3]) });
    bench.peer(1, stand_in(1, &record(0, "v"), 3));
    assert!(matches!(bench.sent()[..], [(1, Message::Refused { .. })]));
    // Nor does it count itself.
    bench.ask(put("k", "v", Level::One));
    let asked = asked_to_stand_in(&mut bench);
    assert!(matches!(asked[..], [(5, _, _)]), "{asked:?}");
    assert_eq!(appended(&bench), []);
}

#[test]
fn a_read_counts_a_stand_in_for_a_key_that_it_keeps() {
    let mut bench = started(fallbacks(&[2, 3]));
    bench.store.insert(key("k"), record(-50, "old"));
    bench.ask(get("k", Level::Quorum));
    let asked = asked_to_stand_in(&mut bench);
    let [(4, target, op)] = asked[..] else { panic!("{asked:?}") };
    bench.peer(4, holds(op, None));
    assert_eq!(bench.replies(), [], "it keeps nothing of it, which says nothing");
    assert_eq!(asked_to_stand_in(&mut bench), [(5, target, op)]);
    let new = record(0, "new");
    bench.peer(5, holds(op, Some(new.clone())));
    let (found, replicas) = value(&bench.reply());
    assert_eq!(found.as_deref(), Some(&b"new"[..]));
    assert_eq!(replicas, sloppy(2, 2, 0), "no replica holds it");
    bench.sync();
    assert_eq!(bench.store[&key("k")], new, "this node's own copy was behind");
    bench.assert_idle();
}

#[test]
fn that_a_key_is_absent_only_a_replica_can_tell() {
    for (kept, expected) in [(Record::lww(dot(0), None, None), None), (record(0, "v"), Some("v"))] {
        let mut bench = started(Setup { me: 4, ..fallbacks(&[1, 2, 3]) });
        bench.ask(get("k", Level::One));
        let asked = asked_to_stand_in(&mut bench);
        let [(5, _, op)] = asked[..] else { panic!("this node keeps nothing, so node 5 is asked: {asked:?}") };
        bench.peer(5, holds(op, Some(kept)));
        let reply = bench.reply();
        match expected {
            Some(expected) => {
                let (found, replicas) = value(&reply);
                assert_eq!((found.as_deref(), replicas), (Some(expected.as_bytes()), sloppy(1, 1, 0)));
            }
            None => {
                assert_eq!(failure(&reply).kind, FailureKind::Rejected);
                assert!(failure(&reply).message.contains("only a replica"), "{reply:?}");
            }
        }
        bench.assert_idle();
    }
}

#[test]
fn a_node_without_a_replica_reads_what_it_keeps_itself() {
    let mut bench = started(Setup { me: 4, ..fallbacks(&[1, 2, 3]) });
    bench.peer(5, stand_in(1, &record(0, "v"), 1));
    bench.ask(get("k", Level::One));
    assert_eq!((bench.replies(), bench.sent()), (vec![], vec![]), "it is not durable");
    bench.sync();
    assert_eq!(value(&bench.reply()), (Some("v".into()), sloppy(1, 1, 0)));
}
