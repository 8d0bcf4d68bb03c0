//! Owns the list of members: who there is, in the order of their ids, with the sum by which two lists are compared, and
//! what follows from it: who is live, and whom the rings give this node to watch.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::Codec;
use crate::member::{Incarnation, State};
use crate::message::{Delta, Digest};
use crate::random::{hash, mix};
use crate::record::Record;

/// A node knows at most so many members. What exceeds it is ignored, so that nobody can fill the memory.
pub const MAX_MEMBERS: usize = 65_536;
/// Up to so many per ring, all others are watched, so that in a small cluster everybody watches everybody.
const ALL_PER_RING: usize = 2;
/// So many that are not live are watched between this node and the live member before it, in each ring.
const MAX_LOST: usize = 16;

/// What a node knows and believes of one member. What the member says is shared, this is not: it is kept small.
#[derive(Clone, Debug)]
pub(crate) struct Slot<I, A> {
    pub(crate) record: Arc<Record<I, A>>,
    pub(crate) heartbeat: u64,
    /// Of the id.
    hash: u64,
    /// When the heartbeat last rose here, in microseconds.
    pub(crate) last_rise: u64,
    /// When the state last changed.
    pub(crate) since: u64,
    /// The counter at which it was found dead, and which it must clearly exceed to be taken for alive again.
    pub(crate) fallen_at: u64,
    pub(crate) has_fallen: bool,
    pub(crate) state: State,
    /// This node itself has waited for it in vain.
    pub(crate) stalled: bool,
}

impl<I, A> Slot<I, A> {
    /// Whether this member's testimony may count.
    fn is_absent(&self) -> bool {
        self.record.left || self.stalled || self.has_fallen
    }

    /// Neither down nor gone.
    pub(crate) fn is_counted(&self) -> bool {
        !matches!(self.state, State::Down | State::Left)
    }

    /// Its part of the sum over the list.
    fn term(&self) -> u64 {
        let Record { incarnation: Incarnation(incarnation), version, .. } = *self.record;
        mix(mix(self.hash ^ incarnation).wrapping_add(version))
    }
}

/// All members, the node itself included.
#[derive(Clone, Debug)]
pub(crate) struct Roster<I, A> {
    /// Sorted. Parallel to the slots, so that a search touches nothing else.
    ids: Vec<I>,
    slots: Vec<Slot<I, A>>,
    sum: u64,
    counted: u32,
    absent: usize,
    lists: Lists,
    lists_stale: bool,
    rings_stale: bool,
}

/// What follows from the members and their states. Places are positions in the roster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    /// Up or suspect, without this node.
    pub(crate) live: Vec<u32>,
    /// Unreachable or down.
    pub(crate) lost: Vec<u32>,
}

