#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod admin;
mod answer;
mod backoff;
mod budget;
mod client;
mod cluster;
mod config;
mod consistency;
mod convert;
mod error;
mod failures;
mod hints;
mod keyspace;
mod level;
mod node;
mod options;
mod perform;
mod refresh;
mod route;
mod scan;
mod session;
mod table;
mod watch;
mod why;

pub use answer::{Got, Replicas, Timestamp, Version, Written};
pub use client::Client;
pub use cluster::{Member, Place, Ring, Share, Status};
pub use config::{Config, Retry, Route};
pub use consistency::Consistency;
pub use error::{Attempt, Cause, Error, Outcome};
pub use hints::{HintQueue, Hints, Unanswered};
pub use keyspace::{Keyspace, KeyspaceAlteration, Keyspaces, NewKeyspace};
pub use kvorum_quorum::Level;
pub use options::{DeleteOptions, GetOptions, PutOptions, ScanOptions};
pub use scan::{Cursor, Page, Row, Scan, UnknownCursor};
pub use watch::{MemberEvent, StatusWatch, Watched};
pub use why::{Why, WhyEntry, WhyHint, WhyReplica, WhyVersion};

pub use kvorum_ring::Token;

/// Values and keys are [`Bytes`]: cheap to clone, and an answer's are slices of the
/// message it came in.
pub use bytes::Bytes;
