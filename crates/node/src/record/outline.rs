//! What a version tells of itself without its value. People who ask what is kept where need no more, and it is small
//! however large the values are.

use kvorum_vclock::Dot;

use crate::{ActorId, Version};

/// A version without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// When and by whom it was written.
    pub dot: Dot<ActorId>,
    /// The size of its value; none in a tombstone.
    pub bytes: Option<u64>,
    /// When the value ends, in milliseconds since the Unix epoch.
    pub expires_at_ms: Option<u64>,
}

impl Outline {
    /// Whether its time is up, as [`Version::is_expired`].
    #[must_use]
    pub fn is_expired(&self, unix_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|at| at <= unix_ms)
    }
}

impl From<Version> for Outline {
    fn from(version: Version) -> Self {
        let Version { dot, value, expires_at_ms } = version;
        Self { dot, bytes: value.map(|value| value.len() as u64), expires_at_ms }
    }
}
