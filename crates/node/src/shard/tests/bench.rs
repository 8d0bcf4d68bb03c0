//! A shard on a bench: its engine is a map that answers at once or when told, what it sends is kept to be looked at,
//! and whatever a peer would say is said by the test.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kvorum_gossip::State;
use kvorum_quorum::Level;
use kvorum_ring::{Partitions, Replication};
use kvorum_vclock::{Dot, Timestamp};

use super::super::*;
use crate::{
    Address, Catalog, CatalogChange, Charter, Consistency, DEFAULT_KEYSPACE, KeyspaceId, Layout, LayoutMember, Mode,
    Replicas, Secret, Settings, ShardIndex, ViewMember,
};

/// The wall clock when a bench is set up, in milliseconds.
pub(super) const WALL: u64 = 1_000_000;
/// The partition of every key: there is just one.
pub(super) const PARTITION: PartitionId = PartitionId(0);

/// What a bench is set up with: five nodes, of which the first three hold all keys.
pub(super) struct Setup {
    pub(super) me: u64,
    pub(super) replicas: u16,
    /// Whether the others may stand in for them.
    pub(super) fallbacks: bool,
    pub(super) down: Vec<u64>,
    pub(super) limits: Limits,
    pub(super) hedge_after: Duration,
    pub(super) ceiling: Timestamp,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            me: 1,
            replicas: 3,
            fallbacks: false,
            down: Vec::new(),
            limits: Limits::default(),
            hedge_after: Duration::from_secs(60),
            ceiling: Timestamp::MAX,
        }
    }
}

/// A layout of five nodes in which the first so many hold the one partition, and the others may stand in for them.
pub(super) fn layout(replicas: u16, fallbacks: bool) -> Arc<Layout> {
    let member = |n: u64| LayoutMember {
        id: NodeId(n),
        name: format!("n{n}").into(),
        dc: "dc".into(),
        rack: "rack".into(),
        weight: 1,
    };
    let partitions = Partitions::new(1).unwrap();
    let members = (1..=5).map(member).collect();
    let (rows, fallbacks) =
        (vec![(0..replicas).collect()], vec![(replicas..if fallbacks { 5 } else { replicas }).collect()]);
    Arc::new(Layout::from_parts(1, Replication::PerCentre(3), members, partitions, rows, fallbacks).unwrap())
}

/// The keyspace whose versions may be concurrent.
pub(super) const CARTS: KeyspaceId = KeyspaceId(3);
/// An `lww` keyspace with settings of its own: values live for 100 ms, reads and writes ask at least two replicas.
pub(super) const CODES: KeyspaceId = KeyspaceId(4);
/// One that was dropped.
pub(super) const DROPPED: KeyspaceId = KeyspaceId(2);
/// One that nobody has heard of.
pub(super) const UNHEARD: KeyspaceId = KeyspaceId(5);
pub(super) const SECRET: Secret = Secret([7; 32]);

/// Beside the default keyspace those above.
pub(super) fn catalog() -> Arc<Catalog> {
    let settings = Settings { ttl_ms: Some(100), min_read: 2, min_write: 2, ..Settings::default() };
    let create = |name: &str, mode, settings| CatalogChange::Create { name: name.into(), mode, settings };
    let changes = [
        create("gone", Mode::Causal, Settings::default()),
        create("carts", Mode::Causal, Settings::default()),
        create("codes", Mode::Lww, settings),
        CatalogChange::Drop { name: "gone".into() },
    ];
    let founded = Catalog::found(Charter { founder: NodeId(1), secret: SECRET });
    Arc::new(changes.iter().fold(founded, |catalog, change| catalog.changed(change).unwrap().0))
}

/// The view of a node that takes some others for down.
pub(super) fn view(me: u64, layout: Option<Arc<Layout>>, down: &[u64]) -> Arc<View> {
    let member = |n: u64| ViewMember {
        name: format!("n{n}").into(),
        peer: Address::from("peer"),
        client: Address::from("client"),
        actor: ActorId(n),
        dc: "dc".into(),
        state: if down.contains(&n) { State::Down } else { State::Up },
        catalog: 0,
        in_doubt: false,
    };
    let members = (1..=5).map(|n| (NodeId(n), member(n))).collect();
    Arc::new(View::new(NodeId(me), None, layout, catalog(), members, "dc", None))
}

pub(super) fn tag() -> EpochPhase {
    EpochPhase { epoch: 1, phase: crate::Phase::Stable }
}

