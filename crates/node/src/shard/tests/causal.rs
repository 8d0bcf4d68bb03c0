//! Keyspaces that keep concurrent versions: contexts, siblings, and what replicas make of them.

use bytes::Bytes;
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;
use kvorum_vclock::{Context, Dot};

use super::bench::*;
use crate::shard::Report;
use crate::{ActorId, FailureKind, MAX_SIBLINGS, Message, Operation, Record, Response, StoredKey, context};

fn cart() -> StoredKey {
    StoredKey::new(CARTS, PartitionId(0), b"k")
}

fn put_with(value: &str, context: &Bytes) -> Operation {
    match put("k", value, Level::One) {
        Operation::Put { key, value, ttl_ms, level, .. } => {
            Operation::Put { key, value, ttl_ms, level, context: context.clone(), consistency: None, attempt: None }
        }
        other => panic!("{other:?}"),
    }
}

fn delete_with(context: &Bytes) -> Operation {
    match delete("k", Level::One) {
        Operation::Delete { key, level, .. } => {
            Operation::Delete { key, level, context: context.clone(), consistency: None, attempt: None }
        }
        other => panic!("{other:?}"),
    }
}

/// Writes, and waits until it is acknowledged.
fn write(bench: &mut Bench, operation: Operation) -> Dot<ActorId> {
    bench.ask_in(CARTS, operation);
    bench.sync();
    let (dot, _) = written(&bench.reply());
    bench.sent();
    dot
}

/// Reads the live values, newest first, and the context.
fn read(bench: &mut Bench) -> (Vec<String>, Bytes) {
    bench.ask_in(CARTS, get("k", Level::One));
    let Response::Value { record, context, as_of_ms, .. } = bench.reply() else { panic!("expected a value") };
    bench.sent();
    (record.iter().flat_map(|record| texts(record, as_of_ms)).collect(), context)
}

fn texts(record: &Record, as_of_ms: u64) -> Vec<String> {
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    record.live_versions(as_of_ms).map(|version| text(version.value)).collect()
}

const BLIND: Bytes = Bytes::new();

#[test]
fn a_write_replaces_what_its_context_has_seen_and_nothing_else() {
    let mut bench = Bench::node(1);
    write(&mut bench, put_with("red", &BLIND));
    write(&mut bench, put_with("blue", &BLIND));
    let (values, seen) = read(&mut bench);
    assert_eq!(values, ["blue", "red"]);
    write(&mut bench, put_with("green", &BLIND));
    write(&mut bench, put_with("purple", &seen));
    let (values, seen) = read(&mut bench);
    assert_eq!(values, ["purple", "green"], "green was not seen");
    write(&mut bench, delete_with(&seen));
    let (values, seen) = read(&mut bench);
    assert_eq!(values, [""; 0]);
    assert!(!seen.is_empty(), "a deletion is something to have seen");
    write(&mut bench, put_with("new", &seen));
    assert_eq!(read(&mut bench).0, ["new"]);
    assert_eq!(bench.store[&cart()].versions().count(), 1, "the tombstone was replaced too");
    bench.assert_idle();
}

#[test]
fn a_deletion_with_a_stale_context_leaves_what_it_has_not_seen() {
    let mut bench = Bench::node(1);
    write(&mut bench, put_with("seen", &BLIND));
    let (_, stale) = read(&mut bench);
    write(&mut bench, put_with("later", &BLIND));
    write(&mut bench, delete_with(&stale));
    assert_eq!(read(&mut bench).0, ["later"]);
}

#[test]
fn a_blind_deletion_is_refused_for_nobody_knows_what_it_means() {
    let mut bench = Bench::node(1);
    write(&mut bench, put_with("a", &BLIND));
    bench.ask_in(CARTS, delete_with(&BLIND));
    let refused = bench.reply();
    assert_eq!(failure(&refused).kind, FailureKind::Precondition);
    assert!(failure(&refused).message.contains("with the context of that read"), "{refused:?}");
    assert_eq!(read(&mut bench).0, ["a"]);
}

