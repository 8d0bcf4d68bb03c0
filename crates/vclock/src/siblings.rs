//! Owns the concurrent values of one key and what they have replaced. Deliberately does not mint dots, and does not
//! know what a value is: a tombstone is a value here.

use alloc::vec::Vec;
use core::mem;

use self::entry::Entry;
use crate::join::outer_join;
use crate::prune::oldest;
use crate::{Context, Dot, Error, Timestamp};

mod encoding;
mod entry;

/// A dotted version vector set: the values that are still alive, each under the dot of its write, and per actor a
/// *discard* timestamp, at and below which every dot of that actor is gone.
///
/// From Preguiça, Baquero, Almeida, Fonte and Gonçalves, "Efficient Causality Tracking in Distributed Storage Systems With
/// Dotted Version Vectors" (PODC 2012), in the set form of Riak's `dvvset` (Almeida et al., DAIS 2014). There an actor's
/// dots are consecutive counters; here they are timestamps with gaps, so the discard is kept explicitly, and **only a
/// context raises it**: minting a dot says nothing about the actor's earlier ones, which stay as siblings.
///
/// # The prefix rule
///
/// A record that holds a dot of an actor must have absorbed every earlier dot of that actor on the key; contexts rely on
/// it. It holds if whole records are merged and an actor writes only to the record that has all its earlier writes. So a
/// writer that may have lost a write of its own (it restarted, its disk failed, it takes the key over) must go on as a
/// *new* actor. Otherwise a reader of its next write would, by that write's context, erase one that nobody ever saw.
///
/// # Laws
///
/// [`Siblings::merge`] is commutative, associative and idempotent, provided that a dot is one event: equal dots have equal
/// values. Equal records compare equal and have equal encodings.
///
/// ```
/// use kvorum_vclock::{Context, Dot, Siblings, Timestamp};
///
/// let dot = |actor, millis| Dot { actor, time: Timestamp::from_parts(millis, 0) };
/// let mut x = Siblings::new();
/// let mut y = Siblings::new();
/// x.put(&Context::new(), dot("x", 1), "red")?;
/// y.put(&Context::new(), dot("y", 2), "blue")?; // has not seen "red"
///
/// x.merge(&y);
/// assert_eq!(x.len(), 2); // a conflict: both are handed to the reader, with a context
///
/// x.put(&x.context(), dot("x", 3), "purple")?; // a write with that context replaces what it covers
/// assert_eq!(x.values().map(|(_, value)| *value).collect::<Vec<_>>(), ["purple"]);
/// # Ok::<(), kvorum_vclock::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Siblings<A, V> {
    /// Strictly ascending by actor; no entry is vacant.
    entries: Vec<Entry<A, V>>,
}

impl<A, V> Siblings<A, V> {
    /// The record of a key that was never written.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// How many values are alive; more than one is a conflict. O(actors).
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.iter().map(|entry| entry.live.len()).sum()
    }

    /// Whether no value is alive. Such a record may still know what was discarded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.live.is_empty())
    }

    /// The actors with a discard timestamp, ascending by actor; no time is [`Timestamp::MIN`].
    pub fn discards(&self) -> impl Iterator<Item = (&A, Timestamp)> + Clone {
        self.entries.iter().filter(|entry| entry.discard > Timestamp::MIN).map(|entry| (&entry.actor, entry.discard))
    }
}

impl<A: Ord + Clone, V> Siblings<A, V> {
    /// The live values with their dots, ascending by actor, then time.
    pub fn values(&self) -> impl Iterator<Item = (Dot<A>, &V)> + Clone {
        self.entries.iter().flat_map(|entry| {
            entry.live.iter().map(|(time, value)| (Dot { time: *time, actor: entry.actor.clone() }, value))
        })
    }

