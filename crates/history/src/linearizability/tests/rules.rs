//! Rules of the calls themselves, by hand.

use crate::linearizability::{Call, Stuck, Unexplained, check, linearize};
use crate::model::register::{Input, Output, Register};
use crate::model::set::{self, Set};
use crate::model::text::{self, Text};
use crate::operation::Moment;

type RegisterCall = Call<Input<u64>, Output<u64>>;

fn call<I, O>(input: I, invoked: u64, returned: Option<(u64, O)>) -> Call<I, O> {
    Call { process: 0, input, invoked: Moment(invoked), returned: returned.map(|(at, output)| (Moment(at), output)) }
}

fn write(value: u64, invoked: u64, completed: u64) -> RegisterCall {
    call(Input::Write(value), invoked, Some((completed, Output::Written)))
}

fn read(value: u64, invoked: u64, completed: u64) -> RegisterCall {
    call(Input::Read, invoked, Some((completed, Output::Value(value))))
}

fn cas(old: u64, new: u64, swapped: bool, invoked: u64, completed: u64) -> RegisterCall {
    call(Input::Cas { old, new }, invoked, Some((completed, Output::Swapped(swapped))))
}

fn open(input: Input<u64>, invoked: u64) -> RegisterCall {
    call(input, invoked, None)
}

fn judge(calls: &[RegisterCall]) -> Option<Vec<usize>> {
    linearize(&Register { initial: 0 }, calls).unwrap()
}

