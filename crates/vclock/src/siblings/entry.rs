//! Owns what a record knows of one actor's writes. Does not own the order of actors: see `Siblings`.

use alloc::vec::Vec;

use crate::Timestamp;
use crate::join::merge_into;

/// What is known of one actor's writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry<A, V> {
    pub(super) actor: A,
    /// Dots at or below it are gone; [`Timestamp::MIN`] if none is.
    pub(super) discard: Timestamp,
    /// Strictly ascending by time, all above the discard.
    pub(super) live: Vec<(Timestamp, V)>,
}

impl<A, V> Entry<A, V> {
    /// An entry that says nothing yet.
    pub(super) const fn vacant(actor: A) -> Self {
        Self { actor, discard: Timestamp::MIN, live: Vec::new() }
    }

    pub(super) fn is_vacant(&self) -> bool {
        self.discard == Timestamp::MIN && self.live.is_empty()
    }

    /// The newest time of the actor that the record has seen.
    pub(super) fn reached(&self) -> Timestamp {
        self.live.last().map_or(self.discard, |(time, _)| *time)
    }

    pub(super) fn raise_discard(&mut self, time: Timestamp) {
        if time > self.discard {
            self.discard = time;
            let gone = self.live.partition_point(|(live, _)| *live <= time);
            self.live.drain(..gone);
        }
    }

    /// Adds what the other entry, of the same actor, knows: the larger discard, and the union of the dots above it.
    pub(super) fn absorb(&mut self, other: &Self)
    where
        V: Clone,
    {
        self.raise_discard(other.discard);
        let discard = self.discard;
        merge_into(
            &mut self.live,
            other.live.iter().filter(|(time, _)| *time > discard),
            |held, new| held.0.cmp(&new.0),
            |_, _| {},
            Clone::clone,
            |left, right| left.0.cmp(&right.0),
        );
    }

    /// Whether this entry knows something that the other does not: a later discard, or a dot above the other's discard
    /// that the other does not hold.
    pub(super) fn ahead_of(&self, other: &Self) -> bool {
        let is_news = |time: &Timestamp| {
            *time > other.discard && other.live.binary_search_by(|(held, _)| held.cmp(time)).is_err()
        };
        self.discard > other.discard || self.live.iter().any(|(time, _)| is_news(time))
    }
}
