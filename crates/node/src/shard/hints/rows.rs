//! The rows that hints are stored as; their formats are told in `hints.rs`.

use bytes::{BufMut, BytesMut};
use kvorum_hints::{Kind, Seq};
use kvorum_ring::PartitionId;
use kvorum_vclock::{Dot, Timestamp};

use super::HINTS_KEYSPACE;
use crate::{ActorId, NodeId, Record, StoredKey};

/// What an order row says.
#[derive(Clone, Debug)]
pub(in crate::shard) struct Named {
    pub(in crate::shard) kind: Kind,
    pub(in crate::shard) bytes: u32,
    pub(in crate::shard) key: StoredKey,
}

pub(in crate::shard) fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Owed => 1,
        Kind::Spare => 2,
    }
}

pub(in crate::shard) fn order_key(target: NodeId, partition: PartitionId, seq: Seq) -> StoredKey {
    let mut key = [0; 17];
    key[1..9].copy_from_slice(&target.0.to_be_bytes());
    key[9..].copy_from_slice(&seq.0.to_be_bytes());
    StoredKey::new(HINTS_KEYSPACE, partition, &key)
}

/// The target and the number that an order row's key says.
pub(in crate::shard) fn parse_order_key(key: &StoredKey) -> Option<(NodeId, Seq)> {
    let key = key.key();
    let (head, tail) = key.split_at_checked(9)?;
    let target = u64::from_be_bytes(head[1..].try_into().ok()?);
    (head[0] == 0).then_some((NodeId(target), Seq(u64::from_be_bytes(tail.try_into().ok()?))))
}

pub(in crate::shard) fn order_row(kind: Kind, bytes: u32, key: &StoredKey) -> Record {
    let mut value = BytesMut::with_capacity(5 + key.as_bytes().len());
    value.put_u8(kind_byte(kind));
    value.put_u32(bytes);
    value.put_slice(key.as_bytes());
    Record::lww(Dot { time: Timestamp::MIN, actor: ActorId(0) }, Some(&value), None)
}

pub(in crate::shard) fn parse_order_row(record: &Record) -> Option<Named> {
    let value = record.versions().next()?.value?;
    let (head, _) = value.split_at_checked(5)?;
    let kind = match head[0] {
        1 => Kind::Owed,
        2 => Kind::Spare,
        _ => return None,
    };
    let bytes = u32::from_be_bytes(head[1..].try_into().ok()?);
    let key = StoredKey::parse(value.slice(5..)).ok()?;
    Some(Named { kind, bytes, key })
}

pub(in crate::shard) fn content_key(target: NodeId, kind: Kind, key: &StoredKey) -> StoredKey {
    let mut content = BytesMut::with_capacity(13 + key.as_bytes().len());
    content.put_u8(kind_byte(kind));
    content.put_u64(target.0);
    content.put_u32(key.keyspace().0);
    content.put_slice(&key.key());
    StoredKey::new(HINTS_KEYSPACE, key.partition(), &content)
}

/// By how much the content of a hint has grown since it was new, and counted so many bytes.
pub(in crate::shard) fn growth(content: &StoredKey, record: &Record, bytes: u32) -> u64 {
    u64::from(weight(content, record).saturating_sub(bytes))
}

/// What a hint counts against the limit.
pub(in crate::shard) fn weight(content: &StoredKey, record: &Record) -> u32 {
    u32::try_from(2 * content.as_bytes().len() + record.as_bytes().len() + 64).unwrap_or(u32::MAX)
}
