//! Checkers of recorded histories.
//!
//! | question | checker |
//! |---|---|
//! | Do all operations together fit one order, that of real time where it tells? | [`linearizability`], for a [`model`] |
//! | Does every read at overlapping levels see the last acknowledged write? | [`quorum`] |
//! | Is every acknowledged write still there, and everything deleted still gone? | [`durability`] |
//! | Are siblings the concurrent writes, and does a context replace what it stands for? | [`causality`] |
//! | Does a write take effect once, however often it was asked for? | [`repetition`] |
//! | Do all replicas hold the same in the end? | [`convergence`] |
//! | Do queues and memory stay within their limits? | [`boundedness`] |
//! | Does every actor remember what it minted? | [`tenure`] |
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod boundedness;
pub mod causality;
mod contradiction;
pub mod convergence;
pub mod durability;
#[cfg(feature = "jsonl")]
pub mod jsonl;
pub mod linearizability;
pub mod model;
mod operation;
pub mod quorum;
pub mod repetition;
pub mod tenure;

pub use operation::{Action, Expiry, History, Moment, OpId, Operation, Outcome, Version};
