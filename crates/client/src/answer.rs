//! Owns what a successful call returns: versions, and how many replicas stood behind them.

use core::fmt;

use bytes::Bytes;

/// The answer to a get. A key that does not exist is an answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// None when the key does not exist, several when they are concurrent, newest first.
    pub versions: Vec<Version>,
    /// What this read has seen, the absence of a value included. A write with it replaces these versions and no
    /// others; see [`PutOptions::context`](crate::PutOptions::context). Opaque.
    pub context: Bytes,
    /// How the answer came about.
    pub replicas: Replicas,
}

impl Got {
    /// The value, the newest if several are concurrent; absent when the key does not exist.
    #[must_use]
    pub fn value(&self) -> Option<&Bytes> {
        self.versions.first().map(|version| &version.value)
    }
}

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The value; empty in a scan of keys only.
    pub value: Bytes,
    /// Who wrote it: a tenure of a node, not the node itself.
    pub actor: u64,
    /// When it was written.
    pub timestamp: Timestamp,
    /// Milliseconds since the Unix epoch; absent when it lives for ever.
    pub expires_at_ms: Option<u64>,
}

/// The answer to a put or a delete: it is durable on as many replicas as the level asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The actor of the version that this write made.
    pub actor: u64,
    /// The timestamp of that version.
    pub timestamp: Timestamp,
    /// When its value ends, in milliseconds since the Unix epoch; absent when it lives for ever, and for a delete.
    pub expires_at_ms: Option<u64>,
    /// How the answer came about.
    pub replicas: Replicas,
}

/// How many replicas stand behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replicas {
    /// How many the level asked for.
    pub wanted: u32,
    /// How many answered before the node did.
    pub answered: u32,
    /// How many of those held the version in the answer.
    pub agreed: u32,
    /// Whether a stand-in for an absent replica was among them.
    pub sloppy: bool,
}

/// A hybrid logical timestamp (Kulkarni et al., 2014): upper 48 bits milliseconds since the Unix
/// epoch, lower 16 bits a counter. Shown as `millis.counter`.
///
/// ```
/// use kvorum_client::Timestamp;
///
/// let timestamp = Timestamp(1_763_700_000_000 << 16 | 7);
/// assert_eq!(timestamp.to_string(), "1763700000000.7");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// What orders writes of one millisecond.
    #[must_use]
    pub fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.counter())
    }
}
