//! Delivering hints: when their target can be reached they are read, sent, and erased when it holds them durably.

use core::time::Duration;

use kvorum_hints::{self as hints, Input as HintInput, Kind, Seq};
use kvorum_ring::PartitionId;

use super::rows::{Named, content_key, growth, order_key, parse_order_key, parse_order_row};
use super::{HINTS_KEYSPACE, HintWaiter};
use crate::shard::{AfterDurable, Base, Effect, Page, Pending, Shard, StoreError, Waiter, emit};
use crate::{Failure, FailureKind, KeyRange, Lane, Message, NodeId, Now, Op, PeerShard, Record, StoredKey};

/// How long the answer to a delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What one order row takes of a page, at most.
const ORDER_ROW: usize = 1024 + 64;

/// A hint that is sent, or dropped.
#[derive(Debug)]
pub(in crate::shard) struct Delivery {
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

impl Delivery {
    pub(in crate::shard) fn waits_for(&self, node: NodeId) -> bool {
        self.target == node && !self.drops && matches!(self.stage, Stage::Sent { .. })
    }
}

impl Shard {
    /// Tells who can be reached now.
    pub(in crate::shard) fn adopt_targets(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        let known: Vec<(NodeId, bool)> = self.view.members.keys().map(|id| (*id, self.view.is_up(*id))).collect();
        for (id, is_up) in known {
            if id != self.me.node && self.keeper.up.insert(id, is_up) != Some(is_up) {
                let input = if is_up { HintInput::Up(id) } else { HintInput::Down(id) };
                self.tell_machine(now, input, out);
            }
        }
    }

    pub(in crate::shard) fn hints_timeout(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        self.recover_again(now, out);
        if self.keeper.next.is_some_and(|at| at <= now.elapsed) {
            let mut wanted = Vec::new();
            self.keeper.hints.handle_timeout(now.elapsed, now.unix_ms, &mut wanted);
            self.keeper.next = self.keeper.hints.next_timeout();
            self.carry_out_hints(now, wanted, out);
        }
        self.tell_hints(now, out);
    }

    pub(super) fn tell_machine(
        &mut self,
        now: Now,
        input: HintInput<NodeId, PartitionId>,
        out: &mut impl Extend<Effect>,
    ) {
        let mut wanted = Vec::new();
        self.keeper.hints.handle(now.elapsed, now.unix_ms, input, &mut wanted);
        self.hints_changed();
        self.carry_out_hints(now, wanted, out);
    }

    pub(super) fn carry_out_hints(
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
                    emit(out, Effect::Scan { op, range, limit_bytes, until: Duration::MAX });
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

    pub(in crate::shard) fn hint_page(
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
        emit(out, Effect::Load { op, key: order_key(target, partition, seq), until: deadline });
    }

    /// A row of a hint that is to be delivered was read.
    pub(in crate::shard) fn hint_loaded(
        &mut self,
        now: Now,
        op: Op,
        result: Result<Option<Record>, StoreError>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Hint(delivery)) = self.ops.get_mut(op) else { return };
        let row = match result {
            Ok(row) if self.log.failure().is_none() => row,
            _ => return self.hint_failed(now, op, out),
        };
        match &delivery.stage {
            Stage::Naming => {
                let Some(named) = row.as_ref().and_then(parse_order_row) else {
                    // It is gone already, or says nothing.
                    let (target, partition, seq) = (delivery.target, delivery.partition, delivery.seq);
                    self.end_background(op);
                    let then = AfterDurable::HintGone { target, partition, seq };
                    return self.erase(&order_key(target, partition, seq), then, out);
                };
                let (content, until) = (content_key(delivery.target, named.kind, &named.key), delivery.deadline);
                delivery.stage = Stage::Reading { named };
                if delivery.drops {
                    return self.hint_read(now, op, None, out);
                }
                match self.overlay.newest(&content).map(|(record, _)| record.cloned()) {
                    Some(record) => self.hint_read(now, op, record, out),
                    None => emit(out, Effect::Load { op, key: content, until }),
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
                let (lane, tag, until) = (Lane::Bulk, self.view.tag(), Duration::MAX);
                emit(out, Effect::Send { to, lane, tag, until, message });
            }
            _ => self.erase_hint(now, op, out),
        }
    }

    /// The target holds it durably.
    pub(in crate::shard) fn hint_delivered(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
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

    pub(in crate::shard) fn erase_if_same(
        &mut self,
        now: Now,
        op: Op,
        content: &StoredKey,
        kept: Option<Record>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Hint(delivery)) = self.end_background(op) else { return };
        let Delivery { target, partition, seq, drops, stage, .. } = delivery;
        let Stage::Sent { record, named } = stage else { return };
        if !drops && kept.is_some() && kept != record {
            return self.tell_machine(now, HintInput::Changed { target, partition, seq }, out);
        }
        if let Some(kept) = &kept {
            self.keeper.grown = self.keeper.grown.saturating_sub(growth(content, kept, named.bytes));
            self.erase(content, AfterDurable::Nothing, out);
        }
        self.erase(&order_key(target, partition, seq), AfterDurable::HintGone { target, partition, seq }, out);
    }

    pub(in crate::shard) fn hint_gone(
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
    pub(in crate::shard) fn hint_failed(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Hint(Delivery { target, partition, seq, .. })) = self.end_background(op) else { return };
        self.tell_machine(now, HintInput::Failed { target, partition, seq }, out);
    }

    /// The target does not want it: its keyspace was dropped, or it has it in another mode. Nobody ever will.
    pub(in crate::shard) fn hint_unwanted(
        &mut self,
        now: Now,
        op: Op,
        failure: &Failure,
        out: &mut impl Extend<Effect>,
    ) {
        if failure.kind == FailureKind::Invalid {
            self.erase_hint(now, op, out);
        } else {
            self.hint_failed(now, op, out);
        }
    }

    pub(in crate::shard) fn hint_overdue(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
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
}
