//! Hints: what this node keeps for replicas that missed a write, until it can be delivered (Dynamo, section 4.6). Which
//! are taken, when and in what order they are sent, and when one is dropped is decided by `kvorum-hints`; here they are
//! stored, read back and sent.
//!
//! A hint is two rows of a keyspace that no client has. Its *content* row holds the record under the target and the key: a
//! further write of the key merges into it, so a key that is written a thousand times is one hint. Its *order* row holds
//! the key under the target and the hint's number, so that a scan finds the oldest first. The order row is written before
//! the content row and erased after it: whatever a crash leaves, no content is without its order row.
//!
//! ```text
//! order row:    0 | target (8) | seq (8)                    -> kind, size, stored key
//! content row:  1 (owed) or 2 (spare) | target (8) | keyspace (4) | key  -> the record
//! ```

mod delivery;
mod lookup;
mod recovery;
mod rows;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use kvorum_hints::{self as hints, Hints, Kind, Seq, Taken};
use kvorum_ring::PartitionId;
use kvorum_vclock::{Dot, Timestamp};

use super::{AfterDurable, Base, Effect, LogSeq, Pending, Report, Shard, Waiter, emit};
use crate::{ActorId, FailureKind, KeyspaceId, Message, NodeId, Now, Op, PeerShard, Record, StoredKey};

pub(super) use delivery::Delivery;
pub(super) use lookup::Lookup;
use rows::{content_key, growth, order_key, order_row, weight};

/// Where hints are stored. No catalog gives this number away.
pub const HINTS_KEYSPACE: KeyspaceId = KeyspaceId(0);

/// How often it is told how many hints there are, while that changes.
const TELL_EVERY: Duration = Duration::from_millis(200);
const TOO_MANY: &str = "it keeps as many hints as it may";

/// What is kept for one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HintQueue {
    /// For whom.
    pub target: NodeId,
    /// How many hints.
    pub count: u64,
    /// Their size.
    pub bytes: u64,
    /// How many stand in for the target and were counted: these are never dropped.
    pub owed: u64,
    /// Since when the oldest is kept, in milliseconds since the Unix epoch.
    pub oldest_unix_ms: u64,
}

/// The hints of a shard.
#[derive(Debug)]
pub(super) struct Keeper {
    hints: Hints<NodeId, PartitionId>,
    /// When it wants to be looked at: a turn asks for that, and the machine would look at every target.
    next: Option<Duration>,
    bytes: u64,
    /// What hints of this process have grown by, beyond the size that was counted when they were new.
    grown: u64,
    /// The spare ones leave room for those that must not be refused lightly.
    spare_bytes: u64,
    /// Hints are numbered by the time; never below that of the process before.
    floor_ms: u64,
    /// The partitions whose hints of an earlier process are still to be counted; none before that has begun.
    recovering: Option<Vec<PartitionId>>,
    /// When it is tried again to count those that could not be read.
    recover_at: Option<Duration>,
    /// What this process has taken, or counted, before it had counted them all.
    taken: BTreeSet<(NodeId, PartitionId, Seq)>,
    /// Whom the machine takes to be up.
    up: BTreeMap<NodeId, bool>,
    is_told: bool,
    told_at: Duration,
}

/// Who is told that a hint is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum HintAnswer {
    /// Nobody: the write is safe without it.
    Nobody,
    /// Another coordinator, for whose write this node stands in.
    Peer(PeerShard, Op),
    /// A write of this node, which holds no replica and stands in itself.
    Mine(Op),
}

/// What waits for the content of a hint.
#[derive(Debug)]
pub(super) enum HintWaiter {
    /// A write that the target missed.
    Keep(Missed),
    /// A hint that was delivered: it is erased unless it has changed meanwhile.
    Delivered(Op),
}

/// A write that somebody missed.
#[derive(Debug)]
pub(super) struct Missed {
    pub(super) target: NodeId,
    pub(super) key: StoredKey,
    pub(super) record: Record,
    pub(super) kind: Kind,
    pub(super) answer: HintAnswer,
}