#[test]
fn what_nobody_can_see_does_not_count_against_blind_writes() {
    let mut bench = Bench::node(1);
    for n in 0..MAX_SIBLINGS {
        let Operation::Put { key, value, level, context, .. } = put_with(&format!("{n}"), &BLIND) else {
            unreachable!()
        };
        write(
            &mut bench,
            Operation::Put { key, value, level, context, ttl_ms: Some(500), consistency: None, attempt: None },
        );
    }
    bench.wait(ms(600));
    assert_eq!(read(&mut bench).0, [""; 0]);
    write(&mut bench, put_with("new", &BLIND));
    assert_eq!((read(&mut bench).0, bench.store[&cart()].versions().count()), (vec!["new".to_owned()], 1));
}

#[test]
fn a_replica_that_others_write_through_remembers_no_more_than_they_do() {
    let mut bench = Bench::node(1);
    let mut theirs: Option<Record> = None;
    for tenure in 0..200 {
        let dot = Dot { actor: ActorId(1000 + tenure), ..dot(i64::try_from(tenure).unwrap()) };
        let seen = theirs.as_ref().map(Record::context).unwrap_or_default();
        let (record, _) = Record::causal(theirs.as_ref(), &seen, dot, Some(b"v"), None, usize::MAX).unwrap();
        bench.peer(2, their_write(1, cart(), record.clone()));
        bench.sync();
        theirs = Some(record);
    }
    let held = &bench.store[&cart()];
    assert!(held.context().len() <= crate::CONTEXT_ENTRIES + 1, "{}", held.context().len());
    assert_eq!(Some(held), theirs.as_ref());
}

#[test]
fn who_has_found_nothing_deletes_nothing() {
    let mut bench = Bench::node(1);
    let (values, nothing) = read(&mut bench);
    assert_eq!((values.len(), nothing.is_empty()), (0, false));
    write(&mut bench, put_with("v", &BLIND));
    write(&mut bench, delete_with(&nothing));
    assert_eq!(read(&mut bench).0, ["v"]);
}

#[test]
fn what_is_not_durable_yet_is_a_sibling_too() {
    let mut bench = Bench::node(1);
    for value in ["a", "b"] {
        bench.ask_in(CARTS, put_with(value, &BLIND));
    }
    assert_eq!(bench.log.len(), 2);
    bench.sync();
    assert_eq!(bench.replies().len(), 2);
    bench.sent();
    assert_eq!(read(&mut bench).0, ["b", "a"]);
}

#[test]
fn a_context_of_elsewhere_is_refused_and_nothing_written() {
    let mut bench = Bench::node(1);
    write(&mut bench, put_with("v", &BLIND));
    let (_, seen) = read(&mut bench);
    let other = StoredKey::new(CARTS, PartitionId(0), b"other");
    let mut damaged = seen.to_vec();
    damaged[7] ^= 1;
    let forged = context::seal(&crate::Secret([8; 32]), &cart(), &Context::new());
    let of_other = context::seal(&SECRET, &other, &Context::new());
    for bad in [Bytes::from(damaged), forged, of_other, Bytes::from_static(b"x")] {
        for operation in [put_with("w", &bad), delete_with(&bad)] {
            bench.ask_in(CARTS, operation);
            assert_eq!(failure(&bench.reply()).kind, FailureKind::Invalid);
        }
    }
    bench.ask(put_with("w", &seen));
    let refused = bench.reply();
    assert_eq!(failure(&refused).kind, FailureKind::Invalid);
    assert!(failure(&refused).message.contains("another keyspace"), "{refused:?}");
    bench.assert_idle();
}

