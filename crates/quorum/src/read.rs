//! [`Read`]: one replicated read, asking just enough replicas and then others.
//!
//! It owns whom to ask next: after a failure, when an answer is slow, and as a last resort. It does
//! not know what was read, merges no versions and repairs no replica; and the order of preference
//! is the caller's.

use core::time::Duration;

use crate::tally::Tally;
use crate::{Effect, Input, Outcome, QuorumSet, ReplicaSet, Requirement};

#[cfg(test)]
mod tests;

/// One replicated read (Dynamo, section 4.5, `get`, but asking only as many replicas as it needs).
///
/// - **At the start** each set of the requirement asks as many of its replicas as it needs, lowest
///   positions first: the caller lists replicas by preference.
/// - **A failure** is made good at once: every set that counted on the replica and is not met yet
///   asks its next replica.
/// - **A slow answer** is hedged: each time `hedge_after` has passed, one more replica is asked
///   (Dean and Barroso, "The Tail at Scale", 2013).
/// - **Known to be down** is a reason to be asked last: a set falls back on such replicas only when
///   its answers and its other replicas cannot meet it any more.
///
/// No replica is asked twice, and never one that no unmet set counts on. The read is impossible
/// only when all replicas, asked or not, cannot meet the requirement.
///
/// ```
/// use core::time::Duration;
/// use kvorum_quorum::{Effect, Input, Level, Outcome, Read, ReplicaSet, Requirement};
///
/// let one = Requirement::resolve(Level::One, &[0, 0, 0], 0)?;
/// let ms = Duration::from_millis;
/// let mut out = Vec::new();
/// let (replicas, down) = (ReplicaSet::first(3), ReplicaSet::EMPTY);
/// let mut read = Read::start(ms(0), one, replicas, down, ms(1000), Some(ms(20)), &mut out);
/// assert_eq!(read.next_timeout(), Some(ms(20)));
/// read.handle_timeout(ms(20), &mut out); // Replica 0 is slow: hedge.
/// read.handle(ms(21), Input::Answer { replica: 1 }, &mut out);
/// assert_eq!(out[..2], [Effect::Send { replica: 0 }, Effect::Send { replica: 1 }]);
/// assert_eq!(out[2..], [Effect::Done(Outcome::Reached)]);
/// # Ok::<(), kvorum_quorum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    tally: Tally,
    asked: ReplicaSet,
    down: ReplicaSet,
    hedge_after: Option<Duration>,
    /// When to hedge next, as long as there is somebody to ask; with `hedge_after`, never without
    /// it.
    hedge_at: Option<Duration>,
}

impl Read {
    /// Starts a read of `replicas` and asks the first of them.
    ///
    /// Those known to be `down` are asked only as a last resort. `deadline` is absolute, in the
    /// same epoch as `now`. `hedge_after` is how long to wait before asking one more replica,
    /// counted from the start and then from each hedge; `None` never hedges.
    ///
    /// If the deadline has passed (`now` is at or after it), the only effect is `Done(TimedOut)`;
    /// if `replicas` cannot meet the requirement at all, it is `Done(Impossible)`. Nothing is sent
    /// then.
    pub fn start(
        now: Duration,
        requirement: Requirement,
        replicas: ReplicaSet,
        down: ReplicaSet,
        deadline: Duration,
        hedge_after: Option<Duration>,
        out: &mut impl Extend<Effect>,
    ) -> Read {
        let tally = Tally::start(now, requirement, replicas, ReplicaSet::EMPTY, deadline, out);
        let hedge_at = hedge_after.map(|after| now.saturating_add(after));
        let mut read = Read { tally, asked: ReplicaSet::EMPTY, down, hedge_after, hedge_at };
        if !read.tally.is_done() {
            read.ask_enough(out);
        }
        read
    }

