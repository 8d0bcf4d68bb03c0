//! Kvorum as a user runs it: real processes, really killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod causality;
mod centres;
mod check;
mod clock;
mod cluster_key;
mod cut;
mod dev;
mod doubt;
mod engines;
mod failures;
mod first_steps;
mod harness;
mod hints;
mod hostile;
mod joining;
mod keyspaces;
mod killing;
mod levels;
mod limits;
mod membership;
mod memory;
mod metrics;
mod mistakes;
mod overload;
mod pausing;
mod protocols;
mod readme;
mod retries;
mod stopping;
mod twin;
mod why;
