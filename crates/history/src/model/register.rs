//! A register: read, write, compare-and-set. It owns what a register answers, and which of its values matter to the
//! calls of a history; it interprets no value.

use super::{Abstraction, Asked, Model, Numbering};

/// Holds one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register<V> {
    /// What it holds at first.
    pub initial: V,
}

/// What is asked of a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<V> {
    /// What does it hold?
    Read,
    /// Hold this.
    Write(V),
    /// Compare and set: hold `new`, if it holds `old`.
    Cas {
        /// What it must hold.
        old: V,
        /// What it holds then.
        new: V,
    },
}

/// What a register answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<V> {
    /// To a read: it holds this.
    Value(V),
    /// To a write: done.
    Written,
    /// To a compare-and-set: whether it held `old`, and so holds `new`.
    Swapped(bool),
}

impl<V: Clone + Ord + core::hash::Hash> Model for Register<V> {
    type State = V;
    type Input = Input<V>;
    type Output = Output<V>;

    fn initial(&self) -> V {
        self.initial.clone()
    }

    fn step(&self, state: &V, input: &Input<V>, output: Option<&Output<V>>) -> Option<V> {
        match (input, output) {
            (Input::Read, None) => Some(state.clone()),
            (Input::Read, Some(Output::Value(value))) => (state == value).then(|| state.clone()),
            (Input::Write(value), None | Some(Output::Written)) => Some(value.clone()),
            (Input::Cas { old, new }, None) => Some(if state == old { new.clone() } else { state.clone() }),
            (Input::Cas { old, new }, Some(Output::Swapped(true))) => (state == old).then(|| new.clone()),
            (Input::Cas { old, .. }, Some(Output::Swapped(false))) => (state != old).then(|| state.clone()),
            _ => None,
        }
    }

    fn abstraction<'a>(&'a self, calls: &[Asked<'a, Input<V>, Output<V>>]) -> impl Abstraction + 'a {
        Watched::new(&self.initial, calls)
    }
}

/// A value that is read, or compared with, is watched and has a number. All others are one: no call tells them apart.
type Value = usize;

const UNWATCHED: Value = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Read(Value),
    Write(Value),
    /// A compare-and-set that did.
    Swap(Value, Value),
    /// A compare-and-set that found another value.
    Miss(Value),
    /// A compare-and-set of unknown outcome.
    Try(Value, Value),
    /// An answer that was not to this question.
    Misfit,
}

#[derive(Debug)]
struct Watched {
    initial: Value,
    effects: Vec<Effect>,
    classes: Vec<Option<usize>>,
    /// Whether some call is answered that a value is *not* there.
    any_miss: bool,
}

impl Watched {
    fn new<V: Ord>(initial: &V, calls: &[Asked<'_, Input<V>, Output<V>>]) -> Self {
        let mut values = Numbering::new();
        for call in calls {
            match (call.input, call.output) {
                (_, Some(Output::Value(value))) | (Input::Cas { old: value, .. }, _) => _ = values.number(value),
                _ => {}
            }
        }
        let value = |value: &V| values.get(&value).map_or(UNWATCHED, |number| number + 1);
        let effect = |call: &Asked<'_, Input<V>, Output<V>>| match (call.input, call.output) {
            (Input::Read, Some(Output::Value(read))) => Effect::Read(value(read)),
            (Input::Write(written), None | Some(Output::Written)) => Effect::Write(value(written)),
            (Input::Cas { old, new }, Some(Output::Swapped(true))) => Effect::Swap(value(old), value(new)),
            (Input::Cas { old, .. }, Some(Output::Swapped(false))) => Effect::Miss(value(old)),
            (Input::Cas { old, new }, None) => Effect::Try(value(old), value(new)),
            _ => Effect::Misfit,
        };
        let effects: Vec<_> = calls.iter().map(effect).collect();
        let any_miss = effects.iter().any(|effect| matches!(effect, Effect::Miss(_)));
        // Open reads change nothing, and so does what swaps a value for itself. To write what is unwatched serves those
        // only who want a value gone.
        let is_useless = |call: &Asked<'_, Input<V>, Output<V>>, effect: Effect| {
            call.output.is_none()
                && match effect {
                    Effect::Write(new) => new == UNWATCHED && !any_miss,
                    Effect::Try(old, new) => old == new || (new == UNWATCHED && !any_miss),
                    _ => true,
                }
        };
        let mut numbers = Numbering::new();
        let classes = calls.iter().zip(&effects);
        let classes =
            classes.map(|(call, effect)| (!is_useless(call, *effect)).then(|| numbers.number(*effect))).collect();
        Self { initial: value(initial), effects, classes, any_miss }
    }
}

impl Abstraction for Watched {
    type State = Value;

    fn initial(&self) -> Value {
        self.initial
    }

    fn step(&self, state: &Value, call: usize) -> Option<Value> {
        let state = *state;
        match self.effects[call] {
            Effect::Read(value) => (state == value).then_some(state),
            Effect::Write(value) => Some(value),
            Effect::Swap(old, new) | Effect::Try(old, new) => (state == old).then_some(new),
            Effect::Miss(old) => (state != old).then_some(state),
            Effect::Misfit => None,
        }
    }

    fn class(&self, call: usize) -> Option<usize> {
        self.classes[call]
    }

    /// What changes nothing in any state is best taken as soon as it fits. A write of an unwatched value is free while
    /// the register holds one anyway: later it could only destroy a value, which helps none but a miss.
    fn is_eager(&self, state: &Value, call: usize) -> bool {
        match self.effects[call] {
            Effect::Read(_) | Effect::Miss(_) => true,
            Effect::Write(value) => value == UNWATCHED && *state == UNWATCHED && !self.any_miss,
            _ => false,
        }
    }

    fn is_blind(&self, call: usize) -> bool {
        matches!(self.effects[call], Effect::Write(_))
    }
}
