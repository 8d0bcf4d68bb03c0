//! Owns the name of one write. Does not own its value or its causal past: see `Siblings` and `Context`.

use core::fmt;

use crate::Timestamp;

/// One event: the write that `actor` made at `time`. An actor never uses a time twice.
///
/// Dots are ordered by time, then actor: a total order, in which "the last writer wins".
///
/// ```
/// use kvorum_vclock::{Dot, Timestamp};
///
/// let early = Dot { time: Timestamp::from_parts(1, 0), actor: "z" };
/// let late = Dot { time: Timestamp::from_parts(2, 0), actor: "a" };
/// assert!(early < late);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot<A> {
    // The derived order compares the fields from the top: time first is what makes it last-writer-wins.
    /// When, by the actor's own strictly increasing clock.
    pub time: Timestamp,
    /// Who.
    pub actor: A,
}

impl<A: fmt::Display> fmt::Display for Dot<A> {
    /// `millis.counter@actor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.time, self.actor)
    }
}
