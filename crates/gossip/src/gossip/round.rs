//! Owns what happens as time passes: heartbeats, forgetting, the choice of whom to talk to, and the farewell. What is then
//! said is `compose.rs`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::compose::{Detail, Exchange};
use super::{Address, Gossip, Id, micros};
use crate::io::{Effect, Event};
use crate::member::State;
use crate::message::{Message, MessageKind};

/// How many times the usual fan-out is contacted at moments that matter: saying goodbye, and looking for others when alone.
const BURST: usize = 3;
/// So many of the watched that are not live are contacted in a round, in turn: a node that is cut off from a thousand does
/// not call them all.
const LOST_PER_ROUND: usize = 16;
/// So many parts of the list are sent in a round although news is on its way.
const RANGES_PER_ROUND: u32 = 2;
/// While a member is suspect, every round so many times fewer are drawn to check it than when that began.
const SECOND_LOOK: u64 = 8;

impl<I: Id, A: Address> Gossip<I, A> {
    pub(super) fn on_round(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        let late = now.saturating_sub(self.next_round);
        self.health.round(late / micros(self.config.round_interval));
        self.next_round = now.saturating_add(self.jittered_interval());
        self.refuted = false;
        self.ranges = RANGES_PER_ROUND;
        if !self.has_left() {
            self.beat(1, now);
        }
        self.renew_watches(now);
        self.notice_stalls(now);
        let suspects: Vec<I> = self.suspects.iter().cloned().collect();
        suspects.iter().for_each(|id| self.check_suspicion(id, SECOND_LOOK, now));
        self.forget(now, out);
        self.settle_all(now, out);
        self.answer_accusations(now, out);
        self.open_exchanges(now, out);
    }

    /// Marks this node as gone and says so to many at once, since it may not run for much longer.
    pub(super) fn on_leave(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        if self.has_left() {
            return;
        }
        self.beat(1, now);
        self.amend(|record| {
            record.left = true;
            record.version = record.version.saturating_add(1);
        });
        self.unwell.insert(self.me.clone());
        self.unsettled = true;
        self.settle_all(now, out);
        self.roster.renew_lists(&self.me);
        let live = &self.roster.lists().live;
        let burst = self.config.fan_out.saturating_mul(BURST);
        for place in self.random.sample(live, burst) {
            let to = self.roster.slot(place as usize).record.address.clone();
            if to == self.own_record().address {
                continue;
            }
            let mut farewell = Exchange::new();
            farewell.answer(self.me.clone(), 0);
            let message = self.compose(MessageKind::Ack2, Detail::Answer, &farewell);
            out.extend([Effect::Send { to, message }]);
        }
    }

    /// Opens one exchange.
    pub(super) fn on_contact(&mut self, to: A, out: &mut impl Extend<Effect<I, A>>) {
        if to != self.own_record().address {
            let message = self.syn(Detail::Full);
            out.extend([Effect::Send { to, message }]);
        }
    }

    fn syn(&mut self, detail: Detail) -> Message<I, A> {
        let mut exchange = Exchange::new();
        exchange.compare = self.differs && detail == Detail::Full;
        if exchange.compare {
            self.ranges = self.ranges.saturating_sub(1);
            // While news is on its way, one part in a round is enough.
            self.differs = self.news.is_empty() || self.ranges > 0;
        }
        self.compose(MessageKind::Syn, detail, &exchange)
    }

    /// The round interval, give or take a tenth.
    fn jittered_interval(&mut self) -> u64 {
        let interval = micros(self.config.round_interval);
        let spread = interval / 5;
        interval - interval / 10 + self.random.below(spread + 1)
    }

    fn forget(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        self.unsettled |= self.zombies.expire(now);
        let forget_after = micros(self.config.forget_after);
        let gone = self.gone.iter().filter(|id| **id != self.me && !self.kept.contains(id));
        let gone = gone.filter(|id| {
            let slot = self.roster.get(id);
            slot.is_some_and(|slot| {
                let is_gone = matches!(slot.state, State::Down | State::Left);
                is_gone && now.saturating_sub(slot.since) >= forget_after
            })
        });
        for id in gone.cloned().collect::<Vec<_>>() {
            let Some(place) = self.roster.place(&id) else { continue };
            let (_, slot) = self.roster.remove(place);
            let (down, incarnation) = (slot.state == State::Down, slot.record.incarnation);
            self.charges.replace(&id, slot.record.suspicions(), [].iter());
            self.watches.remove(&id);
            self.news.remove(&id);
            self.gone.remove(&id);
            self.unwell.remove(&id);
            self.zombies.bury(id.clone(), incarnation, down, now);
            self.unsettled = true;
            out.extend([Effect::Event(Event::Forgotten { id })]);
        }
    }

    /// Whom to contact in this round.
    ///
    /// Those that are watched and some random live members, now and then one that is not live (partitions heal) and a seed
    /// (islands meet). With nobody live the search goes to everybody ever heard of; a sample in each round, since that may
    /// be a long list.
    fn open_exchanges(&mut self, now: u64, out: &mut impl Extend<Effect<I, A>>) {
        let own = self.own_record().address.clone();
        let Self { config, random, me, roster, seeds, known, .. } = self;
        roster.renew_lists(me);
        let lists = roster.lists();
        let is_alone = lists.live.is_empty();
        // By place; true for those that are told more.
        let mut members: BTreeMap<u32, bool> = BTreeMap::new();
        for place in random.sample(&lists.live, config.fan_out) {
            members.insert(place, true);
        }
        if !is_alone && random.one_in(config.retry_every) {
            members.extend(random.sample(&lists.lost, 1).into_iter().map(|place| (place, true)));
        }
        let mut contacts: Vec<&A> = seeds.iter().chain(known.iter().map(|(_, address)| address)).collect();
        if is_alone {
            contacts.extend(lists.lost.iter().map(|place| &roster.slot(*place as usize).record.address));
            contacts.sort_unstable();
            contacts.dedup();
        }
        contacts.retain(|address| **address != own);
        let count = match is_alone {
            true => config.fan_out.saturating_mul(BURST),
            false => usize::from(random.one_in(config.seed_every)),
        };
        let contacts: Vec<A> = random.sample(&contacts, count).into_iter().cloned().collect();
        if !self.has_left() {
            self.add_watched(now, &mut members);
        }
        for (place, full) in members {
            let slot = self.roster.slot(place as usize);
            let to = slot.record.address.clone();
            if to == own || contacts.contains(&to) {
                continue;
            }
            if slot.state.is_live() && !slot.stalled {
                self.health.opened();
            }
            let message = self.syn(if full { Detail::Full } else { Detail::Brief });
            out.extend([Effect::Send { to, message }]);
        }
        for to in contacts {
            let message = self.syn(Detail::Full);
            out.extend([Effect::Send { to, message }]);
        }
    }

    fn add_watched(&mut self, now: u64, members: &mut BTreeMap<u32, bool>) {
        let mut lost = Vec::new();
        for (id, watch) in &self.watches {
            let Some(place) = self.roster.place(id) else { continue };
            let slot = self.roster.slot(place);
            if slot.state.is_live() && !slot.stalled {
                members.entry(place as u32).or_insert(false);
            } else if watch.ring || watch.until > now {
                lost.push(place as u32);
            }
        }
        self.turn = self.turn.wrapping_add(LOST_PER_ROUND);
        let skip = self.turn.checked_rem(lost.len()).unwrap_or(0);
        for place in lost.iter().cycle().skip(skip).take(lost.len().min(LOST_PER_ROUND)) {
            members.entry(*place).or_insert(false);
        }
    }
}
