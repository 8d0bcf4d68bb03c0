//! Owns everything that can go wrong in this crate. Deliberately says nothing about what to do next: that is the
//! caller's choice.

use crate::Timestamp;

/// Why an operation was refused. Whenever an operation returns an error, its receiver is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The counter or timestamp has reached the largest value its type can hold, so nothing can follow it, or the wall
    /// clock shows a time past [`Timestamp::MAX_MILLIS`].
    ///
    /// Honest counting never gets here: look for forged input or a broken wall clock. An actor that is worn out like
    /// this is replaced by a fresh one.
    #[error("the counter or clock has reached its largest value")]
    Overflow,

    /// The dot is not above what its actor is already known to have reached, in the record or in the context.
    ///
    /// The caller's fault: a clock that went back, an actor shared by two writers, or a context from another history.
    #[error("the dot's time {time} is not above {covered}, which its actor has already reached")]
    DotCovered {
        /// The time of the refused dot.
        time: Timestamp,
        /// The newest time of the same actor that the record or the context covers.
        covered: Timestamp,
    },

    /// The next timestamp would pass the leased ceiling.
    ///
    /// Nobody's fault: make a higher ceiling durable, call [`Hlc::raise_ceiling`](crate::Hlc::raise_ceiling), try again.
    #[error("the clock needs {needed}, which is above its ceiling")]
    CeilingReached {
        /// The timestamp that would have been minted; the least ceiling that lets the call succeed.
        needed: Timestamp,
    },

    /// A remote timestamp is further ahead of the wall clock than the drift bound allows.
    ///
    /// The fault of the remote clock, or of ours.
    #[error("the timestamp is {ahead_ms} ms ahead of the wall clock; at most {max_ms} ms are accepted")]
    ClockDrift {
        /// How far ahead of the wall clock the timestamp is, in milliseconds.
        ahead_ms: u64,
        /// The bound, in milliseconds.
        max_ms: u64,
    },

    /// The input is longer, or has more entries, than the caller's [`Limits`](crate::Limits) allow. Nothing was decoded.
    ///
    /// The sender's fault, or a limit that is too low.
    #[error("the encoding has more than {limit} {what}")]
    LimitExceeded {
        /// What there was too much of: `bytes` or `entries`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },

    /// The bytes are not the canonical encoding of a value. Nothing was decoded.
    ///
    /// The sender's or the storage's fault.
    #[error("malformed encoding at byte {offset}: {what}")]
    Malformed {
        /// Where decoding stopped, in bytes from the start of the input.
        offset: usize,
        /// What was wrong there.
        what: &'static str,
    },
}
