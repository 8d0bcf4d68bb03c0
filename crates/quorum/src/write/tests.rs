//! Writes against the oracle: exhaustively for up to five replicas, at random for overlapping sets.

use super::*;
use crate::Level;
use crate::oracle::{self, Sets, of_first, requirement, set, subsets};
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

const START: Duration = Duration::from_millis(100);
const EARLY: Duration = Duration::from_millis(199);
const DEADLINE: Duration = Duration::from_millis(200);

fn start(requirement: Requirement, n: usize, down: &[usize]) -> (Write, Vec<Effect>) {
    let mut out = Vec::new();
    let write = Write::start(START, requirement, ReplicaSet::first(n), set(down), DEADLINE, &mut out);
    (write, out)
}

fn sends(replicas: impl IntoIterator<Item = usize>) -> Vec<Effect> {
    replicas.into_iter().map(|replica| Effect::Send { replica }).collect()
}

fn done(outcome: Option<Outcome>) -> Vec<Effect> {
    outcome.map(Effect::Done).into_iter().collect()
}

/// A write under way, with all that has happened to it.
struct Walk<'a> {
    sets: &'a Sets,
    n: usize,
    down: &'a [usize],
    steps: usize,
}

impl Walk<'_> {
    /// Checks the start, then every order of further events.
    fn check(&mut self, events_left: usize, next: &dyn Fn(usize, &[Input]) -> Vec<Input>) {
        let (write, effects) = start(requirement(self.sets), self.n, self.down);
        let decided = oracle::outcome(self.sets, self.down, &[]);
        let up = (0..self.n).filter(|replica| !self.down.contains(replica));
        assert_eq!(effects, if decided.is_some() { done(decided) } else { sends(up) });
        assert_eq!(write.asked().is_empty(), decided.is_some());
        self.step(&write, &mut Vec::new(), events_left, next);
    }

    fn step(
        &mut self,
        write: &Write,
        events: &mut Vec<Input>,
        left: usize,
        next: &dyn Fn(usize, &[Input]) -> Vec<Input>,
    ) {
        self.steps += 1;
        let before = oracle::outcome(self.sets, self.down, events);
        assert_eq!(write.outcome(), before, "{events:?} of {:?} without {:?}", self.sets, self.down);
        assert_eq!(write.answered(), set(&oracle::answered(events)));
        assert_eq!(write.failed(), set(&oracle::failed(self.down, events)));
        let settled = write.answered().union(write.failed());
        assert_eq!(write.open(), write.asked().difference(settled));
        self.check_timeout(write, before);
        if left == 0 {
            return;
        }
        for event in next(self.n, events) {
            let mut after = write.clone();
            let mut effects = Vec::new();
            after.handle(EARLY, event, &mut effects);
            events.push(event);
            let decided = if before.is_none() { oracle::outcome(self.sets, self.down, events) } else { None };
            assert_eq!(effects, done(decided), "{events:?} of {:?} without {:?}", self.sets, self.down);
            self.step(&after, events, left - 1, next);
            events.pop();
        }
    }

    /// The deadline at this point: nothing before it, exactly one end at it, and silence from then
    /// on.
    fn check_timeout(&self, write: &Write, decided: Option<Outcome>) {
        assert_eq!(write.next_timeout(), decided.is_none().then_some(DEADLINE));
        let mut late = write.clone();
        let mut effects = Vec::new();
        late.handle_timeout(EARLY, &mut effects);
        assert_eq!(effects, []);
        late.handle_timeout(DEADLINE, &mut effects);
        let timed_out = decided.is_none().then_some(Outcome::TimedOut);
        assert_eq!(effects, done(timed_out));
        assert_eq!(late.outcome(), decided.or(timed_out));
        effects.clear();
        late.handle_timeout(DEADLINE, &mut effects);
        for replica in 0..self.n {
            late.handle(DEADLINE, Input::Answer { replica }, &mut effects);
        }
        late.resend(&mut effects);
        assert_eq!(effects, []);
        assert_eq!(late.answered(), ReplicaSet::first(self.n));
        assert_eq!((late.outcome(), late.next_timeout()), (decided.or(timed_out), None));
    }
}

