//! What an object promises when one operation follows another: the sequential specification against which
//! [linearizability](crate::linearizability) is judged. It knows nothing of time or concurrency.
//!
//! A [`Model`] is the definition, as plain as it can be. An [`Abstraction`] is the same object seen through the calls of
//! one history: states that no call of it could tell apart are one state there, and calls that need not be tried in
//! every order say so. The search works on abstractions only; a model without one of its own gets [`Plain`].

pub mod register;
pub mod set;
pub mod text;

use core::fmt;
use core::hash::Hash;

pub use register::Register;
pub use set::Set;
pub use text::Text;

/// An object, by what it answers when its operations come one after the other.
///
/// ```
/// use kvorum_history::linearizability::{Call, check};
/// use kvorum_history::model::Model;
/// use kvorum_history::Moment;
///
/// /// Counts; each operation answers the count after it.
/// struct Counter;
///
/// impl Model for Counter {
///     type State = u64;
///     type Input = ();
///     type Output = u64;
///
///     fn initial(&self) -> u64 {
///         0
///     }
///
///     fn step(&self, state: &u64, (): &(), output: Option<&u64>) -> Option<u64> {
///         output.is_none_or(|output| *output == state + 1).then_some(state + 1)
///     }
/// }
///
/// let call = |process, invoked, completed, output| {
///     Call { process, input: (), invoked: Moment(invoked), returned: Some((Moment(completed), output)) }
/// };
/// assert_eq!(check(&Counter, &[call(0, 0, 5, 2), call(1, 1, 4, 1)]), Ok(vec![1, 0]));
/// assert!(check(&Counter, &[call(0, 0, 2, 2), call(1, 3, 4, 1)]).is_err());
/// ```
pub trait Model {
    /// What the object holds.
    type State: Clone + Eq + Hash;
    /// What is asked of it.
    type Input;
    /// What it answers.
    type Output;

    /// What it holds before anything is asked.
    fn initial(&self) -> Self::State;

    /// The state after the operation, if it may answer `output` in `state`; nothing, if it may not. No `output` means
    /// that the answer is not known.
    fn step(&self, state: &Self::State, input: &Self::Input, output: Option<&Self::Output>) -> Option<Self::State>;

    /// The object as these calls see it. An abstraction of its own makes a model fast; it never changes a verdict.
    fn abstraction<'a>(&'a self, calls: &[Asked<'a, Self::Input, Self::Output>]) -> impl Abstraction + 'a
    where
        Self: Sized,
    {
        Plain { model: self, calls: calls.to_vec() }
    }
}

/// A call without its times.
#[derive(Debug)]
pub struct Asked<'a, I, O> {
    /// What was asked.
    pub input: &'a I,
    /// What was answered, if that is known. A call whose answer is not known is *open*: it takes effect once or never.
    pub output: Option<&'a O>,
}

impl<I, O> Clone for Asked<'_, I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Asked<'_, I, O> {}

/// An object as the calls of one history see it. Calls go by their number among those that it was made of.
///
/// It explains the same histories as its model, and no others, where a history is explained by an order of all calls
/// whose answers are known, and of some that are open, in which each fits the state that those before it leave.
pub trait Abstraction {
    /// As much of the object's state as these calls can tell.
    type State: Clone + Eq + Hash;

    /// The state before all calls.
    fn initial(&self) -> Self::State;

    /// The state after the call, if it fits. For an open call, nothing may also mean that it is of no use to any other
    /// call if it takes effect here.
    fn step(&self, state: &Self::State, call: usize) -> Option<Self::State>;

    /// Calls of one class are interchangeable: they fit the same states and leave the same states. None for an open call
    /// that is of no use wherever it takes effect.
    fn class(&self, call: usize) -> Option<usize>;

    /// Whether the call, if it fits this state, may as well take effect now: whatever could be explained without, can be
    /// explained after it.
    fn is_eager(&self, state: &Self::State, call: usize) -> bool;

    /// Whether the call fits every state and leaves the same state behind whatever it finds.
    fn is_blind(&self, call: usize) -> bool;
}

/// The abstraction that tells all states apart.
pub struct Plain<'a, M: Model> {
    model: &'a M,
    calls: Vec<Asked<'a, M::Input, M::Output>>,
}

impl<M: Model> fmt::Debug for Plain<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl<M: Model> Abstraction for Plain<'_, M> {
    type State = M::State;

    fn initial(&self) -> M::State {
        self.model.initial()
    }

    fn step(&self, state: &M::State, call: usize) -> Option<M::State> {
        let Asked { input, output } = self.calls[call];
        self.model.step(state, input, output)
    }

    fn class(&self, call: usize) -> Option<usize> {
        Some(call)
    }

    fn is_eager(&self, _: &M::State, _: usize) -> bool {
        false
    }

    fn is_blind(&self, _: usize) -> bool {
        false
    }
}

/// Numbers for things that are equal or not, in the order in which they come.
#[derive(Debug)]
struct Numbering<T>(std::collections::BTreeMap<T, usize>);

impl<T: Ord> Numbering<T> {
    fn new() -> Self {
        Self(std::collections::BTreeMap::new())
    }

    fn number(&mut self, thing: T) -> usize {
        let next = self.0.len();
        *self.0.entry(thing).or_insert(next)
    }

    fn get(&self, thing: &T) -> Option<usize> {
        self.0.get(thing).copied()
    }
}
