//! What a keyspace's settings do to its requests, and what becomes of requests to keyspaces that are not there.

use bytes::Bytes;
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;

use super::bench::*;
use crate::{FailureKind, KeyspaceId, Message, Operation, Record, StoredKey, context};

fn put_for(ttl_ms: Option<u64>) -> Operation {
    let bytes = Bytes::from_static;
    Operation::Put {
        key: bytes(b"k"),
        value: bytes(b"v"),
        ttl_ms,
        level: None,
        context: Bytes::new(),
        consistency: None,
        attempt: None,
    }
}

fn expiry(bench: &mut Bench, keyspace: KeyspaceId, ttl_ms: Option<u64>) -> Option<u64> {
    bench.ask_in(keyspace, put_for(ttl_ms));
    let stored: &Record = &bench.log.back().unwrap().2;
    let expires_at_ms = stored.versions().next().unwrap().expires_at_ms;
    bench.sync();
    expires_at_ms.map(|at| at - bench.now.unix_ms)
}

#[test]
fn a_value_lives_as_long_as_it_says_or_else_its_keyspace_and_inherits_nothing() {
    let mut bench = Bench::node(1);
    assert_eq!(expiry(&mut bench, CODES, None), Some(100));
    assert_eq!(expiry(&mut bench, CODES, Some(7)), Some(7));
    assert_eq!(expiry(&mut bench, CODES, Some(0)), None, "for ever, whatever the keyspace says");
    assert_eq!(expiry(&mut bench, crate::DEFAULT_KEYSPACE, Some(7)), Some(7));
    assert_eq!(expiry(&mut bench, crate::DEFAULT_KEYSPACE, None), None, "a later write is not bound by an earlier one");
}

#[test]
fn a_level_below_the_least_that_the_keyspace_allows_is_refused() {
    let mut bench = Bench::node(1);
    for operation in [get("k", Level::One), put("k", "v", Level::One), delete("k", Level::One)] {
        bench.ask_in(CODES, operation);
        let reply = bench.reply();
        assert_eq!(failure(&reply).kind, FailureKind::Invalid);
        assert!(failure(&reply).message.contains("demands at least 2"), "{reply:?}");
    }
    bench.ask_in(CODES, get("k", Level::Two));
    assert_eq!(bench.asked().0.len(), 1, "this node and one more");
}

#[test]
fn requests_and_writes_to_no_keyspace_are_refused() {
    let mut bench = Bench::node(1);
    for (keyspace, kind) in [(DROPPED, FailureKind::Invalid), (UNHEARD, FailureKind::Rejected)] {
        bench.ask_in(keyspace, get("k", Level::One));
        assert_eq!(failure(&bench.reply()).kind, kind);
        let key = StoredKey::new(keyspace, PartitionId(0), b"k");
        bench.peer(2, their_write(1, key, record(0, "v")));
        let sent = bench.sent();
        let [(2, Message::Refused { failure, .. })] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(failure.kind, kind);
    }
    bench.assert_idle();
}

#[test]
fn a_write_that_has_seen_a_version_is_newer_whatever_the_clocks_say() {
    let mut bench = Bench::node(1);
    // Somebody else's clock is ahead, within the bound, and this node has not heard of it.
    let seen = context::seal(&SECRET, &key("k"), &record(400, "theirs").context());
    let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"mine"));
    bench.ask(Operation::Put {
        key,
        value,
        ttl_ms: None,
        level: Some(Level::One),
        context: seen,
        consistency: None,
        attempt: None,
    });
    bench.sync();
    assert!(written(&bench.reply()).0 > dot(400));
}
