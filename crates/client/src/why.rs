//! Owns what an operator is told of one key: what each replica holds.

use kvorum_wire::v1;

use crate::{Place, Timestamp};

/// What the replicas of a key hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Where the key lives.
    pub place: Option<Place>,
    /// The mode of its keyspace: `lww` or `causal`.
    pub mode: String,
    /// In the order of preference.
    pub replicas: Vec<WhyReplica>,
}

/// What one replica holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyReplica {
    /// The node.
    pub name: String,
    /// Why it did not answer, if it did not.
    pub error: Option<String>,
    /// Whether it holds a record, if only of deletions.
    pub found: bool,
    /// The versions in it, newest first: tombstones and expired ones included.
    pub versions: Vec<WhyVersion>,
    /// Per actor, up to where it has absorbed everything.
    pub context: Vec<WhyEntry>,
    /// The size of the record.
    pub bytes: u64,
}

/// One version at one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyVersion {
    /// Who wrote it: a tenure of a node.
    pub actor: u64,
    /// When it was written.
    pub timestamp: Timestamp,
    /// The node whose tenure it is, while that is known.
    pub node: Option<String>,
    /// Whether it is a deletion.
    pub tombstone: bool,
    /// Milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
    /// Whether its time is up.
    pub expired: bool,
    /// The size of its value.
    pub bytes: u64,
}

/// One entry of a replica's causal past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyEntry {
    /// A tenure of a node.
    pub actor: u64,
    /// Everything of it up to here has been absorbed.
    pub timestamp: Timestamp,
    /// The node, while that is known.
    pub node: Option<String>,
}

impl From<v1::WhyResponse> for Why {
    fn from(why: v1::WhyResponse) -> Why {
        Why {
            place: why.place.map(Place::from),
            mode: why.mode,
            replicas: why.replicas.into_iter().map(WhyReplica::from).collect(),
        }
    }
}

impl From<v1::WhyReplica> for WhyReplica {
    fn from(replica: v1::WhyReplica) -> WhyReplica {
        let version = |version: v1::WhyVersion| WhyVersion {
            actor: version.actor,
            timestamp: Timestamp(version.timestamp),
            node: known(version.node),
            tombstone: version.tombstone,
            expires_at_ms: version.expires_at,
            expired: version.expired,
            bytes: version.bytes,
        };
        let entry = |entry: v1::WhyEntry| WhyEntry {
            actor: entry.actor,
            timestamp: Timestamp(entry.timestamp),
            node: known(entry.node),
        };
        WhyReplica {
            name: replica.name,
            error: known(replica.error),
            found: replica.found,
            versions: replica.versions.into_iter().map(version).collect(),
            context: replica.context.into_iter().map(entry).collect(),
            bytes: replica.bytes,
        }
    }
}

fn known(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
