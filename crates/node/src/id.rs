//! The identifiers everything else is keyed by. They are random 64-bit numbers drawn by the shell; nothing here draws any.

use core::fmt;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:016x})"), self.0)
            }
        }
    };
}

identifier! {
    /// A member of the cluster, for as long as its data directory lives.
    NodeId
}
identifier! {
    /// A cluster; drawn by its founder. Messages of another cluster are refused.
    ClusterId
}
identifier! {
    /// Who mints dots: one *tenure* of a node, drawn anew at every process start, so that no two
    /// processes ever share one (the prefix rule of dotted version vectors needs that).
    ActorId
}

impl kvorum_ring::NodeKey for NodeId {
    fn node_key(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

/// Eight bytes, the same for equal ids: gossip orders watchers by them.
impl kvorum_gossip::Codec for NodeId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.to_be_bytes().encode(out);
    }

    fn encoded_len(&self) -> usize {
        size_of::<u64>()
    }

    fn decode(reader: &mut kvorum_gossip::Reader<'_>) -> Result<Self, kvorum_gossip::DecodeError> {
        <[u8; 8]>::decode(reader).map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// A keyspace, never reused after it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyspaceId(pub u32);

/// The number of one data shard within its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(pub u16);

/// One shard of one node: where peer messages come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerShard {
    /// The node.
    pub node: NodeId,
    /// Its shard. Requests carry the sender's; the receiver chooses its own by the key.
    pub shard: ShardIndex,
}

/// The version of the layout, and where its change stands, that a data message was sent under.
///
/// Layouts do not change yet, so the only phase is `Stable`; the field is on the wire because peers must
/// never misread each other's phase once they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochPhase {
    /// The layout's epoch; 0 before there is one.
    pub epoch: u64,
    /// Where the change to that epoch stands.
    pub phase: Phase,
}

/// Where a layout change stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No change is under way.
    #[default]
    Stable,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stable")
    }
}
