//! Owns the crate's one error type. Messages cannot cause an error: what is odd in them is ignored.

use core::time::Duration;

/// A [`Config`](crate::Config) that cannot work. The operator's fault; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Rounds would follow each other without a pause.
    #[error("the round interval must be more than zero")]
    RoundIntervalZero,
    /// No round would contact anybody.
    #[error("the fan-out must be at least 1")]
    FanOutZero,
    /// Every member would be suspected between two of its heartbeats.
    #[error(
        "members are suspected after {suspect_after:?}, which must be at least two round intervals of {round_interval:?}"
    )]
    SuspectAfterTooShort {
        /// The time given.
        suspect_after: Duration,
        /// The round interval it was given with.
        round_interval: Duration,
    },
    /// A member would be forgotten before everybody has noticed that it is down.
    #[error(
        "members are forgotten after {forget_after:?}, which must be at least the {suspect_after:?} after which they are suspected"
    )]
    ForgetAfterTooShort {
        /// The time given.
        forget_after: Duration,
        /// The time until a suspicion it was given with.
        suspect_after: Duration,
    },
    /// `retry_every` or `seed_every` is zero: "one round in zero" means nothing.
    #[error("`retry_every` and `seed_every` must be at least 1")]
    EveryZeroRounds,
}