    /// Counts what happened to a replica; asks others in place of one that failed, and ends the
    /// read when it is decided.
    ///
    /// At or after the deadline the read ends as [`Outcome::TimedOut`] whatever the input says, as
    /// if [`handle_timeout`](Read::handle_timeout) had been called first.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut impl Extend<Effect>) {
        let waiting = self.open();
        self.tally.handle(now, input, out);
        if let Input::Error { replica } = input
            && waiting.contains(replica)
            && !self.tally.is_done()
        {
            self.replace(replica, out);
        }
    }

    /// Ends the read when the deadline has come, else asks one more replica when a hedge is due;
    /// too early, it does nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
        if self.tally.is_done() || self.hedge_at.is_none_or(|at| now < at) {
            return;
        }
        if let Some(replica) = self.next_hedge() {
            self.ask(replica, out);
            self.hedge_at = self.hedge_after.map(|after| now.saturating_add(after));
        }
    }

    /// When to call [`handle_timeout`](Read::handle_timeout): the deadline or, while there is
    /// another replica to ask, the next hedge if that is earlier. `None` once the read has ended.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.tally.is_done() {
            return None;
        }
        let deadline = self.tally.deadline;
        Some(self.hedge_at.filter(|_| self.next_hedge().is_some()).map_or(deadline, |at| at.min(deadline)))
    }

    /// The replicas asked so far.
    pub fn asked(&self) -> ReplicaSet {
        self.asked
    }

    /// The replicas that have answered, also after the end.
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

    /// How the read ended; `None` while it is under way.
    pub fn outcome(&self) -> Option<Outcome> {
        self.tally.outcome
    }

    /// What the read needs.
    pub fn requirement(&self) -> &Requirement {
        &self.tally.requirement
    }

    /// Asks until the answers on their way would be enough in every set.
    fn ask_enough(&mut self, out: &mut impl Extend<Effect>) {
        for index in 0..self.tally.requirement.sets().len() {
            let set = self.tally.requirement.sets()[index];
            while !set.is_met(self.asked) {
                let next = self.preferred(self.candidates(&set));
                let replica = next.expect("a possible requirement has a replica to ask in each set that lacks one");
                self.ask(replica, out);
            }
        }
    }

    /// Asks the next replica of every unmet set that counted on the one that failed. One that is in
    /// several of these sets makes good for all of them.
    fn replace(&mut self, failed: usize, out: &mut impl Extend<Effect>) {
        let before = self.asked;
        for index in 0..self.tally.requirement.sets().len() {
            let set = self.tally.requirement.sets()[index];
            let replaced = set.count(self.asked.difference(before)) > 0;
            if !set.members.contains(failed) || set.is_met(self.tally.answered) || replaced {
                continue;
            }
            if let Some(replica) = self.preferred(self.candidates(&set)) {
                self.ask(replica, out);
            }
        }
    }

    /// Whom a hedge would ask: the most preferred replica that any unmet set may ask.
    fn next_hedge(&self) -> Option<usize> {
        let sets = self.tally.requirement.sets().iter();
        let unmet = sets.filter(|set| !set.is_met(self.tally.answered));
        self.preferred(unmet.fold(ReplicaSet::EMPTY, |all, set| all.union(self.candidates(set))))
    }

    /// The replicas this set may ask now: those that are not asked yet, and of those known to be
    /// down only if the set cannot be met without any that is.
    fn candidates(&self, set: &QuorumSet) -> ReplicaSet {
        let unasked = set.members.intersection(self.tally.unsettled()).difference(self.asked);
        let hopeful = self.tally.answered.union(self.tally.unsettled().difference(self.down));
        if set.is_met(hopeful) { unasked.difference(self.down) } else { unasked }
    }

    /// The lowest position, but any other before one that is known to be down.
    fn preferred(&self, candidates: ReplicaSet) -> Option<usize> {
        candidates.difference(self.down).lowest().or(candidates.lowest())
    }

    fn ask(&mut self, replica: usize, out: &mut impl Extend<Effect>) {
        let unasked = self.asked.insert(replica);
        assert!(unasked, "a read asks no replica twice");
        out.extend([Effect::Send { replica }]);
    }
}
