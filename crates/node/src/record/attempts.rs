//! Attempts that a record remembers: which dots were minted for writes that their clients may ask for again. They stay with
//! the record when the versions have been replaced, so that an attempt that comes late finds that its write has taken
//! effect. One that is forgotten cannot be confirmed any more; it is not carried out again for that.
//!
//! ```text
//! 4 | count | { id (8, BE) | timestamp (8, BE) | actor (8, BE) }, newest first | the record, of another kind
//! ```

use core::cmp::Reverse;

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_vclock::{Dot, Timestamp};

use super::{BadRecord, Record};
use crate::ActorId;

pub(super) const ATTEMPTED: u8 = 4;
/// How many attempts a record remembers.
pub(super) const ATTEMPTS: usize = 32;
/// How long it does: those this much older than its newest version are forgotten.
pub(super) const ATTEMPTS_KEPT_MS: u64 = 10 * 60 * 1000;

const HEADER: usize = 2;
const PAIR: usize = 3 * 8;

/// A version, and the write it was minted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempted {
    pub(crate) dot: Dot<ActorId>,
    pub(crate) id: u64,
}

/// Where the record itself begins.
pub(super) fn body(bytes: &[u8]) -> usize {
    if bytes[0] == ATTEMPTED { HEADER + usize::from(bytes[1]) * PAIR } else { 0 }
}

/// Where it begins in bytes from elsewhere.
pub(super) fn check(bytes: &[u8]) -> Result<usize, BadRecord> {
    let truncated = BadRecord::Truncated { len: bytes.len() };
    let count = *bytes.get(1).ok_or(truncated)?;
    let start = HEADER + usize::from(count) * PAIR;
    match bytes.get(start) {
        None => Err(truncated),
        Some(&ATTEMPTED) => Err(BadRecord::UnknownKind { kind: ATTEMPTED }),
        Some(_) if count == 0 || usize::from(count) > ATTEMPTS => Err(BadRecord::BadFlags { flags: count }),
        Some(_) => Ok(start),
    }
}

impl Record {
    /// The attempts it remembers, newest first.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = Attempted> + '_ {
        let pairs = if self.0[0] == ATTEMPTED { &self.0[HEADER..body(&self.0)] } else { &[] };
        pairs.chunks_exact(PAIR).map(|pair| {
            let word = |at: usize| u64::from_be_bytes(pair[at..at + 8].try_into().expect("eight bytes are a word"));
            Attempted { id: word(0), dot: Dot { time: Timestamp::from_bits(word(8)), actor: ActorId(word(16)) } }
        })
    }

    /// The same record that remembers these attempts and no others; of too many and too old ones the newest.
    pub(crate) fn remembering(&self, attempts: impl Iterator<Item = Attempted>) -> Self {
        let record = &self.0[body(&self.0)..];
        let mut kept: Vec<Attempted> = attempts.collect();
        kept.sort_unstable_by_key(|attempt| Reverse((attempt.dot, attempt.id)));
        kept.dedup();
        let newest = kept.first().map_or(self.dot(), |first| first.dot.max(self.dot())).time.millis();
        kept.retain(|attempt| attempt.dot.time.millis().saturating_add(ATTEMPTS_KEPT_MS) >= newest);
        kept.truncate(ATTEMPTS);
        if kept.is_empty() {
            return Self(self.0.slice_ref(record));
        }
        let mut bytes = BytesMut::with_capacity(HEADER + kept.len() * PAIR + record.len());
        bytes.put_u8(ATTEMPTED);
        bytes.put_u8(kept.len() as u8);
        for Attempted { dot, id } in kept {
            bytes.put_u64(id);
            bytes.put_u64(dot.time.to_bits());
            bytes.put_u64(dot.actor.0);
        }
        bytes.put_slice(record);
        Self(Bytes::from(bytes))
    }

    /// The version that was minted for a write, if the record remembers one.
    pub(crate) fn attempt(&self, id: u64) -> Option<Dot<ActorId>> {
        self.attempts().find(|attempt| attempt.id == id).map(|attempt| attempt.dot)
    }
}