/// Each replica answers or fails, at most once.
fn distinct(n: usize, events: &[Input]) -> Vec<Input> {
    let heard = |replica| events.contains(&Input::Answer { replica }) || events.contains(&Input::Error { replica });
    (0..n)
        .filter(|&replica| !heard(replica))
        .flat_map(|replica| [Input::Answer { replica }, Input::Error { replica }])
        .collect()
}

/// Anything may be said, again and to the contrary.
fn anything(n: usize, _: &[Input]) -> Vec<Input> {
    distinct(n, &[])
}

#[test]
fn every_order_of_answers_and_errors_of_up_to_five_replicas_is_decided_like_the_oracle() {
    let mut steps = 0;
    for n in 1..=5 {
        for need in 1..=n {
            for down in subsets(&(0..n).collect::<Vec<_>>()) {
                let mut walk = Walk { sets: &of_first(n, need), n, down: &down, steps: 0 };
                walk.check(n, &distinct);
                steps += walk.steps;
            }
        }
    }
    assert!(steps > 100_000, "only {steps} states were visited");
}

#[test]
fn repeated_and_contradicting_events_are_decided_like_the_oracle() {
    for n in 1..=3 {
        for need in 1..=n {
            for down in subsets(&(0..n).collect::<Vec<_>>()) {
                let mut walk = Walk { sets: &of_first(n, need), n, down: &down, steps: 0 };
                walk.check(4, &anything);
            }
        }
    }
}

#[test]
fn a_quorum_in_each_centre_is_decided_like_the_oracle() {
    let sets: Sets = vec![(vec![0, 1, 2], 2), (vec![3, 4], 2)];
    for down in subsets(&[0, 1, 2, 3, 4]).into_iter().filter(|down| down.len() < 2) {
        Walk { sets: &sets, n: 5, down: &down, steps: 0 }.check(5, &distinct);
    }
}

proptest! {
    #[test]
    fn overlapping_sets_are_decided_like_the_oracle(
        sets in oracle::any_sets(7, 4),
        down in oracle::some_of(7, 0..=2),
        events in proptest::collection::vec((0usize..7, any::<bool>()), 0..=14),
    ) {
        let events: Vec<Input> = events.into_iter().map(|(replica, answers)| {
            if answers { Input::Answer { replica } } else { Input::Error { replica } }
        }).collect();
        let (mut write, mut effects) = start(requirement(&sets), 7, &down);
        for &event in &events {
            write.handle(EARLY, event, &mut effects);
        }
        effects.retain(|effect| matches!(effect, Effect::Done(_)));
        prop_assert_eq!(effects, done(oracle::outcome(&sets, &down, &events)));
        prop_assert_eq!(write.answered(), set(&oracle::answered(&events)));
    }
}

#[test]
fn a_write_that_starts_after_its_deadline_is_not_sent() {
    let one = requirement(&of_first(3, 1));
    for (deadline, ended) in [(START - Duration::from_nanos(1), true), (START, true), (DEADLINE, false)] {
        let mut out = Vec::new();
        let down = ReplicaSet::EMPTY;
        let write = Write::start(START, one.clone(), ReplicaSet::first(3), down, deadline, &mut out);
        assert_eq!(out, if ended { done(Some(Outcome::TimedOut)) } else { sends(0..3) });
        assert_eq!(write.asked().is_empty(), ended);
        assert_eq!(write.next_timeout().is_none(), ended);
    }
}

#[test]
fn a_write_that_is_impossible_without_the_replicas_that_are_down_is_not_sent() {
    let (write, effects) = start(requirement(&of_first(3, 2)), 3, &[0, 2]);
    assert_eq!(effects, [Effect::Done(Outcome::Impossible)]);
    assert_eq!((write.asked(), write.failed()), (ReplicaSet::EMPTY, set(&[0, 2])));

    // One whole data centre is down: a quorum in each is impossible, a local one is not.
    let centres = [0, 0, 0, 1, 1, 1];
    let each = Requirement::resolve(Level::EachQuorum, &centres, 0).unwrap();
    assert_eq!(start(each, 6, &[3, 4, 5]).1, [Effect::Done(Outcome::Impossible)]);
    let local = Requirement::resolve(Level::LocalQuorum, &centres, 0).unwrap();
    assert_eq!(start(local, 6, &[3, 4, 5]).1, sends(0..3));
}

