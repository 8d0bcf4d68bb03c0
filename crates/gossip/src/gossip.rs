//! Owns the machine: its state, its verbs, and what follows from a changed judgement. How knowledge
//! is exchanged is `gossip/exchange.rs`, what happens as time passes is `gossip/round.rs`.

mod exchange;
mod round;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt::Debug;
use core::iter;
use core::ops::Bound;
use core::time::Duration;

use crate::config::Config;
use crate::io::{Effect, Event, Evidence, Input};
use crate::judgement::{Testimony, judge};
use crate::member::{Incarnation, Member, Profile, State, one_voice_each};
use crate::message::{MAX_ENTRIES, Message};
use crate::random::Random;
use crate::zombie::ZombieGuard;

/// One node's part in the gossip: its member list, and the rules by which it changes.
///
/// `I` is the node id, `A` the address, `M` whatever else members tell about themselves.
///
/// Feed it every message with [`handle`](Gossip::handle), call
/// [`handle_timeout`](Gossip::handle_timeout) when [`next_timeout`](Gossip::next_timeout) is due,
/// and do what the effects say. `now` is the time since an epoch of the caller's choice, the same
/// for all calls; it should not go back, and if it does nothing worse happens than a longer wait.
///
/// Handling a message of m entries at n members takes O((m + n) log n), and so does a round; while
/// s suspicions are open (each of one member against one other) a change among them adds
/// O(s log n).
#[derive(Clone, Debug)]
pub struct Gossip<I, A, M> {
    config: Config,
    random: Random,
    me: Member<I, A, M>,
    /// All other members. At most [`MAX_ENTRIES`] with this node.
    others: BTreeMap<I, Member<I, A, M>>,
    kept: BTreeSet<I>,
    zombies: ZombieGuard<I>,
    seeds: Vec<A>,
    /// Addresses from an earlier run, until their members are known to have left.
    known: Vec<(I, A)>,
    next_round: Duration,
    /// Somebody suspects this node, in this incarnation of it.
    accused: Option<Incarnation>,
    /// This round's refutation has been used.
    refuted: bool,
    /// Something changed that the judgement depends on.
    unsettled: bool,
}

