//! A shard on a bench: its engine is a map that answers at once or when told, what it sends is kept to be looked at,
//! and whatever a peer would say is said by the test.

mod cluster;
mod setup;
mod words;

use std::collections::{BTreeMap, VecDeque};

use kvorum_vclock::Timestamp;

use super::super::*;
use crate::{KeyspaceId, Lane, ShardIndex};

pub(super) use cluster::*;
pub(super) use setup::*;
pub(super) use words::*;

pub(super) struct Bench {
    pub(super) shard: Shard,
    pub(super) now: Now,
    pub(super) sight: Sight,
    /// What the engine durably holds.
    pub(super) store: BTreeMap<StoredKey, Record>,
    /// What was appended and is not durable.
    pub(super) log: VecDeque<(LogSeq, StoredKey, Record)>,
    /// The removals among it.
    pub(super) erased: VecDeque<(LogSeq, StoredKey)>,
    last_seq: LogSeq,
    /// Loads and scans wait for [`Bench::release`].
    pub(super) hold_reads: bool,
    pub(super) held: VecDeque<Effect>,
    requests: u64,
    replies: Vec<(u64, Response)>,
    sent: Vec<(u64, Lane, Message)>,
    reports: Vec<Report>,
    /// What was reported last of the hints that are kept.
    pub(super) queues: Vec<HintQueue>,
}

impl Bench {
    pub(super) fn node(me: u64) -> Self {
        Self::new(Setup { me, ..Setup::default() })
    }

    pub(super) fn new(setup: Setup) -> Self {
        let layout = setup.layout.unwrap_or_else(|| layout(setup.replicas, setup.fallbacks));
        let (me, shard) = (setup.me, setup.shard);
        let config = ShardConfig {
            index: ShardIndex(shard.0),
            shards: shard.1,
            actor: ActorId(me),
            clock_floor: setup.clock_floor,
            max_drift_ms: 500,
            hedge_after: setup.hedge_after,
            limits: setup.limits,
            seed: (1000 + me) << 32,
        };
        let (layout, catalog) = (Some(layout), setup.catalog);
        let sight = Sight { me, layout, catalog, newest_catalog: 0, down: setup.down, in_doubt: setup.in_doubt };
        let mut bench = Self {
            shard: Shard::new(config, sight.view()),
            now: Now { elapsed: Duration::from_secs(1), unix_ms: WALL },
            sight,
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
            queues: Vec::new(),
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
                Effect::Send { to, lane, message, tag: sent_tag, .. } => {
                    assert_eq!(sent_tag, tag());
                    assert_ne!(to.node, NodeId(self.sight.me), "nobody writes to himself");
                    self.sent.push((to.node.0, lane, message));
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
                Effect::Report(Report::Hints { queues, .. }) => self.queues = queues,
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
            Effect::Load { op, key, .. } => Input::Loaded { op, result: Ok(self.store.get(&key).cloned()) },
            Effect::Scan { op, range, limit_bytes, .. } => {
                let page = page(&self.store, &range, limit_bytes);
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
        self.tell(Input::Peer { from, tag: tag(), until: Duration::MAX, message });
    }

    /// A peer refuses a request of this node.
    pub(super) fn refuse(&mut self, node: u64, op: Op) {
        self.peer(node, Message::Refused { op, failure: Failure::new(FailureKind::Overloaded, "busy") });
    }

    /// The nodes that are down from now on.
    pub(super) fn down(&mut self, down: &[u64]) {
        self.sees(|sight| sight.down = down.to_vec());
    }

    /// The cluster has changed.
    pub(super) fn sees(&mut self, change: impl FnOnce(&mut Sight)) {
        change(&mut self.sight);
        self.tell(Input::View(self.sight.view()));
    }

    /// The same node after a restart, with what its store holds durably; time has gone on.
    pub(super) fn restarted(self, setup: Setup) -> Self {
        let Self { store, now, .. } = self;
        let mut after = Self::new(Setup { clock_floor: Timestamp::from_parts(now.unix_ms + 1000, 0), ..setup });
        (after.store, after.now) = (store, now);
        after
    }

    /// Everything of the engine that belongs to clients.
    pub(super) fn pairs(&self) -> Vec<(StoredKey, Record)> {
        let pairs = self.store.iter().filter(|(key, _)| key.keyspace() != HINTS_KEYSPACE);
        pairs.map(|(key, record)| (key.clone(), record.clone())).collect()
    }

    /// The rows of hints in the engine.
    pub(super) fn hint_rows(&self) -> usize {
        self.store.len() - self.pairs().len()
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
        self.sent_in_lanes().into_iter().map(|(node, _, message)| (node, message)).collect()
    }

    /// The same, and on which lane.
    pub(super) fn sent_in_lanes(&mut self) -> Vec<(u64, Lane, Message)> {
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
        core::mem::take(&mut self.reports)
    }

    /// Nothing is in flight any more, nothing was said that was not looked at.
    pub(super) fn assert_idle(&mut self) {
        assert_eq!(self.shard.operations(), 0, "operations are left");
        assert_eq!((self.replies(), self.sent(), self.reports()), (vec![], vec![], vec![]));
    }
}
