//! One example of each rule of stand-ins, and of early and late hedges.

use super::*;

const MS: Duration = Duration::from_millis(1);
const EARLY_THEN_LATE: Hedge = Hedge { early: HEDGE, late: Duration::from_millis(50) };

/// A read of "so many of so many" after its start.
struct Bench {
    read: Read,
    started: Vec<Effect>,
    budget: HedgeBudget,
}

impl Bench {
    fn new(need: usize, n: usize, down: &[usize], stand_ins: usize, hedge: Option<Hedge>) -> Bench {
        let sets = of_first(n, need);
        let (read, started) = start(&Case { sets: &sets, n, down, stand_ins }, hedge);
        Bench { read, started, budget: HedgeBudget::new(0, 1) }
    }

    fn hear(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.read.handle(START, input, &mut out);
        out
    }

    fn error(&mut self, replica: usize) -> Vec<Effect> {
        self.hear(Input::Error { replica })
    }

    fn answer(&mut self, replica: usize) -> Vec<Effect> {
        self.hear(Input::Answer { replica })
    }

    /// Calls it when it wants to be called; when that was, and what it wanted.
    fn wake(&mut self) -> (Duration, Vec<Effect>) {
        let (due, mut out) = (self.read.next_timeout().unwrap(), Vec::new());
        self.read.handle_timeout(due, &mut self.budget, &mut out);
        (due - START, out)
    }
}

fn covers(places: impl IntoIterator<Item = usize>) -> Vec<Effect> {
    places.into_iter().map(|replica| Effect::StandIn { replica }).collect()
}

#[test]
fn stand_ins_wait_until_the_replicas_that_are_up_are_not_enough() {
    let mut bench = Bench::new(2, 4, &[1], 2, None);
    assert_eq!(bench.started, sends([0, 2]));
    assert_eq!(bench.error(0), sends([3]));
    // Now only one of those that are up is left: the failed place is covered, the one down is not asked.
    assert_eq!(bench.error(2), covers([0]));
    assert_eq!(bench.answer(3), []);
    assert_eq!(bench.hear(Input::StoodIn { replica: 0 }), done(Outcome::Reached));
    assert!(bench.read.is_sloppy());
    assert_eq!((bench.read.stood_in(), bench.read.answered()), (set(&[0]), set(&[3])));
}

#[test]
fn places_that_are_down_from_the_start_are_covered_at_the_start() {
    let bench = Bench::new(3, 4, &[0, 1, 3], 3, None);
    assert_eq!(bench.started, [covers([0, 1]), sends([2])].concat());
}

#[test]
fn replicas_that_are_down_are_asked_when_the_stand_ins_are_not_enough() {
    let mut bench = Bench::new(3, 4, &[0, 1, 3], 1, None);
    assert_eq!(bench.started, [covers([0]), sends([2, 1])].concat());
    // The failed stand-in is replaced by the last of those that are down, and then by the replica itself.
    assert_eq!(bench.hear(Input::NoStandIn { replica: 0 }), sends([0]));
    assert_eq!(bench.error(1), sends([3]));
    assert_eq!(bench.error(0), done(Outcome::Impossible));
}

#[test]
fn a_failed_place_is_covered_before_one_that_is_down_and_can_still_be_asked() {
    let mut bench = Bench::new(3, 3, &[0], 1, None);
    assert_eq!(bench.started, [covers([0]), sends([1, 2])].concat());
    assert_eq!(bench.hear(Input::NoStandIn { replica: 0 }), sends([0]));
    let mut bench = Bench::new(2, 3, &[0], 1, None);
    assert_eq!(bench.started, sends([1, 2]));
    assert_eq!(bench.error(2), covers([2]));
    assert_eq!(bench.hear(Input::NoStandIn { replica: 2 }), sends([0]));
}

#[test]
fn the_last_stand_in_goes_where_nobody_can_be_asked_instead() {
    // Both sets lose place 0 for good. One has a replica that is down, the other only one that failed.
    let sets: Sets = vec![(vec![0, 1, 2], 2), (vec![0, 3, 4], 2)];
    let (mut read, mut all) = start(&Case { sets: &sets, n: 5, down: &[2], stand_ins: 2 }, None);
    for input in [Input::Error { replica: 4 }, Input::Error { replica: 0 }] {
        read.handle(START, input, &mut all);
    }
    assert_eq!(all, [sends([0, 1, 3]), covers([0])].concat());
    all.clear();
    read.handle(START, Input::NoStandIn { replica: 0 }, &mut all);
    assert_eq!(all, [covers([4]), sends([2])].concat());
}

#[test]
fn the_replica_itself_may_answer_while_its_stand_in_is_asked() {
    let mut bench = Bench::new(2, 2, &[0], 1, None);
    assert_eq!(bench.started, [covers([0]), sends([1])].concat());
    assert_eq!(bench.answer(0), []);
    assert_eq!(bench.answer(1), done(Outcome::Reached));
    assert!(!bench.read.is_sloppy());
}

