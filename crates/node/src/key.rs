//! Keys as they are stored: keyspace and partition in front, so that one partition of one keyspace is one
//! contiguous range of every engine.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_ring::PartitionId;

use crate::KeyspaceId;

const PREFIX: usize = 4 + 2;

/// A key with its keyspace and partition: `keyspace (4 bytes, big endian), partition (2 bytes, big endian), key`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredKey(Bytes);

/// The bytes are too short to be a stored key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored key is longer than its {PREFIX}-byte prefix, but this one has {len} bytes")]
pub struct BadStoredKey {
    /// How long it was.
    pub len: usize,
}

impl StoredKey {
    /// Composes a stored key; copies `key`.
    #[must_use]
    pub fn new(keyspace: KeyspaceId, partition: PartitionId, key: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(PREFIX + key.len());
        bytes.put_u32(keyspace.0);
        bytes.put_u16(partition.0);
        bytes.put_slice(key);
        Self(bytes.freeze())
    }

    /// Takes bytes from a peer or an engine.
    ///
    /// # Errors
    /// When they hold no key behind the prefix.
    pub fn parse(bytes: Bytes) -> Result<Self, BadStoredKey> {
        if bytes.len() > PREFIX { Ok(Self(bytes)) } else { Err(BadStoredKey { len: bytes.len() }) }
    }

    /// The keyspace.
    #[must_use]
    pub fn keyspace(&self) -> KeyspaceId {
        KeyspaceId(u32::from_be_bytes([self.0[0], self.0[1], self.0[2], self.0[3]]))
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        PartitionId(u16::from_be_bytes([self.0[4], self.0[5]]))
    }

    /// The key as the client gave it.
    #[must_use]
    pub fn key(&self) -> Bytes {
        self.0.slice(PREFIX..)
    }

    /// The whole stored key.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The same key in memory of its own: what is decoded from a message is a slice of the whole receive
    /// buffer, so whatever outlives the request is copied.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{:?}", self.keyspace().0, self.partition(), self.key())
    }
}

/// The stored keys of one partition of one keyspace that begin with a prefix and lie after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The smallest stored key that may be in it.
    pub start: Bytes,
    /// Whether `start` itself is left out.
    pub after_start: bool,
    /// The first stored key beyond it; none when the range is open to the end of the store.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// The keys of a partition that begin with `prefix`, after the key `after` if one is given.
    #[must_use]
    pub fn of_partition(keyspace: KeyspaceId, partition: PartitionId, prefix: &[u8], after: Option<&[u8]>) -> Self {
        let first = StoredKey::new(keyspace, partition, prefix).0;
        let end = successor_of_prefix(&first);
        let range = match after.filter(|after| *after >= prefix) {
            Some(after) => Self { start: StoredKey::new(keyspace, partition, after).0, after_start: true, end },
            None => Self { start: first.clone(), after_start: false, end },
        };
        // A cursor beyond the last key with the prefix leaves nothing.
        if range.is_reversed() { Self { start: first.clone(), after_start: false, end: Some(first) } } else { range }
    }

    /// Whether it ends before it starts. Such a range holds nothing, and engines refuse it, some by a panic.
    #[must_use]
    pub(crate) fn is_reversed(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end < self.start || (self.after_start && *end == self.start))
    }

    /// The keyspace and partition it lies in; none when a peer sent a start that names no partition.
    #[must_use]
    pub fn place(&self) -> Option<(KeyspaceId, PartitionId)> {
        let [a, b, c, d, e, f, ..] = self.start[..] else { return None };
        Some((KeyspaceId(u32::from_be_bytes([a, b, c, d])), PartitionId(u16::from_be_bytes([e, f]))))
    }

    /// Whether a stored key lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let from = if self.after_start { key > self.start.as_ref() } else { key >= self.start.as_ref() };
        from && self.end.as_ref().is_none_or(|end| key < end.as_ref())
    }
}

/// The smallest byte string greater than every string that begins with `prefix`.
fn successor_of_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stored_key_keeps_its_parts() {
        let key = StoredKey::new(KeyspaceId(7), PartitionId(258), b"k\0");
        assert_eq!(key.as_bytes().as_ref(), [0, 0, 0, 7, 1, 2, b'k', 0]);
        assert_eq!(
            (key.keyspace(), key.partition(), key.key()),
            (KeyspaceId(7), PartitionId(258), Bytes::from_static(b"k\0"))
        );
        assert_eq!(StoredKey::parse(key.as_bytes().clone()), Ok(key));
        assert_eq!(StoredKey::parse(Bytes::from_static(b"123456")), Err(BadStoredKey { len: 6 }));
    }

    proptest! {
        #[test]
        fn a_range_holds_exactly_the_keys_with_its_prefix_after_its_cursor(
            prefix in prop::collection::vec(any::<u8>(), 0..3),
            after in prop::option::of(prop::collection::vec(any::<u8>(), 0..4)),
            key in prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 1..5),
            keyspace in prop_oneof![Just(1u32), Just(u32::MAX)],
            partition in prop_oneof![Just(0u16), Just(u16::MAX)],
        ) {
            let range = KeyRange::of_partition(KeyspaceId(keyspace), PartitionId(partition), &prefix, after.as_deref());
            let stored = StoredKey::new(KeyspaceId(keyspace), PartitionId(partition), &key);
            let expected = key.starts_with(&prefix) && after.as_ref().is_none_or(|after| key > *after);
            prop_assert_eq!(range.contains(stored.as_bytes()), expected);
            prop_assert!(!range.is_reversed());
            prop_assert_eq!(range.place(), Some((KeyspaceId(keyspace), PartitionId(partition))));
            let elsewhere = StoredKey::new(KeyspaceId(keyspace), PartitionId(partition ^ 1), &key);
            prop_assert!(!range.contains(elsewhere.as_bytes()));
        }
    }
}
