//! A set that grows: add one element, read all. It owns what such a set answers, and the order in which its reads must
//! have taken place.

use std::collections::BTreeSet;

use super::{Abstraction, Asked, Model, Numbering};

/// Holds elements, none at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set<E>(core::marker::PhantomData<fn(E)>);

impl<E> Default for Set<E> {
    fn default() -> Self {
        Self(core::marker::PhantomData)
    }
}

/// What is asked of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<E> {
    /// Hold this element too.
    Add(E),
    /// Which elements does it hold?
    Read,
}

/// What a set answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// To an addition: done.
    Added,
    /// To a read: it holds these, in any order. A set that shows an element twice is none.
    Elements(Vec<E>),
}

impl<E: Clone + Ord + core::hash::Hash> Model for Set<E> {
    type State = BTreeSet<E>;
    type Input = Input<E>;
    type Output = Output<E>;

    fn initial(&self) -> BTreeSet<E> {
        BTreeSet::new()
    }

    fn step(&self, state: &BTreeSet<E>, input: &Input<E>, output: Option<&Output<E>>) -> Option<BTreeSet<E>> {
        match (input, output) {
            (Input::Add(element), None | Some(Output::Added)) => {
                let mut state = state.clone();
                state.insert(element.clone());
                Some(state)
            }
            (Input::Read, None) => Some(state.clone()),
            (Input::Read, Some(Output::Elements(elements))) => {
                let distinct: BTreeSet<_> = elements.iter().collect();
                (elements.len() == state.len() && distinct.into_iter().eq(state)).then(|| state.clone())
            }
            _ => None,
        }
    }

    fn abstraction<'a>(&'a self, calls: &[Asked<'a, Input<E>, Output<E>>]) -> impl Abstraction + 'a {
        Chain::new(calls)
    }
}

/// Elements by number, a bit for each.
type Bits = Box<[u64]>;

fn has(bits: &Bits, element: usize) -> bool {
    bits[element / 64] & 1 << (element % 64) != 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// Of an element that some read shows.
    Add(usize),
    AddUnread,
    /// Of this result.
    Read(usize),
    OpenRead,
    /// An answer that was not to this question, or that no set gives.
    Misfit,
}

/// The reads of a set that only grows take place from small to large. So at any time one result is due: what it lacks
/// must not come yet, and what it shows may come at once, for all later reads show it too. Nothing is left to choose.
/// (If they do not form a chain there is no order at all, and none is found.)
#[derive(Debug)]
struct Chain {
    effects: Vec<Effect>,
    classes: Vec<Option<usize>>,
    results: Vec<Bits>,
    /// The results of all reads, one for each read, from small to large.
    due: Vec<usize>,
    words: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    elements: Bits,
    /// How many reads have taken place.
    reads: usize,
}

impl Chain {
    fn new<E: Ord>(calls: &[Asked<'_, Input<E>, Output<E>>]) -> Self {
        let mut shown = Numbering::new();
        for call in calls {
            if let Some(Output::Elements(elements)) = call.output {
                elements.iter().for_each(|element| _ = shown.number(element));
            }
        }
        let words = shown.0.len().div_ceil(64);
        let mut results = Numbering::new();
        let mut due = Vec::new();
        let mut effect = |call: &Asked<'_, Input<E>, Output<E>>| match (call.input, call.output) {
            (Input::Add(element), None | Some(Output::Added)) => {
                shown.get(&element).map_or(Effect::AddUnread, Effect::Add)
            }
            (Input::Read, Some(Output::Elements(elements))) => {
                let mut bits: Bits = vec![0; words].into();
                for element in elements.iter().filter_map(|element| shown.get(&element)) {
                    if has(&bits, element) {
                        return Effect::Misfit;
                    }
                    bits[element / 64] |= 1 << (element % 64);
                }
                let result = results.number((elements.len(), bits));
                due.push((elements.len(), result));
                Effect::Read(result)
            }
            (Input::Read, None) => Effect::OpenRead,
            _ => Effect::Misfit,
        };
        let effects: Vec<_> = calls.iter().map(&mut effect).collect();
        let is_useless = |call: &Asked<'_, Input<E>, Output<E>>, effect: Effect| {
            call.output.is_none() && matches!(effect, Effect::AddUnread | Effect::OpenRead | Effect::Misfit)
        };
        let mut numbers = Numbering::new();
        let classes = calls.iter().zip(&effects);
        let classes =
            classes.map(|(call, effect)| (!is_useless(call, *effect)).then(|| numbers.number(*effect))).collect();
        due.sort_unstable();
        let mut by_number: Vec<_> = results.0.into_iter().map(|((_, bits), number)| (number, bits)).collect();
        by_number.sort_unstable_by_key(|(number, _)| *number);
        let results = by_number.into_iter().map(|(_, bits)| bits).collect();
        Self { effects, classes, results, due: due.into_iter().map(|(_, result)| result).collect(), words }
    }
}

impl Abstraction for Chain {
    type State = State;

    fn initial(&self) -> State {
        State { elements: vec![0; self.words].into(), reads: 0 }
    }

    fn step(&self, state: &State, call: usize) -> Option<State> {
        let due = self.due.get(state.reads).copied();
        match self.effects[call] {
            Effect::Add(element) if due.is_none_or(|due| has(&self.results[due], element)) => {
                let mut state = state.clone();
                state.elements[element / 64] |= 1 << (element % 64);
                Some(state)
            }
            Effect::AddUnread if due.is_none() => Some(state.clone()),
            Effect::Read(result) if due == Some(result) && state.elements == self.results[result] => {
                Some(State { reads: state.reads + 1, ..state.clone() })
            }
            _ => None,
        }
    }

    fn class(&self, call: usize) -> Option<usize> {
        self.classes[call]
    }

    fn is_eager(&self, _: &State, _: usize) -> bool {
        true
    }

    fn is_blind(&self, _: usize) -> bool {
        false
    }
}
