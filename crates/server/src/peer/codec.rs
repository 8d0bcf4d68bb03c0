//! Between the messages of data shards and the frames they travel in.

use std::time::Duration;

use kvorum_node::{
    ActorId, EpochPhase, KeyRange, KeyspaceId, Message, Op, Operation, PeerShard, Phase, Record, Request, Response,
    ShardIndex, StoredKey,
};
use kvorum_vclock::{Dot, Timestamp};
use kvorum_wire::v1;
use v1::frame::Message as Wire;

use crate::client_codec::{
    error_from_wire, error_to_wire, level_from_wire, level_to_wire, replicas_from_wire, response_to_wire,
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

/// Puts a message into a frame. `to` is the shard it is for, if it answers one.
pub(crate) fn frame(to: PeerShard, tag: EpochPhase, message: Message) -> v1::Frame {
    let op = message.op().to_bits();
    let message = match message {
        Message::Write { key, record, .. } => {
            Wire::Write(v1::Write { stored_key: key.as_bytes().clone(), record: record.as_bytes().clone() })
        }
        Message::WriteReply { newest, .. } => {
            Wire::WriteReply(v1::WriteReply { timestamp: newest.time.to_bits(), actor: newest.actor.0 })
        }
        Message::Read { key, .. } => Wire::Read(v1::Read { stored_key: key.as_bytes().clone() }),
        Message::ReadReply { record, .. } => {
            Wire::ReadReply(v1::ReadReply { record: record.map(|record| record.as_bytes().clone()) })
        }
        Message::Scan { range, limit_bytes, .. } => {
            Wire::Scan(v1::Scan { start: range.start, after_start: range.after_start, end: range.end, limit_bytes })
        }
        Message::ScanReply { rows, more, .. } => {
            let row = |(key, record): (StoredKey, Record)| v1::StoredRow {
                stored_key: key.as_bytes().clone(),
                record: record.as_bytes().clone(),
            };
            Wire::ScanReply(v1::ScanReply { rows: rows.into_iter().map(row).collect(), more })
        }
        Message::Forward { request, .. } => Wire::Forward(forward(request)),
        // Only puts, deletes and gets are forwarded; that the answer to a delete looks like a put's does not matter here.
        Message::ForwardReply { response, .. } => Wire::ForwardReply(response_to_wire(0, 0, false, response)),
        Message::Refused { failure, .. } => Wire::Refused(error_to_wire(failure)),
    };
    v1::Frame { op, epoch: tag.epoch, shard: to.shard.0.into(), message: Some(message) }
}

fn forward(request: Request) -> v1::Forward {
    use v1::request::Operation as Wire;
    let level = |level: Option<kvorum_quorum::Level>| level.map(level_to_wire);
    let operation = match request.operation {
        Operation::Get { key, level: r } => Wire::Get(v1::GetRequest { key, level: level(r), ..Default::default() }),
        Operation::Put { key, value, ttl_ms, level: w } => {
            Wire::Put(v1::PutRequest { key, value, ttl_ms, level: level(w), ..Default::default() })
        }
        Operation::Delete { key, level: w } => {
            Wire::Delete(v1::DeleteRequest { key, level: level(w), ..Default::default() })
        }
        Operation::Scan(_) => unreachable!("any node coordinates a scan, so it is never forwarded"),
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
        Wire::Get(get) => Operation::Get { key: get.key, level: level_from_wire(get.level)? },
        Wire::Put(put) => {
            Operation::Put { key: put.key, value: put.value, ttl_ms: put.ttl_ms, level: level_from_wire(put.level)? }
        }
        Wire::Delete(delete) => Operation::Delete { key: delete.key, level: level_from_wire(delete.level)? },
        Wire::Scan(_) => return Err(BadFrame("it forwards a scan".to_owned())),
    };
    let timeout = Duration::from_millis(forward.timeout_ms.into());
    Ok(Request { keyspace: KeyspaceId(forward.keyspace), timeout, operation })
}

fn response(response: v1::Response) -> Result<Response, BadFrame> {
    use v1::response::Result as Wire;
    let written = |actor, timestamp, replicas| {
        let dot = Dot { time: Timestamp::from_bits(timestamp), actor: ActorId(actor) };
        Response::Written { record: Record::lww(dot, None, None), replicas: replicas_from_wire(replicas) }
    };
    Ok(match response.result.ok_or_else(|| BadFrame::missing("result"))? {
        Wire::Get(get) => {
            let replicas = replicas_from_wire(get.replicas);
            let record = get.versions.first().map(|version| {
                let dot = Dot { time: Timestamp::from_bits(version.timestamp), actor: ActorId(version.actor) };
                Record::lww(dot, Some(&version.value), version.expires_at)
            });
            Response::Value { record, replicas }
        }
        Wire::Put(put) => written(put.actor, put.timestamp, put.replicas),
        Wire::Delete(delete) => written(delete.actor, delete.timestamp, delete.replicas),
        Wire::Error(error) => Response::Failed(error_from_wire(error)),
        Wire::Scan(_) => return Err(BadFrame("it answers a scan, which is never forwarded".to_owned())),
    })
}

/// A message taken out of its frame, with the shard it is for if it answers one.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) shard: ShardIndex,
    pub(crate) tag: EpochPhase,
    pub(crate) message: Message,
}

