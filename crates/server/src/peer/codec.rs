//! Between the messages of data shards and the frames they travel in.

use std::time::Duration;

use bytes::Bytes;
use kvorum_node::{
    ActorId, Digest, EpochPhase, KeptHint, KeyRange, KeyspaceId, Message, NodeId, Op, Operation, Outline, PeerShard,
    Phase, Record, Request, Response, ShardIndex, StoredKey,
};
use kvorum_vclock::{Dot, Timestamp};
use kvorum_wire::v1;
use v1::frame::Message as Wire;

use crate::client_codec::{
    attempt_to_wire, consistency_to_wire, delete_from_wire, error_from_wire, error_to_wire, get_from_wire,
    level_to_wire, put_from_wire, replicas_from_wire, replicas_to_wire,
};

/// A frame that cannot be understood: from a newer peer, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("a frame from a peer cannot be understood: {0}")]
pub(crate) struct BadFrame(String);

impl BadFrame {
    fn missing(what: &str) -> Self {
        Self(format!("it has no {what}"))
    }
}

impl<E: std::error::Error> From<E> for BadFrame
where
    E: KnownCause,
{
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The errors of taking a frame apart.
pub(crate) trait KnownCause {}
impl KnownCause for kvorum_node::BadStoredKey {}
impl KnownCause for kvorum_node::BadRecord {}
impl KnownCause for kvorum_node::Failure {}

/// Puts a message into a frame. `to` is the shard it is for, if it answers one. How long it is waited for is not known before
/// it leaves.
pub(crate) fn frame(to: PeerShard, tag: EpochPhase, message: Message) -> v1::Frame {
    let op = message.op().to_bits();
    let message = match message {
        Message::Write { key, record, minted, stand_in_for, relay, .. } => Wire::Write(v1::Write {
            stored_key: key.as_bytes().clone(),
            record: record.as_bytes().clone(),
            minted: minted.map(Timestamp::to_bits),
            stand_in_for: stand_in_for.map(|node| node.0),
            relay: relay.into_iter().map(|node| node.0).collect(),
        }),
        Message::Relayed { coordinator, op, key, record, minted } => {
            let relayed = v1::RelayedWrite {
                coordinator: coordinator.node.0,
                stored_key: key.as_bytes().clone(),
                record: record.as_bytes().clone(),
                minted: minted.map(Timestamp::to_bits),
            };
            let message = Some(Wire::Relayed(relayed));
            let shard = coordinator.shard.0.into();
            return v1::Frame { op: op.to_bits(), epoch: tag.epoch, shard, timeout_ms: None, message };
        }
        Message::WriteReply { newest, pulled_by, .. } => {
            let process = |(node, actor): (NodeId, ActorId)| v1::Process { node: node.0, actor: actor.0 };
            let pulled_by = pulled_by.into_iter().map(process).collect();
            Wire::WriteReply(v1::WriteReply { timestamp: newest.time.to_bits(), actor: newest.actor.0, pulled_by })
        }
        Message::Read { key, known, stand_in_for, .. } => Wire::Read(v1::Read {
            stored_key: key.as_bytes().clone(),
            known: digest_to_wire(known),
            stand_in_for: stand_in_for.map(|node| node.0),
        }),
        Message::ReadSame { .. } => Wire::ReadSame(v1::ReadSame {}),
        Message::ReadReply { record, .. } => {
            Wire::ReadReply(v1::ReadReply { record: record.map(|record| record.as_bytes().clone()) })
        }
        Message::ReadHints { key, .. } => Wire::ReadHints(v1::ReadHints { stored_key: key.as_bytes().clone() }),
        Message::HintsReply { hints, .. } => {
            Wire::HintsReply(v1::HintsReply { hints: hints.into_iter().map(kept_hint).collect() })
        }
        Message::Scan { range: KeyRange { start, after_start, end }, limit_bytes, puller, .. } => {
            Wire::Scan(v1::Scan { start, after_start, end, limit_bytes, puller: puller.map(|process| process.0) })
        }
        Message::ScanReply { rows, more, digest, .. } => {
            let row = |(key, record): (StoredKey, Record)| v1::StoredRow {
                stored_key: key.as_bytes().clone(),
                record: record.as_bytes().clone(),
            };
            let digest = digest_to_wire(digest);
            Wire::ScanReply(v1::ScanReply { rows: rows.into_iter().map(row).collect(), more, digest })
        }
        Message::Forward { request, .. } => Wire::Forward(forward(request)),
        Message::ForwardReply { response, .. } => Wire::ForwardReply(forward_reply(response)),
        Message::Refused { failure, .. } => Wire::Refused(error_to_wire(failure)),
    };
    v1::Frame { op, epoch: tag.epoch, shard: to.shard.0.into(), timeout_ms: None, message: Some(message) }
}

fn kept_hint(hint: KeptHint) -> v1::KeptHint {
    let version = |Outline { dot, bytes, expires_at_ms }: Outline| v1::KeptVersion {
        timestamp: dot.time.to_bits(),
        actor: dot.actor.0,
        bytes,
        expires_at: expires_at_ms,
    };
    let KeptHint { target, owed, versions } = hint;
    v1::KeptHint { target: target.0, owed, versions: versions.into_iter().map(version).collect() }
}

fn hint_kept(hint: v1::KeptHint) -> KeptHint {
    let version = |version: v1::KeptVersion| Outline {
        dot: Dot { time: Timestamp::from_bits(version.timestamp), actor: ActorId(version.actor) },
        bytes: version.bytes,
        expires_at_ms: version.expires_at,
    };
    let v1::KeptHint { target, owed, versions } = hint;
    KeptHint { target: NodeId(target), owed, versions: versions.into_iter().map(version).collect() }
}

fn digest_to_wire(digest: Option<Digest>) -> Bytes {
    digest.map_or_else(Bytes::new, |digest| Bytes::copy_from_slice(&digest.0))
}

fn digest_from_wire(digest: &[u8]) -> Result<Option<Digest>, BadFrame> {
    match <[u8; 16]>::try_from(digest) {
        _ if digest.is_empty() => Ok(None),
        Ok(digest) => Ok(Some(Digest(digest))),
        Err(_) => Err(BadFrame(format!("its digest has {} bytes, not 16", digest.len()))),
    }
}

fn forward(request: Request) -> v1::Forward {
    use v1::request::Operation as Wire;
    let level = |level: Option<kvorum_quorum::Level>| level.map(level_to_wire);
    let operation = match request.operation {
        Operation::Get { key, level: r, consistency } => {
            let consistency = consistency_to_wire(consistency);
            Wire::Get(v1::GetRequest { key, level: level(r), consistency, ..Default::default() })
        }
        Operation::Put { key, value, ttl_ms, level: w, consistency, attempt, context } => Wire::Put(v1::PutRequest {
            key,
            value,
            ttl_ms,
            level: level(w),
            consistency: consistency_to_wire(consistency),
            attempt: attempt.map(attempt_to_wire),
            context,
            ..Default::default()
        }),
        Operation::Delete { key, level: w, consistency, attempt, context } => Wire::Delete(v1::DeleteRequest {
            key,
            level: level(w),
            consistency: consistency_to_wire(consistency),
            attempt: attempt.map(attempt_to_wire),
            context,
            ..Default::default()
        }),
        Operation::Scan(_) | Operation::Why { .. } => {
            unreachable!("any node coordinates a scan or a why, so they are never forwarded")
        }
    };
    v1::Forward {
        keyspace: request.keyspace.0,
        timeout_ms: u32::try_from(request.timeout.as_millis()).unwrap_or(u32::MAX),
        request: Some(v1::Request { id: 0, operation: Some(operation) }),
    }
}

fn forwarded(forward: v1::Forward) -> Result<Request, BadFrame> {
    use v1::request::Operation as Wire;
    let operation =
        forward.request.and_then(|request| request.operation).ok_or_else(|| BadFrame::missing("operation"))?;
    let operation = match operation {
        Wire::Get(get) => get_from_wire(get)?,
        Wire::Put(put) => put_from_wire(put)?,
        Wire::Delete(delete) => delete_from_wire(delete)?,
        Wire::Scan(_) => return Err(BadFrame("it forwards a scan".to_owned())),
    };
    let timeout = Duration::from_millis(forward.timeout_ms.into());
    Ok(Request { keyspace: KeyspaceId(forward.keyspace), timeout, operation })
}

/// Only gets, puts and deletes are forwarded. Unlike a client's, the answer carries the record as it is stored.
fn forward_reply(response: Response) -> v1::ForwardReply {
    use v1::forward_reply::Outcome;
    let outcome = match response {
        Response::Value { record, context, as_of_ms, replicas } => Outcome::Value(v1::ForwardedValue {
            record: record.map(|record| record.as_bytes().clone()),
            context,
            as_of_ms,
            replicas: Some(replicas_to_wire(replicas)),
        }),
        Response::Written { dot, expires_at_ms, replicas } => Outcome::Written(v1::ForwardedWrite {
            actor: dot.actor.0,
            timestamp: dot.time.to_bits(),
            replicas: Some(replicas_to_wire(replicas)),
            expires_at: expires_at_ms,
        }),
        Response::Failed(failure) => Outcome::Failed(error_to_wire(failure)),
        Response::Page { .. } | Response::Why(_) => unreachable!("neither a scan nor a why is forwarded"),
    };
    v1::ForwardReply { outcome: Some(outcome) }
}

fn forward_answer(reply: v1::ForwardReply) -> Result<Response, BadFrame> {
    use v1::forward_reply::Outcome;
    Ok(match reply.outcome.ok_or_else(|| BadFrame::missing("outcome"))? {
        Outcome::Value(value) => Response::Value {
            record: value.record.map(Record::parse).transpose()?,
            context: value.context,
            as_of_ms: value.as_of_ms,
            replicas: replicas_from_wire(value.replicas),
        },
        Outcome::Written(written) => {
            let dot = Dot { time: Timestamp::from_bits(written.timestamp), actor: ActorId(written.actor) };
            let expires_at_ms = written.expires_at;
            Response::Written { dot, expires_at_ms, replicas: replicas_from_wire(written.replicas) }
        }
        Outcome::Failed(error) => Response::Failed(error_from_wire(error)),
    })
}

/// A message taken out of its frame, with the shard it is for if it answers one.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) shard: ShardIndex,
    pub(crate) tag: EpochPhase,
    /// How long the sender waits for it; none if always.
    pub(crate) timeout: Option<Duration>,
    pub(crate) message: Message,
}

