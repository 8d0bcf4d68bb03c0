//! What a shard starts from, what it can be told, and what it can want. It decides nothing.

use core::time::Duration;
use std::sync::Arc;

use kvorum_ring::PartitionId;
use kvorum_vclock::Timestamp;

use super::{HintQueue, PullProgress};

use crate::{
    ActorId, EpochPhase, FailureKind, KeyRange, Lane, Message, NodeId, Op, PeerShard, Record, Request, Response, Rows,
    ShardIndex, StoredKey, View,
};

/// Where the reply to a client's request goes: meaningful to the shell alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientRef {
    /// The session.
    pub session: u64,
    /// The request within it.
    pub request: u64,
}

/// The position of a record in a shard's log; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogSeq(pub u64);

/// A storage engine could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Reading or writing failed.
    #[error("the store failed: {0}")]
    Io(String),
    /// What was read is damaged.
    #[error("the store holds damaged data: {0}")]
    Corruption(String),
    /// It was not read: by the time it could have been, nobody waited for it any more.
    #[error("the store was too busy to read it in time")]
    TooLate,
}

impl StoreError {
    /// What another coordinator is told.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Io(_) | Self::TooLate => FailureKind::Rejected,
            Self::Corruption(_) => FailureKind::DataLoss,
        }
    }
}

/// A page of an engine's range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In key order.
    pub rows: Rows,
    /// Whether the range goes on behind the last row.
    pub more: bool,
}

/// Everything a shard can be told.
#[derive(Clone, Debug)]
pub enum Input {
    /// The store is open, with what an earlier process left in it: the hints among it are counted, and what may be missing
    /// is pulled. To be told once.
    Started,
    /// A client asks.
    Client {
        /// Where the reply goes.
        from: ClientRef,
        /// What it asks.
        request: Request,
    },
    /// A peer's shard says something.
    Peer {
        /// Who.
        from: PeerShard,
        /// The layout it acted under.
        tag: EpochPhase,
        /// When the sender no longer waits for it, by this node's own time; [`Duration::MAX`] if it always does.
        until: Duration,
        /// What.
        message: Message,
    },
    /// A [`Effect::Load`] is done.
    Loaded {
        /// Of that effect.
        op: Op,
        /// What the engine holds.
        result: Result<Option<Record>, StoreError>,
    },
    /// A [`Effect::Load`] is not answered at once: a disk is asked.
    Loading {
        /// Of that effect.
        op: Op,
    },
    /// A [`Effect::Scan`] is done.
    Scanned {
        /// Of that effect.
        op: Op,
        /// What the engine holds.
        result: Result<Page, StoreError>,
    },
    /// Everything appended up to here is durable, and the engine's reads see it.
    Durable(LogSeq),
    /// The log failed: nothing appended after the last `Durable` may be taken as stored, and nothing more will be.
    LogFailed(StoreError),
    /// A request message was not sent: the queue to that node is full, or there is no connection.
    Unsent {
        /// To whom.
        to: NodeId,
        /// The operation it belonged to.
        op: Op,
    },
    /// The connection that carries requests to a node broke: what was sent and not answered may never be.
    PeerLost(NodeId),
    /// The cluster as it is from now on.
    View(Arc<View>),
    /// Timestamps up to here may be minted: the ceiling is durable.
    ClockCeiling(Timestamp),
}

/// Everything a shard can want.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Answer a client.
    Reply {
        /// Whom.
        to: ClientRef,
        /// With what.
        response: Response,
    },
    /// Send a message to a peer's shard.
    Send {
        /// Whom.
        to: PeerShard,
        /// On which connection.
        lane: Lane,
        /// Under which layout.
        tag: EpochPhase,
        /// When nobody waits for it any more, and it need not leave; the receiver is told how long that is.
        until: Duration,
        /// What.
        message: Message,
    },
    /// Append to the log and store. Sequences are handed out in order, without gaps.
    Append {
        /// To be reported [`Input::Durable`].
        seq: LogSeq,
        /// Where.
        key: StoredKey,
        /// What; replaces whatever is stored there.
        record: Record,
    },
    /// Append the removal of what is stored, hints that were delivered; its sequence counts with those of
    /// [`Effect::Append`].
    Erase {
        /// To be reported [`Input::Durable`].
        seq: LogSeq,
        /// Where.
        key: StoredKey,
    },
    /// Read what the engine durably holds.
    Load {
        /// To be repeated in [`Input::Loaded`].
        op: Op,
        /// Of what.
        key: StoredKey,
        /// When nobody waits for it any more: then [`StoreError::TooLate`] does as well.
        until: Duration,
    },
    /// Read a range of what the engine durably holds.
    Scan {
        /// To be repeated in [`Input::Scanned`].
        op: Op,
        /// The range.
        range: KeyRange,
        /// The page ends when its keys and records reach this many bytes; it holds at least one row if there is one.
        limit_bytes: u32,
        /// When nobody waits for it any more: then [`StoreError::TooLate`] does as well.
        until: Duration,
    },
    /// Tell the control part.
    Report(Report),
}

