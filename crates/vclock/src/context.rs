//! Owns what a reader has seen of a record: the causal past that its next write replaces. Does not own the record:
//! see `Siblings`.

use alloc::vec::Vec;

use crate::codec::{Reader, put_varint};
use crate::entries::Entries;
use crate::{Dot, Error, Timestamp};

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

    /// Adds what the other context has seen. O(n + m).
    pub fn merge(&mut self, other: &Self)
    where
        A: Clone,
    {
        self.entries.merge(&other.entries);
    }

    /// Drops the entries at or below `stable`, a time up to which every replica is known to hold the same; returns how
    /// many. Harmless then: what they cover is covered everywhere already. O(n).
    pub fn forget(&mut self, stable: Timestamp) -> usize {
        self.entries.retain(|_, time| time > stable)
    }

    /// Drops the oldest entries, by (time, actor), until at most `keep` are left; returns how many. O(n log n).
    ///
    /// This keeps contexts bounded whatever happens (Dynamo, section 4.4) at a price: a write with the pruned context
    /// may leave an overwritten version standing as a sibling. It never loses a write.
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
        let mut context = Self::new();
        context.extend(entries);
        context
    }
}

impl Context<u64> {
    /// Appends the canonical encoding: the number of entries, then actor and time of each, ascending by actor, all as
    /// LEB128 varints. Equal contexts have equal bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        for (actor, time) in self.iter() {
            put_varint(out, *actor);
            put_varint(out, time.to_bits());
        }
    }

    /// Reads what [`Context::encode`] wrote. All of `input` must be used. O(n), and never allocates more than a small
    /// multiple of the input's length.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but a canonical encoding.
    pub fn decode(input: &[u8]) -> Result<Self, Error> {
        let entries = Reader::whole(input, Reader::clock_entries)?;
        Ok(Self {
            entries: Entries::from_canonical(
                entries.into_iter().map(|(actor, bits)| (actor, Timestamp::from_bits(bits))).collect(),
            ),
        })
    }
}

#[cfg(test)]
mod tests;
