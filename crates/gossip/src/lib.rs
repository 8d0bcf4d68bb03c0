//! Cluster membership and failure detection by gossiped heartbeats, as a pure state machine.
//!
//! Every node keeps a list of members, each with a heartbeat counter that only that member raises.
//! In every round a node raises its own counter and exchanges what it knows with a few random
//! members. A counter that stalls makes its observer a *witness*; a member is `down` only when two
//! witnesses agree, or `unreachable` when there is nobody left to be the second.
//!
//! [`Gossip`] is the machine. It owns no clock, socket, thread or source of randomness: it is told
//! the time as a [`Duration`](core::time::Duration) since an epoch of the caller's choice, is given
//! a seed once, and hands back [`Effect`]s. Equal calls therefore give equal effects, and a whole
//! cluster can run inside one test in virtual time.
//!
//! | what | where |
//! |---|---|
//! | the machine and its verbs | [`Gossip`] |
//! | what it is told, what it wants | [`Input`], [`Evidence`]; [`Effect`], [`Event`] |
//! | what travels between nodes | [`Message`], [`Digest`], [`Update`], [`Details`] |
//! | what it knows of each node | [`Member`], [`State`], [`Incarnation`], [`Profile`] |
//! | its settings | [`Config`], [`Error`] |
//!
//! # Sources
//!
//! - R. van Renesse, Y. Minsky, M. Hayden, *A Gossip-Style Failure Detection Service* (Middleware
//!   1998): heartbeat counters spread by gossip; forgetting the dead, but not so soon that others
//!   bring them back.
//! - A. Demers et al., *Epidemic Algorithms for Replicated Database Maintenance* (PODC 1987):
//!   push-pull anti-entropy (section 1.3), death certificates (section 2).
//! - A. Das, I. Gupta, A. Motivala, *SWIM* (DSN 2002): incarnation numbers and the refutation of a
//!   suspicion (section 4.2).
//! - G. DeCandia et al., *Dynamo* (SOSP 2007): seeds against logically split rings (section 4.8).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod error;
mod gossip;
mod io;
mod judgement;
mod member;
mod message;
mod random;
mod zombie;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use error::Error;
pub use gossip::Gossip;
pub use io::{Effect, Event, Evidence, Input};
pub use member::{Incarnation, Member, Profile, State};
pub use message::{Details, Digest, MAX_ENTRIES, Message, Update};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