impl HintWaiter {
    pub(super) fn record_bytes(&self) -> Option<usize> {
        match self {
            Self::Keep(missed) if matches!(missed.answer, HintAnswer::Peer(..)) => Some(missed.record.as_bytes().len()),
            Self::Keep(_) | Self::Delivered(_) => None,
        }
    }
}

impl Keeper {
    pub(super) fn new(config: hints::Config, floor: Timestamp) -> Self {
        Self {
            bytes: config.bytes,
            grown: 0,
            spare_bytes: config.bytes / 4 * 3,
            hints: Hints::new(config),
            next: None,
            floor_ms: floor.millis(),
            recovering: None,
            recover_at: None,
            taken: BTreeSet::new(),
            up: BTreeMap::new(),
            is_told: true,
            told_at: Duration::ZERO,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let telling = (!self.is_told).then(|| self.told_at.saturating_add(TELL_EVERY));
        telling.into_iter().chain(self.recover_at).chain(self.next).min()
    }

    /// What is kept, by target.
    pub(super) fn queues(&self) -> Vec<HintQueue> {
        let queue = |summary: hints::Summary<NodeId>| HintQueue {
            target: summary.target,
            count: summary.count,
            bytes: summary.bytes,
            owed: summary.owed,
            oldest_unix_ms: summary.oldest.map_or(0, Seq::unix_ms),
        };
        self.hints.summaries().map(queue).collect()
    }
}

impl Shard {
    /// Keeps a write for a replica that missed it.
    pub(super) fn keep_hint(&mut self, now: Now, missed: Missed, out: &mut impl Extend<Effect>) {
        if let Some(error) = self.log.failure() {
            let why = error.to_string();
            return self.hint_refused(now, missed.answer, &why, out);
        }
        if self.is_full() {
            if missed.kind == Kind::Spare {
                let (target, partition) = (missed.target, missed.key.partition());
                emit(out, Effect::Report(Report::HintDropped { target, partition }));
            }
            return self.hint_refused(now, missed.answer, "its disk does not keep up", out);
        }
        let content = content_key(missed.target, missed.kind, &missed.key);
        let missed = Missed { key: missed.key.detached(), record: missed.record.detached(), ..missed };
        match self.overlay.newest(&content).map(|(record, seq)| (record.cloned(), seq)) {
            Some((kept, seq)) => self.keep_beside(now, &content, missed, (kept, Some(seq)), out),
            None => match self.overlay.base_for(&content, Waiter::Hint(HintWaiter::Keep(missed))) {
                Base::Known(..) => unreachable!("the overlay was asked just now"),
                Base::Waiting => {}
                Base::Unknown => self.load_base_quietly(content, out),
            },
        }
    }

    /// What is kept of that key already is known.
    pub(super) fn keep_beside(
        &mut self,
        now: Now,
        content: &StoredKey,
        missed: Missed,
        (kept, durable_at): (Option<Record>, Option<LogSeq>),
        out: &mut impl Extend<Effect>,
    ) {
        let Missed { target, key, record, kind, answer } = missed;
        let partition = key.partition();
        let bytes = weight(content, &record);
        let more = match &kept {
            Some(kept) => growth(content, &record, weight(content, kept)),
            None => u64::from(bytes),
        };
        let most = if kind == Kind::Spare { self.keeper.spare_bytes } else { self.keeper.bytes };
        if more > 0 && self.keeper.hints.bytes() + self.keeper.grown + more > most {
            if kind == Kind::Spare {
                emit(out, Effect::Report(Report::HintDropped { target, partition }));
            }
            return self.hint_refused(now, answer, TOO_MANY, out);
        }
        if kept.is_some() {
            self.keeper.grown += more;
        } else {
            let unix_ms = now.unix_ms.max(self.keeper.floor_ms);
            let Taken::New(seq) = self.keeper.hints.take(unix_ms, target, partition, bytes, kind) else {
                self.mark_dirty(out);
                return self.hint_refused(now, answer, TOO_MANY, out);
            };
            if self.keeper.recovering.as_ref().is_none_or(|left| !left.is_empty()) {
                self.keeper.taken.insert((target, partition, seq));
            }
            self.append(&order_key(target, partition, seq), &order_row(kind, bytes, &key), AfterDurable::Nothing, out);
        }
        self.hints_changed();
        let then = |merged: &Record| match answer {
            HintAnswer::Nobody => AfterDurable::Nothing,
            answer => AfterDurable::HintKept { answer, newest: merged.dot() },
        };
        self.merge_here(now, content, record, (kept, durable_at), then, out);
    }

