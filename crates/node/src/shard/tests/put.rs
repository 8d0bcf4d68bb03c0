//! Coordinating a write: who must hold it before it is acknowledged, and what is said when too few do.

use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{Input, Report};
use crate::{FailureKind, Message, NodeId, Replicas};

fn ack(op: crate::Op, record: &crate::Record) -> Message {
    Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() }
}

/// The record a bench has appended last.
fn minted(bench: &Bench) -> crate::Record {
    bench.log.back().expect("something was appended").2.clone()
}

#[test]
fn a_put_is_answered_once_when_w_replicas_hold_it_durably() {
    let mut bench = Bench::node(1);
    let request = bench.ask(put("k", "v", Level::Quorum));
    let (to, op) = bench.asked();
    assert_eq!(to, [2, 3]);
    let record = minted(&bench);
    assert_eq!(value_of(&record).as_deref(), Some(&b"v"[..]));
    bench.peer(2, ack(op, &record));
    bench.peer(2, ack(op, &record));
    assert_eq!(bench.replies(), [], "one replica, however often it answers, is not two");
    bench.sync();
    let replies = bench.replies();
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].0, request);
    assert_eq!(written(&replies[0].1), (record.dot(), Replicas { wanted: 2, answered: 2, agreed: 2, sloppy: false }));
    bench.peer(3, ack(op, &record));
    bench.assert_idle();
}

#[test]
fn this_node_votes_only_when_its_own_copy_is_durable() {
    let mut bench = Bench::node(2);
    bench.ask(put("k", "v", Level::All));
    let (to, op) = bench.asked();
    assert_eq!(to, [3, 1], "the others in the order of the row, from this node on");
    let record = minted(&bench);
    bench.peer(1, ack(op, &record));
    bench.peer(3, ack(op, &record));
    assert_eq!(bench.replies(), []);
    bench.sync();
    assert_eq!(written(&bench.reply()).1.answered, 3);
    bench.assert_idle();
}

#[test]
fn a_write_leaves_for_the_log_and_the_replicas_in_one_turn() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    bench.ask(put("k", "v", Level::Quorum));
    assert_eq!((bench.held.len(), bench.log.len(), bench.sent().len()), (1, 0, 0), "it waits for the stored record");
    bench.release();
    assert_eq!((bench.log.len(), bench.sent().len()), (1, 2));
}

#[test]
fn writers_of_one_key_queue_behind_one_load() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    for value in ["a", "b", "c"] {
        bench.ask(put("k", value, Level::One));
    }
    bench.ask(put("other", "x", Level::One));
    assert_eq!(bench.held.len(), 2, "one load for each key");
    bench.release();
    let values: Vec<_> = bench.log.iter().map(|(_, _, record)| value_of(record).unwrap()).collect();
    assert_eq!(values, ["a", "b", "c"]);
    assert!(bench.log.iter().is_sorted_by(|a, b| a.2.dot() < b.2.dot()));
    bench.ask(delete("k", Level::One));
    assert_eq!((bench.held.len(), bench.log.len()), (1, 4), "what is in the overlay need not be loaded");
}

#[test]
fn a_write_is_minted_above_what_is_stored() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(300, "from the future"));
    bench.ask(put("k", "v", Level::One));
    assert!(minted(&bench).time() > at(300));
}

#[test]
fn a_later_durable_write_settles_the_earlier() {
    let mut bench = Bench::node(1);
    let first = bench.ask(put("k", "a", Level::One));
    let second = bench.ask(put("k", "b", Level::One));
    assert_eq!(bench.shard.overlaid_keys(), 1);
    bench.sync_some(1);
    assert_eq!(bench.replies().iter().map(|reply| reply.0).collect::<Vec<_>>(), [first]);
    assert_eq!(bench.shard.overlaid_keys(), 1, "the newer record is not durable yet");
    let third = bench.ask(put("k", "c", Level::One));
    bench.sync();
    assert_eq!(bench.replies().iter().map(|reply| reply.0).collect::<Vec<_>>(), [second, third]);
    assert_eq!(bench.shard.overlaid_keys(), 0);
    assert_eq!(value_of(&bench.store[&key("k")]).as_deref(), Some(&b"c"[..]));
}

