//! Kvorum as a user runs it: real processes, really killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod check;
mod dev;
mod failures;
mod first_steps;
mod harness;
mod hostile;
mod joining;
mod limits;
mod mistakes;
mod protocols;
mod readme;
mod stopping;
