//! What nodes say to each other. The shell turns these into protobuf frames; the simulation passes them as they are.

use bytes::Bytes;
use kvorum_gossip as gossip;
use kvorum_vclock::{Dot, Timestamp};
use std::sync::Arc;

use crate::control::ChangeOutcome;
use crate::control::Remembered;
use crate::{
    ActorId, Address, Catalog, CatalogChange, ClusterId, Failure, KeptHint, KeyRange, Layout, NodeId, Op, Outline,
    PeerShard, Record, Request, Response, StoredKey,
};

/// A message between data shards. `op` names the sender's operation; the answer repeats it.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Merge this record and say so when it is durable.
    Write {
        /// The coordinator's operation.
        op: Op,
        /// Where.
        key: StoredKey,
        /// What.
        record: Record,
        /// The timestamp that was minted for this write, which must not be too far ahead of the receiver's clock; none
        /// when the record only repeats what was written before.
        minted: Option<Timestamp>,
        /// The replica in whose place the receiver keeps it, as a hint; none when the receiver is a replica itself.
        stand_in_for: Option<NodeId>,
        /// Replicas in the receiver's data centre, to which it hands the write on.
        relay: Vec<NodeId>,
    },
    /// A [`Message::Write`] that another replica handed on: the coordinator gets the answer.
    Relayed {
        /// Who coordinates the write.
        coordinator: PeerShard,
        /// Its operation.
        op: Op,
        /// Where.
        key: StoredKey,
        /// What.
        record: Record,
        /// As in the write.
        minted: Option<Timestamp>,
    },
    /// The record, or a newer one, is durable here.
    WriteReply {
        /// The coordinator's operation.
        op: Op,
        /// The newest dot this replica holds for the key. When it exceeds the record's own, the write has changed
        /// nothing here, and the coordinator mints again above it. (The timestamp alone would not tell a version
        /// of another actor with an equal timestamp, which wins just the same.)
        newest: Dot<ActorId>,
        /// The processes that have begun to pull the key's partition from this replica. What their nodes answered for before,
        /// they may have lost, and will not find here if it became durable here after they looked.
        pulled_by: Vec<(NodeId, ActorId)>,
    },
    /// What do you hold?
    Read {
        /// The coordinator's operation.
        op: Op,
        /// Of what.
        key: StoredKey,
        /// What the asker holds itself: a replica that holds just that answers [`Message::ReadSame`].
        known: Option<Digest>,
        /// The replica in whose place the receiver is asked, which then tells what it owes to any of the key's replicas; none when it is
        /// a replica itself.
        stand_in_for: Option<NodeId>,
    },
    /// This replica durably holds what the asker holds.
    ReadSame {
        /// The coordinator's operation.
        op: Op,
    },
    /// What this replica durably holds.
    ReadReply {
        /// The coordinator's operation.
        op: Op,
        /// Tombstones and expired cells included: the coordinator judges after merging.
        record: Option<Record>,
    },
    /// Which hints of a key do you keep, for whichever of its replicas?
    ReadHints {
        /// The asker's operation.
        op: Op,
        /// Of what.
        key: StoredKey,
    },
    /// The hints that this node durably keeps.
    HintsReply {
        /// The asker's operation.
        op: Op,
        /// None if there are none.
        hints: Vec<KeptHint>,
    },
    /// What do you hold in this range?
    Scan {
        /// The coordinator's operation.
        op: Op,
        /// Within one partition.
        range: KeyRange,
        /// The page ends when its keys and records reach this many bytes.
        limit_bytes: u32,
        /// The asker's process, if it pulls what it may have lost: the answer then carries a digest.
        puller: Option<ActorId>,
    },
    /// A page of what this replica durably holds.
    ScanReply {
        /// The coordinator's operation.
        op: Op,
        /// In key order.
        rows: Rows,
        /// Whether the range goes on behind the last row.
        more: bool,
        /// Of the rows, for who pulls.
        digest: Option<Digest>,
    },
    /// Coordinate this for a node that holds no replica. Forwarded once, never again.
    Forward {
        /// The forwarder's operation.
        op: Op,
        /// The client's request; its timeout is what was left of it.
        request: Request,
    },
    /// The outcome of a forwarded request.
    ForwardReply {
        /// The forwarder's operation.
        op: Op,
        /// What to tell the client.
        response: Response,
    },
    /// A `Write`, `Read`, `ReadHints`, `Scan` or `Forward` that this node did not do.
    Refused {
        /// The sender's operation.
        op: Op,
        /// Why.
        failure: Failure,
    },
}

/// 128 bits that tell records, or pages of them, apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// Of byte strings, with their lengths.
    pub(crate) fn of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(digest)
    }

    /// Of the rows of a page.
    #[must_use]
    pub fn of_rows(rows: &Rows) -> Self {
        Self::of(rows.iter().flat_map(|(key, record)| [key.as_bytes().as_ref(), record.as_bytes().as_ref()]))
    }
}

/// Stored keys with their records, in key order.
pub type Rows = Vec<(StoredKey, Record)>;

