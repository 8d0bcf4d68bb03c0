//! Reads against the oracle: whom they ask and how they end, exhaustively for up to five replicas;
//! and their invariants at random for overlapping sets.

use super::*;
use crate::Level;
use crate::oracle::{self, Sets, of_first, requirement, set, subsets};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const START: Duration = Duration::from_millis(100);
const HEDGE: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_millis(1000);

fn start(requirement: Requirement, n: usize, down: &[usize], hedge: Option<Duration>) -> (Read, Vec<Effect>) {
    let mut out = Vec::new();
    let read = Read::start(START, requirement, ReplicaSet::first(n), set(down), DEADLINE, hedge, &mut out);
    (read, out)
}

fn sends(replicas: impl IntoIterator<Item = usize>) -> Vec<Effect> {
    replicas.into_iter().map(|replica| Effect::Send { replica }).collect()
}

fn done(outcome: Outcome) -> Vec<Effect> {
    vec![Effect::Done(outcome)]
}

fn sent(effects: &[Effect]) -> Vec<usize> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send { replica } => Some(*replica),
            Effect::Done(_) => None,
        })
        .collect()
}

fn ended(effects: &[Effect]) -> Option<Outcome> {
    match effects.last() {
        Some(Effect::Done(outcome)) => Some(*outcome),
        _ => None,
    }
}

/// Every order in which the replicas of "`need` of `n`" answer, fail, or are hedged against.
///
/// The oracle is a count: with a single set, whom a read has asked follows from *how many* errors
/// and hedges there were, in whatever order, since it asks in the order of preference.
struct Walk<'a> {
    n: usize,
    need: usize,
    down: &'a [usize],
    /// Every replica by preference: those that are down last.
    order: Vec<usize>,
    steps: usize,
}

impl Walk<'_> {
    fn check(&mut self, hedges: usize) {
        let hedge = (hedges > 0).then_some(HEDGE);
        let (read, effects) = start(requirement(&of_first(self.n, self.need)), self.n, self.down, hedge);
        self.step(&read, &effects, &mut Vec::new(), 0, hedges);
    }

    fn step(&mut self, read: &Read, effects: &[Effect], events: &mut Vec<Input>, hedged: usize, hedges: usize) {
        self.steps += 1;
        let outcome = oracle::outcome(&of_first(self.n, self.need), &[], events);
        let context = || std::format!("{events:?} of {} of {} without {:?}", self.need, self.n, self.down);
        assert_eq!(read.outcome(), outcome, "{}", context());
        assert_eq!(ended(effects), outcome, "{}", context());
        if outcome.is_some() {
            self.check_silence(read, outcome);
            return;
        }
        let errors = oracle::failed(&[], events);
        let asked = self.n.min(self.need + errors.len() + hedged);
        assert_eq!(sent(effects), self.order[..asked], "{}", context());
        assert_eq!(read.asked(), set(&self.order[..asked]));
        assert_eq!((read.answered(), read.failed()), (set(&oracle::answered(events)), set(&errors)));
        self.check_timeout(read);

        let heard = read.answered().union(read.failed());
        let silent = read.asked().difference(heard);
        assert_eq!(read.open(), silent);
        for replica in silent.iter() {
            for event in [Input::Answer { replica }, Input::Error { replica }] {
                let (mut after, mut effects) = (read.clone(), effects.to_vec());
                after.handle(START, event, &mut effects);
                events.push(event);
                self.step(&after, &effects, events, hedged, hedges);
                events.pop();
            }
        }
        if hedged < hedges {
            let due = read.next_timeout().unwrap();
            let somebody_left = asked < self.n;
            assert_eq!(due < DEADLINE, somebody_left, "{events:?}");
            if somebody_left {
                let (mut after, mut effects) = (read.clone(), effects.to_vec());
                after.handle_timeout(due, &mut effects);
                self.step(&after, &effects, events, hedged + 1, hedges);
            }
        }
    }

    fn check_timeout(&self, read: &Read) {
        let (mut late, mut effects) = (read.clone(), Vec::new());
        late.handle_timeout(START, &mut effects);
        assert_eq!(effects, [], "too early for anything");
        late.handle_timeout(DEADLINE, &mut effects);
        assert_eq!(effects, done(Outcome::TimedOut));
        self.check_silence(&late, Some(Outcome::TimedOut));
    }

    /// After the end nothing is emitted and nothing but the counts changes.
    fn check_silence(&self, read: &Read, outcome: Option<Outcome>) {
        let (mut late, mut effects) = (read.clone(), Vec::new());
        assert_eq!(late.next_timeout(), None);
        for replica in 0..self.n {
            late.handle(START, Input::Error { replica }, &mut effects);
        }
        for replica in 0..self.n {
            late.handle(START, Input::Answer { replica }, &mut effects);
        }
        late.handle_timeout(DEADLINE, &mut effects);
        assert_eq!(effects, []);
        assert_eq!((late.outcome(), late.asked()), (outcome, read.asked()));
        assert_eq!(late.answered(), ReplicaSet::first(self.n));
    }
}

