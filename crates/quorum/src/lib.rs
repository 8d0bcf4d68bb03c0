//! Coordination of one replicated write or read: how many answers are enough, and when to stop
//! waiting.
//!
//! This crate owns the *decision*: it counts answers against a [`Requirement`], asks further
//! replicas when some fail or are slow ([`Read`]), and says exactly once how the operation ended
//! ([`Outcome`]). It deliberately owns no message, value, version, clock or socket: the caller
//! carries out each [`Effect`], hands back each [`Input`], merges the answers, and repairs or keeps
//! hints for the replicas that missed something.
//!
//! Everything here is a deterministic state machine of fixed size: no allocation, no randomness,
//! and time is a [`core::time::Duration`] since an epoch of the caller's choice.
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod effect;
mod error;
mod level;
#[cfg(test)]
mod oracle;
mod read;
mod replicas;
mod requirement;
mod tally;
mod write;

pub use effect::{Effect, Input, Outcome};
pub use error::Error;
pub use level::Level;
pub use read::Read;
pub use replicas::ReplicaSet;
pub use requirement::{QuorumSet, Requirement};
pub use write::Write;
