//! What a client may ask of a node, and what it is told.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;
use kvorum_vclock::Dot;

use crate::{ActorId, KeyspaceId, NodeId, Outline, Record};

/// One request, decoded and its keyspace looked up, but its limits not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The keyspace.
    pub keyspace: KeyspaceId,
    /// How long the client waits, from the moment the request is handled.
    pub timeout: Duration,
    /// What to do.
    pub operation: Operation,
}

/// Whose answers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Where too few replicas can be reached, stand-ins may take writes for them and keep hints, and tell what they hold
    /// hints for. Always available, and outside of what R + W > N promises (Dynamo, section 4.6).
    #[default]
    Sloppy,
    /// Only replicas count, and a read is answered once as many of them as a write needs durably hold what it returns.
    Strict,
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sloppy => "sloppy",
            Self::Strict => "strict",
        })
    }
}

/// A write that its client may ask for more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Names the write over all its attempts; drawn at random by the client.
    pub id: u64,
    /// How long ago the first attempt began, in milliseconds; none if this is the first, or if those before it certainly came
    /// to nothing.
    pub retried_after_ms: Option<u64>,
    /// The process that all attempts so far went to, if it was one, by its [`actor`](crate::ShardConfig::actor): should it not
    /// have begun the write, nobody has.
    pub first_asked: Option<ActorId>,
}

/// The operations.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Read a key.
    Get {
        /// The key.
        key: Bytes,
        /// R; the keyspace's own when none is given.
        level: Option<Level>,
        /// The keyspace's own when none is given.
        consistency: Option<Consistency>,
    },
    /// Write a key.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// How long the value lives, in milliseconds; as long as the keyspace says when none is given, for ever when 0.
        ttl_ms: Option<u64>,
        /// W; the keyspace's own when none is given.
        level: Option<Level>,
        /// The keyspace's own when none is given.
        consistency: Option<Consistency>,
        /// Which attempt this is, if there may be several.
        attempt: Option<Attempt>,
        /// Of the read it rests on, see [`context`](crate::context); empty for a blind write.
        context: Bytes,
    },
    /// Delete a key: writes a tombstone.
    Delete {
        /// The key.
        key: Bytes,
        /// W; the keyspace's own when none is given.
        level: Option<Level>,
        /// The keyspace's own when none is given.
        consistency: Option<Consistency>,
        /// Which attempt this is, if there may be several.
        attempt: Option<Attempt>,
        /// Of the read it rests on; in a `causal` keyspace it must be given.
        context: Bytes,
    },
    /// Tell what each replica of a key holds, and which hints wait for it; for people.
    Why {
        /// The key.
        key: Bytes,
    },
    /// One page of the keys of one partition.
    Scan(Scan),
}

/// A page of keys, in key order within one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Whose keys.
    pub partition: PartitionId,
    /// Only keys that begin with this.
    pub prefix: Bytes,
    /// Only keys after this one.
    pub after: Option<Bytes>,
    /// The page ends when its keys and values reach this many bytes.
    pub limit_bytes: u32,
    /// The page ends after this many keys; unlimited when none is given.
    pub limit_rows: Option<u32>,
    /// Leave values out of the answer.
    pub keys_only: bool,
    /// R; the keyspace's own when none is given.
    pub level: Option<Level>,
}

impl Operation {
    /// Whether it changes anything.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. })
    }

    /// Which attempt at a write it is, if there may be several.
    pub(crate) fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::Put { attempt, .. } | Self::Delete { attempt, .. } => *attempt,
            Self::Get { .. } | Self::Scan(_) | Self::Why { .. } => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match self {
            Self::Put { attempt, .. } | Self::Delete { attempt, .. } => attempt.as_mut(),
            Self::Get { .. } | Self::Scan(_) | Self::Why { .. } => None,
        }
    }

    /// The key it is about, unless it is a scan.
    #[must_use]
    pub fn key(&self) -> Option<&Bytes> {
        match self {
            Self::Get { key, .. } | Self::Put { key, .. } | Self::Delete { key, .. } | Self::Why { key } => Some(key),
            Self::Scan(_) => None,
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To a get. An absent key is an answer, not an error.
    Value {
        /// What is there, if any of it is live: tombstones and what has expired are for the reader to leave out.
        record: Option<Record>,
        /// What the reader has now seen, see [`context`](crate::context).
        context: Bytes,
        /// The wall clock by which expiry is judged, in milliseconds since the Unix epoch.
        as_of_ms: u64,
        /// Who said so.
        replicas: Replicas,
    },
    /// To a put or delete: stored durably at the wanted replicas.
    Written {
        /// The version that was written.
        dot: Dot<ActorId>,
        /// When its value ends, in milliseconds since the Unix epoch.
        expires_at_ms: Option<u64>,
        /// Who stored it.
        replicas: Replicas,
    },
    /// To a scan.
    Page {
        /// Whose keys.
        partition: PartitionId,
        /// The records of which anything is live, in key order.
        rows: Vec<(Bytes, Record)>,
        /// The wall clock by which expiry is judged, in milliseconds since the Unix epoch.
        as_of_ms: u64,
        /// The key to go on after; none when the partition has been read to its end.
        next: Option<Bytes>,
        /// Who said so.
        replicas: Replicas,
    },
    /// To a why.
    Why(Explanation),
    /// It was not done, or nobody knows whether it was.
    Failed(Failure),
}

/// What is known of one key in the whole cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// Of each replica, in the order of preference.
    pub replicas: Vec<Holding>,
    /// The members that did not tell which hints they keep: they are away, refused, or did not answer in time. There may be
    /// more hints at these.
    pub silent: Vec<NodeId>,
    /// How many more members were not asked: one request asks 64 at most, those first that are likely to keep hints.
    pub unasked: usize,
}

/// What one replica durably holds of a key, and what it has yet to get.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// The replica.
    pub node: NodeId,
    /// Its record, if it has any, or why it did not tell.
    pub held: Result<Option<Record>, String>,
    /// The hints that members keep for it, and who does.
    pub hints: Vec<(NodeId, KeptHint)>,
}

/// A hint of one key that a member durably keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptHint {
    /// The replica that it is for.
    pub target: NodeId,
    /// Whether its holder stands in for the replica in a write that counted it. Such hints are never dropped.
    pub owed: bool,
    /// The versions in it, as in a record.
    pub versions: Vec<Outline>,
}

/// How a quorum came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// How many answers the level asked for.
    pub wanted: u8,
    /// How many came before the reply.
    pub answered: u8,
    /// How many of those held the version in the answer.
    pub agreed: u8,
    /// Whether a stand-in was among them.
    pub sloppy: bool,
}

/// Why a request failed: whose fault it is, and whether anything may have changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the client may conclude.
    pub kind: FailureKind,
    /// For a person: what failed, on what, what to do.
    pub message: String,
}

/// The three truths (refused or not applied, perhaps applied, damaged) in the detail that clients act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The request breaks a limit or a rule; sending it again will not help. Nothing changed.
    Invalid,
    /// Certainly not applied: it may be sent again, here or elsewhere.
    Rejected,
    /// This node has more work than it takes on. Certainly not applied.
    Overloaded,
    /// A write that may or may not take effect.
    Indeterminate,
    /// A read that too few replicas answered in time. Nothing changed.
    TimedOut,
    /// A replica found its stored data damaged.
    DataLoss,
    /// The state of the key, or the mode of its keyspace, does not allow it. Nothing changed.
    Precondition,
}

impl Failure {
    /// Composes a failure.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
