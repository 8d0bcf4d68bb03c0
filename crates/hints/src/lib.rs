//! Hinted handoff: which missed writes a node keeps for an absent replica, and when it sends them.
//!
//! A node (the *holder*) keeps, durably, what an absent replica (the *target*) has missed. [`Hints`]
//! decides and counts: whether one more hint is taken, in which order the hints of a target are read
//! back and sent once it returns, how fast, and when one is dropped. It deliberately owns no record,
//! key, row, clock or socket: the caller stores the hints, carries out each [`Effect`] and hands back
//! each [`Input`].
//!
//! Everything here is deterministic; time is an argument, twice: as a [`core::time::Duration`] since
//! an epoch of the caller's choice that never goes back, for waiting, and in milliseconds of the Unix
//! epoch, for the age of hints, which must survive a restart.
//!
//! | what | where |
//! |---|---|
//! | the machine | [`Hints`] |
//! | what it answers, is told, and wants | [`Taken`]; [`Input`]; [`Effect`] |
//! | what is known of a hint | [`Seq`], [`Kind`] |
//! | what is known of a target | [`Summary`] |
//! | its settings | [`Config`] |
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bucket;
mod config;
mod hints;
mod io;
mod partition;
mod seq;
mod target;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use hints::Hints;
pub use io::{Effect, Input, Kind, Summary, Taken};
pub use seq::Seq;
