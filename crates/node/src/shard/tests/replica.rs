//! Serving other coordinators: merging their writes, never overwriting, and showing only what is durable.

use kvorum_gossip as gossip;
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;

use super::bench::*;
use crate::shard::{Effect, Input, Report};
use crate::{
    DEFAULT_KEYSPACE, EpochPhase, FailureKind, KeyRange, Message, NodeId, Op, PeerShard, Record, ShardIndex, StoredKey,
};

fn write(slot: u32, record: &Record) -> Message {
    their_write(slot, key("k"), record.clone())
}

fn acked(slot: u32, record: &Record) -> (u64, Message) {
    (2, Message::WriteReply { op: their_op(slot), newest: record.dot(), pulled_by: Vec::new() })
}

fn refusal(bench: &mut Bench) -> (Op, FailureKind) {
    let sent = bench.sent();
    let [(_, Message::Refused { op, failure })] = &sent[..] else { panic!("expected a refusal, not {sent:?}") };
    (*op, failure.kind)
}

#[test]
fn a_newer_record_is_stored_and_acknowledged_when_it_is_durable() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(-50, "old"));
    let new = record(0, "new");
    bench.peer(2, write(1, &new));
    assert_eq!(bench.sent(), []);
    bench.sync();
    assert_eq!(bench.sent(), [acked(1, &new)]);
    assert_eq!(bench.store[&key("k")], new);
    bench.assert_idle();
}

#[test]
fn an_older_record_changes_nothing_and_is_answered_with_the_newer_dot() {
    let mut bench = Bench::node(1);
    let newest = record(-50, "newest");
    bench.store.insert(key("k"), newest.clone());
    bench.peer(2, write(1, &record(-80, "older")));
    assert_eq!(bench.sent(), [acked(1, &newest)], "the newer one is durable");
    assert_eq!(bench.log.len(), 0);

    let undurable = record(0, "undurable");
    bench.peer(2, write(2, &undurable));
    bench.peer(2, write(3, &newest));
    assert_eq!((bench.log.len(), bench.sent()), (1, vec![]), "the newer one is not durable yet");
    bench.sync();
    assert_eq!(bench.sent(), [acked(2, &undurable), acked(3, &undurable)]);
    assert_eq!(bench.store[&key("k")], undurable);
    bench.assert_idle();
}

#[test]
fn a_record_that_comes_twice_is_stored_once_and_answered_twice() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    let new = record(0, "new");
    bench.peer(2, write(1, &new));
    bench.peer(2, write(1, &new));
    bench.release();
    bench.peer(2, write(1, &new));
    assert_eq!(bench.log.len(), 1);
    bench.sync();
    assert_eq!(bench.sent(), [acked(1, &new), acked(1, &new), acked(1, &new)]);
    bench.hold_reads = false;
    bench.peer(2, write(1, &new));
    assert_eq!((bench.sent(), bench.log.len()), (vec![acked(1, &new)], 0));
    bench.assert_idle();
}

#[test]
fn writes_of_several_coordinators_queue_behind_one_load_and_the_newest_stays() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    let (old, new) = (record(0, "old"), record(30, "new"));
    bench.peer(2, write(1, &old));
    bench.peer(3, write(2, &new));
    bench.ask(put("k", "mine", Level::One));
    bench.peer(2, write(3, &old));
    assert_eq!(bench.held.len(), 1);
    bench.release();
    let mine = bench.log.back().unwrap().2.clone();
    assert!(mine.dot() > new.dot(), "a write of this node is minted above all it has merged");
    bench.sync();
    assert_eq!(bench.store[&key("k")], mine);
    let answers: Vec<_> = bench.sent().into_iter().filter(|(_, message)| !message.is_request()).collect();
    let of = |to, slot, record: &Record| {
        (to, Message::WriteReply { op: their_op(slot), newest: record.dot(), pulled_by: Vec::new() })
    };
    assert_eq!(answers, [of(2, 1, &old), of(3, 2, &new), of(2, 3, &mine)]);
}

#[test]
fn a_read_shows_nothing_that_is_not_durable() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(-50, "old"));
    let new = record(0, "new");
    bench.peer(2, write(1, &new));
    bench.peer(3, Message::Read { op: their_op(2), key: key("k"), known: None, stand_in_for: None });
    assert_eq!(bench.sent(), [], "neither the undurable one nor the one it replaces");
    bench.sync();
    let read = |record: Option<&Record>| (3, Message::ReadReply { op: their_op(2), record: record.cloned() });
    assert_eq!(bench.sent(), [acked(1, &new), read(Some(&new))]);
    bench.peer(3, Message::Read { op: their_op(2), key: key("k"), known: None, stand_in_for: None });
    bench.peer(3, Message::Read { op: their_op(2), key: key("absent"), known: None, stand_in_for: None });
    assert_eq!(bench.sent(), [read(Some(&new)), read(None)]);
    bench.assert_idle();
}

#[test]
fn a_tombstone_is_told_to_other_coordinators() {
    let mut bench = Bench::node(1);
    let tombstone = Record::lww(dot(-1), None, None);
    bench.store.insert(key("k"), tombstone.clone());
    bench.peer(3, Message::Read { op: their_op(2), key: key("k"), known: None, stand_in_for: None });
    assert_eq!(bench.sent(), [(3, Message::ReadReply { op: their_op(2), record: Some(tombstone) })]);
}