#[test]
fn a_silent_replica_is_covered_only_when_it_is_late_and_nobody_else_is_left() {
    let mut bench = Bench::new(1, 3, &[2], 1, Some(EARLY_THEN_LATE));
    assert_eq!(bench.started, sends([0]));
    assert_eq!(bench.wake(), (10 * MS, sends([1])));
    // The one that is down has been missed by nothing so long, and is covered before the silent ones.
    assert_eq!(bench.wake(), (60 * MS, covers([2])));
    assert_eq!(bench.wake().1, done(Outcome::TimedOut), "no stand-in is left");

    let mut bench = Bench::new(1, 2, &[], 2, Some(EARLY_THEN_LATE));
    assert_eq!(bench.wake(), (10 * MS, sends([1])));
    assert_eq!(bench.wake(), (60 * MS, covers([0])));
    assert_eq!(bench.wake(), (110 * MS, covers([1])));
    assert_eq!(bench.error(0), [], "its stand-in is at it");
    assert_eq!(bench.hear(Input::NoStandIn { replica: 0 }), []);
    assert_eq!(bench.hear(Input::StoodIn { replica: 1 }), done(Outcome::Reached));
}

#[test]
fn a_replacement_is_given_its_own_time_before_it_is_covered() {
    let mut bench = Bench::new(2, 3, &[], 1, Some(EARLY_THEN_LATE));
    bench.answer(0);
    assert_eq!(bench.error(1), sends([2]));
    assert_eq!(bench.wake(), (50 * MS, vec![]), "replica 2 was asked after the read began");
    assert_eq!(bench.wake(), (100 * MS, covers([1])));
}

#[test]
fn an_early_hedge_is_paid_for_and_a_late_one_is_free() {
    let mut bench = Bench::new(1, 4, &[], 0, Some(EARLY_THEN_LATE));
    assert_eq!(bench.wake(), (10 * MS, sends([1])));
    assert!(!bench.budget.take(), "it was paid for");
    assert_eq!(bench.wake(), (60 * MS, sends([2])));
    assert_eq!(bench.wake(), (110 * MS, sends([3])));
    assert_eq!(bench.wake().1, done(Outcome::TimedOut));
    assert_eq!(bench.read.hedged(), set(&[1, 2, 3]));
}

#[test]
fn an_early_hedge_the_budget_refuses_waits_until_it_is_late() {
    let mut bench = Bench::new(1, 3, &[], 0, Some(EARLY_THEN_LATE));
    assert!(bench.budget.take());
    assert_eq!(bench.wake(), (10 * MS, vec![]));
    bench.budget = HedgeBudget::default();
    assert_eq!(bench.wake(), (50 * MS, sends([1])), "it asks the budget once");
    assert_eq!(bench.wake(), (100 * MS, sends([2])));
}

#[test]
fn a_late_wait_shorter_than_the_early_one_leaves_no_early_hedge() {
    let mut bench = Bench::new(1, 3, &[], 0, Some(Hedge { early: 20 * MS, late: HEDGE }));
    assert_eq!(bench.wake(), (10 * MS, sends([1])));
    assert_eq!(bench.wake(), (20 * MS, sends([2])));
    assert!(bench.budget.take(), "nothing was paid");
}

#[test]
fn a_caller_that_comes_when_it_is_late_already_pays_nothing() {
    let (mut bench, mut out) = (Bench::new(1, 3, &[], 0, Some(EARLY_THEN_LATE)), Vec::new());
    bench.read.handle_timeout(START + 50 * MS, &mut bench.budget, &mut out);
    assert_eq!(out, sends([1]));
    assert!(bench.budget.take());
    assert_eq!(bench.read.next_timeout(), Some(START + 100 * MS), "and there is no early hedge after it");
}

#[test]
fn an_early_hedge_without_anybody_to_ask_does_not_touch_the_budget() {
    let mut bench = Bench::new(2, 2, &[], 0, Some(EARLY_THEN_LATE));
    assert_eq!(bench.read.next_timeout(), Some(DEADLINE));
    bench.read.handle_timeout(START + HEDGE, &mut bench.budget, &mut Vec::new());
    assert!(bench.budget.take());
}

#[test]
fn a_replica_asked_for_a_failure_is_no_hedge() {
    let mut bench = Bench::new(1, 3, &[], 0, Some(EARLY_THEN_LATE));
    assert_eq!(bench.error(0), sends([1]));
    assert_eq!(bench.read.hedged(), ReplicaSet::EMPTY);
}

#[test]
fn a_down_replica_outside_the_operation_is_never_covered() {
    // The requirement names replica 2, which is none of this operation.
    let sets = of_first(3, 1);
    let replicas = ReplicaSet::first(2);
    let config = config(&Case { sets: &sets, n: 3, down: &[2], stand_ins: 9 }, Some(EACH));
    let mut all = Vec::new();
    let mut read = Read::start(START, ReadConfig { replicas, ..config }, &mut all);
    while let Some(due) = read.next_timeout() {
        read.handle_timeout(due, &mut HedgeBudget::default(), &mut all);
    }
    assert_eq!(all, [sends([0, 1]), covers([0, 1]), done(Outcome::TimedOut)].concat());
}
