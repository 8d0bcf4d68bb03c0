//! One node of a Kvorum cluster, composed of pure state machines; it does no I/O.
//!
//! A node is a [`Control`] part (membership, layout, the clock's ceiling) and K data [`Shard`]s. Both are handed
//! inputs (messages, completed I/O, time) and hand back effects; the shell (`kvorum-server`, or the simulation)
//! performs them. So a whole cluster runs inside one test, in virtual time, from one seed.
//!
//! Start at [`Shard::handle`] for the path of a request and at [`Control::handle`] for everything else.

#![forbid(unsafe_code)]

mod catalog;
pub mod context;
pub mod control;
mod fitness;
mod id;
mod key;
mod layout;
mod message;
mod now;
mod op;
mod record;
pub mod request;
pub mod shard;
mod view;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

use std::sync::Arc;

pub use catalog::{
    Alteration, Catalog, CatalogChange, CatalogError, Charter, DEFAULT_KEYSPACE, DEFAULT_KEYSPACE_NAME,
    KEYSPACE_NAME_BYTES, Keyspace, MAX_KEYSPACES, Mode, Secret, Settings,
};
pub use control::{Control, ControlConfig, ControlEffect, ControlInput, MemberMeta};
pub use fitness::{Bar, ClockFault, Fitness, MAX_DRIFT};
pub use id::{ActorId, ClusterId, EpochPhase, KeyspaceId, NodeId, PeerShard, Phase, ShardIndex};
pub use key::{BadStoredKey, KeyRange, StoredKey};
pub use kvorum_hints::Config as HintsConfig;
pub use layout::{DEFAULT_PAIR_BYTES, Layout, LayoutError, LayoutMember, MemberIndex, PAIR_BYTES_RANGE};
pub use message::{ControlBody, ControlMessage, Digest, Lane, Message, Rows, row_weight};
pub use now::Now;
pub use op::Op;
pub use record::{
    BadRecord, CONTEXT_ENTRIES, MAX_SIBLINGS, Outline, RECORD_OVERHEAD, Record, Unwritable, Version, merge,
};
pub use request::{
    Attempt, Consistency, Explanation, Failure, FailureKind, Holding, KeptHint, Operation, Replicas, Request, Response,
};
pub use shard::{
    ClientRef, Effect, HINTS_KEYSPACE, HintQueue, Input, Limits, LogSeq, Page, PullProgress, Report, Shard,
    ShardConfig, StoreError, partition_of_message, partition_of_request,
};
pub use view::{Replica, View, ViewMember};

/// Where a node is reached: `host:port`.
pub type Address = Arc<str>;
