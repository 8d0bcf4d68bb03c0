//! `Tally`: the count that a write and a read share, and the one place where an operation ends.
//!
//! It owns who has answered, who has failed, the deadline and the outcome. It never sends anything.

use core::time::Duration;

use crate::{Effect, Input, Outcome, ReplicaSet, Requirement};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requirement: Requirement,
    /// All replicas of the operation; the two sets below are disjoint parts of it.
    pub(crate) replicas: ReplicaSet,
    pub(crate) answered: ReplicaSet,
    pub(crate) failed: ReplicaSet,
    pub(crate) deadline: Duration,
    pub(crate) outcome: Option<Outcome>,
}

impl Tally {
    /// Starts to count, and ends at once when it is too late already or the failed ones are too
    /// many.
    pub(crate) fn start(
        now: Duration,
        requirement: Requirement,
        replicas: ReplicaSet,
        failed: ReplicaSet,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) -> Tally {
        let failed = failed.intersection(replicas);
        let mut tally = Tally { requirement, replicas, answered: ReplicaSet::EMPTY, failed, deadline, outcome: None };
        tally.expire(now, out);
        tally.decide(out);
        tally
    }

    /// Counts what happened. Lateness goes first, so that the outcome depends on the time of an
    /// input and not on whether the caller looked at its timers or at its mail first.
    pub(crate) fn handle(&mut self, now: Duration, input: Input, out: &mut impl Extend<Effect>) {
        self.expire(now, out);
        match input {
            Input::Answer { replica } if self.replicas.contains(replica) => {
                self.answered.insert(replica);
                self.failed.remove(replica);
            }
            Input::Error { replica } if self.unsettled().contains(replica) => {
                self.failed.insert(replica);
            }
            Input::Answer { .. } | Input::Error { .. } => {}
        }
        self.decide(out);
    }

    /// Ends the operation if the deadline has come.
    pub(crate) fn expire(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        if now >= self.deadline {
            self.end(Outcome::TimedOut, out);
        }
    }

    /// The replicas that may still answer, asked or not.
    pub(crate) fn unsettled(&self) -> ReplicaSet {
        self.replicas.difference(self.answered).difference(self.failed)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    fn decide(&mut self, out: &mut impl Extend<Effect>) {
        if self.requirement.is_met(self.answered) {
            self.end(Outcome::Reached, out);
        } else if !self.requirement.is_possible(self.answered, self.unsettled()) {
            self.end(Outcome::Impossible, out);
        }
    }

    /// The first end counts; every later one is ignored.
    fn end(&mut self, outcome: Outcome, out: &mut impl Extend<Effect>) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            out.extend([Effect::Done(outcome)]);
        }
    }
}