/// Takes a frame apart.
pub(crate) fn unpack(frame: v1::Frame) -> Result<Unpacked, BadFrame> {
    let op = Op::from_bits(frame.op);
    let message = match frame.message.ok_or_else(|| BadFrame::missing("message of a kind this version knows"))? {
        Wire::Write(write) => {
            let (key, record) = (StoredKey::parse(write.stored_key)?, Record::parse(write.record)?);
            let minted = write.minted.map(Timestamp::from_bits);
            let relay = write.relay.into_iter().map(NodeId).collect();
            Message::Write { op, key, record, minted, stand_in_for: write.stand_in_for.map(NodeId), relay }
        }
        Wire::Relayed(write) => {
            let (key, record) = (StoredKey::parse(write.stored_key)?, Record::parse(write.record)?);
            let coordinator = PeerShard { node: NodeId(write.coordinator), shard: shard_of(frame.shard)? };
            Message::Relayed { coordinator, op, key, record, minted: write.minted.map(Timestamp::from_bits) }
        }
        Wire::WriteReply(reply) => {
            let newest = Dot { time: Timestamp::from_bits(reply.timestamp), actor: ActorId(reply.actor) };
            let process = |process: v1::Process| (NodeId(process.node), ActorId(process.actor));
            Message::WriteReply { op, newest, pulled_by: reply.pulled_by.into_iter().map(process).collect() }
        }
        Wire::Read(read) => {
            let (key, known) = (StoredKey::parse(read.stored_key)?, digest_from_wire(&read.known)?);
            Message::Read { op, key, known, stand_in_for: read.stand_in_for.map(NodeId) }
        }
        Wire::ReadSame(v1::ReadSame {}) => Message::ReadSame { op },
        Wire::ReadReply(reply) => Message::ReadReply { op, record: reply.record.map(Record::parse).transpose()? },
        Wire::ReadHints(read) => Message::ReadHints { op, key: StoredKey::parse(read.stored_key)? },
        Wire::HintsReply(reply) => Message::HintsReply { op, hints: reply.hints.into_iter().map(hint_kept).collect() },
        Wire::Scan(scan) => {
            let range = KeyRange { start: scan.start, after_start: scan.after_start, end: scan.end };
            Message::Scan { op, range, limit_bytes: scan.limit_bytes, puller: scan.puller.map(ActorId) }
        }
        Wire::ScanReply(reply) => {
            let row =
                |row: v1::StoredRow| Ok::<_, BadFrame>((StoredKey::parse(row.stored_key)?, Record::parse(row.record)?));
            Message::ScanReply {
                op,
                rows: reply.rows.into_iter().map(row).collect::<Result<_, _>>()?,
                more: reply.more,
                digest: digest_from_wire(&reply.digest)?,
            }
        }
        Wire::Forward(forward) => Message::Forward { op, request: forwarded(forward)? },
        Wire::ForwardReply(reply) => Message::ForwardReply { op, response: forward_answer(reply)? },
        Wire::Refused(error) => Message::Refused { op, failure: error_from_wire(error) },
    };
    Ok(Unpacked {
        shard: shard_of(frame.shard)?,
        tag: EpochPhase { epoch: frame.epoch, phase: Phase::Stable },
        timeout: frame.timeout_ms.map(|ms| Duration::from_millis(ms.into())),
        message,
    })
}

