//! Every order of everything that can happen to a small read, step by step judged by the oracle.

use super::judge::{Call, judge};
use super::*;
use crate::oracle::{Case, Facts, Step, of_first, subsets};

struct Walk<'a> {
    case: Case<'a>,
    steps: u64,
}

impl Walk<'_> {
    fn check(&mut self, hedges: usize) {
        let (read, effects) = start(&self.case, (hedges > 0).then_some(EACH));
        judge(&self.case, &[], &Call::Heard(None), &effects);
        let asked = read.asked().iter().collect();
        self.step(&read, &mut [(None, effects)].into(), asked, hedges);
    }

    fn step(&mut self, read: &Read, history: &mut Vec<Step>, awaited: Vec<usize>, hedges: usize) {
        self.steps += 1;
        let facts = Facts::after(&self.case, history, None);
        self.check_view(read, &facts);
        if !facts.done.is_empty() {
            return self.check_silence(read);
        }
        self.check_time(read, history);
        let replicas = facts.open().into_iter();
        let replicas = replicas.flat_map(|replica| [Input::Answer { replica }, Input::Error { replica }]);
        let stand_in = |&replica: &usize| [Input::StoodIn { replica }, Input::NoStandIn { replica }];
        for input in replicas.chain(facts.pending.iter().flat_map(stand_in)) {
            let (mut after, mut effects) = (read.clone(), Vec::new());
            after.handle(START, input, &mut effects);
            judge(&self.case, history, &Call::Heard(Some(input)), &effects);
            history.push((Some(input), effects));
            self.step(&after, history, awaited.clone(), hedges);
            history.pop();
        }
        if hedges > 0 {
            self.check_late(read, history, awaited, hedges);
        }
    }

    /// The next hedge: it comes when there is somebody to ask, and not when there is nobody.
    fn check_late(&mut self, read: &Read, history: &mut Vec<Step>, awaited: Vec<usize>, hedges: usize) {
        let (mut after, mut effects) = (read.clone(), Vec::new());
        let due = read.next_timeout().unwrap();
        if due < DEADLINE {
            after.handle_timeout(due, &mut HedgeBudget::new(0, 0), &mut effects);
        }
        judge(&self.case, history, &Call::Late(awaited), &effects);
        if due < DEADLINE {
            assert!(after.next_timeout().unwrap() > due, "the hedge does not come again at once: {history:?}");
            let asked = after.asked().iter().collect();
            history.push((None, effects));
            self.step(&after, history, asked, hedges - 1);
            history.pop();
        }
    }

    fn check_view(&self, read: &Read, facts: &Facts) {
        assert_eq!((read.answered(), read.failed()), (set(&facts.answered), set(&facts.erred)));
        assert_eq!((read.asked(), read.open()), (set(&facts.sent), set(&facts.open())));
        assert_eq!(read.stood_in(), set(&facts.stood_in));
        assert_eq!(read.outcome().as_slice(), facts.done);
        let sloppy = !oracle::enough(self.case.sets, &facts.answered) && facts.done == [Outcome::Reached];
        assert_eq!(read.is_sloppy(), sloppy);
        assert_eq!(facts.sent.len(), set(&facts.sent).len(), "nobody is asked twice");
        assert_eq!(facts.covered.len(), set(&facts.covered).len(), "no place is covered twice");
    }

    fn check_time(&self, read: &Read, history: &[Step]) {
        let (mut late, mut effects) = (read.clone(), Vec::new());
        late.handle_timeout(START, &mut HedgeBudget::default(), &mut effects);
        assert_eq!(effects, [], "too early for anything");
        late.handle_timeout(DEADLINE, &mut HedgeBudget::default(), &mut effects);
        judge(&self.case, history, &Call::Over, &effects);
        self.check_silence(&late);
    }

    /// After the end nothing is emitted and nothing but the counts changes.
    fn check_silence(&self, read: &Read) {
        let (mut late, mut effects) = (read.clone(), Vec::new());
        assert_eq!(late.next_timeout(), None);
        for replica in 0..self.case.n {
            late.handle(START, Input::Error { replica }, &mut effects);
            late.handle(START, Input::NoStandIn { replica }, &mut effects);
        }
        for replica in 0..self.case.n {
            late.handle(START, Input::Answer { replica }, &mut effects);
            late.handle(START, Input::StoodIn { replica }, &mut effects);
        }
        late.handle_timeout(DEADLINE, &mut HedgeBudget::default(), &mut effects);
        assert_eq!(effects, []);
        assert_eq!((late.outcome(), late.asked(), late.is_sloppy()), (read.outcome(), read.asked(), read.is_sloppy()));
        assert_eq!(late.answered(), ReplicaSet::first(self.case.n));
    }
}

/// All needs, and all sets of up to `most_down` replicas that are down.
fn walk_all(n: usize, stand_ins: usize, hedges: usize, most_down: usize) -> u64 {
    let mut steps = 0;
    for need in 1..=n {
        for down in subsets(&(0..n).collect::<Vec<_>>()).into_iter().filter(|down| down.len() <= most_down) {
            let case = Case { sets: &of_first(n, need), n, down: &down, stand_ins };
            let mut walk = Walk { case, steps: 0 };
            walk.check(hedges);
            steps += walk.steps;
        }
    }
    steps
}

#[test]
fn every_order_of_answers_and_errors_of_up_to_five_replicas_is_judged_right() {
    let steps: u64 = (1..=5).map(|n| walk_all(n, 0, 0, n)).sum();
    std::eprintln!("{steps} states");
    assert!(steps > 20_000, "only {steps} states were visited");
}

#[test]
fn every_order_of_answers_errors_and_hedges_is_judged_right() {
    let steps: u64 = (1..=5).map(|n| walk_all(n, 0, n, 0)).sum::<u64>() + walk_all(4, 0, 4, 4);
    std::eprintln!("{steps} states");
    assert!(steps > 2_000, "only {steps} states were visited");
}

#[test]
fn every_order_with_stand_ins_and_their_failures_is_judged_right() {
    let steps: u64 = (1..=4).flat_map(|n| (1..=2).map(move |stand_ins| walk_all(n, stand_ins, 0, n))).sum();
    std::eprintln!("{steps} states");
    assert!(steps > 20_000, "only {steps} states were visited");
}

#[test]
fn every_order_with_stand_ins_and_hedges_is_judged_right() {
    let steps: u64 = (1..=3).flat_map(|n| (1..=2).map(move |stand_ins| walk_all(n, stand_ins, 3, n))).sum();
    std::eprintln!("{steps} states");
    assert!(steps > 20_000, "only {steps} states were visited");
}

#[test]
#[ignore = "takes ten seconds"]
fn every_order_with_more_stand_ins_and_hedges_is_judged_right() {
    let steps: u64 = (1..=3).map(|n| walk_all(n, 3, 4, n)).sum();
    std::eprintln!("{steps} states");
    assert!(steps > 100_000, "only {steps} states were visited");
}

#[test]
fn a_quorum_in_each_centre_and_two_layouts_are_judged_right() {
    let each: Sets = [([0, 1, 2].into(), 2), ([3, 4].into(), 2)].into();
    let layouts: Sets = [([0, 1, 2].into(), 2), ([2, 3, 4].into(), 2)].into();
    for sets in [&each, &layouts] {
        for down in subsets(&[0, 1, 2, 3, 4]).into_iter().filter(|down| down.len() < 3) {
            for stand_ins in 0..=1 {
                Walk { case: Case { sets, n: 5, down: &down, stand_ins }, steps: 0 }.check(0);
            }
        }
    }
}
