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

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use kvorum_hints::{self as hints, Hints, Input as HintInput, Kind, Seq, Taken};
use kvorum_ring::PartitionId;
use kvorum_vclock::{Dot, Timestamp};

use super::{AfterDurable, Base, Effect, LogSeq, Page, Pending, Report, Shard, StoreError, Waiter, emit};
use crate::{
    ActorId, Failure, FailureKind, KeyRange, KeyspaceId, Lane, Message, NodeId, Now, Op, PeerShard, Record, StoredKey,
};

/// Where hints are stored. No catalog gives this number away.
pub const HINTS_KEYSPACE: KeyspaceId = KeyspaceId(0);

/// How long the answer to a delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is told how many hints there are, while that changes.
const TELL_EVERY: Duration = Duration::from_millis(200);
const TOO_MANY: &str = "it keeps as many hints as it may";
/// What one order row takes of a page, at most.
const ORDER_ROW: usize = 1024 + 64;

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
    /// The spare ones leave room for those that must not be refused lightly.
    spare_bytes: u64,
    /// Hints are numbered by the time; never below that of the process before.
    floor_ms: u64,
    /// The partitions whose hints of an earlier process are still to be counted; none before that has begun.
    recovering: Option<Vec<PartitionId>>,
    /// What this process has taken before it had counted those.
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

/// A hint that is sent, or dropped.
#[derive(Debug)]
pub(super) struct Delivery {
    target: NodeId,
    partition: PartitionId,
    seq: Seq,
    /// Erased without being sent: it is too old.
    drops: bool,
    stage: Stage,
    deadline: Duration,
}

#[derive(Debug)]
enum Stage {
    /// The order row is being read.
    Naming,
    /// The content is being read.
    Reading { named: Named },
    /// It is on its way to the target, or it is being erased.
    Sent { named: Named, record: Option<Record> },
}

/// What an order row says.
#[derive(Clone, Debug)]
struct Named {
    kind: Kind,
    bytes: u32,
    key: StoredKey,
}

impl HintWaiter {
    pub(super) fn record_bytes(&self) -> Option<usize> {
        match self {
            Self::Keep(missed) if matches!(missed.answer, HintAnswer::Peer(..)) => Some(missed.record.as_bytes().len()),
            Self::Keep(_) | Self::Delivered(_) => None,
        }
    }
}

impl Delivery {
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        self.target == node && !self.drops && matches!(self.stage, Stage::Sent { .. })
    }
}

impl Keeper {
    pub(super) fn new(config: hints::Config, floor: Timestamp) -> Self {
        Self {
            spare_bytes: config.bytes / 4 * 3,
            hints: Hints::new(config),
            floor_ms: floor.millis(),
            recovering: None,
            taken: BTreeSet::new(),
            up: BTreeMap::new(),
            is_told: true,
            told_at: Duration::ZERO,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let telling = (!self.is_told).then(|| self.told_at.saturating_add(TELL_EVERY));
        telling.into_iter().chain(self.hints.next_timeout()).min()
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

fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Owed => 1,
        Kind::Spare => 2,
    }
}

fn order_key(target: NodeId, partition: PartitionId, seq: Seq) -> StoredKey {
    let mut key = [0; 17];
    key[1..9].copy_from_slice(&target.0.to_be_bytes());
    key[9..].copy_from_slice(&seq.0.to_be_bytes());
    StoredKey::new(HINTS_KEYSPACE, partition, &key)
}

/// The target and the number that an order row's key says.
fn parse_order_key(key: &StoredKey) -> Option<(NodeId, Seq)> {
    let key = key.key();
    let (head, tail) = key.split_at_checked(9)?;
    let target = u64::from_be_bytes(head[1..].try_into().ok()?);
    (head[0] == 0).then_some((NodeId(target), Seq(u64::from_be_bytes(tail.try_into().ok()?))))
}

fn order_row(kind: Kind, bytes: u32, key: &StoredKey) -> Record {
    let mut value = BytesMut::with_capacity(5 + key.as_bytes().len());
    value.put_u8(kind_byte(kind));
    value.put_u32(bytes);
    value.put_slice(key.as_bytes());
    Record::lww(Dot { time: Timestamp::MIN, actor: ActorId(0) }, Some(&value), None)
}

fn parse_order_row(record: &Record) -> Option<Named> {
    let value = record.versions().next()?.value?;
    let (head, _) = value.split_at_checked(5)?;
    let kind = match head[0] {
        1 => Kind::Owed,
        2 => Kind::Spare,
        _ => return None,
    };
    let bytes = u32::from_be_bytes(head[1..].try_into().ok()?);
    let key = StoredKey::parse(value.slice(5..)).ok()?;
    Some(Named { kind, bytes, key })
}

pub(super) fn content_key(target: NodeId, kind: Kind, key: &StoredKey) -> StoredKey {
    let mut content = BytesMut::with_capacity(13 + key.as_bytes().len());
    content.put_u8(kind_byte(kind));
    content.put_u64(target.0);
    content.put_u32(key.keyspace().0);
    content.put_slice(&key.key());
    StoredKey::new(HINTS_KEYSPACE, key.partition(), &content)
}

/// What a hint counts against the limit.
fn weight(content: &StoredKey, record: &Record) -> u32 {
    u32::try_from(2 * content.as_bytes().len() + record.as_bytes().len() + 64).unwrap_or(u32::MAX)
}

impl Shard {
    // --- keeping ---

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
        // What is counted of a hint is its size when it was new: a further write takes about as much.
        if kept.is_none() {
            let bytes = weight(content, &record);
            if kind == Kind::Spare && self.keeper.hints.bytes() + u64::from(bytes) > self.keeper.spare_bytes {
                emit(out, Effect::Report(Report::HintDropped { target, partition }));
                return self.hint_refused(now, answer, TOO_MANY, out);
            }
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
            HintAnswer::Peer(to, op) => self.send(to, Message::WriteReply { op, newest }, out),
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
        self.keeper.is_told = false;
    }

