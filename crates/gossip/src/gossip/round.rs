//! Owns what happens as time passes: heartbeats, stalled counters, forgetting, the choice of whom to
//! talk to, and the farewell. What is then said is `exchange.rs`.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use super::Gossip;
use crate::io::{Effect, Event};
use crate::member::{Member, State};
use crate::message::{MAX_ENTRIES, Message};

/// How many times the usual fan-out is contacted at moments that matter: saying goodbye, and
/// looking for others when alone.
const BURST: usize = 3;

impl<I, A, M> Gossip<I, A, M>
where
    I: Ord + Clone + Debug,
    A: Ord + Clone + Debug,
    M: Clone + PartialEq + Debug,
{
    pub(super) fn on_round(&mut self, now: Duration, out: &mut impl Extend<Effect<I, A, M>>) {
        let late = now.saturating_sub(self.next_round);
        if late > self.config.round_interval {
            let others = self.others.values_mut();
            others.for_each(|member| member.excuse(late, now));
        }
        self.next_round = now.saturating_add(self.jittered_interval());
        self.refuted = false;
        if !self.me.left {
            self.me.heartbeat = self.me.heartbeat.saturating_add(1);
        }
        self.notice_stalls(now);
        self.forget(now, out);
        self.settle(now, out);
        self.open_exchanges(out);
    }

    /// Marks this node as gone and says so to many at once, since it may not run for much longer.
    pub(super) fn on_leave(&mut self, now: Duration, out: &mut impl Extend<Effect<I, A, M>>) {
        if self.me.left {
            return;
        }
        self.me.left = true;
        self.me.heartbeat = self.me.heartbeat.saturating_add(1);
        self.me.version = self.me.version.saturating_add(1);
        self.unsettled = true;
        self.settle(now, out);
        let live = self.others.values().filter(|it| it.state.is_live());
        let live: Vec<A> = live.map(|it| it.profile.address.clone()).collect();
        let burst = self.config.fan_out.saturating_mul(BURST);
        for to in self.random.sample(live, burst) {
            let updates = [self.me.update(true)].into();
            let message = Message::Ack2 { updates };
            out.extend([Effect::Send { to, message }]);
        }
    }

    /// The round interval, give or take a tenth.
    fn jittered_interval(&mut self) -> Duration {
        const STEPS: u32 = 1024;
        let interval = self.config.round_interval;
        let step = self.random.below(u64::from(STEPS) + 1) as u32;
        (interval - interval / 10).saturating_add(interval / 5 / STEPS * step)
    }

    /// Suspects every member whose heartbeat is overdue.
    fn notice_stalls(&mut self, now: Duration) {
        let suspect_after = self.config.suspect_after;
        for member in self.others.values_mut().filter(|member| !member.left) {
            let stalled = now >= member.suspicion_due(suspect_after);
            self.unsettled |= stalled != member.stalled;
            member.stalled = stalled;
        }
    }

    fn forget(&mut self, now: Duration, out: &mut impl Extend<Effect<I, A, M>>) {
        self.unsettled |= self.zombies.expire(now);
        let forget_after = self.config.forget_after;
        let gone = self.others.values().filter(|member| {
            matches!(member.state, State::Down | State::Left)
                && now.saturating_sub(member.since) >= forget_after
                && !self.kept.contains(&member.id)
        });
        let gone: Vec<I> = gone.map(|member| member.id.clone()).collect();
        for id in gone {
            let Some(member) = self.others.remove(&id) else {
                unreachable!("it was found in the list a moment ago");
            };
            let down = member.state == State::Down;
            self.zombies.bury(id.clone(), member.incarnation, down, now);
            self.unsettled = true;
            out.extend([Effect::Event(Event::Forgotten { id })]);
        }
    }

    fn open_exchanges(&mut self, out: &mut impl Extend<Effect<I, A, M>>) {
        let targets = self.targets();
        let members = self.members().take(MAX_ENTRIES);
        let digests: Vec<_> = members.map(Member::digest).collect();
        let from = &self.me.profile.address;
        out.extend(
            targets
                .into_iter()
                .map(|to| Effect::Send { to, message: Message::Syn { from: from.clone(), digests: digests.clone() } }),
        );
    }

    /// Whom to contact in this round.
    ///
    /// Some live members, and now and then one that is not (partitions heal) and a seed (islands
    /// meet). With nobody live the search goes to everybody ever heard of; a sample in each round,
    /// since after a restart that may be a long list.
    fn targets(&mut self) -> Vec<A> {
        let Self { config, random, me, others, seeds, known, .. } = self;
        let own = &me.profile.address;
        let (mut live, mut lost) = (Vec::new(), Vec::new());
        for member in others.values().filter(|it| it.profile.address != *own) {
            match member.state {
                State::Up | State::Suspect => live.push(&member.profile.address),
                State::Unreachable | State::Down => lost.push(&member.profile.address),
                State::Left => {}
            }
        }
        let known = known.iter().map(|(_, address)| address);
        let mut contacts: Vec<&A> = seeds.iter().chain(known).filter(|it| *it != own).collect();
        let mut targets;
        if live.is_empty() {
            contacts.append(&mut lost);
            contacts.sort();
            contacts.dedup();
            targets = random.sample(contacts, config.fan_out.saturating_mul(BURST));
        } else {
            targets = random.sample(live, config.fan_out);
            if random.one_in(config.retry_every) {
                targets.append(&mut random.sample(lost, 1));
            }
            if random.one_in(config.seed_every) {
                targets.append(&mut random.sample(contacts, 1));
            }
            targets.sort();
            targets.dedup();
        }
        targets.into_iter().cloned().collect()
    }
}
