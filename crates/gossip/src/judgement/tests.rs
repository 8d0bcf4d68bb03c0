//! The verdict against its table, and the whole judgement against a naive reading of the rules.

use super::*;
use std::collections::BTreeSet;
use std::vec::Vec;

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
                let found = verdict(witnesses, usable);
                assert_eq!(found, expected, "{witnesses} witnesses of {usable}");
            }
        }
    }
}

/// A member in these tests; its id is its index, its incarnation 1.
#[derive(Clone, Default)]
struct Case {
    left: bool,
    stalled: bool,
    suspects: Vec<(usize, Incarnation)>,
}

fn suspecting(targets: &[usize]) -> Case {
    Case { suspects: targets.iter().map(|t| (*t, Incarnation(1))).collect(), ..Case::default() }
}

fn judged(cases: &[Case]) -> Vec<State> {
    let ids: Vec<usize> = (0..cases.len()).collect();
    let members: Vec<_> = cases
        .iter()
        .zip(&ids)
        .map(|(case, id)| Testimony {
            id,
            incarnation: Incarnation(1),
            left: case.left,
            stalled: case.stalled,
            suspects: &case.suspects,
        })
        .collect();
    judge(&members)
}

/// The rules word by word, with sets and no cleverness.
fn naive(cases: &[Case]) -> Vec<State> {
    let judge = |discredited: &BTreeSet<usize>, target: usize| {
        if cases[target].left {
            return State::Left;
        }
        let usable: BTreeSet<usize> = (0..cases.len())
            .filter(|w| *w != target && !cases[*w].left && !cases[*w].stalled)
            .filter(|w| !discredited.contains(w))
            .collect();
        let charge = (target, Incarnation(1));
        let accuses = |w: &&usize| cases[**w].suspects.contains(&charge);
        let witnesses = usable.iter().filter(accuses).count();
        let need = usable.len().min(2);
        match witnesses {
            0 => State::Up,
            enough if enough >= need && need == 2 => State::Down,
            enough if enough >= need => State::Unreachable,
            _ => State::Suspect,
        }
    };
    let all = 0..cases.len();
    let first = |target: usize| judge(&BTreeSet::new(), target);
    let discredited: BTreeSet<usize> =
        all.clone().filter(|m| matches!(first(*m), State::Down | State::Unreachable)).collect();
    all.map(|target| judge(&discredited, target)).collect()
}

/// Every cluster of an observer (member 0) and up to three others: who suspects whom, who has left.
/// The observer's own suspicions are its own list, as in the machine.
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
                let mut cases: Vec<Case> = (0..n)
                    .map(|i| {
                        let list = lists >> (i * n);
                        let named: Vec<usize> = (0..n).filter(|t| list >> t & 1 == 1).collect();
                        let left = left >> i & 1 == 1;
                        Case { left, ..suspecting(&named) }
                    })
                    .collect();
                for (target, case) in cases.iter_mut().enumerate().skip(1) {
                    case.stalled = !case.left && lists >> target & 1 == 1;
                }
                let states = judged(&cases);
                assert_eq!(states, naive(&cases), "n {n}, left {left:b}, lists {lists:b}");
                seen.extend(states);
            }
        }
    }
    assert_eq!(seen.len(), 5, "every verdict occurs: {seen:?}");
}

#[test]
fn a_stalled_heartbeat_needs_two_witnesses() {
    let mut cases = [suspecting(&[2]), suspecting(&[]), suspecting(&[])];
    cases[2].stalled = true;
    assert_eq!(judged(&cases)[2], State::Suspect);
    cases[1] = suspecting(&[2]);
    assert_eq!(judged(&cases)[2], State::Down);
}

#[test]
fn with_two_nodes_the_other_is_unreachable_and_never_down() {
    let mut cases = [suspecting(&[1]), suspecting(&[0])];
    cases[1].stalled = true;
    assert_eq!(judged(&cases)[1], State::Unreachable);
}

#[test]
fn a_survivor_of_three_does_not_wait_for_the_dead_to_testify() {
    let mut cases = [suspecting(&[1, 2]), suspecting(&[]), suspecting(&[])];
    cases[1].stalled = true;
    cases[2].stalled = true;
    assert_eq!(judged(&cases), [State::Up, State::Unreachable, State::Unreachable]);
}

#[test]
fn a_suspicion_of_an_earlier_incarnation_does_not_count() {
    let mut cases = [suspecting(&[]), suspecting(&[2]), suspecting(&[])];
    cases[0].suspects = [(2, Incarnation(0))].into();
    assert_eq!(judged(&cases)[2], State::Suspect);
    cases[1].suspects = [(2, Incarnation(2))].into();
    assert_eq!(judged(&cases)[2], State::Up);
}

#[test]
fn what_a_member_judged_down_says_does_not_count() {
    // 0 and 3 convict 1, although 0 still hears it; so 1 and 3 do not convict 2.
    let cases = [suspecting(&[1]), suspecting(&[2]), suspecting(&[]), suspecting(&[1, 2])];
    assert_eq!(judged(&cases)[1..], [State::Down, State::Suspect, State::Up]);
}

#[test]
fn a_ring_of_accusers_gets_one_stable_verdict() {
    let ring = [suspecting(&[]), suspecting(&[2]), suspecting(&[3]), suspecting(&[1]), suspecting(&[1, 2, 3])];
    assert_eq!(judged(&ring)[1..4], [State::Suspect; 3]);
}
