//! Owns when members are judged, what this node testifies, and what follows from a verdict.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Address, Gossip, Id};
use crate::io::{Effect, Event};
use crate::judgement::{Case, Court, judge};
use crate::member::{Incarnation, State};
use crate::record::{Content, MAX_SUSPICIONS, Suspicion};
use crate::watch::SLACK;

/// While more members than these are suspected at once, they are judged once a round and not with every message: half a
/// cluster that is cut off makes thousands of suspicions.
const CROWD: usize = 64;

impl<I: Id, A: Address> Court<I> for Gossip<I, A> {
    fn is_credible(&self, member: &I) -> bool {
        let slot = self.roster.get(member);
        slot.is_some_and(|slot| !slot.record.left && !slot.stalled && !slot.has_fallen)
    }

    fn credible(&self) -> usize {
        self.roster.present()
    }

    fn needed(&self) -> usize {
        self.config.witnesses as usize
    }
}

impl<I: Id, A: Address> Gossip<I, A> {
    /// Draws the consequences if anything the judgement depends on has changed: what this node says of the others, what it
    /// believes of them, and what it answers if it is suspected itself.
    pub(super) fn settle(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        if self.charges.targets().len() <= CROWD {
            self.settle_all(now, out);
        }
        self.answer_accusations(now, out);
    }

    pub(super) fn settle_all(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        if core::mem::take(&mut self.unsettled) {
            self.testify();
            self.judge(now, out);
        }
    }

    /// Publishes whom this node suspects at first hand, and of whom others speak although it has forgotten them.
    ///
    /// While it is cut off from all it has nothing to say that would be worth hearing when it is back.
    fn testify(&mut self) {
        let mut wanted: BTreeMap<I, (Incarnation, u64)> = BTreeMap::new();
        for (id, watch) in self.watches.iter().filter(|_| !self.isolated) {
            let slot = self.roster.get(id).filter(|slot| slot.stalled);
            wanted
                .extend(slot.map(|slot| (id.clone(), (slot.record.incarnation, watch.counter().max(slot.heartbeat)))));
        }
        wanted.extend(self.zombies.accused().map(|(id, incarnation)| (id.clone(), (incarnation, u64::MAX))));
        let mut taken_back = Vec::new();
        for (slot, content) in self.own_record().slots.iter().map(|slot| &slot.content).enumerate() {
            let Content::Suspicion(said) = content else { continue };
            match wanted.remove(&said.target) {
                // It has not changed, but for a counter that rose a little.
                Some((incarnation, heartbeat))
                    if incarnation == said.incarnation
                        && (heartbeat == u64::MAX) == (said.heartbeat == u64::MAX)
                        && heartbeat <= said.heartbeat.saturating_add(SLACK) => {}
                Some(changed) => {
                    wanted.insert(said.target.clone(), changed);
                    taken_back.push(slot);
                }
                None => taken_back.push(slot),
            }
        }
        if taken_back.is_empty() && wanted.is_empty() {
            return;
        }
        let before = self.own_record().clone();
        self.amend(|record| {
            taken_back.into_iter().for_each(|slot| record.put(slot, Content::Empty));
            for (target, (incarnation, heartbeat)) in wanted {
                let room = record.suspicions().count() < MAX_SUSPICIONS;
                if let Some(slot) = record.free_slot().filter(|_| room) {
                    record.put(slot, Content::Suspicion(Suspicion { target, incarnation, heartbeat }));
                }
            }
        });
        let after = self.own_record().clone();
        self.charges.replace(&self.me, before.suspicions(), after.suspicions());
    }

    fn judge(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        let cases = self.cases();
        let verdicts = judge(&cases, self);
        let verdicts: BTreeMap<I, State> = cases.into_iter().map(|case| case.target).zip(verdicts).collect();
        let mut doubtful: BTreeSet<I> = verdicts.keys().chain(&self.unwell).cloned().collect();
        if self.isolated {
            doubtful.extend(self.roster.iter().map(|(id, _)| id.clone()));
        }
        for id in doubtful {
            let Some(place) = self.roster.place(&id) else { continue };
            let (slot, is_me) = (self.roster.slot(place), id == self.me);
            let to = match verdicts.get(&id) {
                _ if slot.record.left => State::Left,
                // A node knows that it lives.
                _ if is_me => State::Up,
                _ if slot.has_fallen => State::Down,
                _ if self.isolated => State::Unreachable,
                Some(verdict) => *verdict,
                None => State::Up,
            };
            self.believe(place, to, now, out);
        }
    }

    /// Everybody whom somebody suspects, with those whose suspicion still holds. Who is down stays so, and needs no trial.
    fn cases(&self) -> Vec<Case<I>> {
        let mut cases: BTreeMap<&I, Vec<I>> = BTreeMap::new();
        for (target, charges) in self.charges.targets().filter(|(target, _)| **target != self.me) {
            let Some(slot) = self.roster.get(target).filter(|slot| !slot.has_fallen) else { continue };
            let holding = charges.iter().filter(|it| it.holds(slot.record.incarnation, slot.heartbeat));
            let others = holding.map(|charge| &charge.witness).filter(|witness| **witness != self.me);
            cases.insert(target, others.cloned().collect());
        }
        let is_stalled = |id: &&I| self.roster.get(id).is_some_and(|slot| slot.stalled && !slot.has_fallen);
        for id in self.watches.keys().filter(is_stalled) {
            cases.entry(id).or_default().push(self.me.clone());
        }
        let suspected = cases.into_iter().filter(|(_, witnesses)| !witnesses.is_empty());
        suspected.map(|(target, witnesses)| Case { target: target.clone(), witnesses }).collect()
    }

    fn believe(&mut self, place: usize, to: State, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        let id = self.roster.id(place).clone();
        let slot = self.roster.slot(place);
        let from = slot.state;
        let (is_unwell, is_gone) = match to {
            State::Up => (false, false),
            State::Suspect | State::Unreachable => (true, false),
            State::Down | State::Left => (false, true),
        };
        for (set, belongs) in [(&mut self.unwell, is_unwell), (&mut self.gone, is_gone)] {
            if belongs {
                set.insert(id.clone());
            } else {
                set.remove(&id);
            }
        }
        if to == State::Down && !slot.has_fallen {
            // Also if it was down before, and shows too little life for the charges that came since.
            let last = self.charges.against(&id).iter().filter(|it| it.holds(slot.record.incarnation, slot.heartbeat));
            let fallen_at = last.map(|charge| charge.heartbeat).fold(slot.heartbeat, u64::max);
            self.roster.change(place, |slot| (slot.has_fallen, slot.fallen_at) = (true, fallen_at));
        }
        if from == to {
            return;
        }
        self.roster.change(place, |slot| (slot.state, slot.since) = (to, now));
        match to {
            State::Suspect => drop(self.suspects.insert(id.clone())),
            _ => drop(self.suspects.remove(&id)),
        }
        if to == State::Up && matches!(from, State::Suspect | State::Down) {
            self.acquitted.insert(id.clone(), self.enough());
        }
        if to == State::Left {
            self.known.retain(|(known, _)| *known != id);
        }
        out.extend([Effect::Event(Event::StateChanged { id: id.clone(), from, to })]);
        if to == State::Suspect {
            self.check_suspicion(&id, 1, now);
        }
    }
}
