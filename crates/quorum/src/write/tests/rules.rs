//! One example of each rule.

use super::*;

fn sends(replicas: impl IntoIterator<Item = usize>) -> Vec<Effect> {
    replicas.into_iter().map(|replica| Effect::Send { replica }).collect()
}

fn hints(replicas: impl IntoIterator<Item = usize>) -> Vec<Effect> {
    replicas.into_iter().map(|replica| Effect::Hint { replica }).collect()
}

const REACHED: Effect = Effect::Done(Outcome::Reached);
const IMPOSSIBLE: Effect = Effect::Done(Outcome::Impossible);
const TIMED_OUT: Effect = Effect::Done(Outcome::TimedOut);

/// A write of "so many of so many" after its start.
struct Bench {
    write: Write,
    started: Vec<Effect>,
}

impl Bench {
    fn new(need: usize, n: usize, down: &[usize], stand_ins: usize) -> Bench {
        let sets = of_first(n, need);
        let (write, started) = start(&Case { sets: &sets, n, down, stand_ins });
        Bench { write, started }
    }

    fn hear(&mut self, now: Duration, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.write.handle(now, input, &mut out);
        out
    }

    fn answer(&mut self, replica: usize) -> Vec<Effect> {
        self.hear(EARLY, Input::Answer { replica })
    }

    fn error(&mut self, replica: usize) -> Vec<Effect> {
        self.hear(EARLY, Input::Error { replica })
    }

    fn stood_in(&mut self, replica: usize) -> Vec<Effect> {
        self.hear(EARLY, Input::StoodIn { replica })
    }

    fn no_stand_in(&mut self, replica: usize) -> Vec<Effect> {
        self.hear(EARLY, Input::NoStandIn { replica })
    }

    fn timeout(&mut self, now: Duration) -> Vec<Effect> {
        let mut out = Vec::new();
        self.write.handle_timeout(now, &mut out);
        out
    }
}

#[test]
fn a_write_goes_to_all_replicas_even_where_only_the_local_ones_count() {
    let requirement = Requirement::resolve(Level::LocalQuorum, &[0, 0, 0, 1, 1], 0).unwrap();
    let mut out = Vec::new();
    let case = Case { sets: &of_first(5, 1), n: 5, down: &[], stand_ins: 0 };
    let mut write = Write::start(START, WriteConfig { requirement, ..config(&case) }, &mut out);
    assert_eq!(out, sends(0..5));
    out.clear();
    for replica in [3, 4, 0] {
        write.handle(EARLY, Input::Answer { replica }, &mut out);
    }
    assert_eq!(out, []);
    write.handle(EARLY, Input::Answer { replica: 2 }, &mut out);
    assert_eq!(out, [REACHED]);
}

#[test]
fn a_write_that_starts_after_its_deadline_is_not_sent() {
    let case = Case { sets: &of_first(3, 1), n: 3, down: &[0], stand_ins: 1 };
    for (deadline, ended) in [(START - Duration::from_nanos(1), true), (START, true), (DEADLINE, false)] {
        let mut out = Vec::new();
        let write = Write::start(START, WriteConfig { deadline, ..config(&case) }, &mut out);
        assert_eq!(out, if ended { vec![TIMED_OUT] } else { [sends(1..3), hints([0])].concat() });
        assert_eq!((write.is_unsent(), write.is_settled(), write.next_timeout().is_none()), (ended, ended, ended));
    }
}

#[test]
fn a_write_that_is_impossible_with_all_stand_ins_is_not_sent_and_hints_nobody() {
    for stand_ins in 0..=1 {
        let mut bench = Bench::new(3, 3, &[0, 2], stand_ins);
        assert_eq!(bench.started, [IMPOSSIBLE]);
        assert!(bench.write.is_unsent() && bench.write.is_settled());
        assert_eq!(bench.write.failed(), set(&[0, 2]));
        assert_eq!([bench.answer(1), bench.error(1), bench.timeout(DEADLINE)].concat(), []);
        assert!(bench.write.is_unsent());
    }
    // A requirement on replicas outside the operation, or on a whole data centre that is down.
    let mut out = Vec::new();
    let (four, none) = (of_first(4, 4), Case { sets: &of_first(3, 1), n: 3, down: &[], stand_ins: 9 });
    Write::start(START, WriteConfig { requirement: requirement(&four), ..config(&none) }, &mut out);
    assert_eq!(out, [IMPOSSIBLE]);
    let requirement = Requirement::resolve(Level::EachQuorum, &[0, 0, 0, 1, 1, 1], 0).unwrap();
    let half = Case { sets: &of_first(6, 1), n: 6, down: &[3, 4, 5], stand_ins: 1 };
    out.clear();
    Write::start(START, WriteConfig { requirement, ..config(&half) }, &mut out);
    assert_eq!(out, [IMPOSSIBLE]);
}

