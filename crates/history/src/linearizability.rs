//! Linearizability (Herlihy & Wing, *Linearizability: A Correctness Condition for Concurrent Objects*, 1990): do the
//! calls of one object, some of them concurrent, look as if each had taken effect at one moment between its invocation
//! and its return?
//!
//! It owns the calls, the verdict and the shortest beginning of a history that has no explanation. What an object may
//! answer is its [`Model`]'s matter. Objects are judged one at a time: a history of many is linearizable if and only if
//! that of each is (locality, section 3.1 of that paper), so split by key first, as [`check_history`] does.
//!
//! # How
//!
//! The search goes back to Wing & Gong (*Testing and Verifying Concurrent Objects*, 1993), with Lowe's two ideas
//! (*Testing for Linearizability*, 2017): calls take effect just in time, that is only on the way to a call that is about
//! to return, and a configuration (which calls have taken effect, what the object holds) is examined once. What else
//! keeps it small stands, with the reasons, in `search.rs` and with each model's abstraction.
//!
//! # What it costs
//!
//! The problem is NP-complete (Gibbons & Korach, *Testing Shared Memories*, 1997). The number of configurations can grow
//! exponentially with the number of calls under way at a time, and with the number of those whose outcome is unknown;
//! it grows linearly with the rest. Usual histories of thousands of calls take milliseconds. At most some 8 million
//! configurations are kept, gigabytes in the worst case, and some 30 million examined; when these do not do, the check
//! gives up as [`Undecided`]. It never guesses.

mod history;
mod search;
mod timeline;

pub use history::{StuckKey, check_history};

use crate::model::{Asked, Model};
use crate::operation::Moment;
use search::{Reach, Verdict};
use timeline::Timeline;

/// One operation of one process on the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<I, O> {
    /// Who asked; told in violations only, since the moments say what precedes what.
    pub process: u64,
    /// What was asked.
    pub input: I,
    /// When.
    pub invoked: Moment,
    /// When the answer came, and what it was. None if nobody knows: then it takes effect once, at any later time, or
    /// never. An operation that certainly had no effect is no call.
    pub returned: Option<(Moment, O)>,
}

/// Why calls have no explanation: the shortest beginning of their history that has none. It ends with a return, and all
/// calls that have not returned by then count as of unknown outcome. `T` names a call: its index, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not linearizable: after {} calls the return of {call:?} has no explanation", .prefix.len())]
pub struct Stuck<T = usize> {
    /// The call whose return cannot be passed.
    pub call: T,
    /// The calls invoked before that, in the order of their invocation.
    pub prefix: Vec<T>,
    /// An order that explains everything before that return.
    pub linearized: Vec<T>,
    /// Whether no shorter beginning lacks an explanation. Almost always; otherwise the search for a shorter one was
    /// [`Undecided`], and the order explains a shorter beginning than that before the return.
    pub is_shortest: bool,
}

impl<T> Stuck<T> {
    /// The same with other names for the calls.
    pub fn map<U>(self, mut name: impl FnMut(T) -> U) -> Stuck<U> {
        Stuck {
            call: name(self.call),
            prefix: self.prefix.into_iter().map(&mut name).collect(),
            linearized: self.linearized.into_iter().map(&mut name).collect(),
            is_shortest: self.is_shortest,
        }
    }
}

/// The search outgrew its memory, or took too long. Neither is the history known to be linearizable nor not to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("undecided after {configurations} configurations: too many operations are concurrent or of unknown outcome")]
pub struct Undecided {
    /// How many configurations were examined.
    pub configurations: usize,
}

/// Why [`check`] has no order to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unexplained<T = usize> {
    /// There is none: the history is not linearizable.
    #[error("{0}")]
    Stuck(Stuck<T>),
    /// Nobody knows whether there is one.
    #[error(transparent)]
    Undecided(#[from] Undecided),
}

impl<T> Unexplained<T> {
    /// Why there is no order, if that is known.
    #[must_use]
    pub fn stuck(&self) -> Option<&Stuck<T>> {
        match self {
            Self::Stuck(stuck) => Some(stuck),
            Self::Undecided(_) => None,
        }
    }
}

/// An order (of indices) that explains the calls, if there is one: all calls that returned, and some of the others.
///
/// Comparisons are strict: a call that returns at the moment at which another is invoked is concurrent with it.
/// See the [module](self) for what it costs.
///
/// # Errors
/// If the search outgrew its memory.
///
/// # Panics
/// If a call returned before it was invoked.
pub fn linearize<M: Model>(model: &M, calls: &[Call<M::Input, M::Output>]) -> Result<Option<Vec<usize>>, Undecided> {
    match decide(model, calls, &Timeline::new(calls)) {
        Verdict::Linearized(order) => Ok(Some(order)),
        Verdict::Stuck { .. } => Ok(None),
        Verdict::Undecided(undecided) => Err(undecided),
    }
}

