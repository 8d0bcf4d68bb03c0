//! Two data centres: how writes get to the other one, whose answers count, and who is asked to read.

use kvorum_quorum::Level;

use super::bench::*;
use super::hints::appended;
use crate::shard::Input;
use crate::{Failure, FailureKind, Message, NodeId, Op, PeerShard, Record, ShardIndex};

/// Node 1 in `dc`, with 2 and 3; the other data centre has 4, 5 and 6.
fn node(me: u64, down: &[u64]) -> Bench {
    Bench::new(Setup { me, layout: Some(two_centres(false)), down: down.to_vec(), ..Setup::default() })
}

/// The writes that were sent since the last time: to whom, to be handed on to whom; and their operation.
fn writes(bench: &mut Bench) -> (Vec<(u64, Vec<u64>)>, Option<Op>) {
    let sent = bench.sent();
    let op = sent.first().map(|(_, message)| message.op());
    let write = |(node, message)| match message {
        Message::Write { relay, stand_in_for: None, .. } => (node, relay.into_iter().map(|node| node.0).collect()),
        other => panic!("{other:?} is no write"),
    };
    (sent.into_iter().map(write).collect(), op)
}

fn acked(bench: &mut Bench, nodes: &[u64], op: Op, record: &Record) {
    for node in nodes {
        bench.peer(*node, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    }
}

#[test]
fn one_copy_goes_to_the_other_data_centre_to_be_handed_on_there() {
    let mut bench = node(1, &[]);
    bench.ask(put("k", "v", Level::LocalQuorum));
    let (sent, _) = writes(&mut bench);
    assert_eq!(sent, [(2, vec![]), (3, vec![]), (4, vec![5, 6])]);
    // Of those that are up there.
    let mut bench = node(1, &[4]);
    bench.ask(put("k", "v", Level::LocalQuorum));
    assert_eq!(writes(&mut bench).0, [(2, vec![]), (3, vec![]), (5, vec![6])]);
    let mut bench = node(5, &[2, 3]);
    bench.ask(put("k", "v", Level::LocalQuorum));
    assert_eq!(
        writes(&mut bench).0,
        [(6, vec![]), (4, vec![]), (1, vec![])],
        "for one alone there is nothing to hand on"
    );
}

#[test]
fn a_relay_hands_the_write_on_and_each_answers_the_coordinator() {
    let coordinator = PeerShard { node: NodeId(1), shard: ShardIndex(3) };
    let (record, minted) = (record(0, "v"), Some(at(0)));
    let relayed = Message::Relayed { coordinator, op: their_op(1), key: key("k"), record: record.clone(), minted };
    let ack = Message::WriteReply { op: their_op(1), newest: record.dot(), pulled_by: Vec::new() };

    let mut bench = node(4, &[]);
    // Whoever is no replica is not written to.
    let relay = [5, 6, 8].map(NodeId).to_vec();
    let (record, op) = (record.clone(), their_op(1));
    bench.peer(1, Message::Write { op, key: key("k"), record, minted, stand_in_for: None, relay });
    assert_eq!(bench.sent(), [(5, relayed.clone()), (6, relayed.clone())], "at once, not when it is durable here");
    bench.sync();
    assert_eq!(bench.sent(), [(1, ack.clone())]);

    let mut bench = node(5, &[]);
    bench.peer(4, relayed.clone());
    assert_eq!(bench.sent(), []);
    bench.sync();
    assert_eq!(bench.sent(), [(1, ack)]);

    // One that refuses tells the coordinator, too, not the relay.
    let mut bench = node(7, &[]);
    bench.peer(4, relayed.clone());
    assert!(matches!(bench.sent()[..], [(1, Message::Refused { .. })]));
    let mut bench = node(5, &[]);
    bench.tell(Input::LogFailed(crate::StoreError::Io("no space".into())));
    bench.peer(4, relayed);
    assert!(matches!(bench.sent()[..], [(1, Message::Refused { .. })]));
}

#[test]
fn when_the_relay_fails_the_others_get_the_write_from_the_coordinator() {
    type Fail = fn(&mut Bench, Op);
    let ways: [Fail; 4] = [
        |bench, op| bench.refuse(4, op),
        |bench, op| bench.tell(Input::Unsent { to: NodeId(4), op }),
        |bench, _| bench.tell(Input::PeerLost(NodeId(4))),
        |bench, _| bench.down(&[4]),
    ];
    for fail in ways {
        let mut bench = node(1, &[]);
        bench.ask(put("k", "v", Level::EachQuorum));
        let (_, op) = writes(&mut bench);
        let (op, record) = (op.unwrap(), bench.log[0].2.clone());
        fail(&mut bench, op);
        assert_eq!(writes(&mut bench).0, [(5, vec![]), (6, vec![])]);
        bench.sync();
        acked(&mut bench, &[2, 5], op, &record);
        assert_eq!(bench.replies(), [], "one there is not enough");
        acked(&mut bench, &[6], op, &record);
        assert_eq!(written(&bench.reply()).1.answered, 4);
    }
}

#[test]
fn who_got_it_already_is_not_sent_it_when_the_relay_fails() {
    let mut bench = node(1, &[]);
    bench.ask(put("k", "v", Level::EachQuorum));
    let (_, op) = writes(&mut bench);
    let (op, record) = (op.unwrap(), bench.log[0].2.clone());
    acked(&mut bench, &[5], op, &record);
    bench.refuse(4, op);
    assert_eq!(writes(&mut bench).0, [(6, vec![])]);
}

#[test]
fn a_local_quorum_waits_for_nobody_far_away_who_is_hinted_later() {
    let mut bench = node(1, &[]);
    bench.tell(Input::Started);
    bench.ask(put("k", "v", Level::LocalQuorum));
    let (_, op) = writes(&mut bench);
    let record = bench.log[0].2.clone();
    bench.sync();
    assert_eq!(bench.replies(), []);
    acked(&mut bench, &[4, 5, 6], op.unwrap(), &record);
    assert_eq!(bench.replies(), [], "those far away do not count");
    acked(&mut bench, &[3], op.unwrap(), &record);
    assert_eq!(written(&bench.reply()).1.wanted, 2);

    bench.ask(put("k", "w", Level::LocalQuorum));
    let (_, op) = writes(&mut bench);
    let record = bench.log[0].2.clone();
    bench.sync();
    acked(&mut bench, &[3], op.unwrap(), &record);
    written(&bench.reply());
    bench.wait(ms(520));
    let mut hinted: Vec<u64> = appended(&bench).into_iter().filter(|row| row.0 == 0).map(|row| row.1).collect();
    hinted.sort_unstable();
    assert_eq!(hinted, [2, 4, 5, 6]);
}

#[test]
fn an_each_quorum_needs_both_data_centres_and_says_which_replicas_are_missing() {
    let mut bench = node(1, &[4, 5]);
    bench.ask(put("k", "v", Level::EachQuorum));
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Rejected);
    let message = &failure(&reply).message;
    assert!(message.contains("needs 4 of 6 replicas") && message.contains("n4 is down, n5 is down"), "{message}");
    assert_eq!((bench.log.len(), bench.sent()), (0, vec![]));
    bench.ask(get("k", Level::EachQuorum));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
    assert_eq!(bench.sent(), []);

    // One more failure there than it can bear, when it was sent.
    let mut bench = node(1, &[4]);
    bench.ask(put("k", "v", Level::EachQuorum));
    let (_, op) = writes(&mut bench);
    let failure_there = Failure::new(FailureKind::Overloaded, "busy");
    bench.peer(6, Message::Refused { op: op.unwrap(), failure: failure_there });
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
}

