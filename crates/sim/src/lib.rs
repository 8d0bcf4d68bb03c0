//! A whole Kvorum cluster in one thread: the real state machines of `kvorum-node` and the real storage engine between a
//! simulated network, simulated disks and clients, in virtual time, with faults, all drawn from one 64-bit seed. A run that
//! goes wrong can be seen again, step by step, by its seed.
//!
//! It decides nothing that a node decides: it performs effects, and judges what clients were told. It starts no
//! thread and reads no clock.
//!
//! | what | where |
//! |---|---|
//! | the loop and the phases of a run | [`World`] |
//! | what a run looks like | [`SimConfig`], [`Mix`], [`Levels`], [`Clocks`], [`Retries`] |
//! | what goes wrong, and when | [`FaultRates`], [`Fault`], [`Trouble`] |
//! | what happens in particular | [`Scenario`] |
//! | what is done wrong on purpose | [`Sabotage`] |
//! | the verdict | [`Violation`]; the checkers are in `kvorum-history` |
//! | what it came to | [`Report`], [`Stats`] |
//! | the least of a run that shows a violation | [`shrink`] |
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
mod clock;
mod config;
mod disk;
mod environment;
mod event;
mod faults;
mod network;
mod process;
mod random;
mod report;
mod retries;
mod sabotage;
mod scenario;
mod shrink;
mod trace;
mod verdict;
mod watch;
pub mod workload;
mod world;

pub use config::{Clocks, Levels, MOST_NODES, SimConfig};
pub use faults::{Fault, FaultRates, LosableDisks, Trouble};
pub use network::{Cut, HostSet, Weather};
pub use report::{Report, Stats};
pub use retries::Retries;
pub use sabotage::Sabotage;
pub use scenario::Scenario;
pub use shrink::shrink;
pub use trace::TraceSink;
pub use verdict::Violation;
pub use watch::Place;
pub use workload::Mix;
pub use world::World;

/// Runs one simulation from its beginning to its verdict.
#[must_use]
pub fn run(config: SimConfig) -> Report {
    World::new(config, None).run()
}