impl<I: Ord + Clone + Codec, A> Roster<I, A> {
    pub(crate) fn new() -> Self {
        let (ids, slots, lists) = (Vec::new(), Vec::new(), Lists::default());
        Self { ids, slots, sum: 0, counted: 0, absent: 0, lists, lists_stale: true, rings_stale: true }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// How many are neither down nor gone.
    pub(crate) fn counted(&self) -> u32 {
        self.counted
    }

    /// How many have neither left nor been found dead, and are not suspected by this node itself.
    pub(crate) fn present(&self) -> usize {
        self.len() - self.absent
    }

    pub(crate) fn place(&self, id: &I) -> Option<usize> {
        self.ids.binary_search(id).ok()
    }

    /// The first place with an id greater than this.
    pub(crate) fn place_after(&self, id: &I) -> usize {
        self.ids.partition_point(|it| it <= id)
    }

    pub(crate) fn id(&self, place: usize) -> &I {
        &self.ids[place]
    }

    pub(crate) fn slot(&self, place: usize) -> &Slot<I, A> {
        &self.slots[place]
    }

    pub(crate) fn get(&self, id: &I) -> Option<&Slot<I, A>> {
        self.place(id).map(|place| &self.slots[place])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&I, &Slot<I, A>)> {
        self.ids.iter().zip(&self.slots)
    }

    /// Changes a member, whose id is not part of it, and keeps the sums.
    pub(crate) fn change<R>(&mut self, place: usize, change: impl FnOnce(&mut Slot<I, A>) -> R) -> R {
        self.count(place, false);
        let slot = &mut self.slots[place];
        let before = (slot.state, slot.stalled);
        let result = change(slot);
        if before != (slot.state, slot.stalled) {
            (self.lists_stale, self.rings_stale) = (true, true);
        }
        self.count(place, true);
        result
    }

    /// A sign of life changes none of the sums.
    pub(crate) fn beat(&mut self, place: usize, heartbeat: u64, now: u64) {
        let slot = &mut self.slots[place];
        (slot.heartbeat, slot.last_rise) = (heartbeat, now);
    }

    fn count(&mut self, place: usize, add: bool) {
        let slot = &self.slots[place];
        let (counted, absent, term) = (slot.is_counted(), slot.is_absent(), slot.term());
        if add {
            self.sum = self.sum.wrapping_add(if counted { term } else { 0 });
            self.counted += u32::from(counted);
            self.absent += usize::from(absent);
        } else {
            self.sum = self.sum.wrapping_sub(if counted { term } else { 0 });
            self.counted -= u32::from(counted);
            self.absent -= usize::from(absent);
        }
    }

    /// A member that was not known. Takes O(members): what lies behind it moves up.
    pub(crate) fn insert(&mut self, id: I, record: Arc<Record<I, A>>, heartbeat: u64, now: u64) {
        let Err(place) = self.ids.binary_search(&id) else {
            unreachable!("only members that are not known are inserted");
        };
        let mut bytes = Vec::with_capacity(id.encoded_len());
        id.encode(&mut bytes);
        let (hash, state) = (hash(&bytes), State::Up);
        let slot = Slot {
            record,
            heartbeat,
            hash,
            last_rise: now,
            since: now,
            fallen_at: 0,
            has_fallen: false,
            state,
            stalled: false,
        };
        if self.ids.len() == self.ids.capacity() {
            // An eighth more, instead of as much again: members come seldom, and stay.
            let room = self.ids.len() / 8 + 8;
            self.ids.reserve_exact(room);
            self.slots.reserve_exact(room);
        }
        self.ids.insert(place, id);
        self.slots.insert(place, slot);
        self.count(place, true);
        (self.lists_stale, self.rings_stale) = (true, true);
    }

    pub(crate) fn remove(&mut self, place: usize) -> (I, Slot<I, A>) {
        self.count(place, false);
        (self.lists_stale, self.rings_stale) = (true, true);
        (self.ids.remove(place), self.slots.remove(place))
    }

    pub(crate) fn digest(&self, place: usize) -> Digest<I> {
        let (id, slot) = (&self.ids[place], &self.slots[place]);
        let Record { incarnation, version, .. } = *slot.record;
        Digest { id: id.clone(), incarnation, heartbeat: slot.heartbeat, version }
    }

    /// All that changed in this record after a version.
    pub(crate) fn delta(&self, place: usize, after: u64) -> Delta<I, A> {
        let (id, slot) = (&self.ids[place], &self.slots[place]);
        let (id, heartbeat, record) = (id.clone(), slot.heartbeat, Arc::clone(&slot.record));
        let upto = record.version;
        Delta { id, heartbeat, after: after.min(upto), upto, record, whole: true }
    }

    /// Whom there is to talk to.
    pub(crate) fn lists(&self) -> &Lists {
        assert!(!self.lists_stale, "the lists are renewed before they are used");
        &self.lists
    }

    /// Makes the lists anew if anything has changed: O(members).
    pub(crate) fn renew_lists(&mut self, me: &I) {
        if !core::mem::take(&mut self.lists_stale) {
            return;
        }
        let Lists { mut live, mut lost } = core::mem::take(&mut self.lists);
        live.clear();
        lost.clear();
        for (place, (_, slot)) in self.iter().enumerate().filter(|(_, (id, _))| *id != me) {
            match slot.state {
                State::Up | State::Suspect => live.push(place as u32),
                State::Unreachable | State::Down => lost.push(place as u32),
                State::Left => {}
            }
        }
        self.lists = Lists { live, lost };
    }

    /// Whom the rings give this node to watch, if that may have changed since the last time: O(members * rings).
    pub(crate) fn renew_rings(&mut self, me: &I, rings: usize) -> Option<Vec<u32>> {
        self.renew_lists(me);
        core::mem::take(&mut self.rings_stale).then(|| self.ring(me, rings))
    }

    /// Whom this node watches: in each ring the member before it, and if that is not live or suspected by this node, those
    /// before that one as well.
    fn ring(&self, me: &I, rings: usize) -> Vec<u32> {
        let Lists { live, lost } = &self.lists;
        let mut watched = Vec::new();
        let all = rings * ALL_PER_RING;
        if live.len() <= all {
            watched.extend(live);
        }
        if live.len() + lost.len() <= all {
            watched.extend(lost);
            return watched;
        }
        let own = self.place(me).map_or(0, |place| self.slots[place].hash);
        let is_stalled = |place: &&u32| self.slots[**place as usize].stalled;
        for number in 0..rings as u64 {
            let key = |hash: u64| mix(hash ^ mix(number + 1));
            let before = |place: &u32| key(own).wrapping_sub(key(self.slots[*place as usize].hash));
            let nearest = live.iter().filter(|place| !is_stalled(place)).map(|place| (before(place), *place)).min();
            watched.extend(nearest.map(|(_, place)| place));
            let border = nearest.map_or(u64::MAX, |(distance, _)| distance);
            let mut between: BTreeMap<u64, u32> = BTreeMap::new();
            for place in lost.iter().chain(live.iter().filter(is_stalled)) {
                let distance = before(place);
                if distance < border {
                    between.insert(distance, *place);
                    if between.len() > MAX_LOST {
                        between.pop_last();
                    }
                }
            }
            watched.extend(between.into_values());
        }
        watched
    }
}

#[cfg(test)]
mod tests;
