//! The verdict against its table, and the whole judgement against a naive reading of the rules.

use super::*;
use std::vec;

#[test]
fn the_verdict_table() {
    use State::{Down, Suspect, Unreachable, Up};
    let table = [
        // usable:   0     1           2        3        4
        (0, [Some(Up), Some(Up), Some(Up), Some(Up), Some(Up)]),
        (1, [None, Some(Unreachable), Some(Suspect), Some(Suspect), Some(Suspect)]),
        (2, [None, None, Some(Down), Some(Down), Some(Down)]),
        (3, [None, None, None, Some(Down), Some(Down)]),
    ];
    for (witnesses, row) in table {
        for (usable, expected) in row.into_iter().enumerate() {
            if let Some(expected) = expected {
                assert_eq!(verdict(witnesses, usable, 2), expected, "{witnesses} witnesses of {usable}");
            }
        }
    }
    assert_eq!(verdict(1, 2, 1), Down, "if one is enough");
    assert_eq!(verdict(1, 1, 1), Unreachable, "nobody else could know");
}

/// Members are numbered; 0 is the observer.
#[derive(Clone, Default)]
struct World {
    left: BTreeSet<usize>,
    /// Whom each member suspects.
    suspects: Vec<Vec<usize>>,
}

impl World {
    fn new(suspects: &[&[usize]]) -> Self {
        Self { left: BTreeSet::new(), suspects: suspects.iter().map(|list| list.to_vec()).collect() }
    }

    fn judged(&self) -> Vec<State> {
        let accuse = |target: usize| (0..self.suspects.len()).filter(move |it| self.suspects[*it].contains(&target));
        let cases: Vec<_> = (0..self.suspects.len())
            .map(|target| Case { target, witnesses: accuse(target).collect() })
            .filter(|case| !case.witnesses.is_empty() && !self.left.contains(&case.target))
            .collect();
        let mut states = vec![State::Up; self.suspects.len()];
        for (case, state) in cases.iter().zip(judge(&cases, self)) {
            states[case.target] = state;
        }
        self.left.iter().for_each(|left| states[*left] = State::Left);
        states
    }

    /// The rules word by word, with sets and no cleverness.
    fn naive(&self) -> Vec<State> {
        let all: Vec<usize> = (0..self.suspects.len()).collect();
        let verdict = |discredited: &BTreeSet<usize>, target: usize| {
            if self.left.contains(&target) {
                return State::Left;
            }
            let mut usable: BTreeSet<usize> = all.iter().copied().filter(|it| self.is_credible(it)).collect();
            usable.retain(|it| *it != target && !discredited.contains(it));
            let witnesses = usable.iter().filter(|it| self.suspects[**it].contains(&target)).count();
            let need = usable.len().min(2);
            match witnesses {
                0 => State::Up,
                enough if enough >= need && need == 2 => State::Down,
                enough if enough >= need => State::Unreachable,
                _ => State::Suspect,
            }
        };
        let first = all.iter().filter(|it| matches!(verdict(&BTreeSet::new(), **it), State::Down | State::Unreachable));
        let discredited = first.copied().collect();
        all.iter().map(|target| verdict(&discredited, *target)).collect()
    }
}

impl Court<usize> for World {
    fn is_credible(&self, member: &usize) -> bool {
        !self.left.contains(member) && (*member == 0 || !self.suspects[0].contains(member))
    }

    fn credible(&self) -> usize {
        (0..self.suspects.len()).filter(|it| self.is_credible(it)).count()
    }

    fn needed(&self) -> usize {
        2
    }
}

/// Every cluster of an observer and up to three others: who suspects whom, who has left.
#[test]
fn every_small_cluster_is_judged_as_the_rules_say() {
    let mut seen = BTreeSet::new();
    for n in 1..=4_usize {
        for left in 0..1_u32 << n {
            for lists in 0..1_u32 << (n * n) {
                let suspects_itself = (0..n).any(|i| lists >> (i * n + i) & 1 == 1);
                if suspects_itself && lists % 7 != 0 {
                    continue; // Nobody does but a liar; a part of these cases is enough.
                }
                let list = |i: usize| (0..n).filter(|t| lists >> (i * n + t) & 1 == 1).collect();
                let left = (0..n).filter(|i| left >> i & 1 == 1).collect();
                let world = World { left, suspects: (0..n).map(list).collect() };
                let states = world.judged();
                assert_eq!(states, world.naive(), "n {n}, left {:?}, lists {lists:b}", world.left);
                seen.extend(states);
            }
        }
    }
    assert_eq!(seen.len(), 5, "every verdict occurs: {seen:?}");
}

#[test]
fn a_silent_member_needs_two_witnesses() {
    assert_eq!(World::new(&[&[2], &[], &[]]).judged()[2], State::Suspect);
    assert_eq!(World::new(&[&[2], &[2], &[]]).judged()[2], State::Down);
}

#[test]
fn with_two_nodes_the_other_is_unreachable_and_never_down() {
    assert_eq!(World::new(&[&[1], &[0]]).judged()[1], State::Unreachable);
}

#[test]
fn a_survivor_of_three_does_not_wait_for_the_dead_to_testify() {
    let states = World::new(&[&[1, 2], &[], &[]]).judged();
    assert_eq!(states, [State::Up, State::Unreachable, State::Unreachable]);
}

#[test]
fn what_a_member_judged_down_says_does_not_count() {
    // 0 does not suspect 1 itself, but 3 and 4 convict it; so 1 and 3 do not convict 2.
    let states = World::new(&[&[], &[2], &[], &[1, 2], &[1]]).judged();
    assert_eq!(states[1..], [State::Down, State::Suspect, State::Up, State::Up]);
}

#[test]
fn a_ring_of_accusers_gets_one_stable_verdict() {
    let ring = World::new(&[&[], &[2], &[3], &[1], &[1, 2, 3]]);
    assert_eq!(ring.judged()[1..4], [State::Suspect; 3]);
}
