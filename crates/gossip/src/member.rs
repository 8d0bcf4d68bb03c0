//! Owns how a member looks from outside: its state and what is known of it. It judges nobody: see `judgement.rs`.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use crate::record::Record;
use crate::roster::Slot;

/// Which life of a node a record speaks of.
///
/// A node's next process must start with a higher one than any before: a counter on disk, raised at every start and
/// whenever [`Event::Refuted`](crate::Event::Refuted) says so, will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a node believes of a member's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody who counts as a witness suspects it.
    Up,
    /// A witness suspects it, and a second one could but does not. Go on using it.
    Suspect,
    /// The only possible witness, mostly this node itself, suspects it. It may be the member that failed or this node that
    /// is cut off: there is nobody to ask.
    Unreachable,
    /// Enough witnesses suspected it, and it has shown no sign of life since.
    Down,
    /// It said goodbye. That is no failure.
    Left,
}

impl State {
    /// Whether the member is worth talking to: `Up` or `Suspect`.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Up | Self::Suspect)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Unreachable => "unreachable",
            Self::Down => "down",
            Self::Left => "left",
        })
    }
}

/// What a node knows of one member.
#[derive(Debug)]
pub struct Member<'a, I, A> {
    pub(crate) id: &'a I,
    pub(crate) slot: &'a Slot<I, A>,
    /// It is the node that is asked.
    pub(crate) is_me: bool,
}

impl<I, A> Clone for Member<'_, I, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, A> Copy for Member<'_, I, A> {}

impl<'a, I, A> Member<'a, I, A> {
    /// Its node id.
    pub fn id(&self) -> &'a I {
        self.id
    }

    /// What it says. Cheap to clone, and to keep.
    pub fn record(&self) -> &'a Arc<Record<I, A>> {
        &self.slot.record
    }

    /// Its highest incarnation known.
    pub fn incarnation(&self) -> Incarnation {
        self.slot.record.incarnation
    }

    /// The highest heartbeat known of that incarnation. It rises by one a round, and jumps when the member is suspected
    /// while it lives.
    pub fn heartbeat(&self) -> u64 {
        self.slot.heartbeat
    }

    /// What this node believes of its health.
    pub fn state(&self) -> State {
        self.slot.state
    }

    /// Where it receives gossip.
    pub fn address(&self) -> &'a A {
        &self.slot.record.address
    }

    /// The value of one of its metadata entries.
    pub fn get(&self, key: &str) -> Option<&'a [u8]> {
        self.slot.record.get(key).map(|value| &**value)
    }

    /// All its metadata entries, in no particular order.
    pub fn metadata(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a, I, A> {
        self.slot.record.metadata().map(|(key, value)| (&**key, &**value))
    }

    /// Time since its heartbeat last rose here, by whatever way that was heard; zero for this node itself.
    ///
    /// A node hears of those that it watches in every round. Of the others it hears by chance, in a cluster of a thousand
    /// about every ten rounds: a silence that is long here may be none elsewhere. The state says what matters.
    pub fn heartbeat_age(&self, now: Duration) -> Duration {
        if self.is_me {
            return Duration::ZERO;
        }
        now.saturating_sub(Duration::from_micros(self.slot.last_rise))
    }
}
