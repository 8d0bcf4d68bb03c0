//! Owns whom this node waits for: those whom the rings give it, those whom somebody else suspects, and those whose requests
//! failed. How long is `watch.rs`.

use alloc::vec::Vec;

use super::{Address, Gossip, Id, micros};
use crate::io::{Effect, Evidence};
use crate::message::MessageKind;
use crate::watch::{Patience, Watch};

use super::compose::{Detail, Exchange};

/// So many members are watched for a reason other than the rings.
const MAX_CALLED: usize = 64;
/// A member that was called upon and has answered is watched for so many rounds more.
const AFTERCARE: u64 = 4;
/// One interval in so many decides the mean over all members.
const PACE_WEIGHT: u64 = 64;

impl<I: Id, A: Address> Gossip<I, A> {
    pub(super) fn patience(&self) -> Patience {
        let health = if self.config.lifeguard { self.health.factor() } else { 1 };
        Patience::new(&self.config, self.pace, health)
    }

    /// Brings the watches in line with the rings.
    pub(super) fn renew_watches(&mut self, now: u64) {
        if let Some(places) = self.roster.renew_rings(&self.me, self.config.watchers) {
            self.watches.values_mut().for_each(|watch| watch.ring = false);
            for place in places {
                let (id, slot) = (self.roster.id(place as usize), self.roster.slot(place as usize));
                let watch = self.watches.entry(id.clone()).or_insert_with(|| Watch::new(slot.heartbeat, now));
                watch.ring = true;
            }
        }
        let roster = &self.roster;
        // Who is suspected goes on being so until there is a sign of life.
        self.watches.retain(|id, watch| {
            let slot = roster.get(id).filter(|slot| !slot.record.left);
            slot.is_some_and(|slot| watch.ring || watch.until > now || slot.stalled)
        });
    }

    /// Suspects every watched member that has been silent for too long.
    pub(super) fn notice_stalls(&mut self, now: u64) {
        let patience = self.patience();
        let mut changed = Vec::new();
        for (id, watch) in &self.watches {
            let Some(place) = self.roster.place(id) else { continue };
            // A suspicion ends by a sign of life, not by the patience of its witness.
            if !self.roster.slot(place).stalled && now >= watch.due(&patience) {
                changed.push(place);
            }
        }
        self.unsettled |= !changed.is_empty();
        for place in changed {
            self.roster.change(place, |slot| slot.stalled = true);
        }
        // Whatever is wrong with this node itself: who hears nobody at all cannot tell who is alive.
        let wait = Patience::new(&self.config, self.pace, 1).wait(self.pace);
        let isolated = self.roster.present() > 1 && now.saturating_sub(self.last_heard) >= wait;
        if isolated && self.config.lifeguard && !self.isolated {
            self.isolated = true;
            self.unsettled = true;
        }
    }

    /// Somebody was heard after this node was cut off from all: none of that can be held against anybody.
    pub(super) fn rejoin(&mut self, now: u64) {
        self.last_heard = now;
        if !core::mem::take(&mut self.isolated) {
            return;
        }
        self.unsettled = true;
        self.watches.values_mut().for_each(|watch| watch.excuse(u64::MAX, now));
        let stalled = self.watches.keys().filter_map(|id| self.roster.place(id));
        for place in stalled.collect::<Vec<_>>() {
            self.roster.change(place, |slot| slot.stalled = false);
        }
        self.leap(now);
    }

    /// This node's own pauses are not held against anybody: when it wakes up, all waits are prolonged.
    pub(super) fn wake(&mut self, now: u64) {
        let interval = micros(self.config.round_interval);
        let late = now.saturating_sub(self.next_round.max(self.excused));
        if late <= interval || !self.config.lifeguard {
            return;
        }
        self.excused = now;
        self.last_heard = now.min(self.last_heard.saturating_add(late));
        self.watches.values_mut().for_each(|watch| watch.excuse(late, now));
        if late >= micros(self.config.suspect_after_min) / 2 {
            // Others may have begun to doubt.
            self.leap(now);
        }
    }

