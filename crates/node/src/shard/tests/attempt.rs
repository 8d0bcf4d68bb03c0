//! Writes that their clients ask for more than once.

use kvorum_quorum::Level;
use kvorum_ring::PartitionId;
use kvorum_vclock::{Context, Dot};

use super::bench::*;
use crate::record::Attempted;
use crate::shard::Input;
use crate::{ActorId, Attempt, FailureKind, Message, NodeId, Op, Operation, Record, StoredKey};

const ID: u64 = 7;

/// The same write under a name: the first time, or again so many milliseconds after that.
fn attempted(operation: Operation, retried_after_ms: Option<u64>) -> Operation {
    let mut operation = operation;
    match &mut operation {
        Operation::Put { attempt, .. } | Operation::Delete { attempt, .. } => {
            *attempt = Some(Attempt { id: ID, retried_after_ms, first_asked: None });
        }
        other => panic!("{other:?} is no write"),
    }
    operation
}

fn again(operation: Operation) -> Operation {
    attempted(operation, Some(1000))
}

/// A retry of what was asked of node 1's present process only.
fn again_here(operation: Operation, retried_after_ms: u64) -> Operation {
    let mut operation = attempted(operation, Some(retried_after_ms));
    operation.attempt_mut().unwrap().first_asked = Some(ActorId(1));
    operation
}

/// A record that remembers that this version was minted for that write.
fn remembering(record: &Record, dot: Dot<ActorId>) -> Record {
    record.remembering([Attempted { dot, id: ID }].into_iter())
}

/// What node 1, which holds `mine`, has asked of whom because a write is asked for again.
fn retried(mine: Option<&Record>, operation: Operation) -> (Bench, Vec<u64>, Op) {
    let mut bench = Bench::node(1);
    bench.store.extend(mine.map(|record| (key("k"), record.clone())));
    bench.ask(operation);
    let (to, op) = bench.asked();
    assert_eq!(bench.log.len(), 0, "it reads first");
    (bench, to, op)
}

fn holds(op: Op, record: Option<&Record>) -> Message {
    Message::ReadReply { op, record: record.cloned() }
}

/// The write that has left for the log and two others, and as what.
fn minted(bench: &mut Bench) -> (Record, Op) {
    let (to, op) = bench.asked();
    assert_eq!((to, bench.log.len()), (vec![2, 3], 1));
    (bench.log[0].2.clone(), op)
}

fn assert_indeterminate(bench: &mut Bench, why: &str) {
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Indeterminate);
    assert!(failure(&reply).message.contains(why), "{}", failure(&reply).message);
    assert!(failure(&reply).message.contains("wrote nothing"), "{}", failure(&reply).message);
    assert_eq!((bench.log.len(), bench.shard.operations()), (0, 0));
}

/// A first attempt, for which others tell what they hold.
fn first(operation: Operation, held: Option<&Record>) -> Bench {
    let mut bench = Bench::node(1);
    bench.ask(attempted(operation, None));
    let (to, op) = bench.asked();
    assert_eq!((to, bench.log.len()), (vec![2], 0), "it reads first");
    bench.peer(2, holds(op, held));
    bench
}

