//! What is watched inside nodes while they run, and no client could see: that queues stay within their bounds, and
//! that no actor is more than one tenure. It judges with the checkers of `kvorum-history`.

use core::fmt;
use core::time::Duration;

use kvorum_history::Moment;
use kvorum_history::boundedness::Meter;
use kvorum_history::tenure::Tenures;
use kvorum_node::{ActorId, Limits, Record, Shard, StoredKey};
use kvorum_vclock::Timestamp;

use crate::config::SimConfig;
use crate::event::HostIndex;

/// A shard of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the host.
    pub host: HostIndex,
    /// The number of its shard.
    pub shard: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}.{}", self.host, self.shard)
    }
}

pub(crate) struct Watch {
    /// What was admitted while there was room is appended when its stored record has been read: so much, if all that
    /// clients have under way is.
    slack: u64,
    pub(crate) meter: Meter<Place>,
    pub(crate) tenures: Tenures<ActorId, StoredKey, Timestamp>,
}

impl Watch {
    pub(crate) fn new(config: &SimConfig) -> Self {
        let slack = config.clients * config.most_pair_bytes();
        Self { slack: slack as u64, meter: Meter::default(), tenures: Tenures::default() }
    }

    /// Looks at a shard after a turn.
    pub(crate) fn bounds(&mut self, now: Duration, place: Place, shard: &Shard, limits: &Limits) {
        // An operation may have one reading of a stored record under way besides.
        let operations = 2 * limits.operations as u64;
        let undurable = limits.undurable_bytes as u64 + self.slack;
        let mut observe =
            |what, value: usize, limit| self.meter.observe(moment(now), &place, what, value as u64, limit);
        observe("operations", shard.operations(), operations);
        observe("undurable bytes", shard.undurable_bytes(), undurable);
    }

    /// A process appends a record; `before` finds the newest of that key that it had appended or that is stored. If the dot
    /// is its own and new, it was minted, and should have absorbed the actor's earlier one: whether it did is taken from
    /// `before`, for a record of one version does not say what it knew.
    pub(crate) fn append(
        &mut self,
        actor: ActorId,
        key: &StoredKey,
        record: &Record,
        before: impl FnOnce() -> Option<Record>,
    ) {
        if record.dot().actor != actor {
            return;
        }
        let before = before();
        if before.as_ref().is_none_or(|before| before.dot() != record.dot()) {
            let absorbed = |earlier: &Timestamp| {
                let earlier = kvorum_vclock::Dot { time: *earlier, actor };
                before.as_ref().is_some_and(|before| before.dot() >= earlier)
            };
            self.tenures.minted(&actor, key, record.time(), absorbed);
        }
    }
}

/// A moment of virtual time, as histories have it: in nanoseconds.
pub(crate) fn moment(now: Duration) -> Moment {
    Moment(now.as_nanos() as u64)
}