#[test]
fn with_too_few_replicas_up_a_write_is_rejected_and_nothing_leaves() {
    let mut bench = Bench::new(Setup { down: vec![2, 3], ..Setup::default() });
    bench.ask(put("k", "v", Level::Quorum));
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Rejected);
    let message = &failure(&reply).message;
    assert!(message.contains("n1 is up, n2 is down, n3 is down"), "{message}");
    assert_eq!((bench.log.len(), bench.shard.overlaid_keys()), (0, 0));
    bench.assert_idle();
    bench.ask(put("k", "v", Level::One));
    assert_eq!(minted(&bench).time(), at(0), "nothing had been minted");
    assert_eq!(bench.sent(), [], "nothing is sent to who is down");
}

#[test]
fn replicas_that_go_down_while_the_stored_record_is_read_count_as_down() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    bench.ask(put("k", "v", Level::Quorum));
    bench.ask(put("k", "w", Level::One));
    bench.down(&[2, 3]);
    bench.release();
    let replies = bench.replies();
    assert_eq!(failure(&replies[0].1).kind, FailureKind::Rejected);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.log.len(), 1, "the write that needs nobody else goes on");
}

#[test]
fn a_write_too_late_after_its_dot_was_minted_is_indeterminate() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::All));
    let (_, op) = bench.asked();
    let record = minted(&bench);
    bench.sync();
    bench.peer(3, ack(op, &record));
    bench.wait(ms(999));
    assert_eq!(bench.replies(), []);
    bench.wait(ms(20));
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Indeterminate);
    let message = &failure(&reply).message;
    assert!(message.contains("n1 answered, n2 did not answer, n3 answered"), "{message}");
    assert_eq!(bench.reports(), [Report::PeerFailed(NodeId(2))]);
    bench.peer(2, ack(op, &record));
    bench.assert_idle();
}

#[test]
fn a_write_whose_stored_record_is_not_read_in_time_is_rejected() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    bench.ask(put("k", "v", Level::Quorum));
    bench.wait(ms(1010));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
    bench.release();
    assert_eq!((bench.log.len(), bench.shard.overlaid_keys()), (0, 0));
    bench.assert_idle();
}

#[test]
fn a_stored_record_that_is_read_at_the_deadline_comes_too_late_to_mint() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    bench.ask(put("k", "v", Level::Quorum));
    bench.now.elapsed += ms(1000);
    bench.release();
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
    assert_eq!(bench.log.len(), 0);
    bench.assert_idle();
}

#[test]
fn a_write_ends_as_soon_as_too_few_can_answer() {
    type Fail = fn(&mut Bench, u64, crate::Op);
    let ways: [Fail; 4] = [
        |bench, node, op| bench.refuse(node, op),
        |bench, node, op| bench.tell(Input::Unsent { to: NodeId(node), op }),
        |bench, node, _| bench.tell(Input::PeerLost(NodeId(node))),
        |bench, node, _| bench.down(if node == 2 { &[2] } else { &[2, 3] }),
    ];
    for fail in ways {
        let mut bench = Bench::node(1);
        bench.ask(put("k", "v", Level::Quorum));
        let (_, op) = bench.asked();
        fail(&mut bench, 2, op);
        assert_eq!(bench.replies(), []);
        fail(&mut bench, 3, op);
        assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
        bench.sync();
        bench.reports();
        bench.assert_idle();
    }
}

#[test]
fn who_has_answered_is_not_lost_any_more() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, op) = bench.asked();
    let record = minted(&bench);
    bench.peer(2, ack(op, &record));
    bench.tell(Input::PeerLost(NodeId(2)));
    bench.tell(Input::PeerLost(NodeId(3)));
    bench.sync();
    assert_eq!(written(&bench.reply()).1.answered, 2);
    bench.assert_idle();
}

#[test]
fn a_level_that_the_replicas_can_never_meet_is_invalid() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", "4".parse().unwrap()));
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Invalid);
    bench.assert_idle();
}
