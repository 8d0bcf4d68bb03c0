//! An index over the writes of one key: which acknowledged write supersedes another, or everything that could have
//! made the key absent. It knows nothing of what reads returned.
//!
//! A write `x` *supersedes* `w` if both have a version and that of `x` is larger; or else if `w` was acknowledged
//! before `x` was invoked. Open writes are never superseded, unless the read tells as which version it saw them. In
//! [`Order::RealTime`] no version counts.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::absent_from;
use crate::durability::Order;
use crate::{Moment, Operation, Outcome, Version};

/// The writes of one key, swept in the order of the reads' invocations.
pub(super) struct Writes<'a, K> {
    order: Order,
    /// What was acknowledged, by completion, the last first, without what is in `frontier` already.
    acknowledged: Vec<(Moment, &'a Operation<K>)>,
    /// The acknowledged writes that completed before the current read began.
    frontier: Frontier<'a, K>,
    /// From when on what may have made the key absent, in the order of time: the rank of all such writes up to then.
    absence: Vec<(Moment, Option<Rank>)>,
}

impl<'a, K> Writes<'a, K> {
    /// O(n log n).
    pub(super) fn new(operations: &[&'a Operation<K>], order: Order) -> Self {
        let completion = |write: &&'a Operation<K>| write.completed.filter(|_| write.is_acknowledged());
        let writes = || operations.iter().copied().filter(|operation| operation.is_write());
        let mut acknowledged: Vec<_> = writes().filter_map(|write| Some((completion(&write)?, write))).collect();
        acknowledged.sort_by_key(|(completed, write)| (*completed, write.id));
        acknowledged.reverse();
        let mut absence: Vec<_> =
            writes().filter_map(|write| Some((absent_from(write)?, Rank::of(write, order)))).collect();
        absence.sort_by_key(|(from, _)| *from);
        let mut all = Some(Rank::default());
        for (_, rank) in &mut absence {
            all = all.zip(*rank).map(|(all, rank)| all.join(rank));
            *rank = all;
        }
        Self { order, acknowledged, frontier: Frontier { versioned: BTreeMap::new(), unversioned: None }, absence }
    }

    /// Turns to the reads invoked at `now`, which is not before that of an earlier call.
    pub(super) fn advance(&mut self, now: Moment) {
        while let Some((_, write)) = self.acknowledged.pop_if(|(completed, _)| *completed < now) {
            self.frontier.add(write, version(write, self.order));
        }
    }

    /// A write acknowledged before the current read that supersedes this one, which the read saw as some version.
    /// O(log n).
    pub(super) fn superseding(&self, write: &Operation<K>, saw: Option<Version>) -> Option<&'a Operation<K>> {
        let saw = saw.filter(|_| self.order == Order::Versions);
        let rank = match (Rank::of(write, self.order), saw) {
            (Some(rank), _) => Rank { version: rank.version.max(saw), ..rank },
            // What is open may come after every write whose version nobody knows.
            (None, Some(_)) => Rank { version: saw, unversioned: None, last: Some(Moment(u64::MAX)) },
            (None, None) => return None,
        };
        self.frontier.beyond(rank)
    }

    /// A write acknowledged before the current read that supersedes all that could have made the key absent until the
    /// read's completion, and the key's initial state, which is before everything. O(log n).
    pub(super) fn superseding_absence(&self, completed: Moment) -> Option<&'a Operation<K>> {
        let count = self.absence.partition_point(|(from, _)| *from <= completed);
        let rank = if count == 0 { Some(Rank::default()) } else { self.absence[count - 1].1 };
        self.frontier.beyond(rank?)
    }
}

fn version<K>(write: &Operation<K>, order: Order) -> Option<Version> {
    match (order, &write.outcome) {
        (Order::Versions, Outcome::Written { version }) => *version,
        _ => None,
    }
}

/// What a write must be beyond to supersede every one of some acknowledged writes.
#[derive(Clone, Copy, Default)]
struct Rank {
    /// The largest version.
    version: Option<Version>,
    /// The last completion of those without a version.
    unversioned: Option<Moment>,
    /// The last completion of all.
    last: Option<Moment>,
}

impl Rank {
    /// None for an open write: nothing is beyond it.
    fn of<K>(write: &Operation<K>, order: Order) -> Option<Self> {
        let last = write.completed.filter(|_| write.is_acknowledged());
        let version = version(write, order);
        last.map(|_| Self { version, unversioned: last.filter(|_| version.is_none()), last })
    }

    fn join(self, other: Self) -> Self {
        Self {
            version: self.version.max(other.version),
            unversioned: self.unversioned.max(other.unversioned),
            last: self.last.max(other.last),
        }
    }
}

/// Those of some acknowledged writes that matter: whatever one of the others supersedes, one of these does.
struct Frontier<'a, K> {
    /// By version, the later invoked the smaller the version: any other has both smaller than one of these.
    versioned: BTreeMap<Version, &'a Operation<K>>,
    /// The one invoked last of those without a version.
    unversioned: Option<&'a Operation<K>>,
}

impl<'a, K> Frontier<'a, K> {
    /// Amortised O(log n).
    fn add(&mut self, write: &'a Operation<K>, version: Option<Version>) {
        let Some(version) = version else {
            if self.unversioned.is_none_or(|last| last.invoked < write.invoked) {
                self.unversioned = Some(write);
            }
            return;
        };
        let mut above = self.versioned.range(version..);
        if above.next().is_some_and(|(_, other)| other.invoked >= write.invoked) {
            return;
        }
        let below = |(below, other): (&Version, &&Operation<K>)| (other.invoked <= write.invoked).then_some(*below);
        while let Some(below) = self.versioned.range(..=version).next_back().and_then(below) {
            self.versioned.remove(&below);
        }
        self.versioned.insert(version, write);
    }

    /// One that supersedes everything of that rank. O(log n).
    fn beyond(&self, rank: Rank) -> Option<&'a Operation<K>> {
        let floor = rank.version.map_or(Bound::Unbounded, Bound::Excluded);
        // Of those with a larger version, the first was invoked last.
        let versioned = self.versioned.range((floor, Bound::Unbounded)).next().map(|(_, write)| *write);
        let versioned = versioned.filter(|write| Some(write.invoked) > rank.unversioned);
        versioned.or_else(|| self.unversioned.filter(|write| Some(write.invoked) > rank.last))
    }
}
