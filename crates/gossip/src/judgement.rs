//! Owns the verdict on every member, from what all members say: pure functions. When they are asked, and what follows, is
//! `gossip/judging.rs`.
//!
//! A member is judged by *witnesses*: credible members that suspect it. Who is credible depends on the verdicts, and the
//! verdicts on who is credible. Left to itself that circle can turn for ever (three that accuse each other in a ring, and a
//! fourth that accuses all three), so it is walked exactly twice: first everybody counts whom the observer itself neither
//! suspects nor knows to have left or died, then those convicted the first time count no more.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::member::State;

/// One member that somebody suspects.
#[derive(Clone, Debug)]
pub(crate) struct Case<I> {
    pub(crate) target: I,
    /// The members whose suspicions of it hold, each once; the observer among them if it suspects it.
    pub(crate) witnesses: Vec<I>,
}

/// What an observer knows of the rest.
pub(crate) trait Court<I> {
    /// Whether what this member says counts at first: it is known, has neither left nor died, and is not suspected by the
    /// observer.
    fn is_credible(&self, member: &I) -> bool;
    /// How many are credible.
    fn credible(&self) -> usize;
    /// How many witnesses convict.
    fn needed(&self) -> usize;
}

/// The verdict on a member that did not leave.
///
/// `witnesses` of the `usable` members, that is those that could be witnesses, suspect it. As many are `needed`, or one if
/// there is no second: then nobody can tell a dead member from a cut line.
pub(crate) fn verdict(witnesses: usize, usable: usize, needed: usize) -> State {
    assert!(witnesses <= usable, "a witness is one of those that could be");
    match (witnesses, usable) {
        (0, _) => State::Up,
        (1, 1) => State::Unreachable,
        (enough, _) if enough >= needed => State::Down,
        _ => State::Suspect,
    }
}

/// The verdicts on all `cases`, in their order. Everybody else is up.
///
/// Takes O(suspicions * log(members)).
pub(crate) fn judge<I: Ord + Clone>(cases: &[Case<I>], court: &impl Court<I>) -> Vec<State> {
    let mut convicted = BTreeSet::new();
    let mut credible = court.credible();
    let first = hear(cases, court, &convicted, credible);
    for (case, _) in cases.iter().zip(first).filter(|(_, state)| !state.is_live()) {
        credible -= usize::from(court.is_credible(&case.target));
        convicted.insert(case.target.clone());
    }
    hear(cases, court, &convicted, credible)
}

/// The verdicts if those credible count, except these.
fn hear<I: Ord>(cases: &[Case<I>], court: &impl Court<I>, except: &BTreeSet<I>, credible: usize) -> Vec<State> {
    let mut asked: BTreeMap<&I, bool> = BTreeMap::new();
    let mut counts = |id| *asked.entry(id).or_insert_with(|| court.is_credible(id) && !except.contains(id));
    let mut verdicts = Vec::with_capacity(cases.len());
    for case in cases {
        let witnesses = case.witnesses.iter().filter(|it| **it != case.target && counts(it)).count();
        let usable = credible - usize::from(counts(&case.target));
        verdicts.push(verdict(witnesses, usable, court.needed()));
    }
    verdicts
}

#[cfg(test)]
mod tests;
