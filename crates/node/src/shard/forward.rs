//! Forwarding: a node that holds no replica of a key hands the request, once, to a node that does. Where none can be
//! reached, and the client does not insist on replicas, it coordinates itself, and others stand in.

use core::time::Duration;

use super::{Effect, Origin, Pending, Preference, Shard};
use crate::{Consistency, Failure, FailureKind, Message, NodeId, Now, Op, Operation, PeerShard, Request, Response};

#[derive(Debug)]
pub(super) struct Forward {
    origin: Origin,
    place: Preference,
    request: Request,
    /// The position of the replica it was sent to.
    asked: usize,
    deadline: Duration,
}

impl Forward {
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        self.place.replica(self.asked).id == node
    }

    /// The next replica that is up and was not asked.
    fn next(&self) -> Option<usize> {
        let up = self.place.all().difference(self.place.down());
        up.iter().find(|position| *position > self.asked)
    }
}

impl Shard {
    pub(super) fn forward(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        request: Request,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        if let Origin::Peer(..) = origin {
            let name = self.view.name_of(self.me.node);
            let failure = Failure::new(FailureKind::Rejected, format!("{name} holds no replica of that key; retry"));
            return self.answer(origin, Response::Failed(failure), out);
        }
        let up = place.all().difference(place.down());
        let Some(asked) = up.iter().next() else {
            if self.may_stand_in(&request) {
                return self.coordinate(now, origin, place, request, deadline, out);
            }
            let message = format!("unavailable: no replica of that key is up: {}", place.account_of_liveness());
            let failure = Failure::new(FailureKind::Rejected, message);
            return self.answer(origin, Response::Failed(failure), out);
        };
        if let Err(failure) = self.begin_attempt(now, request.operation.attempt()) {
            return self.answer(origin, Response::Failed(failure), out);
        }
        let op = self.ops.insert(Pending::Forward(Forward { origin, place, request, asked, deadline }));
        self.deadlines.add(now.elapsed, deadline, op);
        self.send_forward(now.elapsed, op, out);
    }

    /// Whether others may stand in for the replicas.
    fn may_stand_in(&self, request: &Request) -> bool {
        let asked = match request.operation {
            Operation::Get { consistency, .. }
            | Operation::Put { consistency, .. }
            | Operation::Delete { consistency, .. } => consistency,
            Operation::Why { .. } | Operation::Scan(_) => Some(Consistency::Strict),
        };
        self.consistency_of(request.keyspace, asked) == Consistency::Sloppy
    }

    fn send_forward(&mut self, now: Duration, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Forward(forward)) = self.ops.get_mut(op) else { return };
        let until = forward.deadline;
        let left = until.saturating_sub(now);
        // The coordinator gives up a little earlier, so that its account of the replicas reaches the client.
        let request = Request { timeout: left - left / 16, ..forward.request.clone() };
        let (node, tag) = forward.place.address(forward.asked);
        self.ask(node, tag, until, Message::Forward { op, request }, out);
    }

    /// A request that another node forwarded here is coordinated as if it were our own client's.
    pub(super) fn forwarded(
        &mut self,
        now: Now,
        from: PeerShard,
        op: Op,
        request: Request,
        out: &mut impl Extend<Effect>,
    ) {
        self.request(now, Origin::Peer(from, op), request, out);
    }

    pub(super) fn forward_reply(
        &mut self,
        now: Now,
        node: NodeId,
        op: Op,
        response: Response,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Forward(forward)) = self.ops.get_mut(op) else { return };
        if !forward.waits_for(node) {
            return;
        }
        // It has certainly done nothing, and another replica may be able to: its clock may be right, or its disk well.
        let is_rejected = matches!(&response, Response::Failed(failure) if failure.kind == FailureKind::Rejected);
        if is_rejected && let Some(next) = forward.next() {
            forward.asked = next;
            return self.send_forward(now.elapsed, op, out);
        }
        if let Some(Pending::Forward(forward)) = self.ops.remove(op) {
            if is_rejected {
                self.undo_attempt(forward.request.operation.attempt());
            }
            self.answer(forward.origin, response, out);
        }
    }

    /// It never left this node: another replica may be asked.
    pub(super) fn forward_unsent(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        self.forward_elsewhere(now, node, op, "could not be reached", out);
    }

    /// It was sent, and the connection broke. A read may be asked elsewhere; a write may have been applied.
    pub(super) fn forward_lost(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Forward(forward)) = self.ops.get_mut(op) else { return };
        if forward.request.operation.is_write() {
            if forward.waits_for(node)
                && let Some(Pending::Forward(forward)) = self.ops.remove(op)
            {
                let name = self.view.name_of(node);
                let message =
                    format!("indeterminate: {name}, which coordinated the write, was lost; read before you retry");
                self.answer(forward.origin, Response::Failed(Failure::new(FailureKind::Indeterminate, message)), out);
            }
        } else {
            self.forward_elsewhere(now, node, op, "was lost", out);
        }
    }

    fn forward_elsewhere(&mut self, now: Now, node: NodeId, op: Op, what: &str, out: &mut impl Extend<Effect>) {
        let Some(Pending::Forward(forward)) = self.ops.get_mut(op) else { return };
        if !forward.waits_for(node) {
            return;
        }
        if let Some(next) = forward.next() {
            forward.asked = next;
            return self.send_forward(now.elapsed, op, out);
        }
        let Some(Pending::Forward(forward)) = self.ops.remove(op) else { return };
        self.undo_attempt(forward.request.operation.attempt());
        if self.may_stand_in(&forward.request) {
            let Forward { origin, place, request, deadline, .. } = forward;
            return self.coordinate(now, origin, place, request, deadline, out);
        }
        let message = format!("unavailable: {}, a replica of that key, {what}; retry", self.view.name_of(node));
        self.answer(forward.origin, Response::Failed(Failure::new(FailureKind::Rejected, message)), out);
    }

    pub(super) fn forward_timeout(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Forward(forward)) = self.ops.get_mut(op) else { return };
        if now.elapsed < forward.deadline {
            self.deadlines.add(now.elapsed, forward.deadline, op);
            return;
        }
        let Some(Pending::Forward(forward)) = self.ops.remove(op) else { return };
        let node = forward.place.replica(forward.asked).id;
        self.report_failed(now, node, out);
        let name = self.view.name_of(node);
        let failure = if forward.request.operation.is_write() {
            let message = format!(
                "indeterminate: {name}, which coordinates the write, did not answer in time; read before you retry"
            );
            Failure::new(FailureKind::Indeterminate, message)
        } else {
            Failure::new(
                FailureKind::TimedOut,
                format!("unavailable: {name}, which coordinates the read, did not answer in time"),
            )
        };
        self.answer(forward.origin, Response::Failed(failure), out);
    }
}
