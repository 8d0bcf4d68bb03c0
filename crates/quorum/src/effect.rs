//! The words exchanged with the caller: what an operation is told, and what it wants done.
//!
//! It owns no behaviour, and no payload: values, versions and the reasons of errors stay with the
//! caller.

/// What happened at one place of the operation: to its replica, or to the stand-in asked for it.
///
/// A position that is not one of the operation's replicas is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// The replica itself did what was asked. Counts once, however often it is reported, and also
    /// after an [`Input::Error`] of the same replica: the truth arrived late.
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
    /// A stand-in did it in that replica's place. Ignored where none was asked for.
    StoodIn {
        /// Position of the replica.
        replica: usize,
    },
    /// The stand-in refused or failed, and there is none left for that place. Ignored where none
    /// was asked for, and once one has done it.
    ///
    /// Before it says so, the caller has itself tried every other node that it would take for this
    /// place. The stand-in is used up: there is one fewer for the rest of the operation.
    NoStandIn {
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
    /// Have a stand-in do it in this replica's place (a sloppy quorum; Dynamo, section 4.6). At
    /// most once for each place. For a write the stand-in keeps the hint.
    StandIn {
        /// Position of the replica.
        replica: usize,
    },
    /// Of a [`Write`](crate::Write) only: this replica has missed the write, or is not known to
    /// have it; keep a hint for it. At most once for each replica.
    Hint {
        /// Position of the replica.
        replica: usize,
    },
    /// Of a [`Repair`](crate::Repair) only: send the merged record to this replica.
    Repair {
        /// Position of the replica.
        replica: usize,
    },
    /// The operation has ended. Emitted exactly once. After it a write may still emit
    /// [`Effect::Hint`], a repair emits its [`Effect::Repair`]s if it had ended when it began, and a
    /// read emits nothing.
    Done(Outcome),
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Enough replicas have answered, or stand-ins in their places, in every set of the requirement.
    Reached,
    /// So many replicas and stand-ins have failed that the requirement cannot be met any more. Some
    /// may have applied a write all the same, unless nothing was ever sent: see
    /// [`Write::is_unsent`](crate::Write::is_unsent).
    Impossible,
    /// The deadline came first. As with [`Outcome::Impossible`], a write may have been applied.
    TimedOut,
}
