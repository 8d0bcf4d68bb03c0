//! The naive oracle the tests compare with: what must have been decided after a list of events.
//!
//! It is written over lists of positions, without masks and without counting along, so that it
//! shares no mistake with the machines.

use core::ops::RangeInclusive;
use proptest::prelude::*;
use std::vec::Vec;

use crate::{Effect, Input, Outcome, QuorumSet, ReplicaSet, Requirement};

/// A requirement as lists: the members of each set and how many of them must answer.
pub(crate) type Sets = Vec<(Vec<usize>, usize)>;

/// The same requirement as the machines take it.
pub(crate) fn requirement(sets: &Sets) -> Requirement {
    let sets: Vec<QuorumSet> = sets
        .iter()
        .map(|(members, need)| QuorumSet { members: set(members), need: u8::try_from(*need).unwrap() })
        .collect();
    Requirement::from_sets(&sets).unwrap()
}

/// "So many of the first n".
pub(crate) fn of_first(n: usize, need: usize) -> Sets {
    [((0..n).collect(), need)].into()
}

pub(crate) fn set(positions: &[usize]) -> ReplicaSet {
    positions.iter().copied().collect()
}

/// Every subset of the given positions.
pub(crate) fn subsets(positions: &[usize]) -> Vec<Vec<usize>> {
    positions.iter().fold([Vec::new()].into(), |mut all, &position| {
        for mut subset in all.clone() {
            subset.push(position);
            all.push(subset);
        }
        all
    })
}

/// Some of the first `n` positions, as many as `how_many` says.
pub(crate) fn some_of(n: usize, how_many: RangeInclusive<usize>) -> impl Strategy<Value = Vec<usize>> {
    proptest::sample::subsequence((0..n).collect::<Vec<_>>(), how_many)
}

/// One to `most` sets of the first `n` positions, overlapping or not.
pub(crate) fn any_sets(n: usize, most: usize) -> impl Strategy<Value = Sets> {
    let one =
        some_of(n, 1..=n).prop_flat_map(|members| (1..=members.len()).prop_map(move |need| (members.clone(), need)));
    proptest::collection::vec(one, 1..=most)
}

/// Any of the inputs for one of the first `n` positions, answers and errors more often.
pub(crate) fn any_input(n: usize) -> impl Strategy<Value = Input> {
    (0..n, 0..6).prop_map(|(replica, what)| match what {
        0 | 1 => Input::Answer { replica },
        2 | 3 => Input::Error { replica },
        4 => Input::StoodIn { replica },
        _ => Input::NoStandIn { replica },
    })
}

/// What an operation was asked to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) sets: &'a Sets,
    pub(crate) n: usize,
    pub(crate) down: &'a [usize],
    pub(crate) stand_ins: usize,
}

/// One call of the machine: what it was told, if anything, and what it then wanted done.
pub(crate) type Step = (Option<Input>, Vec<Effect>);

/// What can be known of an operation from its history, each as a list without order.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) sent: Vec<usize>,
    pub(crate) answered: Vec<usize>,
    /// Who erred and has never answered. Those down at the start are not here.
    pub(crate) erred: Vec<usize>,
    pub(crate) covered: Vec<usize>,
    pub(crate) stood_in: Vec<usize>,
    /// Where a stand-in was asked and has said nothing.
    pub(crate) pending: Vec<usize>,
    pub(crate) hinted: Vec<usize>,
    pub(crate) done: Vec<Outcome>,
}

impl Facts {
    /// After these steps, and then one more input.
    pub(crate) fn after(case: &Case<'_>, history: &[Step], input: Option<Input>) -> Facts {
        let mut facts = Facts::default();
        for (input, effects) in history {
            facts.hear(case, *input);
            for effect in effects {
                match *effect {
                    Effect::Send { replica } => facts.sent.push(replica),
                    Effect::StandIn { replica } => {
                        facts.covered.push(replica);
                        facts.pending.push(replica);
                    }
                    Effect::Hint { replica } => facts.hinted.push(replica),
                    Effect::Repair { .. } => panic!("neither a write nor a read repairs"),
                    Effect::Done(outcome) => facts.done.push(outcome),
                }
            }
        }
        facts.hear(case, input);
        facts
    }

    fn hear(&mut self, case: &Case<'_>, input: Option<Input>) {
        match input {
            Some(Input::Answer { replica }) if replica < case.n => {
                self.answered.push(replica);
                self.erred.retain(|&other| other != replica);
            }
            Some(Input::Error { replica }) if replica < case.n && !self.answered.contains(&replica) => {
                self.erred.push(replica);
            }
            Some(Input::StoodIn { replica }) if self.covered.contains(&replica) => {
                self.stood_in.push(replica);
                self.pending.retain(|&other| other != replica);
            }
            Some(Input::NoStandIn { replica }) => self.pending.retain(|&other| other != replica),
            _ => {}
        }
    }

    /// The silent ones.
    pub(crate) fn open(&self) -> Vec<usize> {
        without(&self.sent, &[&self.answered, &self.erred])
    }
}

pub(crate) fn all(lists: &[&[usize]]) -> Vec<usize> {
    lists.concat()
}

/// The positions of a list that are in none of the others.
pub(crate) fn without(list: &[usize], others: &[&[usize]]) -> Vec<usize> {
    let mut left: Vec<usize> =
        list.iter().copied().filter(|place| !others.iter().any(|other| other.contains(place))).collect();
    left.sort_unstable();
    left.dedup();
    left
}

/// Whether these places are enough in every set; a place counts once, however often it is listed.
pub(crate) fn enough(sets: &Sets, places: &[usize]) -> bool {
    sets.iter().all(|(members, need)| members.iter().filter(|member| places.contains(member)).count() >= *need)
}

/// How many of the candidates are enough at least together with those that there are already;
/// `None` when `most` of them never are. Tries them all.
pub(crate) fn fewest(sets: &Sets, has: &[usize], candidates: &[usize], most: usize) -> Option<usize> {
    if enough(sets, has) {
        return Some(0);
    }
    let good = |more: &Vec<usize>| more.len() <= most && enough(sets, &all(&[has, more]));
    subsets(candidates).into_iter().filter(good).map(|more| more.len()).min()
}
