//! What a key holds, in the one encoding that goes to clients' replicas, logs and digests alike.
//!
//! In an `lww` keyspace that is one version, chosen by (hybrid timestamp, actor); no vector is kept where none is needed. In a
//! `causal` one it is a dotted version vector set: the concurrent versions, and per actor what has been discarded
//! (`record/causal.rs`).
//!
//! ```text
//! kind 1 (lww): 1 | flags | timestamp (8, BE) | actor (8, BE) | [expires_at ms (8, BE)] | value
//! kind 2 (causal): 2 | siblings, as `kvorum-vclock` encodes them; the bytes of each are a cell: flags | [expires_at ms (8, BE)] | value
//! flags: 1 tombstone (no value follows), 2 expires_at present
//! kind 4: attempts that were made for it, before a record of kind 1 or 2 (`record/attempts.rs`)
//! ```

mod attempts;
mod causal;
mod cell;
mod outline;
#[cfg(test)]
mod tests;

use core::cmp::Ordering;
use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_vclock::{Context, Dot, Timestamp};

use crate::{ActorId, Digest};
use cell::{Cell, EXPIRES};

pub(crate) use attempts::Attempted;
pub use causal::{CONTEXT_ENTRIES, MAX_SIBLINGS, Unwritable};
pub use outline::Outline;

const LWW: u8 = 1;
const CAUSAL: u8 = 2;
const HEADER: usize = 2 + 8 + 8;

/// The most bytes an `lww` record adds to its value.
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
        /// The flags.
        flags: u8,
    },
    /// A causal record whose siblings cannot be read.
    #[error("the record's siblings: {0}")]
    Siblings(kvorum_vclock::Error),
}

/// One version in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// When and by whom it was written.
    pub dot: Dot<ActorId>,
    /// The value; none in a tombstone.
    pub value: Option<Bytes>,
    /// When the value ends, in milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
}

impl Version {
    /// Whether a reader at that wall-clock time sees a value.
    #[must_use]
    pub fn is_live(&self, unix_ms: u64) -> bool {
        self.value.is_some() && !self.is_expired(unix_ms)
    }

    /// Whether its time is up. An expired value is a tombstone.
    #[must_use]
    pub fn is_expired(&self, unix_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|at| at <= unix_ms)
    }
}

impl Record {
    /// A version minted as `dot`; `None` is a tombstone. Copies the value: a record is encoded once, and lives on.
    #[must_use]
    pub fn lww(dot: Dot<ActorId>, value: Option<&[u8]>, expires_at_ms: Option<u64>) -> Self {
        let cell = Cell { value, expires_at_ms };
        let mut bytes = BytesMut::with_capacity(HEADER + 8 + value.map_or(0, <[u8]>::len));
        bytes.put_u8(LWW);
        bytes.put_u8(cell.flags());
        bytes.put_u64(dot.time.to_bits());
        bytes.put_u64(dot.actor.0);
        cell.put_content(&mut bytes);
        Self(bytes.freeze())
    }

    /// Takes encoded bytes from a peer or an engine.
    ///
    /// # Errors
    /// When they are not a record of a kind this version knows.
    pub fn parse(bytes: Bytes) -> Result<Self, BadRecord> {
        let start = if bytes.first() == Some(&attempts::ATTEMPTED) { attempts::check(&bytes)? } else { 0 };
        let record = &bytes[start..];
        match record.first() {
            None => return Err(BadRecord::Truncated { len: 0 }),
            Some(&LWW) if record.len() < HEADER => return Err(BadRecord::Truncated { len: record.len() }),
            Some(&LWW) => drop(Cell::parse(record[1], &record[HEADER..])?),
            Some(&CAUSAL) => causal::check(&record[1..])?,
            Some(&kind) => return Err(BadRecord::UnknownKind { kind }),
        }
        Ok(Self(bytes))
    }

    /// The record without the attempts it remembers.
    fn body(&self) -> &[u8] {
        &self.0[attempts::body(&self.0)..]
    }

    /// Whether it belongs into a `causal` keyspace.
    #[must_use]
    pub fn is_causal(&self) -> bool {
        self.body()[0] == CAUSAL
    }

