//! Owns how a record received changes the one held.
//!
//! Records of one member form a join semilattice: the higher incarnation wins whole; within one the larger heartbeat, the
//! later statement in each slot, the later address, and "left" over "not left", each by itself. So it does not matter in
//! which order, how often and over whom they arrive. A part that would leave a gap is not taken in but asked for.

use alloc::sync::Arc;

use super::compose::Exchange;
use super::{Address, Gossip, Id};
use crate::io::{Effect, Event};
use crate::member::Incarnation;
use crate::message::{Delta, Digest};
use crate::record::Record;
use crate::roster::MAX_MEMBERS;

impl<I: Id, A: Address> Gossip<I, A> {
    /// Joins a delta with the record held.
    pub(super) fn merge(
        &mut self,
        now: u64,
        delta: Delta<I, A>,
        exchange: &mut Exchange<I>,
        out: &mut impl Extend<Effect<I, A>>,
    ) {
        let incarnation = delta.record.incarnation;
        if delta.id == self.me {
            return self.hear_own_record(now, &delta, out);
        }
        let Some(place) = self.roster.place(&delta.id) else {
            return self.meet(now, &delta, exchange, out);
        };
        let held = &self.roster.slot(place).record;
        if incarnation < held.incarnation {
            return;
        }
        if incarnation > held.incarnation {
            match Record::begin(&delta) {
                Some(record) => self.restarted(place, record, delta.heartbeat, now, out),
                None => drop(exchange.wanted.insert(delta.id)),
            }
            return;
        }
        self.sign_of_life(place, delta.heartbeat, false, now);
        let held = &self.roster.slot(place).record;
        if delta.after > held.version {
            exchange.wanted.insert(delta.id);
            return;
        }
        self.take_in(place, &delta, out);
    }

    fn hear_own_record(&mut self, now: u64, delta: &Delta<I, A>, out: &mut impl Extend<Effect<I, A>>) {
        let Record { incarnation, left, .. } = *delta.record;
        if self.is_foreign(incarnation, delta.heartbeat, delta.upto, left) {
            let (id, heartbeat, version) = (self.me.clone(), delta.heartbeat, delta.upto);
            let digest = Digest { id, incarnation, heartbeat, version };
            self.outrank(now, &digest, Some(Arc::clone(&delta.record)), out);
        }
    }

    /// Somebody who is not a member here.
    fn meet(&mut self, now: u64, delta: &Delta<I, A>, exchange: &mut Exchange<I>, out: &mut impl Extend<Effect<I, A>>) {
        let (id, incarnation) = (&delta.id, delta.record.incarnation);
        if self.zombies.refuses(id, incarnation, now) {
            // Also what a zombie says of this node counts: two halves of a cluster that were apart for so long that each
            // has forgotten the other meet as zombies.
            let own = self.incarnation();
            let mut said = delta.record.suspicions();
            if said.any(|it| it.target == self.me && it.incarnation == own && it.heartbeat == u64::MAX) {
                self.buried = Some(own);
            }
            return self.testify_against_zombie(id, incarnation, false);
        }
        if self.roster.len() >= MAX_MEMBERS {
            return;
        }
        let Some(record) = Record::begin(delta) else {
            exchange.wanted.insert(id.clone());
            return;
        };
        self.unsettled |= self.zombies.release(id);
        self.unsettled |= self.charges.replace(id, [].iter(), record.suspicions()) || record.left;
        self.unsettled |= !self.charges.against(id).is_empty();
        self.unwell.extend(record.left.then(|| id.clone()));
        self.roster.insert(id.clone(), record, delta.heartbeat, now);
        self.news.add(id, 0);
        out.extend([Effect::Event(Event::Joined { id: id.clone() })]);
    }

    /// Somebody speaks of a forgotten member. If it does so itself, it must hear why nobody listens; if others do, two
    /// witnesses are enough to convince them.
    pub(super) fn testify_against_zombie(&mut self, id: &I, incarnation: Incarnation, first_hand: bool) {
        let charges = self.charges.against(id).iter();
        let witnesses = charges.filter(|it| it.heartbeat == u64::MAX && it.incarnation >= incarnation).count();
        if first_hand || witnesses < 2 {
            self.unsettled |= self.zombies.accuse(id);
        }
    }

    /// A higher incarnation: whatever was held against the earlier one is void.
    fn restarted(
        &mut self,
        place: usize,
        record: Arc<Record<I, A>>,
        heartbeat: u64,
        now: u64,
        out: &mut impl Extend<Effect<I, A>>,
    ) {
        let id = self.roster.id(place).clone();
        let before = Arc::clone(&self.roster.slot(place).record);
        self.charges.replace(&id, before.suspicions(), record.suspicions());
        self.roster.change(place, |slot| {
            (slot.record, slot.stalled, slot.has_fallen) = (record, false, false);
        });
        self.roster.beat(place, heartbeat, now);
        if let Some(watch) = self.watches.get_mut(&id) {
            watch.reborn(heartbeat, now);
        }
        self.unwell.insert(id.clone());
        self.unsettled = true;
        self.news.add(&id, 0);
        out.extend([Effect::Event(Event::Restarted { id })]);
    }

    /// A later part of the same life.
    fn take_in(&mut self, place: usize, delta: &Delta<I, A>, out: &mut impl Extend<Effect<I, A>>) {
        let held = &self.roster.slot(place).record;
        let is_new = delta.upto > held.version
            || delta.record.left && !held.left
            || delta.record.address_version > held.address_version;
        if !is_new {
            return;
        }
        let id = self.roster.id(place).clone();
        let before = Arc::clone(held);
        let changes = self.roster.change(place, |slot| {
            let changes = slot.record.join(delta);
            slot.stalled &= !slot.record.left;
            changes
        });
        let after = Arc::clone(&self.roster.slot(place).record);
        self.unsettled |= self.charges.replace(&id, before.suspicions(), after.suspicions());
        if changes.left {
            self.unwell.insert(id.clone());
            self.unsettled = true;
        }
        self.news.add(&id, before.version);
        if changes.address {
            out.extend([Effect::Event(Event::AddressChanged { id: id.clone() })]);
        }
        if !changes.keys.is_empty() {
            out.extend([Effect::Event(Event::MetaChanged { id, keys: changes.keys })]);
        }
    }
}