#[test]
fn a_start_sends_then_covers_as_few_as_needed_then_hints_the_others() {
    let bench = Bench::new(3, 5, &[0, 1, 3], 4);
    assert_eq!(bench.started, [sends([2, 4]), vec![Effect::StandIn { replica: 0 }], hints([1, 3])].concat());
    assert_eq!(bench.write.hinted(), set(&[1, 3]));
}

#[test]
fn a_write_of_stand_ins_alone_has_been_sent() {
    let mut bench = Bench::new(1, 2, &[0, 1], 1);
    assert_eq!(bench.started, [Effect::StandIn { replica: 0 }, Effect::Hint { replica: 1 }]);
    assert!(bench.write.asked().is_empty() && !bench.write.is_unsent());
    assert_eq!(bench.stood_in(0), [REACHED]);
    assert!(bench.write.is_sloppy() && bench.write.is_settled());
}

#[test]
fn a_place_that_serves_two_sets_is_covered_first() {
    // Places are moving from {0, 1, 3} to {1, 2, 3}; one stand-in for 1 is enough, for 0 it is not.
    let sets: Sets = vec![(vec![0, 1, 3], 2), (vec![1, 2, 3], 2)];
    let (_, effects) = start(&Case { sets: &sets, n: 4, down: &[0, 1, 2], stand_ins: 1 });
    assert_eq!(effects, [sends([3]), vec![Effect::StandIn { replica: 1 }], hints([0, 2])].concat());
}

#[test]
fn a_failure_that_the_write_can_bear_is_hinted_at_once() {
    let mut bench = Bench::new(2, 3, &[], 3);
    assert_eq!(bench.error(0), hints([0]));
    assert_eq!(bench.error(0), [], "and only once");
    // The next one it cannot bear: the one that is not hinted yet is covered, and not hinted.
    assert_eq!(bench.error(2), [Effect::StandIn { replica: 2 }]);
    assert_eq!(bench.stood_in(2), []);
    assert_eq!(bench.answer(1), [REACHED]);
    assert!(bench.write.is_sloppy() && bench.write.is_settled());
    assert_eq!((bench.write.stood_in(), bench.write.hinted()), (set(&[2]), set(&[0])));
}

#[test]
fn a_stand_in_that_fails_is_hinted_for_and_the_next_place_is_covered() {
    let mut bench = Bench::new(2, 3, &[0, 1], 2);
    assert_eq!(bench.started[1..], [Effect::StandIn { replica: 0 }, Effect::Hint { replica: 1 }]);
    assert_eq!(bench.no_stand_in(0), [Effect::StandIn { replica: 1 }, Effect::Hint { replica: 0 }]);
    // No stand-in is left now.
    assert_eq!(bench.no_stand_in(1), [IMPOSSIBLE, Effect::Hint { replica: 2 }]);
    assert!(bench.write.is_settled());
}

#[test]
fn a_stand_in_nobody_asked_for_does_not_count() {
    let mut bench = Bench::new(1, 2, &[], 2);
    assert_eq!([bench.stood_in(0), bench.no_stand_in(1)].concat(), []);
    assert_eq!((bench.write.stood_in(), bench.write.outcome()), (ReplicaSet::EMPTY, None));
}

#[test]
fn a_replica_and_its_stand_in_count_once() {
    let mut bench = Bench::new(3, 3, &[0], 1);
    assert_eq!([bench.stood_in(0), bench.answer(0), bench.answer(1)].concat(), []);
    assert_eq!(bench.answer(2), [REACHED]);
    assert!(!bench.write.is_sloppy(), "the true answers alone were enough");
}

