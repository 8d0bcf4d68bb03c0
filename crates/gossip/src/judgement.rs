//! Owns the verdict on every member, from what all members say: a pure function. When it is asked
//! for, and what follows from it, is `gossip.rs`.
//!
//! A member is judged by *witnesses*: credible members that suspect its current incarnation. Who is
//! credible depends on the verdicts, and the verdicts on who is credible. Left to itself that circle
//! can turn for ever (three that accuse each other in a ring, and a fourth that accuses all three),
//! so it is walked exactly twice: first everybody counts whom the observer itself neither suspects
//! nor knows to have left, then those convicted the first time count no more.

use alloc::vec;
use alloc::vec::Vec;

use crate::member::{Incarnation, State};

/// What an observer knows of a member that matters for the verdicts.
#[derive(Clone, Debug)]
pub(crate) struct Testimony<'a, I> {
    pub(crate) id: &'a I,
    pub(crate) incarnation: Incarnation,
    pub(crate) left: bool,
    /// The observer's own suspicion. It discredits: two that die at the same moment leave nobody
    /// else to testify against the other, and must not be waited for.
    pub(crate) stalled: bool,
    /// Whom the member says it suspects; no repetition.
    pub(crate) suspects: &'a [(I, Incarnation)],
}

/// The verdict on a member that did not leave.
///
/// `witnesses` of the `usable` members, that is those that could be witnesses, suspect it. Two are
/// needed, or one if there is no second: then nobody can tell a dead member from a cut line.
pub(crate) fn verdict(witnesses: usize, usable: usize) -> State {
    assert!(witnesses <= usable, "a witness is one of those that could be");
    match (witnesses, usable) {
        (0, _) => State::Up,
        (1, 1) => State::Unreachable,
        (1, _) => State::Suspect,
        _ => State::Down,
    }
}

/// The verdicts on all `members`, which are in the order of their ids and include the observer, in
/// the same order.
///
/// Takes O(members + suspicions * log(members)).
pub(crate) fn judge<I: Ord>(members: &[Testimony<'_, I>]) -> Vec<State> {
    debug_assert!(members.is_sorted_by(|a, b| a.id < b.id));
    let mut credible: Vec<bool> = members.iter().map(|m| !m.left && !m.stalled).collect();
    let first = hear(members, &credible);
    for (credible, state) in credible.iter_mut().zip(first) {
        *credible &= state.is_live();
    }
    hear(members, &credible)
}

/// The verdicts if exactly the `credible` members count.
fn hear<I: Ord>(members: &[Testimony<'_, I>], credible: &[bool]) -> Vec<State> {
    let heard = credible.iter().filter(|credible| **credible).count();
    let mut witnesses = vec![0; members.len()];
    for (witness, member) in members.iter().enumerate().filter(|(i, _)| credible[*i]) {
        for (target, incarnation) in member.suspects {
            let Ok(target) = members.binary_search_by(|m| m.id.cmp(target)) else {
                continue;
            };
            if target != witness && members[target].incarnation == *incarnation {
                witnesses[target] += 1;
            }
        }
    }
    let judged = members.iter().enumerate().map(|(i, member)| match member.left {
        true => State::Left,
        false => verdict(witnesses[i], heard - usize::from(credible[i])),
    });
    judged.collect()
}

#[cfg(test)]
mod tests;
