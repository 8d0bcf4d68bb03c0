//! Owns what a record knows of one actor's writes. Does not own the order of actors: see `Siblings`.

use alloc::vec::Vec;

use crate::Timestamp;
use crate::join::outer_join;

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
        self.discard = self.discard.max(time);
        let gone = self.live.partition_point(|(time, _)| *time <= self.discard);
        self.live.drain(..gone);
    }

    pub(super) fn merged(self, other: &Self) -> Self
    where
        V: Clone,
    {
        let discard = self.discard.max(other.discard);
        let live = outer_join(self.live, &other.live, |left, right| left.0.cmp(&right.0))
            .filter(|(left, right)| {
                let time = left.as_ref().or(*right).map(|(time, _)| *time);
                time > Some(discard)
            })
            .filter_map(|(left, right)| left.or_else(|| right.cloned()))
            .collect();
        Self { actor: self.actor, discard, live }
    }
}
