//! [`Repair`]: writing back what a strict read is about to return, so that no later read misses it.
//!
//! It owns who is sent the merged record and when enough hold it. It does not know the record, and
//! it comes after a [`Read`](crate::Read), which found out who holds what.

use core::time::Duration;

use crate::tally::Tally;
use crate::{Effect, Input, Outcome, ReplicaSet, Requirement};

#[cfg(test)]
mod tests;

/// The second phase of a strict read (Attiya, Bar-Noy and Dolev, "Sharing Memory Robustly in
/// Message-Passing Systems", 1995): before the read is answered, enough replicas durably hold what it
/// returns. Else a read that comes later could meet only replicas that do not, and go back in time.
///
/// - **Those that were behind** in the read are sent the merged record, whether the requirement needs
///   them or not: they have just answered, and lack it.
/// - **All others** that are not known to be down are sent it too when those and the holders are not
///   enough, from the start or after failures.
///
/// ```
/// use core::time::Duration;
/// use kvorum_quorum::{Effect, Input, Level, Outcome, Repair, ReplicaSet, Requirement};
///
/// // Replicas 0 and 1 were read; 1 had an older version.
/// let two = Requirement::resolve(Level::Two, &[0, 0, 0], 0)?;
/// let (all, holders, behind) = (ReplicaSet::first(3), ReplicaSet::single(0), ReplicaSet::single(1));
/// let (ms, down) = (Duration::from_millis, ReplicaSet::EMPTY);
/// let mut out = Vec::new();
/// let mut repair = Repair::start(ms(2), two, all, holders, behind, down, ms(1000), &mut out);
/// assert_eq!(out, [Effect::Repair { replica: 1 }]);
///
/// out.clear();
/// repair.handle(ms(3), Input::Error { replica: 1 }, &mut out);
/// assert_eq!(out, [Effect::Repair { replica: 2 }]);
/// out.clear();
/// repair.handle(ms(5), Input::Answer { replica: 2 }, &mut out);
/// assert_eq!(out, [Effect::Done(Outcome::Reached)]); // The read may be answered.
/// # Ok::<(), kvorum_quorum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    tally: Tally,
    asked: ReplicaSet,
}

impl Repair {
    /// Starts a repair.
    ///
    /// `requirement` is that of a *write*: how many must hold the record, so that every read with
    /// R + W > N meets it. `holders` have it already and count as answered. `behind` answered the
    /// read with something older, or nothing; one that is a holder as well is a holder. `down` are
    /// not sent to and count as failed, unless they are among `behind`: an answer is better evidence.
    /// `deadline` is absolute, in the same epoch as `now`.
    ///
    /// If the deadline has passed (`now` is at or after it) the only effect is `Done(TimedOut)`.
    /// Otherwise there is a `Repair` for every one of `behind`. When the end is known from the start,
    /// `Done` comes **before** these: `Done(Reached)` if the holders are enough already, or
    /// `Done(Impossible)` if all that are not down would not be. This is the only case in which
    /// anything follows `Done`.
    #[expect(clippy::too_many_arguments, reason = "four sets of replicas, each with its own meaning, and the time")]
    pub fn start(
        now: Duration,
        requirement: Requirement,
        replicas: ReplicaSet,
        holders: ReplicaSet,
        behind: ReplicaSet,
        down: ReplicaSet,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) -> Repair {
        let behind = behind.intersection(replicas).difference(holders);
        let failed = down.difference(holders).difference(behind);
        let mut repair =
            Repair { tally: Tally::new(requirement, replicas, failed, deadline), asked: ReplicaSet::EMPTY };
        repair.tally.answered = holders.intersection(replicas);
        repair.tally.expire(now, out);
        if !repair.tally.is_done() {
            repair.end_if_decided(out);
            repair.send(behind, out);
            repair.widen(out);
        }
        repair
    }

    /// Notes what happened to a replica; sends to all the others when those sent to are not enough any
    /// more, and ends the repair when it is decided. Stand-ins mean nothing here and are ignored.
    ///
    /// At or after the deadline the repair ends as [`Outcome::TimedOut`] whatever the input says, as
    /// if [`handle_timeout`](Repair::handle_timeout) had been called first.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
        self.tally.note(input);
        self.end_if_decided(out);
        self.widen(out);
    }

    /// Ends the repair when the deadline has come; too early, it does nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
    }

    /// When to call [`handle_timeout`](Repair::handle_timeout); `None` once the repair has ended.
    pub fn next_timeout(&self) -> Option<Duration> {
        (!self.tally.is_done()).then_some(self.tally.deadline)
    }

    /// The replicas that hold the record: the holders, and those that have answered, also after the
    /// end.
    pub fn answered(&self) -> ReplicaSet {
        self.tally.answered
    }

    /// The replicas that were down at the start or have failed since, and have not answered after
    /// all.
    pub fn failed(&self) -> ReplicaSet {
        self.tally.failed
    }

    /// The replicas that were sent to and have neither answered nor failed: those that are silent.
    pub fn open(&self) -> ReplicaSet {
        self.asked.intersection(self.tally.unsettled())
    }

    /// How the repair ended; `None` while it is under way.
    pub fn outcome(&self) -> Option<Outcome> {
        self.tally.outcome
    }

    /// What the repair needs: the requirement of a write.
    pub fn requirement(&self) -> &Requirement {
        &self.tally.requirement
    }

    fn end_if_decided(&mut self, out: &mut impl Extend<Effect>) {
        if self.tally.is_met(self.tally.answered) {
            self.tally.end(Outcome::Reached, out);
        } else if !self.tally.is_met(self.tally.answered.union(self.tally.unsettled())) {
            self.tally.end(Outcome::Impossible, out);
        }
    }

    /// Sends to all that may still answer, unless those sent to are enough.
    fn widen(&mut self, out: &mut impl Extend<Effect>) {
        if !self.tally.is_done() && !self.tally.is_met(self.tally.answered.union(self.open())) {
            self.send(self.tally.unsettled().difference(self.asked), out);
        }
    }

    fn send(&mut self, replicas: ReplicaSet, out: &mut impl Extend<Effect>) {
        self.asked = self.asked.union(replicas);
        out.extend(replicas.iter().map(|replica| Effect::Repair { replica }));
    }
}
