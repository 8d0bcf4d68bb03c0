//! A shard: the data half of a node. It owns the partitions `p` with `p mod K` its number, shares nothing, and is
//! told everything that happens as an [`Input`]; what it wants done it hands back as [`Effect`]s.
//!
//! This file holds the one `match` over inputs. What happens next lies in the file named after it: `put`, `get`,
//! `scan` and `forward` coordinate a client's request, `replica` serves the other coordinators, `log` waits for
//! durability, `hints` keeps what others missed, `pull` fetches what this node may have lost, `attempt` finds what became of
//! a write that is asked for again. It does not know how frames travel, where records are stored, or what time it is.

mod attempt;
mod deadlines;
mod forward;
mod get;
mod hints;
mod io;
mod log;
mod overlay;
mod preference;
mod pull;
mod pulls;
mod put;
mod replica;
mod scan;
mod stand_ins;
#[cfg(test)]
mod tests;
mod why;

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kvorum_quorum as quorum;
use kvorum_ring::PartitionId;
use kvorum_vclock::{Hlc, Timestamp};

use crate::op::Slab;
use crate::{
    ActorId, Digest, EpochPhase, Failure, FailureKind, KeyspaceId, Message, NodeId, Now, Op, Operation, PeerShard,
    Record, Request, Response, StoredKey, View,
};

pub use hints::{HINTS_KEYSPACE, HintQueue};
pub use io::{ClientRef, Effect, Input, Limits, LogSeq, Page, Report, ShardConfig, StoreError};
pub use pull::PullProgress;

use deadlines::Deadlines;
use log::{AfterDurable, Log};
use overlay::{Base, Overlay, Waiter};
use preference::Preference;

/// How often a shard tells its control part that a node fails requests: about once in a round of gossip.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// How near its ceiling a clock may come before a higher one is asked for.
const ROOM_TO_MINT_MS: u64 = 500;

/// The data half of a node, see the module's documentation.
#[derive(Debug)]
pub struct Shard {
    me: PeerShard,
    /// How many shards this node has.
    shards: usize,
    actor: ActorId,
    actors: Actors,
    limits: Limits,
    hedge_after: Duration,
    clock: Hlc,
    view: Arc<View>,
    overlay: Overlay,
    log: Log,
    ops: Slab<Pending>,
    /// Writes among them that are answered, and wait only to know who has missed them.
    settling: usize,
    /// Those among them that nobody has asked for: hints are delivered, what may be lost is pulled.
    background: usize,
    keeper: hints::Keeper,
    /// While this node is in doubt.
    pull: Option<pull::Pull>,
    pulls: pulls::Pulls,
    /// How long the others need to answer a read.
    latencies: BTreeMap<NodeId, quorum::Latency>,
    hedges: quorum::HedgeBudget,
    deadlines: Deadlines,
    begun: attempt::Begun,
    /// Whether it was told that the store is open.
    is_started: bool,
    /// At which ceiling a higher one was asked for.
    room_asked: Option<Timestamp>,
    /// When each node was last reported as failed.
    reported: BTreeMap<NodeId, Duration>,
    /// Where the decisions of a quorum are collected while they are carried out; kept to spare an allocation.
    decisions: Vec<quorum::Effect>,
}

/// An operation in flight.
#[derive(Debug)]
enum Pending {
    Put(put::Put),
    Get(get::Get),
    Scan(scan::Scan),
    Why(why::Why),
    /// The other half of a why: what members keep for the replicas.
    WhyHints(why::Asked),
    Forward(forward::Forward),
    /// A stored record is being read so that writes can merge into it. Quietly: nobody has asked for that.
    BaseLoad {
        key: StoredKey,
        quietly: bool,
    },
    /// A stored record is being read for another coordinator.
    ReplicaRead {
        from: PeerShard,
        op: Op,
        known: Option<Digest>,
    },
    /// A range is being read for another coordinator.
    ReplicaScan {
        from: PeerShard,
        op: Op,
        checked: bool,
    },
    /// What this node keeps for an absent replica is being read.
    StandInRead(hints::StandInRead),
    /// What this node keeps for replicas is being looked up, to be shown.
    HintLookup(hints::Lookup),
    /// Hints that an earlier process kept are being counted.
    HintRecovery,
    /// The next hints for a node are being looked up.
    HintPage {
        target: NodeId,
        partition: PartitionId,
        limit: usize,
    },
    /// A hint is being delivered, or dropped.
    Hint(hints::Delivery),
    /// A page is being pulled.
    Pull(pull::PullPage),
}