fn walk(n: usize, need: usize, down: &[usize], hedges: usize) -> usize {
    let up = (0..n).filter(|replica| !down.contains(replica));
    let order = up.chain(down.iter().copied()).collect();
    let mut walk = Walk { n, need, down, order, steps: 0 };
    walk.check(hedges);
    walk.steps
}

#[test]
fn every_order_of_answers_and_errors_of_up_to_five_replicas_is_handled_like_the_oracle() {
    let mut steps = 0;
    for n in 1..=5 {
        for need in 1..=n {
            for down in subsets(&(0..n).collect::<Vec<_>>()) {
                steps += walk(n, need, &down, 0);
            }
        }
    }
    assert!(steps > 20_000, "only {steps} states were visited");
}

#[test]
fn every_order_of_answers_errors_and_hedges_is_handled_like_the_oracle() {
    let mut steps = 0;
    for n in 1..=5 {
        for need in 1..=n {
            steps += walk(n, need, &[], n);
        }
    }
    assert!(steps > 2_000, "only {steps} states were visited");
}

#[test]
fn a_read_asks_the_first_replicas_only() {
    assert_eq!(start(requirement(&of_first(5, 2)), 5, &[], None).1, sends([0, 1]));
}

#[test]
fn a_quorum_in_each_centre_asks_a_majority_of_each() {
    let each = Requirement::resolve(Level::EachQuorum, &[0, 1, 0, 1, 0, 1], 0).unwrap();
    let (mut read, mut effects) = start(each, 6, &[], Some(HEDGE));
    assert_eq!(effects, sends([0, 2, 1, 3]));
    effects.clear();
    // The replacement comes from the centre that lost one, and none is needed where all have
    // answered.
    read.handle(START, Input::Error { replica: 3 }, &mut effects);
    assert_eq!(effects, sends([5]));
    for replica in [0, 2] {
        read.handle(START, Input::Answer { replica }, &mut effects);
    }
    assert_eq!(read.next_timeout(), Some(DEADLINE), "only replica 4 is left and its centre needs nobody");
    for replica in [1, 5] {
        read.handle(START, Input::Answer { replica }, &mut effects);
    }
    assert_eq!(effects[1..], done(Outcome::Reached));
}

#[test]
fn a_local_quorum_never_asks_another_centre() {
    let local = Requirement::resolve(Level::LocalQuorum, &[1, 0, 1, 0, 0], 0).unwrap();
    let (mut read, mut effects) = start(local, 5, &[], Some(HEDGE));
    assert_eq!(effects, sends([1, 3]));
    effects.clear();
    read.handle_timeout(START + HEDGE, &mut effects);
    assert_eq!(effects, sends([4]));
    effects.clear();
    assert_eq!(read.next_timeout(), Some(DEADLINE));
    read.handle(START, Input::Error { replica: 1 }, &mut effects);
    assert_eq!(effects, []);
    read.handle(START, Input::Error { replica: 3 }, &mut effects);
    assert_eq!(effects, done(Outcome::Impossible));
}

