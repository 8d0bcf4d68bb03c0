//! [`Read`]: one replicated read, asking just enough replicas and then others.
//!
//! It owns whom to ask next: after a failure, when an answer is slow, and as a last resort; and where
//! a stand-in is needed. It does not know what was read, merges no versions and repairs no replica;
//! and the order of preference is the caller's.

use core::time::Duration;

use crate::stand_ins::StandIns;
use crate::tally::Tally;
use crate::{Effect, HedgeBudget, Input, Outcome, QuorumSet, ReplicaSet, Requirement};

mod config;
#[cfg(test)]
mod tests;

pub use config::{Hedge, ReadConfig};

/// One replicated read (Dynamo, section 4.5, `get`, but asking only as many replicas as it needs).
///
/// - **At the start** each set of the requirement asks as many of its replicas as it needs, lowest
///   positions first: the caller lists replicas by preference.
/// - **A failure** is made good at once: every set that counted on the replica and is not met yet
///   asks its next replica.
/// - **A slow answer** is hedged: see [`Hedge`].
/// - **A stand-in** is asked, as long as there are any, in the place of a replica that is down or has
///   failed when the others cannot meet the requirement any more: as few as needed, each place at
///   most once. A replica that is [`late`](Hedge::late) has failed to answer in this sense when there
///   is no other replica to ask: then one more place is stood in for, of a replica that is down or
///   has failed if there is one, else its own.
/// - **Known to be down** is a reason to be asked last: a set falls back on such replicas only when
///   its answers, its other replicas and the stand-ins cannot meet it any more.
///
/// No replica is asked twice, and never one that no unmet set counts on. The read is impossible
/// only when all replicas, asked or not, with all the stand-ins left, cannot meet the requirement.
/// Once it has ended it does nothing more.
///
/// ```
/// use core::time::Duration;
/// use kvorum_quorum::{
///     Effect, Hedge, HedgeBudget, Input, Level, Outcome, Read, ReadConfig, ReplicaSet, Requirement,
/// };
///
/// let ms = Duration::from_millis;
/// let (mut budget, mut out) = (HedgeBudget::default(), Vec::new());
/// let config = ReadConfig {
///     requirement: Requirement::resolve(Level::One, &[0, 0, 0], 0)?,
///     replicas: ReplicaSet::first(3),
///     down: ReplicaSet::EMPTY,
///     stand_ins: 0,
///     deadline: ms(1000),
///     hedge: Some(Hedge { early: ms(20), late: ms(200) }),
/// };
/// budget.earn();
/// let mut read = Read::start(ms(0), config, &mut out);
/// assert_eq!(read.next_timeout(), Some(ms(20)));
/// read.handle_timeout(ms(20), &mut budget, &mut out); // Replica 0 is slow: hedge.
/// read.handle(ms(21), Input::Answer { replica: 1 }, &mut out);
/// assert_eq!(out[..2], [Effect::Send { replica: 0 }, Effect::Send { replica: 1 }]);
/// assert_eq!(out[2..], [Effect::Done(Outcome::Reached)]);
/// assert_eq!(read.hedged(), ReplicaSet::single(1));
/// # Ok::<(), kvorum_quorum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    tally: Tally,
    stand_ins: StandIns,
    asked: ReplicaSet,
    down: ReplicaSet,
    hedged: ReplicaSet,
    /// When to ask the budget for an early hedge; `None` once it was asked.
    early_at: Option<Duration>,
    /// When to hedge anyhow, and how long after each hedge again; `None` never hedges.
    late: Option<(Duration, Duration)>,
    /// Who was asked when `late` began to run: the silent ones of these are late when it has passed.
    awaited: ReplicaSet,
    sloppy: bool,
}

impl Read {
    /// Starts a read and asks the first of its replicas.
    ///
    /// If the deadline has passed (`now` is at or after it), the only effect is `Done(TimedOut)`;
    /// if the replicas cannot meet the requirement at all, it is `Done(Impossible)`. Nothing is sent
    /// then.
    pub fn start(now: Duration, config: ReadConfig, out: &mut impl Extend<Effect>) -> Read {
        let ReadConfig { requirement, replicas, down, stand_ins, deadline, hedge } = config;
        let mut read = Read {
            tally: Tally::new(requirement, replicas, ReplicaSet::EMPTY, deadline),
            stand_ins: StandIns::new(stand_ins),
            asked: ReplicaSet::EMPTY,
            down: down.intersection(replicas),
            hedged: ReplicaSet::EMPTY,
            early_at: hedge.map(|hedge| now.saturating_add(hedge.early)),
            late: hedge.map(|hedge| (now.saturating_add(hedge.late), hedge.late)),
            awaited: ReplicaSet::EMPTY,
            sloppy: false,
        };
        read.tally.expire(now, out);
        read.decide(out);
        read.ask_enough(out);
        read.awaited = read.asked;
        read
    }

