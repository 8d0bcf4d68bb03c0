//! Repairs, one rule at a time; and against the oracle, in every order and at random.

use super::*;
use crate::oracle::{self, Sets, all, enough, of_first, requirement, set, subsets, without};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const START: Duration = Duration::from_millis(100);
const EARLY: Duration = Duration::from_millis(199);
const DEADLINE: Duration = Duration::from_millis(200);

const REACHED: Effect = Effect::Done(Outcome::Reached);
const IMPOSSIBLE: Effect = Effect::Done(Outcome::Impossible);
const TIMED_OUT: Effect = Effect::Done(Outcome::TimedOut);

fn repairs(replicas: &[usize]) -> Vec<Effect> {
    replicas.iter().map(|&replica| Effect::Repair { replica }).collect()
}

/// What a repair of the first `n` was asked to do.
#[derive(Debug)]
struct Case<'a> {
    sets: &'a Sets,
    n: usize,
    holders: &'a [usize],
    behind: &'a [usize],
    down: &'a [usize],
}

impl Case<'_> {
    fn start(&self) -> (Repair, Vec<Effect>) {
        let (replicas, mut out) = (ReplicaSet::first(self.n), Vec::new());
        let (holders, behind, down) = (set(self.holders), set(self.behind), set(self.down));
        let requirement = requirement(self.sets);
        let repair = Repair::start(START, requirement, replicas, holders, behind, down, DEADLINE, &mut out);
        (repair, out)
    }

    /// The effects of a step: what it must do now that these inputs have come, of which all but the
    /// last had come before, and these been sent to.
    fn judge(&self, sent: &[usize], inputs: &[Input], done: bool) -> Vec<Effect> {
        let answers =
            inputs.iter().filter_map(|input| if let Input::Answer { replica } = input { Some(*replica) } else { None });
        let errors =
            inputs.iter().filter_map(|input| if let Input::Error { replica } = input { Some(*replica) } else { None });
        let holders = all(&[self.holders, &answers.collect::<Vec<_>>()]);
        let failed = without(&all(&[&without(self.down, &[self.behind]), &errors.collect::<Vec<_>>()]), &[&holders]);
        let everybody: Vec<usize> = (0..self.n).collect();
        let open = without(&everybody, &[&holders, &failed]);
        let to_behind =
            if sent.is_empty() && inputs.is_empty() { repairs(&without(self.behind, &[self.holders])) } else { vec![] };
        if done {
            to_behind
        } else if enough(self.sets, &holders) {
            [vec![REACHED], to_behind].concat()
        } else if !enough(self.sets, &all(&[&holders, &open])) {
            [vec![IMPOSSIBLE], to_behind].concat()
        } else {
            let asked = all(&[sent, if inputs.is_empty() { self.behind } else { &[] }]);
            let in_flight = without(&asked, &[&failed]);
            let others =
                if enough(self.sets, &all(&[&holders, &in_flight])) { vec![] } else { without(&open, &[&asked]) };
            [to_behind, repairs(&others)].concat()
        }
    }
}

/// Every order of answers and errors of those sent to; the number of states.
fn walk(case: &Case<'_>, repair: &Repair, sent: &[usize], inputs: &mut Vec<Input>) -> u64 {
    let mut steps = 1;
    let (mut late, mut out) = (repair.clone(), Vec::new());
    assert_eq!(repair.next_timeout(), repair.outcome().is_none().then_some(DEADLINE));
    late.handle_timeout(EARLY, &mut out);
    assert_eq!(out, []);
    late.handle_timeout(DEADLINE, &mut out);
    assert_eq!(out, if repair.outcome().is_none() { vec![TIMED_OUT] } else { vec![] });
    for replica in repair.open().iter() {
        for input in [Input::Answer { replica }, Input::Error { replica }] {
            let (mut after, mut out) = (repair.clone(), Vec::new());
            after.handle(EARLY, input, &mut out);
            inputs.push(input);
            let context = || std::format!("{case:?}, after {inputs:?}");
            assert_eq!(out, case.judge(sent, inputs, repair.outcome().is_some()), "{}", context());
            steps += walk(case, &after, &all(&[sent, &repaired(&out)]), inputs);
            inputs.pop();
        }
    }
    steps
}

fn repaired(effects: &[Effect]) -> Vec<usize> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Repair { replica } = effect { Some(*replica) } else { None })
        .collect()
}

#[test]
fn every_order_of_answers_and_errors_of_up_to_four_replicas_is_judged_right() {
    let mut steps = 0;
    for n in 1..=4 {
        let everybody: Vec<usize> = (0..n).collect();
        for need in 1..=n {
            for holders in subsets(&everybody) {
                for behind in subsets(&without(&everybody, &[&holders])) {
                    for down in subsets(&everybody) {
                        let sets = of_first(n, need);
                        let case = Case { sets: &sets, n, holders: &holders, behind: &behind, down: &down };
                        let (repair, out) = case.start();
                        assert_eq!(out, case.judge(&[], &[], false), "{case:?}");
                        steps += walk(&case, &repair, &repaired(&out), &mut Vec::new());
                    }
                }
            }
        }
    }
    std::eprintln!("{steps} states");
    assert!(steps > 10_000, "only {steps} states were visited");
}

