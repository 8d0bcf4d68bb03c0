//! The one error type of the crate.
//!
//! It covers only what is wrong *before* an operation starts, and changes no state. A running
//! operation has an [`Outcome`](crate::Outcome) instead.

use crate::Level;

/// Why a level or a requirement was refused. Nothing has been sent and no state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no level: the fault of whoever wrote it.
    #[error("unknown level: expected one, two, three, quorum, all, local_quorum, each_quorum or a number from 1 to 64")]
    UnknownLevel,
    /// The level asks for more replicas than there are: a smaller level or more replicas are
    /// needed.
    #[error("level {level} needs {need} replicas but there are {have}")]
    TooFewReplicas {
        /// The level asked for.
        level: Level,
        /// How many replicas it needs.
        need: usize,
        /// How many replicas there are.
        have: usize,
    },
    /// `local_quorum` was asked for where the local data centre holds no replica.
    #[error("level local_quorum needs a replica in the local data centre but there is none")]
    NoLocalReplica,
    /// More replicas than a [`ReplicaSet`](crate::ReplicaSet) has positions.
    #[error("{have} replicas are more than the 64 one operation can have")]
    TooManyReplicas {
        /// How many replicas were given.
        have: usize,
    },
    /// More sets than a [`Requirement`](crate::Requirement) holds. With `each_quorum`, one per data
    /// centre.
    #[error("a requirement holds at most 16 sets")]
    TooManySets,
    /// A requirement without any set would be met by nothing.
    #[error("a requirement needs at least one set")]
    NoSets,
    /// A set must need at least one of its members and at most all of them.
    #[error("a set of {have} members cannot need {need} answers: expected 1 to {have}")]
    InvalidSet {
        /// How many answers it needs.
        need: usize,
        /// How many members it has.
        have: usize,
    },
}