    fn tell_hints(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        if !self.keeper.is_told && now.elapsed >= self.keeper.told_at.saturating_add(TELL_EVERY) {
            (self.keeper.is_told, self.keeper.told_at) = (true, now.elapsed);
            emit(out, Effect::Report(Report::Hints { shard: self.me.shard, queues: self.keeper.queues() }));
        }
    }

    // --- what an earlier process kept ---

    /// Begins to count what an earlier process has kept, once the layout tells which partitions there are.
    pub(super) fn recover_hints(&mut self, out: &mut impl Extend<Effect>) {
        if self.keeper.recovering.is_some() {
            return;
        }
        if let Some(layout) = &self.view.layout {
            let is_mine =
                |partition: &PartitionId| usize::from(partition.0) % self.shards == usize::from(self.me.shard.0);
            self.keeper.recovering = Some(layout.partitions().iter().filter(is_mine).rev().collect());
            self.recover_next(None, out);
        }
    }

    /// Reads on in the last of the partitions that are left.
    fn recover_next(&mut self, after: Option<Bytes>, out: &mut impl Extend<Effect>) {
        let Some(left) = &mut self.keeper.recovering else { return };
        match left.last() {
            Some(partition) => {
                let range = KeyRange::of_partition(HINTS_KEYSPACE, *partition, &[0], after.as_deref());
                let op = self.begin_background(Pending::HintRecovery);
                emit(out, Effect::Scan { op, range, limit_bytes: super::scan::PAGE_BYTES });
            }
            None => self.keeper.taken.clear(),
        }
    }

    pub(super) fn hints_recovered(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Page, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        self.end_background(op);
        let Some(partition) = self.keeper.recovering.as_ref().and_then(|left| left.last()).copied() else { return };
        // What cannot be read now is found by the next process.
        let Page { rows, more } = result.unwrap_or_default();
        let last = rows.last().map(|(key, _)| key.key()).filter(|_| more);
        for (key, row) in rows {
            let Some(((target, seq), Named { kind, bytes, .. })) = parse_order_key(&key).zip(parse_order_row(&row))
            else {
                continue;
            };
            if !self.keeper.taken.contains(&(target, partition, seq)) {
                self.tell_machine(now, HintInput::Recovered { target, partition, seq, bytes, kind }, out);
            }
        }
        if last.is_none()
            && let Some(left) = &mut self.keeper.recovering
        {
            left.pop();
        }
        self.recover_next(last, out);
    }

    // --- delivering ---

    /// Tells who can be reached now.
    pub(super) fn adopt_targets(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        let known: Vec<(NodeId, bool)> = self.view.members.keys().map(|id| (*id, self.view.is_up(*id))).collect();
        for (id, is_up) in known {
            if id != self.me.node && self.keeper.up.insert(id, is_up) != Some(is_up) {
                let input = if is_up { HintInput::Up(id) } else { HintInput::Down(id) };
                self.tell_machine(now, input, out);
            }
        }
    }

    pub(super) fn hints_timeout(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        if self.keeper.hints.next_timeout().is_some_and(|at| at <= now.elapsed) {
            let mut wanted = Vec::new();
            self.keeper.hints.handle_timeout(now.elapsed, now.unix_ms, &mut wanted);
            self.carry_out_hints(now, wanted, out);
        }
        self.tell_hints(now, out);
    }

