//! The naive oracle the tests compare with: what must have been decided after a list of events.
//!
//! It is written over lists of positions, without masks and without state, so that it shares no
//! mistake with the machines.

use core::ops::RangeInclusive;
use proptest::prelude::*;
use std::vec::Vec;

use crate::{Input, Outcome, QuorumSet, ReplicaSet, Requirement};

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

/// Who has answered after these events: whoever ever did.
pub(crate) fn answered(events: &[Input]) -> Vec<usize> {
    events
        .iter()
        .filter_map(|event| match event {
            Input::Answer { replica } => Some(*replica),
            Input::Error { .. } => None,
        })
        .collect()
}

/// Who has failed after these events: whoever was down or erred and has never answered.
pub(crate) fn failed(down: &[usize], events: &[Input]) -> Vec<usize> {
    let answered = answered(events);
    let erred = events.iter().filter_map(|event| match event {
        Input::Error { replica } => Some(*replica),
        Input::Answer { .. } => None,
    });
    down.iter().copied().chain(erred).filter(|replica| !answered.contains(replica)).collect()
}

/// What these events decide, had nothing been decided before them.
fn decided(sets: &Sets, down: &[usize], events: &[Input]) -> Option<Outcome> {
    let (answered, failed) = (answered(events), failed(down, events));
    let count = |members: &[usize], of: &[usize]| members.iter().filter(|m| of.contains(m)).count();
    if sets.iter().all(|(members, need)| count(members, &answered) >= *need) {
        Some(Outcome::Reached)
    } else if sets.iter().any(|(members, need)| members.len() - count(members, &failed) < *need) {
        Some(Outcome::Impossible)
    } else {
        None
    }
}

/// How the operation must have ended after these events: as the first of their beginnings that
/// decides.
pub(crate) fn outcome(sets: &Sets, down: &[usize], events: &[Input]) -> Option<Outcome> {
    (0..=events.len()).find_map(|seen| decided(sets, down, &events[..seen]))
}