fn stuck(calls: &[RegisterCall]) -> Stuck {
    match check(&Register { initial: 0 }, calls) {
        Err(Unexplained::Stuck(stuck)) => stuck,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_calls_are_linearizable() {
    assert_eq!(check(&Register { initial: 0 }, &[]), Ok(vec![]));
}

#[test]
fn a_read_of_an_overwritten_value_is_found() {
    let calls = [write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)];
    let expected = Stuck { call: 2, prefix: vec![0, 1, 2], linearized: vec![0, 1], is_shortest: true };
    assert_eq!(stuck(&calls), expected);
}

#[test]
fn what_touches_is_concurrent() {
    assert_eq!(judge(&[write(1, 0, 5), read(0, 5, 6)]), Some(vec![1, 0]));
    assert_eq!(judge(&[write(1, 0, 5), read(0, 6, 7)]), None);
    assert_eq!(judge(&[write(1, 5, 5), read(0, 5, 5), read(1, 5, 5)]).map(|order| order.len()), Some(3));
}

#[test]
fn a_call_of_unknown_outcome_takes_effect_late_or_never_but_not_early() {
    let unknown = open(Input::Write(1), 10);
    assert!(judge(&[unknown.clone(), read(0, 20, 21), read(0, 30, 31)]).is_some());
    assert!(judge(&[unknown.clone(), read(0, 20, 21), read(1, 30, 31)]).is_some());
    assert_eq!(stuck(&[unknown.clone(), read(1, 20, 21), read(0, 30, 31)]).call, 2);
    assert_eq!(stuck(&[unknown, read(1, 8, 9)]).prefix, [1]);
}

#[test]
fn a_call_of_unknown_outcome_takes_effect_once() {
    let calls = [open(Input::Write(1), 0), read(1, 1, 2), write(2, 3, 4), read(1, 5, 6)];
    assert_eq!(stuck(&calls).call, 3);
    let twice = [&calls[..], &[open(Input::Write(1), 4)]].concat();
    assert!(judge(&twice).is_some());
}

#[test]
fn an_unread_write_can_still_make_a_compare_and_set_miss() {
    let miss = cas(0, 5, false, 2, 3);
    assert_eq!(judge(std::slice::from_ref(&miss)), None);
    assert_eq!(judge(&[open(Input::Write(9), 0), miss.clone()]), Some(vec![0, 1]));
    assert_eq!(judge(&[open(Input::Cas { old: 0, new: 9 }, 0), miss.clone()]), Some(vec![0, 1]));
    assert_eq!(judge(&[open(Input::Cas { old: 7, new: 9 }, 0), miss]), None);
}

#[test]
fn unknown_calls_may_build_on_each_other() {
    let mut calls: Vec<_> = (0..20).rev().map(|value| open(Input::Cas { old: value, new: value + 1 }, 0)).collect();
    calls.push(read(20, 1, 2));
    let order: Vec<_> = (0..20).rev().chain([20]).collect();
    assert_eq!(judge(&calls), Some(order));
    calls.remove(7);
    assert_eq!(judge(&calls), None);
}

#[test]
fn the_shortest_beginning_does_not_know_the_answers_to_come() {
    // The compare-and-set will say that it missed. But when the first read returns it may still have swapped: it is
    // its own return that cannot be passed.
    let calls = [cas(0, 1, false, 0, 10), read(1, 1, 2), write(3, 3, 4)];
    let stuck = stuck(&calls);
    assert_eq!((stuck.call, stuck.prefix.len()), (0, 3));
    assert_eq!(stuck.linearized[..2], [0, 1]);
}

#[test]
fn the_order_in_which_calls_are_listed_does_not_matter() {
    let calls = [read(1, 4, 5), write(2, 2, 3), write(1, 0, 1)];
    let stuck = stuck(&calls);
    assert_eq!((stuck.call, &stuck.prefix[..], &stuck.linearized[..]), (0, &[2, 1, 0][..], &[2, 1][..]));
}

#[test]
fn an_answer_to_another_question_never_fits() {
    assert_eq!(judge(&[call(Input::Read, 0, Some((1, Output::Written)))]), None);
    assert_eq!(judge(&[call(Input::Write(1), 0, Some((1, Output::Value(1))))]), None);
    let set = call(set::Input::Add(1), 0, Some((1, set::Output::Elements(vec![1]))));
    assert_eq!(linearize(&Set::default(), &[set]), Ok(None));
    let text = call(text::Input::Append("a".into()), 0, Some((1, text::Output::Text("a".into()))));
    assert_eq!(linearize(&Text, &[text]), Ok(None));
}

#[test]
#[should_panic(expected = "returned before it was invoked")]
fn a_call_that_returns_before_it_is_invoked_is_the_callers_mistake() {
    let _ = judge(&[write(1, 5, 4)]);
}

#[test]
fn a_set_never_loses_an_element_nor_shows_it_twice() {
    let add = |element, at| call(set::Input::Add(element), at, Some((at + 1, set::Output::Added)));
    let read =
        |elements: &[u64], at| call(set::Input::Read, at, Some((at + 1, set::Output::Elements(elements.to_vec()))));
    let judge = |last| linearize(&Set::default(), &[add(1, 0), read(&[1], 2), add(2, 4), last]).unwrap().is_some();
    assert!(judge(read(&[2, 1], 6)));
    for elements in [&[2][..], &[1, 1, 2], &[2, 1, 2], &[], &[1, 2, 3]] {
        assert!(!judge(read(elements, 6)), "{elements:?}");
    }
}

#[test]
fn appends_keep_their_order_and_a_write_forgets_them() {
    let append = |text: &str, at| call(text::Input::Append(text.into()), at, Some((at + 1, text::Output::Written)));
    let write = |text: &str, at| call(text::Input::Write(text.into()), at, Some((at + 1, text::Output::Written)));
    let read = |text: &str, at| call(text::Input::Read, at, Some((at + 1, text::Output::Text(text.into()))));
    let judge = |calls: &[_]| linearize(&Text, calls).unwrap().is_some();
    assert!(judge(&[
        read("", 0),
        append("é", 2),
        append("b", 4),
        read("éb", 6),
        write("", 8),
        append("c", 10),
        read("c", 12)
    ]));
    assert!(!judge(&[append("a", 0), append("b", 2), read("ba", 4)]));
    assert!(!judge(&[append("a", 0), write("b", 2), read("ab", 4)]));
    assert!(!judge(&[append("a", 0), append("b", 2), read("a", 4)]));
}

#[test]
fn a_search_that_outgrows_its_memory_says_so() {
    use crate::linearizability::search::{LONG, Reach, Verdict};
    use crate::linearizability::timeline::Timeline;
    let calls: Vec<_> =
        (0..12).map(|value| write(value, 0, 10)).chain((0..12).map(|value| read(value, 20, 30))).collect();
    let model = Register { initial: 0 };
    let solve = |most| crate::linearizability::solve(&model, &calls, &Timeline::new(&calls), Reach { most, ..LONG });
    assert!(matches!(solve(1 << 20), Verdict::Stuck { .. }));
    assert!(matches!(solve(10), Verdict::Undecided(undecided) if undecided.configurations > 0));
}

#[test]
fn a_long_order_is_no_matter_for_the_stack() {
    let calls: Vec<_> = (0..300_000).map(|at| write(at % 3, 2 * at, 2 * at + 1)).collect();
    assert_eq!(judge(&calls).map(|order| order.len()), Some(calls.len()));
}