/// What a message competes with on its way: each lane is a connection of its own, so that a page of a scan
/// never delays a write, nor a write a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Membership and layout.
    Control,
    /// Reads and writes.
    Requests,
    /// Scans, and later transfers.
    Bulk,
}

impl Message {
    /// The lane it travels on.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Scan { .. } | Self::ScanReply { .. } => Lane::Bulk,
            _ => Lane::Requests,
        }
    }

    /// The operation it asks for or answers.
    #[must_use]
    pub fn op(&self) -> Op {
        match self {
            Self::Write { op, .. }
            | Self::Relayed { op, .. }
            | Self::ReadSame { op }
            | Self::WriteReply { op, .. }
            | Self::Read { op, .. }
            | Self::ReadReply { op, .. }
            | Self::ReadHints { op, .. }
            | Self::HintsReply { op, .. }
            | Self::Scan { op, .. }
            | Self::ScanReply { op, .. }
            | Self::Forward { op, .. }
            | Self::ForwardReply { op, .. }
            | Self::Refused { op, .. } => *op,
        }
    }

    /// Whether it asks for something: its `op` is then the sender's, and losing it fails that operation there.
    #[must_use]
    pub fn is_request(&self) -> bool {
        use Message::{Forward, Read, ReadHints, Scan, Write};
        matches!(self, Write { .. } | Read { .. } | ReadHints { .. } | Scan { .. } | Forward { .. })
    }

    /// The bytes it holds on to while it waits to be sent, for the bounds of queues.
    #[must_use]
    pub fn weight(&self) -> usize {
        const FRAME: usize = 48;
        let content = match self {
            Self::Write { key, record, .. } | Self::Relayed { key, record, .. } => {
                key.as_bytes().len() + record.as_bytes().len()
            }
            Self::Read { key, .. } | Self::ReadHints { key, .. } => key.as_bytes().len(),
            Self::ReadReply { record, .. } => record.as_ref().map_or(0, |record| record.as_bytes().len()),
            Self::HintsReply { hints, .. } => {
                hints.iter().map(|hint| 16 + hint.versions.len() * size_of::<Outline>()).sum()
            }
            Self::ScanReply { rows, .. } => rows.iter().map(|(key, record)| row_weight(key, record)).sum(),
            Self::Scan { range, .. } => range.start.len(),
            Self::Forward { request, .. } => {
                use crate::Operation::{Delete, Get, Put, Scan, Why};
                match &request.operation {
                    Put { key, value, context, .. } => key.len() + value.len() + context.len(),
                    Delete { key, context, .. } => key.len() + context.len(),
                    Get { key, .. } | Why { key } => key.len(),
                    Scan(scan) => scan.prefix.len() + scan.after.as_ref().map_or(0, Bytes::len),
                }
            }
            Self::ForwardReply { response, .. } => match response {
                Response::Value { record, context, .. } => {
                    record.as_ref().map_or(0, |record| record.as_bytes().len()) + context.len()
                }
                Response::Written { .. } | Response::Why(_) => 0,
                Response::Page { rows, .. } => {
                    rows.iter().map(|(key, record)| key.len() + record.as_bytes().len() + 16).sum()
                }
                Response::Failed(failure) => failure.message.len(),
            },
            Self::WriteReply { .. } | Self::ReadSame { .. } => 0,
            Self::Refused { failure, .. } => failure.message.len(),
        };
        FRAME + content
    }
}

/// What one row counts against the byte limit of a page.
#[must_use]
pub fn row_weight(key: &StoredKey, record: &Record) -> usize {
    key.as_bytes().len() + record.as_bytes().len() + 16
}

/// A message between control parts.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlMessage {
    /// The sender's cluster; none while it still asks to be let in.
    pub cluster: Option<ClusterId>,
    /// The sender.
    pub from: NodeId,
    /// Where it can be answered.
    pub reply_to: Address,
    /// Its wall clock when it said this, in milliseconds since the Unix epoch.
    pub clock_ms: u64,
    /// What it says.
    pub body: ControlBody,
}

/// The content of a [`ControlMessage`].
#[derive(Clone, Debug, PartialEq)]
pub enum ControlBody {
    /// Membership.
    Gossip(gossip::Message<NodeId, Address>),
    /// Send me your layout if its epoch exceeds mine.
    FetchLayout {
        /// Mine; 0 for none.
        have: u64,
    },
    /// A layout.
    Layout(Arc<Layout>),
    /// What do you remember of the processes of my node before this one?
    Recall {
        /// This one's tenure.
        actor: ActorId,
    },
    /// That is what I remember.
    Recalled(Remembered),
    /// Send me your catalog if its version exceeds mine.
    FetchCatalog {
        /// Mine; 0 for none.
        have: u64,
    },
    /// A catalog.
    Catalog(Arc<Catalog>),
    /// To the founder: make this change. It is said again until it is answered.
    ChangeCatalog {
        /// Which of the sender's changes.
        ticket: u64,
        /// What to change.
        change: CatalogChange,
    },
    /// The answer.
    CatalogChanged {
        /// Which of the receiver's changes.
        ticket: u64,
        /// What became of it.
        outcome: ChangeOutcome,
    },
}
