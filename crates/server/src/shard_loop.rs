//! A shard thread's loop: the whole shell of a shard. It hands inputs to the shard and performs its effects; what it
//! performs at once (a memory hit, a batch that is durable on return) becomes the next input of the same turn, and
//! what leaves is collected until the turn ends: one log submit, one push per outbox.
//!
//! A shard thread is one current-thread runtime on which the shard, its sessions and its peer connections live, so
//! the loop is reached through [`with`], thread-locally: no lock, task or hop lies between a socket and the shard.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kvorum_node::{
    ClientRef, ControlInput, DEFAULT_PAIR_BYTES, Effect, Failure, FailureKind, Input, Lane, LogSeq, Message, NodeId,
    PeerShard, Record, Request, Response, Shard, ShardIndex, StoredKey, View, partition_of_message,
    partition_of_request,
};
use kvorum_ring::PartitionId;
use kvorum_wire::v1;
use slab::Slab;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::client_codec;
use crate::clock::Clock;
use crate::control_loop::ControlEvent;
use crate::disk_pool::{DiskPool, Job, Read};
use crate::engine::{Batch, Engine, Submitted, TryGet};
use crate::mailbox::{Mail, Mailbox};
use crate::outbox::{MESSAGE_BYTES, Outbox};
use crate::peer::codec::{self, Unpacked};
use crate::peer::lane::{Outgoing, PeerLanes, peer_metadata};
use crate::peer::seal::Seal;

thread_local! {
    static CURRENT: RefCell<Option<ShardLoop>> = const { RefCell::new(None) };
}

/// What every shard thread shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) me: NodeId,
    pub(crate) clock: Clock,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) disks: Arc<DiskPool>,
    /// Of every shard, by its number.
    pub(crate) mailboxes: Arc<[Arc<Mailbox>]>,
    pub(crate) control: mpsc::Sender<ControlEvent>,
    pub(crate) seal: Seal,
}

pub(crate) struct ShardLoop {
    index: ShardIndex,
    shard: Shard,
    shared: Shared,
    inputs: VecDeque<Input>,
    effects: Vec<Effect>,
    turn: Turn,
    sessions: BTreeMap<u64, Session>,
    next_session: u64,
    /// What the sessions together have not read, see [`UNREAD_BYTES`].
    unread: usize,
    peers: BTreeMap<NodeId, Peer>,
    draining: bool,
    /// When the timer task wakes next, and how it is told to wake earlier.
    armed: Option<Duration>,
    rearm: Arc<Notify>,
}

/// What a turn has collected to leave at its end.
#[derive(Default)]
struct Turn {
    changes: Vec<(StoredKey, Option<Record>)>,
    last_seq: LogSeq,
    mail: BTreeMap<ShardIndex, Vec<Mail>>,
    /// Sessions with replies, and peers with frames, that are to be flushed.
    replied: Vec<u64>,
    addressed: Vec<NodeId>,
}

struct Session {
    kind: SessionKind,
    /// The requests that have not been answered, by the number the shard knows them by.
    asked: Slab<Asked>,
    /// Those of them that have been taken on and not begun.
    waiting: VecDeque<(ClientRef, v1::request::Operation)>,
    /// The bytes that their answers may hold.
    load: usize,
    /// The weight of the answers that the client has not read.
    unread: usize,
    /// Answers of this turn.
    pending: Vec<(usize, v1::Response)>,
}

/// What is needed to answer a request.
#[derive(Clone, Copy)]
struct Asked {
    /// As the client numbered it.
    id: u64,
    kind: AskedKind,
    load: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AskedKind {
    /// A get or put.
    Plain,
    /// Answered like a put, but with a message of its own.
    Delete,
    /// Answered with a whole page.
    Scan,
}

impl AskedKind {
    fn of(operation: Option<&v1::request::Operation>) -> Self {
        match operation {
            Some(v1::request::Operation::Delete(_)) => Self::Delete,
            Some(v1::request::Operation::Scan(_)) => Self::Scan,
            _ => Self::Plain,
        }
    }

