//! A text: write it, append to it, read all of it. It owns what such an object answers, and which beginnings of texts
//! matter to the calls of a history.

use super::{Abstraction, Asked, Model, Numbering};

/// Holds a text, empty at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text;

/// What is asked of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Hold this.
    Write(String),
    /// Hold this too, at the end.
    Append(String),
    /// What does it hold?
    Read,
}

/// What a text answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To a write or an append: done.
    Written,
    /// To a read: it holds this.
    Text(String),
}

impl Model for Text {
    type State = String;
    type Input = Input;
    type Output = Output;

    fn initial(&self) -> String {
        String::new()
    }

    fn step(&self, state: &String, input: &Input, output: Option<&Output>) -> Option<String> {
        match (input, output) {
            (Input::Write(text), None | Some(Output::Written)) => Some(text.clone()),
            (Input::Append(text), None | Some(Output::Written)) => Some(format!("{state}{text}")),
            (Input::Read, None) => Some(state.clone()),
            (Input::Read, Some(Output::Text(text))) => (state == text).then(|| state.clone()),
            _ => None,
        }
    }

    fn abstraction<'a>(&'a self, calls: &[Asked<'a, Input, Output>]) -> impl Abstraction + 'a {
        Beginnings::new(calls)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect<'a> {
    Write(State),
    Append(&'a [u8]),
    /// Of the text of this number.
    Read(usize),
    OpenRead,
    /// An answer that was not to this question.
    Misfit,
}

/// Only what some read's text begins with can still become that text. All else is one state, *astray*: it is never read,
/// and only a write leads out of it. As no answer says what a text is *not*, any other state can do what it can.
#[derive(Debug)]
struct Beginnings<'a> {
    effects: Vec<Effect<'a>>,
    classes: Vec<Option<usize>>,
    /// What is read, in order, each once.
    texts: Vec<&'a [u8]>,
    /// Whether calls are open, by number.
    open: Vec<bool>,
    any_write: bool,
}

/// The texts `from..to` begin with what the object holds, which is so many bytes long; none does, if there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct State {
    from: usize,
    to: usize,
    bytes: usize,
}

const ASTRAY: State = State { from: 0, to: 0, bytes: 0 };

impl<'a> Beginnings<'a> {
    fn new(calls: &[Asked<'a, Input, Output>]) -> Self {
        let read = |call: &Asked<'a, Input, Output>| match call.output {
            Some(Output::Text(text)) => Some(text.as_bytes()),
            _ => None,
        };
        let mut texts: Vec<_> = calls.iter().filter_map(read).collect();
        texts.sort_unstable();
        texts.dedup();
        let effect = |call: &Asked<'a, Input, Output>| match (call.input, call.output) {
            (Input::Write(text), None | Some(Output::Written)) => {
                Effect::Write(append(&texts, empty(&texts), text.as_bytes()))
            }
            (Input::Append(text), None | Some(Output::Written)) => Effect::Append(text.as_bytes()),
            (Input::Read, Some(Output::Text(text))) => {
                Effect::Read(texts.binary_search(&text.as_bytes()).expect("all that is read is among the texts"))
            }
            (Input::Read, None) => Effect::OpenRead,
            _ => Effect::Misfit,
        };
        let effects: Vec<_> = calls.iter().map(effect).collect();
        let open: Vec<_> = calls.iter().map(|call| call.output.is_none()).collect();
        let is_useless = |effect: Effect<'_>| match effect {
            Effect::Write(state) => state == ASTRAY,
            Effect::Append(text) => text.is_empty(),
            _ => true,
        };
        let mut numbers = Numbering::new();
        let classes = effects.iter().zip(&open);
        let classes =
            classes.map(|(effect, open)| (!(*open && is_useless(*effect))).then(|| numbers.number(*effect))).collect();
        let any_write = effects.iter().any(|effect| matches!(effect, Effect::Write(_)));
        Self { effects, classes, texts, open, any_write }
    }
}

fn empty(texts: &[&[u8]]) -> State {
    State { from: 0, to: texts.len(), bytes: 0 }
}

/// What begins the same is together in the order of texts: two binary searches narrow it.
fn append(texts: &[&[u8]], state: State, text: &[u8]) -> State {
    let candidates = &texts[state.from..state.to];
    let from = candidates.partition_point(|candidate| &candidate[state.bytes..] < text);
    let count = candidates[from..].partition_point(|candidate| candidate[state.bytes..].starts_with(text));
    if count == 0 {
        return ASTRAY;
    }
    let from = state.from + from;
    State { from, to: from + count, bytes: state.bytes + text.len() }
}

impl Abstraction for Beginnings<'_> {
    type State = State;

    fn initial(&self) -> State {
        empty(&self.texts)
    }

    fn step(&self, state: &State, call: usize) -> Option<State> {
        let after = match self.effects[call] {
            Effect::Write(after) => after,
            Effect::Append(text) => append(&self.texts, *state, text),
            // A text stands before all that begin with it.
            Effect::Read(text) => {
                let fits = *state != ASTRAY && state.from == text && state.bytes == self.texts[text].len();
                return fits.then_some(*state);
            }
            Effect::OpenRead | Effect::Misfit => return None,
        };
        (after != ASTRAY || !self.open[call]).then_some(after)
    }

    fn class(&self, call: usize) -> Option<usize> {
        self.classes[call]
    }

    /// Reads change nothing. Whoever is astray may as well write what nobody reads, and append, if no write ever
    /// leads back.
    fn is_eager(&self, state: &State, call: usize) -> bool {
        match self.effects[call] {
            Effect::Read(_) => true,
            Effect::Append(text) => text.is_empty() || (*state == ASTRAY && !self.any_write),
            Effect::Write(after) => *state == ASTRAY && after == ASTRAY,
            Effect::OpenRead | Effect::Misfit => false,
        }
    }

    fn is_blind(&self, call: usize) -> bool {
        matches!(self.effects[call], Effect::Write(_))
    }
}