#[test]
fn silent_places_are_covered_when_their_time_is_up_and_their_answers_still_count() {
    let mut bench = Bench::new(2, 3, &[], 3);
    assert_eq!(bench.answer(2), []);
    assert_eq!(bench.write.next_timeout(), Some(COVER));
    assert_eq!(bench.timeout(EARLY), []);
    assert_eq!(bench.timeout(COVER), [Effect::StandIn { replica: 0 }], "one is missing");
    assert_eq!(bench.timeout(COVER), [], "once");
    assert_eq!(bench.write.next_timeout(), Some(DEADLINE));
    assert_eq!(bench.answer(0), [REACHED]);
    assert!(!bench.write.is_sloppy());
}

#[test]
fn a_silent_place_whose_stand_in_fails_late_gives_way_to_the_next_silent_one() {
    let mut bench = Bench::new(2, 3, &[], 2);
    bench.answer(2);
    assert_eq!(bench.timeout(COVER), [Effect::StandIn { replica: 0 }]);
    assert_eq!(bench.hear(COVER, Input::NoStandIn { replica: 0 }), [Effect::StandIn { replica: 1 }]);
    assert_eq!(bench.hear(COVER, Input::NoStandIn { replica: 1 }), [], "the replicas themselves may still answer");
    assert_eq!(bench.hear(COVER, Input::Answer { replica: 1 }), [REACHED]);
}

#[test]
fn a_strict_write_never_covers() {
    let mut bench = Bench::new(2, 3, &[], 0);
    assert_eq!(bench.write.next_timeout(), Some(DEADLINE));
    assert_eq!(bench.timeout(COVER), []);
    assert_eq!(bench.hear(COVER, Input::Error { replica: 1 }), hints([1]));
    assert_eq!(bench.hear(COVER, Input::Error { replica: 0 }), [vec![IMPOSSIBLE], hints([0, 2])].concat());
}

#[test]
fn a_silent_replica_is_waited_for_after_the_end_and_then_hinted() {
    let mut bench = Bench::new(1, 4, &[], 0);
    assert_eq!(bench.answer(0), [REACHED]);
    assert!(!bench.write.is_settled());
    assert_eq!(bench.write.next_timeout(), Some(EARLY + SETTLE));
    assert_eq!(bench.error(1), hints([1]), "a failure is not waited for");
    assert_eq!(bench.answer(2), []);
    assert_eq!(bench.timeout(EARLY + SETTLE - Duration::from_nanos(1)), []);
    assert_eq!(bench.timeout(EARLY + SETTLE), hints([3]));
    assert!(bench.write.is_settled() && bench.write.next_timeout().is_none());
    assert_eq!(bench.answer(3), []);
    assert_eq!(bench.write.answered(), set(&[0, 2, 3]), "the truth arrived late");
}

#[test]
fn a_silent_replica_is_waited_for_no_longer_than_the_deadline() {
    let mut bench = Bench::new(1, 2, &[], 0);
    let late = DEADLINE - Duration::from_millis(1);
    assert_eq!(bench.hear(late, Input::Answer { replica: 0 }), [REACHED]);
    assert_eq!(bench.write.next_timeout(), Some(DEADLINE));
    assert_eq!(bench.timeout(DEADLINE), hints([1]));
}

#[test]
fn a_replica_that_answers_as_it_is_given_up_is_not_hinted() {
    let mut bench = Bench::new(1, 3, &[], 0);
    bench.answer(0);
    assert_eq!(bench.hear(DEADLINE, Input::Answer { replica: 1 }), hints([2]));
    let mut bench = Bench::new(3, 3, &[], 0);
    assert_eq!(bench.hear(DEADLINE, Input::Answer { replica: 1 }), [vec![TIMED_OUT], hints([0, 2])].concat());
}

#[test]
fn a_stand_in_that_is_still_silent_when_the_write_settles_is_hinted_for() {
    let mut bench = Bench::new(2, 4, &[], 2);
    bench.answer(3);
    assert_eq!(bench.timeout(COVER), [Effect::StandIn { replica: 0 }]);
    assert_eq!(bench.hear(COVER, Input::Error { replica: 0 }), [], "its stand-in is at it");
    assert_eq!(bench.hear(COVER, Input::Answer { replica: 1 }), [REACHED]);
    assert_eq!(bench.timeout(COVER + SETTLE), hints([0, 2]));
    assert_eq!(bench.hear(COVER + SETTLE, Input::StoodIn { replica: 0 }), []);
    assert_eq!(bench.write.stood_in(), set(&[0]));
    assert!(!bench.write.is_sloppy(), "it was not when it was reached");
}

