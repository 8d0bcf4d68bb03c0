//! Owns the concurrent values of one key and what they have replaced. Deliberately does not mint dots, and does not
//! know what a value is: a tombstone is a value here.

use alloc::vec::Vec;

use self::entry::Entry;
use crate::join::{compare_sorted, merge_into};
use crate::{Causality, Context, Dot, Error, Timestamp};

mod cursor;
mod encoding;
mod entry;
mod forgetting;
mod view;

pub use view::SiblingsView;

/// A dotted version vector set: the values that are still alive, each under the dot of its write, and per actor a
/// *discard* timestamp, at and below which every dot of that actor is gone.
///
/// From Preguiça, Baquero, Almeida, Fonte and Gonçalves, "Efficient Causality Tracking in Distributed Storage Systems With
/// Dotted Version Vectors" (PODC 2012, a brief announcement), in the set form of Almeida, Baquero, Gonçalves, Preguiça and
/// Fonte, "Scalable and Accurate Causality Tracking for Eventually Consistent Stores" (DAIS 2014), which Riak's `dvvset`
/// implements. There an actor's dots are consecutive counters; here they are timestamps with gaps, so the discard is kept
/// explicitly, and **only a context raises it**: minting a dot says nothing about the actor's earlier ones, which stay as
/// siblings.
///
/// # The prefix rule
///
/// A record that holds a dot of an actor must have absorbed every earlier dot of that actor on the key; contexts rely on
/// it. It holds if whole records are merged and an actor writes only to the record that has all its earlier writes. So a
/// writer that may have lost a write of its own (it restarted, its disk failed, it takes the key over) must go on as a
/// *new* actor. Otherwise a reader of its next write would, by that write's context, erase one that nobody ever saw. Riak
/// lost data so (issue 679 of `riak_kv`), and answers with an epoch in the actor's name.
///
/// Times that are never used twice matter as well: a key that was deleted, forgotten and written again would otherwise give
/// its new value a dot that an old tombstone, held by a replica that was away, discards. [`Hlc`](crate::Hlc) sees to that.
///
/// # Laws
///
/// [`Siblings::merge`] is commutative, associative and idempotent, provided that a dot is one event: equal dots have equal
/// values. [`Siblings::compare`] is the order of merging. Equal records compare equal and have equal encodings.
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

    /// The value under this dot, if it is alive. O(log actors + log dots).
    #[must_use]
    pub fn get(&self, dot: &Dot<A>) -> Option<&V> {
        let live = &self.entries[self.position(&dot.actor).ok()?].live;
        let place = live.binary_search_by(|(time, _)| time.cmp(&dot.time)).ok()?;
        Some(&live[place].1)
    }

    /// Whether this record has absorbed the dot: it is alive here, or gone. O(log actors).
    #[must_use]
    pub fn covers(&self, dot: &Dot<A>) -> bool {
        self.position(&dot.actor).is_ok_and(|found| dot.time <= self.entries[found].reached())
    }

    /// Everything this record has seen: per actor the larger of its discard and its newest live dot. O(actors).
    #[must_use]
    pub fn context(&self) -> Context<A> {
        Context::from_canonical(self.entries.iter().map(|entry| (entry.actor.clone(), entry.reached())).collect())
    }

    /// Writes a value: discards what `context` covers, then adds `value` under `dot`. A value the writer has not seen
    /// stays as a sibling, whoever wrote it. O(actors + context + siblings).
    ///
    /// A context may cover what has not arrived here yet: it is discarded when it arrives.
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
    /// O(n + m) in entries and dots, in place; clones the values that are new here, and allocates only for what is new.
    ///
    /// Of two values under one dot this record's own is kept: a dot is one event, so they are equal.
    pub fn merge(&mut self, other: &Self)
    where
        V: Clone,
    {
        merge_into(
            &mut self.entries,
            &other.entries,
            |held, new| held.actor.cmp(&new.actor),
            Entry::absorb,
            Clone::clone,
            |left, right| left.actor.cmp(&right.actor),
        );
        debug_assert!(self.is_canonical(), "merging keeps entries and dots sorted and unique");
    }

    /// Which of two copies of a record knows more, for read repair: [`Causality::Before`] says that this copy is strictly
    /// behind, so that merging the other into it gives exactly the other. One walk, O(n + m) in entries and dots.
    ///
    /// This is the order of [`Siblings::merge`]: `a` is before or equal to `b` if and only if `a` merged with `b` is `b`.
    /// Values are not looked at: a dot is one event. Of two copies that show the same values, one can be behind, since it
    /// has yet to learn what was discarded; copies that have forgotten differently compare unequal too, so forget the same
    /// on both sides first.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Causality {
        compare_sorted(
            &self.entries,
            &other.entries,
            |left, right| left.actor.cmp(&right.actor),
            |left, right| (left.ahead_of(right), right.ahead_of(left)),
        )
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

    /// Raises the discards to the context and drops the dots it covers.
    fn discard(&mut self, context: &Context<A>) {
        merge_into(
            &mut self.entries,
            context.iter(),
            |entry, (actor, _)| entry.actor.cmp(actor),
            |entry, (_, time)| entry.raise_discard(time),
            |(actor, time)| Entry { discard: time, ..Entry::vacant(actor.clone()) },
            |left, right| left.actor.cmp(&right.actor),
        );
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