    /// The bytes its answer may hold, in a cluster with such pairs.
    fn load(self, pair_bytes: usize) -> usize {
        if self == Self::Scan { SCAN_BYTES + pair_bytes } else { pair_bytes }
    }
}

enum SessionKind {
    /// A stream; its outbox.
    Stream(Arc<Outbox<v1::Response>>),
    /// A unary call: a batch of one.
    Unary(Option<oneshot::Sender<v1::Response>>),
    /// A request of the node's own services, which understand the shard's answer.
    Inquiry(Option<oneshot::Sender<Response>>),
}

struct Peer {
    lanes: PeerLanes,
    requests: Vec<(usize, Outgoing)>,
    bulk: Vec<(usize, Outgoing)>,
}

/// What the answers to one session's requests may hold: 1024 pairs of 10 KiB. What comes beyond it is refused at once: a
/// request that has to wait for so many others is better made elsewhere, or later.
pub(crate) const SESSION_BYTES: usize = 10 << 20;
/// What a page of a scan holds, apart from its last pair.
const SCAN_BYTES: usize = 256 << 10;

/// What the sessions of a thread together may hold in answers that their clients do not read. Beyond it a session that
/// holds more than its share is told that it is overloaded instead of what it asked for, so that those who read are
/// served all the same.
const UNREAD_BYTES: usize = 32 << 20;

/// Runs `f` with this thread's loop.
///
/// # Panics
/// On a thread that is no shard thread: connections live on shard threads only.
pub(crate) fn with<T>(f: impl FnOnce(&mut ShardLoop) -> T) -> T {
    CURRENT.with_borrow_mut(|current| f(current.as_mut().expect("connections live on shard threads only")))
}

/// Makes this thread a shard thread: spawns the tasks that read its mail and keep its timers.
pub(crate) fn install(index: ShardIndex, shard: Shard, shared: Shared) {
    let rearm = Arc::new(Notify::new());
    let mailbox = Arc::clone(&shared.mailboxes[usize::from(index.0)]);
    let clock = shared.clock;
    let this = ShardLoop {
        index,
        shard,
        shared,
        inputs: VecDeque::new(),
        effects: Vec::new(),
        turn: Turn::default(),
        sessions: BTreeMap::new(),
        next_session: 0,
        unread: 0,
        peers: BTreeMap::new(),
        draining: false,
        armed: None,
        rearm: Arc::clone(&rearm),
    };
    CURRENT.set(Some(this));
    with(|this| {
        this.inputs.push_back(Input::Started);
        this.run();
    });
    tokio::spawn(async move {
        loop {
            let mail = mailbox.take().await;
            with(|this| this.read(mail));
        }
    });
    tokio::spawn(async move {
        loop {
            let at = with(|this| this.armed);
            tokio::select! {
                () = clock.sleep_until(at) => with(ShardLoop::timeout),
                () = rearm.notified() => {}
            }
        }
    });
}

/// Takes the loop off its thread, so that what it shares is let go.
pub(crate) fn uninstall() {
    CURRENT.set(None);
}

impl ShardLoop {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Requests of this thread's clients that have not been answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.sessions.values().map(|session| session.asked.len()).sum()
    }

    // --- sessions ---

    fn open(&mut self, kind: SessionKind) -> u64 {
        let id = u64::from(self.index.0) << 48 | self.next_session;
        self.next_session += 1;
        self.sessions.insert(
            id,
            Session { kind, asked: Slab::new(), waiting: VecDeque::new(), load: 0, unread: 0, pending: Vec::new() },
        );
        id
    }

    /// Begins a session whose replies go to `outbox`.
    pub(crate) fn open_session(&mut self, outbox: Arc<Outbox<v1::Response>>) -> u64 {
        self.open(SessionKind::Stream(outbox))
    }

    /// The session's stream is gone; what is still under way for it is not answered.
    pub(crate) fn close_session(&mut self, id: u64) {
        if let Some(session) = self.sessions.remove(&id) {
            self.unread -= session.unread;
        }
    }

