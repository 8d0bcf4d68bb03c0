//! Owns the classic vector clock: per actor a counter of its events. Does not own values or siblings: see `Siblings`,
//! which needs no counter per write and suits a store better.

use alloc::vec::Vec;
use core::fmt;

use crate::codec::{FIXED, Reader, put_fixed, put_varint, varint_len};
use crate::entries::Entries;
use crate::{Causality, Error, Limits};

/// A vector clock: how many events of each actor a version has seen. An absent actor counts 0.
///
/// From DeCandia et al., "Dynamo: Amazon's Highly Available Key-value Store" (SOSP 2007), section 4.4. It is shown as there:
/// `([Sx,2],[Sy,1])`.
///
/// As the clock of a stored value it has two known faults when the actors are servers, each of which writes for many clients.
/// With one clock for all siblings of a key, interleaved writes never replace each other (*sibling explosion*); with a clock
/// for each sibling, the second of two concurrent writes through one server looks like a descendant of the first, and erases
/// it. [`Siblings`](crate::Siblings) has neither, see Almeida et al. (DAIS 2014). A vector clock whose actors are the writers
/// themselves is exact, and grows with their number.
///
/// ```
/// use kvorum_vclock::{Causality, VClock};
///
/// let mut one = VClock::new();
/// one.increment("x")?;
/// let mut other = one.clone();
/// one.increment("y")?;
/// assert_eq!(other.compare(&one), Causality::Before);
/// other.increment("z")?;
/// assert_eq!(other.compare(&one), Causality::Concurrent);
/// # Ok::<(), kvorum_vclock::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VClock<A> {
    entries: Entries<A, u64>,
}

impl<A> VClock<A> {
    /// The clock that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Entries::new() }
    }

    /// How many actors have been seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing has been seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries in ascending order of actors; no counter is 0.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&A, u64)> + DoubleEndedIterator + Clone {
        self.entries.iter()
    }
}

impl<A: Ord> VClock<A> {
    /// The actor's counter, 0 if it has not been seen. O(log n).
    #[must_use]
    pub fn get(&self, actor: &A) -> u64 {
        self.entries.get(actor)
    }

    /// Records a new event of the actor and returns its counter, 1 for the first. O(log n), O(n) for a new actor.
    ///
    /// # Errors
    ///
    /// [`Error::Overflow`] if the counter is at `u64::MAX`, which takes a forged clock.
    pub fn increment(&mut self, actor: A) -> Result<u64, Error> {
        let next = self.get(&actor).checked_add(1).ok_or(Error::Overflow)?;
        self.entries.raise(actor, next);
        Ok(next)
    }

    /// Takes note of the first `counter` events of the actor. Never lowers; 0 adds nothing.
    pub fn observe(&mut self, actor: A, counter: u64) {
        self.entries.raise(actor, counter);
    }

    /// Adds what the other clock has seen: the larger counter of each actor. Commutative, associative and idempotent.
    /// O(n + m), in place, and without any allocation when the other clock has no actor that is new here.
    pub fn merge(&mut self, other: &Self)
    where
        A: Clone,
    {
        self.entries.merge(&other.entries);
    }

    /// How this clock relates to the other: [`Causality::Before`] says that this one is an ancestor. One walk, O(n + m).
    #[must_use]
    pub fn compare(&self, other: &Self) -> Causality {
        self.entries.compare(&other.entries)
    }

    /// Drops entries until at most `keep` are left, those with the smallest `age` first and among equals those with the
    /// smallest actor, so equal clocks are pruned equally; returns how many went. O(n log n).
    ///
    /// Dynamo (section 4.4) uses the time at which the actor last updated the item as the key. A pruned clock has
    /// forgotten part of its past, so a descendant may look concurrent with its ancestors. Prune right after an increment,
    /// with the incremented actor youngest and `keep` at least 1: then it never looks *older* than an ancestor, and no
    /// update is taken for a stale one.
    pub fn prune<K: Ord>(&mut self, keep: usize, age: impl FnMut(&A, u64) -> K) -> usize {
        self.entries.prune(keep, age)
    }
}

impl<A> Default for VClock<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Ord> FromIterator<(A, u64)> for VClock<A> {
    /// Collects entries in any order; an actor keeps its largest counter, and 0 adds nothing.
    fn from_iter<I: IntoIterator<Item = (A, u64)>>(entries: I) -> Self {
        Self { entries: Entries::collect(entries) }
    }
}

impl<A: fmt::Display> fmt::Display for VClock<A> {
    /// As in figure 3 of the Dynamo paper, ascending by actor: `([Sx,2],[Sy,1])`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (place, (actor, counter)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}[{actor},{counter}]")?;
        }
        f.write_str(")")
    }
}

impl VClock<u64> {
    /// Appends the canonical encoding: the number of entries (a LEB128 varint), then for each, ascending by actor, the actor
    /// (8 bytes, big-endian) and its counter (a varint). Equal clocks have equal bytes. O(n).
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_varint(out, self.len() as u64);
        for (actor, counter) in self.iter() {
            put_fixed(out, *actor);
            put_varint(out, counter);
        }
    }

    /// How many bytes [`VClock::encode`] appends, without encoding. O(n).
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        varint_len(self.len() as u64) + self.iter().map(|(_, counter)| FIXED + varint_len(counter)).sum::<usize>()
    }

    /// Reads what [`VClock::encode`] wrote. All of `input` must be used. O(n), and never allocates more than twice the
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
    /// Those of [`VClock::decode`], and [`Error::LimitExceeded`].
    pub fn decode_within(input: &[u8], limits: Limits) -> Result<Self, Error> {
        let entries = Reader::whole(input, limits, Reader::counters)?;
        Ok(Self { entries: Entries::from_canonical(entries) })
    }
}

#[cfg(test)]
mod tests;
