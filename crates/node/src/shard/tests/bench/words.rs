//! What tests say to a bench and what they look for in its answers: operations, records, messages.

use bytes::Bytes;
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;
use kvorum_vclock::{Dot, Timestamp};

use super::super::super::*;
use crate::{Consistency, DEFAULT_KEYSPACE, Replicas};

/// The partition of every key, unless the layout has several.
pub(in super::super) const PARTITION: PartitionId = PartitionId(0);
/// The wall clock when a bench is set up, in milliseconds.
pub(in super::super) const WALL: u64 = 1_000_000;

pub(in super::super) fn tag() -> EpochPhase {
    EpochPhase { epoch: 1, phase: crate::Phase::Stable }
}

pub(in super::super) fn key(name: &str) -> StoredKey {
    StoredKey::new(DEFAULT_KEYSPACE, PARTITION, name.as_bytes())
}

/// A timestamp so many milliseconds after (or before) the wall clock at the start.
pub(in super::super) fn at(offset_ms: i64) -> Timestamp {
    Timestamp::from_parts(WALL.checked_add_signed(offset_ms).unwrap(), 0)
}

/// A dot that another node minted then.
pub(in super::super) fn dot(offset_ms: i64) -> Dot<ActorId> {
    Dot { time: at(offset_ms), actor: ActorId(99) }
}

pub(in super::super) fn record(offset_ms: i64, value: &str) -> Record {
    Record::lww(dot(offset_ms), Some(value.as_bytes()), None)
}

/// The value of a record's newest version.
pub(in super::super) fn value_of(record: &Record) -> Option<Bytes> {
    record.versions().next().and_then(|version| version.value)
}

/// An operation of another node.
pub(in super::super) fn their_op(slot: u32) -> Op {
    Op { slot, generation: 77 }
}

pub(in super::super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A get, put or delete with a level.
pub(in super::super) fn get(key: &str, level: Level) -> Operation {
    Operation::Get { key: Bytes::copy_from_slice(key.as_bytes()), level: Some(level), consistency: None }
}

pub(in super::super) fn put(key: &str, value: &str, level: Level) -> Operation {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    Operation::Put {
        key,
        value,
        ttl_ms: None,
        level: Some(level),
        consistency: None,
        attempt: None,
        context: Bytes::new(),
    }
}

pub(in super::super) fn delete(key: &str, level: Level) -> Operation {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Operation::Delete { key, level: Some(level), consistency: None, attempt: None, context: Bytes::new() }
}

/// The same operation, whose client insists on replicas.
pub(in super::super) fn strict(operation: Operation) -> Operation {
    let mut operation = operation;
    match &mut operation {
        Operation::Get { consistency, .. }
        | Operation::Put { consistency, .. }
        | Operation::Delete { consistency, .. } => *consistency = Some(Consistency::Strict),
        Operation::Why { .. } | Operation::Scan(_) => panic!("{operation:?} asks replicas alone anyway"),
    }
    operation
}

pub(in super::super) fn request(operation: Operation, timeout: Duration) -> Request {
    Request { keyspace: DEFAULT_KEYSPACE, timeout, operation }
}

/// A write that another node coordinates: freshly minted.
pub(in super::super) fn their_write(slot: u32, key: StoredKey, record: Record) -> Message {
    let minted = Some(record.time());
    Message::Write { op: their_op(slot), key, record, minted, stand_in_for: None, relay: Vec::new() }
}

/// What a response failed with.
pub(in super::super) fn failure(response: &Response) -> &Failure {
    match response {
        Response::Failed(failure) => failure,
        other => panic!("expected a failure, not {other:?}"),
    }
}

/// The value and the replicas of a response to a get.
pub(in super::super) fn value(response: &Response) -> (Option<Bytes>, Replicas) {
    match response {
        Response::Value { record, as_of_ms, replicas, .. } => {
            let newest = record.as_ref().and_then(|record| record.live_versions(*as_of_ms).next());
            (newest.and_then(|version| version.value), *replicas)
        }
        other => panic!("expected a value, not {other:?}"),
    }
}

/// The dot and the replicas of a response to a put.
pub(in super::super) fn written(response: &Response) -> (Dot<ActorId>, Replicas) {
    match response {
        Response::Written { dot, replicas, .. } => (*dot, *replicas),
        other => panic!("expected an acknowledgement, not {other:?}"),
    }
}