    /// So much of a session's answers is on its way.
    pub(crate) fn session_read(&mut self, id: u64, weight: usize) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.unread -= weight;
            self.unread -= weight;
        }
    }

    /// What a session has under way, against [`SESSION_BYTES`].
    pub(crate) fn session_load(&self, id: u64) -> usize {
        self.sessions.get(&id).map_or(0, |session| session.load)
    }

    /// Requests of a session, as many as came in one message: refuses what cannot be taken on, which costs next to nothing. A
    /// unary call is a batch of one.
    pub(crate) fn session_requests(&mut self, session: u64, requests: Vec<v1::Request>) {
        let layout = self.shard.view().layout.as_ref();
        let pair_bytes = layout.map_or(DEFAULT_PAIR_BYTES, |layout| layout.pair_bytes()) as usize;
        for v1::Request { id, operation } in requests {
            let Some(asking) = self.sessions.get_mut(&session) else { return };
            let kind = AskedKind::of(operation.as_ref());
            let load = kind.load(pair_bytes);
            let overloaded = asking.load > 0 && asking.load + load > SESSION_BYTES;
            asking.load += load;
            let from = ClientRef { session, request: asking.asked.insert(Asked { id, kind, load }) as u64 };
            let refused = match operation {
                _ if self.draining => Failure::new(FailureKind::Rejected, "this node is stopping; ask another"),
                _ if overloaded => Failure::new(
                    FailureKind::Overloaded,
                    "this session has too many requests under way; wait for answers",
                ),
                None => Failure::new(FailureKind::Invalid, "the request has no operation"),
                Some(operation) => {
                    asking.waiting.push_back((from, operation));
                    continue;
                }
            };
            self.reply(from, Response::Failed(refused));
        }
        self.leave();
    }

    /// Whether a session has requests that were taken on and not begun.
    pub(crate) fn session_waits(&self, id: u64) -> bool {
        self.sessions.get(&id).is_some_and(|session| !session.waiting.is_empty())
    }

    /// Begins up to so many of the requests that a session waits for.
    pub(crate) fn session_proceed(&mut self, id: u64, count: usize) {
        let view = Arc::clone(self.shard.view());
        for _ in 0..count {
            let next = self.sessions.get_mut(&id).and_then(|session| session.waiting.pop_front());
            let Some((from, operation)) = next else { break };
            match client_codec::request_from_wire(&view, operation) {
                Ok(request) => self.client_request(&view, from, request),
                Err(failure) => self.reply(from, Response::Failed(failure)),
            }
        }
        self.run();
    }

    fn client_request(&mut self, view: &View, from: ClientRef, request: Request) {
        let owner = self.owner(partition_of_request(&request, view));
        let input = Input::Client { from, request };
        self.route(owner, input);
    }

    /// One unary call.
    pub(crate) fn call(&mut self, operation: v1::request::Operation) -> oneshot::Receiver<v1::Response> {
        let (reply, receiver) = oneshot::channel();
        let session = self.open(SessionKind::Unary(Some(reply)));
        self.session_requests(session, vec![v1::Request { id: 0, operation: Some(operation) }]);
        self.session_proceed(session, 1);
        receiver
    }

    /// One request of the node's own services.
    pub(crate) fn inquire(&mut self, request: Request) -> oneshot::Receiver<Response> {
        let (reply, receiver) = oneshot::channel();
        let session = self.open(SessionKind::Inquiry(Some(reply)));
        let view = Arc::clone(self.shard.view());
        if let Some(asking) = self.sessions.get_mut(&session) {
            let asked = Asked { id: 0, kind: AskedKind::Plain, load: 0 };
            let from = ClientRef { session, request: asking.asked.insert(asked) as u64 };
            self.client_request(&view, from, request);
        }
        self.run();
        receiver
    }

    fn reply(&mut self, to: ClientRef, mut response: Response) {
        let thread = ShardIndex((to.session >> 48) as u16);
        if thread != self.index {
            self.turn.mail.entry(thread).or_default().push(Mail::Reply(to, response));
            return;
        }
        let share = MESSAGE_BYTES.min(UNREAD_BYTES / self.sessions.len().max(1));
        let Some(session) = self.sessions.get_mut(&to.session) else { return };
        let Some(Asked { id, kind, load }) = session.asked.try_remove(to.request as usize) else { return };
        session.load -= load;
        let partitions = self.shard.view().layout.as_ref().map_or(0, |layout| layout.partitions().count());
        let mut weight = response_weight(&response);
        if matches!(session.kind, SessionKind::Stream(_)) {
            let is_too_much = self.unread + weight > UNREAD_BYTES && session.unread > share;
            if is_too_much && matches!(response, Response::Value { .. } | Response::Page { .. }) {
                let why = "too many answers wait to be read; read them, or ask for less at a time";
                response = Response::Failed(Failure::new(FailureKind::Overloaded, why));
                weight = response_weight(&response);
            }
            session.unread += weight;
            self.unread += weight;
        }
        if let SessionKind::Inquiry(reply) = &mut session.kind {
            if let Some(reply) = reply.take() {
                // The caller may have gone away.
                let _ = reply.send(response);
            }
            self.sessions.remove(&to.session);
            return;
        }
        let response = client_codec::response_to_wire(id, partitions, kind == AskedKind::Delete, response);
        match &mut session.kind {
            SessionKind::Inquiry(_) => unreachable!("it was answered just now"),
            SessionKind::Unary(reply) => {
                if let Some(reply) = reply.take() {
                    // The caller may have gone away.
                    let _ = reply.send(response);
                }
                self.sessions.remove(&to.session);
            }
            SessionKind::Stream(_) => {
                if session.pending.is_empty() {
                    self.turn.replied.push(to.session);
                }
                session.pending.push((weight, response));
            }
        }
    }

    // --- peers ---

    /// Frames of a peer, as many as came in one message.
    pub(crate) fn peer_frames(&mut self, from: PeerShard, frames: Vec<v1::Frame>) {
        let (view, now) = (Arc::clone(self.shard.view()), self.shared.clock.now().elapsed);
        for frame in frames {
            match codec::unpack(frame) {
                Ok(Unpacked { shard, tag, timeout, message }) => {
                    let partition = partition_of_message(&message, &view);
                    let by_key = message.is_request() || partition.is_some();
                    let owner = if by_key { self.owner(partition) } else { shard };
                    let until = timeout.map_or(Duration::MAX, |timeout| now.saturating_add(timeout));
                    self.route(owner, Input::Peer { from, tag, until, message });
                }
                Err(bad) => tracing::warn!(peer = %view.name_of(from.node), "{bad}; it is ignored"),
            }
        }
        self.run();
    }

    /// A lane's connection broke, or could not be made: what was queued is unsent, what was sent may be lost.
    pub(crate) fn lane_lost(&mut self, node: NodeId, lane: Lane, unsent: Vec<Outgoing>) {
        let unsent = unsent.into_iter().filter(Outgoing::is_request);
        self.inputs.extend(unsent.map(|it| Input::Unsent { to: node, op: kvorum_node::Op::from_bits(it.frame.op) }));
        if lane == Lane::Requests {
            self.inputs.push_back(Input::PeerLost(node));
        }
        self.run();
    }

    /// Connects to the members of a new view, at their present addresses.
    fn connect(&mut self, view: &View) {
        self.peers.retain(|id, peer| view.members.get(id).is_some_and(|member| member.peer == *peer.lanes.address()));
        let Some(cluster) = view.cluster else { return };
        for (id, member) in &view.members {
            if *id != self.shared.me && !member.peer.is_empty() && !self.peers.contains_key(id) {
                let metadata = peer_metadata(&self.shared.seal, Some(cluster), self.shared.me, self.index);
                let lanes = PeerLanes::start(*id, Arc::clone(&member.peer), metadata, self.shared.clock);
                self.peers.insert(*id, Peer { lanes, requests: Vec::new(), bulk: Vec::new() });
            }
        }
    }

    // --- the turn ---

    fn owner(&self, partition: Option<PartitionId>) -> ShardIndex {
        let shards = self.shared.mailboxes.len();
        partition.map_or(self.index, |partition| ShardIndex((usize::from(partition.0) % shards) as u16))
    }

    fn route(&mut self, owner: ShardIndex, input: Input) {
        if owner == self.index {
            self.inputs.push_back(input);
        } else if usize::from(owner.0) < self.shared.mailboxes.len() {
            self.turn.mail.entry(owner).or_default().push(Mail::Input(input));
        }
    }

    fn read(&mut self, mail: Vec<Mail>) {
        for mail in mail {
            match mail {
                Mail::Input(Input::View(view)) => {
                    self.connect(&view);
                    self.inputs.push_back(Input::View(view));
                }
                Mail::Input(input) => self.inputs.push_back(input),
                Mail::Reply(to, response) => self.reply(to, response),
                Mail::Drain => {
                    self.draining = true;
                    self.wake_sessions();
                }
            }
        }
        self.run();
    }

    /// Hands the shard everything that has come, until nothing is left to do at once; then lets the turn leave.
    fn run(&mut self) {
        let now = self.shared.clock.now();
        loop {
            while let Some(input) = self.inputs.pop_front() {
                self.shard.handle(now, input, &mut self.effects);
                self.perform();
            }
            if self.turn.changes.is_empty() {
                break;
            }
            self.submit();
        }
        self.leave();
    }

    fn timeout(&mut self) {
        let now = self.shared.clock.now();
        self.armed = None;
        self.shard.handle_timeout(now, &mut self.effects);
        self.perform();
        self.run();
    }

    fn perform(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Reply { to, response } => self.reply(to, response),
                Effect::Send { to, lane, tag, until, message } => {
                    let weight = message.weight();
                    self.send(to, lane, weight, tag, until, message);
                }
                Effect::Append { seq, key, record } => {
                    self.turn.last_seq = seq;
                    self.turn.changes.push((key, Some(record)));
                }
                Effect::Erase { seq, key } => {
                    self.turn.last_seq = seq;
                    self.turn.changes.push((key, None));
                }
                Effect::Load { op, key, until } => match self.shared.engine.try_get(&key) {
                    TryGet::Hit(record) => self.inputs.push_back(Input::Loaded { op, result: Ok(Some(record)) }),
                    TryGet::Absent => self.inputs.push_back(Input::Loaded { op, result: Ok(None) }),
                    TryGet::Failed(error) => self.inputs.push_back(Input::Loaded { op, result: Err(error) }),
                    TryGet::WouldBlock => {
                        self.inputs.push_back(Input::Loading { op });
                        self.read_disk(op, Read::Get(key), until);
                    }
                },
                Effect::Scan { op, range, limit_bytes, until } => {
                    self.read_disk(op, Read::Scan(range, limit_bytes), until);
                }
                Effect::Report(report) => {
                    // A full queue drops a report: each is repeated as long as its cause lasts.
                    let _ = self.shared.control.try_send(ControlEvent::Input(ControlInput::Reported(report)));
                }
            }
        }
        self.effects = effects;
    }

    fn read_disk(&self, op: kvorum_node::Op, read: Read, until: Duration) {
        let to = Arc::clone(&self.shared.mailboxes[usize::from(self.index.0)]);
        self.shared.disks.submit(Job { op, read, until, to });
    }

    fn send(
        &mut self,
        to: PeerShard,
        lane: Lane,
        weight: usize,
        tag: kvorum_node::EpochPhase,
        until: Duration,
        message: Message,
    ) {
        let (op, is_request) = (message.op(), message.is_request());
        match self.peers.get_mut(&to.node) {
            Some(peer) => {
                if peer.requests.is_empty() && peer.bulk.is_empty() {
                    self.turn.addressed.push(to.node);
                }
                let frames = if lane == Lane::Bulk { &mut peer.bulk } else { &mut peer.requests };
                frames.push((weight, Outgoing { until, frame: codec::frame(to, tag, message) }));
            }
            None if is_request => self.inputs.push_back(Input::Unsent { to: to.node, op }),
            None => {}
        }
    }

    fn submit(&mut self) {
        let changes = std::mem::take(&mut self.turn.changes);
        let seq = self.turn.last_seq;
        if self.shared.engine.submit(Batch { shard: self.index, seq, changes }) == Submitted::Durable {
            self.inputs.push_back(Input::Durable(seq));
        }
    }

    /// One push for each outbox and mailbox that the turn has something for.
    fn leave(&mut self) {
        let mut refused = Vec::new();
        for node in std::mem::take(&mut self.turn.addressed) {
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            for (lane, frames) in [(Lane::Requests, &mut peer.requests), (Lane::Bulk, &mut peer.bulk)] {
                if !frames.is_empty() {
                    let back = peer.lanes.outbox(lane).push(frames.drain(..));
                    refused.extend(back.into_iter().filter(Outgoing::is_request).map(|it| (node, it.frame.op)));
                }
            }
        }
        for id in std::mem::take(&mut self.turn.replied) {
            if let Some(Session { kind: SessionKind::Stream(outbox), pending, .. }) = self.sessions.get_mut(&id) {
                outbox.push(pending.drain(..));
            }
        }
        for (shard, mail) in std::mem::take(&mut self.turn.mail) {
            self.shared.mailboxes[usize::from(shard.0)].post(mail);
        }
        self.arm();
        if !refused.is_empty() {
            self.inputs
                .extend(refused.into_iter().map(|(to, op)| Input::Unsent { to, op: kvorum_node::Op::from_bits(op) }));
            self.run();
        }
    }

    fn arm(&mut self) {
        let next = self.shard.next_timeout();
        if next.is_some_and(|next| self.armed.is_none_or(|armed| next < armed)) {
            self.armed = next;
            self.rearm.notify_one();
        }
    }

    fn wake_sessions(&mut self) {
        for session in self.sessions.values() {
            if let SessionKind::Stream(outbox) = &session.kind {
                outbox.wake();
            }
        }
    }
}

/// What a response counts against the limits of its session's outbox.
fn response_weight(response: &Response) -> usize {
    const FRAME: usize = 64;
    FRAME
        + match response {
            Response::Value { record, context, .. } => {
                record.as_ref().map_or(0, |record| record.as_bytes().len()) + context.len()
            }
            Response::Written { .. } | Response::Why(_) => 0,
            Response::Page { rows, .. } => {
                rows.iter().map(|(key, record)| key.len() + record.as_bytes().len() + FRAME).sum()
            }
            Response::Failed(failure) => failure.message.len(),
        }
}
