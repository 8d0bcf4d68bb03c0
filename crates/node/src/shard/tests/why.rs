//! What each replica of a key holds.

use bytes::Bytes;
use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::StoreError;
use crate::{Message, NodeId, Operation, Response};

fn why() -> Operation {
    Operation::Why { key: Bytes::from_static(b"k") }
}

#[test]
fn every_replica_is_asked_and_told_of() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(0, "mine"));
    bench.ask(why());
    let (nodes, op) = bench.asked();
    assert_eq!(nodes, [2, 3]);
    bench.peer(2, Message::ReadReply { op, record: None });
    bench.refuse(3, op);
    let mine = (NodeId(1), Ok(Some(record(0, "mine"))));
    let expected = vec![mine, (NodeId(2), Ok(None)), (NodeId(3), Err("busy".to_owned()))];
    assert_eq!(bench.reply(), Response::Why(expected));
    bench.assert_idle();
}

#[test]
fn who_is_silent_does_not_keep_the_others_words_back() {
    let mut bench = Bench::new(Setup { down: vec![3], ..Setup::default() });
    bench.hold_reads = true;
    bench.ask_for(why(), ms(6000));
    let (nodes, op) = bench.asked();
    assert_eq!(nodes, [2, 3], "who is thought to be down may be asked all the same");
    bench.fail_load(StoreError::Io("gone".to_owned()));
    bench.peer(2, Message::ReadReply { op, record: Some(record(0, "theirs")) });
    bench.wait(ms(2900));
    assert_eq!(bench.replies(), []);
    bench.wait(ms(200));
    let Response::Why(told) = bench.reply() else { panic!("expected what the replicas hold") };
    assert!(told[0].1.as_ref().unwrap_err().contains("gone"), "{told:?}");
    assert_eq!(told[1].1, Ok(Some(record(0, "theirs"))));
    assert!(told[2].1.as_ref().unwrap_err().contains("in time"), "{told:?}");
    bench.assert_idle();
}

#[test]
fn what_is_not_durable_is_waited_for_and_who_is_no_replica_may_ask() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::One));
    bench.sent();
    bench.ask(why());
    let (_, op) = bench.asked();
    bench.peer(2, Message::ReadReply { op, record: None });
    bench.peer(3, Message::ReadReply { op, record: None });
    assert_eq!(bench.replies().len(), 0);
    bench.sync();
    assert_eq!(bench.replies().len(), 2);

    let mut outsider = Bench::node(5);
    outsider.ask(why());
    assert_eq!(outsider.asked().0.len(), 3);
}
