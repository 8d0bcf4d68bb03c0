//! What a control part starts from, what it can be told, and what it can want. It decides nothing.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_gossip as gossip;
use kvorum_ring::{Partitions, Replication};
use kvorum_vclock::Timestamp;

use super::{ChangeOutcome, Note};
use crate::{
    ActorId, Address, Catalog, CatalogChange, ClusterId, ControlMessage, Layout, NodeId, Report, Secret, View,
};

/// What a node says of itself by gossip.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberMeta {
    /// Its name.
    pub name: Arc<str>,
    /// Where clients reach it.
    pub client: Address,
    /// Its data centre.
    pub dc: Arc<str>,
    /// Its rack.
    pub rack: Arc<str>,
    /// The share of the data it takes, relative to the others'; 0 takes none.
    pub weight: u32,
    /// The tenure its dots carry: tells which node an actor is.
    pub actor: ActorId,
    /// When that began, by its wall clock, in milliseconds since the Unix epoch: of two processes that are one node the
    /// younger gives way.
    pub since_ms: u64,
    /// The durable ceiling of its clock. A later process that finds a lower one runs on an older copy of its data.
    pub ceiling: Timestamp,
    /// Why it may have lost acknowledged writes, if it may.
    pub in_doubt: Option<Arc<str>>,
    /// The epoch of its layout; 0 for none.
    pub epoch: u64,
    /// The version of its catalog; 0 for none.
    pub catalog: u64,
    /// While it is in doubt: of how many partitions it has pulled what it may have lost, and of how many it must.
    pub pulled: u32,
    /// See [`MemberMeta::pulled`].
    pub to_pull: u32,
    /// The bytes its store takes.
    pub bytes: u64,
    /// While it founds the cluster: how many nodes it waits for, itself included. 0 otherwise.
    pub founding: u32,
}

/// What the founder of a cluster decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Founding {
    /// How many nodes must be present before the layout is made.
    pub nodes: u32,
    /// Q.
    pub partitions: Partitions,
    /// How many replicas each data centre keeps.
    pub replication: Replication,
    /// The largest key and value together, in bytes.
    pub pair_bytes: u32,
    /// What the members will share. Only the one of the founding that comes to an end is ever used.
    pub secret: Secret,
}

/// What a node keeps over restarts, apart from its data, identity and clock ceiling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedState {
    /// The cluster it belongs to.
    pub cluster: Option<ClusterId>,
    /// The layout.
    pub layout: Option<Arc<Layout>>,
    /// The keyspaces.
    pub catalog: Option<Arc<Catalog>>,
    /// Where the other members were last reached.
    pub known: BTreeMap<NodeId, Address>,
}

/// What a control part starts from.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// This node.
    pub me: NodeId,
    /// How often it has been started; persisted before use.
    pub boot: u64,
    /// How many shards the node has.
    pub shards: usize,
    /// Where peers reach it.
    pub peer: Address,
    /// What it says of itself; all that changes with time is filled in.
    pub meta: MemberMeta,
    /// Why it may have lost acknowledged writes, as far as its shell can tell.
    pub in_doubt: Option<Arc<str>>,
    /// Where some members can be reached.
    pub seeds: Vec<Address>,
    /// What it saved before. The first time, a founder's shell draws the cluster's id and hands it in here.
    pub saved: SavedState,
    /// The clock ceiling it saved before.
    pub clock_floor: Timestamp,
    /// Set in the node that founds the cluster.
    pub founding: Option<Founding>,
    /// Membership.
    pub gossip: gossip::Config,
    /// What it draws from.
    pub seed: u64,
}

/// Everything a control part can be told.
#[derive(Clone, Debug)]
pub enum ControlInput {
    /// A peer says something.
    Message(ControlMessage),
    /// A [`ControlEffect::Save`] is durable.
    Saved {
        /// Of that effect.
        version: u64,
    },
    /// A [`ControlEffect::Save`] or [`ControlEffect::SaveCeiling`] failed; it is tried again.
    SaveFailed {
        /// Of that [`ControlEffect::Save`]; none when it was a [`ControlEffect::SaveCeiling`].
        version: Option<u64>,
        /// Why.
        error: String,
    },
    /// A [`ControlEffect::SaveCeiling`] is durable.
    CeilingSaved(Timestamp),
    /// What became of a [`ControlEffect::SaveIdentity`]; a failed one is tried again.
    IdentitySaved(Result<(), String>),
    /// A shard reports.
    Reported(Report),
    /// The bytes the store takes.
    StoreSize(u64),
    /// A control lane to this address is connected.
    LaneUp(Address),
    /// A control lane to this address is broken, or could not be connected.
    LaneDown(Address),
    /// An operator asks for a change of the keyspaces; answered by [`ControlEffect::CatalogChanged`].
    ChangeCatalog {
        /// Of the answer. No other change that this node asks for, nor its earlier and later processes, has it.
        ticket: u64,
        /// What to change.
        change: CatalogChange,
        /// How long to try.
        timeout: Duration,
    },
}

/// Everything a control part can want.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlEffect {
    /// Send a message on the control lane. It may be lost.
    Send {
        /// Whom, by address: a seed's id is not known yet.
        to: Address,
        /// What.
        message: ControlMessage,
    },
    /// Keep this state over restarts, instead of what was saved before.
    Save {
        /// To be reported [`ControlInput::Saved`].
        version: u64,
        /// The whole of it.
        state: SavedState,
    },
    /// Keep this ceiling over restarts.
    SaveCeiling(Timestamp),
    /// Keep this over restarts, with the node's identity.
    SaveIdentity {
        /// The next process must be a later boot than this one.
        boot: u64,
        /// Why the node is in doubt, if it is.
        in_doubt: Option<Arc<str>>,
    },
    /// Become this node, which is down: keep its id, a boot above that one, and that its data is lost; then start anew.
    TakeOver {
        /// Whose place to take.
        id: NodeId,
        /// The last boot that its peers remember.
        boot: u64,
    },
    /// Hand this view to every shard.
    Publish(Arc<View>),
    /// Hand this ceiling to every shard.
    Ceiling(Timestamp),
    /// What became of a [`ControlInput::ChangeCatalog`].
    CatalogChanged {
        /// Of that input.
        ticket: u64,
        /// The outcome.
        outcome: ChangeOutcome,
    },
    /// Tell the operator.
    Note(Note),
}
