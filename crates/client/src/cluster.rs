//! Owns what operators are told about a cluster: its members and its layout. How it is asked is in
//! `admin.rs`.

use kvorum_ring::Token;

/// The cluster as the answering node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its identity in hexadecimal; empty while the node belongs to none.
    pub cluster: String,
    /// The number of the layout; 0 while there is none.
    pub epoch: u64,
    /// `stable`, or how far a change of the layout has come: `a`, `b` or `c`.
    pub phase: String,
    /// How many partitions there are.
    pub partitions: u32,
    /// All members, as the node lists them.
    pub members: Vec<Member>,
    /// What an operator should look at, in words.
    pub warnings: Vec<String>,
    /// The name of the node that answered.
    pub answered_by: String,
    /// Its version.
    pub version: String,
    /// Whether it serves data.
    pub ready: bool,
}

/// One member of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, unique in the cluster.
    pub name: String,
    /// Its identity, which outlives an address.
    pub id: String,
    /// Its address for clients and operators.
    pub client: String,
    /// Its address for other nodes.
    pub peer: String,
    /// Its data centre.
    pub dc: String,
    /// Its rack there.
    pub rack: String,
    /// Its share of the data, relative to others.
    pub weight: u32,
    /// `up`, `suspect`, `unreachable`, `down`, `joining`, `leaving` or `left`.
    pub state: String,
    /// How many partitions it holds.
    pub partitions: u32,
    /// How much data it holds, in bytes.
    pub bytes: u64,
    /// Milliseconds since its heartbeat last rose; absent when it was never heard of.
    pub heartbeat_age_ms: Option<u64>,
    /// Whether it may have lost acknowledged writes; it takes writes then, and answers no reads.
    pub in_doubt: bool,
    /// Of how many partitions it has pulled what it may have lost; 0 unless it is in doubt.
    pub pulled: u32,
    /// Of how many it must before it answers reads; 0 unless it is in doubt, and while it does not know yet.
    pub to_pull: u32,
}

/// The layout: its balance, or where one key lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Where the key lives, if one was asked for.
    pub place: Option<Place>,
    /// Each member's share, if no key was asked for.
    pub shares: Vec<Share>,
    /// How many partitions there are.
    pub partitions: u32,
    /// The number of the layout; 0 while there is none.
    pub epoch: u64,
    /// Replicas per data centre: `3`, or `dc1=3,dc2=2`.
    pub replication: String,
}

/// Where a key lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The key's point on the circle.
    pub token: Token,
    /// The partition in which it lies.
    pub partition: u32,
    /// The names of its replicas, in order of preference.
    pub replicas: Vec<String>,
    /// The names of those that stand in for them, in order.
    pub fallbacks: Vec<String>,
}

/// One member's share of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its name.
    pub name: String,
    /// Its data centre.
    pub dc: String,
    /// Its rack there.
    pub rack: String,
    /// Its weight.
    pub weight: u32,
    /// How many partitions it holds.
    pub partitions: u32,
    /// For how many of them it is the first replica.
    pub first: u32,
}
