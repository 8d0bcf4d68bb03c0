#![doc = include_str!("../README.md")]
//! # The path of a request
//!
//! In the order of the files: `session` (or `kv_service`, for a unary call) hands what has come to
//! `shard_loop`, which hands it to the shard and performs its effects: `engine` stores, `peer/lane` carries frames to
//! other nodes, whose `peer/inbound` hands them to their `shard_loop`; the reply leaves through the session's `outbox`.
//!
//! Everything that decides is in `kvorum-node`; nothing here merges a record.

mod accept;
mod admin_service;
mod client_codec;
mod clock;
pub mod config;
mod control_loop;
pub mod data_dir;
mod disk_pool;
mod doubt;
mod dropped_data;
pub mod engine;
mod http;
mod keyspaces;
mod kv_service;
mod mailbox;
pub mod memory;
mod metrics;
mod outbox;
mod peer;
mod server;
mod session;
mod shard_loop;
mod why;

pub use config::Config;
pub use server::{Ready, ServerError, run};
