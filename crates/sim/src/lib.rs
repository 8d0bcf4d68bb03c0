//! A whole Kvorum cluster in one thread: the real state machines of `kvorum-node` between a simulated network,
//! simulated disks and clients, in virtual time, with faults, all drawn from one 64-bit seed. A run that goes wrong
//! can be seen again, step by step, by its seed.
//!
//! It decides nothing that a node decides: it performs effects, and judges what clients were told. It starts no
//! thread and reads no clock.
//!
//! | what | where |
//! |---|---|
//! | the loop and the phases of a run | [`World`] |
//! | what a run looks like | [`SimConfig`], [`FaultRates`], [`Sabotage`] |
//! | what goes wrong, and when | [`Fault`] |
//! | what clients saw | [`History`], [`Operation`] |
//! | the verdict | [`durability`], [`LostWrite`], [`Violation`] |
//! | what it came to | [`Report`], [`Stats`] |
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod checker;
mod client;
mod config;
mod disk;
mod environment;
mod event;
mod faults;
mod history;
mod network;
mod process;
mod random;
mod report;
mod trace;
mod world;

pub use checker::{LostWrite, Reason, durability};
pub use config::{FaultRates, Sabotage, SimConfig};
pub use faults::Fault;
pub use history::{Action, History, OpId, Operation, Outcome};
pub use network::{Cut, HostSet, Weather};
pub use report::{Report, Stats, Violation};
pub use trace::TraceSink;
pub use world::World;

/// Runs one simulation from its beginning to its verdict.
#[must_use]
pub fn run(config: SimConfig) -> Report {
    World::new(config, None).run()
}