    fn u64_at(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.body()[at..at + 8]);
        u64::from_be_bytes(word)
    }

    /// The newest dot it has seen: of an `lww` record, when and by whom it was written.
    #[must_use]
    pub fn dot(&self) -> Dot<ActorId> {
        if self.is_causal() {
            return causal::newest(self);
        }
        Dot { time: Timestamp::from_bits(self.u64_at(2)), actor: ActorId(self.u64_at(10)) }
    }

    /// The time of its newest dot.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.dot().time
    }

    /// Its versions, tombstones and expired ones included; the newest first. An `lww` record has one.
    pub fn versions(&self) -> impl Iterator<Item = Version> + use<> {
        let (one, several) = if self.is_causal() {
            (None, causal::versions(self))
        } else {
            let body = self.body();
            let cell = Cell::parse(body[1], &body[HEADER..]).expect("checked when the record was made");
            (Some(cell.version(self.dot(), &self.0)), Vec::new())
        };
        one.into_iter().chain(several)
    }

    /// The versions that a reader at that wall-clock time sees: no tombstones, and nothing that has expired.
    pub fn live_versions(&self, unix_ms: u64) -> impl Iterator<Item = Version> + use<> {
        self.versions().filter(move |version| version.is_live(unix_ms))
    }

    /// Whether a reader at that wall-clock time sees any value.
    #[must_use]
    pub fn is_live(&self, unix_ms: u64) -> bool {
        self.live_versions(unix_ms).next().is_some()
    }

    /// What a reader of it has seen: what a write with this context replaces.
    #[must_use]
    pub fn context(&self) -> Context<u64> {
        if self.is_causal() {
            return causal::siblings(self).context();
        }
        let Dot { time, actor } = self.dot();
        Context::from_iter([(actor.0, time)])
    }

    /// The same record with empty values, for answers that leave values out.
    #[must_use]
    pub fn without_values(&self) -> Self {
        if self.is_causal() {
            return causal::map_cells(self, |cell| Cell { value: cell.value.map(|_| &[][..]), ..cell });
        }
        let Some(Version { dot, value, expires_at_ms }) = self.versions().next() else {
            unreachable!("an lww record has one version")
        };
        Self::lww(dot, value.map(|_| &[][..]), expires_at_ms)
    }

    /// The same record with a tombstone in place of every value that has expired by that wall-clock time: dots, expiry
    /// and all that merging looks at stay. None if there is no such value.
    #[must_use]
    pub fn without_expired(&self, unix_ms: u64) -> Option<Self> {
        let is_expired = |at: Option<u64>| at.is_some_and(|at| at <= unix_ms);
        let mut versions = self.versions();
        if !versions.any(|version| version.value.is_some() && is_expired(version.expires_at_ms)) {
            return None;
        }
        if self.is_causal() {
            let strip = |cell: Cell<'_>| is_expired(cell.expires_at_ms);
            let stripped =
                causal::map_cells(self, |cell| if strip(cell) { Cell { value: None, ..cell } } else { cell });
            return Some(stripped.remembering(self.attempts()));
        }
        let expires_at_ms = (self.body()[1] & EXPIRES != 0).then(|| self.u64_at(HEADER));
        Some(Self::lww(self.dot(), None, expires_at_ms).remembering(self.attempts()))
    }

    /// Tells it from other records of its key: an `lww` record by its dot, unless it remembers attempts; any other by all it
    /// holds.
    #[must_use]
    pub fn digest(&self) -> Digest {
        if self.is_causal() || self.0[0] == attempts::ATTEMPTED {
            return Digest::of([self.0.as_ref()].into_iter());
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.body()[2..HEADER]);
        Digest(digest)
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

    /// The last-writer-wins order of `lww` records. Equal dots are the same write; should their bytes differ all the same
    /// (a value was taken away when it had expired, or a defect), every replica still chooses alike.
    fn precedence(&self, other: &Self) -> Ordering {
        self.dot().cmp(&other.dot()).then_with(|| self.body().cmp(other.body()))
    }

    /// Whether merging `other` into this record would change nothing.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || merge_two(self, other).0 == *self
    }
}

/// The record that both replicas agree on: merge commutes, associates and is idempotent, but for what was pruned (see
/// [`CONTEXT_ENTRIES`]).
#[must_use]
pub fn merge(a: Option<Record>, b: Option<Record>) -> Option<Record> {
    merge_counting(a, b).0
}

/// [`merge`], and how many discards were pruned.
#[must_use]
pub(crate) fn merge_counting(a: Option<Record>, b: Option<Record>) -> (Option<Record>, usize) {
    match (a, b) {
        (Some(a), Some(b)) => {
            let (merged, pruned) = merge_two(&a, &b);
            (Some(merged), pruned)
        }
        (a, b) => (a.or(b), 0),
    }
}

fn merge_two(a: &Record, b: &Record) -> (Record, usize) {
    let (merged, pruned) = merge_bodies(a, b);
    if a.0[0] != attempts::ATTEMPTED && b.0[0] != attempts::ATTEMPTED {
        return (merged, pruned);
    }
    (merged.remembering(a.attempts().chain(b.attempts())), pruned)
}

/// Merges all but the attempts they remember: of these the outcome may have any.
fn merge_bodies(a: &Record, b: &Record) -> (Record, usize) {
    match (a.is_causal(), b.is_causal()) {
        (true, true) => causal::merge(a, b),
        (false, false) => (if b.precedence(a) == Ordering::Greater { b } else { a }.clone(), 0),
        // A keyspace keeps its mode, so this takes damage that no checksum has found; every replica still agrees.
        (true, false) => (a.clone(), 0),
        (false, true) => (b.clone(), 0),
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Record(")?;
        for Version { dot, value, expires_at_ms } in self.versions() {
            write!(f, "{}@{}", dot.time, dot.actor)?;
            match value {
                Some(value) => write!(f, " {} bytes", value.len())?,
                None => f.write_str(" tombstone")?,
            }
            if let Some(at) = expires_at_ms {
                write!(f, " expires {at}")?;
            }
            f.write_str(", ")?;
        }
        if self.is_causal() {
            for (actor, time) in causal::siblings(self).discards() {
                write!(f, "discarded {time}@{}, ", ActorId(*actor))?;
            }
        }
        write!(f, "{})", if self.is_causal() { "causal" } else { "lww" })
    }
}