/// Who is to be answered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Origin {
    Client(ClientRef),
    /// A node that forwarded its client's request, as its operation.
    Peer(PeerShard, Op),
    /// A write of this shard that reads first.
    Write(Op),
}

impl Shard {
    /// A shard that knows no layout yet: it refuses requests until it is handed a view with one, and mints nothing
    /// until it is handed a clock ceiling.
    #[must_use]
    pub fn new(config: ShardConfig, view: Arc<View>) -> Self {
        Self {
            me: PeerShard { node: view.me, shard: config.index },
            shards: config.shards,
            actor: config.actor,
            actors: Actors { seed: config.actor.0 ^ config.seed, drawn: 0 },
            limits: config.limits,
            hedge_after: config.hedge_after,
            clock: Hlc::new(config.clock_floor, config.clock_floor, config.max_drift_ms),
            view,
            overlay: Overlay::new(config.seed),
            log: Log::default(),
            ops: Slab::new((config.seed >> 32) as u32),
            settling: 0,
            background: 0,
            keeper: hints::Keeper::new(config.limits.hints, config.clock_floor),
            pull: None,
            latencies: BTreeMap::new(),
            hedges: quorum::HedgeBudget::default(),
            deadlines: Deadlines::default(),
            begun: attempt::Begun::default(),
            is_started: false,
            room_asked: None,
            pulls: pulls::Pulls::default(),
            reported: BTreeMap::new(),
            decisions: Vec::new(),
        }
    }

