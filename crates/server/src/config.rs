//! What a node is configured with. Everything here is valid: text from files and flags is parsed before.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use kvorum_node::{DEFAULT_PAIR_BYTES, PAIR_BYTES_RANGE};
use kvorum_ring::{Partitions, Replication};

use crate::engine::{Durability, EngineKind};
use crate::memory::MIN_MEMORY;

/// The configuration of one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, unique in the cluster.
    pub name: String,
    /// Its data.
    pub data_dir: PathBuf,
    /// Where it listens for clients and operators.
    pub listen: SocketAddr,
    /// Where it listens for other nodes.
    pub peer_listen: SocketAddr,
    /// Where it answers `/livez`, `/readyz` and `/metrics`.
    pub http_listen: SocketAddr,
    /// The address clients should use; the one it listens on when none is given.
    pub advertise: Option<String>,
    /// The address other nodes should use; the one it listens on when none is given.
    pub peer_advertise: Option<String>,
    /// Holds the key that all members share; without one nothing between nodes is authenticated.
    pub cluster_key_file: Option<PathBuf>,
    /// Peer addresses of some members. An empty node without seeds founds a cluster.
    pub seeds: Vec<String>,
    /// Its data centre.
    pub dc: String,
    /// Its rack.
    pub rack: String,
    /// The share of the data it takes, relative to the others'; 0 takes none.
    pub weight: u32,
    /// Where its data is kept.
    pub engine: EngineKind,
    /// When a write counts as stored.
    pub durability: Durability,
    /// Used by the founder.
    pub founding: FoundingConfig,
    /// What memory it may use, in bytes: see [`Shares`](crate::memory::Shares).
    pub memory: u64,
    /// How many bytes are kept for absent nodes, all shards together.
    pub hint_bytes: u64,
    /// How long they are kept, unless they stand in for a replica.
    pub hint_age: Duration,
    /// Data shards, each on a thread of its own.
    pub shards: usize,
}

/// What the founder of a cluster decides.
#[derive(Clone, Debug)]
pub struct FoundingConfig {
    /// How many nodes must be present before the layout is made.
    pub nodes: u32,
    /// Q.
    pub partitions: Partitions,
    /// How many replicas each data centre keeps.
    pub replication: Replication,
    /// The largest key and value together, in bytes.
    pub pair_bytes: u32,
}

/// What is kept for absent nodes when nothing is configured.
#[must_use]
pub fn default_hints() -> kvorum_node::HintsConfig {
    kvorum_node::HintsConfig::default()
}

/// K when none is configured: half the cores leave room for the log, the disks and the clients.
#[must_use]
pub fn default_shards() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// The memory budget when none is configured: a quarter of the machine's memory.
#[must_use]
#[expect(clippy::useless_conversion, reason = "the word is narrower on other machines")]
pub fn default_memory() -> u64 {
    let info = rustix::system::sysinfo();
    (u64::from(info.totalram) * u64::from(info.mem_unit) / 4).max(MIN_MEMORY)
}