pub(super) fn key(name: &str) -> StoredKey {
    StoredKey::new(DEFAULT_KEYSPACE, PARTITION, name.as_bytes())
}

/// A timestamp so many milliseconds after (or before) the wall clock at the start.
pub(super) fn at(offset_ms: i64) -> Timestamp {
    Timestamp::from_parts(WALL.checked_add_signed(offset_ms).unwrap(), 0)
}

/// A dot that another node minted then.
pub(super) fn dot(offset_ms: i64) -> Dot<ActorId> {
    Dot { time: at(offset_ms), actor: ActorId(99) }
}

pub(super) fn record(offset_ms: i64, value: &str) -> Record {
    Record::lww(dot(offset_ms), Some(value.as_bytes()), None)
}

/// The value of a record's newest version.
pub(super) fn value_of(record: &Record) -> Option<Bytes> {
    record.versions().next().and_then(|version| version.value)
}

/// An operation of another node.
pub(super) fn their_op(slot: u32) -> Op {
    Op { slot, generation: 77 }
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A get, put or delete with a level.
pub(super) fn get(key: &str, level: Level) -> Operation {
    Operation::Get { key: Bytes::copy_from_slice(key.as_bytes()), level: Some(level), consistency: None }
}

pub(super) fn put(key: &str, value: &str, level: Level) -> Operation {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    Operation::Put {
        key,
        value,
        ttl_ms: None,
        level: Some(level),
        consistency: None,
        attempt: None,
        context: Bytes::new(),
    }
}

pub(super) fn delete(key: &str, level: Level) -> Operation {
    let key = Bytes::copy_from_slice(key.as_bytes());
    Operation::Delete { key, level: Some(level), consistency: None, attempt: None, context: Bytes::new() }
}

/// The same operation, whose client insists on replicas.
pub(super) fn strict(operation: Operation) -> Operation {
    let mut operation = operation;
    match &mut operation {
        Operation::Get { consistency, .. }
        | Operation::Put { consistency, .. }
        | Operation::Delete { consistency, .. } => *consistency = Some(Consistency::Strict),
        Operation::Why { .. } | Operation::Scan(_) => panic!("{operation:?} asks replicas alone anyway"),
    }
    operation
}

pub(super) fn request(operation: Operation, timeout: Duration) -> Request {
    Request { keyspace: DEFAULT_KEYSPACE, timeout, operation }
}

/// A write that another node coordinates: freshly minted.
pub(super) fn their_write(slot: u32, key: StoredKey, record: Record) -> Message {
    let minted = Some(record.time());
    Message::Write { op: their_op(slot), key, record, minted, stand_in_for: None, relay: Vec::new() }
}

/// What a response failed with.
pub(super) fn failure(response: &Response) -> &Failure {
    match response {
        Response::Failed(failure) => failure,
        other => panic!("expected a failure, not {other:?}"),
    }
}

/// The value and the replicas of a response to a get.
pub(super) fn value(response: &Response) -> (Option<Bytes>, Replicas) {
    match response {
        Response::Value { record, as_of_ms, replicas, .. } => {
            let newest = record.as_ref().and_then(|record| record.live_versions(*as_of_ms).next());
            (newest.and_then(|version| version.value), *replicas)
        }
        other => panic!("expected a value, not {other:?}"),
    }
}

/// The dot and the replicas of a response to a put.
pub(super) fn written(response: &Response) -> (Dot<ActorId>, Replicas) {
    match response {
        Response::Written { dot, replicas, .. } => (*dot, *replicas),
        other => panic!("expected an acknowledgement, not {other:?}"),
    }
}

pub(super) struct Bench {
    pub(super) shard: Shard,
    pub(super) now: Now,
    me: u64,
    layout: Arc<Layout>,
    /// What the engine durably holds.
    pub(super) store: BTreeMap<StoredKey, Record>,
    /// What was appended and is not durable.
    pub(super) log: VecDeque<(LogSeq, StoredKey, Record)>,
    /// The removals among it.
    erased: VecDeque<(LogSeq, StoredKey)>,
    last_seq: LogSeq,
    /// Loads and scans wait for [`Bench::release`].
    pub(super) hold_reads: bool,
    pub(super) held: VecDeque<Effect>,
    requests: u64,
    replies: Vec<(u64, Response)>,
    sent: Vec<(u64, Message)>,
    reports: Vec<Report>,
}

impl Bench {
    pub(super) fn node(me: u64) -> Self {
        Self::new(Setup { me, ..Setup::default() })
    }

    pub(super) fn new(setup: Setup) -> Self {
        let layout = layout(setup.replicas, setup.fallbacks);
        let config = ShardConfig {
            index: ShardIndex(0),
            shards: 1,
            actor: ActorId(setup.me),
            clock_floor: Timestamp::MIN,
            max_drift_ms: 500,
            hedge_after: setup.hedge_after,
            limits: setup.limits,
            seed: (1000 + setup.me) << 32,
        };
        let view = view(setup.me, Some(Arc::clone(&layout)), &setup.down);
        let mut bench = Self {
            shard: Shard::new(config, view),
            now: Now { elapsed: Duration::from_secs(1), unix_ms: WALL },
            me: setup.me,
            layout,
            store: BTreeMap::new(),
            log: VecDeque::new(),
            erased: VecDeque::new(),
            last_seq: LogSeq(0),
            hold_reads: false,
            held: VecDeque::new(),
            requests: 0,
            replies: Vec::new(),
            sent: Vec::new(),
            reports: Vec::new(),
        };
        bench.tell(Input::ClockCeiling(setup.ceiling));
        bench
    }

    /// Hands over an input, and answers the engine's effects if it is to answer at once.
    pub(super) fn tell(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.shard.handle(self.now, input, &mut effects);
            self.perform(effects, &mut inputs);
        }
    }

    fn perform(&mut self, effects: Vec<Effect>, inputs: &mut VecDeque<Input>) {
        for effect in effects {
            match effect {
                Effect::Reply { to, response } => self.replies.push((to.request, response)),
                Effect::Send { to, message, tag: sent_tag, .. } => {
                    assert_eq!(sent_tag, tag());
                    assert_ne!(to.node, NodeId(self.me), "nobody writes to himself");
                    self.sent.push((to.node.0, message));
                }
                Effect::Append { seq, key, record } => {
                    self.follows(seq);
                    self.log.push_back((seq, key, record));
                }
                Effect::Erase { seq, key } => {
                    self.follows(seq);
                    self.erased.push_back((seq, key));
                }
                Effect::Load { op, .. } if self.hold_reads => {
                    self.held.push_back(effect);
                    inputs.push_back(Input::Loading { op });
                }
                Effect::Scan { .. } if self.hold_reads => self.held.push_back(effect),
                Effect::Load { .. } | Effect::Scan { .. } => inputs.push_back(self.read(effect)),
                Effect::Report(report) => self.reports.push(report),
            }
        }
    }

    fn follows(&mut self, seq: LogSeq) {
        assert_eq!(seq.0, self.last_seq.0 + 1, "sequences have no gaps");
        self.last_seq = seq;
    }

    /// What the engine answers.
    fn read(&self, effect: Effect) -> Input {
        match effect {
            Effect::Load { op, key } => Input::Loaded { op, result: Ok(self.store.get(&key).cloned()) },
            Effect::Scan { op, range, limit_bytes } => {
                let mut page = Page::default();
                let mut bytes = 0;
                for (key, record) in self.store.iter().filter(|(key, _)| range.contains(key.as_bytes())) {
                    if bytes >= limit_bytes as usize {
                        page.more = true;
                        break;
                    }
                    bytes += crate::row_weight(key, record);
                    page.rows.push((key.clone(), record.clone()));
                }
                Input::Scanned { op, result: Ok(page) }
            }
            other => panic!("{other:?} asks nothing of the engine"),
        }
    }

    /// Answers the oldest read that is held.
    pub(super) fn release(&mut self) {
        let effect = self.held.pop_front().expect("a read is held");
        let input = self.read(effect);
        self.tell(input);
    }

    /// Fails the oldest load that is held.
    pub(super) fn fail_load(&mut self, error: StoreError) {
        let Some(Effect::Load { op, .. }) = self.held.pop_front() else { panic!("a load is held") };
        self.tell(Input::Loaded { op, result: Err(error) });
    }

    /// Makes the oldest so many appends durable, in one group.
    pub(super) fn sync_some(&mut self, count: usize) {
        if let Some((last, ..)) = self.log.get(count.checked_sub(1).expect("something is synced")) {
            let last = *last;
            self.sync_to(last);
        }
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) {
        if !(self.log.is_empty() && self.erased.is_empty()) {
            self.sync_to(self.last_seq);
        }
    }

    fn sync_to(&mut self, last: LogSeq) {
        loop {
            let appended = self.log.front().map_or(LogSeq(u64::MAX), |(seq, ..)| *seq);
            let erased = self.erased.front().map_or(LogSeq(u64::MAX), |(seq, _)| *seq);
            if appended.min(erased) > last {
                break;
            }
            if appended < erased {
                let (_, key, record) = self.log.pop_front().expect("it was seen just now");
                self.store.insert(key, record);
            } else if let Some((_, key)) = self.erased.pop_front() {
                self.store.remove(&key);
            }
        }
        self.tell(Input::Durable(last));
    }

    /// A client asks, with a second of patience. Tells the number of the request.
    pub(super) fn ask(&mut self, operation: Operation) -> u64 {
        self.ask_for(operation, Duration::from_secs(1))
    }

    pub(super) fn ask_for(&mut self, operation: Operation, timeout: Duration) -> u64 {
        self.request(request(operation, timeout))
    }

    /// A client asks in a keyspace.
    pub(super) fn ask_in(&mut self, keyspace: KeyspaceId, operation: Operation) -> u64 {
        self.request(Request { keyspace, ..request(operation, Duration::from_secs(1)) })
    }

    fn request(&mut self, request: Request) -> u64 {
        self.requests += 1;
        let from = ClientRef { session: 7, request: self.requests };
        self.tell(Input::Client { from, request });
        self.requests
    }

    /// A peer says something.
    pub(super) fn peer(&mut self, node: u64, message: Message) {
        let from = PeerShard { node: NodeId(node), shard: ShardIndex(3) };
        self.tell(Input::Peer { from, tag: tag(), message });
    }

    /// A peer refuses a request of this node.
    pub(super) fn refuse(&mut self, node: u64, op: Op) {
        self.peer(node, Message::Refused { op, failure: Failure::new(FailureKind::Overloaded, "busy") });
    }

    /// The nodes that are down from now on.
    pub(super) fn down(&mut self, down: &[u64]) {
        let view = view(self.me, Some(Arc::clone(&self.layout)), down);
        self.tell(Input::View(view));
    }

    /// Lets time pass, and calls the shard whenever it wants to be.
    pub(super) fn wait(&mut self, span: Duration) {
        let end = self.now.elapsed + span;
        let start = self.now;
        while let Some(next) = self.shard.next_timeout().filter(|next| *next <= end) {
            self.now.elapsed = self.now.elapsed.max(next);
            self.now.unix_ms = start.unix_ms + u64::try_from((self.now.elapsed - start.elapsed).as_millis()).unwrap();
            let mut effects = Vec::new();
            self.shard.handle_timeout(self.now, &mut effects);
            assert!(self.shard.next_timeout() != Some(next), "what was due at {next:?} is looked at once");
            let mut inputs = VecDeque::new();
            self.perform(effects, &mut inputs);
            inputs.into_iter().for_each(|input| self.tell(input));
        }
        self.now.elapsed = end;
        self.now.unix_ms = start.unix_ms + u64::try_from(span.as_millis()).unwrap();
    }

    /// What was answered to clients since the last time, by the number of the request.
    pub(super) fn replies(&mut self) -> Vec<(u64, Response)> {
        core::mem::take(&mut self.replies)
    }

    /// The only answer since the last time.
    pub(super) fn reply(&mut self) -> Response {
        let mut replies = self.replies();
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0).1
    }

    /// What was sent to peers since the last time.
    pub(super) fn sent(&mut self) -> Vec<(u64, Message)> {
        core::mem::take(&mut self.sent)
    }

    /// To whom something was sent since the last time, and the operation all of it belongs to.
    pub(super) fn asked(&mut self) -> (Vec<u64>, Op) {
        let sent = self.sent();
        let op = sent.first().expect("something was sent").1.op();
        assert!(sent.iter().all(|(_, message)| message.op() == op && message.is_request()), "{sent:?}");
        (sent.iter().map(|(node, _)| *node).collect(), op)
    }

    /// What was reported since the last time, without what hints are kept.
    pub(super) fn reports(&mut self) -> Vec<Report> {
        let mut reports = core::mem::take(&mut self.reports);
        reports.retain(|report| !matches!(report, Report::Hints { .. }));
        reports
    }

    /// Nothing is in flight any more, nothing was said that was not looked at.
    pub(super) fn assert_idle(&mut self) {
        assert_eq!(self.shard.operations(), 0, "operations are left");

        assert_eq!((self.replies(), self.sent(), self.reports()), (vec![], vec![], vec![]));
    }
}