    /// The cluster as this shard was last told.
    #[must_use]
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Operations in flight, without writes that are answered and without what nobody has asked for.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.ops.len() - self.settling - self.background
    }

    /// Begins what nobody has asked for; it does not count against what is asked.
    fn begin_background(&mut self, pending: Pending) -> Op {
        self.background += 1;
        self.ops.insert(pending)
    }

    fn end_background(&mut self, op: Op) -> Option<Pending> {
        let ended = self.ops.remove(op);
        self.background -= usize::from(ended.is_some());
        ended
    }

    /// Writes that are answered, and kept until it is known who has missed them.
    #[must_use]
    pub fn settling(&self) -> usize {
        self.settling
    }

    /// Keys whose newest record is not durable yet, or whose stored record is being read.
    #[must_use]
    pub fn overlaid_keys(&self) -> usize {
        self.overlay.len()
    }

    /// Bytes of keys and records that were appended and are not durable yet.
    #[must_use]
    pub fn undurable_bytes(&self) -> usize {
        self.log.undurable_bytes()
    }

    /// Takes one input; what is to be done about it is added to `out`.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut impl Extend<Effect>) {
        match input {
            Input::Client { from, request } => self.request(now, Origin::Client(from), request, out),
            // Who asked has given up.
            Input::Peer { until, .. } if until <= now.elapsed => {}
            Input::Peer { from, tag, until, message } => self.peer(now, from, tag, until, message, out),
            Input::Loaded { op, result } => self.loaded(now, op, result, out),
            Input::Started => {
                self.is_started = true;
                self.adopt_all(now, out);
            }
            Input::Loading { op } => self.get_waits(op, out),
            Input::Scanned { op, result } => self.scanned(now, op, result, out),
            Input::Durable(seq) => self.durable(now, seq, out),
            Input::LogFailed(error) => self.log_failed(now, &error, out),
            Input::Unsent { to, op } => self.unsent(now, to, op, out),
            Input::PeerLost(node) => self.peer_lost(now, node, out),
            Input::View(view) => self.adopt(now, view, out),
            Input::ClockCeiling(ceiling) => self.clock.raise_ceiling(ceiling),
        }
    }

    /// When [`Shard::handle_timeout`] must be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let pull = self.pull_timeout();
        self.deadlines.next().into_iter().chain(self.keeper.next_timeout()).chain(pull).min()
    }

    /// Ends or hedges the operations whose moment has come.
    pub fn handle_timeout(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        self.hints_timeout(now, out);
        self.pull_on(now, out);
        for op in self.deadlines.due(now.elapsed) {
            match self.ops.get_mut(op) {
                Some(Pending::Put(_)) => self.put_timeout(now, op, out),
                Some(Pending::Get(_)) => self.get_timeout(now, op, out),
                Some(Pending::Scan(_)) => self.scan_timeout(now, op, out),
                Some(Pending::Why(_)) => self.why_timeout(now, op, out),
                Some(Pending::Forward(_)) => self.forward_timeout(now, op, out),
                Some(Pending::Hint(_)) => self.hint_overdue(now, op, out),
                Some(Pending::Pull(_)) => self.pull_overdue(now, op, out),
                Some(
                    Pending::BaseLoad { .. }
                    | Pending::ReplicaRead { .. }
                    | Pending::ReplicaScan { .. }
                    // The other half of a why watches over both.
                    | Pending::WhyHints(_)
                    | Pending::StandInRead(_)
                    | Pending::HintLookup(_)
                    | Pending::HintRecovery
                    | Pending::HintPage { .. },
                )
                | None => {}
            }
        }
    }

    /// A request of a client of this node, or of one that forwarded it.
    fn request(&mut self, now: Now, origin: Origin, mut request: Request, out: &mut impl Extend<Effect>) {
        if let Err(failure) = self.admit(&request) {
            self.answer(origin, Response::Failed(failure), out);
            return;
        }
        self.recognise(now, &mut request.operation);
        let deadline = now.elapsed.saturating_add(request.timeout.min(self.limits.timeout));
        let partition = match (&request.operation, request.operation.key()) {
            (Operation::Scan(scan), _) => scan.partition,
            (_, Some(key)) => self.view.partition_of(key).expect("a request is admitted only under a layout"),
            (_, None) => unreachable!("every operation but a scan has a key"),
        };
        let place = self.preference(partition);
        let anywhere = matches!(request.operation, Operation::Scan(_) | Operation::Why { .. });
        if !anywhere && !place.contains_me() {
            return self.forward(now, origin, place, request, deadline, out);
        }
        self.coordinate(now, origin, place, request, deadline, out);
    }

    /// The replicas of a partition, as they are preferred now.
    fn preference(&self, partition: PartitionId) -> Preference {
        // To the power of two: who is a little faster at the moment is not better.
        let slowness = |node| self.latencies.get(&node).map_or(0, |latency| latency.p95().as_millis().max(1).ilog2());
        Preference::new(Arc::clone(&self.view), partition, self.ops.len(), slowness)
    }

    /// Carries out a request here.
    fn coordinate(
        &mut self,
        now: Now,
        origin: Origin,
        place: Preference,
        request: Request,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) {
        let partition = place.partition();
        if request.operation.is_write()
            && let Some(fault) = self.view.fitness().clock
        {
            emit(out, Effect::Report(Report::WriteRefused));
            let failure = Failure::new(FailureKind::Rejected, fault.account(&self.view.name_of(self.me.node)));
            return self.answer(origin, Response::Failed(failure), out);
        }
        let stored = |key: &Bytes| StoredKey::new(request.keyspace, partition, key);
        match request.operation {
            Operation::Get { key, level, consistency } => {
                self.get(now, origin, place, stored(&key), (level, consistency), deadline, out);
            }
            Operation::Put { key, value, ttl_ms, level, consistency, attempt, context } => {
                let (key, lifetime) = (stored(&key), put::Lifetime::Asked(ttl_ms));
                let asked = put::Asked { key, value: Some(value), lifetime, context, level, consistency, attempt };
                self.put(now, origin, place, asked, deadline, out);
            }
            Operation::Delete { key, level, consistency, attempt, context } => {
                let (key, lifetime) = (stored(&key), put::Lifetime::None);
                let asked = put::Asked { key, value: None, lifetime, context, level, consistency, attempt };
                self.put(now, origin, place, asked, deadline, out);
            }
            Operation::Scan(scan) => self.scan(now, origin, place, request.keyspace, scan, deadline, out),
            Operation::Why { key } => self.why(now, origin, place, stored(&key), deadline, out),
        }
    }

    /// Whether there is as much to do as this shard takes on: operations in flight, and writes and answers of other
    /// coordinators that wait for the disk.
    fn is_busy(&self) -> bool {
        let (waiting_writes, _) = self.overlay.waiting();
        self.operations() + waiting_writes + self.log.answers() >= self.operations_limit()
    }

    /// How many operations this shard takes on: each may hold a whole pair.
    fn operations_limit(&self) -> usize {
        let pair_bytes = self.view.layout.as_ref().map_or(1, |layout| layout.pair_bytes() as usize);
        self.limits.operations.min((self.limits.operation_bytes / pair_bytes).max(1))
    }

    /// Whether as many bytes were taken in and are not durable yet as this shard takes on.
    fn is_full(&self) -> bool {
        let (_, waiting_bytes) = self.overlay.waiting();
        self.log.undurable_bytes() + waiting_bytes >= self.limits.undurable_bytes
    }

    /// What is refused before anything is done about it.
    fn admit(&self, request: &Request) -> Result<(), Failure> {
        let refuse = |kind, message| Err(Failure::new(kind, message));
        if let Some(error) = self.log.failure() {
            return refuse(
                FailureKind::Rejected,
                format!("this node cannot serve: {error}; look at its log, then restart it"),
            );
        }
        let Some(layout) = &self.view.layout else {
            return refuse(FailureKind::Rejected, format!("not ready: {}", self.view.not_ready_because()));
        };
        if let Some(bar) = self.view.fitness().bar {
            return refuse(FailureKind::Rejected, format!("{} is not ready: {bar}", self.view.name_of(self.me.node)));
        }
        self.admit_keyspace(request.keyspace)?;
        if let Some(key) = request.operation.key() {
            let value = if let Operation::Put { value, .. } = &request.operation { value.len() } else { 0 };
            check_pair(self.limits.key_bytes, layout.pair_bytes() as usize, key.len(), value)?;
        }
        if let Operation::Scan(scan) = &request.operation
            && !layout.partitions().contains(scan.partition)
        {
            return refuse(
                FailureKind::Invalid,
                format!("there is no partition {}: the cluster has {}", scan.partition, layout.partitions().count()),
            );
        }
        if request.timeout.is_zero() {
            return refuse(FailureKind::Rejected, "the request's time was up before this node saw it".to_owned());
        }
        if self.is_busy() {
            let message = format!(
                "this node has {} operations in flight and takes no more; slow down and retry",
                self.operations()
            );
            return refuse(FailureKind::Overloaded, message);
        }
        if request.operation.is_write() && self.is_full() {
            let message = "this node's disk does not keep up with its writes; slow down and retry";
            return refuse(FailureKind::Overloaded, message.to_owned());
        }
        Ok(())
    }

    /// Whether there is such a keyspace, as far as this node knows.
    fn admit_keyspace(&self, keyspace: KeyspaceId) -> Result<(), Failure> {
        let catalog = &self.view.catalog;
        if catalog.by_id(keyspace).is_some() {
            return Ok(());
        }
        let name = self.view.name_of(self.me.node);
        Err(if keyspace.0 >= catalog.next_id() {
            let message = format!("{name} has not heard of keyspace {} yet; retry", keyspace.0);
            Failure::new(FailureKind::Rejected, message)
        } else {
            Failure::new(FailureKind::Invalid, format!("keyspace {} was dropped", keyspace.0))
        })
    }

    /// A message of another shard, which waits until then if it asks for something.
    fn peer(
        &mut self,
        now: Now,
        from: PeerShard,
        tag: EpochPhase,
        until: Duration,
        message: Message,
        out: &mut impl Extend<Effect>,
    ) {
        if message.is_request()
            && let Err(failure) = self.admit_peer(tag)
        {
            self.send(from, Message::Refused { op: message.op(), failure }, out);
            return;
        }
        match message {
            Message::Write { op, key, record, minted, stand_in_for, relay } => {
                if !relay.is_empty() {
                    self.relay(from, op, (&key, &record, minted), &relay, out);
                }
                self.replica_write(now, from, op, &key, record, minted, stand_in_for, out);
            }
            Message::Relayed { coordinator, op, key, record, minted } => match self.admit_peer(tag) {
                Ok(()) => self.replica_write(now, coordinator, op, &key, record, minted, None, out),
                Err(failure) => self.send(coordinator, Message::Refused { op, failure }, out),
            },
            Message::Read { op, key, known, stand_in_for } => {
                self.replica_read(now, from, op, key, known, stand_in_for, until, out);
            }
            Message::ReadHints { op, key } => self.look_up_hints(now, Some(from), op, &key, until, out),
            Message::HintsReply { op, hints } => self.why_hints_told(op, from.node, hints, out),
            Message::Scan { op, range, limit_bytes, puller } => {
                self.replica_scan(from, op, range, limit_bytes, puller, until, out);
            }
            Message::Forward { op, request } => self.forwarded(now, from, op, request, out),
            Message::WriteReply { op, newest, pulled_by } => {
                self.pulled_elsewhere(&pulled_by, out);
                match self.ops.get_mut(op) {
                    Some(Pending::Put(_)) => self.put_reply(now, from.node, op, newest, out),
                    Some(Pending::Get(_)) => self.repair_reply(now, from.node, op, out),
                    Some(Pending::Hint(_)) => self.hint_delivered(now, from.node, op, out),
                    _ => {}
                }
            }
            Message::ReadSame { op } => self.read_same(now, from.node, op, out),
            Message::ReadReply { op, record } => self.read_reply(now, from.node, op, record, out),
            Message::ScanReply { op, rows, more, digest } => match self.ops.get_mut(op) {
                Some(Pending::Pull(_)) => self.pull_reply(now, from.node, op, Page { rows, more }, digest, out),
                _ => self.scan_reply(now, from.node, op, Page { rows, more }, out),
            },
            Message::ForwardReply { op, response } => self.forward_reply(now, from.node, op, response, out),
            Message::Refused { op, failure } => self.refused(now, from.node, op, failure, out),
        }
    }

    fn admit_peer(&self, tag: EpochPhase) -> Result<(), Failure> {
        if let Some(error) = self.log.failure() {
            return Err(Failure::new(FailureKind::Rejected, format!("{}: {error}", self.view.name_of(self.me.node))));
        }
        if let Some(bar) = self.view.fitness().bar {
            let message = format!("{} is not ready: {bar}", self.view.name_of(self.me.node));
            return Err(Failure::new(FailureKind::Rejected, message));
        }
        let mine = self.view.tag();
        if tag != mine {
            let message = format!("{} has layout {}, not {}", self.view.name_of(self.me.node), mine.epoch, tag.epoch);
            return Err(Failure::new(FailureKind::Rejected, message));
        }
        if self.is_busy() || self.is_full() {
            return Err(Failure::new(
                FailureKind::Overloaded,
                format!("{} is overloaded", self.view.name_of(self.me.node)),
            ));
        }
        Ok(())
    }

    fn loaded(&mut self, now: Now, op: Op, result: Result<Option<Record>, StoreError>, out: &mut impl Extend<Effect>) {
        match self.ops.get_mut(op) {
            Some(Pending::BaseLoad { .. }) => self.base_loaded(now, op, result, out),
            Some(Pending::Get(_) | Pending::Why(_) | Pending::StandInRead(_) | Pending::HintLookup(_)) => {
                self.local_read(now, op, result, out);
            }
            Some(Pending::Hint(_)) => self.hint_loaded(now, op, result, out),
            Some(Pending::ReplicaRead { .. }) => self.replica_loaded(op, result, out),
            _ => {}
        }
    }

    fn scanned(&mut self, now: Now, op: Op, result: Result<Page, StoreError>, out: &mut impl Extend<Effect>) {
        match self.ops.get_mut(op) {
            Some(Pending::Scan(_)) => self.scan_scanned(now, op, result, out),
            Some(Pending::ReplicaScan { .. }) => self.replica_scanned(op, result, out),
            Some(Pending::HintPage { .. }) => self.hint_page(now, op, result, out),
            Some(Pending::HintRecovery) => self.hints_recovered(now, op, result, out),
            _ => {}
        }
    }

    fn refused(&mut self, now: Now, node: NodeId, op: Op, failure: Failure, out: &mut impl Extend<Effect>) {
        match self.ops.get_mut(op) {
            Some(Pending::Forward(_)) => self.forward_reply(now, node, op, Response::Failed(failure), out),
            Some(Pending::Why(_)) => self.why_failed(node, op, failure.message, out),
            Some(Pending::Hint(_)) => self.hint_unwanted(now, op, &failure, out),
            _ => self.replica_failed(now, node, op, out),
        }
    }

    fn unsent(&mut self, now: Now, to: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        self.report_failed(now, to, out);
        if let Some(Pending::Forward(_)) = self.ops.get_mut(op) {
            self.forward_unsent(now, to, op, out);
        } else {
            self.replica_failed(now, to, op, out);
        }
    }

    /// A replica that an operation waits for will not answer.
    fn replica_failed(&mut self, now: Now, node: NodeId, op: Op, out: &mut impl Extend<Effect>) {
        match self.ops.get_mut(op) {
            Some(Pending::Put(_)) => self.put_failed(now, node, op, out),
            Some(Pending::Get(_)) => self.get_failed(now, node, op, out),
            Some(Pending::Scan(_)) => self.scan_failed(now, node, op, out),
            Some(Pending::Why(_)) => self.why_failed(node, op, "it was not reached, or was lost".to_owned(), out),
            Some(Pending::WhyHints(_)) => self.why_hints_failed(op, node, out),
            Some(Pending::Forward(_)) => self.forward_lost(now, node, op, out),
            Some(Pending::Hint(_)) => self.hint_failed(now, op, out),
            Some(Pending::Pull(_)) => self.pull_failed(now, op, out),
            Some(
                Pending::BaseLoad { .. }
                | Pending::ReplicaRead { .. }
                | Pending::ReplicaScan { .. }
                | Pending::StandInRead(_)
                | Pending::HintLookup(_)
                | Pending::HintRecovery
                | Pending::HintPage { .. },
            )
            | None => {}
        }
    }

    /// What was sent to a node and not answered never will be. Who has not asked it yet still may.
    fn peer_lost(&mut self, now: Now, node: NodeId, out: &mut impl Extend<Effect>) {
        let waits = |pending: &Pending| match pending {
            Pending::Put(put) => put.waits_for(node),
            Pending::Get(get) => get.waits_for(node),
            Pending::Scan(scan) => scan.waits_for(node),
            Pending::Why(why) => why.waits_for(node),
            Pending::WhyHints(asked) => asked.waits_for(node),
            Pending::Forward(forward) => forward.waits_for(node),
            Pending::Hint(delivery) => delivery.waits_for(node),
            Pending::Pull(page) => page.waits_for(node),
            Pending::BaseLoad { .. }
            | Pending::ReplicaRead { .. }
            | Pending::ReplicaScan { .. }
            | Pending::StandInRead(_)
            | Pending::HintLookup(_)
            | Pending::HintRecovery
            | Pending::HintPage { .. } => false,
        };
        let lost: Vec<Op> = self.ops.ops().filter(|(_, pending)| waits(pending)).map(|(op, _)| op).collect();
        for op in lost {
            self.replica_failed(now, node, op, out);
        }
    }

    /// A new view holds for what begins from now on; what waits for a node that it says is gone waits no longer.
    fn adopt(&mut self, now: Now, view: Arc<View>, out: &mut impl Extend<Effect>) {
        let before = core::mem::replace(&mut self.view, view);
        let gone: Vec<NodeId> =
            self.view.members.keys().filter(|id| before.is_up(**id) && !self.view.is_up(**id)).copied().collect();
        self.reported.retain(|id, _| self.view.members.contains_key(id));
        self.pulls.retain(|node| self.view.members.contains_key(&node));
        for node in gone {
            self.peer_lost(now, node, out);
        }
        // A process that has taken another's place may have lost what that one answered for.
        let actor = |view: &View, id: &NodeId| view.members.get(id).map(|member| member.actor);
        let me = self.me.node;
        let restarted = before.members.keys().filter(|id| **id != me && actor(&before, id) != actor(&self.view, id));
        for node in restarted.copied().collect::<Vec<_>>() {
            self.withdraw_answers(node, None, out);
        }
        let was_sound = |id: &NodeId| before.members.get(id).is_some_and(|member| !member.in_doubt);
        if self.view.members.iter().any(|(id, member)| member.in_doubt && was_sound(id)) {
            self.pull_anew();
        }
        if self.is_started {
            self.adopt_all(now, out);
        }
    }

    /// What a view begins or ends besides requests.
    fn adopt_all(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        self.latencies.retain(|id, _| self.view.members.contains_key(id));
        self.recover_hints(out);
        self.adopt_targets(now, out);
        self.adopt_doubt(now, out);
    }

    fn answer(&self, origin: Origin, response: Response, out: &mut impl Extend<Effect>) {
        match origin {
            Origin::Client(to) => emit(out, Effect::Reply { to, response }),
            Origin::Peer(to, op) => self.send(to, Message::ForwardReply { op, response }, out),
            Origin::Write(_) => unreachable!("a write that reads first is told what was found, not answered"),
        }
    }

    /// Has the clock's ceiling raised in good time: others may run ahead of the wall clock, such as one that was restarted, and
    /// this clock follows them.
    fn ask_for_room_to_mint(&mut self, out: &mut impl Extend<Effect>) {
        let (last, ceiling) = (self.clock.last(), self.clock.ceiling());
        if last.millis().saturating_add(ROOM_TO_MINT_MS) > ceiling.millis() && self.room_asked != Some(ceiling) {
            self.room_asked = Some(ceiling);
            emit(out, Effect::Report(Report::CeilingNeeded(last)));
        }
    }

    /// Tells the control part that a node failed a request; seldom, for one word about it says as much as many.
    fn report_failed(&mut self, now: Now, node: NodeId, out: &mut impl Extend<Effect>) {
        let last = self.reported.get(&node);
        if last.is_none_or(|last| now.elapsed.saturating_sub(*last) >= REPORT_EVERY) {
            self.reported.insert(node, now.elapsed);
            emit(out, Effect::Report(Report::PeerFailed(node)));
        }
    }

    /// Sends an answer.
    fn send(&self, to: PeerShard, message: Message, out: &mut impl Extend<Effect>) {
        debug_assert!(!message.is_request());
        emit(out, Effect::Send { to, lane: message.lane(), tag: self.view.tag(), until: Duration::MAX, message });
    }

    /// Sends a request to a node, under the layout by which it was chosen; which of its shards takes it is decided
    /// there, by the key. Until then it is waited for: a write always, for what does not reach a replica now must later.
    fn ask(&self, node: NodeId, tag: EpochPhase, until: Duration, message: Message, out: &mut impl Extend<Effect>) {
        debug_assert!(message.is_request());
        let to = PeerShard { node, shard: self.me.shard };
        emit(out, Effect::Send { to, lane: message.lane(), tag, until, message });
    }
}

