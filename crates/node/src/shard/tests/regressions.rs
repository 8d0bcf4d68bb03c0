//! What was found once: a failing log, a crash between two rows, refusals and answers that come late.

use kvorum_quorum::Level;
use kvorum_vclock::{Dot, Timestamp};

use super::bench::*;
use super::hints::{appended, started};
use crate::shard::{HINTS_KEYSPACE, Input, Report, StoreError};
use crate::*;

fn no_space() -> StoreError {
    StoreError::Io("no space left".to_owned())
}

fn fallbacks(me: u64, down: &[u64]) -> Setup {
    Setup { me, fallbacks: true, down: down.to_vec(), ..Setup::default() }
}

fn stand_in(slot: u32, name: &str, record: &Record, target: u64) -> Message {
    let (minted, stand_in_for) = (Some(record.time()), Some(NodeId(target)));
    Message::Write { op: their_op(slot), key: key(name), record: record.clone(), minted, stand_in_for, relay: vec![] }
}

fn order_key(target: u64, seq: u64) -> StoredKey {
    let mut key = vec![0];
    key.extend(target.to_be_bytes());
    key.extend(seq.to_be_bytes());
    StoredKey::new(HINTS_KEYSPACE, PARTITION, &key)
}

#[test]
fn a_write_that_is_asked_for_again_while_the_log_fails_is_not_appended() {
    let mut bench = Bench::node(1);
    bench.ask(put("k", "first", Level::One));
    bench.sent();
    let mut operation = put("k", "v", Level::Quorum);
    if let Operation::Put { attempt, .. } = &mut operation {
        *attempt = Some(Attempt { id: 7, retried_after_ms: None, first_asked: None });
    }
    bench.ask(operation);
    let (_, op) = bench.asked();
    bench.peer(2, Message::ReadReply { op, record: None });
    bench.tell(Input::LogFailed(no_space()));
    let sent = bench.sent();
    let [(3, Message::Read { op, .. })] = sent[..] else { panic!("{sent:?}") };
    bench.peer(3, Message::ReadReply { op, record: None });
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
}

#[test]
fn a_hint_of_nothing_does_not_take_a_new_hint_of_the_same_key_with_it() {
    let mut bench = Bench::new(fallbacks(4, &[3]));
    // What a crash between the two rows has left.
    let mut value = vec![1, 0, 0, 0, 9];
    value.extend_from_slice(key("k").as_bytes());
    let row = Record::lww(Dot { time: Timestamp::MIN, actor: ActorId(0) }, Some(&value), None);
    bench.store.insert(order_key(3, 1), row);
    bench.tell(Input::Started);
    bench.hold_reads = true;
    bench.down(&[]);
    bench.release(); // The page.
    bench.release(); // The order row; now the content is being read.
    bench.peer(1, stand_in(1, "k", &record(0, "v"), 3));
    assert_eq!(bench.held.len(), 2);
    while !bench.held.is_empty() {
        bench.release();
    }
    bench.sync();
    bench.hold_reads = false;
    bench.wait(ms(2000));
    let sent = bench.sent();
    let is_acknowledged =
        |(node, message): &(u64, Message)| *node == 1 && matches!(message, Message::WriteReply { .. });
    assert!(sent.iter().any(is_acknowledged));
    let is_there = bench.store.values().any(|kept| *kept == record(0, "v"));
    let is_sent = sent.iter().any(|(node, message)| {
        matches!(message, Message::Write { record: sent, .. } if *node == 3 && *sent == record(0, "v"))
    });
    assert!(is_there || is_sent, "a hint that was counted is neither kept nor delivered");
}

#[test]
fn a_row_of_a_hint_that_says_nothing_is_not_erased_when_the_log_has_failed() {
    let mut bench = Bench::new(Setup { down: vec![3], ..Setup::default() });
    bench.store.insert(order_key(3, (WALL + 10) << 20), record(0, "?"));
    bench.ask(put("k", "v", Level::One));
    bench.sync();
    bench.tell(Input::Started);
    bench.hold_reads = true;
    bench.down(&[]);
    bench.release();
    bench.tell(Input::LogFailed(no_space()));
    while !bench.held.is_empty() {
        bench.release();
    }
}

#[test]
fn what_is_kept_is_not_waited_for_when_the_log_has_failed() {
    let mut bench = started(fallbacks(4, &[]));
    for target in 1..=3 {
        bench.peer(5, stand_in(target as u32, "k", &record(0, "v"), target));
    }
    bench.ask(get("k", Level::One));
    for _ in 0..3 {
        let (to, op) = bench.asked();
        bench.tell(Input::Unsent { to: NodeId(to[0]), op });
    }
    bench.asked();
    bench.tell(Input::LogFailed(no_space()));
    bench.sent();
    bench.down(&[1, 2, 3]);
    bench.wait(ms(1010));
    assert!(matches!(failure(&bench.reply()).kind, FailureKind::Rejected | FailureKind::TimedOut));
}