    /// A member's counter was heard, from itself or from others.
    pub(super) fn sign_of_life(&mut self, place: usize, heartbeat: u64, first_hand: bool, now: u64) {
        let slot = self.roster.slot(place);
        if heartbeat > slot.heartbeat {
            let id = self.roster.id(place);
            self.unsettled |= self.unwell.contains(id) || !self.charges.against(id).is_empty();
            self.roster.beat(place, heartbeat, now);
            let slot = self.roster.slot(place);
            if slot.has_fallen && heartbeat > slot.fallen_at.saturating_add(crate::watch::SLACK) {
                self.unwell.insert(self.roster.id(place).clone());
                self.roster.change(place, |slot| slot.has_fallen = false);
                self.unsettled = true;
            }
        }
        let (patience, slot) = (self.patience(), self.roster.slot(place));
        let Some(watch) = self.watches.get_mut(self.roster.id(place)) else { return };
        let lives = if first_hand {
            let rises = heartbeat > watch.counter();
            if let Some(interval) = watch.hear(heartbeat, &patience, now) {
                let (low, high) = (micros(self.config.round_interval), micros(self.config.suspect_after_max));
                let interval = interval.min(self.pace.saturating_mul(8));
                let pace = (self.pace * (PACE_WEIGHT - 1) + interval) / PACE_WEIGHT;
                self.pace = pace.clamp(low, high.max(low));
            }
            if rises && !watch.ring {
                let interval = micros(self.config.round_interval);
                watch.until = watch.until.min(now.saturating_add(AFTERCARE * interval));
            }
            rises
        } else {
            watch.hear_say(heartbeat, slot.stalled, now)
        };
        if lives && slot.stalled {
            self.roster.change(place, |slot| slot.stalled = false);
            self.unsettled = true;
        }
    }

    /// Somebody suspects a member: about as many as it has watchers look for themselves, so that either a second witness
    /// is found soon or proof of life. Each decides by a draw, made harder by `odds`.
    pub(super) fn check_suspicion(&mut self, id: &I, odds: u64, now: u64) {
        let candidates = u64::from(self.roster.counted()).max(1);
        let wanted = self.config.watchers as u64 + 1;
        if *id == self.me || self.config.watchers == 0 || self.random.below(candidates * odds) >= wanted {
            return;
        }
        let Some(slot) = self.roster.get(id) else { return };
        let holding = self.charges.against(id).iter().filter(|it| it.holds(slot.record.incarnation, slot.heartbeat));
        let counter = holding.map(|it| it.heartbeat).filter(|it| *it < u64::MAX).fold(slot.heartbeat, u64::max);
        if let Some(watch) = self.watch_for_a_while(id, now) {
            watch.call(counter, now);
        }
    }

    fn watch_for_a_while(&mut self, id: &I, now: u64) -> Option<&mut Watch> {
        let slot = self.roster.get(id).filter(|slot| !slot.record.left)?;
        let has_room = self.watches.values().filter(|watch| !watch.ring).count() < MAX_CALLED;
        if !self.watches.contains_key(id) && (!has_room || *id == self.me) {
            return None;
        }
        let wait = self.patience().wait(self.pace);
        let watch = self.watches.entry(id.clone()).or_insert_with(|| Watch::new(slot.heartbeat, now));
        watch.until = watch.until.max(now.saturating_add(wait.saturating_mul(2)));
        Some(watch)
    }

    pub(super) fn on_evidence(&mut self, now: u64, id: &I, evidence: Evidence, out: &mut impl Extend<Effect<I, A>>) {
        match evidence {
            Evidence::Failed => {
                let is_first = self.watch_for_a_while(id, now).is_some_and(|watch| watch.failed(now));
                let to = self.roster.get(id).filter(|_| is_first).map(|slot| slot.record.address.clone());
                if let Some(to) = to.filter(|to| *to != self.own_record().address) {
                    let message = self.compose(MessageKind::Syn, Detail::Brief, &Exchange::new());
                    out.extend([Effect::Send { to, message }]);
                }
            }
            Evidence::Answered => {
                let patience = self.patience();
                let Some(watch) = self.watches.get_mut(id) else { return };
                watch.answered();
                let Some(place) = self.roster.place(id) else { return };
                if self.roster.slot(place).stalled && now < watch.due(&patience) {
                    self.roster.change(place, |slot| slot.stalled = false);
                    self.unsettled = true;
                }
            }
        }
        self.settle(now, out);
    }
}
