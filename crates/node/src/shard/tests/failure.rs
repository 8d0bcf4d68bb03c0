//! What a shard does when its store fails or holds damaged data.

use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{Input, Report, StoreError};
use crate::{FailureKind, Message, Response};

fn no_space() -> StoreError {
    StoreError::Io("no space left".to_owned())
}

fn damage() -> StoreError {
    StoreError::Corruption("bad block".to_owned())
}

fn write(slot: u32, name: &str) -> Message {
    their_write(slot, key(name), record(0, "v"))
}

fn refusals(bench: &mut Bench) -> Vec<(u32, FailureKind)> {
    let refusal = |(_, message)| match message {
        Message::Refused { op, failure } => Some((op.slot, failure.kind)),
        _ => None,
    };
    bench.sent().into_iter().filter_map(refusal).collect()
}

#[test]
fn a_read_that_waits_for_the_log_asks_another_replica_when_it_fails() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::All));
    bench.sent();
    bench.ask(get("k", Level::One));
    bench.tell(Input::LogFailed(no_space()));
    let (to, op) = bench.asked();
    assert_eq!(to, [2]);
    bench.replies();
    bench.peer(2, Message::ReadReply { op, record: None });
    assert!(matches!(bench.reply(), Response::Value { .. }));
}

#[test]
fn when_the_log_fails_everybody_is_told_and_nothing_more_is_taken_on() {
    let mut bench = Bench::node(1);
    bench.ask(put("all", "v", Level::All));
    bench.peer(2, write(1, "theirs"));
    bench.peer(3, Message::Read { op: their_op(2), key: key("theirs"), known: None, stand_in_for: None });
    bench.hold_reads = true;
    bench.ask(put("loading", "v", Level::One));
    bench.peer(2, write(3, "loading"));
    bench.sent();
    bench.tell(Input::LogFailed(no_space()));
    let replies = bench.replies();
    let kinds: Vec<_> = replies.iter().map(|(_, response)| failure(response).kind).collect();
    assert_eq!(kinds, [FailureKind::Indeterminate, FailureKind::Rejected], "minted, and not minted");
    let rejected = FailureKind::Rejected;
    assert_eq!(refusals(&mut bench), [(1, rejected), (2, rejected), (3, rejected)]);
    assert_eq!(bench.reports(), [Report::StoreFailed(no_space())]);

    // Nothing more is taken on, appended or reported.
    let appended = bench.log.len();
    bench.release();
    bench.tell(Input::LogFailed(no_space()));
    for operation in [get("k", Level::One), put("k", "v", Level::One)] {
        bench.ask(operation);
        assert_eq!(failure(&bench.reply()).kind, rejected);
    }
    bench.peer(2, write(4, "k"));
    bench.peer(2, Message::Read { op: their_op(5), key: key("k"), known: None, stand_in_for: None });
    assert_eq!(refusals(&mut bench), [(4, rejected), (5, rejected)]);
    assert_eq!(bench.log.len(), appended);
    bench.assert_idle();
}

#[test]
fn a_write_that_others_hold_is_acknowledged_even_if_the_log_here_failed() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "v", Level::Quorum));
    let (_, op) = bench.asked();
    let newest = bench.log[0].2.dot();
    bench.tell(Input::LogFailed(no_space()));
    bench.reports();
    for node in [2, 3] {
        bench.peer(node, Message::WriteReply { op, newest, pulled_by: Vec::new() });
    }
    assert_eq!(written(&bench.reply()).1.answered, 2);
    bench.assert_idle();
}

#[test]
fn a_damaged_record_is_not_overwritten() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    bench.ask(put("k", "v", Level::Quorum));
    bench.peer(2, write(1, "k"));
    bench.fail_load(damage());
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Rejected);
    assert!(failure(&reply).message.contains("bad block"), "{}", failure(&reply).message);
    assert_eq!(refusals(&mut bench), [(1, FailureKind::DataLoss)]);
    assert_eq!((bench.log.len(), bench.shard.overlaid_keys()), (0, 0));
    bench.peer(3, Message::Read { op: their_op(2), key: key("k"), known: None, stand_in_for: None });
    bench.fail_load(damage());
    assert_eq!(refusals(&mut bench), [(2, FailureKind::DataLoss)]);
    bench.assert_idle();

    // It may be a passing trouble: the next one tries again.
    bench.ask(put("k", "v", Level::One));
    bench.release();
    bench.sync();
    assert!(matches!(bench.reply(), Response::Written { .. }));
}
