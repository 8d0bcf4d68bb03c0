//! `StandIns`: the places of an operation in which others are asked to stand in.
//!
//! It owns how many stand-ins are left, where one was asked, did it or failed, and which places are
//! chosen for the next. When one is needed is for the write or the read to say; who stands in is the
//! caller's choice.

use crate::{Effect, Input, ReplicaSet, Requirement};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandIns {
    /// How many more may be asked. One that failed is used up, since the caller has tried them all.
    pub(crate) left: usize,
    /// The places for which one was asked; the two sets below are disjoint parts of it.
    pub(crate) asked: ReplicaSet,
    pub(crate) done: ReplicaSet,
    refused: ReplicaSet,
}

impl StandIns {
    pub(crate) fn new(left: usize) -> StandIns {
        StandIns { left, asked: ReplicaSet::EMPTY, done: ReplicaSet::EMPTY, refused: ReplicaSet::EMPTY }
    }

    /// Notes what a stand-in did.
    pub(crate) fn note(&mut self, input: Input) {
        match input {
            Input::StoodIn { replica } if self.asked.contains(replica) => {
                self.done.insert(replica);
                self.refused.remove(replica);
            }
            Input::NoStandIn { replica } if self.pending().contains(replica) => {
                self.refused.insert(replica);
            }
            Input::Answer { .. } | Input::Error { .. } | Input::StoodIn { .. } | Input::NoStandIn { .. } => {}
        }
    }

    /// The places in which one was asked and has neither done it nor failed.
    pub(crate) fn pending(&self) -> ReplicaSet {
        self.asked.difference(self.done).difference(self.refused)
    }

    /// Asks for one in each of these places.
    pub(crate) fn ask(&mut self, places: ReplicaSet, out: &mut impl Extend<Effect>) {
        assert!(places.len() <= self.left, "an operation asks for no more stand-ins than there are");
        assert!(places.intersection(self.asked).is_empty(), "a place is stood in for once");
        self.left -= places.len();
        self.asked = self.asked.union(places);
        out.extend(places.iter().map(|replica| Effect::StandIn { replica }));
    }

    /// At most `most` places, as few as meet the requirement together with those that it `has`;
    /// fewer when more would not help, and then the requirement is not met.
    ///
    /// The place that serves most unmet sets goes first, then one that is `better`, then the lowest
    /// position. This finds the fewest for one set, for sets that do not overlap, and for any two
    /// sets: a place that serves both of two is never worse than one that serves a single set. Three
    /// or more sets that overlap may take more than the fewest (the set cover problem).
    pub(crate) fn choose(
        &self,
        requirement: &Requirement,
        has: ReplicaSet,
        better: ReplicaSet,
        others: ReplicaSet,
        most: usize,
    ) -> ReplicaSet {
        let mut chosen = ReplicaSet::EMPTY;
        let candidates = better.union(others).difference(self.asked).difference(has);
        while chosen.len() < most.min(self.left) {
            let left = candidates.difference(chosen);
            let serves = |place: usize| {
                let sets = requirement.sets().iter();
                sets.filter(|set| set.members.contains(place) && !set.is_met(has.union(chosen))).count()
            };
            // The largest wins, so the lowest position has to rank highest.
            let rank = |&place: &usize| (serves(place), better.contains(place), core::cmp::Reverse(place));
            let Some(best) = left.iter().max_by_key(rank).filter(|&place| serves(place) > 0) else { break };
            chosen.insert(best);
        }
        chosen
    }
}
