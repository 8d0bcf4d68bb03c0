//! Who has pulled: its earlier answers count no more.

use kvorum_quorum::Level;
use kvorum_ring::PartitionId;

use super::bench::*;
use crate::{ActorId, DEFAULT_KEYSPACE, KeyRange, Message, NodeId, Op, Record, StoredKey};

/// A process of a node that pulls; the members of the bench run as others.
const PROCESS: ActorId = ActorId(77);

fn pulls(partition: PartitionId, process: ActorId) -> Message {
    let range = KeyRange::of_partition(DEFAULT_KEYSPACE, partition, &[], None);
    Message::Scan { op: their_op(1), range, limit_bytes: 1000, puller: Some(process) }
}

fn ack(op: Op, record: &Record, pulled_by: &[(u64, ActorId)]) -> Message {
    let pulled_by = pulled_by.iter().map(|(node, process)| (NodeId(*node), *process)).collect();
    Message::WriteReply { op, newest: record.dot(), pulled_by }
}

/// A write that nodes 2 and 3 were asked for, and which is not durable here.
fn begin(level: Level) -> (Bench, Op, Record) {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", level));
    let (to, op) = bench.asked();
    assert_eq!(to, [2, 3]);
    let record = bench.log[0].2.clone();
    (bench, op, record)
}

/// Whether node 2 was sent the write again, and nothing else was sent.
#[track_caller]
fn assert_sent_again(bench: &mut Bench, op: Op, record: &Record) {
    let sent = bench.sent();
    let [(2, Message::Write { op: again, record: resent, .. })] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((*again, resent), (op, record));
}

#[test]
fn who_pulls_has_lost_what_it_answered_for_and_gets_it_again_before_the_write_is_acknowledged() {
    let (mut bench, op, record) = begin(Level::All);
    bench.peer(2, ack(op, &record, &[]));
    // Its disk is gone; it pulls, and this node has nothing durable yet that it could give.
    bench.peer(2, pulls(PARTITION, PROCESS));
    let sent = bench.sent();
    let [(2, Message::Write { op: again, record: resent, .. }), (2, Message::ScanReply { rows, .. })] = &sent[..]
    else {
        panic!("{sent:?}")
    };
    assert_eq!((*again, resent, rows.len()), (op, &record, 0));
    bench.sync();
    bench.peer(3, ack(op, &record, &[]));
    assert_eq!(bench.replies(), []);
    bench.peer(2, ack(op, &record, &[]));
    assert_eq!(written(&bench.reply()).0, record.dot());
    bench.assert_idle();
}

#[test]
fn a_replica_tells_whom_it_answers_who_has_pulled_that_partition_from_it() {
    let elsewhere = StoredKey::new(DEFAULT_KEYSPACE, PartitionId(2), b"k");
    let mut bench = Bench::new(Setup { layout: Some(four_partitions()), ..Setup::default() });
    let told = |bench: &mut Bench, slot: u32, key: &StoredKey| {
        bench.peer(2, their_write(slot, key.clone(), record(i64::from(slot), "v")));
        bench.sync();
        let sent = bench.sent();
        let [(2, Message::WriteReply { pulled_by, .. })] = &sent[..] else { panic!("{sent:?}") };
        pulled_by.clone()
    };
    assert_eq!(told(&mut bench, 1, &key("k")), []);
    // It was asked for before the pull began and is durable after, so the page does not have it.
    bench.peer(2, their_write(2, key("k"), record(2, "v")));
    bench.peer(3, pulls(PARTITION, PROCESS));
    bench.sync();
    let sent = bench.sent();
    let [(3, Message::ScanReply { .. }), (2, Message::WriteReply { pulled_by, .. })] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(pulled_by[..], [(NodeId(3), PROCESS)]);
    assert_eq!(told(&mut bench, 3, &elsewhere), [], "it was another partition");
    bench.peer(3, pulls(PARTITION, ActorId(78)));
    bench.sent();
    assert_eq!(told(&mut bench, 4, &key("k")), [(NodeId(3), ActorId(78))], "of each node the last process");
}

#[test]
fn an_answer_of_who_has_pulled_since_from_another_replica_completes_no_quorum() {
    let (mut bench, op, record) = begin(Level::Quorum);
    bench.peer(2, ack(op, &record, &[]));
    // Node 2 has lost it, and found nothing at node 3, where it is durable only now.
    bench.peer(3, ack(op, &record, &[(2, PROCESS)]));
    assert_eq!(bench.replies(), []);
    assert_sent_again(&mut bench, op, &record);
    bench.peer(2, ack(op, &record, &[]));
    assert_eq!(written(&bench.reply()).0, record.dot());
    bench.sync();
    bench.assert_idle();
}

#[test]
fn a_process_that_the_view_knows_or_that_was_heeded_costs_nothing_more() {
    let (mut bench, op, record) = begin(Level::All);
    bench.peer(2, ack(op, &record, &[]));
    // The members' own processes, this node's among them, are in the view.
    bench.peer(3, ack(op, &record, &[(2, ActorId(2)), (1, PROCESS)]));
    assert_eq!(bench.sent(), []);
    bench.peer(3, ack(op, &record, &[(2, PROCESS)]));
    assert_sent_again(&mut bench, op, &record);
    bench.peer(2, ack(op, &record, &[]));
    bench.peer(3, ack(op, &record, &[(2, PROCESS)]));
    assert_eq!(bench.sent(), []);
    bench.sync();
    assert_eq!(written(&bench.reply()).0, record.dot());
    bench.assert_idle();
}

#[test]
fn each_process_that_pulls_has_lost_what_was_answered_before_and_nothing_that_it_answers_itself() {
    let (mut bench, op, record) = begin(Level::All);
    let pull = |bench: &mut Bench, process| {
        bench.peer(2, pulls(PARTITION, process));
        let sent = bench.sent();
        let again =
            |(to, message): &(u64, Message)| matches!(message, Message::Write { op: it, .. } if (*to, *it) == (2, op));
        sent.iter().filter(|sent| again(sent)).count()
    };
    bench.peer(2, ack(op, &record, &[]));
    assert_eq!(pull(&mut bench, PROCESS), 1);
    bench.peer(2, ack(op, &record, &[]));
    assert_eq!(pull(&mut bench, PROCESS), 0, "another page, or keyspace, of the same pull");
    assert_eq!(pull(&mut bench, ActorId(78)), 1, "it has lost its disk once more");
}
