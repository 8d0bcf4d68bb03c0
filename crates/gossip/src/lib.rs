//! Cluster membership and failure detection by gossip, for ten nodes or thousands, as a pure state machine.
//!
//! Every node keeps a list of members. In every round it raises its own heartbeat, exchanges news with a few random members,
//! and contacts those few that it *watches*. A watched member that stays silent for longer than is likely makes its watcher
//! a *witness*; a member is `down` only when two witnesses agree, or `unreachable` when there is nobody left to be the
//! second. A member that is suspected and lives says so, and is believed.
//!
//! [`Gossip`] is the machine. It owns no clock, socket, thread or source of randomness: it is told the time as a
//! [`Duration`](core::time::Duration) since an epoch of the caller's choice, is given a seed once, and hands back
//! [`Effect`]s. Equal calls therefore give equal effects, and a whole cluster can run inside one test in virtual time.
//!
//! | what | where |
//! |---|---|
//! | the machine and its verbs | [`Gossip`], [`Setup`] |
//! | what it is told, what it wants | [`Input`], [`Evidence`]; [`Effect`], [`Event`] |
//! | what travels between nodes | [`Message`], [`Digest`], [`Delta`], [`Range`]; [`Envelope`], [`ClusterTag`] |
//! | how ids and addresses become bytes | [`Codec`], [`Reader`] |
//! | what it knows of each node | [`Member`], [`Record`], [`State`], [`Incarnation`] |
//! | its settings | [`Config`] |
//! | what can be wrong | [`Error`], [`SetError`], [`DecodeError`], [`OpenError`] |
//!
//! `ALGORITHM.md`, next to the sources, says what is guaranteed and why, with measured figures.
//!
//! # Sources
//!
//! - R. van Renesse, Y. Minsky, M. Hayden, *A Gossip-Style Failure Detection Service* (Middleware 1998): heartbeat counters
//!   spread by gossip; forgetting the dead, but not so soon that others bring them back.
//! - R. van Renesse, D. Dumitriu, V. Gough, C. Thomas, *Efficient Reconciliation and Flow Control for Anti-Entropy
//!   Protocols* (LADIS 2008), known as Scuttlebutt: what a member says has versions, and travels in their order.
//! - A. Demers et al., *Epidemic Algorithms for Replicated Database Maintenance* (PODC 1987): push-pull anti-entropy, hot
//!   news, death certificates.
//! - A. Das, I. Gupta, A. Motivala, *SWIM* (DSN 2002): incarnations, and the refutation of a suspicion.
//! - A. Dadgar, J. Phillips, J. Currey, *Lifeguard: Local Health Awareness for More Accurate Failure Detection* (2018): a
//!   node that is slow itself doubts itself first.
//! - N. Hayashibara, X. Défago, R. Yared, T. Katayama, *The φ Accrual Failure Detector* (SRDS 2004): how long a silence is
//!   too long, from the intervals seen before.
//! - L. Suresh et al., *Stable and Consistent Membership at Scale with Rapid* (ATC 2018): watchers from several
//!   pseudo-random rings.
//! - G. DeCandia et al., *Dynamo* (SOSP 2007): seeds against logically split rings (section 4.8).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod charges;
mod codec;
mod config;
mod envelope;
mod error;
mod gossip;
mod health;
mod io;
mod judgement;
mod member;
mod message;
mod news;
mod random;
mod record;
mod roster;
mod watch;
mod zombie;

#[cfg(test)]
mod tests;

pub use codec::{Codec, MAX_ADDRESS_BYTES, MAX_ID_BYTES, Reader};
pub use config::Config;
pub use envelope::{ClusterTag, Envelope};
pub use error::{DecodeError, Error, OpenError, SetError};
pub use gossip::{Address, Gossip, Id};
pub use io::{Effect, Event, Evidence, Input, Setup};
pub use member::{Incarnation, Member, State};
pub use message::{Delta, Digest, Message, MessageKind, Range};
pub use record::{MAX_KEY_BYTES, MAX_KEYS, MAX_VALUE_BYTES, Record};
pub use roster::MAX_MEMBERS;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
