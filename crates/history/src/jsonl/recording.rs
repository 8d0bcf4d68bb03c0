//! From events to one history for each key: which end belongs to which beginning, and what is left unknown. What an event
//! looks like on its line is `event`'s matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Object;
use super::event::{Event, Function, Type, Value};
use super::value::Values;
use crate::linearizability::{Call, Undecided, Unexplained, check, linearize};
use crate::model::{Register, Set, Text, register, set, text};
use crate::operation::Moment;

/// A whole file of lines.
#[derive(Debug)]
pub struct Recording {
    keys: Vec<KeyHistory>,
    operations: usize,
    processes: usize,
    failed: usize,
}

impl Recording {
    /// The keys, in the order in which they appear.
    #[must_use]
    pub fn keys(&self) -> &[KeyHistory] {
        &self.keys
    }

    /// How many operations were invoked.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// How many processes invoked any.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.processes
    }

    /// How many operations certainly had no effect. They are left out of the keys' histories.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// How many operations are of unknown outcome.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.keys.iter().map(|key| key.operations.iter().filter(|operation| operation.end.is_none()).count()).sum()
    }
}

/// The operations on one key, apart from those that failed.
#[derive(Debug)]
pub struct KeyHistory {
    object: Object,
    key: String,
    operations: Vec<Operation>,
    spellings: Arc<[Arc<str>]>,
}

/// An operation, as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who asked.
    pub process: u64,
    /// On which line it is invoked, from 1.
    pub invoked: usize,
    /// On which line it ends, if its outcome is known.
    pub completed: Option<usize>,
    /// What was asked: `cas [1,2]`.
    pub asked: String,
    /// What came of it: `swapped`; `unknown`.
    pub outcome: String,
}

#[derive(Debug)]
struct Operation {
    process: u64,
    function: Function,
    argument: Stored,
    invoked: usize,
    end: Option<End>,
}

#[derive(Debug)]
struct End {
    line: usize,
    found: Stored,
    swapped: Option<bool>,
}

/// Values by number.
#[derive(Debug, PartialEq, Eq)]
enum Stored {
    None,
    One(usize),
    Pair([usize; 2]),
    All(Vec<usize>),
}

type Calls<I, O> = Vec<Call<I, O>>;

impl KeyHistory {
    /// The key, as JSON.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many operations it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether all operations on it failed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Operation number `call`, from 0, in the order of invocation.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn line(&self, call: usize) -> Line {
        let Operation { process, function, ref argument, invoked, ref end } = self.operations[call];
        let asked = match argument {
            Stored::None => function.name().into(),
            argument => format!("{} {}", function.name(), self.show(argument)),
        };
        let outcome = match end {
            None => "unknown".into(),
            Some(End { swapped: Some(true), .. }) => "swapped".into(),
            Some(End { swapped: Some(false), .. }) => "not swapped".into(),
            Some(End { found: Stored::None, .. }) => "ok".into(),
            Some(End { found, .. }) => self.show(found),
        };
        Line { process, invoked, completed: end.as_ref().map(|end| end.line), asked, outcome }
    }

    /// Whether it has an order; see [`linearize`].
    ///
    /// # Errors
    /// If the search outgrew its memory.
    pub fn is_linearizable(&self) -> Result<bool, Undecided> {
        let order = match self.object {
            Object::Register => linearize(&self.register(), &self.register_calls()),
            Object::Set => linearize(&Set::default(), &self.set_calls()),
            Object::String => linearize(&Text, &self.text_calls()),
        };
        order.map(|order| order.is_some())
    }

    /// An order of the operations, or the shortest beginning that has none; see [`check`](check()).
    ///
    /// # Errors
    /// If it has no order, or the search for one outgrew its memory.
    pub fn check(&self) -> Result<Vec<usize>, Unexplained> {
        match self.object {
            Object::Register => check(&self.register(), &self.register_calls()),
            Object::Set => check(&Set::default(), &self.set_calls()),
            Object::String => check(&Text, &self.text_calls()),
        }
    }

    fn show(&self, stored: &Stored) -> String {
        let list = |numbers: &[usize]| {
            let spellings: Vec<&str> = numbers.iter().map(|number| &*self.spellings[*number]).collect();
            format!("[{}]", spellings.join(","))
        };
        match stored {
            Stored::None => String::new(),
            Stored::One(number) => self.spellings[*number].to_string(),
            Stored::Pair(pair) => list(pair),
            Stored::All(all) => list(all),
        }
    }

    fn register(&self) -> Register<usize> {
        Register { initial: NULL }
    }

    fn register_calls(&self) -> Calls<register::Input<usize>, register::Output<usize>> {
        let input = |operation: &Operation| match operation.argument {
            Stored::One(value) => register::Input::Write(value),
            Stored::Pair([old, new]) => register::Input::Cas { old, new },
            _ => register::Input::Read,
        };
        let output = |end: &End| match (end.swapped, &end.found) {
            (Some(swapped), _) => register::Output::Swapped(swapped),
            (None, Stored::One(value)) => register::Output::Value(*value),
            _ => register::Output::Written,
        };
        self.calls(input, output)
    }

    fn set_calls(&self) -> Calls<set::Input<usize>, set::Output<usize>> {
        let input = |operation: &Operation| match operation.argument {
            Stored::One(element) => set::Input::Add(element),
            _ => set::Input::Read,
        };
        let output = |end: &End| match &end.found {
            Stored::All(elements) => set::Output::Elements(elements.clone()),
            _ => set::Output::Added,
        };
        self.calls(input, output)
    }

    fn text_calls(&self) -> Calls<text::Input, text::Output> {
        let decode = |number: &usize| -> String {
            serde_json::from_str(&self.spellings[*number]).expect("a string was parsed and spelled as one")
        };
        let input = |operation: &Operation| match (operation.function, &operation.argument) {
            (Function::Append, Stored::One(text)) => text::Input::Append(decode(text)),
            (_, Stored::One(text)) => text::Input::Write(decode(text)),
            _ => text::Input::Read,
        };
        let output = |end: &End| match &end.found {
            Stored::One(text) => text::Output::Text(decode(text)),
            _ => text::Output::Written,
        };
        self.calls(input, output)
    }

    fn calls<I, O>(&self, input: impl Fn(&Operation) -> I, output: impl Fn(&End) -> O) -> Calls<I, O> {
        let moment = |line: usize| Moment(line as u64);
        let call = |operation: &Operation| Call {
            process: operation.process,
            input: input(operation),
            invoked: moment(operation.invoked),
            returned: operation.end.as_ref().map(|end| (moment(end.line), output(end))),
        };
        self.operations.iter().map(call).collect()
    }
}

