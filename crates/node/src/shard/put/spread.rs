//! How a write reaches the replicas, and what becomes of it where it does not: one copy to each remote data centre, stand-ins
//! in the places of absent replicas, hints for those that have missed it.

use core::time::Duration;

use kvorum_hints::Kind;
use kvorum_quorum::{self as quorum, ReplicaSet};
use kvorum_ring::PartitionId;
use kvorum_vclock::Dot;

use super::{Put, RELAY_PATIENCE, SETTLING_PART, Stage};
use crate::shard::hints::{HintAnswer, Missed};
use crate::shard::{AfterDurable, Effect, Pending, Shard};
use crate::{ActorId, Message, NodeId, Now, Op};

impl Shard {
    /// Who stands in for a replica keeps the write durably.
    pub(in crate::shard) fn put_stood_in(
        &mut self,
        now: Now,
        op: Op,
        node: NodeId,
        newest: Dot<ActorId>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Some(replica) = put.stand_ins.close(node) else { return };
        self.put_noticed(op, replica, newest);
        self.put_voted(now, op, quorum::Input::StoodIn { replica }, out);
    }

    /// Who was to hand the write on has had its time: those who have not answered get it from here.
    pub(super) fn relays_overdue(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        if now.elapsed >= put.relays_until {
            let relays: Vec<usize> = put.relays.iter().map(|(relay, _)| *relay).collect();
            relays.into_iter().for_each(|relay| self.relay_failed(op, relay, out));
        }
    }

    /// Who was to hand the write on in its data centre does not, as far as is known: the others there get it from here.
    pub(super) fn relay_failed(&mut self, op: Op, relay: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Writing { tally, .. } = &put.stage else { return };
        let Some(at) = put.relays.iter().position(|(replica, _)| *replica == relay) else { return };
        let (_, others) = put.relays.swap_remove(at);
        for replica in others.intersection(tally.open()).iter() {
            self.send_put(op, replica, ReplicaSet::EMPTY, out);
        }
    }

    /// A stand-in refuses, or was not reached: the next one is asked.
    pub(in crate::shard) fn stand_in_failed(&mut self, now: Now, op: Op, node: NodeId, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        if let Some(replica) = put.stand_ins.close(node) {
            self.ask_stand_in(now, op, replica, out);
        }
    }

    /// Has the next node that may stand in for a replica keep the write.
    pub(super) fn ask_stand_in(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Writing { dot, record, .. } = &put.stage else { return };
        let Some(node) = put.place.stand_ins(replica).find(|node| !put.stand_ins.was_asked(*node)) else {
            return self.put_voted(now, op, quorum::Input::NoStandIn { replica }, out);
        };
        let (key, record, minted) = (put.intent.key.clone(), record.clone(), Some(dot.time));
        let (target, tag) = put.place.address(replica);
        put.stand_ins.ask(node, replica);
        if node == self.me.node {
            let answer = HintAnswer::Mine(op);
            self.keep_hint(now, Missed { target, key, record, kind: Kind::Owed, answer }, out);
        } else {
            let stand_in_for = Some(target);
            let message = Message::Write { op, key, record, minted, stand_in_for, relay: Vec::new() };
            self.ask(node, tag, Duration::MAX, message, out);
        }
    }

    /// A node may have lost what it answered for: where writes are not acknowledged yet, its answers count no more, and it
    /// gets the writes again. A write that is acknowledged is durable in enough others for the node to pull it.
    pub(in crate::shard) fn withdraw_answers(
        &mut self,
        node: NodeId,
        partition: Option<PartitionId>,
        out: &mut impl Extend<Effect>,
    ) {
        let concerned = |put: &Put| partition.is_none_or(|partition| put.intent.key.partition() == partition);
        let counting: Vec<(Op, usize)> = (self.ops.ops())
            .filter_map(|(op, pending)| match pending {
                Pending::Put(put) if concerned(put) => Some((op, put.place.position_of(node)?)),
                _ => None,
            })
            .collect();
        for (op, replica) in counting {
            if let Some(Pending::Put(Put { stage: Stage::Writing { tally, .. }, .. })) = self.ops.get_mut(op)
                && tally.withdraw(replica)
            {
                self.send_put(op, replica, ReplicaSet::EMPTY, out);
            }
        }
    }

    /// Keeps what a replica has missed, until it can be told.
    pub(super) fn hint_put(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Writing { record, .. } = &put.stage else { return };
        if put.place.is_me(replica) {
            return; // What this node cannot store it cannot keep for itself.
        }
        let (key, record, target) = (put.intent.key.clone(), record.clone(), put.place.replica(replica).id);
        let missed = Missed { target, key, record, kind: Kind::Spare, answer: HintAnswer::Nobody };
        self.keep_hint(now, missed, out);
    }

    /// A write that is done stays until each replica has answered or is hinted.
    pub(super) fn put_settle(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let too_many = self.settling > self.operations_limit() / SETTLING_PART;
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Writing { tally, .. } = &mut put.stage else { return };
        if tally.is_settled() {
            self.settling -= usize::from(put.is_answered());
            self.ops.remove(op);
        } else if put.origin.is_none() && too_many {
            // As if the time for the silent ones were over.
            let over = tally.next_timeout().unwrap_or(now.elapsed);
            let mut decisions = core::mem::take(&mut self.decisions);
            tally.handle_timeout(over, &mut decisions);
            self.carry_out_put(now, op, decisions, out);
        } else {
            let relays = (!put.relays.is_empty()).then_some(put.relays_until);
            let next = tally.next_timeout().into_iter().chain(relays).min();
            self.deadlines.watch(now.elapsed, next, &mut put.wake, op);
        }
    }

    /// One replica of each remote data centre gets the write for all there.
    pub(super) fn choose_relays(&mut self, now: Now, op: Op, decisions: &[quorum::Effect]) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let sent: ReplicaSet = decisions
            .iter()
            .filter_map(|decision| if let quorum::Effect::Send { replica } = decision { Some(*replica) } else { None })
            .collect();
        for centre in put.place.remote_centres() {
            let mut members = centre.intersection(sent);
            if members.len() > 1
                && let Some(relay) = members.iter().next()
            {
                members.remove(relay);
                put.relays.push((relay, members));
                put.relays_until = now.elapsed.saturating_add(RELAY_PATIENCE);
            }
        }
    }

    pub(super) fn send_put_by_relay(&mut self, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        if put.relays.iter().any(|(_, others)| others.contains(replica)) {
            return;
        }
        let others = put.relays.iter().find(|(relay, _)| *relay == replica).map(|(_, others)| *others);
        self.send_put(op, replica, others.unwrap_or(ReplicaSet::EMPTY), out);
    }

    pub(super) fn send_put(&mut self, op: Op, replica: usize, others: ReplicaSet, out: &mut impl Extend<Effect>) {
        let Some(Pending::Put(put)) = self.ops.get_mut(op) else { return };
        let Stage::Writing { dot, record, .. } = &put.stage else { unreachable!("a tally exists") };
        let (key, record, minted) = (put.intent.key.clone(), record.clone(), Some(dot.time));
        if put.place.is_me(replica) {
            self.append(&key, &record, AfterDurable::Vote(op), out);
        } else {
            let (node, tag) = put.place.address(replica);
            let relay = others.iter().map(|other| put.place.replica(other).id).collect();
            let message = Message::Write { op, key, record, minted, stand_in_for: None, relay };
            self.ask(node, tag, Duration::MAX, message, out);
        }
    }
}
