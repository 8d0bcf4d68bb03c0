//! What each replica of a key holds. What waits for it is in `why_hints.rs`.

use bytes::Bytes;
use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::StoreError;
use crate::{Explanation, Message, NodeId, Op, Operation, Record, Response};

pub(super) fn why() -> Operation {
    Operation::Why { key: Bytes::from_static(b"k") }
}

/// Who was asked what it holds, and who what it keeps as hints: two operations.
pub(super) fn questions(bench: &mut Bench) -> ((Vec<u64>, Op), (Vec<u64>, Op)) {
    let sent = bench.sent();
    let of = |sort: fn(&Message) -> bool| {
        let asked: Vec<_> = sent.iter().filter(|(_, message)| sort(message)).collect();
        let op = asked.first().expect("something was asked").1.op();
        assert!(asked.iter().all(|(_, message)| message.op() == op), "{asked:?}");
        (asked.iter().map(|(node, _)| *node).collect::<Vec<_>>(), op)
    };
    let reads = of(|message| matches!(message, Message::Read { known: None, stand_in_for: None, .. }));
    let hints = of(|message| matches!(message, Message::ReadHints { .. }));
    assert_eq!(sent.len(), reads.0.len() + hints.0.len(), "{sent:?}");
    assert_ne!(reads.1, hints.1);
    (reads, hints)
}

/// These keep nothing.
pub(super) fn keep_nothing(bench: &mut Bench, nodes: &[u64], op: Op) {
    for node in nodes {
        bench.peer(*node, Message::HintsReply { op, hints: Vec::new() });
    }
}

/// The only answer since the last time.
pub(super) fn told(bench: &mut Bench) -> Explanation {
    match bench.reply() {
        Response::Why(told) => told,
        other => panic!("expected what is known of the key, not {other:?}"),
    }
}

fn held(told: &Explanation) -> Vec<(u64, Result<Option<Record>, String>)> {
    told.replicas.iter().map(|replica| (replica.node.0, replica.held.clone())).collect()
}

#[test]
fn every_replica_is_asked_and_told_of() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(0, "mine"));
    bench.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    assert_eq!(nodes, [2, 3]);
    keep_nothing(&mut bench, &members, hints);
    bench.peer(2, Message::ReadReply { op, record: None });
    assert_eq!(bench.replies(), [], "one has not answered");
    bench.refuse(3, op);
    let expected = vec![(1, Ok(Some(record(0, "mine")))), (2, Ok(None)), (3, Err("busy".to_owned()))];
    let told = told(&mut bench);
    assert_eq!(held(&told), expected);
    assert_eq!((told.silent, told.unasked), (vec![], 0), "it refused another question");
    bench.assert_idle();
}

#[test]
fn who_is_silent_does_not_keep_the_others_words_back() {
    let mut bench = Bench::new(Setup { down: vec![3], ..Setup::default() });
    bench.hold_reads = true;
    bench.ask_for(why(), ms(6000));
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    assert_eq!(nodes, [2, 3], "who is thought to be down may be asked all the same");
    bench.fail_load(StoreError::Io("gone".to_owned()));
    bench.hold_reads = false;
    bench.release();
    keep_nothing(&mut bench, &members, hints);
    bench.peer(2, Message::ReadReply { op, record: Some(record(0, "theirs")) });
    bench.wait(ms(2900));
    assert_eq!(bench.replies(), []);
    bench.wait(ms(200));
    let told = held(&told(&mut bench));
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
    let ((_, op), (members, hints)) = questions(&mut bench);
    keep_nothing(&mut bench, &members, hints);
    bench.peer(2, Message::ReadReply { op, record: None });
    bench.peer(3, Message::ReadReply { op, record: None });
    assert_eq!(bench.replies().len(), 0);
    bench.sync();
    assert_eq!(bench.replies().len(), 2);

    let mut outsider = Bench::node(5);
    outsider.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut outsider);
    assert_eq!((nodes.len(), members.len()), (3, 4));
    keep_nothing(&mut outsider, &members, hints);
    for node in nodes {
        outsider.peer(node, Message::ReadReply { op, record: None });
    }
    let told = told(&mut outsider);
    assert!(told.replicas.iter().all(|replica| replica.node != NodeId(5)), "{told:?}");
    assert_eq!(told.silent, []);
    outsider.assert_idle();
}
