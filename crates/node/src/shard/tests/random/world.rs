//! A small world: shards that talk to each other in random orders, with loss and repetition, skewed clocks and slow disks; if
//! wanted, with nodes that cannot be reached for a while, or crash, while others stand in for them.

use std::collections::{BTreeMap, VecDeque};

use kvorum_quorum::Level;
use kvorum_vclock::Timestamp;

use super::super::super::*;
use super::super::bench::{Sight, catalog, get, layout, ms, put, request, strict, tag};
use super::faults::{Faults, Random};
use crate::{KeyRange, ShardIndex};

pub(super) struct Node {
    pub(super) shard: Shard,
    skew_ms: u64,
    pub(super) sight: Sight,
    pub(super) is_away: bool,
    pub(super) store: BTreeMap<StoredKey, Record>,
    pub(super) log: VecDeque<(LogSeq, StoredKey, Option<Record>)>,
    pub(super) loads: Vec<(Op, StoredKey)>,
    pub(super) scans: Vec<(Op, KeyRange, u32)>,
}

/// A request and its answer, with the steps at which they happened.
pub(super) struct Call {
    pub(super) key: usize,
    pub(super) node: usize,
    pub(super) is_strict: bool,
    pub(super) value: Option<String>,
    pub(super) invoked: u64,
    pub(super) completed: Option<(u64, Response)>,
    /// Whether the node that was asked has crashed since.
    pub(super) is_lost: bool,
}

/// Nodes 1 to 3 hold every key, the others forward, or stand in.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) faults: Faults,
    step: u64,
    elapsed: Duration,
    /// How many processes there were.
    processes: u64,
    pub(super) nodes: Vec<Node>,
    /// From whom, to whom, what.
    bag: Vec<(PeerShard, NodeId, Message)>,
    pub(super) calls: Vec<Call>,
    /// The most rows of hints that there ever were.
    pub(super) most_hints: usize,
}

