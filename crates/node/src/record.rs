//! What a key holds, in the one encoding that goes to clients' replicas, logs and digests alike.
//!
//! Today a record is `lww`: one version, chosen by (hybrid timestamp, actor). Siblings get a kind of their own.
//!
//! ```text
//! kind 1 (lww): 1 | flags | timestamp (8, BE) | actor (8, BE) | [expires_at ms (8, BE)] | value
//! flags: 1 tombstone (no value follows), 2 expires_at present
//! ```

use core::cmp::Ordering;
use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_vclock::{Dot, Timestamp};

use crate::ActorId;

const LWW: u8 = 1;
const TOMBSTONE: u8 = 1;
const EXPIRES: u8 = 2;
const HEADER: usize = 2 + 8 + 8;

/// The most bytes a record adds to its value.
pub const RECORD_OVERHEAD: usize = HEADER + 8;

/// An immutable, encoded record.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Bytes);

/// What makes bytes no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRecord {
    /// It ends inside its header.
    #[error("the record ends after {len} bytes, inside its header")]
    Truncated {
        /// How many bytes there were.
        len: usize,
    },
    /// Written by a newer version, or damaged.
    #[error("the record is of kind {kind}, which this version does not know")]
    UnknownKind {
        /// Its first byte.
        kind: u8,
    },
    /// A flag that this version does not know, or a tombstone with a value.
    #[error("the record's flags {flags:#04x} do not fit its content")]
    BadFlags {
        /// Its second byte.
        flags: u8,
    },
}

impl Record {
    /// A version minted as `dot`; `None` is a tombstone. Copies the value: a record is encoded once, and lives on.
    #[must_use]
    pub fn lww(dot: Dot<ActorId>, value: Option<&[u8]>, expires_at_ms: Option<u64>) -> Self {
        let mut bytes = BytesMut::with_capacity(HEADER + 8 + value.map_or(0, <[u8]>::len));
        let tombstone = if value.is_none() { TOMBSTONE } else { 0 };
        let expires = if expires_at_ms.is_some() { EXPIRES } else { 0 };
        bytes.put_u8(LWW);
        bytes.put_u8(tombstone | expires);
        bytes.put_u64(dot.time.to_bits());
        bytes.put_u64(dot.actor.0);
        if let Some(at) = expires_at_ms {
            bytes.put_u64(at);
        }
        bytes.put_slice(value.unwrap_or_default());
        Self(bytes.freeze())
    }

    /// Takes encoded bytes from a peer or an engine.
    ///
    /// # Errors
    /// When they are not a record of a kind this version knows.
    pub fn parse(bytes: Bytes) -> Result<Self, BadRecord> {
        if bytes.len() < HEADER {
            return Err(BadRecord::Truncated { len: bytes.len() });
        }
        let (kind, flags) = (bytes[0], bytes[1]);
        if kind != LWW {
            return Err(BadRecord::UnknownKind { kind });
        }
        let head = HEADER + if flags & EXPIRES == 0 { 0 } else { 8 };
        if bytes.len() < head {
            return Err(BadRecord::Truncated { len: bytes.len() });
        }
        let valueless = bytes.len() == head;
        if flags & !(TOMBSTONE | EXPIRES) != 0 || (flags & TOMBSTONE != 0 && !valueless) {
            return Err(BadRecord::BadFlags { flags });
        }
        Ok(Self(bytes))
    }