#[test]
fn a_message_of_another_layout_is_refused() {
    let mut bench = Bench::node(1);
    for epoch in [0, 2, u64::MAX] {
        let from = PeerShard { node: NodeId(2), shard: ShardIndex(0) };
        let tag = EpochPhase { epoch, ..tag() };
        let forward = Message::Forward { op: their_op(1), request: request(put("k", "v", Level::One), ms(100)) };
        for message in [
            write(1, &record(0, "v")),
            Message::Read { op: their_op(1), key: key("k"), known: None, stand_in_for: None },
            forward,
        ] {
            bench.tell(Input::Peer { from, tag, until: core::time::Duration::MAX, message });
            assert_eq!(refusal(&mut bench), (their_op(1), FailureKind::Rejected));
        }
    }
    assert_eq!(bench.log.len(), 0);
    bench.assert_idle();
}

#[test]
fn what_this_node_holds_no_replica_of_is_refused() {
    for (node, partition) in [(4, 0), (1, 1), (1, u16::MAX)] {
        let mut bench = Bench::node(node);
        let key = StoredKey::new(DEFAULT_KEYSPACE, PartitionId(partition), b"k");
        let range = KeyRange::of_partition(DEFAULT_KEYSPACE, PartitionId(partition), b"", None);
        for message in [
            their_write(1, key.clone(), record(0, "v")),
            Message::Read { op: their_op(1), key, known: None, stand_in_for: None },
            Message::Scan { op: their_op(1), range, limit_bytes: 1, puller: None },
        ] {
            bench.peer(2, message);
            assert_eq!(refusal(&mut bench), (their_op(1), FailureKind::Rejected));
        }
        bench.assert_idle();
    }
}

#[test]
fn a_scan_is_refused_unless_its_range_is_one() {
    let mut bench = Bench::node(1);
    let key = |name| key(name).as_bytes().clone();
    for (start, after_start, end) in
        [(key("b"), false, Some(key("a"))), (key("a"), true, Some(key("a"))), ("short".into(), false, None)]
    {
        let range = KeyRange { start, after_start, end };
        bench.peer(2, Message::Scan { op: their_op(1), range, limit_bytes: 1, puller: None });
        assert_eq!(refusal(&mut bench), (their_op(1), FailureKind::Rejected));
    }
    bench.assert_idle();
}

#[test]
fn a_page_is_bounded_whatever_a_peer_asks_for() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    let range = KeyRange::of_partition(DEFAULT_KEYSPACE, PARTITION, b"", None);
    for limit_bytes in [0, u32::MAX] {
        bench.peer(2, Message::Scan { op: their_op(1), range: range.clone(), limit_bytes, puller: None });
        let Some(Effect::Scan { limit_bytes, .. }) = bench.held.back() else { panic!("it scans") };
        assert!((1..=256 << 10).contains(limit_bytes));
        bench.release();
        assert!(matches!(bench.sent()[..], [(2, Message::ScanReply { more: false, .. })]));
    }
    bench.assert_idle();
}

#[test]
fn answers_to_operations_that_do_not_exist_are_ignored() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, put_op) = bench.asked();
    bench.ask(get("k", Level::Three));
    let (_, get_op) = bench.asked();
    let stale = |op: Op| Op { generation: op.generation.wrapping_sub(1), ..op };
    for op in [stale(put_op), stale(get_op), Op::from_bits(0), Op::from_bits(u64::MAX), Op { slot: 1 << 20, ..put_op }]
    {
        for message in [
            Message::WriteReply { op, newest: dot(400), pulled_by: Vec::new() },
            Message::ReadReply { op, record: Some(record(400, "v")) },
            Message::ScanReply { op, rows: vec![], more: true, digest: None },
            Message::ForwardReply {
                op,
                response: crate::Response::Failed(crate::Failure::new(FailureKind::Invalid, "")),
            },
        ] {
            bench.peer(2, message.clone());
            bench.peer(3, message);
        }
        bench.refuse(2, op);
        bench.tell(Input::Loaded { op, result: Ok(None) });
        bench.tell(Input::Scanned { op, result: Ok(Default::default()) });
    }
    // Live operations, but the wrong kind of answer, or from a node that was not asked.
    bench.peer(2, Message::ScanReply { op: get_op, rows: vec![], more: true, digest: None });
    bench.peer(2, Message::ReadReply { op: put_op, record: None });
    bench.peer(5, Message::ReadReply { op: get_op, record: None });
    bench.peer(5, Message::WriteReply { op: put_op, newest: dot(400), pulled_by: Vec::new() });
    assert_eq!((bench.replies(), bench.sent(), bench.shard.operations()), (vec![], vec![], 2));
}

#[test]
fn a_write_beyond_the_drift_bound_is_refused_and_does_not_carry_the_clock_away() {
    let mut bench = Bench::node(1);
    bench.peer(3, write(1, &record(501, "far ahead")));
    assert_eq!(refusal(&mut bench), (their_op(1), FailureKind::Rejected));
    assert_eq!(bench.reports(), [Report::ClockDrift { from: NodeId(3), ahead_ms: 501 }]);
    assert_eq!(bench.log.len(), 0);
    bench.ask(put("k", "v", Level::One));
    assert_eq!(bench.log[0].2.time(), at(0));

    let mut bench = Bench::node(1);
    bench.peer(3, write(1, &record(500, "just within")));
    bench.ask(put("other", "v", Level::One));
    assert!(bench.log[1].2.time() > at(500), "an accepted one does");
}

#[test]
fn suspects_are_still_sent_to() {
    let mut bench = Bench::node(1);
    let mut view = crate::View::clone(bench.shard.view());
    view.members.get_mut(&NodeId(2)).unwrap().state = gossip::State::Suspect;
    bench.tell(Input::View(view.into()));
    bench.ask(put("k", "v", Level::One));
    assert_eq!(bench.asked().0, [2, 3]);
}
