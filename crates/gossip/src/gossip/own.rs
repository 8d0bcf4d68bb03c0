//! Owns what this node says of itself: its record, its lives, and what it answers when others are wrong about it.

use alloc::sync::Arc;

use super::{Address, Gossip, Id};
use crate::io::{Effect, Event};
use crate::member::Incarnation;
use crate::message::Digest;
use crate::record::Record;
use crate::watch::SLACK;

impl<I: Id, A: Address> Gossip<I, A> {
    pub(super) fn own_place(&self) -> usize {
        let Some(place) = self.roster.place(&self.me) else {
            unreachable!("a node is a member of its own list");
        };
        place
    }

    pub(super) fn own_record(&self) -> &Arc<Record<I, A>> {
        &self.roster.slot(self.own_place()).record
    }

    pub(super) fn has_left(&self) -> bool {
        self.own_record().left
    }

    /// Changes this node's record, and tells so.
    pub(super) fn amend(&mut self, change: impl FnOnce(&mut Record<I, A>)) {
        let after = self.own_record().version;
        self.roster.change(self.own_place(), |slot| change(Arc::make_mut(&mut slot.record)));
        self.news.add(&self.me, after);
    }

    /// This node's counter rises by so much.
    pub(super) fn beat(&mut self, by: u64, now: u64) {
        let place = self.own_place();
        let heartbeat = self.roster.slot(place).heartbeat.saturating_add(by);
        self.roster.beat(place, heartbeat, now);
    }

    /// A leap that no suspicion holds against: whoever hears of it knows that this node lives.
    pub(super) fn leap(&mut self, now: u64) {
        if !self.has_left() {
            self.beat(SLACK + 1, now);
        }
    }

    /// Speaks with a higher incarnation from now on. It is told from the beginning.
    pub(super) fn begin_life(&mut self, incarnation: Incarnation) {
        self.amend(|record| {
            record.incarnation = incarnation;
            record.version = record.version.saturating_add(1);
        });
        self.news.add(&self.me, 0);
    }

    /// Answers what others hold against this node: a suspicion by a leap of its counter, which contradicts it wherever it
    /// is heard; and a belief that no counter can shake by a new life (SWIM, section 4.2). The latter at most once a round,
    /// lest two nodes that disagree drive each other upwards as fast as messages travel.
    pub(super) fn answer_accusations(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        let (incarnation, heartbeat) = (self.incarnation(), self.roster.slot(self.own_place()).heartbeat);
        let charges = self.charges.against(&self.me).iter().filter(|charge| charge.holds(incarnation, heartbeat));
        let (mut suspected, mut buried) = (false, self.buried == Some(incarnation));
        for charge in charges {
            // Nobody can have heard a counter that was never reached, unless it is over the head of all counters.
            buried |= charge.heartbeat > heartbeat;
            suspected = true;
        }
        if self.has_left() || !suspected && !buried {
            return;
        }
        if suspected {
            self.leap(now);
            self.health.accused();
        }
        if buried
            && !self.refuted
            && let Some(higher) = incarnation.0.checked_add(1)
        {
            self.refuted = true;
            self.begin_life(Incarnation(higher));
            out.extend([Effect::Event(Event::Refuted { incarnation: Incarnation(higher) })]);
        }
    }

    /// Somebody mentions this node. True if it is worth asking who it is that speaks in its name.
    pub(super) fn hear_own_name(&mut self, now: u64, digest: &Digest<I>, out: &mut impl Extend<Effect<I, A>>) -> bool {
        let Digest { incarnation, heartbeat, version, .. } = *digest;
        let is_foreign = self.is_foreign(incarnation, heartbeat, version, false);
        if is_foreign && version == 0 {
            self.outrank(now, digest, None, out);
        }
        is_foreign && version > 0
    }

    /// Whether a record of this node is none that it ever issued. Who has left has no more to say, not even against a
    /// successor.
    pub(super) fn is_foreign(&self, incarnation: Incarnation, heartbeat: u64, version: u64, left: bool) -> bool {
        let own = self.roster.slot(self.own_place());
        let unheard_of = heartbeat > own.heartbeat || version > own.record.version || left;
        !own.record.left
            && (incarnation > own.record.incarnation || incarnation == own.record.incarnation && unheard_of)
    }

    /// Somebody else speaks in this node's name, and is outranked: only this node knows its record.
    pub(super) fn outrank(
        &mut self,
        now: u64,
        foreign: &Digest<I>,
        record: Option<Arc<Record<I, A>>>,
        out: &mut impl Extend<Effect<I, A>>,
    ) {
        let incarnation = foreign.incarnation;
        self.begin_life(Incarnation(incarnation.0.saturating_add(1)));
        // At the very last incarnation there is none above; larger counters still show life.
        if incarnation.0 == u64::MAX {
            let version = foreign.version;
            self.amend(|own| own.version = own.version.max(version).saturating_add(1));
            let own = self.roster.slot(self.own_place()).heartbeat;
            self.beat(foreign.heartbeat.saturating_sub(own), now);
        }
        out.extend([Effect::Event(Event::Superseded { incarnation, record })]);
    }
}
