//! Repairing replicas that a read has found behind: in the background, or before a strict read is answered.

use core::time::Duration;

use kvorum_quorum::{self as quorum, Outcome};

use super::Get;
use crate::shard::overlay::Merged;
use crate::shard::{AfterDurable, Base, Effect, LogSeq, Pending, Preference, Shard, Waiter};
use crate::{Failure, FailureKind, Message, NodeId, Now, Op, Record, Response, StoredKey};

impl Shard {
    /// Repairs those that hold less than what was found, unless that is done already.
    pub(super) fn repair_behind(&mut self, now: Now, op: Op, get: &Get, out: &mut impl Extend<Effect>) {
        if let (Some(newest), None) = (&get.newest, &get.repair) {
            for replica in get.behind.iter() {
                self.repair_replica(
                    now,
                    op,
                    get.place.clone(),
                    replica,
                    &get.key,
                    newest.clone(),
                    Merged::Quietly,
                    out,
                );
            }
        }
    }

    pub(super) fn send_repair(&mut self, now: Now, op: Op, replica: usize, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let Some(newest) = get.newest.clone() else { return };
        let (place, key) = (get.place.clone(), get.key.clone());
        self.repair_replica(now, op, place, replica, &key, newest, Merged::Repaired(op), out);
    }

    /// Merges a record into a replica that holds less. Whoever does not wait for it has ended, and its answer is ignored.
    #[expect(clippy::too_many_arguments, reason = "what is repaired, where, and who waits for it")]
    pub(super) fn repair_replica(
        &mut self,
        now: Now,
        op: Op,
        place: Preference,
        replica: usize,
        key: &StoredKey,
        record: Record,
        then: Merged,
        out: &mut impl Extend<Effect>,
    ) {
        if !place.is_me(replica) {
            let (node, tag) = place.address(replica);
            let key = key.clone();
            let message = Message::Write { op, key, record, minted: None, stand_in_for: None, relay: Vec::new() };
            return self.ask(node, tag, Duration::MAX, message, out);
        }
        if self.log.failure().is_some() || self.is_full() {
            if let Merged::Repaired(op) = then {
                self.repair_voted(now, op, quorum::Input::Error { replica: 0 }, out);
            }
            return;
        }
        match self.overlay.newest(key).map(|(record, seq)| (record.cloned(), Some(seq))) {
            Some(base) => self.merge_quietly(now, key, record, base, then, out),
            None => match self.overlay.base_for(key, Waiter::Merge { record, then }) {
                Base::Known(..) => unreachable!("the overlay was asked just now"),
                Base::Waiting => {}
                Base::Unknown => self.load_base_quietly(key.clone(), out),
            },
        }
    }

    /// A record that was pulled, or that repairs this node's copy, merges into what is here.
    pub(in crate::shard) fn merge_quietly(
        &mut self,
        now: Now,
        key: &StoredKey,
        record: Record,
        base: (Option<Record>, Option<LogSeq>),
        then: Merged,
        out: &mut impl Extend<Effect>,
    ) {
        let then = match then {
            Merged::Pulled(op) => AfterDurable::Pulled(op),
            Merged::Repaired(op) => AfterDurable::Repaired(op),
            Merged::Quietly => AfterDurable::Nothing,
        };
        self.merge_here(now, key, record, base, |_| then, out);
    }

    /// A replica that was behind holds what a read returns, or will not.
    pub(in crate::shard) fn repair_voted(
        &mut self,
        now: Now,
        op: Op,
        vote: quorum::Input,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Get(Get { repair: Some(repair), .. })) = self.ops.get_mut(op) else { return };
        let mut decisions = core::mem::take(&mut self.decisions);
        repair.handle(now.elapsed, vote, &mut decisions);
        self.carry_out_get(now, op, decisions, out);
    }

    pub(in crate::shard) fn repair_reply(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Get(get)) = self.ops.get_mut(op) else { return };
        let Some(replica) = get.place.position_of(node) else { return };
        self.repair_voted(now, op, quorum::Input::Answer { replica }, out);
    }

    /// What a strict read says when what it found could not be made to last.
    pub(super) fn repair_failure(&self, place: &Preference, repair: &quorum::Repair, outcome: Outcome) -> Response {
        let kind = if outcome == Outcome::TimedOut { FailureKind::TimedOut } else { FailureKind::Rejected };
        let message = format!(
            "unavailable: a strict read returns what {} of {} replicas durably hold, {} do: {}; retry, or read with less",
            repair.requirement().minimum(),
            place.len(),
            repair.answered().len(),
            place.account(repair.answered(), repair.failed(), outcome),
        );
        Response::Failed(Failure::new(kind, message))
    }
}
