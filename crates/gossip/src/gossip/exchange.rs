//! Owns the push-pull exchange: what is told, what is asked, and how a record received changes the
//! one held. Whom to exchange with is `round.rs`.
//!
//! Records of one member form a join semilattice: the higher incarnation wins whole; within one the
//! larger heartbeat, the higher version of the details, and "left" over "not left", each by itself.
//! So it does not matter in which order, how often and over whom they arrive.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use super::Gossip;
use crate::io::{Effect, Event};
use crate::member::{Incarnation, Member, Profile};
use crate::message::{Digest, MAX_ENTRIES, Message, Update};

impl<I, A, M> Gossip<I, A, M>
where
    I: Ord + Clone + Debug,
    A: Ord + Clone + Debug,
    M: Clone + PartialEq + Debug,
{
    pub(super) fn on_syn(
        &mut self,
        now: Duration,
        from: A,
        digests: Vec<Digest<I>>,
        out: &mut impl Extend<Effect<I, A, M>>,
    ) {
        // A map, so that an id that is repeated counts once.
        let digests = digests.into_iter().take(MAX_ENTRIES);
        let digests: BTreeMap<I, Digest<I>> = digests.map(|d| (d.id.clone(), d)).collect();
        let mut wanted = Vec::new();
        for digest in digests.values() {
            if self.hear(now, digest, out) {
                wanted.push(digest.id.clone());
            }
        }
        self.settle(now, out);
        let updates: Vec<_> = self.members().filter_map(|member| newer_than(member, digests.get(&member.id))).collect();
        if !updates.is_empty() || !wanted.is_empty() {
            let message = Message::Ack { from: self.me.profile.address.clone(), updates, wanted };
            out.extend([Effect::Send { to: from, message }]);
        }
    }

    pub(super) fn on_ack(
        &mut self,
        now: Duration,
        from: A,
        updates: Vec<Update<I, A, M>>,
        wanted: Vec<I>,
        out: &mut impl Extend<Effect<I, A, M>>,
    ) {
        self.on_ack2(now, updates, out);
        // A set, so that asking for one member many times does not multiply the answer.
        let wanted: BTreeSet<I> = wanted.into_iter().take(MAX_ENTRIES).collect();
        let members = wanted.iter().filter_map(|id| self.member(id));
        let updates: Vec<_> = members.map(|member| member.update(true)).collect();
        if !updates.is_empty() {
            let message = Message::Ack2 { updates };
            out.extend([Effect::Send { to: from, message }]);
        }
    }

    pub(super) fn on_ack2(
        &mut self,
        now: Duration,
        updates: Vec<Update<I, A, M>>,
        out: &mut impl Extend<Effect<I, A, M>>,
    ) {
        for update in updates.into_iter().take(MAX_ENTRIES) {
            self.merge(now, update, out);
        }
        self.settle(now, out);
    }

    /// Takes a digest's heartbeat at its word, and tells whether there is more to ask for.
    fn hear(&mut self, now: Duration, digest: &Digest<I>, out: &mut impl Extend<Effect<I, A, M>>) -> bool {
        let Digest { ref id, incarnation, heartbeat, version } = *digest;
        if *id == self.me.id {
            // Who it is that speaks in this node's name is worth asking before it is outranked.
            let is_foreign = self.is_foreign(incarnation, heartbeat, version, false);
            if is_foreign && version == 0 {
                self.outrank(incarnation, heartbeat, version, None, out);
            }
            return is_foreign && version > 0;
        }
        let has_room = self.has_room();
        let Some(member) = self.others.get_mut(id) else {
            // Without details it could not be admitted, so there would be no use in asking.
            let refused = self.zombies.refuses(id, incarnation, now);
            return version > 0 && has_room && !refused;
        };
        if incarnation == member.incarnation && heartbeat > member.heartbeat {
            self.unsettled |= member.rise(heartbeat, now);
        }
        (incarnation, version) > (member.incarnation, member.version)
    }

    /// Joins a record received with the one held.
    fn merge(&mut self, now: Duration, mut update: Update<I, A, M>, out: &mut impl Extend<Effect<I, A, M>>) {
        let (incarnation, heartbeat) = (update.incarnation, update.heartbeat);
        let details = update.details.take().filter(|details| details.version > 0);
        if update.id == self.me.id {
            let version = details.as_ref().map_or(0, |details| details.version);
            if self.is_foreign(incarnation, heartbeat, version, update.left) {
                self.outrank(incarnation, heartbeat, version, details.map(|details| details.profile), out);
            }
            return;
        }
        // Also what a zombie says of this node counts: two halves of a cluster that were apart for
        // so long that each has forgotten the other meet as zombies.
        let me = (&self.me.id, self.me.incarnation);
        let mut suspects = details.iter().flat_map(|details| &details.suspects);
        if suspects.any(|(id, incarnation)| (id, *incarnation) == me) {
            self.accused = Some(self.me.incarnation);
        }
        let has_room = self.has_room();
        let id = update.id.clone();
        let Some(member) = self.others.get_mut(&id) else {
            let refused = self.zombies.refuses(&id, incarnation, now);
            if let Some(details) = details
                && has_room
                && !refused
            {
                self.zombies.release(&id);
                let member = Member::heard(update, details, now);
                self.others.insert(id.clone(), member);
                self.unsettled = true;
                out.extend([Effect::Event(Event::Joined { id })]);
            }
            return;
        };
        if incarnation < member.incarnation {
            return;
        }
        if incarnation > member.incarnation {
            member.begin_life(incarnation, heartbeat, now);
            self.unsettled = true;
            out.extend([Effect::Event(Event::Restarted { id: id.clone() })]);
        } else if heartbeat > member.heartbeat {
            self.unsettled |= member.rise(heartbeat, now);
        }
        if update.left && !member.left {
            member.left = true;
            member.stalled = false;
            self.unsettled = true;
        }
        if let Some(details) = details.filter(|details| details.version > member.version) {
            let (profile_changed, suspects_changed) = member.adopt(details);
            self.unsettled |= suspects_changed;
            if profile_changed {
                out.extend([Effect::Event(Event::ProfileChanged { id })]);
            }
        }
    }

    /// Whether a record of this node is none that it ever issued. Who has left has no more to say, not even against a
    /// successor.
    fn is_foreign(&self, incarnation: Incarnation, heartbeat: u64, version: u64, left: bool) -> bool {
        let me = &self.me;
        let unheard_of = heartbeat > me.heartbeat || version > me.version || left;
        !me.left && (incarnation > me.incarnation || incarnation == me.incarnation && unheard_of)
    }

    /// Somebody else speaks in this node's name, and is outranked: only this node knows its record.
    fn outrank(
        &mut self,
        incarnation: Incarnation,
        heartbeat: u64,
        version: u64,
        profile: Option<Profile<A, M>>,
        out: &mut impl Extend<Effect<I, A, M>>,
    ) {
        let me = &mut self.me;
        // At the very last incarnation there is none above; a larger heartbeat still shows life.
        if incarnation.0 == u64::MAX {
            me.heartbeat = me.heartbeat.max(heartbeat);
            me.version = me.version.max(version).saturating_add(1);
        }
        me.incarnation = Incarnation(incarnation.0.saturating_add(1));
        out.extend([Effect::Event(Event::Superseded { incarnation, profile })]);
    }
}

/// What a peer lacks of `member` if this is its digest of it.
fn newer_than<I, A, M>(member: &Member<I, A, M>, digest: Option<&Digest<I>>) -> Option<Update<I, A, M>>
where
    I: Ord + Clone,
    A: Clone + PartialEq,
    M: Clone + PartialEq,
{
    let Some(digest) = digest else {
        return Some(member.update(true));
    };
    let details = (member.incarnation, member.version) > (digest.incarnation, digest.version);
    let heartbeat = (member.incarnation, member.heartbeat) > (digest.incarnation, digest.heartbeat);
    (details || heartbeat).then(|| member.update(details))
}
