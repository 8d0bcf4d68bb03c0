//! Small random histories against the definition, word by word: all orders are tried.

use super::generate::{Calls, Load, Play, Random, falsify, history};
use crate::linearizability::search::{self, Reach, Verdict};
use crate::linearizability::timeline::Timeline;
use crate::linearizability::{Stuck, Unexplained, check, linearize, solve};
use crate::model::{Model, Register, Set, Text};
use crate::operation::Moment;

/// Whether what is left of the calls has an order from this state on.
fn has_order<M: Play>(model: &M, calls: &Calls<M>, done: &mut Vec<usize>, state: &M::State) -> bool {
    let left: Vec<_> = (0..calls.len()).filter(|index| !done.contains(index)).collect();
    let waiting = left.iter().filter_map(|index| Some(calls[*index].returned.as_ref()?.0));
    let Some(first) = waiting.min() else { return true };
    for index in left {
        let call = &calls[index];
        if call.invoked > first {
            continue;
        }
        if let Some(next) = model.step(state, &call.input, call.returned.as_ref().map(|(_, output)| output)) {
            done.push(index);
            let found = has_order(model, calls, done, &next);
            done.pop();
            if found {
                return true;
            }
        }
    }
    false
}

fn is_linearizable<M: Play>(model: &M, calls: &Calls<M>) -> bool {
    has_order(model, calls, &mut Vec::new(), &model.initial())
}

/// The shortest beginning that has no order: the call it ends with, and all calls in it.
fn shortest<M: Play>(model: &M, calls: &Calls<M>) -> Option<(usize, Vec<usize>)> {
    let mut returns: Vec<(Moment, usize)> =
        (0..calls.len()).filter_map(|index| Some((calls[index].returned.as_ref()?.0, index))).collect();
    returns.sort_unstable();
    returns.iter().find_map(|last| {
        let mut invoked: Vec<_> = (0..calls.len()).filter(|index| calls[*index].invoked <= last.0).collect();
        let mut beginning: Calls<M> = invoked.iter().map(|index| calls[*index].clone()).collect();
        for (index, call) in invoked.iter().zip(&mut beginning) {
            call.returned.take_if(|(completed, _)| (*completed, *index) > *last);
        }
        invoked.sort_by_key(|index| (calls[*index].invoked, *index));
        (!is_linearizable(model, &beginning)).then_some((last.1, invoked))
    })
}

/// Holds that an order obeys real time and the model, and has all calls that returned, up to this one.
pub(super) fn assert_explains<M: Play>(
    model: &M,
    calls: &Calls<M>,
    order: &[usize],
    within: &[usize],
    but: Option<usize>,
) {
    let mut state = model.initial();
    let limit = but.map(|index| (calls[index].returned.as_ref().unwrap().0, index));
    let returned = |index: usize| {
        calls[index].returned.as_ref().filter(|(completed, _)| limit.is_none_or(|limit| (*completed, index) < limit))
    };
    for (at, index) in order.iter().enumerate() {
        assert!(within.contains(index) && !order[..at].contains(index), "{order:?}");
        let late =
            order[at + 1..].iter().find(|other| returned(**other).is_some_and(|(t, _)| *t < calls[*index].invoked));
        assert_eq!(late, None, "{order:?} does not obey real time");
        let output = returned(*index).map(|(_, output)| output);
        state = model.step(&state, &calls[*index].input, output).expect("the order explains every answer");
    }
    assert!(within.iter().all(|index| order.contains(index) || returned(*index).is_none()), "{order:?}");
}

/// The same object without an abstraction of its own.
struct Bare<M>(M);

impl<M: Model> Model for Bare<M> {
    type State = M::State;
    type Input = M::Input;
    type Output = M::Output;

    fn initial(&self) -> M::State {
        self.0.initial()
    }

    fn step(&self, state: &M::State, input: &M::Input, output: Option<&M::Output>) -> Option<M::State> {
        self.0.step(state, input, output)
    }
}

fn compare<M: Play>(model: M, rounds: u64, load: impl Fn(&mut Random) -> Load) {
    let (mut verdicts, mut lenient) = ([0, 0], 0);
    let model = Bare(model);
    for seed in 0..rounds {
        let random = &mut Random(seed);
        let load = load(random);
        let mut calls = history(&model.0, &load, random);
        for _ in 0..random.below(4) {
            let from = random.below(load.operations as u64 / 2) as usize;
            falsify(&model.0, &mut calls, from, random);
        }
        let expected = shortest(&model.0, &calls);
        verdicts[usize::from(expected.is_some())] += 1;
        let found = check(&model.0, &calls);
        let all: Vec<_> = (0..calls.len()).collect();
        match (&found, &expected) {
            (Ok(order), None) => assert_explains(&model.0, &calls, order, &all, None),
            (Err(Unexplained::Stuck(Stuck { call, prefix, linearized, is_shortest })), Some(expected)) => {
                assert_eq!((call, prefix, is_shortest), (&expected.0, &expected.1, &true), "seed {seed}: {calls:#?}");
                assert_explains(&model.0, &calls, linearized, prefix, Some(*call));
            }
            _ => panic!("seed {seed}: {found:?} instead of {expected:?} of {calls:#?}"),
        }
        assert_eq!(linearize(&model.0, &calls).unwrap().is_some(), expected.is_none());
        assert_eq!(
            linearize(&model, &calls).unwrap().is_some(),
            expected.is_none(),
            "seed {seed}, without abstraction"
        );
        // With no memory to spare the nearest layers come first, now and then or always.
        let timeline = Timeline::new(&calls);
        let reach = Reach { many: random.below(3) as usize, ..search::LONG };
        let verdict = solve(&model.0, &calls, &timeline, reach);
        assert_eq!(matches!(verdict, Verdict::Linearized(_)), expected.is_none(), "seed {seed}, {reach:?}");
        // Being lenient finds less, and nothing that is not there.
        if let Verdict::Stuck { .. } = solve(&model.0, &calls, &timeline, search::LENIENT) {
            assert!(expected.is_some(), "seed {seed}, lenient");
            lenient += 1;
        }
    }
    println!("linearizable and not: {verdicts:?}; also not if open calls may be used again: {lenient}");
    assert!(lenient > verdicts[1] / 2, "{lenient}");
    assert!(verdicts.iter().all(|count| *count > rounds / 8), "{verdicts:?}");
}

fn load(random: &mut Random, second_percent: u64) -> Load {
    Load {
        operations: 3 + random.below(5) as usize,
        clients: 2 + random.below(3),
        longest: 1 + random.below(5),
        pause: random.below(3),
        unknown_percent: [0, 15, 40][random.below(3) as usize],
        read_percent: 35 + random.below(20),
        second_percent,
        values: [None, Some(2), Some(3)][random.below(3) as usize],
    }
}

#[test]
fn registers_are_judged_as_the_definition_says() {
    compare(Register { initial: 0 }, 12_000, |random| load(random, 0));
}

#[test]
fn registers_with_compare_and_set_are_judged_as_the_definition_says() {
    compare(Register { initial: 0 }, 12_000, |random| load(random, 70));
}

#[test]
fn sets_are_judged_as_the_definition_says() {
    compare(Set::default(), 12_000, |random| load(random, 0));
}

#[test]
fn texts_are_judged_as_the_definition_says() {
    compare(Text, 12_000, |random| {
        let second_percent = [60, 100][random.below(2) as usize];
        load(random, second_percent)
    });
}