#[test]
fn a_thousand_blind_writes_end_in_a_typed_error_and_a_context_helps() {
    let mut bench = Bench::node(1);
    let mut refused = 0;
    for n in 0..1000 {
        bench.ask_in(CARTS, put_with(&format!("{n}"), &BLIND));
        bench.sync();
        if let Response::Failed(failure) = bench.reply() {
            assert_eq!(failure.kind, FailureKind::Precondition);
            assert!(failure.message.contains("100 concurrent versions"), "{}", failure.message);
            refused += 1;
        }
    }
    bench.sent();
    assert_eq!(refused, 1000 - MAX_SIBLINGS);
    let (values, seen) = read(&mut bench);
    assert_eq!(values.len(), MAX_SIBLINGS);
    write(&mut bench, put_with("one", &seen));
    assert_eq!(read(&mut bench).0, ["one"]);
}

#[test]
fn siblings_are_bounded_in_bytes_too() {
    let mut bench = Bench::node(1);
    let large = "x".repeat(10_000);
    let written = (0..100).take_while(|_| {
        bench.ask_in(CARTS, put_with(&large, &BLIND));
        bench.sync();
        matches!(bench.reply(), Response::Written { .. })
    });
    assert_eq!(written.count(), 13, "128 KiB hold thirteen of these");
}

#[test]
fn two_clients_that_alternate_with_their_own_latest_context_never_see_more_than_two_siblings() {
    let mut bench = Bench::node(1);
    let mut contexts = [BLIND, BLIND];
    for round in 0..1000 {
        for (client, context) in contexts.iter_mut().enumerate() {
            write(&mut bench, put_with(&format!("{client}-{round}"), context));
        }
        for context in &mut contexts {
            let (values, seen) = read(&mut bench);
            assert!(values.len() <= 2, "{values:?}");
            *context = seen;
        }
    }
}

#[test]
fn a_replica_keeps_siblings_and_answers_when_all_of_them_are_durable() {
    let mut bench = Bench::node(1);
    write(&mut bench, put_with("mine", &BLIND));
    let (theirs, _) = Record::causal(None, &Context::new(), dot(5), Some(b"theirs"), None, usize::MAX).unwrap();
    bench.peer(2, their_write(1, cart(), theirs.clone()));
    assert_eq!(bench.sent(), []);
    bench.sync();
    assert!(matches!(bench.sent()[..], [(2, Message::WriteReply { .. })]));
    assert_eq!(texts(&bench.store[&cart()], 0), ["theirs", "mine"]);
    // The same once more changes nothing, and is answered at once.
    bench.peer(2, their_write(2, cart(), theirs));
    assert_eq!((bench.log.len(), bench.sent().len()), (0, 1));
    bench.assert_idle();
}

#[test]
fn only_a_freshly_minted_version_is_refused_for_its_time() {
    let mut bench = Bench::node(1);
    let (far, near) = (dot(60_000), Dot { actor: ActorId(98), ..dot(5) });
    let (old, _) = Record::causal(None, &Context::new(), far, Some(b"far"), None, usize::MAX).unwrap();
    let (both, _) = Record::causal(Some(&old), &Context::new(), near, Some(b"near"), None, usize::MAX).unwrap();
    bench.peer(2, their_write(1, cart(), old.clone()));
    assert!(matches!(bench.sent()[..], [(2, Message::Refused { .. })]));
    assert!(matches!(bench.reports()[..], [Report::ClockDrift { .. }]));
    // What was written before is repaired, with an alarm.
    bench.peer(
        2,
        Message::Write {
            op: their_op(2),
            key: cart(),
            record: old,
            minted: None,
            stand_in_for: None,
            relay: Vec::new(),
        },
    );
    bench.sync();
    assert!(matches!(bench.sent()[..], [(2, Message::WriteReply { .. })]));
    assert!(matches!(bench.reports()[..], [Report::ClockDrift { .. }]));
    bench.peer(
        2,
        Message::Write {
            op: their_op(3),
            key: cart(),
            record: both,
            minted: Some(near.time),
            stand_in_for: None,
            relay: Vec::new(),
        },
    );
    bench.sync();
    assert!(matches!(bench.sent()[..], [(2, Message::WriteReply { .. })]));
    // A version from the future does not keep others from being written, nor from replacing it.
    let (values, seen) = read(&mut bench);
    assert_eq!(values, ["far", "near"]);
    let minted = write(&mut bench, put_with("new", &seen));
    assert!(minted.time < at(1000), "the clock follows nothing from beyond its bound");
    assert_eq!(read(&mut bench).0, ["new"]);
    bench.assert_idle();
}