#[test]
fn the_first_try_is_remembered_with_its_version() {
    for operation in [put("k", "v", Level::Quorum), delete("k", Level::Quorum)] {
        let mut bench = first(operation, None);
        let (record, op) = minted(&mut bench);
        let pairs: Vec<_> = record.attempts().collect();
        assert_eq!(pairs, [Attempted { dot: record.dot(), id: ID }]);
        bench.peer(2, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
        bench.sync();
        assert_eq!(written(&bench.reply()).0, record.dot());
        // Another client's write does not forget it.
        bench.ask(put("k", "other", Level::One));
        assert_eq!(bench.log[0].2.attempt(ID), Some(record.dot()));
    }
}

#[test]
fn a_retry_that_finds_its_version_writes_nothing_and_answers_with_it() {
    let live = remembering(&record(0, "v"), dot(0));
    let replaced = remembering(&record(50, "somebody else's"), dot(0));
    for found in [live, replaced] {
        for operation in [put("k", "v", Level::Quorum), delete("k", Level::Quorum)] {
            let (mut bench, to, op) = retried(Some(&found), again(operation));
            assert_eq!(to, [2]);
            bench.peer(2, holds(op, Some(&found)));
            let (dot_of, replicas) = written(&bench.reply());
            assert_eq!((dot_of, replicas.answered, replicas.agreed), (dot(0), 2, 2));
            assert_eq!(bench.log.len(), 0);
            bench.assert_idle();
        }
    }
}

#[test]
fn the_version_that_was_found_is_made_to_last_before_that_is_said() {
    let found = remembering(&record(0, "v"), dot(0));
    let (mut bench, _, op) = retried(None, again(put("k", "v", Level::Quorum)));
    bench.peer(2, holds(op, Some(&found)));
    assert_eq!((bench.replies(), bench.log.len()), (vec![], 1), "this node lacks it");
    bench.sync();
    assert_eq!(written(&bench.reply()).0, dot(0));
    assert_eq!(bench.store[&key("k")], found);
    bench.assert_idle();
}

#[test]
fn a_version_that_cannot_be_made_to_last_stays_unknown() {
    let found = remembering(&record(0, "v"), dot(0));
    let (mut bench, _, op) = retried(Some(&found), again(put("k", "v", Level::Quorum)));
    bench.peer(2, holds(op, None));
    let (to, op) = bench.asked();
    assert_eq!(to, [2]);
    bench.refuse(2, op);
    assert_eq!(bench.asked().0, [3]);
    bench.refuse(3, op);
    assert_indeterminate(&mut bench, "cannot be found out");
    bench.assert_idle();
}

#[test]
fn a_retry_that_finds_nothing_writes_nothing_and_knows_nothing() {
    for found in [None, Some(record(-50, "somebody else's"))] {
        let (mut bench, _, op) = retried(found.as_ref(), again(put("k", "v", Level::Quorum)));
        bench.peer(2, holds(op, found.as_ref()));
        assert_indeterminate(&mut bench, "nothing is found");
    }
}

#[test]
fn the_first_try_stands_above_all_that_was_acknowledged_and_is_not_minted_again() {
    let newer = record(50, "acknowledged before");
    let mut bench = first(put("k", "v", Level::Quorum), Some(&newer));
    let (to, op) = bench.asked();
    assert_eq!((to, bench.log.len()), (vec![2, 3], 2), "what this node lacked is repaired, and the write leaves");
    let record = bench.log[1].2.clone();
    assert!(record.dot() > newer.dot());
    // What it loses against now is concurrent.
    bench.peer(2, Message::WriteReply { op, newest: dot(500), pulled_by: Vec::new() });
    bench.sync();
    let (dot_of, replicas) = written(&bench.reply());
    assert_eq!((dot_of, replicas.agreed), (record.dot(), 1));
    bench.peer(3, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    bench.assert_idle();
}

#[test]
fn who_cannot_be_asked_first_matters_only_to_a_strict_write() {
    let mut bench = Bench::node(1);
    bench.ask(attempted(strict(put("k", "v", Level::Quorum)), None));
    let (_, op) = bench.asked();
    bench.refuse(2, op);
    assert_eq!(bench.asked().0, [3]);
    bench.refuse(3, op);
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Rejected);
    assert!(failure(&reply).message.contains("first reads"), "{}", failure(&reply).message);
    assert_eq!(bench.log.len(), 0);
    bench.assert_idle();

    let mut bench = Bench::node(1);
    bench.ask(attempted(put("k", "v", Level::Quorum), None));
    drop(bench.asked());
    bench.wait(ms(300));
    assert_eq!(bench.log.len(), 1, "it does not wait for ever");
}

#[test]
fn a_process_that_alone_was_asked_and_has_not_begun_begins() {
    let mut bench = Bench::node(1);
    bench.wait(ms(5000));
    bench.ask(again_here(put("k", "v", Level::Quorum), 100));
    let (_, op) = bench.asked();
    bench.peer(2, holds(op, None));
    let (record, op) = minted(&mut bench);
    bench.sync();
    bench.peer(2, Message::WriteReply { op, newest: record.dot(), pulled_by: Vec::new() });
    assert_eq!(written(&bench.reply()).0, record.dot());
    // The lost request comes after all, and another retry.
    bench.ask(attempted(put("k", "v", Level::Quorum), None));
    let (_, read) = bench.asked();
    bench.peer(2, holds(read, Some(&record)));
    let reply = bench.reply();
    assert!(failure(&reply).message.contains("another request"), "{reply:?}");
    bench.ask(again_here(put("k", "v", Level::Quorum), 300));
    let (_, read) = bench.asked();
    bench.peer(2, holds(read, Some(&record)));
    assert_eq!(written(&bench.reply()).0, record.dot());
    assert_eq!(bench.log.len(), 0);
}

#[test]
fn it_does_not_when_it_may_have_been_another_process_or_has_begun() {
    let other_process = |mut operation: Operation| {
        operation.attempt_mut().unwrap().first_asked = Some(ActorId(2));
        operation
    };
    let here = || again_here(put("k", "v", Level::Quorum), 100);
    for (wait, operation) in [(ms(5000), other_process(here())), (ms(5000), again(here())), (ms(0), here())] {
        let mut bench = Bench::node(1);
        bench.wait(wait);
        bench.ask(operation);
        let (_, op) = bench.asked();
        bench.peer(2, holds(op, None));
        assert_indeterminate(&mut bench, "nothing is found");
    }
}

#[test]
fn so_many_are_read_that_they_meet_every_write_that_could_have_been_acknowledged() {
    for (level, asked) in [(Level::One, vec![2, 3]), (Level::Quorum, vec![2])] {
        assert_eq!(retried(None, again(put("k", "v", level))).1, asked, "{level}");
    }
    let mut bench = Bench::node(1);
    bench.ask(again(put("k", "v", Level::All)));
    assert_indeterminate(&mut bench, "nothing is found"); // This node alone would have it.
}

#[test]
fn without_a_quorum_to_read_nothing_is_written_and_nothing_known() {
    // Others could stand in for the write, but not tell what the replicas have.
    let mut bench = Bench::new(Setup { fallbacks: true, down: vec![2, 3], ..Setup::default() });
    bench.ask(again(put("k", "v", Level::Quorum)));
    assert_indeterminate(&mut bench, "n2 is down, n3 is down");
    assert_eq!(bench.sent(), []);
    let mut bench = Bench::new(Setup { me: 4, fallbacks: true, down: vec![1, 2, 3], ..Setup::default() });
    bench.ask(again(put("k", "v", Level::One)));
    assert_indeterminate(&mut bench, "n3 is down");

    let (mut bench, _, op) = retried(None, again(put("k", "v", Level::Quorum)));
    bench.refuse(2, op);
    bench.tell(Input::Unsent { to: NodeId(3), op });
    assert_indeterminate(&mut bench, "n2 failed, n3 failed");
    let (mut bench, ..) = retried(None, again(put("k", "v", Level::Quorum)));
    bench.wait(ms(1010));
    assert_indeterminate(&mut bench, "did not answer");
    bench.reports();
    bench.assert_idle();
}

fn sibling(stored: Option<&Record>, context: &Context<u64>, n: u64, value: &str) -> Record {
    let dot = Dot { time: at(n as i64), actor: ActorId(100 + n) };
    Record::causal(stored, context, dot, Some(value.as_bytes()), None, usize::MAX).unwrap().0
}

#[test]
fn a_causal_write_need_not_read_first() {
    let mut bench = Bench::node(1);
    bench.ask_in(CARTS, attempted(put("k", "v", Level::Quorum), None));
    let (record, _) = minted(&mut bench);
    assert_eq!(record.attempt(ID), Some(record.dot()));
}

#[test]
fn a_causal_retry_finds_its_version_among_siblings() {
    let found = remembering(&sibling(None, &Context::new(), 1, "v"), Dot { time: at(1), actor: ActorId(101) });
    let mut bench = Bench::node(1);
    bench.store.insert(StoredKey::new(CARTS, PartitionId(0), b"k"), found.clone());
    bench.ask_in(CARTS, again(put("k", "v", Level::Quorum)));
    let (_, op) = bench.asked();
    bench.peer(2, holds(op, Some(&sibling(None, &Context::new(), 2, "another"))));
    let (to, op) = bench.asked();
    assert_eq!(to, [2], "who lacks it gets both");
    bench.sync();
    bench.peer(2, Message::WriteReply { op, newest: found.dot(), pulled_by: Vec::new() });
    assert_eq!(written(&bench.reply()).0, Dot { time: at(1), actor: ActorId(101) });
    assert_eq!(bench.hint_rows(), 0);
}