/// What a shard tells its control part.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The clock stands at its durable ceiling; timestamps up to here are wanted.
    CeilingNeeded(Timestamp),
    /// A write was refused because its timestamp lies too far ahead of this node's wall clock.
    ClockDrift {
        /// Who coordinated it.
        from: NodeId,
        /// By how much, in milliseconds.
        ahead_ms: u64,
    },
    /// So many entries of a context were dropped while a version was minted, see
    /// [`CONTEXT_ENTRIES`](crate::CONTEXT_ENTRIES).
    Pruned {
        /// How many.
        entries: usize,
    },
    /// This node did not coordinate a write, because of its clock.
    WriteRefused,
    /// Requests to a node went unanswered until their deadline, or were not even sent.
    PeerFailed(NodeId),
    /// The store failed; this shard refuses everything from now on.
    StoreFailed(StoreError),
    /// What a shard keeps for absent nodes, whenever that has changed.
    Hints {
        /// Which shard.
        shard: ShardIndex,
        /// One for each node that anything is kept for.
        queues: Vec<HintQueue>,
    },
    /// A hint was refused or dropped: only comparing replicas finds that write again.
    HintDropped {
        /// Who lacks the write.
        target: NodeId,
        /// Of which partition it is.
        partition: PartitionId,
    },
    /// How far a shard is with pulling, while the node is in doubt. Told again and again.
    Pull {
        /// Which shard.
        shard: ShardIndex,
        /// How far.
        progress: PullProgress,
    },
}

/// What bounds a shard. `Default` gives the documented values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest key, in bytes: 1 KiB.
    pub key_bytes: usize,
    /// Operations in flight before new ones are refused as overload: 2048, a tenth of a second's work at most. What other
    /// coordinators wait for counts too.
    pub operations: usize,
    /// The bytes that operations in flight may hold, if each holds the largest pair that the cluster takes: 256 MiB, so
    /// that pairs of 100 KiB allow some 2600 operations.
    pub operation_bytes: usize,
    /// Bytes taken in and not yet durable before new writes are refused as overload: 64 MiB.
    pub undurable_bytes: usize,
    /// The longest a client may ask a node to wait: 5 minutes.
    pub timeout: Duration,
    /// What is kept for absent replicas, and how fast it is sent.
    pub hints: kvorum_hints::Config,
    /// How fast a node in doubt pulls, in bytes a second: 64 MiB.
    pub pull_bytes_per_second: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_bytes: 1024,
            operations: 2048,
            operation_bytes: 256 << 20,
            undurable_bytes: 64 << 20,
            timeout: Duration::from_secs(300),
            hints: kvorum_hints::Config::default(),
            pull_bytes_per_second: 64 << 20,
        }
    }
}

/// What a shard starts from.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its number.
    pub index: ShardIndex,
    /// How many there are.
    pub shards: usize,
    /// The tenure its dots carry.
    pub actor: ActorId,
    /// Timestamps begin above this: the durable ceiling of the process before.
    pub clock_floor: Timestamp,
    /// How far a fresh write's timestamp may lie ahead of the wall clock, in milliseconds.
    pub max_drift_ms: u64,
    /// How long a read waits for the replicas it asked before it asks one more, whatever they usually need.
    pub hedge_after: Duration,
    /// Its bounds.
    pub limits: Limits,
    /// What it draws from.
    pub seed: u64,
}
