//! Coordination of one replicated write or read: how many answers are enough, and when to stop
//! waiting.
//!
//! This crate owns the *decision*: it counts answers against a [`Requirement`], asks further
//! replicas when some fail or are slow ([`Read`]), has stand-ins asked and hints kept where a replica
//! misses a write ([`Write`]), writes back what a strict read returns ([`Repair`]), and says exactly
//! once how the operation ended ([`Outcome`]). It deliberately owns no message, value, version, clock
//! or socket: the caller carries out each [`Effect`], hands back each [`Input`], finds the nodes that
//! stand in, stores the hints, and merges the answers.
//!
//! Everything here is a deterministic state machine of fixed size: no randomness, and time is a
//! [`core::time::Duration`] since an epoch of the caller's choice. Nothing allocates: outside its tests
//! the crate is `no_std` and names neither `std` nor `alloc`, so there is nothing in it that could.
//! Only the caller's collection of effects may grow.
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod budget;
mod effect;
mod error;
mod latency;
mod level;
#[cfg(test)]
mod oracle;
mod read;
mod repair;
mod replicas;
mod requirement;
mod stand_ins;
mod tally;
mod write;

pub use budget::HedgeBudget;
pub use effect::{Effect, Input, Outcome};
pub use error::Error;
pub use latency::Latency;
pub use level::Level;
pub use read::{Hedge, Read, ReadConfig};
pub use repair::Repair;
pub use replicas::ReplicaSet;
pub use requirement::{QuorumSet, Requirement};
pub use write::{Write, WriteConfig};
