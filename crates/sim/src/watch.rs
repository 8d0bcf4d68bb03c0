//! What is watched inside nodes while they run, and no client could see: that queues stay within their bounds, and
//! that no actor is more than one tenure. It judges with the checkers of `kvorum-history`.

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use kvorum_history::Moment;
use kvorum_history::boundedness::Meter;
use kvorum_history::tenure::Tenures;
use kvorum_node::{ActorId, CONTEXT_ENTRIES, Limits, MAX_SIBLINGS, Mode, Record, Shard, StoredKey};
use kvorum_vclock::{Dot, Timestamp};

use crate::config::SimConfig;
use crate::event::HostIndex;
use crate::workload::operation_of;

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

type Minted = BTreeMap<usize, BTreeSet<Dot<ActorId>>>;

pub(crate) struct Watch {
    /// What was admitted while there was room is appended when its stored record has been read: so much, if all that
    /// clients have under way is.
    slack: u64,
    pub(crate) meter: Meter<Place>,
    pub(crate) tenures: Tenures<ActorId, StoredKey, Timestamp>,
    /// The most entries that the context of an appended record had.
    pub(crate) most_context_entries: u64,
    /// How many records had contexts larger than they may be.
    pub(crate) oversized_contexts: u64,
    /// Of each write, by the number in its value, the versions that were seen; where that is watched.
    minted: Option<Minted>,
}

impl Watch {
    pub(crate) fn new(config: &SimConfig) -> Self {
        // A record that keeps siblings is written with all of them.
        let pairs = if config.mode == Mode::Causal { MAX_SIBLINGS } else { 1 };
        // Names of writes are remembered with the record: 32 of 24 bytes each, and how many.
        let names = if config.retries.is_some() { 2 + 32 * 24 } else { 0 };
        // Those who miss it are kept hints, of as much again.
        let slack = 3 * config.clients * (config.most_pair_bytes() * pairs + names);
        Self {
            slack: slack as u64,
            meter: Meter::default(),
            tenures: Tenures::default(),
            most_context_entries: 0,
            oversized_contexts: 0,
            minted: config.retries.is_some().then(Minted::new),
        }
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
        if record.is_causal() {
            return self.append_causal(actor, key, record, before().as_ref());
        }
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

    /// A record is stored or sent: whichever process minted its versions.
    pub(crate) fn versions_of(&mut self, record: &Record) {
        let Some(minted) = &mut self.minted else { return };
        for version in record.versions() {
            if let Some(write) = version.value.and_then(|value| operation_of(&value)) {
                minted.entry(write).or_default().insert(version.dot);
            }
        }
    }

    /// The writes of which more than one version was minted.
    pub(crate) fn minted_again(&self) -> impl Iterator<Item = (usize, &BTreeSet<Dot<ActorId>>)> {
        let minted = self.minted.iter().flatten();
        minted.filter(|(_, dots)| dots.len() > 1).map(|(write, dots)| (*write, dots))
    }

    /// The same for a record that says itself what it has absorbed. How much it remembers is looked at besides.
    fn append_causal(&mut self, actor: ActorId, key: &StoredKey, record: &Record, before: Option<&Record>) {
        let reached = before.map_or(Timestamp::MIN, |before| before.context().get(&actor.0));
        let mine = record.versions().filter(|version| version.dot.actor == actor).map(|version| version.dot.time);
        if let Some(minted) = mine.max().filter(|time| *time > reached) {
            self.tenures.minted(&actor, key, minted, |earlier| *earlier <= reached);
        }
        let limit = CONTEXT_ENTRIES + record.versions().count();
        let entries = record.context().len();
        self.most_context_entries = self.most_context_entries.max(entries as u64);
        if entries > limit {
            self.oversized_contexts += 1;
        }
    }
}

/// A moment of virtual time, as histories have it: in nanoseconds.
pub(crate) fn moment(now: Duration) -> Moment {
    Moment(now.as_nanos() as u64)
}