#[test]
fn a_replica_shared_by_two_sets_is_asked_once_and_replaced_in_both() {
    // Replicas are moving from {0, 1, 2} to {1, 2, 3}; two of each are needed.
    let sets: Sets = vec![(vec![0, 1, 2], 2), (vec![1, 2, 3], 2)];
    let (mut read, mut effects) = start(requirement(&sets), 4, &[], None);
    assert_eq!(effects, sends([0, 1, 2]));
    effects.clear();
    read.handle(START, Input::Error { replica: 1 }, &mut effects);
    assert_eq!(effects, sends([3]));

    let sets: Sets = vec![(vec![0, 1, 2], 1), (vec![0, 1, 3], 1)];
    let (mut read, mut effects) = start(requirement(&sets), 4, &[], None);
    assert_eq!(effects, sends([0]));
    effects.clear();
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([1]));
}

#[test]
fn hedges_come_one_at_a_time_and_are_counted_from_the_last() {
    let (mut read, mut effects) = start(requirement(&of_first(4, 1)), 4, &[], Some(HEDGE));
    assert_eq!(effects, sends([0]));
    assert_eq!(read.next_timeout(), Some(START + HEDGE));
    effects.clear();
    read.handle_timeout(START + HEDGE - Duration::from_nanos(1), &mut effects);
    assert_eq!(effects, []);
    // The caller was late by several hedges: still one, and the next a full wait later.
    let late = START + 5 * HEDGE;
    read.handle_timeout(late, &mut effects);
    read.handle_timeout(late, &mut effects);
    assert_eq!(effects, sends([1]));
    assert_eq!(read.next_timeout(), Some(late + HEDGE));
    // A failure asks at once and leaves the timer alone.
    read.handle(late, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([1, 2]));
    assert_eq!(read.next_timeout(), Some(late + HEDGE));
    read.handle_timeout(late + HEDGE, &mut effects);
    assert_eq!(effects, sends([1, 2, 3]));
    assert_eq!(read.next_timeout(), Some(DEADLINE), "nobody is left to ask");
    read.handle_timeout(late + 2 * HEDGE, &mut effects);
    assert_eq!(effects, sends([1, 2, 3]));
}

#[test]
fn a_hedge_wait_of_zero_asks_one_more_at_every_timeout_and_then_stops() {
    let (mut read, mut effects) = start(requirement(&of_first(3, 1)), 3, &[], Some(Duration::ZERO));
    while read.next_timeout() == Some(START) {
        read.handle_timeout(START, &mut effects);
    }
    assert_eq!(effects, sends([0, 1, 2]));
    assert_eq!(read.next_timeout(), Some(DEADLINE));
}

#[test]
fn a_hedge_wait_past_all_time_never_comes() {
    let (read, _) = start(requirement(&of_first(3, 1)), 3, &[], Some(Duration::MAX));
    assert_eq!(read.next_timeout(), Some(DEADLINE));
}

#[test]
fn a_failure_is_replaced_even_when_a_hedge_is_under_way() {
    let (mut read, mut effects) = start(requirement(&of_first(5, 2)), 5, &[], Some(HEDGE));
    read.handle_timeout(START + HEDGE, &mut effects);
    read.handle(START + HEDGE, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([0, 1, 2, 3]));
}

#[test]
fn a_failure_in_a_set_that_is_met_is_not_replaced() {
    let sets: Sets = vec![(vec![0, 1, 2], 1), (vec![3], 1)];
    let (mut read, mut effects) = start(requirement(&sets), 4, &[], Some(HEDGE));
    read.handle_timeout(START + HEDGE, &mut effects);
    assert_eq!(effects, sends([0, 3, 1]));
    read.handle(START + HEDGE, Input::Answer { replica: 1 }, &mut effects);
    read.handle(START + HEDGE, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([0, 3, 1]), "only replica 3 is still needed");
}