fn shard_of(number: u32) -> Result<ShardIndex, BadFrame> {
    u16::try_from(number).map(ShardIndex).map_err(|_| BadFrame(format!("there is no shard {number}")))
}

/// Whether a frame asks for something, see [`Message::is_request`].
pub(crate) fn is_request(frame: &v1::Frame) -> bool {
    matches!(
        frame.message,
        Some(Wire::Write(_) | Wire::Read(_) | Wire::ReadHints(_) | Wire::Scan(_) | Wire::Forward(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvorum_node::{Attempt, Consistency, Failure, FailureKind, Replicas};
    use kvorum_ring::PartitionId;
    use kvorum_vclock::Context;
    use prost::Message as _;
    use std::num::NonZeroU8;

    fn messages() -> Vec<Message> {
        let op = Op { slot: 7, generation: u32::MAX };
        let key = StoredKey::new(KeyspaceId(1), PartitionId(9), b"key");
        let dot = Dot { time: Timestamp::from_bits(77), actor: ActorId(u64::MAX) };
        let record = Record::lww(dot, Some(b"value"), Some(5));
        let range = KeyRange::of_partition(KeyspaceId(1), PartitionId(9), b"k", Some(b"ka"));
        let level = Some(kvorum_quorum::Level::Number(NonZeroU8::MIN));
        let request = |operation| Request { keyspace: KeyspaceId(1), timeout: Duration::from_millis(1500), operation };
        let (bytes, replicas) = (Bytes::from_static, Replicas { wanted: 2, answered: 3, agreed: 1, sloppy: false });
        let (key_bytes, consistency) = (bytes(b"k"), Some(Consistency::Strict));
        let attempt = Some(Attempt { id: u64::MAX, retried_after_ms: Some(7), first_asked: Some(ActorId(8)) });
        let context = bytes(b"c");
        let put = Operation::Put {
            key: key_bytes.clone(),
            value: bytes(b"v"),
            ttl_ms: Some(3),
            level,
            consistency,
            attempt,
            context,
        };
        let coordinator = PeerShard { node: NodeId(8), shard: ShardIndex(2) };
        let digest = Some(Digest([9; 16]));
        let failure = Failure::new(FailureKind::Overloaded, "no");
        let value = |record| Response::Value { record, context: bytes(b"seen"), as_of_ms: 5, replicas };
        let value_of_5 = Outline { dot, bytes: Some(5), expires_at_ms: Some(7) };
        let tombstone = Outline { dot, bytes: None, expires_at_ms: None };
        let hint = |owed, version| KeptHint { target: NodeId(6), owed, versions: vec![version, version] };
        let (causal, _) = Record::causal(None, &Context::new(), dot, Some(b"value"), None, usize::MAX).unwrap();
        vec![
            Message::Write {
                op,
                key: key.clone(),
                record: record.clone(),
                minted: Some(dot.time),
                stand_in_for: None,
                relay: vec![NodeId(4), NodeId(5)],
            },
            Message::Write {
                op,
                key: key.clone(),
                record: causal.clone(),
                minted: None,
                stand_in_for: Some(NodeId(6)),
                relay: Vec::new(),
            },
            Message::Relayed { coordinator, op, key: key.clone(), record: record.clone(), minted: Some(dot.time) },
            Message::WriteReply { op, newest: dot, pulled_by: Vec::new() },
            Message::WriteReply { op, newest: dot, pulled_by: vec![(NodeId(7), ActorId(8)), (NodeId(0), ActorId(0))] },
            Message::Read { op, key: key.clone(), known: None, stand_in_for: None },
            Message::Read { op, key: key.clone(), known: digest, stand_in_for: Some(NodeId(6)) },
            Message::ReadSame { op },
            Message::ReadReply { op, record: Some(record.clone()) },
            Message::ReadReply { op, record: None },
            Message::ReadHints { op, key: key.clone() },
            Message::HintsReply { op, hints: vec![hint(false, value_of_5), hint(true, tombstone)] },
            Message::HintsReply { op, hints: Vec::new() },
            Message::Scan { op, range: range.clone(), limit_bytes: 9, puller: None },
            Message::Scan { op, range, limit_bytes: 9, puller: Some(ActorId(0)) },
            Message::ScanReply { op, rows: vec![(key, record.clone())], more: true, digest },
            Message::Forward { op, request: request(put) },
            Message::Forward {
                op,
                request: request(Operation::Get { key: bytes(b"k"), level: None, consistency: None }),
            },
            Message::Forward {
                op,
                request: request(Operation::Delete {
                    key: bytes(b"k"),
                    level,
                    consistency,
                    attempt: Some(Attempt { id: 3, retried_after_ms: None, first_asked: None }),
                    context: bytes(b"c"),
                }),
            },
            Message::ForwardReply { op, response: value(Some(record)) },
            Message::ForwardReply { op, response: value(Some(causal)) },
            Message::ForwardReply { op, response: value(None) },
            Message::ForwardReply { op, response: Response::Written { dot, expires_at_ms: Some(7), replicas } },
            Message::ForwardReply { op, response: Response::Failed(failure.clone()) },
            Message::Refused { op, failure },
        ]
    }

    #[test]
    fn every_message_survives_its_way() {
        let to = PeerShard { node: kvorum_node::NodeId(1), shard: ShardIndex(3) };
        let tag = EpochPhase { epoch: 4, phase: Phase::Stable };
        for message in messages() {
            let frame = frame(to, tag, message.clone());
            // What is handed on goes to whoever owns the key, and carries the coordinator's shard.
            let to = if let Message::Relayed { coordinator, .. } = &message { *coordinator } else { to };
            assert_eq!(is_request(&frame), message.is_request());
            let bytes = frame.encode_to_vec();
            let unpacked = unpack(v1::Frame::decode(&bytes[..]).unwrap()).unwrap();
            assert_eq!((unpacked.shard, unpacked.tag, unpacked.message), (to.shard, tag, message));
        }
    }

    #[test]
    fn a_frame_without_sense_is_refused() {
        let write = |key: &'static [u8], record: &'static [u8]| v1::Write {
            stored_key: key.into(),
            record: record.into(),
            ..v1::Write::default()
        };
        for message in [
            None,
            Some(Wire::Write(write(b"short", b""))),
            Some(Wire::Write(write(b"long enough", b"no record"))),
            Some(Wire::ReadHints(v1::ReadHints::default())),
            Some(Wire::Forward(v1::Forward::default())),
            Some(Wire::ForwardReply(v1::ForwardReply::default())),
        ] {
            assert!(unpack(v1::Frame { message, ..Default::default() }).is_err());
        }
        let far =
            v1::Frame { shard: 65_536, message: Some(Wire::ReadReply(v1::ReadReply::default())), ..Default::default() };
        assert!(unpack(far).is_err());
    }
}