    /// The live value with the greatest dot by (time, actor): the last-writer-wins view. O(actors).
    #[must_use]
    pub fn newest(&self) -> Option<(Dot<A>, &V)> {
        let (entry, (time, value)) = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry, entry.live.last()?)))
            .max_by_key(|(entry, (time, _))| (*time, &entry.actor))?;
        Some((Dot { time: *time, actor: entry.actor.clone() }, value))
    }

    /// Everything this record has seen: per actor the larger of its discard and its newest live dot. O(actors).
    #[must_use]
    pub fn context(&self) -> Context<A> {
        self.entries.iter().map(|entry| (entry.actor.clone(), entry.reached())).collect()
    }

    /// Writes a value: discards what `context` covers, then adds `value` under `dot`. A value the writer has not seen
    /// stays as a sibling, whoever wrote it. O(actors + context + siblings).
    ///
    /// # Errors
    ///
    /// [`Error::DotCovered`] if this record or the context has already reached `dot.time` for the dot's actor: the dot
    /// would be dead on arrival or out of order. The record is unchanged then.
    pub fn put(&mut self, context: &Context<A>, dot: Dot<A>, value: V) -> Result<(), Error> {
        let reached = self.position(&dot.actor).map_or(Timestamp::MIN, |found| self.entries[found].reached());
        let covered = reached.max(context.get(&dot.actor));
        if dot.time <= covered {
            return Err(Error::DotCovered { time: dot.time, covered });
        }
        self.discard(context);
        let place = self.position(&dot.actor).unwrap_or_else(|free| {
            self.entries.insert(free, Entry::vacant(dot.actor));
            free
        });
        self.entries[place].live.push((dot.time, value));
        debug_assert!(self.is_canonical(), "a dot above all that is covered goes last");
        Ok(())
    }

    /// Adds what the other record knows: the larger discard of each actor and the union of the dots above it.
    /// O(n + m) in entries and dots; clones the values that are new here.
    ///
    /// Of two values under one dot this record's own is kept: a dot is one event, so they are equal.
    pub fn merge(&mut self, other: &Self)
    where
        V: Clone,
    {
        let mine = mem::take(&mut self.entries);
        self.entries = outer_join(mine, &other.entries, |left, right| left.actor.cmp(&right.actor))
            .filter_map(|pair| match pair {
                (Some(left), Some(right)) => Some(left.merged(right)),
                (left, right) => left.or_else(|| right.cloned()),
            })
            .collect();
        debug_assert!(self.is_canonical(), "merging keeps entries and dots sorted and unique");
    }

    /// The same record with every value replaced by what `convert` makes of it, for example to decode or encode values
    /// that are not bytes. Stops at the first error and returns it.
    ///
    /// # Errors
    ///
    /// Whatever `convert` returns.
    pub fn try_map<W, E>(&self, mut convert: impl FnMut(Dot<A>, &V) -> Result<W, E>) -> Result<Siblings<A, W>, E> {
        let mut entries = Vec::with_capacity(self.entries.len());
        for Entry { actor, discard, live } in &self.entries {
            let mut converted = Vec::with_capacity(live.len());
            for (time, value) in live {
                converted.push((*time, convert(Dot { time: *time, actor: actor.clone() }, value)?));
            }
            entries.push(Entry { actor: actor.clone(), discard: *discard, live: converted });
        }
        Ok(Siblings { entries })
    }

    /// Forgets what no longer matters at or below `stable`, a time up to which every replica is known to have exchanged
    /// everything (causal stability): the discards there, and the live dots there for which `is_absent` holds, such as
    /// tombstones. Returns how many discards and dots went. O(n).
    ///
    /// Forgetting above a stable time would let discarded values return from a replica that still has them.
    pub fn forget(&mut self, stable: Timestamp, mut is_absent: impl FnMut(Dot<A>, &V) -> bool) -> usize {
        let mut forgotten = 0;
        for Entry { actor, discard, live } in &mut self.entries {
            if *discard > Timestamp::MIN && *discard <= stable {
                *discard = Timestamp::MIN;
                forgotten += 1;
            }
            let before = live.len();
            live.retain(|(time, value)| *time > stable || !is_absent(Dot { time: *time, actor: actor.clone() }, value));
            forgotten += before - live.len();
        }
        self.entries.retain(|entry| !entry.is_vacant());
        forgotten
    }

    /// Drops the oldest discards, by (time, actor), until at most `keep` are left; returns how many went. Never drops a
    /// live value. O(n log n).
    ///
    /// This bounds a record whatever happens (Dynamo, section 4.4) at a price: an overwritten value may return from a
    /// replica that still has it, as a sibling.
    pub fn prune(&mut self, keep: usize) -> usize {
        let holders: Vec<usize> =
            (0..self.entries.len()).filter(|place| self.entries[*place].discard > Timestamp::MIN).collect();
        let doomed = oldest(holders.iter().map(|place| self.entries[*place].discard), keep);
        for holder in &doomed {
            self.entries[holders[*holder]].discard = Timestamp::MIN;
        }
        self.entries.retain(|entry| !entry.is_vacant());
        doomed.len()
    }

    /// Raises the discards to the context and drops the dots it covers.
    fn discard(&mut self, context: &Context<A>) {
        let mine = mem::take(&mut self.entries);
        self.entries = outer_join(mine, context.iter(), |entry, (actor, _)| entry.actor.cmp(actor))
            .filter_map(|pair| match pair {
                (entry, None) => entry,
                (entry, Some((actor, time))) => {
                    let mut entry = entry.unwrap_or_else(|| Entry::vacant(actor.clone()));
                    entry.raise_discard(time);
                    Some(entry)
                }
            })
            .collect();
    }

    fn position(&self, actor: &A) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.actor.cmp(actor))
    }

    fn is_canonical(&self) -> bool {
        self.entries.is_sorted_by(|left, right| left.actor < right.actor)
            && self.entries.iter().all(|entry| {
                !entry.is_vacant()
                    && entry.live.is_sorted_by(|left, right| left.0 < right.0)
                    && entry.live.first().is_none_or(|(time, _)| *time > entry.discard)
            })
    }
}

impl<A, V> Default for Siblings<A, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