/// Actors of one write each, drawn from this process's own: no other has drawn them.
#[derive(Debug)]
struct Actors {
    seed: u64,
    drawn: u64,
}

impl Actors {
    fn next(&mut self) -> ActorId {
        self.drawn += 1;
        let digest = Digest::of([&self.seed.to_be_bytes()[..], &self.drawn.to_be_bytes()[..]].into_iter());
        let mut word = [0; 8];
        word.copy_from_slice(&digest.0[..8]);
        ActorId(u64::from_be_bytes(word))
    }
}

fn emit(out: &mut impl Extend<Effect>, effect: Effect) {
    out.extend(core::iter::once(effect));
}

fn check_pair(key_limit: usize, pair_limit: usize, key: usize, value: usize) -> Result<(), Failure> {
    let message = if key == 0 {
        "the key is empty; a key has at least one byte".to_owned()
    } else if key > key_limit {
        format!("the key has {key} bytes; at most {} are allowed", key_limit)
    } else if key + value > pair_limit {
        format!("key and value together have {} bytes; at most {} are allowed", key + value, pair_limit)
    } else {
        return Ok(());
    };
    Err(Failure::new(FailureKind::Invalid, message))
}

/// The partition a message belongs to, for the shell to find the shard that owns it; none for answers, which go to
/// the shard they name.
#[must_use]
pub fn partition_of_message(message: &Message, view: &View) -> Option<PartitionId> {
    match message {
        Message::Write { key, .. }
        | Message::Relayed { key, .. }
        | Message::Read { key, .. }
        | Message::ReadHints { key, .. } => Some(key.partition()),
        Message::Scan { range, .. } => range.place().map(|(_, partition)| partition),
        Message::Forward { request, .. } => partition_of_request(request, view),
        _ => None,
    }
}

/// The partition a request belongs to, once there is a layout.
#[must_use]
pub fn partition_of_request(request: &Request, view: &View) -> Option<PartitionId> {
    match &request.operation {
        Operation::Scan(scan) => Some(scan.partition),
        operation => view.partition_of(operation.key()?),
    }
}