#[test]
fn reads_ask_their_own_data_centre_first_however_fast_the_other_is() {
    for (level, far) in [(Level::LocalQuorum, 0), (Level::Three, 0), (Level::Quorum, 1), (Level::EachQuorum, 2)] {
        let mut bench = node(1, &[]);
        for (node, latency) in [(2, 80), (3, 90), (4, 9), (5, 4), (6, 1)] {
            *bench.shard.latency_of(NodeId(node)) = kvorum_quorum::Latency::new(ms(latency));
        }
        bench.ask(get("k", level));
        let (to, _) = bench.asked();
        let (near, others): (Vec<u64>, Vec<u64>) = to.into_iter().partition(|node| *node <= 3);
        assert_eq!(others.len(), far, "{level}");
        assert_eq!(others, [6, 5][..far], "{level}: of the other one the fastest");
        assert_eq!(near.len(), if matches!(level, Level::Three | Level::Quorum) { 2 } else { 1 }, "{level}");
    }
}

#[test]
fn who_stands_in_is_of_the_same_data_centre_if_one_is_up() {
    for (down, expected) in [(vec![4, 5], 8), (vec![4, 5, 8], 7)] {
        let layout = Some(two_centres(true));
        let mut bench = Bench::new(Setup { layout, down, ..Setup::default() });
        bench.ask(put("k", "v", Level::EachQuorum));
        let sent = bench.sent();
        let stand_ins: Vec<u64> = sent
            .iter()
            .filter(|(_, message)| matches!(message, Message::Write { stand_in_for: Some(_), .. }))
            .map(|(node, _)| *node)
            .collect();
        assert_eq!(stand_ins, [expected]);
    }
}

#[test]
fn a_silent_relay_does_not_keep_the_write_from_the_others() {
    let mut bench = Bench::new(Setup { layout: Some(two_centres(false)), ..Setup::default() });
    bench.ask(put("k", "v", Level::EachQuorum));
    let (to, op) = bench.asked();
    assert_eq!(to, [2, 3, 4]);
    let newest = bench.log[0].2.dot();
    bench.sync();
    bench.peer(2, Message::WriteReply { op, newest, pulled_by: Vec::new() });
    bench.wait(ms(900));
    for (node, _) in bench.sent() {
        bench.peer(node, Message::WriteReply { op, newest, pulled_by: Vec::new() });
    }
    assert!(matches!(bench.reply(), crate::Response::Written { .. }), "5 and 6 are well");
}