pub(super) const KEYS: usize = 3;

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let count = if faults.absence { 5 } else { 4 };
        let mut world = Self {
            random: Random(seed),
            faults,
            step: 0,
            elapsed: Duration::ZERO,
            processes: 0,
            nodes: Vec::new(),
            bag: Vec::new(),
            calls: Vec::new(),
            most_hints: 0,
        };
        for me in 1..=count {
            let layout = Some(layout(3, faults.absence));
            let down = if faults.absence { Vec::new() } else { vec![5] };
            let sight = Sight { me, layout, catalog: catalog(), newest_catalog: 0, down, in_doubt: Vec::new() };
            let (shard, skew_ms) = (world.process(&sight, Timestamp::MIN), world.random.next() % 400);
            let (store, log, loads, scans) = (BTreeMap::new(), VecDeque::new(), Vec::new(), Vec::new());
            world.nodes.push(Node { shard, skew_ms, sight, is_away: false, store, log, loads, scans });
        }
        if faults.absence {
            (0..world.nodes.len()).for_each(|node| world.tell(node, Input::Started));
        }
        world
    }

    /// A process of a node, with an actor of its own.
    pub(super) fn process(&mut self, sight: &Sight, clock_floor: Timestamp) -> Shard {
        self.processes += 1;
        let config = ShardConfig {
            index: ShardIndex(0),
            shards: 1,
            actor: ActorId(self.processes),
            clock_floor,
            max_drift_ms: if self.faults.crashes { 5000 } else { 500 },
            hedge_after: ms(50),
            limits: Limits::default(),
            seed: self.random.next(),
        };
        let mut shard = Shard::new(config, sight.view());
        let now = Now { elapsed: self.elapsed, unix_ms: 0 };
        shard.handle(now, Input::ClockCeiling(Timestamp::MAX), &mut Vec::new());
        shard
    }

    pub(super) fn now(&self, node: usize) -> Now {
        let unix_ms = 1_000_000 + self.nodes[node].skew_ms + u64::try_from(self.elapsed.as_millis()).unwrap();
        Now { elapsed: self.elapsed, unix_ms }
    }

    pub(super) fn tell(&mut self, node: usize, input: Input) {
        let (now, mut effects) = (self.now(node), Vec::new());
        self.nodes[node].shard.handle(now, input, &mut effects);
        self.perform(node, effects);
    }

    fn perform(&mut self, node: usize, effects: Vec<Effect>) {
        let me = PeerShard { node: NodeId(node as u64 + 1), shard: ShardIndex(0) };
        for effect in effects {
            match effect {
                Effect::Reply { to, response } => {
                    let call = &mut self.calls[to.request as usize];
                    assert!(call.completed.is_none(), "request {} is answered once", to.request);
                    call.completed = Some((self.step, response));
                }
                Effect::Send { to, message, .. } => self.bag.push((me, to.node, message)),
                Effect::Append { seq, key, record } => self.nodes[node].log.push_back((seq, key, Some(record))),
                Effect::Erase { seq, key } => self.nodes[node].log.push_back((seq, key, None)),
                Effect::Load { op, key, .. } => {
                    self.nodes[node].loads.push((op, key));
                    self.tell(node, Input::Loading { op });
                }
                Effect::Scan { op, range, limit_bytes, .. } => self.nodes[node].scans.push((op, range, limit_bytes)),
                Effect::Report(_) => {}
            }
        }
    }

    fn call(&mut self) {
        let (key, node) = (self.random.below(KEYS), self.random.below(self.nodes.len()));
        let name = format!("k{key}");
        let value = (!self.random.one_in(3)).then(|| format!("v{}", self.calls.len()));
        let operation =
            value.as_ref().map_or_else(|| get(&name, Level::Quorum), |value| put(&name, value, Level::Quorum));
        let is_strict = self.faults.absence && self.random.one_in(2);
        let operation = if is_strict { strict(operation) } else { operation };
        self.invoke(key, node, is_strict, value, operation);
        if self.random.one_in(4) {
            self.invoke(key, node, false, None, Operation::Why { key: Bytes::from(name) });
        }
    }

    fn invoke(&mut self, key: usize, node: usize, is_strict: bool, value: Option<String>, operation: Operation) {
        let from = ClientRef { session: 0, request: self.calls.len() as u64 };
        self.calls.push(Call { key, node, is_strict, value, invoked: self.step, completed: None, is_lost: false });
        self.tell(node, Input::Client { from, request: request(operation, ms(500)) });
    }

    /// Delivers, loses or repeats a message that is on its way.
    fn deliver(&mut self) {
        if self.bag.is_empty() {
            return;
        }
        let at = self.random.below(self.bag.len());
        let (from, to, message) = self.bag.swap_remove(at);
        let (sender, receiver) = (from.node.0 as usize - 1, to.0 as usize - 1);
        // A forwarded request is no record that merges: a stream never repeats it.
        let may_repeat = !matches!(message, Message::Forward { .. });
        if self.faults.repetition && may_repeat && self.random.one_in(8) {
            self.bag.push((from, to, message.clone()));
        }
        let is_cut = self.nodes[sender].is_away || self.nodes[receiver].is_away;
        if is_cut || self.faults.loss && self.random.one_in(12) {
            if message.is_request() && self.random.one_in(2) {
                self.tell(sender, Input::Unsent { to, op: message.op() });
            }
            return;
        }
        self.tell(receiver, Input::Peer { from, tag: tag(), until: Duration::MAX, message });
    }

    fn sync(&mut self, node: usize) {
        let some = self.random.below(self.nodes[node].log.len() + 1);
        if let Some(seq) = self.store(node, some) {
            self.tell(node, Input::Durable(seq));
        }
    }

    /// Makes the oldest so many appends durable, without a word.
    pub(super) fn store(&mut self, node: usize, some: usize) -> Option<LogSeq> {
        let Node { log, store, .. } = &mut self.nodes[node];
        let seq = log[some.checked_sub(1)?].0;
        for (_, key, record) in log.drain(..some) {
            match record {
                Some(record) => store.insert(key, record),
                None => store.remove(&key),
            };
        }
        Some(seq)
    }

    fn load(&mut self, node: usize) {
        let Node { loads, scans, store, .. } = &mut self.nodes[node];
        let at = self.random.below((loads.len() + scans.len()).max(1));
        let input = if at < loads.len() {
            let (op, key) = loads.swap_remove(at);
            Input::Loaded { op, result: Ok(store.get(&key).cloned()) }
        } else if !scans.is_empty() {
            let (op, range, limit_bytes) = scans.swap_remove(at - loads.len());
            Input::Scanned { op, result: Ok(super::super::bench::page(store, &range, limit_bytes)) }
        } else {
            return;
        };
        self.tell(node, input);
    }

    fn pass_time(&mut self, span: Duration) {
        self.elapsed += span;
        for node in 0..self.nodes.len() {
            if self.nodes[node].shard.next_timeout().is_some_and(|at| at <= self.elapsed) {
                let (now, mut effects) = (self.now(node), Vec::new());
                self.nodes[node].shard.handle_timeout(now, &mut effects);
                self.perform(node, effects);
            }
        }
        self.most_hints = self.most_hints.max(self.hints());
    }

    fn step(&mut self, calls: bool) {
        self.step += 1;
        let node = self.random.below(self.nodes.len());
        match self.random.below(20) {
            0 if calls => self.call(),
            0..=9 => self.deliver(),
            10..=13 => self.load(node),
            14..=17 => self.sync(node),
            18 => self.pass_time(ms(2)),
            _ if self.faults.loss && self.random.one_in(40) => {
                let lost = NodeId(self.random.next() % 3 + 1);
                if lost.0 as usize != node + 1 {
                    self.tell(node, Input::PeerLost(lost));
                }
            }
            _ if calls && self.faults.absence => match self.random.below(12) {
                0 => self.come_or_go(),
                1..=3 => self.look(node),
                _ => {}
            },
            _ => {}
        }
    }

    pub(super) fn run(&mut self, steps: usize) {
        (0..steps).for_each(|_| self.step(true));
        if self.faults.absence {
            self.nodes.iter_mut().for_each(|node| node.is_away = false);
            (0..self.nodes.len()).for_each(|node| self.look(node));
        }
        // What is on its way arrives, or its time runs out; what is kept is delivered.
        self.settle();
        for round in 0..200 {
            if round >= 3 && self.hints() == 0 {
                break;
            }
            // What fails again and again is tried ever more seldom; in the end nothing is lost any more.
            self.faults.loss &= round < 20;
            self.pass_time(ms(600));
            (0..2000).for_each(|_| self.step(false));
        }
        self.settle();
    }

    /// How many rows of hints there are.
    fn hints(&self) -> usize {
        let hints = |node: &Node| node.store.keys().filter(|key| key.keyspace() == HINTS_KEYSPACE).count();
        self.nodes.iter().map(hints).sum()
    }

    fn settle(&mut self) {
        let is_busy = |node: &Node| !(node.log.is_empty() && node.loads.is_empty() && node.scans.is_empty());
        while !self.bag.is_empty() || self.nodes.iter().any(is_busy) {
            self.step(false);
        }
    }

    /// Reads every key at all its replicas, which are repaired by that. Nothing is lost any more.
    pub(super) fn read_all(&mut self) {
        self.faults.loss = false;
        let from = self.calls.len();
        for key in 0..KEYS {
            let client = ClientRef { session: 0, request: self.calls.len() as u64 };
            let (invoked, is_strict) = (self.step, false);
            self.calls.push(Call { key, node: 0, is_strict, value: None, invoked, completed: None, is_lost: false });
            let operation = get(&format!("k{key}"), Level::All);
            self.tell(0, Input::Client { from: client, request: request(operation, ms(60_000)) });
        }
        self.settle();
        let is_read = |call: &Call| matches!(call.completed, Some((_, Response::Value { .. })));
        assert!(self.calls[from..].iter().all(is_read), "every replica can be read");
    }
}
