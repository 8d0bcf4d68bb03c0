//! The client against scripted nodes in the same process, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attempts;
mod budget;
mod cluster;
mod fake;
mod hints;
mod keyspaces;
mod retries;
mod routing;
mod scans;
mod sessions;
