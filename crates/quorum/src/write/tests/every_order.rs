//! Every order of everything that can happen to a small write, step by step judged by the oracle.

use super::judge::{Hour, judge, judge_start};
use super::*;
use crate::oracle::{Case, Facts, Step, of_first, subsets};
use std::vec::Vec;

/// What may be said next, given what is known.
type Next = fn(&Case<'_>, &Facts) -> Vec<Input>;

pub(super) struct Walk<'a> {
    pub(super) case: Case<'a>,
    pub(super) next: Next,
    /// Whether `cover_after` passes between any two events too.
    pub(super) covering: bool,
    pub(super) steps: u64,
}

impl Walk<'_> {
    pub(super) fn check(&mut self, events: usize) {
        let (write, effects) = start(&self.case);
        judge_start(&self.case, &effects);
        assert_eq!(write.is_unsent(), effects.len() == 1 && matches!(effects[0], Effect::Done(_)));
        self.step(&write, &mut [(None, effects)].into(), Hour::Early, events);
    }

    fn step(&mut self, write: &Write, history: &mut Vec<Step>, hour: Hour, left: usize) {
        self.steps += 1;
        let facts = Facts::after(&self.case, history, None);
        self.check_view(write, &facts);
        self.check_time(write, history, hour, &facts);
        if left == 0 {
            return;
        }
        if self.covering && hour == Hour::Early && write.outcome().is_none() {
            let due = write.next_timeout().unwrap();
            let (mut after, mut effects) = (write.clone(), Vec::new());
            after.handle_timeout(COVER, &mut effects);
            judge(&self.case, history, None, Hour::Covering, &effects);
            assert_eq!(due == COVER, !effects.is_empty(), "woken for nothing, or not at all: {history:?}");
            history.push((None, effects));
            self.step(&after, history, Hour::Covering, left);
            history.pop();
        }
        let now = if hour == Hour::Early { EARLY } else { COVER };
        for input in (self.next)(&self.case, &facts) {
            let (mut after, mut effects) = (write.clone(), Vec::new());
            after.handle(now, input, &mut effects);
            judge(&self.case, history, Some(input), hour, &effects);
            history.push((Some(input), effects));
            self.step(&after, history, hour, left - 1);
            history.pop();
        }
    }

    /// What the write says of itself.
    fn check_view(&self, write: &Write, facts: &Facts) {
        let failed = oracle::without(&oracle::all(&[self.case.down, &facts.erred]), &[&facts.answered]);
        assert_eq!(write.answered(), set(&facts.answered));
        assert_eq!(write.failed(), set(&failed));
        assert_eq!((write.asked(), write.open()), (set(&facts.sent), set(&facts.open())));
        assert_eq!((write.stood_in(), write.hinted()), (set(&facts.stood_in), set(&facts.hinted)));
        assert_eq!(write.outcome().as_slice(), facts.done);
        assert_eq!(facts.hinted.len(), set(&facts.hinted).len(), "a replica is hinted once");
        let cared_for = oracle::all(&[&facts.answered, &facts.stood_in, &facts.hinted]);
        let unsent = facts.sent.is_empty() && facts.covered.is_empty();
        let settled = !facts.done.is_empty() && (unsent || (0..self.case.n).all(|place| cared_for.contains(&place)));
        assert_eq!((write.is_settled(), write.is_unsent()), (settled, unsent));
    }

    /// The clock at this point: nothing too early, the end at the deadline, hints when it settles.
    fn check_time(&self, write: &Write, history: &[Step], hour: Hour, facts: &Facts) {
        let (mut late, mut effects) = (write.clone(), Vec::new());
        late.handle_timeout(if hour == Hour::Early { EARLY } else { COVER }, &mut effects);
        assert_eq!(effects, [], "too early for anything, {history:?}");
        let due = if facts.done.is_empty() { DEADLINE } else { COVER + SETTLE };
        if write.next_timeout().is_some() {
            late.handle_timeout(due, &mut effects);
            judge(&self.case, history, None, Hour::Over, &effects);
        }
        assert!(late.is_settled() && late.next_timeout().is_none(), "{history:?}");
        effects.clear();
        late.handle_timeout(DEADLINE, &mut effects);
        for replica in 0..self.case.n {
            late.handle(DEADLINE, Input::Error { replica }, &mut effects);
            late.handle(DEADLINE, Input::Answer { replica }, &mut effects);
        }
        assert_eq!(effects, [], "a settled write is silent, {history:?}");
        assert_eq!(late.answered(), ReplicaSet::first(self.case.n));
    }
}