#[test]
fn replicas_known_to_be_down_are_the_last_resort() {
    // Two of five, the first two down: they are not asked as long as two others may answer, hedges
    // included.
    let (mut read, mut effects) = start(requirement(&of_first(5, 2)), 5, &[0, 1], Some(HEDGE));
    assert_eq!(effects, sends([2, 3]));
    effects.clear();
    read.handle_timeout(START + HEDGE, &mut effects);
    assert_eq!(effects, sends([4]));
    assert_eq!(read.next_timeout(), Some(DEADLINE));
    read.handle(START, Input::Error { replica: 2 }, &mut effects);
    assert_eq!(effects, sends([4]));
    // Now only one other is left.
    read.handle(START, Input::Error { replica: 3 }, &mut effects);
    assert_eq!(effects, sends([4, 0]));
    // And among those that are down, the next hedge may try the other one too.
    read.handle_timeout(START + 2 * HEDGE, &mut effects);
    assert_eq!(effects, sends([4, 0, 1]));
    read.handle(START, Input::Answer { replica: 1 }, &mut effects);
    read.handle(START, Input::Answer { replica: 4 }, &mut effects);
    assert_eq!(effects[3..], done(Outcome::Reached));
}

#[test]
fn a_read_with_every_replica_down_still_asks() {
    let (mut read, mut effects) = start(requirement(&of_first(3, 2)), 3, &[0, 1, 2], None);
    assert_eq!(effects, sends([0, 1]));
    assert_eq!(read.failed(), ReplicaSet::EMPTY);
    effects.clear();
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    read.handle(START, Input::Error { replica: 1 }, &mut effects);
    assert_eq!(effects, [Effect::Send { replica: 2 }, Effect::Done(Outcome::Impossible)]);
}

#[test]
fn a_read_that_starts_after_its_deadline_is_not_sent() {
    let mut out = Vec::new();
    let one = requirement(&of_first(3, 1));
    let read = Read::start(START, one, ReplicaSet::first(3), ReplicaSet::EMPTY, START, None, &mut out);
    assert_eq!(out, done(Outcome::TimedOut));
    assert_eq!((read.asked(), read.next_timeout()), (ReplicaSet::EMPTY, None));
}

#[test]
fn a_requirement_on_replicas_outside_the_operation_is_impossible() {
    assert_eq!(start(requirement(&of_first(4, 4)), 3, &[], None).1, done(Outcome::Impossible));
}

#[test]
fn an_error_at_the_deadline_ends_the_read_and_asks_nobody() {
    let (mut read, mut effects) = start(requirement(&of_first(3, 1)), 3, &[], None);
    effects.clear();
    read.handle(DEADLINE, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, done(Outcome::TimedOut));
}

#[test]
fn an_answer_after_an_error_counts_and_an_error_after_an_answer_does_not() {
    let (mut read, mut effects) = start(requirement(&of_first(3, 2)), 3, &[], None);
    effects.clear();
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([2]), "a repeated error is replaced once");
    read.handle(START, Input::Answer { replica: 0 }, &mut effects);
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    read.handle(START, Input::Answer { replica: 0 }, &mut effects);
    assert_eq!((read.answered(), read.failed()), (set(&[0]), ReplicaSet::EMPTY));
    assert_eq!(effects, sends([2]), "a repeated answer counts once");
    read.handle(START, Input::Answer { replica: 1 }, &mut effects);
    assert_eq!(effects[1..], done(Outcome::Reached));
}