impl<I, A, M> Gossip<I, A, M>
where
    I: Ord + Clone + Debug,
    A: Ord + Clone + Debug,
    M: Clone + PartialEq + Debug,
{
    /// A node that knows nobody yet. Its first round is due at once.
    ///
    /// - `incarnation` must be higher than any this id has spoken with before; if it is not, the
    ///   others' memory of the earlier life wins until [`Event::Superseded`] corrects it.
    /// - `seeds` are addresses of nodes to find the others by; its own among them is ignored.
    /// - `known` are members, with their addresses, remembered from an earlier run; they are
    ///   contacted like seeds.
    /// - `seed` determines all random choices. Give each node a different one.
    ///
    /// # Panics
    ///
    /// If [`Config::validate`] refuses `config`.
    #[expect(clippy::too_many_arguments, reason = "all are needed, each once, and of different types")]
    pub fn new(
        config: Config,
        id: I,
        incarnation: Incarnation,
        profile: Profile<A, M>,
        seeds: Vec<A>,
        mut known: Vec<(I, A)>,
        seed: u64,
        now: Duration,
    ) -> Self {
        if let Err(error) = config.validate() {
            panic!("the configuration must have been validated: {error}");
        }
        known.retain(|(known, _)| *known != id);
        Self {
            random: Random::new(seed),
            me: Member {
                id,
                incarnation,
                heartbeat: 0,
                left: false,
                version: 1,
                profile,
                suspects: Vec::new(),
                state: State::Up,
                since: now,
                last_rise: None,
                failed_at: None,
                stalled: false,
            },
            others: BTreeMap::new(),
            kept: BTreeSet::new(),
            zombies: ZombieGuard::new(config.forget_after),
            seeds,
            known,
            next_round: now,
            accused: None,
            refuted: false,
            unsettled: false,
            config,
        }
    }

    /// Takes in something that happened outside.
    pub fn handle(&mut self, now: Duration, input: Input<I, A, M>, out: &mut impl Extend<Effect<I, A, M>>) {
        match input {
            Input::Message(Message::Syn { from, digests }) => {
                self.on_syn(now, from, digests, out);
            }
            Input::Message(Message::Ack { from, updates, wanted }) => self.on_ack(now, from, updates, wanted, out),
            Input::Message(Message::Ack2 { updates }) => self.on_ack2(now, updates, out),
            Input::Evidence { id, evidence } => self.on_evidence(now, &id, evidence, out),
            Input::Leave => self.on_leave(now, out),
        }
    }

    /// Runs the round that is due, if one is. Suspicions fall due in rounds.
    ///
    /// A call that comes late by more than a round interval tells that this node was held up and
    /// could not listen; by so much longer it waits for everybody else's heartbeat.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Extend<Effect<I, A, M>>) {
        if now >= self.next_round {
            self.on_round(now, out);
        }
    }

    /// When to call [`handle_timeout`](Gossip::handle_timeout) next. There is always a next round.
    pub fn next_timeout(&self) -> Option<Duration> {
        Some(self.next_round)
    }

    /// Says something new of this node. It spreads with the next rounds, unless nothing changed.
    pub fn set_profile(&mut self, profile: Profile<A, M>) {
        if self.me.profile != profile {
            self.me.profile = profile;
            self.me.version = self.me.version.saturating_add(1);
        }
    }

    /// Raises this node's incarnation to at least this. [`Event::Superseded`] says what that is good for.
    pub fn raise(&mut self, incarnation: Incarnation) {
        self.me.incarnation = self.me.incarnation.max(incarnation);
    }

    /// From now on exactly these members are never forgotten, however long they are away.
    pub fn keep(&mut self, ids: BTreeSet<I>) {
        self.kept = ids;
    }

    /// This node's id.
    pub fn me(&self) -> &I {
        &self.me.id
    }

    /// This node's incarnation: the one it started with, raised by every [`Event::Refuted`] and
    /// [`Event::Superseded`]. Remember it: its next process must start above it.
    pub fn incarnation(&self) -> Incarnation {
        self.me.incarnation
    }

    /// All members, this node included, in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = &Member<I, A, M>> {
        let below = (Bound::Unbounded, Bound::Excluded(&self.me.id));
        let above = (Bound::Excluded(&self.me.id), Bound::Unbounded);
        let below = self.others.range::<I, _>(below).map(|(_, member)| member);
        let above = self.others.range::<I, _>(above).map(|(_, member)| member);
        below.chain(iter::once(&self.me)).chain(above)
    }

    /// The member with this id, which may be this node, if it is known.
    pub fn member(&self, id: &I) -> Option<&Member<I, A, M>> {
        if *id == self.me.id {
            return Some(&self.me);
        }
        self.others.get(id)
    }

    fn on_evidence(&mut self, now: Duration, id: &I, evidence: Evidence, out: &mut impl Extend<Effect<I, A, M>>) {
        let Some(member) = self.others.get_mut(id) else {
            return;
        };
        match evidence {
            Evidence::Failed => {
                member.failed_at.get_or_insert(now);
            }
            Evidence::Answered => {
                member.failed_at = None;
                if member.stalled && now < member.suspicion_due(self.config.suspect_after) {
                    member.stalled = false;
                    self.unsettled = true;
                }
            }
        }
        self.settle(now, out);
    }

    /// Whether there is room for one more member.
    fn has_room(&self) -> bool {
        self.others.len() + 1 < MAX_ENTRIES
    }

    /// Draws the consequences if anything the judgement depends on has changed: what this node says
    /// of the others, what it believes of them, and what it answers if it is suspected itself.
    fn settle(&mut self, now: Duration, out: &mut impl Extend<Effect<I, A, M>>) {
        if core::mem::take(&mut self.unsettled) {
            self.testify();
            self.judge(now, out);
        }
        self.refute(out);
    }

    /// Publishes whom this node suspects at first hand, or suspected until it forgot them.
    fn testify(&mut self) {
        let stalled = self.others.values().filter(|member| member.stalled);
        let stalled = stalled.map(|member| (&member.id, member.incarnation));
        let suspects = stalled.chain(self.zombies.down());
        let suspects = suspects.map(|(id, incarnation)| (id.clone(), incarnation));
        let suspects = one_voice_each(suspects.collect());
        if self.me.suspects != suspects {
            self.me.suspects = suspects;
            self.me.version = self.me.version.saturating_add(1);
        }
    }

    fn judge(&mut self, now: Duration, out: &mut impl Extend<Effect<I, A, M>>) {
        let members: Vec<_> = self.members().collect();
        let testimonies: Vec<_> = members
            .iter()
            .map(|member| Testimony {
                id: &member.id,
                incarnation: member.incarnation,
                left: member.left,
                stalled: member.stalled,
                suspects: &member.suspects,
            })
            .collect();
        let verdicts = members.iter().zip(judge(&testimonies));
        let changed: Vec<(I, State)> = verdicts
            .filter(|(member, verdict)| member.state != *verdict)
            .map(|(member, verdict)| (member.id.clone(), verdict))
            .collect();
        for (id, to) in changed {
            let member = match self.others.get_mut(&id) {
                Some(member) => member,
                // Only leaving changes what this node believes of itself: it knows that it lives.
                None if self.me.left => &mut self.me,
                None => continue,
            };
            let from = core::mem::replace(&mut member.state, to);
            member.since = now;
            if to == State::Left {
                self.known.retain(|(known, _)| *known != id);
            }
            out.extend([Effect::Event(Event::StateChanged { id, from, to })]);
        }
    }

    /// Answers a suspicion against this node with a higher incarnation, which voids it everywhere
    /// (SWIM, section 4.2). Once a round, lest two nodes that disagree drive each other upwards as
    /// fast as messages travel.
    fn refute(&mut self, out: &mut impl Extend<Effect<I, A, M>>) {
        if self.me.left || self.refuted || self.accused != Some(self.me.incarnation) {
            return;
        }
        if let Some(higher) = self.me.incarnation.0.checked_add(1) {
            self.refuted = true;
            self.me.incarnation = Incarnation(higher);
            out.extend([Effect::Event(Event::Refuted { incarnation: self.me.incarnation })]);
        }
    }
}
