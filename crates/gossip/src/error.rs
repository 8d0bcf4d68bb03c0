//! Owns the crate's errors. Messages cannot cause one once they are decoded: what is odd in them is ignored.

use core::time::Duration;

use crate::envelope::ClusterTag;

/// A [`Config`](crate::Config) or [`Setup`](crate::Setup) that cannot work. The operator's fault; nothing has changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Rounds would follow each other without a pause.
    #[error("the round interval must be at least a millisecond, and is {0:?}")]
    RoundIntervalTooShort(Duration),
    /// No round would contact anybody.
    #[error("the fan-out must be at least 1")]
    FanOutZero,
    /// More rings of watchers than there are keys for.
    #[error("there can be at most {limit} watchers of a member, not {watchers}")]
    TooManyWatchers {
        /// The number given.
        watchers: usize,
        /// The largest that works.
        limit: usize,
    },
    /// The threshold is no positive number.
    #[error("the phi threshold must be a number between 0.5 and 100, and is {0}")]
    PhiOutOfRange(f64),
    /// Every member would be suspected between two of its heartbeats, or the bounds are the wrong way round.
    #[error(
        "members are suspected after {min:?} at the earliest and {max:?} at the latest; that must be at least two round \
         intervals of {round_interval:?}, and in this order"
    )]
    SuspectAfterOutOfRange {
        /// The earliest given.
        min: Duration,
        /// The latest given.
        max: Duration,
        /// The round interval they were given with.
        round_interval: Duration,
    },
    /// No number of witnesses but one and two has a meaning.
    #[error("a member is down by the word of 1 or 2 witnesses, not of {0}")]
    WitnessesOutOfRange(u32),
    /// A member would be forgotten before everybody has noticed that it is down.
    #[error(
        "members are forgotten after {forget_after:?}, which must be at least the {max:?} after which they are suspected"
    )]
    ForgetAfterTooShort {
        /// The time given.
        forget_after: Duration,
        /// The latest time until a suspicion it was given with.
        max: Duration,
    },
    /// `retry_every`, `seed_every` or `retell` is zero: "one round in zero" means nothing, nor does telling nobody.
    #[error("`retry_every`, `seed_every` and `retell` must be at least 1")]
    Zero,
    /// A message could not hold the longest entry.
    #[error("messages must have room for {limit} bytes, not only {message_bytes}")]
    MessageBytesTooFew {
        /// The size given.
        message_bytes: usize,
        /// The smallest that works.
        limit: usize,
    },
    /// This node's id takes too many bytes.
    #[error("an id takes at most {limit} bytes, not {len}")]
    IdTooLong {
        /// The encoded length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// This node's address takes too many bytes.
    #[error("an address takes at most {limit} bytes, not {len}")]
    AddressTooLong {
        /// The encoded length.
        len: usize,
        /// The limit.
        limit: usize,
    },
}

/// A metadata entry that cannot be set. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// The key takes too many bytes.
    #[error("a key takes at most {limit} bytes, not {len}")]
    KeyTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The value takes too many bytes.
    #[error("a value takes at most {limit} bytes, not {len}")]
    ValueTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// There are too many keys already.
    #[error("a member has at most {limit} keys")]
    TooManyKeys {
        /// The limit.
        limit: usize,
    },
}

/// Bytes that are no message. The sender's fault, or the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// More bytes follow than belong to it.
    #[error("{0} bytes follow after the end")]
    TrailingBytes(usize),
    /// A number does not fit its type.
    #[error("a number does not fit its type")]
    NumberTooLarge,
    /// Something is longer than this crate ever makes it.
    #[error("something is longer than its limit of {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A tag byte has no meaning.
    #[error("the tag {0} has no meaning here")]
    UnknownTag(u8),
    /// A part of a record lies outside the versions that the delta says it spans.
    #[error("an entry lies outside the versions of its delta")]
    VersionOutOfRange,
}

/// Why [`Envelope::open`](crate::Envelope::open) did not let a message in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The first byte names a version that this crate does not speak.
    #[error("version {0} of the message format is not known here")]
    UnknownVersion(u8),
    /// It belongs to another cluster.
    #[error("the message belongs to cluster {0}")]
    OtherCluster(ClusterTag),
    /// It has no authentication code, or not one made with the key that is set here.
    #[error("the message is not authenticated with the key of this cluster")]
    NotAuthenticated,
    /// It has an authentication code, which cannot be checked.
    #[error("the message is authenticated, and no key is set here")]
    NoKeyHere,
    /// It is from the right cluster and makes no sense.
    #[error("the message is malformed: {0}")]
    Malformed(#[from] DecodeError),
}