/// An order (of indices) that explains the calls, or the shortest beginning that has none.
///
/// It takes as long as [`linearize`] if there is an order, and a few times as long if there is none.
///
/// ```
/// use kvorum_history::Moment;
/// use kvorum_history::linearizability::{Call, Unexplained, check};
/// use kvorum_history::model::register::{Input, Output, Register};
///
/// let call = |process, input, invoked, completed, output| {
///     Call { process, input, invoked: Moment(invoked), returned: Some((Moment(completed), output)) }
/// };
/// let mut calls = vec![
///     call(1, Input::Write(7), 0, 5, Output::Written),
///     call(2, Input::Read, 1, 2, Output::Value(7)), // the write is still under way: it may see it
/// ];
/// assert_eq!(check(&Register { initial: 0 }, &calls), Ok(vec![0, 1]));
///
/// calls.push(call(3, Input::Read, 3, 4, Output::Value(0))); // but then nobody may see what was before
/// let Err(Unexplained::Stuck(stuck)) = check(&Register { initial: 0 }, &calls) else { panic!() };
/// assert_eq!((stuck.call, stuck.prefix, stuck.linearized), (2, vec![0, 1, 2], vec![0, 1]));
/// ```
///
/// # Errors
/// If there is no order, or the search for one outgrew its memory.
///
/// # Panics
/// If a call returned before it was invoked.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Input, M::Output>]) -> Result<Vec<usize>, Unexplained> {
    let timeline = Timeline::new(calls);
    match decide(model, calls, &timeline) {
        Verdict::Linearized(order) => Ok(order),
        Verdict::Stuck { after } => Err(Unexplained::Stuck(shortest(model, calls, &timeline, after))),
        Verdict::Undecided(undecided) => Err(undecided.into()),
    }
}

/// Judges the calls of a timeline: with little effort if that does, then with more.
fn decide<M: Model>(model: &M, calls: &[Call<M::Input, M::Output>], timeline: &Timeline) -> Verdict {
    match solve(model, calls, timeline, search::SHORT) {
        Verdict::Undecided(_) => {}
        decided => return decided,
    }
    match solve(model, calls, timeline, search::LENIENT) {
        Verdict::Stuck { after } => Verdict::Stuck { after },
        // An order that spends open calls twice is none.
        Verdict::Linearized(_) | Verdict::Undecided(_) => solve(model, calls, timeline, search::LONG),
    }
}

/// One search among the calls of a timeline, which may be the beginning of one. The order names the calls by index in `calls`.
fn solve<M: Model>(model: &M, calls: &[Call<M::Input, M::Output>], timeline: &Timeline, reach: Reach) -> Verdict {
    let asked: Vec<_> = timeline
        .spans()
        .iter()
        .map(|span| {
            let Call { input, returned, .. } = &calls[span.call];
            // An answer that is yet to come is not known.
            Asked { input, output: span.returned.and(returned.as_ref()).map(|(_, output)| output) }
        })
        .collect();
    match search::search(&model.abstraction(&asked), timeline, reach) {
        Verdict::Linearized(order) => {
            Verdict::Linearized(order.into_iter().map(|number| timeline.spans()[number].call).collect())
        }
        other => other,
    }
}

/// The shortest beginning that has no explanation. A beginning of one that has an explanation has one too, so bisection
/// finds it. It begins where the search got stuck, with steps that grow: rarely is it far from there. (The search knew
/// the answers that were still to come, which a beginning does not, and so may have got stuck earlier.)
fn shortest<M: Model>(model: &M, calls: &[Call<M::Input, M::Output>], timeline: &Timeline, guess: usize) -> Stuck {
    let mut is_shortest = true;
    // So many returns can be passed, in this order; and so many cannot.
    let (mut good, mut bad) = (0, timeline.returns());
    let mut order = Vec::new();
    let mut next = guess;
    let mut step = 1;
    while good + 1 < bad {
        let middle = next.clamp(good + 1, bad - 1);
        match decide(model, calls, &timeline.beginning(middle)) {
            Verdict::Linearized(found) => (good, order) = (middle, found),
            Verdict::Stuck { .. } => bad = middle,
            Verdict::Undecided(_) => {
                is_shortest = false;
                break;
            }
        }
        let is_bounded = bad < timeline.returns();
        next = if is_bounded { good + (bad - good) / 2 } else { good + step };
        step *= 2;
    }
    let beginning = timeline.beginning(bad);
    let ends = |span: &&timeline::Span| span.returned == Some(bad - 1);
    let last = beginning.spans().iter().find(ends).expect("a stuck beginning ends with a return");
    Stuck {
        call: last.call,
        prefix: beginning.spans().iter().map(|span| span.call).collect(),
        linearized: order,
        is_shortest,
    }
}

#[cfg(test)]
mod tests;
