//! Owns what a reader has seen of a record: the causal past that its next write replaces. Does not own the record:
//! see `Siblings`.

use alloc::vec::Vec;

use crate::codec::{FIXED, Reader, Times, put_fixed, put_varint, varint_len};
use crate::entries::Entries;
use crate::{Causality, Dot, Error, Limits, Timestamp};

/// Per actor the newest time that has been seen; an absent actor has [`Timestamp::MIN`], nothing.
///
/// A context covers *every* dot of an actor up to that time. It may say so much in so few bytes because of the prefix
/// rule (see [`Siblings`](crate::Siblings)): who holds a dot has absorbed all earlier dots of its actor.
///
/// ```
/// use kvorum_vclock::{Context, Dot, Timestamp};
///
/// let t = |millis| Timestamp::from_parts(millis, 0);
/// let seen = Context::from_iter([("a", t(5)), ("b", t(2))]);
/// assert!(seen.covers(&Dot { actor: "a", time: t(4) }));
/// assert!(!seen.covers(&Dot { actor: "b", time: t(3) }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Context<A> {
    entries: Entries<A, Timestamp>,
}

impl<A> Context<A> {
    /// The context of a reader who has seen nothing: a write with it replaces nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Entries::new() }
    }

    /// How many actors have an entry.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing has been seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries in ascending order of actors; no time is [`Timestamp::MIN`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&A, Timestamp)> + DoubleEndedIterator + Clone {
        self.entries.iter()
    }
}

impl<A: Ord> Context<A> {
    /// The newest time of the actor that is covered, [`Timestamp::MIN`] if none. O(log n).
    #[must_use]
    pub fn get(&self, actor: &A) -> Timestamp {
        self.entries.get(actor)
    }

    /// Whether the dot has been seen. O(log n).
    #[must_use]
    pub fn covers(&self, dot: &Dot<A>) -> bool {
        dot.time <= self.get(&dot.actor)
    }

    /// Adds what the other context has seen. Commutative, associative and idempotent. O(n + m), in place, and without any
    /// allocation when the other context has no actor that is new here.
    pub fn merge(&mut self, other: &Self)
    where
        A: Clone,
    {
        self.entries.merge(&other.entries);
    }

    /// Whose reader has seen more: [`Causality::Before`] says that all that this one covers, the other covers too. One walk,
    /// O(n + m).
    #[must_use]
    pub fn compare(&self, other: &Self) -> Causality {
        self.entries.compare(&other.entries)
    }

    /// The newest time of all, [`Timestamp::MIN`] if nothing has been seen. A write minted above it
    /// ([`Hlc::mint_above`](crate::Hlc::mint_above)) has a timestamp that respects causality. O(n).
    #[must_use]
    pub fn newest(&self) -> Timestamp {
        self.iter().map(|(_, time)| time).max().unwrap_or_default()
    }

    /// Drops the oldest entries, by (time, actor), until at most `keep` are left; returns how many. O(n log n).
    ///
    /// This keeps contexts bounded whatever happens (Dynamo, section 4.4) at a price: a write with the pruned context
    /// may leave an overwritten version standing as a sibling. It never loses a write: the context covers less, so the
    /// write replaces less.
    ///
    /// There is no harmless way to drop entries *because they are old*, not even those at or below a stable time: the
    /// version that the entry covers may be alive everywhere, and would then stand beside the write that was to replace
    /// it. What is harmless to forget, [`Siblings::forget`](crate::Siblings::forget) drops from the record, and the
    /// context of that record does not have it either.
    pub fn prune(&mut self, keep: usize) -> usize {
        self.entries.prune(keep, |_, time| time)
    }
}

impl<A> Default for Context<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Ord> Extend<(A, Timestamp)> for Context<A> {
    /// Adds entries in any order; an actor keeps its largest time, and [`Timestamp::MIN`] adds nothing.
    fn extend<I: IntoIterator<Item = (A, Timestamp)>>(&mut self, entries: I) {
        for (actor, time) in entries {
            self.entries.raise(actor, time);
        }
    }
}

impl<A: Ord> FromIterator<(A, Timestamp)> for Context<A> {
    /// Collects entries in any order; an actor keeps its largest time, and [`Timestamp::MIN`] adds nothing.
    fn from_iter<I: IntoIterator<Item = (A, Timestamp)>>(entries: I) -> Self {
        Self { entries: Entries::collect(entries) }
    }
}

impl<A: Ord> Context<A> {
    /// From entries that ascend by actor and whose times are not [`Timestamp::MIN`].
    pub(crate) fn from_canonical(entries: Vec<(A, Timestamp)>) -> Self {
        Self { entries: Entries::from_canonical(entries) }
    }
}

impl Context<u64> {
    /// Appends the canonical encoding. Equal contexts have equal bytes. O(n).
    ///
    /// The number of entries (a LEB128 varint); unless that is 0, the newest time (8 bytes, big-endian) and then for each
    /// entry, ascending by actor, the actor (8 bytes, big-endian) and by how much its time is below the newest (a varint).
    /// Three random actors whose times lie within an hour take at most 46 bytes, within a year 50.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let newest = self.newest();
        let times = Times::up_to(newest);
        out.reserve(self.encoded_len_up_to(&times));
        put_varint(out, self.len() as u64);
        if self.is_empty() {
            return;
        }
        put_fixed(out, newest.to_bits());
        for (actor, time) in self.iter() {
            put_fixed(out, *actor);
            put_varint(out, times.difference(time));
        }
    }

    /// How many bytes [`Context::encode`] appends, without encoding. O(n).
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded_len_up_to(&Times::up_to(self.newest()))
    }

    fn encoded_len_up_to(&self, times: &Times) -> usize {
        let newest = if self.is_empty() { 0 } else { FIXED };
        let entries = self.iter().map(|(_, time)| FIXED + varint_len(times.difference(time)));
        varint_len(self.len() as u64) + newest + entries.sum::<usize>()
    }

    /// Reads what [`Context::encode`] wrote. All of `input` must be used. O(n), and never allocates more than twice the
    /// input's length.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but a canonical encoding.
    pub fn decode(input: &[u8]) -> Result<Self, Error> {
        Self::decode_within(input, Limits::NONE)
    }

    /// The same with limits.
    ///
    /// # Errors
    ///
    /// Those of [`Context::decode`], and [`Error::LimitExceeded`].
    pub fn decode_within(input: &[u8], limits: Limits) -> Result<Self, Error> {
        Reader::whole(input, limits, Reader::reached_times).map(Self::from_canonical)
    }
}

#[cfg(test)]
mod tests;