/// The number of what a register holds at first.
const NULL: usize = 0;

/// A file that is being read.
pub(super) struct Recorder {
    object: Object,
    keys: BTreeMap<String, usize>,
    operations: Vec<Vec<Operation>>,
    /// The last operation of each process: its key, its number there, and whether it has not ended.
    last: BTreeMap<u64, Last>,
    failed: Vec<Vec<usize>>,
    values: Values,
}

struct Last {
    key: usize,
    number: usize,
    is_under_way: bool,
}

impl Recorder {
    pub(super) fn new(object: Object) -> Self {
        let mut values = Values::default();
        assert_eq!(values.number("null".into()), NULL, "null is the first value");
        Self {
            object,
            keys: BTreeMap::new(),
            operations: Vec::new(),
            last: BTreeMap::new(),
            failed: Vec::new(),
            values,
        }
    }

    pub(super) fn add(&mut self, line: usize, event: Event) -> Result<(), String> {
        let Event { process, kind, function, key, value, swapped } = event;
        let value = self.store(value);
        if kind == Type::Invoke {
            let key = self.key(key.ok_or("missing field key")?);
            let operations = &mut self.operations[key];
            self.last.insert(process, Last { key, number: operations.len(), is_under_way: true });
            operations.push(Operation { process, function, argument: value, invoked: line, end: None });
            return Ok(());
        }
        let last = self.last.get_mut(&process).filter(|last| last.is_under_way);
        let last = last.ok_or_else(|| format!("process {process} has no operation under way that could end"))?;
        let operation = &mut self.operations[last.key][last.number];
        let begun =
            |what: &str| format!("the operation of process {process} began on line {} {what}", operation.invoked);
        if operation.function != function {
            return Err(begun(&format!("as {}, not {}", operation.function.name(), function.name())));
        }
        if key.is_some_and(|key| self.keys.get(&key) != Some(&last.key)) {
            return Err(begun("with another key"));
        }
        if function != Function::Read && value != Stored::None && value != operation.argument {
            return Err(begun("with another value"));
        }
        last.is_under_way = false;
        match kind {
            Type::Ok => {
                let found = if function == Function::Read { value } else { Stored::None };
                operation.end = Some(End { line, found, swapped });
            }
            Type::Fail => self.failed[last.key].push(last.number),
            Type::Info | Type::Invoke => {}
        }
        Ok(())
    }

    fn key(&mut self, key: String) -> usize {
        let next = self.keys.len();
        let number = *self.keys.entry(key).or_insert(next);
        if number == next {
            self.operations.push(Vec::new());
            self.failed.push(Vec::new());
        }
        number
    }

    fn store(&mut self, value: Value) -> Stored {
        match value {
            Value::None => Stored::None,
            Value::One(one) => Stored::One(self.values.number(one)),
            Value::Pair(pair) => Stored::Pair(pair.map(|one| self.values.number(one))),
            Value::All(all) => Stored::All(all.into_iter().map(|one| self.values.number(one)).collect()),
        }
    }

    pub(super) fn finish(self) -> Recording {
        let spellings = self.values.into_spellings();
        let object = self.object;
        let operations = self.operations.iter().map(Vec::len).sum();
        let failed = self.failed.iter().map(Vec::len).sum();
        let mut names: Vec<_> = self.keys.into_iter().map(|(key, number)| (number, key)).collect();
        names.sort_unstable();
        let keys = names.into_iter().zip(self.operations).zip(self.failed);
        let keys = keys.map(|(((_, key), operations), mut failed)| {
            failed.sort_unstable();
            let took_place = |(number, operation)| failed.binary_search(&number).is_err().then_some(operation);
            let operations = operations.into_iter().enumerate().filter_map(took_place).collect();
            KeyHistory { object, key, operations, spellings: spellings.clone() }
        });
        Recording { keys: keys.collect(), operations, processes: self.last.len(), failed }
    }
}