proptest! {
    #[test]
    fn overlapping_sets_are_judged_right(
        sets in oracle::any_sets(6, 3),
        holders in oracle::some_of(6, 0..=3),
        behind in oracle::some_of(6, 0..=3),
        down in oracle::some_of(6, 0..=3),
        inputs in proptest::collection::vec(oracle::any_input(6), 0..=12),
    ) {
        let case = Case { sets: &sets, n: 6, holders: &holders, behind: &without(&behind, &[&holders]), down: &down };
        let (mut repair, mut all_effects) = case.start();
        prop_assert_eq!(&all_effects, &case.judge(&[], &[], false));
        // An error after an answer of the same replica counts for nothing.
        for (heard, &input) in inputs.iter().enumerate() {
            let (done, sent, mut out) = (repair.outcome().is_some(), repaired(&all_effects), Vec::new());
            repair.handle(EARLY, input, &mut out);
            prop_assert_eq!(&out, &late_truth(&case, &sent, &inputs[..=heard], done));
            all_effects.extend(out);
        }
        let sent = repaired(&all_effects);
        prop_assert_eq!(set(&sent).len(), sent.len(), "nobody is sent it twice");
        let ends = all_effects.iter().filter(|effect| matches!(effect, Effect::Done(_))).count();
        prop_assert_eq!(ends, usize::from(repair.outcome().is_some()));
    }
}

/// As `judge`, for a step that is never the first.
fn late_truth(case: &Case<'_>, sent: &[usize], inputs: &[Input], done: bool) -> Vec<Effect> {
    if done { vec![] } else { case.judge(sent, inputs, false) }
}

#[test]
fn a_repair_that_holders_meet_already_is_done_before_it_repairs_those_behind() {
    let case = Case { sets: &of_first(3, 2), n: 3, holders: &[0, 2], behind: &[1], down: &[] };
    let (mut repair, mut out) = case.start();
    assert_eq!(out, [REACHED, Effect::Repair { replica: 1 }]);
    assert_eq!((repair.open(), repair.next_timeout()), (set(&[1]), None));
    out.clear();
    repair.handle(EARLY, Input::Answer { replica: 1 }, &mut out);
    assert_eq!((out, repair.answered()), (vec![], set(&[0, 1, 2])));
}

#[test]
fn others_are_sent_to_only_when_holders_and_those_behind_are_not_enough() {
    let mut case = Case { sets: &of_first(5, 3), n: 5, holders: &[0], behind: &[1, 2], down: &[4] };
    assert_eq!(case.start().1, repairs(&[1, 2]));
    case.behind = &[1];
    assert_eq!(case.start().1, repairs(&[1, 2, 3]));
}

#[test]
fn an_error_widens_the_repair_to_all_that_are_left() {
    let case = Case { sets: &of_first(5, 3), n: 5, holders: &[0], behind: &[1, 2], down: &[] };
    let (mut repair, mut out) = case.start();
    out.clear();
    repair.handle(EARLY, Input::Error { replica: 1 }, &mut out);
    assert_eq!(out, repairs(&[3, 4]));
    out.clear();
    repair.handle(EARLY, Input::Error { replica: 3 }, &mut out);
    assert_eq!(out, [], "those in flight are enough");
    repair.handle(EARLY, Input::Answer { replica: 4 }, &mut out);
    assert_eq!(out, []);
    repair.handle(EARLY, Input::Error { replica: 2 }, &mut out);
    assert_eq!((out, repair.failed()), (vec![IMPOSSIBLE], set(&[1, 2, 3])));
}

#[test]
fn one_that_answered_the_read_is_repaired_even_if_it_is_said_to_be_down() {
    let case = Case { sets: &of_first(3, 2), n: 3, holders: &[0], behind: &[1], down: &[0, 1, 2] };
    let (repair, out) = case.start();
    assert_eq!(out, repairs(&[1]));
    assert_eq!((repair.answered(), repair.failed()), (set(&[0]), set(&[2])));
}

#[test]
fn a_repair_that_is_impossible_still_repairs_those_behind() {
    let case = Case { sets: &of_first(3, 3), n: 3, holders: &[0], behind: &[1], down: &[2] };
    let (repair, out) = case.start();
    assert_eq!(out, [IMPOSSIBLE, Effect::Repair { replica: 1 }]);
    assert_eq!(repair.next_timeout(), None);
}

#[test]
fn a_repair_that_starts_after_its_deadline_sends_nothing() {
    let (mut out, one) = (Vec::new(), ReplicaSet::single);
    let needs_two = requirement(&of_first(3, 2));
    let none = ReplicaSet::EMPTY;
    let repair = Repair::start(START, needs_two, ReplicaSet::first(3), one(0), one(1), none, START, &mut out);
    assert_eq!((out, repair.open()), (vec![TIMED_OUT], none));
}

#[test]
fn an_answer_at_the_deadline_is_too_late_but_still_noted() {
    let case = Case { sets: &of_first(2, 2), n: 2, holders: &[0], behind: &[1], down: &[] };
    let (mut repair, mut out) = case.start();
    out.clear();
    repair.handle(DEADLINE, Input::Answer { replica: 1 }, &mut out);
    assert_eq!((out, repair.answered()), (vec![TIMED_OUT], set(&[0, 1])));
}

#[test]
fn stand_ins_and_positions_outside_mean_nothing() {
    let case = Case { sets: &of_first(2, 2), n: 2, holders: &[0, 7], behind: &[0, 1, 9], down: &[8] };
    let (mut repair, mut out) = case.start();
    assert_eq!(out, repairs(&[1]));
    assert_eq!((repair.answered(), repair.failed()), (set(&[0]), ReplicaSet::EMPTY));
    let before = repair.clone();
    out.clear();
    for input in [Input::StoodIn { replica: 1 }, Input::NoStandIn { replica: 1 }, Input::Answer { replica: 7 }] {
        repair.handle(EARLY, input, &mut out);
    }
    assert_eq!((out, repair), (vec![], before));
}
