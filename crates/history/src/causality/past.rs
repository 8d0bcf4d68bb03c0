//! What each write of a key knew of, and what is known of it. It keeps direct edges alone, and two facts per write
//! that spread along them; pasts are never written out, so memory is linear in the history.

use std::collections::BTreeMap;

use crate::contradiction::{Read, absent_from};
use crate::{Action, History, Moment, OpId, Operation};

/// A write of the key.
pub(super) struct Write<'a, K> {
    pub(super) operation: &'a Operation<K>,
    /// Its completion, if it was acknowledged.
    pub(super) acknowledged: Option<Moment>,
    /// The first acknowledgement of a write with this one in its past, and the place of that write.
    pub(super) replaced: Option<(Moment, usize)>,
    /// From when on it may be missing, because it is a tombstone or in the past of one.
    pub(super) absent_from: Option<Moment>,
    /// The places of what the context of this write had seen: smaller than its own.
    parents: Vec<usize>,
}

/// The writes of a key. Each has a *place* in the order of invocations; those invoked in the same moment are in the
/// order of their numbers. The past of a write is in places before its own: a context that claims to know a later
/// write knows what was not written yet, which is the fault of the read that returned it.
pub(super) struct Pasts<'a, K> {
    writes: Vec<Write<'a, K>>,
    /// The places of the puts: what a read can return.
    puts: BTreeMap<OpId, usize>,
}

impl<'a, K: Eq> Pasts<'a, K> {
    /// O(n log n).
    pub(super) fn new(history: &'a History<K>, operations: &[&'a Operation<K>]) -> Self {
        let mut ordered: Vec<_> = operations.iter().copied().filter(|operation| operation.is_write()).collect();
        ordered.sort_by_key(|write| (write.invoked, write.id));
        let puts = ordered.iter().enumerate().filter(|(_, write)| matches!(write.action, Action::Put { .. }));
        let puts = puts.map(|(place, put)| (put.id, place)).collect();
        let mut pasts = Self { writes: Vec::with_capacity(ordered.len()), puts };
        for (place, operation) in ordered.into_iter().enumerate() {
            let context = operation.context.and_then(|read| Read::of(history.get(read)?)?.seen).unwrap_or_default();
            let known = context.iter().filter_map(|id| pasts.place_of(*id));
            let parents = known.filter(|parent| *parent < place).collect();
            let acknowledged = operation.completed.filter(|_| operation.is_acknowledged());
            let absent_from = absent_from(operation);
            pasts.writes.push(Write { operation, acknowledged, replaced: None, absent_from, parents });
        }
        pasts.spread();
        pasts
    }

    /// Tells each write what follows from those that know of it, the last first: all of them have later places.
    fn spread(&mut self) {
        for place in (0..self.writes.len()).rev() {
            let (before, this) = self.writes.split_at_mut(place);
            let Write { acknowledged, replaced, absent_from, parents, .. } = &this[0];
            let replaced = first(acknowledged.map(|completed| (completed, place)), *replaced);
            for parent in parents {
                let parent = &mut before[*parent];
                parent.replaced = first(parent.replaced, replaced);
                parent.absent_from = first(parent.absent_from, *absent_from);
            }
        }
    }
}

impl<'a, K> Pasts<'a, K> {
    /// The place of a put of this key.
    pub(super) fn place_of(&self, put: OpId) -> Option<usize> {
        self.puts.get(&put).copied()
    }

    pub(super) fn get(&self, place: usize) -> &Write<'a, K> {
        &self.writes[place]
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = (usize, &Write<'a, K>)> {
        self.writes.iter().enumerate()
    }
}

/// The smaller of two that may not be.
fn first<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl<K> Write<'_, K> {
    /// Whether it was acknowledged before a read that was invoked at `invoked`.
    pub(super) fn is_acknowledged_before(&self, invoked: Moment) -> bool {
        self.acknowledged.is_some_and(|completed| completed < invoked)
    }

    /// A write that replaced it and was acknowledged before a read that was invoked at `invoked`.
    pub(super) fn replaced_before(&self, invoked: Moment) -> Option<usize> {
        self.replaced.and_then(|(completed, by)| (completed < invoked).then_some(by))
    }

    /// Whether it may be missing at that moment.
    pub(super) fn may_be_absent(&self, now: Moment) -> bool {
        self.absent_from.is_some_and(|from| from <= now)
    }
}

/// A search of the pasts of some writes, as far as those tell more than [`Write::replaced`] does: it does not look
/// behind a write that was acknowledged before the read, because everything there is replaced. Its room is used again.
pub(super) struct Search {
    /// For each place, the last search that reached it, and from which write.
    reached: Vec<(u64, usize)>,
    search: u64,
    stack: Vec<usize>,
}

impl Search {
    pub(super) fn new<K>(pasts: &Pasts<'_, K>) -> Self {
        Self { reached: vec![(0, 0); pasts.writes.len()], search: 0, stack: Vec::new() }
    }

    /// Searches the pasts of the writes at `from`, down to the place `lowest`, for a read invoked at `invoked`. Linear
    /// in the edges between the open and concurrent writes above `lowest`.
    pub(super) fn run<K>(&mut self, pasts: &Pasts<'_, K>, from: &[usize], lowest: usize, invoked: Moment) {
        self.search += 1;
        for origin in from {
            self.stack.push(*origin);
            while let Some(place) = self.stack.pop() {
                let write = pasts.get(place);
                if place <= lowest || write.is_acknowledged_before(invoked) {
                    continue;
                }
                for parent in &write.parents {
                    if self.reached[*parent].0 != self.search {
                        self.reached[*parent] = (self.search, *origin);
                        self.stack.push(*parent);
                    }
                }
            }
        }
    }

    /// From which write the last search reached a place.
    pub(super) fn origin(&self, place: usize) -> Option<usize> {
        let (search, origin) = self.reached[place];
        (search == self.search).then_some(origin)
    }
}