    /// Notes what happened at a place; asks others in place of one that failed, and ends the read
    /// when it is decided.
    ///
    /// At or after the deadline the read ends as [`Outcome::TimedOut`] whatever the input says, as
    /// if [`handle_timeout`](Read::handle_timeout) had been called first.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
        let (before, waiting) = (self.taken(), self.open());
        self.tally.note(input);
        self.stand_ins.note(input);
        self.decide(out);
        if let Input::Error { replica } = input
            && waiting.contains(replica)
        {
            self.replace(replica, before, out);
        }
        self.ask_enough(out);
    }

    /// Ends the read when the deadline has come, else asks one more replica, or a stand-in, when a
    /// hedge is due; too early, it does nothing.
    ///
    /// The budget is asked once in a read at most, and only when there is a replica to ask.
    pub fn handle_timeout(&mut self, now: Duration, budget: &mut HedgeBudget, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
        if self.tally.is_done() {
            return;
        }
        let next = self.next_hedge();
        if self.late.is_some_and(|(at, _)| at <= now) {
            if let Some(replica) = next {
                self.hedge(now, replica, out);
            } else if let Some(place) = self.next_covered(self.awaited) {
                self.stand_ins.ask(ReplicaSet::single(place), out);
                self.restart_hedging(now);
            } else if self.next_covered(self.asked).is_some() {
                // Those that are silent were asked in between, and are to have their time.
                self.restart_hedging(now);
            }
        } else if let Some(replica) = next
            && self.early_at.take_if(|at| *at <= now).is_some()
            && budget.take()
        {
            self.hedge(now, replica, out);
        }
    }

    /// When to call [`handle_timeout`](Read::handle_timeout): the deadline or, while there is
    /// another replica or stand-in to ask, the next hedge if that is earlier. `None` once the read
    /// has ended.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.tally.is_done() {
            return None;
        }
        let somebody = self.next_hedge().is_some();
        let early = self.early_at.filter(|_| somebody);
        let late = self.late.filter(|_| somebody || self.next_covered(self.asked).is_some()).map(|(at, _)| at);
        [early, late].into_iter().flatten().chain([self.tally.deadline]).min()
    }

    /// The replicas asked so far.
    pub fn asked(&self) -> ReplicaSet {
        self.asked
    }

    /// The replicas asked because an answer was slow. How long these take is no sample for
    /// [`Latency`](crate::Latency), since they are asked only when something is slow.
    pub fn hedged(&self) -> ReplicaSet {
        self.hedged
    }

    /// The replicas that have themselves answered, also after the end.
    pub fn answered(&self) -> ReplicaSet {
        self.tally.answered
    }

    /// The replicas that have failed and have not answered after all. One that was only known to be
    /// down at the start is not among them.
    pub fn failed(&self) -> ReplicaSet {
        self.tally.failed
    }

    /// The replicas that were asked and have neither answered nor failed: those that are silent.
    pub fn open(&self) -> ReplicaSet {
        self.asked.intersection(self.tally.unsettled())
    }

    /// The places in which a stand-in did it, also after the end.
    pub fn stood_in(&self) -> ReplicaSet {
        self.stand_ins.done
    }

    /// Whether the read was reached only with the help of stand-ins: when it was, the true replicas
    /// that had answered were not enough. What answers later does not change it.
    pub fn is_sloppy(&self) -> bool {
        self.sloppy
    }

    /// How the read ended; `None` while it is under way.
    pub fn outcome(&self) -> Option<Outcome> {
        self.tally.outcome
    }

    /// What the read needs.
    pub fn requirement(&self) -> &Requirement {
        &self.tally.requirement
    }

    /// Ends the read if its fate is known, and asks the stand-ins it needs.
    fn decide(&mut self, out: &mut impl Extend<Effect>) {
        if self.tally.is_done() {
            return;
        }
        if self.tally.is_met(self.has()) {
            self.sloppy = !self.tally.is_met(self.tally.answered);
            return self.tally.end(Outcome::Reached, out);
        }
        let hopeful = self.hopeful();
        if self.tally.is_met(hopeful) {
            return;
        }
        // One that has failed is better covered than one that is down, which can still be asked.
        let (failed, down) = (self.tally.failed, self.down.intersection(self.tally.unsettled()));
        let (requirement, left) = (&self.tally.requirement, self.stand_ins.left);
        let mut places = self.stand_ins.choose(requirement, hopeful, failed, down, left);
        if !self.tally.is_met(hopeful.union(places)) {
            // Those that are down have to help. Only a stand-in can make good for one that has failed,
            // so these come before all others.
            let all = hopeful.union(down);
            places = self.stand_ins.choose(requirement, all, failed, ReplicaSet::EMPTY, left);
            if !self.tally.is_met(all.union(places)) {
                return self.tally.end(Outcome::Impossible, out);
            }
            let (covered, rest) = (hopeful.union(places), left - places.len());
            places = places.union(self.stand_ins.choose(requirement, covered, failed, down, rest));
        }
        self.stand_ins.ask(places, out);
    }

    /// Asks until what is on its way would be enough in every set.
    fn ask_enough(&mut self, out: &mut impl Extend<Effect>) {
        if self.tally.is_done() {
            return;
        }
        for index in 0..self.tally.requirement.sets().len() {
            let set = self.tally.requirement.sets()[index];
            while !set.is_met(self.coming().union(self.open())) {
                let next = self.preferred(self.candidates(&set));
                let replica = next.expect("a possible requirement has a replica to ask in each set that lacks one");
                self.ask(replica, out);
            }
        }
    }

    /// Asks the next replica of every unmet set that counted on the one that failed, unless it has got
    /// another one, or a stand-in, since `before`. One that is in several of these sets makes good for
    /// all of them.
    fn replace(&mut self, failed: usize, before: ReplicaSet, out: &mut impl Extend<Effect>) {
        if self.tally.is_done() {
            return;
        }
        for index in 0..self.tally.requirement.sets().len() {
            let set = self.tally.requirement.sets()[index];
            let replaced = set.count(self.taken().difference(before)) > 0 || self.coming().contains(failed);
            if !set.members.contains(failed) || set.is_met(self.has()) || replaced {
                continue;
            }
            if let Some(replica) = self.preferred(self.candidates(&set)) {
                self.ask(replica, out);
            }
        }
    }

    /// Whom a hedge would ask: the most preferred replica that any unmet set may ask.
    fn next_hedge(&self) -> Option<usize> {
        self.preferred(self.unmet().fold(ReplicaSet::EMPTY, |all, set| all.union(self.candidates(set))))
    }

    /// Where somebody is to stand in when there is no other replica to ask and the silent ones among
    /// the `awaited` are late.
    fn next_covered(&self, awaited: ReplicaSet) -> Option<usize> {
        if self.stand_ins.left == 0 {
            return None;
        }
        let late = awaited.intersection(self.open());
        let waiting = self.unmet().filter(|set| set.count(late) > 0);
        let members = waiting.fold(ReplicaSet::EMPTY, |all, set| all.union(set.members));
        let free = members.difference(self.has()).difference(self.stand_ins.asked);
        let missing = self.tally.failed.union(self.down.difference(self.asked));
        free.intersection(missing).lowest().or(free.intersection(late).lowest())
    }

    /// The sets that lack answers.
    fn unmet(&self) -> impl Iterator<Item = &QuorumSet> {
        self.tally.requirement.sets().iter().filter(|set| !set.is_met(self.has()))
    }

    /// The replicas this set may ask now: those that are not asked yet and not stood in for, and of
    /// those known to be down only if the set cannot be met without any that is.
    fn candidates(&self, set: &QuorumSet) -> ReplicaSet {
        let unasked = set.members.intersection(self.tally.unsettled()).difference(self.asked).difference(self.coming());
        if set.is_met(self.hopeful()) { unasked.difference(self.down) } else { unasked }
    }

    /// The lowest position, but any other before one that is known to be down.
    fn preferred(&self, candidates: ReplicaSet) -> Option<usize> {
        candidates.difference(self.down).lowest().or(candidates.lowest())
    }

    /// The places in which it is done.
    fn has(&self) -> ReplicaSet {
        self.tally.answered.union(self.stand_ins.done)
    }

    /// The places in which it is done, or a stand-in is at it.
    fn coming(&self) -> ReplicaSet {
        self.has().union(self.stand_ins.pending())
    }

    /// The places that are counted on, as long as there are enough of them.
    fn hopeful(&self) -> ReplicaSet {
        self.coming().union(self.tally.unsettled().difference(self.down))
    }

    /// The places for which anybody was ever asked.
    fn taken(&self) -> ReplicaSet {
        self.asked.union(self.stand_ins.asked)
    }

    fn hedge(&mut self, now: Duration, replica: usize, out: &mut impl Extend<Effect>) {
        self.ask(replica, out);
        self.hedged.insert(replica);
        self.restart_hedging(now);
    }

    fn restart_hedging(&mut self, now: Duration) {
        self.early_at = None;
        self.late = self.late.map(|(_, late)| (now.saturating_add(late), late));
        self.awaited = self.asked;
    }

    fn ask(&mut self, replica: usize, out: &mut impl Extend<Effect>) {
        let unasked = self.asked.insert(replica);
        assert!(unasked, "a read asks no replica twice");
        out.extend([Effect::Send { replica }]);
    }
}
