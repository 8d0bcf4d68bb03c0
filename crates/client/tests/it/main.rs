//! The client against scripted nodes in the same process, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod fake;
mod keyspaces;
mod retries;
mod routing;
mod scans;
mod sessions;
