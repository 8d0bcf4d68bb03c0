//! `Tally`: the count that all operations share, and the one place where an operation ends.
//!
//! It owns which replicas have answered, which have failed, the deadline and the outcome. It never
//! sends anything, and what is still possible is for the operation to say.

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
    pub(crate) fn new(requirement: Requirement, replicas: ReplicaSet, failed: ReplicaSet, deadline: Duration) -> Tally {
        let failed = failed.intersection(replicas);
        Tally { requirement, replicas, answered: ReplicaSet::EMPTY, failed, deadline, outcome: None }
    }

    /// Notes what a replica itself did.
    pub(crate) fn note(&mut self, input: Input) {
        match input {
            Input::Answer { replica } if self.replicas.contains(replica) => {
                self.answered.insert(replica);
                self.failed.remove(replica);
            }
            Input::Error { replica } if self.unsettled().contains(replica) => {
                self.failed.insert(replica);
            }
            Input::Answer { .. } | Input::Error { .. } | Input::StoodIn { .. } | Input::NoStandIn { .. } => {}
        }
    }

    /// Ends the operation if the deadline has come.
    ///
    /// Every operation does this before it notes an input, so that the outcome depends on the time
    /// of the input and not on whether the caller looked at its timers or at its mail first.
    pub(crate) fn expire(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        if now >= self.deadline {
            self.end(Outcome::TimedOut, out);
        }
    }

    /// The first end counts; every later one is ignored.
    pub(crate) fn end(&mut self, outcome: Outcome, out: &mut impl Extend<Effect>) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            out.extend([Effect::Done(outcome)]);
        }
    }

    /// The replicas that may still answer, asked or not.
    pub(crate) fn unsettled(&self) -> ReplicaSet {
        self.replicas.difference(self.answered).difference(self.failed)
    }

    pub(crate) fn is_met(&self, places: ReplicaSet) -> bool {
        self.requirement.is_met(places)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.outcome.is_some()
    }
}
