//! What the control part tells an operator, as it happens. The words are the shell's.

use kvorum_gossip::State;

use super::DoubtEnd;
use crate::{Address, ClockFault, ClusterId, NodeId, StoreError};

/// Events for people.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A member was seen for the first time, or again after a restart.
    MemberJoined {
        /// Its name.
        name: String,
        /// The node.
        id: NodeId,
    },
    /// Failure detection changed its mind.
    MemberChanged {
        /// Its name.
        name: String,
        /// What it was.
        from: State,
        /// What it is.
        to: State,
    },
    /// This node now belongs to a cluster.
    Joined {
        /// Which.
        cluster: ClusterId,
    },
    /// A layout holds from now on.
    LayoutAdopted {
        /// Its epoch.
        epoch: u64,
        /// Q.
        partitions: u32,
        /// How many partitions this node holds.
        share: usize,
    },
    /// The keyspaces are at another version from now on.
    CatalogAdopted {
        /// Which.
        version: u64,
        /// How many there are.
        keyspaces: usize,
    },
    /// A member tells of keyspaces that were never this cluster's; they were not adopted.
    ForeignCatalog {
        /// Its name.
        from: String,
    },
    /// A node of another cluster spoke to this one; it was not listened to.
    ForeignCluster {
        /// Where it is.
        address: Address,
        /// Its cluster.
        theirs: ClusterId,
    },
    /// Another member that is not down has this node's name.
    NameTaken {
        /// The name.
        name: String,
        /// The other member.
        by: NodeId,
        /// Where it is.
        address: Address,
    },
    /// Others took this node for dead or had forgotten it; it has contradicted.
    Refuted,
    /// A process that was started later speaks with this node's id, or did; it was contradicted.
    Contested {
        /// Where it is, or was.
        address: Address,
    },
    /// A process that was started earlier is this node; this one says and serves nothing more.
    Twin {
        /// Where it is.
        address: Address,
    },
    /// This node may have lost acknowledged writes.
    InDoubt {
        /// Why.
        why: String,
    },
    /// That is over.
    DoubtEnded {
        /// Why.
        how: DoubtEnd,
    },
    /// This node coordinates no writes, because of its clock.
    ClockOff(ClockFault),
    /// It does again.
    ClockMended,
    /// State could not be saved.
    SaveFailed {
        /// Why.
        error: String,
    },
    /// A peer's clock, or this node's, is wrong.
    ClockDrift {
        /// The peer's name.
        name: String,
        /// How far its timestamp was ahead of this node's wall clock, in milliseconds.
        ahead_ms: u64,
    },
    /// A shard's store failed; this node serves no more data.
    StoreFailed {
        /// Why.
        error: StoreError,
    },
    /// The layout could not be made, or one that was received is not valid.
    BadLayout {
        /// Why.
        error: String,
    },
}