    fn tell_machine(&mut self, now: Now, input: HintInput<NodeId, PartitionId>, out: &mut impl Extend<Effect>) {
        let mut wanted = Vec::new();
        self.keeper.hints.handle(now.elapsed, now.unix_ms, input, &mut wanted);
        self.hints_changed();
        self.carry_out_hints(now, wanted, out);
    }

    fn carry_out_hints(
        &mut self,
        now: Now,
        wanted: Vec<hints::Effect<NodeId, PartitionId>>,
        out: &mut impl Extend<Effect>,
    ) {
        for effect in wanted {
            match effect {
                hints::Effect::Read { target, partition, after, limit } => {
                    let mut prefix = [0; 9];
                    prefix[1..].copy_from_slice(&target.0.to_be_bytes());
                    let after = after.map(|seq| order_key(target, partition, seq).key());
                    let range = KeyRange::of_partition(HINTS_KEYSPACE, partition, &prefix, after.as_deref());
                    let op = self.begin_background(Pending::HintPage { target, partition, limit });
                    let limit_bytes = u32::try_from(limit.saturating_mul(ORDER_ROW)).unwrap_or(u32::MAX);
                    emit(out, Effect::Scan { op, range, limit_bytes });
                }
                hints::Effect::Send { target, partition, seq } => {
                    self.name_hint(now, target, partition, seq, false, out);
                }
                hints::Effect::Drop { target, partition, seq } => {
                    self.name_hint(now, target, partition, seq, true, out);
                }
            }
        }
        self.mark_dirty(out);
    }

    pub(super) fn hint_page(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Page, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::HintPage { target, partition, limit }) = self.end_background(op) else { return };
        let input = match result {
            Ok(Page { rows, more }) => {
                let more = more || rows.len() > limit;
                let rows = rows.iter().take(limit).filter_map(|(key, row)| {
                    let (_, seq) = parse_order_key(key)?;
                    // What cannot be understood is met again as a hint of nothing, and erased.
                    let (bytes, kind) =
                        parse_order_row(row).map_or((0, Kind::Spare), |named| (named.bytes, named.kind));
                    Some((seq, bytes, kind))
                });
                HintInput::Page { target, partition, rows: rows.collect(), more }
            }
            Err(_) => HintInput::PageFailed { target, partition },
        };
        self.tell_machine(now, input, out);
    }

    /// Reads what a hint is about.
    fn name_hint(
        &mut self,
        now: Now,
        target: NodeId,
        partition: PartitionId,
        seq: Seq,
        drops: bool,
        out: &mut impl Extend<Effect>,
    ) {
        let deadline = now.elapsed.saturating_add(PATIENCE);
        let delivery = Delivery { target, partition, seq, drops, stage: Stage::Naming, deadline };
        let op = self.begin_background(Pending::Hint(delivery));
        self.deadlines.add(now.elapsed, deadline, op);
        emit(out, Effect::Load { op, key: order_key(target, partition, seq) });
    }