#[test]
fn a_stand_in_that_fails_after_the_end_is_not_replaced_but_hinted_for() {
    let mut bench = Bench::new(1, 3, &[0, 1, 2], 2);
    assert_eq!(bench.no_stand_in(0), [Effect::StandIn { replica: 1 }, Effect::Hint { replica: 0 }]);
    assert_eq!(bench.stood_in(1), [REACHED]);
    let mut bench = Bench::new(2, 3, &[0, 1], 3);
    assert_eq!([bench.answer(2), bench.hear(EARLY, Input::Answer { replica: 1 })].concat(), [REACHED]);
    assert_eq!(bench.no_stand_in(0), hints([0]));
}

#[test]
fn a_write_that_times_out_after_it_was_sent_hints_everyone_without_it() {
    let mut bench = Bench::new(4, 5, &[0, 4], 1);
    assert_eq!(bench.started[3..], [Effect::StandIn { replica: 0 }, Effect::Hint { replica: 4 }]);
    bench.answer(1);
    assert_eq!(bench.timeout(COVER), [], "no stand-in is left");
    assert_eq!(bench.timeout(DEADLINE), [vec![TIMED_OUT], hints([0, 2, 3])].concat());
    assert!(bench.write.is_settled());
}

#[test]
fn a_position_or_a_down_replica_outside_the_operation_is_ignored() {
    let mut bench = Bench::new(3, 3, &[3, 63], 1);
    assert_eq!((&bench.started[..], bench.write.failed()), (&sends(0..3)[..], ReplicaSet::EMPTY));
    let before = bench.write.clone();
    for replica in [3, 63, 64, usize::MAX] {
        let effects =
            [bench.answer(replica), bench.error(replica), bench.stood_in(replica), bench.no_stand_in(replica)];
        assert_eq!(effects.concat(), []);
    }
    assert_eq!(bench.write, before);
}

#[test]
fn waits_past_all_time_end_at_the_deadline() {
    let case = Case { sets: &of_first(2, 1), n: 2, down: &[], stand_ins: 1 };
    let waits = WriteConfig { cover_after: Duration::MAX, settle_after: Duration::MAX, ..config(&case) };
    let (mut write, mut out) = (Write::start(START, waits, &mut Vec::new()), Vec::new());
    assert_eq!(write.next_timeout(), Some(DEADLINE));
    write.handle(EARLY, Input::Answer { replica: 0 }, &mut out);
    assert_eq!(write.next_timeout(), Some(DEADLINE));
}

#[test]
fn waits_of_zero_cover_and_settle_at_once() {
    let case = Case { sets: &of_first(2, 1), n: 2, down: &[], stand_ins: 1 };
    let waits = WriteConfig { cover_after: Duration::ZERO, settle_after: Duration::ZERO, ..config(&case) };
    let (mut write, mut out) = (Write::start(START, waits, &mut Vec::new()), Vec::new());
    assert_eq!(write.next_timeout(), Some(START));
    write.handle_timeout(START, &mut out);
    assert_eq!(out, [Effect::StandIn { replica: 0 }]);
    out.clear();
    write.handle(EARLY, Input::Answer { replica: 1 }, &mut out);
    assert_eq!(out, [REACHED, Effect::Hint { replica: 0 }]);
}

#[test]
fn an_answer_that_is_withdrawn_counts_when_it_comes_again() {
    let mut bench = Bench::new(2, 3, &[], 0);
    assert!(!bench.write.withdraw(0), "it has not answered");
    assert_eq!(bench.answer(0), []);
    assert!(bench.write.withdraw(0) && !bench.write.withdraw(0));
    assert!(bench.write.open().contains(0));
    assert_eq!(bench.answer(1), []);
    assert_eq!(bench.answer(0), [REACHED]);
    let before = bench.write.clone();
    assert!(!bench.write.withdraw(1), "what is done is done");
    assert_eq!(bench.write, before);
    // Nobody is left to be waited for.
    let mut bench = Bench::new(2, 2, &[], 0);
    bench.answer(0);
    bench.write.withdraw(0);
    assert_eq!(bench.error(0), [IMPOSSIBLE, Effect::Hint { replica: 0 }, Effect::Hint { replica: 1 }]);
}
