//! What a node holds back from, and why: a process that may not speak for its node serves nothing, one whose clock is
//! wrong coordinates no writes, one that may have lost acknowledged writes answers no reads. The control part decides;
//! a shard reads it in its view.

use core::fmt;
use core::time::Duration;

/// How far the timestamp of a fresh write may lie ahead of a replica's wall clock. A node whose own clock is off by more
/// than half of it coordinates no writes, see [`ClockFault`].
pub const MAX_DRIFT: Duration = Duration::from_secs(30);

/// What this node must hold back from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fitness {
    /// It serves nothing at all.
    pub bar: Option<Bar>,
    /// It coordinates no writes.
    pub clock: Option<ClockFault>,
    /// It may have lost acknowledged writes: it answers no reads.
    pub in_doubt: bool,
}

/// Why a process serves nothing although it has the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// It has not heard yet what its peers remember of its node.
    ComparingNotes,
    /// Peers remember a later life of its node; should that be alive, it is given time to say so.
    Claiming,
    /// Another process, which was started earlier, is this node.
    Twin,
    /// Its name belongs to a member that is not down.
    NameTaken,
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ComparingNotes => "comparing notes with its peers: what do they remember of this node?",
            Self::Claiming => "peers remember a later life of this node; waiting whether that is alive",
            Self::Twin => {
                "another process that was started earlier runs with this node's identity: is this a copy of its data directory? stop one of the two"
            }
            Self::NameTaken => {
                "its name belongs to another member, which is not down; give this node another --name, or wait until that one is down to take its place"
            }
        })
    }
}

/// Why a node coordinates no writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// Its wall clock is so far ahead of the median of its peers' clocks; behind it, if negative.
    Off {
        /// In milliseconds, as it was when that was last told.
        by_ms: i64,
    },
    /// Its wall clock is right, but once was so far ahead, and it must not mint below what it may have minted then.
    /// Ends by itself as time passes.
    FloorAhead {
        /// In milliseconds.
        by_ms: i64,
    },
}

impl ClockFault {
    /// For a person: whose clock, what is wrong with it, what to do.
    #[must_use]
    pub fn account(self, name: &str) -> String {
        let seconds = |ms: i64| format!("{:.1} s", ms.unsigned_abs() as f64 / 1000.0);
        match self {
            Self::Off { by_ms } => format!(
                "{name}'s clock is {} {} its peers' median and it coordinates no writes; mend its clock (NTP), or write through another node",
                seconds(by_ms),
                if by_ms < 0 { "behind" } else { "ahead of" },
            ),
            Self::FloorAhead { by_ms } => format!(
                "{name}'s clock was wrong once, and timestamps up to {} ahead of its peers' median may have been minted; it coordinates no writes until time has caught up; write through another node",
                seconds(by_ms),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_whose_clock_is_wrong_how_and_what_to_do() {
        let off = |by_ms| ClockFault::Off { by_ms }.account("n1");
        assert!(
            off(61_234).starts_with("n1's clock is 61.2 s ahead of its peers' median and it coordinates no writes")
        );
        assert!(off(-20_000).contains("20.0 s behind its peers' median"), "{}", off(-20_000));
        assert!(ClockFault::FloorAhead { by_ms: 45_000 }.account("n1").contains("45.0 s ahead"));
    }
}