#[test]
fn a_write_goes_to_all_replicas_even_where_only_the_local_ones_count() {
    let local = Requirement::resolve(Level::LocalQuorum, &[0, 0, 0, 1, 1], 0).unwrap();
    let (mut write, mut effects) = start(local, 5, &[]);
    assert_eq!(effects, sends(0..5));
    effects.clear();
    for replica in [3, 4, 0] {
        write.handle(EARLY, Input::Answer { replica }, &mut effects);
    }
    assert_eq!(effects, []);
    write.handle(EARLY, Input::Answer { replica: 2 }, &mut effects);
    assert_eq!(effects, [Effect::Done(Outcome::Reached)]);
}

#[test]
fn a_requirement_on_replicas_outside_the_operation_is_impossible() {
    let (_, effects) = start(requirement(&of_first(4, 4)), 3, &[]);
    assert_eq!(effects, [Effect::Done(Outcome::Impossible)]);
}

#[test]
fn a_replica_down_outside_the_operation_is_ignored() {
    let (write, effects) = start(requirement(&of_first(3, 3)), 3, &[3, 63]);
    assert_eq!(effects, sends(0..3));
    assert_eq!(write.failed(), ReplicaSet::EMPTY);
}

#[test]
fn a_position_outside_the_operation_is_ignored() {
    let (mut write, _) = start(requirement(&of_first(3, 1)), 3, &[]);
    let before = write.clone();
    let mut effects = Vec::new();
    for replica in [3, 63, 64, usize::MAX] {
        write.handle(EARLY, Input::Answer { replica }, &mut effects);
        write.handle(EARLY, Input::Error { replica }, &mut effects);
    }
    assert_eq!((write, effects), (before, Vec::new()));
}

#[test]
fn an_input_at_the_deadline_is_too_late_but_still_noted() {
    for input in [Input::Answer { replica: 0 }, Input::Error { replica: 0 }] {
        let (mut write, mut effects) = start(requirement(&of_first(1, 1)), 1, &[]);
        effects.clear();
        write.handle(DEADLINE, input, &mut effects);
        assert_eq!(effects, [Effect::Done(Outcome::TimedOut)]);
        assert_eq!(write.open(), ReplicaSet::EMPTY);
    }
}

#[test]
fn resending_forgets_the_answers_and_spares_the_failed() {
    let (mut write, _) = start(requirement(&of_first(4, 3)), 4, &[]);
    let mut effects = Vec::new();
    write.handle(EARLY, Input::Answer { replica: 0 }, &mut effects);
    write.handle(EARLY, Input::Answer { replica: 2 }, &mut effects);
    write.handle(EARLY, Input::Error { replica: 1 }, &mut effects);
    write.resend(&mut effects);
    assert_eq!(effects, sends([0, 2, 3]));
    assert_eq!((write.answered(), write.failed()), (ReplicaSet::EMPTY, set(&[1])));

    effects.clear();
    write.handle(EARLY, Input::Answer { replica: 3 }, &mut effects);
    write.handle(EARLY, Input::Answer { replica: 2 }, &mut effects);
    assert_eq!(effects, []);
    write.handle(EARLY, Input::Answer { replica: 0 }, &mut effects);
    assert_eq!(effects, [Effect::Done(Outcome::Reached)]);
}

#[test]
fn a_replica_that_answered_may_fail_the_resent_write() {
    let (mut write, _) = start(requirement(&of_first(2, 2)), 2, &[]);
    let mut effects = Vec::new();
    write.handle(EARLY, Input::Answer { replica: 0 }, &mut effects);
    write.resend(&mut effects);
    effects.clear();
    write.handle(EARLY, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, [Effect::Done(Outcome::Impossible)]);
}

#[test]
fn what_becomes_of_the_others_is_told_after_the_end() {
    let (mut write, _) = start(requirement(&of_first(3, 1)), 3, &[]);
    let mut effects = Vec::new();
    write.handle(EARLY, Input::Answer { replica: 1 }, &mut effects);
    effects.clear();
    write.handle(EARLY, Input::Error { replica: 0 }, &mut effects);
    write.handle(EARLY, Input::Answer { replica: 2 }, &mut effects);
    assert_eq!(effects, []);
    assert_eq!((write.answered(), write.failed(), write.open()), (set(&[1, 2]), set(&[0]), ReplicaSet::EMPTY));
}
