//! Keeping what an absent replica has missed, and delivering it when it returns.

use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{HINTS_KEYSPACE, HintQueue, Input, Limits, Report};
use crate::{CatalogChange, FailureKind, Lane, Message, NodeId, Op, Record, StoredKey};

/// A bench that was told that its store is open.
pub(super) fn started(setup: Setup) -> Bench {
    let mut bench = Bench::new(setup);
    bench.tell(Input::Started);
    bench
}

/// The rows of hints that were appended and are not durable: whether it is an order row (0) or the content of an owed (1) or
/// spare (2) one, and for whom.
pub(super) fn appended(bench: &Bench) -> Vec<(u8, u64)> {
    bench.log.iter().filter_map(|(_, key, _)| row(key)).collect()
}

fn row(key: &StoredKey) -> Option<(u8, u64)> {
    let row = key.key();
    (key.keyspace() == HINTS_KEYSPACE).then(|| (row[0], u64::from_be_bytes(row[1..9].try_into().unwrap())))
}

/// A write while node 3 is down, which the others hold: a hint is durable here. What was written.
fn hinted(bench: &mut Bench, value: &str) -> Record {
    bench.down(&[3]);
    bench.ask(put("k", value, Level::Quorum));
    let (_, op) = bench.asked();
    let record = bench.log.iter().find(|(_, at, _)| *at == key("k")).unwrap().2.clone();
    bench.peer(2, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    bench.sync();
    written(&bench.reply());
    assert_eq!((bench.sent(), bench.hint_rows()), (vec![], 2));
    record
}

/// What is sent to node 3 in the background, as which operation.
pub(super) fn delivered(bench: &mut Bench) -> (Op, StoredKey, Record) {
    let sent = bench.sent_in_lanes();
    let [(3, Lane::Bulk, Message::Write { op, key, record, minted: None, stand_in_for: None, relay })] = &sent[..]
    else {
        panic!("expected one delivery to node 3, not {sent:?}")
    };
    assert_eq!(*relay, []);
    (*op, key.clone(), record.clone())
}

/// What is told to be kept, some time later.
pub(super) fn told(bench: &mut Bench) -> Vec<HintQueue> {
    bench.wait(ms(250));
    bench.queues.clone()
}

fn assert_nothing_is_kept(bench: &mut Bench) {
    bench.sync();
    assert_eq!((told(bench), bench.hint_rows()), (vec![], 0));
    assert_eq!(bench.sent(), []);
}

#[test]
fn a_replica_that_is_down_gets_one_hint_at_once_whose_order_row_comes_first() {
    let mut bench = started(Setup { down: vec![3], ..Setup::default() });
    bench.ask(put("k", "v", Level::Quorum));
    assert_eq!(appended(&bench), [(0, 3), (2, 3)], "with the write itself, before anybody has answered");
    assert_eq!(bench.log[0].1, key("k"));
    assert_eq!(bench.log[2].2, bench.log[0].2, "it is the record that the others get");
}

#[test]
fn a_replica_that_fails_gets_its_hint_at_once_and_a_silent_one_when_it_was_waited_for() {
    let mut bench = started(Setup::default());
    bench.ask(put("k", "v", Level::One));
    let (_, op) = bench.asked();
    bench.sync();
    written(&bench.reply());
    bench.refuse(2, op);
    assert_eq!(appended(&bench), [(0, 2), (2, 2)]);
    bench.wait(ms(490));
    assert_eq!((appended(&bench).len(), bench.shard.settling()), (2, 1));
    bench.wait(ms(20));
    assert_eq!(appended(&bench)[2..], [(0, 3), (2, 3)]);
    assert_eq!((bench.shard.settling(), bench.shard.operations()), (0, 0));
}

#[test]
fn who_has_answered_gets_no_hint() {
    let mut bench = started(Setup::default());
    bench.ask(put("k", "v", Level::One));
    let (_, op) = bench.asked();
    let newest = bench.log[0].2.dot();
    bench.sync();
    written(&bench.reply());
    for node in [2, 3] {
        bench.peer(node, Message::WriteReply { op, newest, pulled_by: Vec::new() });
    }
    assert_eq!(bench.shard.settling(), 0);
    bench.wait(ms(2000));
    assert_eq!((appended(&bench), bench.queues.len()), (vec![], 0));
    bench.assert_idle();
}

#[test]
fn a_further_write_of_the_key_merges_into_its_hint() {
    let mut bench = started(Setup { down: vec![3], ..Setup::default() });
    bench.ask(put("k", "a", Level::One));
    bench.ask(put("k", "b", Level::One));
    assert_eq!(appended(&bench), [(0, 3), (2, 3), (2, 3)]);
    bench.sync();
    bench.ask(put("k", "c", Level::One));
    assert_eq!(appended(&bench), [(2, 3)]);
    bench.ask(put("other", "x", Level::One));
    assert_eq!(appended(&bench), [(2, 3), (0, 3), (2, 3)], "another key is another hint");
    bench.sync();
    let [HintQueue { target: NodeId(3), count: 2, owed: 0, .. }] = told(&mut bench)[..] else {
        panic!("{:?}", bench.queues)
    };
    bench.sent();
    bench.down(&[]);
    let value = |(_, message)| match message {
        Message::Write { record, .. } => value_of(&record).unwrap(),
        other => panic!("{other:?}"),
    };
    let values: Vec<_> = bench.sent().into_iter().map(value).collect();
    assert_eq!(values, ["c", "x"], "the oldest hint first, as it is by now");
}

#[test]
fn hints_outlive_a_restart() {
    let mut bench = started(Setup::default());
    let record = hinted(&mut bench, "v");
    let before = told(&mut bench);
    let mut bench = bench.restarted(Setup { down: vec![3], ..Setup::default() });
    assert_eq!(bench.queues, []);
    bench.tell(Input::Started);
    assert_eq!(told(&mut bench), before);
    assert!(matches!(before[..], [HintQueue { count: 1, oldest_unix_ms: WALL, .. }]), "{before:?}");
    bench.down(&[]);
    assert_eq!(delivered(&mut bench).2, record);
}

#[test]
fn a_hint_that_is_taken_before_those_of_an_earlier_process_are_counted_counts_once() {
    let mut bench = started(Setup::default());
    hinted(&mut bench, "v");
    let mut bench = bench.restarted(Setup { down: vec![3], ..Setup::default() });
    bench.ask(put("other", "x", Level::One));
    bench.sync();
    bench.tell(Input::Started);
    let queues = told(&mut bench);
    assert!(matches!(queues[..], [HintQueue { count: 2, .. }]), "{queues:?}");
}

#[test]
fn a_hint_is_sent_when_its_target_returns_and_erased_when_that_has_it() {
    let mut bench = started(Setup::default());
    let record = hinted(&mut bench, "v");
    bench.down(&[]);
    let (op, of, sent) = delivered(&mut bench);
    assert_eq!((of, sent), (key("k"), record.clone()));
    assert_eq!(bench.erased.len(), 0, "not before it has answered");
    bench.peer(3, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    let rows: Vec<_> = bench.erased.iter().filter_map(|(_, key)| row(key)).collect();
    assert_eq!(rows, [(2, 3), (0, 3)], "the content first");
    assert!(matches!(told(&mut bench)[..], [HintQueue { count: 1, .. }]), "as long as that is not durable");
    assert_nothing_is_kept(&mut bench);
    bench.assert_idle();
}

#[test]
fn what_merged_into_a_hint_while_it_was_sent_is_sent_too() {
    let mut bench = started(Setup::default());
    let old = hinted(&mut bench, "old");
    bench.down(&[]);
    let (op, ..) = delivered(&mut bench);
    bench.ask(put("k", "new", Level::One));
    let (_, write) = bench.asked();
    let new = bench.log.back().unwrap().2.clone();
    bench.refuse(3, write);
    bench.peer(3, Message::WriteReply { op, newest: old.dot(), pulled_by: Vec::new() });
    let (again, _, sent) = delivered(&mut bench);
    assert_eq!((sent, bench.erased.len()), (new.clone(), 0));
    bench.peer(2, Message::WriteReply { op: write, newest: new.dot(), pulled_by: Vec::new() });
    bench.peer(3, Message::WriteReply { op: again, newest: new.dot(), pulled_by: Vec::new() });
    assert_nothing_is_kept(&mut bench);
}

#[test]
fn a_hint_that_cannot_be_delivered_now_is_tried_again_later() {
    type Fail = fn(&mut Bench, Op);
    let ways: [Fail; 4] = [
        |bench, op| bench.refuse(3, op),
        |bench, op| bench.tell(Input::Unsent { to: NodeId(3), op }),
        |bench, _| bench.tell(Input::PeerLost(NodeId(3))),
        |bench, _| bench.wait(ms(5100)),
    ];
    for fail in ways {
        let mut bench = started(Setup::default());
        let record = hinted(&mut bench, "v");
        bench.down(&[]);
        let (op, ..) = delivered(&mut bench);
        fail(&mut bench, op);
        assert_eq!((bench.sent(), bench.hint_rows()), (vec![], 2), "it is left alone for a while");
        bench.wait(ms(600));
        let (op, _, sent) = delivered(&mut bench);
        assert_eq!(sent, record);
        bench.peer(3, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
        assert_nothing_is_kept(&mut bench);
    }
}

#[test]
fn a_hint_of_a_keyspace_that_was_dropped_is_erased() {
    // Its target knows it.
    let mut bench = started(Setup::default());
    hinted(&mut bench, "v");
    bench.down(&[]);
    let (op, ..) = delivered(&mut bench);
    let failure = crate::Failure::new(FailureKind::Invalid, "keyspace 1 was dropped");
    bench.peer(3, Message::Refused { op, failure });
    assert_nothing_is_kept(&mut bench);
    // This node knows it.
    let mut bench = started(Setup { down: vec![3], ..Setup::default() });
    bench.ask_in(CARTS, put("k", "v", Level::One));
    bench.sync();
    bench.sent();
    let change = CatalogChange::Drop { name: "carts".into() };
    bench.sees(|sight| sight.catalog = sight.catalog.changed(&change).unwrap().0.into());
    bench.down(&[]);
    assert_eq!(bench.sent(), []);
    assert_nothing_is_kept(&mut bench);
}

#[test]
fn what_there_is_no_room_for_is_dropped_and_said_so() {
    let hints = |bytes| kvorum_hints::Config { bytes, ..kvorum_hints::Config::default() };
    let too_few = Limits { hints: hints(40), ..Limits::default() };
    let slow_disk = Limits { undurable_bytes: 1, ..Limits::default() };
    for limits in [too_few, slow_disk] {
        let mut bench = started(Setup { limits, down: vec![3], ..Setup::default() });
        bench.ask(put("k", "v", Level::One));
        assert_eq!(bench.reports(), [Report::HintDropped { target: NodeId(3), partition: PARTITION }]);
        assert_eq!(appended(&bench), []);
        bench.sync();
        assert_eq!(written(&bench.reply()).1.answered, 1, "the write itself is well");
    }
}

#[test]
fn a_hint_that_grew_too_old_is_dropped_and_said_so() {
    let hints = kvorum_hints::Config { max_age: ms(1000), ..kvorum_hints::Config::default() };
    let mut bench = started(Setup { limits: Limits { hints, ..Limits::default() }, ..Setup::default() });
    hinted(&mut bench, "v");
    bench.wait(ms(130_000));
    assert_eq!(bench.reports(), [Report::HintDropped { target: NodeId(3), partition: PARTITION }]);
    assert_nothing_is_kept(&mut bench);
}

#[test]
fn a_hint_of_a_keyspace_that_is_not_known_yet_is_kept() {
    let create =
        CatalogChange::Create { name: "new".into(), mode: crate::Mode::Lww, settings: crate::Settings::default() };
    let newer: std::sync::Arc<crate::Catalog> = catalog().changed(&create).unwrap().0.into();
    let mut bench = started(Setup { catalog: newer.clone(), me: 4, down: vec![3], ..Setup::default() });
    let (record, stand_in_for) = (record(0, "v"), Some(NodeId(3)));
    let (key, minted) = (StoredKey::new(UNHEARD, PARTITION, b"k"), Some(record.time()));
    bench.peer(1, Message::Write { op: their_op(1), key, record: record.clone(), minted, stand_in_for, relay: vec![] });
    bench.sync();
    assert!(matches!(bench.sent()[..], [(1, Message::WriteReply { .. })]));
    // It comes back with an older catalog.
    let mut bench = bench.restarted(Setup { me: 4, ..Setup::default() });
    bench.tell(Input::Started);
    bench.sync();
    assert_eq!(bench.hint_rows(), 2);
    bench.sees(|sight| sight.catalog = newer);
    bench.wait(ms(2000));
    let sent = bench.sent();
    assert!(matches!(&sent[..], [(3, Message::Write { record: sent, .. })] if *sent == record), "{sent:?}");
}

#[test]
fn of_too_many_writes_that_wait_for_silent_replicas_the_latest_keep_hints_at_once() {
    let limits = Limits { operations: 8, ..Limits::default() };
    let mut bench = started(Setup { limits, ..Setup::default() });
    for n in 1..=8 {
        bench.ask(put(&format!("k{n}"), "v", Level::One));
        bench.sync();
        written(&bench.reply());
        assert_eq!(bench.shard.settling(), n.min(4), "half of what may be in flight");
    }
    bench.sync();
    assert_eq!(told(&mut bench).iter().map(|queue| queue.count).sum::<u64>(), 2 * 4);
    bench.wait(ms(500));
    assert_eq!(bench.shard.settling(), 0);
}