#[test]
fn who_is_behind_is_repaired_after_a_strict_read_that_need_not_wait_for_it() {
    let new = record(0, "new");
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), new.clone());
    bench.ask(strict(get("k", Level::All)));
    let (_, op) = bench.asked();
    bench.peer(2, Message::ReadReply { op, record: Some(new.clone()) });
    bench.peer(3, Message::ReadReply { op, record: None });
    assert!(matches!(bench.reply(), Response::Value { .. }), "two of three hold it");
    let sent = bench.sent();
    assert!(matches!(&sent[..], [(3, Message::Write { record, .. })] if *record == new), "{sent:?}");
}

#[test]
fn who_has_missed_a_write_is_hinted_however_many_stand_ins_refuse() {
    let mut bench = started(fallbacks(1, &[2, 3]));
    bench.ask(put("k", "v", Level::Quorum));
    bench.sync();
    for node in [4, 5] {
        let op = bench.asked().1;
        bench.refuse(node, op);
    }
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
    assert_eq!(appended(&bench), [(0, 2), (2, 2)], "that of 3 is durable already");
}

#[test]
fn a_hint_that_cannot_be_kept_because_the_store_is_damaged_is_said_to_be_dropped() {
    let mut bench = started(Setup { down: vec![3], ..Setup::default() });
    bench.hold_reads = true;
    bench.ask(put("k", "v", Level::One));
    bench.release();
    bench.fail_load(StoreError::Corruption("bad block".into()));
    assert_eq!(bench.reports(), [Report::HintDropped { target: NodeId(3), partition: PARTITION }]);
}

#[test]
fn a_stand_in_tells_what_it_keeps_for_any_replica_of_the_key() {
    let mut bench = started(fallbacks(4, &[1, 2, 3]));
    bench.peer(5, stand_in(1, "k", &record(0, "v"), 2));
    bench.sync();
    bench.sent();
    bench.ask(get("k", Level::One));
    for (node, message) in bench.sent() {
        if let Message::Read { op, stand_in_for: Some(_), .. } = message {
            bench.peer(node, Message::ReadReply { op, record: None });
        }
    }
    assert_eq!(value(&bench.reply()).0.as_deref(), Some(&b"v"[..]), "this node itself keeps it");
}

#[test]
fn a_refusal_of_the_read_says_nothing_of_the_repair() {
    let (new, mut bench) = (record(0, "new"), Bench::new(Setup { hedge_after: ms(50), ..Setup::default() }));
    bench.store.insert(key("k"), new.clone());
    bench.ask(strict(get("k", Level::Quorum)));
    let (_, op) = bench.asked();
    bench.wait(ms(60));
    assert_eq!(bench.asked(), (vec![3], op), "hedged");
    bench.peer(3, Message::ReadReply { op, record: None });
    let (to, repair) = bench.asked();
    assert_eq!(to, [3], "it is repaired");
    bench.refuse(3, repair);
    assert_eq!(bench.asked(), (vec![2], repair), "whose read is not answered either");
    bench.refuse(2, op); // That was the read: the repair is on its way.
    bench.peer(2, Message::WriteReply { op: repair, newest: new.dot(), pulled_by: Vec::new() });
    assert!(matches!(bench.reply(), Response::Value { .. }));
}

#[test]
fn what_is_kept_stays_within_its_bytes_when_hints_grow() {
    let hints = kvorum_hints::Config { bytes: 2000, ..kvorum_hints::Config::default() };
    let limits = Limits { hints, ..Limits::default() };
    let mut bench = started(Setup { limits, down: vec![3], ..Setup::default() });
    for value in ["", &"x".repeat(9000)] {
        for n in 0..10 {
            bench.ask(put(&format!("k{n}"), value, Level::One));
            bench.sync();
        }
    }
    let kept: usize = bench
        .store
        .iter()
        .filter(|(key, _)| key.keyspace() == HINTS_KEYSPACE)
        .map(|(key, record)| row_weight(key, record))
        .sum();
    assert!(kept <= 2000 + 2 * 9000, "{kept} bytes are kept where 2000 are allowed");
}

#[test]
fn a_clock_that_others_carry_along_asks_for_a_higher_ceiling_before_it_needs_one() {
    let mut bench = Bench::new(Setup { ceiling: at(1000), ..Setup::default() });
    bench.peer(2, their_write(1, key("k"), record(100, "near")));
    assert_eq!(bench.reports(), []);
    bench.peer(2, their_write(2, key("k"), record(499, "so far")));
    bench.peer(2, their_write(3, key("k"), record(500, "nearer yet")));
    assert_eq!(bench.reports(), [], "there is room for half a second");
    bench.wait(ms(100));
    for (slot, offset) in [(4, 550), (5, 560)] {
        bench.peer(2, their_write(slot, key("k"), record(offset, "too near")));
    }
    assert_eq!(bench.reports(), [Report::CeilingNeeded(at(550))], "once");
    bench.tell(Input::ClockCeiling(at(1010)));
    bench.peer(2, their_write(6, key("k"), record(570, "again")));
    assert_eq!(bench.reports(), [Report::CeilingNeeded(at(570))]);
}
