//! One example of each rule of a read without stand-ins.

use super::*;

fn start_of(requirement: Requirement, n: usize, down: &[usize], hedge: Option<Hedge>) -> (Read, Vec<Effect>) {
    let mut out = Vec::new();
    let case = Case { sets: &of_first(n, 1), n, down, stand_ins: 0 };
    let read = Read::start(START, ReadConfig { requirement, ..config(&case, hedge) }, &mut out);
    (read, out)
}

#[test]
fn a_read_asks_the_first_replicas_only() {
    assert_eq!(start_of(requirement(&of_first(5, 2)), 5, &[], None).1, sends([0, 1]));
}

#[test]
fn a_quorum_in_each_centre_asks_a_majority_of_each() {
    let each = Requirement::resolve(Level::EachQuorum, &[0, 1, 0, 1, 0, 1], 0).unwrap();
    let (mut read, mut effects) = start_of(each, 6, &[], Some(EACH));
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
    let (mut read, mut effects) = start_of(local, 5, &[], Some(EACH));
    assert_eq!(effects, sends([1, 3]));
    effects.clear();
    read.handle_timeout(START + HEDGE, &mut HedgeBudget::default(), &mut effects);
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
    let (mut read, mut effects) = start_of(requirement(&sets), 4, &[], None);
    assert_eq!(effects, sends([0, 1, 2]));
    effects.clear();
    read.handle(START, Input::Error { replica: 1 }, &mut effects);
    assert_eq!(effects, sends([3]));

    let sets: Sets = vec![(vec![0, 1, 2], 1), (vec![0, 1, 3], 1)];
    let (mut read, mut effects) = start_of(requirement(&sets), 4, &[], None);
    assert_eq!(effects, sends([0]));
    effects.clear();
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([1]));
}

#[test]
fn hedges_come_one_at_a_time_and_are_counted_from_the_last() {
    let (mut read, mut effects) = start_of(requirement(&of_first(4, 1)), 4, &[], Some(EACH));
    assert_eq!(effects, sends([0]));
    assert_eq!(read.next_timeout(), Some(START + HEDGE));
    effects.clear();
    read.handle_timeout(START + HEDGE - Duration::from_nanos(1), &mut HedgeBudget::default(), &mut effects);
    assert_eq!(effects, []);
    // The caller was late by several hedges: still one, and the next a full wait later.
    let late = START + 5 * HEDGE;
    read.handle_timeout(late, &mut HedgeBudget::default(), &mut effects);
    read.handle_timeout(late, &mut HedgeBudget::default(), &mut effects);
    assert_eq!(effects, sends([1]));
    assert_eq!(read.next_timeout(), Some(late + HEDGE));
    // A failure asks at once and leaves the timer alone.
    read.handle(late, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([1, 2]));
    assert_eq!(read.next_timeout(), Some(late + HEDGE));
    read.handle_timeout(late + HEDGE, &mut HedgeBudget::default(), &mut effects);
    assert_eq!(effects, sends([1, 2, 3]));
    assert_eq!(read.next_timeout(), Some(DEADLINE), "nobody is left to ask");
    read.handle_timeout(late + 2 * HEDGE, &mut HedgeBudget::default(), &mut effects);
    assert_eq!(effects, sends([1, 2, 3]));
}

#[test]
fn a_hedge_wait_of_zero_asks_one_more_at_every_timeout_and_then_stops() {
    let (mut read, mut effects) =
        start_of(requirement(&of_first(3, 1)), 3, &[], Some(Hedge { early: Duration::ZERO, late: Duration::ZERO }));
    while read.next_timeout() == Some(START) {
        read.handle_timeout(START, &mut HedgeBudget::default(), &mut effects);
    }
    assert_eq!(effects, sends([0, 1, 2]));
    assert_eq!(read.next_timeout(), Some(DEADLINE));
}

#[test]
fn a_hedge_wait_past_all_time_never_comes() {
    let (read, _) =
        start_of(requirement(&of_first(3, 1)), 3, &[], Some(Hedge { early: Duration::MAX, late: Duration::MAX }));
    assert_eq!(read.next_timeout(), Some(DEADLINE));
}

#[test]
fn a_failure_is_replaced_even_when_a_hedge_is_under_way() {
    let (mut read, mut effects) = start_of(requirement(&of_first(5, 2)), 5, &[], Some(EACH));
    read.handle_timeout(START + HEDGE, &mut HedgeBudget::default(), &mut effects);
    read.handle(START + HEDGE, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([0, 1, 2, 3]));
}

