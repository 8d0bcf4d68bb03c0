//! Owns what an operator is told of one key: what each replica holds, and which hints wait for it.

use kvorum_wire::v1;

use crate::{Place, Timestamp};

/// What the replicas of a key hold, and what members keep for those that missed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Where the key lives.
    pub place: Option<Place>,
    /// The mode of its keyspace: `lww` or `causal`.
    pub mode: String,
    /// In the order of preference.
    pub replicas: Vec<WhyReplica>,
    /// The names of the members that did not tell which hints they keep: they are away, refused, or did not answer in time.
    /// There may be more hints at these.
    pub silent: Vec<String>,
    /// How many more members were not asked. Beside the node that answers at most 64 are: first the replicas, then those that
    /// may stand in for them.
    pub unasked: u32,
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
    /// What members keep for it until they can hand it over.
    pub hints: Vec<WhyHint>,
}

/// A hint that a member keeps for a replica which missed a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyHint {
    /// The name of the member that keeps it.
    pub holder: String,
    /// The versions in it, newest first: tombstones and expired ones included.
    pub versions: Vec<WhyVersion>,
    /// Whether its holder stands in for the replica in a write that counted it. Such hints are never dropped. One holder may
    /// keep one of either kind.
    pub owed: bool,
}

/// One version at one replica, or in a hint.
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
            silent: why.silent,
            unasked: why.unasked,
        }
    }
}

impl From<v1::WhyReplica> for WhyReplica {
    fn from(replica: v1::WhyReplica) -> WhyReplica {
        let entry = |entry: v1::WhyEntry| WhyEntry {
            actor: entry.actor,
            timestamp: Timestamp(entry.timestamp),
            node: known(entry.node),
        };
        WhyReplica {
            name: replica.name,
            error: known(replica.error),
            found: replica.found,
            versions: replica.versions.into_iter().map(WhyVersion::from).collect(),
            context: replica.context.into_iter().map(entry).collect(),
            bytes: replica.bytes,
            hints: replica.hints.into_iter().map(WhyHint::from).collect(),
        }
    }
}

impl From<v1::WhyHint> for WhyHint {
    fn from(hint: v1::WhyHint) -> WhyHint {
        let versions = hint.versions.into_iter().map(WhyVersion::from).collect();
        WhyHint { holder: hint.holder, versions, owed: hint.owed }
    }
}

impl From<v1::WhyVersion> for WhyVersion {
    fn from(version: v1::WhyVersion) -> WhyVersion {
        WhyVersion {
            actor: version.actor,
            timestamp: Timestamp(version.timestamp),
            node: known(version.node),
            tombstone: version.tombstone,
            expires_at_ms: version.expires_at,
            expired: version.expired,
            bytes: version.bytes,
        }
    }
}

fn known(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