    /// A row of a hint that is to be delivered was read.
    pub(super) fn hint_loaded(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Hint(delivery)) = self.ops.get_mut(op) else { return };
        let Ok(row) = result else { return self.hint_failed(now, op, out) };
        match &delivery.stage {
            Stage::Naming => {
                let Some(named) = row.as_ref().and_then(parse_order_row) else {
                    // It is gone already, or says nothing.
                    let (target, partition, seq) = (delivery.target, delivery.partition, delivery.seq);
                    self.end_background(op);
                    let then = AfterDurable::HintGone { target, partition, seq };
                    return self.erase(&order_key(target, partition, seq), then, out);
                };
                let content = content_key(delivery.target, named.kind, &named.key);
                delivery.stage = Stage::Reading { named };
                if delivery.drops {
                    return self.hint_read(now, op, None, out);
                }
                match self.overlay.newest(&content).map(|(record, _)| record.cloned()) {
                    Some(record) => self.hint_read(now, op, record, out),
                    None => emit(out, Effect::Load { op, key: content }),
                }
            }
            Stage::Reading { .. } => self.hint_read(now, op, row, out),
            Stage::Sent { .. } => {}
        }
    }

    /// The content is known: it goes to the target, unless there is nothing to send.
    fn hint_read(&mut self, now: Now, op: Op, record: Option<Record>, out: &mut impl Extend<Effect>) {
        let Some(Pending::Hint(delivery)) = self.ops.get_mut(op) else { return };
        let Stage::Reading { named } = &delivery.stage else { return };
        let (named, target) = (named.clone(), delivery.target);
        let admitted = self.admit_keyspace(named.key.keyspace());
        let is_dropped = admitted.is_err_and(|failure| failure.kind == FailureKind::Invalid);
        let is_of_nothing = record.is_none() || is_dropped;
        let Some(Pending::Hint(delivery)) = self.ops.get_mut(op) else { return };
        delivery.stage = Stage::Sent { named: named.clone(), record: record.clone() };
        match record.filter(|_| !delivery.drops) {
            Some(record) if !is_of_nothing => {
                let to = PeerShard { node: target, shard: self.me.shard };
                let key = named.key;
                let message = Message::Write { op, key, record, minted: None, stand_in_for: None, relay: Vec::new() };
                emit(out, Effect::Send { to, lane: Lane::Bulk, tag: self.view.tag(), message });
            }
            _ => self.erase_hint(now, op, out),
        }
    }

    /// The target holds it durably.
    pub(super) fn hint_delivered(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        if matches!(self.ops.get_mut(op), Some(Pending::Hint(delivery)) if delivery.waits_for(node)) {
            self.erase_hint(now, op, out);
        }
    }

    /// Erases a hint that was delivered or is dropped, unless a newer write has merged into it meanwhile.
    fn erase_hint(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Hint(Delivery { target, stage: Stage::Sent { named, .. }, .. })) = self.ops.get_mut(op)
        else {
            return;
        };
        let content = content_key(*target, named.kind, &named.key);
        if self.log.failure().is_some() {
            return self.hint_failed(now, op, out);
        }
        match self.overlay.newest(&content).map(|(record, _)| record.cloned()) {
            Some(kept) => self.erase_if_same(now, op, &content, kept, out),
            None => match self.overlay.base_for(&content, Waiter::Hint(HintWaiter::Delivered(op))) {
                Base::Known(..) => unreachable!("the overlay was asked just now"),
                Base::Waiting => {}
                Base::Unknown => self.load_base_quietly(content, out),
            },
        }
    }

    pub(super) fn erase_if_same(
        &mut self,
        now: Now,
        op: Op,
        content: &StoredKey,
        kept: Option<Record>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Hint(delivery)) = self.end_background(op) else { return };
        let Delivery { target, partition, seq, drops, stage, .. } = delivery;
        let Stage::Sent { record, .. } = stage else { return };
        if !drops && kept.is_some() && kept != record && record.is_some() {
            return self.tell_machine(now, HintInput::Changed { target, partition, seq }, out);
        }
        if kept.is_some() {
            self.erase(content, AfterDurable::Nothing, out);
        }
        self.erase(&order_key(target, partition, seq), AfterDurable::HintGone { target, partition, seq }, out);
    }

    pub(super) fn hint_gone(
        &mut self,
        now: Now,
        target: NodeId,
        partition: PartitionId,
        seq: Seq,
        out: &mut impl Extend<Effect>,
    ) {
        self.tell_machine(now, HintInput::Delivered { target, partition, seq }, out);
    }

    /// It could not be delivered now.
    pub(super) fn hint_failed(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Hint(Delivery { target, partition, seq, .. })) = self.end_background(op) else { return };
        self.tell_machine(now, HintInput::Failed { target, partition, seq }, out);
    }

    /// The target does not want it: its keyspace was dropped, or it has it in another mode. Nobody ever will.
    pub(super) fn hint_unwanted(&mut self, now: Now, op: Op, failure: &Failure, out: &mut impl Extend<Effect>) {
        if failure.kind == FailureKind::Invalid {
            self.erase_hint(now, op, out);
        } else {
            self.hint_failed(now, op, out);
        }
    }

    pub(super) fn hint_overdue(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Hint(delivery)) = self.ops.get_mut(op) else { return };
        let (deadline, target) = (delivery.deadline, delivery.target);
        if now.elapsed < deadline {
            return self.deadlines.add(now.elapsed, deadline, op);
        }
        if delivery.waits_for(target) {
            self.report_failed(now, target, out);
        }
        self.hint_failed(now, op, out);
    }

    // --- standing in for reads ---

    /// What this node keeps of a key for an absent replica, for a coordinator that can reach too few.
    pub(super) fn stand_in_read(
        &mut self,
        reader: StandInReader,
        target: NodeId,
        key: &StoredKey,
        out: &mut impl Extend<Effect>,
    ) {
        let content = content_key(target, Kind::Owed, key);
        let op = self.ops.insert(Pending::StandInRead(reader));
        match self.overlay.newest(&content).map(|(record, seq)| (record.cloned(), seq)) {
            // It is told when it is durable; nothing is known until then.
            Some((Some(record), seq)) => self.when_durable(seq, AfterDurable::LocalRead { op, record }),
            _ => emit(out, Effect::Load { op, key: content }),
        }
    }
}

/// Who reads what a stand-in keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum StandInReader {
    /// Another coordinator.
    Peer(PeerShard, Op),
    /// A read of this node, which holds no replica itself.
    Mine(Op),
}