    fn u64_at(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.0[at..at + 8]);
        u64::from_be_bytes(word)
    }

    /// When and by whom it was written.
    #[must_use]
    pub fn dot(&self) -> Dot<ActorId> {
        Dot { time: self.time(), actor: ActorId(self.u64_at(10)) }
    }

    /// When it was written.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_bits(self.u64_at(2))
    }

    /// When its value ends, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn expires_at_ms(&self) -> Option<u64> {
        (self.0[1] & EXPIRES != 0).then(|| self.u64_at(HEADER))
    }

    /// The value, unless the record is a tombstone. Whether it has expired is for the caller to judge.
    #[must_use]
    pub fn value(&self) -> Option<Bytes> {
        let head = HEADER + if self.0[1] & EXPIRES == 0 { 0 } else { 8 };
        (self.0[1] & TOMBSTONE == 0).then(|| self.0.slice(head..))
    }

    /// The value as a reader at that wall-clock time sees it: nothing for tombstones and expired cells.
    #[must_use]
    pub fn live_value(&self, unix_ms: u64) -> Option<Bytes> {
        if self.expires_at_ms().is_some_and(|at| at <= unix_ms) { None } else { self.value() }
    }

    /// The same version with an empty value, for answers that leave values out.
    #[must_use]
    pub fn without_value(&self) -> Self {
        Self::lww(self.dot(), self.value().map(|_| &[][..]), self.expires_at_ms())
    }

    /// The encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The same record in memory of its own, see [`StoredKey::detached`](crate::StoredKey::detached).
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The last-writer-wins order. Equal dots are the same write; should their bytes differ all the same (a
    /// defect, or damage that a checksum missed), every replica still chooses alike.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.dot().cmp(&other.dot()).then_with(|| self.0.cmp(&other.0))
    }
}

/// The record that both replicas agree on: merge commutes, associates and is idempotent.
#[must_use]
pub fn merge(a: Option<Record>, b: Option<Record>) -> Option<Record> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.precedence(&a) == Ordering::Greater { b } else { a }),
        (a, b) => a.or(b),
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = self.dot();
        write!(f, "Record({}@{}", dot.time, dot.actor)?;
        match self.value() {
            Some(value) => write!(f, ", {} bytes", value.len())?,
            None => f.write_str(", tombstone")?,
        }
        if let Some(at) = self.expires_at_ms() {
            write!(f, ", expires {at}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        (0u64..4, 0u64..3, prop::option::of(prop::collection::vec(any::<u8>(), 0..3)), prop::option::of(0u64..9))
            .prop_map(|(time, actor, value, expires)| {
                Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(actor) }, value.as_deref(), expires)
            })
    }

    #[test]
    fn the_encoding_is_pinned() {
        let dot = Dot { time: Timestamp::from_bits(0x0102_0304_0506_0708), actor: ActorId(9) };
        let bytes = Record::lww(dot, Some(b"v"), Some(5)).as_bytes().clone();
        assert_eq!(
            bytes.as_ref(),
            [1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, b'v']
        );
    }

    #[test]
    fn an_expired_value_is_not_seen() {
        let dot = Dot { time: Timestamp::from_bits(1), actor: ActorId(1) };
        let record = Record::lww(dot, Some(b"v"), Some(100));
        assert_eq!(record.live_value(99).as_deref(), Some(&b"v"[..]));
        assert_eq!(record.live_value(100), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(time: u64, actor: u64, value: Option<Vec<u8>>, expires: Option<u64>) {
            let dot = Dot { time: Timestamp::from_bits(time), actor: ActorId(actor) };
            let record = Record::parse(Record::lww(dot, value.as_deref(), expires).as_bytes().clone()).unwrap();
            prop_assert_eq!(record.dot(), dot);
            prop_assert_eq!(record.value().map(|value| value.to_vec()), value);
            prop_assert_eq!(record.expires_at_ms(), expires);
        }

        #[test]
        fn any_bytes_are_refused_or_read_without_panic(bytes in prop::collection::vec(prop_oneof![Just(1u8), Just(3), any::<u8>()], 0..40)) {
            if let Ok(record) = Record::parse(bytes.clone().into()) {
                prop_assert_eq!(record.as_bytes().as_ref(), &bytes[..]);
                let again = Record::lww(record.dot(), record.value().as_deref(), record.expires_at_ms());
                prop_assert_eq!(again, record);
            }
        }

        #[test]
        fn merge_is_a_join(a in prop::option::of(record()), b in prop::option::of(record()), c in prop::option::of(record())) {
            prop_assert_eq!(merge(a.clone(), b.clone()), merge(b.clone(), a.clone()));
            prop_assert_eq!(merge(a.clone(), a.clone()), a.clone());
            prop_assert_eq!(merge(merge(a.clone(), b.clone()), c.clone()), merge(a, merge(b, c)));
        }
    }
}
