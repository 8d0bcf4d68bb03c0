//! The words exchanged with the caller: what an operation is told, and what it wants done.
//!
//! It owns no behaviour, and no payload: values, versions and the reasons of errors stay with the
//! caller.

/// What happened to one replica of the operation.
///
/// A position that is not one of the operation's replicas is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The replica did what was asked. Counts once, however often it is reported, and also after an
    /// [`Input::Error`] of the same replica: the truth arrived late.
    Answer {
        /// Position of the replica.
        replica: usize,
    },
    /// The replica refused, could not be reached, or is now known to be down. Ignored when it has
    /// already answered.
    Error {
        /// Position of the replica.
        replica: usize,
    },
}

/// What the caller has to do, in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send the request to this replica.
    Send {
        /// Position of the replica.
        replica: usize,
    },
    /// The operation has ended. Emitted exactly once, and nothing after it.
    Done(Outcome),
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Enough replicas have answered, in every set of the requirement.
    Reached,
    /// So many replicas have failed that the requirement cannot be met any more. Some may have
    /// applied a write all the same, unless nothing was ever sent: see
    /// [`Write::start`](crate::Write::start).
    Impossible,
    /// The deadline came first. As with [`Outcome::Impossible`], a write may have been applied.
    TimedOut,
}