/// Takes a frame apart.
pub(crate) fn unpack(frame: v1::Frame) -> Result<Unpacked, BadFrame> {
    let op = Op::from_bits(frame.op);
    let message = match frame.message.ok_or_else(|| BadFrame::missing("message of a kind this version knows"))? {
        Wire::Write(write) => {
            Message::Write { op, key: StoredKey::parse(write.stored_key)?, record: Record::parse(write.record)? }
        }
        Wire::WriteReply(reply) => {
            let newest = Dot { time: Timestamp::from_bits(reply.timestamp), actor: ActorId(reply.actor) };
            Message::WriteReply { op, newest }
        }
        Wire::Read(read) => Message::Read { op, key: StoredKey::parse(read.stored_key)? },
        Wire::ReadReply(reply) => Message::ReadReply { op, record: reply.record.map(Record::parse).transpose()? },
        Wire::Scan(scan) => {
            let range = KeyRange { start: scan.start, after_start: scan.after_start, end: scan.end };
            Message::Scan { op, range, limit_bytes: scan.limit_bytes }
        }
        Wire::ScanReply(reply) => {
            let row =
                |row: v1::StoredRow| Ok::<_, BadFrame>((StoredKey::parse(row.stored_key)?, Record::parse(row.record)?));
            Message::ScanReply {
                op,
                rows: reply.rows.into_iter().map(row).collect::<Result<_, _>>()?,
                more: reply.more,
            }
        }
        Wire::Forward(forward) => Message::Forward { op, request: forwarded(forward)? },
        Wire::ForwardReply(reply) => Message::ForwardReply { op, response: response(reply)? },
        Wire::Refused(error) => Message::Refused { op, failure: error_from_wire(error) },
    };
    let shard =
        ShardIndex(u16::try_from(frame.shard).map_err(|_| BadFrame(format!("there is no shard {}", frame.shard)))?);
    Ok(Unpacked { shard, tag: EpochPhase { epoch: frame.epoch, phase: Phase::Stable }, message })
}

/// Whether a frame asks for something, see [`Message::is_request`].
pub(crate) fn is_request(frame: &v1::Frame) -> bool {
    matches!(frame.message, Some(Wire::Write(_) | Wire::Read(_) | Wire::Scan(_) | Wire::Forward(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use kvorum_node::{Failure, FailureKind, Replicas};
    use kvorum_ring::PartitionId;
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
        let put = Operation::Put { key: bytes(b"k"), value: bytes(b"v"), ttl_ms: Some(3), level };
        let failure = Failure::new(FailureKind::Overloaded, "no");
        vec![
            Message::Write { op, key: key.clone(), record: record.clone() },
            Message::WriteReply { op, newest: dot },
            Message::Read { op, key: key.clone() },
            Message::ReadReply { op, record: Some(record.clone()) },
            Message::ReadReply { op, record: None },
            Message::Scan { op, range, limit_bytes: 9 },
            Message::ScanReply { op, rows: vec![(key, record.clone())], more: true },
            Message::Forward { op, request: request(put) },
            Message::Forward { op, request: request(Operation::Get { key: bytes(b"k"), level: None }) },
            Message::Forward { op, request: request(Operation::Delete { key: bytes(b"k"), level }) },
            Message::ForwardReply { op, response: Response::Value { record: Some(record), replicas } },
            Message::ForwardReply {
                op,
                response: Response::Written { record: Record::lww(dot, None, None), replicas },
            },
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
            assert_eq!(is_request(&frame), message.is_request());
            let bytes = frame.encode_to_vec();
            let unpacked = unpack(v1::Frame::decode(&bytes[..]).unwrap()).unwrap();
            assert_eq!((unpacked.shard, unpacked.tag, unpacked.message), (to.shard, tag, message));
        }
    }

    #[test]
    fn a_frame_without_sense_is_refused() {
        let write =
            |key: &'static [u8], record: &'static [u8]| v1::Write { stored_key: key.into(), record: record.into() };
        for message in [
            None,
            Some(Wire::Write(write(b"short", b""))),
            Some(Wire::Write(write(b"long enough", b"no record"))),
            Some(Wire::Forward(v1::Forward::default())),
            Some(Wire::ForwardReply(v1::Response::default())),
        ] {
            assert!(unpack(v1::Frame { message, ..Default::default() }).is_err());
        }
        let far =
            v1::Frame { shard: 65_536, message: Some(Wire::ReadReply(v1::ReadReply::default())), ..Default::default() };
        assert!(unpack(far).is_err());
    }
}
