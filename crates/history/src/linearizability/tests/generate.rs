//! Random histories of one object: clients that take turns at random, each operation taking effect at one moment between
//! its invocation and its return. They are linearizable, until an answer is changed.

use crate::linearizability::Call;
use crate::model::{Model, Register, Set, Text, register, set, text};
use crate::operation::Moment;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What is asked of an object.
pub(crate) struct Load {
    pub(crate) operations: usize,
    pub(crate) clients: u64,
    /// How long an operation takes at most.
    pub(crate) longest: u64,
    /// How long a client waits at most.
    pub(crate) pause: u64,
    pub(crate) unknown_percent: u64,
    pub(crate) read_percent: u64,
    /// Of what is not a read: compare-and-set, append.
    pub(crate) second_percent: u64,
    /// How many values there are; each is written once, if none is given.
    pub(crate) values: Option<u64>,
}

impl Load {
    fn value(&self, random: &mut Random, number: usize) -> u64 {
        self.values.map_or(number as u64 + 1, |values| random.below(values))
    }
}

/// A model that can be played with.
pub(crate) trait Play: Model<Input: Clone + core::fmt::Debug, Output: Clone + core::fmt::Debug> {
    fn ask(&self, load: &Load, random: &mut Random, number: usize, state: &Self::State) -> Self::Input;
    fn answer(&self, state: &Self::State, input: &Self::Input) -> Self::Output;
    fn falsify(&self, output: &mut Self::Output, random: &mut Random, all: &[Call<Self::Input, Self::Output>]);
    /// What no read ever finds.
    fn absurd(&self) -> Self::Output;
}

pub(crate) type Calls<M> = Vec<Call<<M as Model>::Input, <M as Model>::Output>>;

pub(crate) fn history<M: Play>(model: &M, load: &Load, random: &mut Random) -> Calls<M> {
    // When each operation is invoked, takes effect, and returns.
    let mut times = Vec::new();
    let mut clock = vec![0; load.clients as usize];
    let mut process: Vec<u64> = (0..load.clients).collect();
    for _ in 0..load.operations {
        let client = (0..clock.len()).min_by_key(|client| (clock[*client], *client)).unwrap();
        let invoked = clock[client] + random.below(load.pause + 1);
        let effect = invoked + random.below(load.longest + 1);
        let completed = effect + random.below(load.longest + 1);
        let is_known = !random.chance(load.unknown_percent);
        // What is unknown may take effect much later, or never.
        let takes_effect = is_known || random.chance(60);
        let effect = if is_known || random.chance(50) { effect } else { effect + random.below(20 * load.longest + 1) };
        times.push((invoked, effect, is_known.then_some(completed), process[client], takes_effect));
        clock[client] = completed;
        if !is_known {
            process[client] += load.clients;
        }
    }
    let mut order: Vec<_> = (0..times.len()).collect();
    order.sort_by_key(|index| (times[*index].1, *index));
    let mut state = model.initial();
    let mut calls: Vec<_> = times.iter().map(|_| None).collect();
    for index in order {
        let (invoked, _, completed, process, takes_effect) = times[index];
        let input = model.ask(load, random, index, &state);
        let output = model.answer(&state, &input);
        if takes_effect {
            state = model.step(&state, &input, None).unwrap();
        }
        let returned = completed.map(|completed| (Moment(completed), output));
        calls[index] = Some(Call { process, input, invoked: Moment(invoked), returned });
    }
    calls.into_iter().map(Option::unwrap).collect()
}

/// Changes the answer of one call that has one, from this call on.
pub(crate) fn falsify<M: Play>(model: &M, calls: &mut Calls<M>, from: usize, random: &mut Random) {
    let all = calls.clone();
    let mut order: Vec<_> = (0..calls.len()).collect();
    order.sort_by_key(|index| calls[*index].invoked);
    for index in order.into_iter().skip(from) {
        if let Some((_, output)) = &mut calls[index].returned {
            let before = format!("{output:?}");
            model.falsify(output, random, &all);
            if format!("{output:?}") != before {
                return;
            }
        }
    }
}