    pub(super) fn hint_kept(
        &mut self,
        now: Now,
        answer: HintAnswer,
        newest: Dot<ActorId>,
        out: &mut impl Extend<Effect>,
    ) {
        match answer {
            HintAnswer::Nobody => {}
            HintAnswer::Peer(to, op) => self.send(to, Message::WriteReply { op, newest, pulled_by: Vec::new() }, out),
            HintAnswer::Mine(op) => self.put_stood_in(now, op, self.me.node, newest, out),
        }
    }

    pub(super) fn hint_refused(&mut self, now: Now, answer: HintAnswer, why: &str, out: &mut impl Extend<Effect>) {
        match answer {
            HintAnswer::Nobody => {}
            HintAnswer::Peer(from, op) => self.refuse(from, op, FailureKind::Rejected, why, out),
            HintAnswer::Mine(op) => self.stand_in_failed(now, op, self.me.node, out),
        }
    }

    /// A hint for a write was dropped or refused: only comparing replicas finds that one again.
    fn mark_dirty(&mut self, out: &mut impl Extend<Effect>) {
        for (target, partition) in self.keeper.hints.take_dirty() {
            emit(out, Effect::Report(Report::HintDropped { target, partition }));
        }
    }

    fn hints_changed(&mut self) {
        self.keeper.next = self.keeper.hints.next_timeout();
        self.keeper.is_told = false;
    }

    fn tell_hints(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        if !self.keeper.is_told && now.elapsed >= self.keeper.told_at.saturating_add(TELL_EVERY) {
            (self.keeper.is_told, self.keeper.told_at) = (true, now.elapsed);
            emit(out, Effect::Report(Report::Hints { shard: self.me.shard, queues: self.keeper.queues() }));
        }
    }

    /// What this node keeps of a key for its replicas, whichever it is, for a coordinator that can reach too few.
    pub(super) fn stand_in_read(
        &mut self,
        now: Now,
        reader: StandInReader,
        key: &StoredKey,
        until: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let targets = self.view.replicas(key.partition()).map(|replica| replica.id).collect();
        let read = StandInRead { reader, key: key.detached(), until, targets, found: None };
        let op = self.ops.insert(Pending::StandInRead(read));
        self.stand_in_reads_on(now, op, out);
    }

    /// Looks up what is kept for the next of the replicas.
    pub(super) fn stand_in_reads_on(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::StandInRead(read)) = self.ops.get_mut(op) else { return };
        let Some(target) = read.targets.pop() else { return self.stand_in_told(now, op, None, out) };
        let (content, until) = (content_key(target, Kind::Owed, &read.key), read.until);
        match (self.overlay.newest(&content).map(|(record, seq)| (record.cloned(), seq)), self.log.failure()) {
            (Some((Some(_), _)), Some(error)) => {
                let error = error.clone();
                self.stand_in_told(now, op, Some(error), out);
            }
            // It is told when it is durable; nothing is known until then.
            (Some((Some(record), seq)), None) => self.when_durable(seq, AfterDurable::LocalRead { op, record }),
            _ => emit(out, Effect::Load { op, key: content, until }),
        }
    }
}

/// What is kept of a key is being looked up.
#[derive(Debug)]
pub(super) struct StandInRead {
    pub(super) reader: StandInReader,
    key: StoredKey,
    /// How long it is waited for.
    until: Duration,
    /// The replicas that are left to look at.
    targets: Vec<NodeId>,
    /// What was found for the others.
    pub(super) found: Option<Record>,
}

/// Who reads what a stand-in keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum StandInReader {
    /// Another coordinator.
    Peer(PeerShard, Op),
    /// A read of this node, which holds no replica itself.
    Mine(Op),
}
