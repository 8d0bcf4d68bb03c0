//! Logical time for replicated data: what happened before what, and in which order to put the rest.
//!
//! | question | type | source |
//! |---|---|---|
//! | Is one version before, after or beside another? | [`VClock`] | Dynamo (SOSP 2007), section 4.4 |
//! | Which concurrent values of a key are still alive? | [`Siblings`] with [`Context`] and [`Dot`] | dotted version vectors (PODC 2012), as sets (DAIS 2014) |
//! | A timestamp near wall time that respects causality? | [`Hlc`], [`Timestamp`] | hybrid logical clocks (OPODIS 2014) |
//! | Just a total order that respects causality? | [`Lamport`] | Lamport (CACM 1978) |
//!
//! Everything here is a plain value: nothing reads a clock, draws randomness, starts a thread or does I/O. The caller
//! says what time it is and which actor acts. Actors are any `Ord` type; the byte encodings exist for actors that are
//! `u64`, are canonical, and are read as hostile: see [`Limits`], and [`SiblingsView`] for reading a record where it lies.
//!
//! The crate deliberately owns no tombstones, no expiry and no network messages: a value is whatever the caller
//! stores beside a dot.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod causality;
mod codec;
mod context;
mod dot;
mod entries;
mod error;
mod hlc;
mod join;
mod lamport;
mod limits;
mod prune;
mod siblings;
mod timestamp;
mod vclock;

pub use causality::Causality;
pub use context::Context;
pub use dot::Dot;
pub use error::Error;
pub use hlc::Hlc;
pub use lamport::Lamport;
pub use limits::Limits;
pub use siblings::{Siblings, SiblingsView};
pub use timestamp::Timestamp;
pub use vclock::VClock;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