/// One read finds what it cannot find: the first that is invoked from this call on.
pub(crate) fn make_absurd<M: Play>(model: &M, calls: &mut Calls<M>, from: usize) {
    let absurd = model.absurd();
    let is_read = |output: &M::Output| core::mem::discriminant(output) == core::mem::discriminant(&absurd);
    let mut order: Vec<_> = (0..calls.len()).collect();
    order.sort_by_key(|index| calls[*index].invoked);
    let read = order
        .into_iter()
        .skip(from)
        .find(|index| calls[*index].returned.as_ref().is_some_and(|(_, output)| is_read(output)));
    calls[read.unwrap()].returned.as_mut().unwrap().1 = absurd.clone();
}

impl Play for Register<u64> {
    fn absurd(&self) -> register::Output<u64> {
        register::Output::Value(u64::MAX)
    }

    fn ask(&self, load: &Load, random: &mut Random, number: usize, state: &u64) -> register::Input<u64> {
        if random.chance(load.read_percent) {
            register::Input::Read
        } else if random.chance(load.second_percent) {
            let old = if random.chance(50) { *state } else { load.value(random, number) };
            register::Input::Cas { old, new: load.value(random, number) }
        } else {
            register::Input::Write(load.value(random, number))
        }
    }

    fn answer(&self, state: &u64, input: &register::Input<u64>) -> register::Output<u64> {
        match input {
            register::Input::Read => register::Output::Value(*state),
            register::Input::Write(_) => register::Output::Written,
            register::Input::Cas { old, .. } => register::Output::Swapped(state == old),
        }
    }

    fn falsify(
        &self,
        output: &mut register::Output<u64>,
        random: &mut Random,
        all: &[Call<register::Input<u64>, register::Output<u64>>],
    ) {
        match output {
            register::Output::Value(value) => {
                *value = match all[random.below(all.len() as u64) as usize].input {
                    register::Input::Write(other) => other,
                    register::Input::Cas { .. } => self.initial,
                    // What nobody writes.
                    register::Input::Read => u64::MAX,
                }
            }
            register::Output::Written => {}
            register::Output::Swapped(swapped) => *swapped = !*swapped,
        }
    }
}

impl Play for Set<u64> {
    fn absurd(&self) -> set::Output<u64> {
        set::Output::Elements(vec![u64::MAX])
    }

    fn ask(&self, load: &Load, random: &mut Random, number: usize, _: &Self::State) -> set::Input<u64> {
        if random.chance(load.read_percent) { set::Input::Read } else { set::Input::Add(load.value(random, number)) }
    }

    fn answer(&self, state: &Self::State, input: &set::Input<u64>) -> set::Output<u64> {
        match input {
            set::Input::Read => set::Output::Elements(state.iter().copied().collect()),
            set::Input::Add(_) => set::Output::Added,
        }
    }

    fn falsify(
        &self,
        output: &mut set::Output<u64>,
        random: &mut Random,
        _: &[Call<set::Input<u64>, set::Output<u64>>],
    ) {
        if let set::Output::Elements(elements) = output
            && !elements.is_empty()
        {
            let index = random.below(elements.len() as u64) as usize;
            match random.below(8) {
                0 => elements.push(elements[index]),
                1 => elements.push(u64::MAX),
                _ => _ = elements.remove(index),
            }
        }
    }
}

impl Play for Text {
    fn absurd(&self) -> text::Output {
        text::Output::Text("absurd".into())
    }

    fn ask(&self, load: &Load, random: &mut Random, number: usize, _: &String) -> text::Input {
        let word = |value| format!("{value} ");
        if random.chance(load.read_percent) {
            text::Input::Read
        } else if random.chance(load.second_percent) {
            text::Input::Append(word(load.value(random, number)))
        } else {
            text::Input::Write(if random.chance(5) { String::new() } else { word(load.value(random, number)) })
        }
    }

    fn answer(&self, state: &String, input: &text::Input) -> text::Output {
        match input {
            text::Input::Read => text::Output::Text(state.clone()),
            _ => text::Output::Written,
        }
    }

    fn falsify(&self, output: &mut text::Output, random: &mut Random, _: &[Call<text::Input, text::Output>]) {
        if let text::Output::Text(text) = output {
            let words: Vec<_> = text.split_inclusive(' ').map(str::to_owned).collect();
            if words.len() > 1 {
                let mut words = words;
                let index = random.below(words.len() as u64 - 1) as usize;
                if random.chance(50) {
                    words.swap(index, index + 1);
                } else {
                    words.remove(index);
                }
                *text = words.concat();
            } else if random.chance(30) {
                text.push_str("0 ");
            }
        }
    }
}
