//! Writes that their clients ask for more than once.

use bytes::Bytes;
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;
use kvorum_vclock::{Context, Dot};

use super::bench::*;
use crate::record::Attempted;
use crate::shard::Input;
use crate::{ActorId, Attempt, FailureKind, Message, NodeId, Op, Operation, Record, Response, StoredKey};

const ID: u64 = 7;

/// The same write under a name: the first time, or again so many milliseconds after that.
fn attempted(operation: Operation, retried_after_ms: Option<u64>) -> Operation {
    let mut operation = operation;
    match &mut operation {
        Operation::Put { attempt, .. } | Operation::Delete { attempt, .. } => {
            *attempt = Some(Attempt { id: ID, retried_after_ms });
        }
        other => panic!("{other:?} is no write"),
    }
    operation
}

fn again(operation: Operation) -> Operation {
    attempted(operation, Some(1000))
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

#[test]
fn the_first_try_is_remembered_with_its_version() {
    for operation in [put("k", "v", Level::Quorum), delete("k", Level::Quorum)] {
        let mut bench = Bench::node(1);
        bench.ask(attempted(operation, None));
        let (record, op) = minted(&mut bench);
        let pairs: Vec<_> = record.attempts().collect();
        assert_eq!(pairs, [Attempted { dot: record.dot(), id: ID }]);
        bench.peer(2, Message::WriteReply { op, newest: record.dot() });
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
fn a_retry_that_finds_nothing_is_carried_out_once() {
    for found in [None, Some(record(-50, "somebody else's"))] {
        let (mut bench, _, op) = retried(found.as_ref(), again(put("k", "v", Level::Quorum)));
        bench.peer(2, holds(op, found.as_ref()));
        let (record, write) = minted(&mut bench);
        assert_ne!(op, write);
        assert_eq!((record.attempt(ID), value_of(&record)), (Some(record.dot()), Some("v".into())));
        bench.sync();
        bench.peer(3, Message::WriteReply { op: write, newest: record.dot() });
        assert_eq!(written(&bench.reply()).0, record.dot());
        bench.peer(2, Message::WriteReply { op: write, newest: record.dot() });
        bench.assert_idle();
        // And once more it is found.
        bench.ask(again(put("k", "v", Level::Quorum)));
        let (_, op) = bench.asked();
        bench.peer(2, holds(op, Some(&record)));
        assert_eq!(written(&bench.reply()).0, record.dot());
        assert_eq!(bench.log.len(), 0);
    }
}

#[test]
fn so_many_are_read_that_they_meet_every_write_that_could_have_been_acknowledged() {
    for (level, asked) in [(Level::One, vec![2, 3]), (Level::Quorum, vec![2])] {
        assert_eq!(retried(None, again(put("k", "v", level))).1, asked, "{level}");
    }
    let mut bench = Bench::node(1);
    bench.ask(again(put("k", "v", Level::All)));
    assert_eq!(minted(&mut bench).0.attempt(ID), Some(bench.log[0].2.dot()), "this node alone would have it");
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

#[test]
fn a_first_attempt_too_long_ago_to_be_remembered_is_not_repeated() {
    let minutes = |n: u64| n * 60 * 1000;
    for (age_ms, is_known) in [(minutes(8), true), (minutes(9), false), (u64::MAX, false)] {
        let (mut bench, _, op) = retried(None, attempted(put("k", "v", Level::Quorum), Some(age_ms)));
        bench.peer(2, holds(op, None));
        if is_known {
            drop(minted(&mut bench));
        } else {
            assert_indeterminate(&mut bench, "too long ago");
        }
        // If it is remembered all the same, that is as good as ever.
        let found = remembering(&record(0, "v"), dot(0));
        let (mut bench, _, op) = retried(Some(&found), attempted(put("k", "v", Level::Quorum), Some(age_ms)));
        bench.peer(2, holds(op, Some(&found)));
        assert_eq!(written(&bench.reply()).0, dot(0));
    }
}

#[test]
fn among_too_many_other_attempts_it_may_have_been_forgotten() {
    for (others, may_have) in [(31, false), (32, true)] {
        let attempts = (0..others).map(|n| Attempted { dot: dot(n), id: 1000 + n as u64 });
        let found = record(others, "somebody else's").remembering(attempts);
        let (mut bench, _, op) = retried(Some(&found), again(put("k", "v", Level::Quorum)));
        bench.peer(2, holds(op, Some(&found)));
        if may_have { assert_indeterminate(&mut bench, "too long ago") } else { drop(minted(&mut bench)) }
    }
}

fn sibling(stored: Option<&Record>, context: &Context<u64>, n: u64, value: &str) -> Record {
    let dot = Dot { time: at(n as i64), actor: ActorId(100 + n) };
    Record::causal(stored, context, dot, Some(value.as_bytes()), None, usize::MAX).unwrap().0
}

/// The values that a client is shown, newest first.
fn shown(record: Record) -> Vec<String> {
    let mut bench = Bench::node(1);
    bench.store.insert(StoredKey::new(CARTS, PartitionId(0), b"k"), record);
    bench.ask_in(CARTS, get("k", Level::One));
    let Response::Value { record, as_of_ms, .. } = bench.reply() else { panic!("expected a value") };
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    record.iter().flat_map(|record| record.live_versions(as_of_ms)).map(|version| text(version.value)).collect()
}

#[test]
fn siblings_of_one_write_show_once_and_not_at_all_when_one_was_replaced() {
    let blind = Context::new();
    let first = sibling(None, &blind, 1, "twice");
    let both = sibling(Some(&first), &blind, 2, "twice");
    let pair = |record: &Record, ids: &[(u64, u64)]| {
        let pairs =
            ids.iter().map(|(n, id)| Attempted { dot: Dot { time: at(*n as i64), actor: ActorId(100 + n) }, id: *id });
        record.remembering(pairs)
    };
    assert_eq!(shown(both.clone()), ["twice", "twice"], "as long as nobody knows them for one write");
    assert_eq!(shown(pair(&both, &[(1, ID), (2, ID)])), ["twice"]);
    assert_eq!(shown(pair(&both, &[(1, ID), (2, 8)])), ["twice", "twice"]);
    // Somebody has read the first alone, and replaced it; or the second.
    let after = sibling(Some(&both), &first.context(), 3, "newer");
    assert_eq!(shown(pair(&after, &[(1, ID), (2, ID)])), ["newer"]);
    let second = sibling(None, &blind, 2, "twice").context();
    let after = sibling(Some(&both), &second, 3, "newer");
    assert_eq!(shown(pair(&after, &[(1, ID), (2, ID)])), ["newer"]);
    // Another write's version stays in sight.
    let three = sibling(Some(&both), &blind, 3, "another");
    assert_eq!(shown(pair(&three, &[(1, ID), (2, ID), (3, 8)])), ["another", "twice"]);
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
    bench.peer(2, Message::WriteReply { op, newest: found.dot() });
    assert_eq!(written(&bench.reply()).0, Dot { time: at(1), actor: ActorId(101) });
    assert_eq!(bench.hint_rows(), 0);
}
