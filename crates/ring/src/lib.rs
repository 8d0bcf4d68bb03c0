//! Placement for a partitioned, replicated store: tokens, virtual nodes, and which nodes hold which
//! partition.
//!
//! A key is placed in two steps. [`Token::of`] hashes it to a point of a circle, and
//! [`Partitions::of`] names the one of Q equal slices in which the point lies; this never changes
//! in the life of a cluster. A [`PartitionTable`] then says which nodes hold that slice; it changes
//! when nodes come and go. A request costs one hash and one table lookup; the [`VirtualNodeRing`]
//! is needed only while a table is computed.
//!
//! Everything here is a pure function of its arguments. There is no clock, no randomness and no
//! I/O, and the order in which members are listed has no influence: two nodes that know the same
//! members compute the same table.
//!
//! ```
//! use kvorum_ring::{Member, PartitionTable, Partitions, Token};
//!
//! let members: Vec<Member<u64>> = (1..=4)
//!     .map(|id| Member { id, weight: 1, dc: "dc1".into(), rack: format!("rack{}", id % 2) })
//!     .collect();
//! let table = PartitionTable::compute(Partitions::default(), &"2".parse()?, &members)?;
//!
//! let partition = table.partitions().of(Token::of(b"user1"));
//! let [first, second] = table.replicas(partition) else { panic!("two copies were asked for") };
//! assert_ne!(first % 2, second % 2, "the copies are in different racks");
//! # Ok::<(), kvorum_ring::Error>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod member;
mod partition;
mod replication;
mod table;
mod token;
mod topology;
mod virtual_node;

pub use error::Error;
pub use member::{MAX_WEIGHT, Member, NodeKey};
pub use partition::{PartitionId, Partitions};
pub use replication::Replication;
pub use table::PartitionTable;
pub use token::Token;
pub use topology::MAX_FALLBACKS;
pub use virtual_node::{VNODES_PER_WEIGHT, VirtualNodeRing};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