#[test]
fn a_record_of_the_other_mode_is_refused() {
    let mut bench = Bench::node(1);
    let (causal, _) = Record::causal(None, &Context::new(), dot(0), Some(b"v"), None, usize::MAX).unwrap();
    for (key, record) in [(cart(), record(0, "v")), (key("k"), causal)] {
        bench.peer(2, their_write(1, key, record));
        assert!(matches!(bench.sent()[..], [(2, Message::Refused { .. })]));
    }
    bench.assert_idle();
}

#[test]
fn a_read_merges_the_siblings_of_all_who_answer() {
    let mut bench = Bench::node(1);
    write(&mut bench, put_with("mine", &BLIND));
    bench.ask_in(CARTS, get("k", Level::Two));
    let (nodes, op) = bench.asked();
    let (theirs, _) = Record::causal(None, &Context::new(), dot(5), Some(b"theirs"), None, usize::MAX).unwrap();
    bench.peer(nodes[0], Message::ReadReply { op, record: Some(theirs) });
    let Response::Value { record, replicas, context, .. } = bench.reply() else { panic!("expected a value") };
    assert_eq!(texts(&record.unwrap(), 0), ["theirs", "mine"]);
    assert_eq!((replicas.answered, replicas.agreed), (2, 0), "neither holds both");
    let seen = context::open(&SECRET, &cart(), &context).unwrap();
    assert_eq!(seen.len(), 2);
    let repairs = bench.sent();
    assert!(
        matches!(&repairs[..], [(_, Message::Write { record, minted: None, .. })] if record.versions().count() == 2)
    );
    assert_eq!(bench.log.len(), 1, "both replicas are repaired");
    bench.sync();
    bench.assert_idle();
}

#[test]
fn what_a_record_remembers_is_bounded_however_often_its_writers_change() {
    let mut stored: Option<Record> = None;
    let mut pruned = 0;
    for tenure in 0..1000 {
        let dot = Dot { actor: ActorId(1000 + tenure), ..dot(i64::try_from(tenure).unwrap()) };
        let seen = stored.as_ref().map(Record::context).unwrap_or_default();
        let (record, gone) = Record::causal(stored.as_ref(), &seen, dot, Some(b"v"), None, usize::MAX).unwrap();
        assert!(record.context().len() <= crate::CONTEXT_ENTRIES + 1);
        pruned += gone;
        stored = Some(record);
    }
    assert_eq!(pruned, 1000 - 1 - crate::CONTEXT_ENTRIES);
}

#[test]
fn pruning_is_told() {
    let mut bench = Bench::node(1);
    let mut stored: Option<Record> = None;
    for tenure in 0..40 {
        let dot = Dot { actor: ActorId(1000 + tenure), ..dot(i64::try_from(tenure).unwrap()) };
        let seen = stored.as_ref().map(Record::context).unwrap_or_default();
        stored = Some(Record::causal(stored.as_ref(), &seen, dot, Some(b"v"), None, usize::MAX).unwrap().0);
    }
    bench.store.insert(cart(), stored.unwrap());
    let (_, seen) = read(&mut bench);
    write(&mut bench, put_with("new", &seen));
    assert_eq!(bench.reports(), [Report::Pruned { entries: 1 }]);
}