/// Each replica answers or fails, and each stand-in does it or fails, at most once. A replica that was
/// never sent to says nothing.
fn once(_: &Case<'_>, facts: &Facts) -> Vec<Input> {
    let replicas = facts.open().into_iter().flat_map(|replica| [Input::Answer { replica }, Input::Error { replica }]);
    let stand_in = |&replica: &usize| [Input::StoodIn { replica }, Input::NoStandIn { replica }];
    replicas.chain(facts.pending.iter().flat_map(stand_in)).collect()
}

/// Anything may be said, again and to the contrary.
fn anything(case: &Case<'_>, _: &Facts) -> Vec<Input> {
    let each = |replica| {
        let answers = [Input::Answer { replica }, Input::StoodIn { replica }];
        answers.into_iter().chain([Input::Error { replica }, Input::NoStandIn { replica }])
    };
    (0..case.n).flat_map(each).collect()
}

fn walk_all(n: usize, stand_ins: usize, next: Next, covering: bool, events: usize) -> u64 {
    let mut steps = 0;
    for need in 1..=n {
        for down in subsets(&(0..n).collect::<Vec<_>>()) {
            let case = Case { sets: &of_first(n, need), n, down: &down, stand_ins };
            let mut walk = Walk { case, next, covering, steps: 0 };
            walk.check(events);
            steps += walk.steps;
        }
    }
    steps
}

#[test]
fn every_order_of_answers_and_errors_of_up_to_five_replicas_is_judged_right() {
    let steps: u64 = (1..=5).map(|n| walk_all(n, 0, once, false, usize::MAX)).sum();
    std::eprintln!("{steps} states");
    assert!(steps > 50_000, "only {steps} states were visited");
}

#[test]
fn every_order_with_stand_ins_and_their_failures_is_judged_right() {
    let mut steps = 0;
    for n in 1..=3 {
        for stand_ins in 0..=3 {
            steps += walk_all(n, stand_ins, once, true, usize::MAX);
        }
    }
    std::eprintln!("{steps} states");
    assert!(steps > 10_000, "only {steps} states were visited");
}

#[test]
fn every_order_of_four_replicas_with_stand_ins_is_judged_right() {
    let steps: u64 = (1..=2).map(|stand_ins| walk_all(4, stand_ins, once, false, usize::MAX)).sum();
    std::eprintln!("{steps} states");
    assert!(steps > 50_000, "only {steps} states were visited");
}

#[test]
#[ignore = "takes ten seconds"]
fn every_order_of_four_replicas_with_stand_ins_and_silence_is_judged_right() {
    let steps: u64 = (1..=2).map(|stand_ins| walk_all(4, stand_ins, once, true, usize::MAX)).sum();
    std::eprintln!("{steps} states");
    assert!(steps > 500_000, "only {steps} states were visited");
}

#[test]
fn repeated_and_contradicting_inputs_are_judged_right() {
    let mut steps = 0;
    for n in 1..=3 {
        for stand_ins in 0..=2 {
            steps += walk_all(n, stand_ins, anything, false, 3);
        }
    }
    std::eprintln!("{steps} states");
    assert!(steps > 10_000, "only {steps} states were visited");
}

#[test]
fn a_quorum_in_each_centre_and_two_layouts_are_judged_right() {
    let each: Sets = [([0, 1, 2].into(), 2), ([3, 4].into(), 2)].into();
    let layouts: Sets = [([0, 1, 2].into(), 2), ([2, 3, 4].into(), 2)].into();
    for sets in [&each, &layouts] {
        for down in subsets(&[0, 1, 2, 3, 4]).into_iter().filter(|down| (1..3).contains(&down.len())) {
            let case = Case { sets, n: 5, down: &down, stand_ins: 1 };
            Walk { case, next: once, covering: false, steps: 0 }.check(4);
        }
    }
}