#[test]
fn a_failure_in_a_set_that_is_met_is_not_replaced() {
    let sets: Sets = vec![(vec![0, 1, 2], 1), (vec![3], 1)];
    let (mut read, mut effects) = start_of(requirement(&sets), 4, &[], Some(EACH));
    read.handle_timeout(START + HEDGE, &mut HedgeBudget::default(), &mut effects);
    assert_eq!(effects, sends([0, 3, 1]));
    read.handle(START + HEDGE, Input::Answer { replica: 1 }, &mut effects);
    read.handle(START + HEDGE, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([0, 3, 1]), "only replica 3 is still needed");
}

#[test]
fn replicas_known_to_be_down_are_the_last_resort() {
    // Two of five, the first two down: they are not asked as long as two others may answer, hedges
    // included.
    let (mut read, mut effects) = start_of(requirement(&of_first(5, 2)), 5, &[0, 1], Some(EACH));
    assert_eq!(effects, sends([2, 3]));
    effects.clear();
    read.handle_timeout(START + HEDGE, &mut HedgeBudget::default(), &mut effects);
    assert_eq!(effects, sends([4]));
    assert_eq!(read.next_timeout(), Some(DEADLINE));
    read.handle(START, Input::Error { replica: 2 }, &mut effects);
    assert_eq!(effects, sends([4]));
    // Now only one other is left.
    read.handle(START, Input::Error { replica: 3 }, &mut effects);
    assert_eq!(effects, sends([4, 0]));
    // And among those that are down, the next hedge may try the other one too.
    read.handle_timeout(START + 2 * HEDGE, &mut HedgeBudget::default(), &mut effects);
    assert_eq!(effects, sends([4, 0, 1]));
    read.handle(START, Input::Answer { replica: 1 }, &mut effects);
    read.handle(START, Input::Answer { replica: 4 }, &mut effects);
    assert_eq!(effects[3..], done(Outcome::Reached));
}

#[test]
fn a_read_with_every_replica_down_still_asks() {
    let (mut read, mut effects) = start_of(requirement(&of_first(3, 2)), 3, &[0, 1, 2], None);
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
    let case = Case { sets: &of_first(3, 1), n: 3, down: &[], stand_ins: 1 };
    let read = Read::start(START, ReadConfig { deadline: START, ..config(&case, None) }, &mut out);
    assert_eq!(out, done(Outcome::TimedOut));
    assert_eq!((read.asked(), read.next_timeout()), (ReplicaSet::EMPTY, None));
}

#[test]
fn a_requirement_on_replicas_outside_the_operation_is_impossible() {
    assert_eq!(start_of(requirement(&of_first(4, 4)), 3, &[], None).1, done(Outcome::Impossible));
}

#[test]
fn an_error_at_the_deadline_ends_the_read_and_asks_nobody() {
    let (mut read, mut effects) = start_of(requirement(&of_first(3, 1)), 3, &[], None);
    effects.clear();
    read.handle(DEADLINE, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, done(Outcome::TimedOut));
}

#[test]
fn an_answer_after_an_error_counts_and_an_error_after_an_answer_does_not() {
    let (mut read, mut effects) = start_of(requirement(&of_first(3, 2)), 3, &[], None);
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
    let (mut read, mut effects) = start_of(requirement(&of_first(4, 1)), 4, &[], None);
    read.handle(START, Input::Error { replica: 1 }, &mut effects);
    assert_eq!(effects, sends([0]));
    read.handle(START, Input::Error { replica: 0 }, &mut effects);
    assert_eq!(effects, sends([0, 2]));
    read.handle(START, Input::Answer { replica: 3 }, &mut effects);
    assert_eq!(effects[2..], done(Outcome::Reached));
}

#[test]
fn a_position_outside_the_operation_is_ignored() {
    let (mut read, mut effects) = start_of(requirement(&of_first(3, 1)), 3, &[], None);
    effects.clear();
    let before = read.clone();
    for replica in [3, 63, 64, usize::MAX] {
        read.handle(START, Input::Answer { replica }, &mut effects);
        read.handle(START, Input::Error { replica }, &mut effects);
    }
    assert_eq!((read, effects), (before, Vec::new()));
}