#[test]
fn an_unasked_replica_that_fails_is_skipped_and_one_that_answers_counts() {
    let (mut read, mut effects) = start(requirement(&of_first(4, 1)), 4, &[], None);
    read.handle(START, Input::Error { replica: 1 }, &mut effects);
    assert_eq!(effects, sends([0]));
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([0, 2]));
    read.handle(START, Input::Answer { replica: 3 }, &mut effects);
    assert_eq!(effects[2..], done(Outcome::Reached));
}

#[test]
fn a_position_outside_the_operation_is_ignored() {
    let (mut read, mut effects) = start(requirement(&of_first(3, 1)), 3, &[], None);
    effects.clear();
    let before = read.clone();
    for replica in [3, 63, 64, usize::MAX] {
        read.handle(START, Input::Answer { replica }, &mut effects);
        read.handle(START, Input::Error { replica }, &mut effects);
    }
    assert_eq!((read, effects), (before, Vec::new()));
}

/// Who of the seven may still answer, asked or not.
fn unsettled(read: &Read) -> ReplicaSet {
    let heard = read.answered().union(read.failed());
    ReplicaSet::first(7).difference(heard)
}

/// What may happen to a read from outside.
#[derive(Debug, Clone, Copy)]
enum Event {
    Heard(Input),
    Timer,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0usize..7).prop_map(|replica| Event::Heard(Input::Answer { replica })),
        3 => (0usize..7).prop_map(|replica| Event::Heard(Input::Error { replica })),
        1 => Just(Event::Timer),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_read_keeps_its_promises(
        sets in oracle::any_sets(7, 3),
        down in oracle::some_of(7, 0..=7),
        events in proptest::collection::vec(events(), 0..=20),
    ) {
        let (mut read, mut all) = start(requirement(&sets), 7, &down, Some(HEDGE));
        let (mut heard, mut timed_out) = (Vec::new(), false);
        for event in events {
            let (before, seen) = (read.clone(), all.len());
            match event {
                Event::Heard(input) => {
                    read.handle(START, input, &mut all);
                    heard.push(input);
                }
                Event::Timer => {
                    let Some(due) = read.next_timeout() else { continue };
                    read.handle_timeout(due, &mut all);
                    timed_out |= due == DEADLINE;
                }
            }
            let new = sent(&all[seen..]);
            // Only a replica that may help is asked, and one that is down only as a last resort.
            for &replica in &new {
                prop_assert!(unsettled(&before).difference(before.asked()).contains(replica));
                prop_assert!(sets.iter().any(|(members, need)| {
                    let count = |of| set(members).intersection(of).len();
                    let hopeful = read.answered().union(unsettled(&read).difference(set(&down)));
                    let helps = members.contains(&replica) && count(read.answered()) < *need;
                    helps && (!down.contains(&replica) || count(hopeful) < *need)
                }), "{replica} was asked for nothing");
            }
            match event {
                Event::Timer => prop_assert_eq!(new.len(), usize::from(!timed_out)),
                Event::Heard(Input::Answer { .. }) => prop_assert!(new.is_empty()),
                Event::Heard(Input::Error { .. }) => {}
            }
            if timed_out { break; }
        }
        // Nobody is asked twice; there is at most one end, the last effect, and it is the oracle's.
        let asked = sent(&all);
        prop_assert_eq!(set(&asked).len(), asked.len());
        prop_assert_eq!(set(&asked), read.asked());
        let ends = all.iter().filter(|effect| matches!(effect, Effect::Done(_))).count();
        prop_assert_eq!(ends, usize::from(ended(&all).is_some()));
        let decided = oracle::outcome(&sets, &[], &heard);
        let expected = decided.or(timed_out.then_some(Outcome::TimedOut));
        prop_assert_eq!(read.outcome(), expected);
        prop_assert_eq!(ended(&all), expected);
        // A read under way waits for something: what is in flight would be enough, in every set.
        if expected.is_none() {
            let coming = read.answered().union(read.open());
            prop_assert!(read.requirement().is_met(coming), "{coming:?} is too little");
        }
    }
}
