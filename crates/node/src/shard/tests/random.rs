//! Several shards that talk to each other in random orders, with loss and repetition, skewed clocks and slow disks.
//! Whatever happens, every request ends once, what was acknowledged is there, and replicas that heard everything
//! agree.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kvorum_quorum::Level;
use kvorum_vclock::Timestamp;

use super::super::*;
use super::bench::{get, layout, ms, put, request, tag, value_of, view};
use crate::{FailureKind, ShardIndex};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What may go wrong in a run.
#[derive(Clone, Copy)]
struct Faults {
    loss: bool,
    repetition: bool,
}

struct Node {
    shard: Shard,
    skew_ms: u64,
    store: BTreeMap<StoredKey, Record>,
    log: VecDeque<(LogSeq, StoredKey, Option<Record>)>,
    loads: Vec<(Op, StoredKey)>,
}

/// A request and its answer, with the steps at which they happened.
struct Call {
    key: usize,
    value: Option<String>,
    invoked: u64,
    completed: Option<(u64, Response)>,
}

/// Nodes 1 to 3 hold every key, node 4 forwards.
struct World {
    random: Random,
    faults: Faults,
    step: u64,
    elapsed: Duration,
    nodes: Vec<Node>,
    /// From whom, to whom, what.
    bag: Vec<(PeerShard, NodeId, Message)>,
    calls: Vec<Call>,
}

const KEYS: usize = 3;

impl World {
    fn new(seed: u64, faults: Faults) -> Self {
        let mut random = Random(seed);
        let nodes = (1..=4).map(|me| {
            let config = ShardConfig {
                index: ShardIndex(0),
                shards: 1,
                actor: ActorId(me),
                clock_floor: Timestamp::MIN,
                max_drift_ms: 500,
                hedge_after: ms(50),
                limits: Limits::default(),
                seed: random.next(),
            };
            let mut shard = Shard::new(config, view(me, Some(layout(3, false)), &[5]));
            let now = Now { elapsed: Duration::ZERO, unix_ms: 0 };
            shard.handle(now, Input::ClockCeiling(Timestamp::MAX), &mut Vec::new());
            let skew_ms = random.next() % 400;
            Node { shard, skew_ms, store: BTreeMap::new(), log: VecDeque::new(), loads: Vec::new() }
        });
        let nodes = nodes.collect();
        Self { random, faults, step: 0, elapsed: Duration::ZERO, nodes, bag: Vec::new(), calls: Vec::new() }
    }

    fn now(&self, node: usize) -> Now {
        let unix_ms = 1_000_000 + self.nodes[node].skew_ms + u64::try_from(self.elapsed.as_millis()).unwrap();
        Now { elapsed: self.elapsed, unix_ms }
    }

    fn tell(&mut self, node: usize, input: Input) {
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
                Effect::Load { op, key } => {
                    self.nodes[node].loads.push((op, key));
                    self.tell(node, Input::Loading { op });
                }
                Effect::Scan { .. } => unreachable!("nobody scans"),
                Effect::Report(_) => {}
            }
        }
    }

    fn call(&mut self) {
        let (key, node) = (self.random.below(KEYS), self.random.below(4));
        let name = format!("k{key}");
        let value = (!self.random.one_in(3)).then(|| format!("v{}", self.calls.len()));
        let operation =
            value.as_ref().map_or_else(|| get(&name, Level::Quorum), |value| put(&name, value, Level::Quorum));
        let from = ClientRef { session: 0, request: self.calls.len() as u64 };
        self.calls.push(Call { key, value, invoked: self.step, completed: None });
        self.tell(node, Input::Client { from, request: request(operation, ms(500)) });
    }

    /// Delivers, loses or repeats a message that is on its way.
    fn deliver(&mut self) {
        if self.bag.is_empty() {
            return;
        }
        let at = self.random.below(self.bag.len());
        let (from, to, message) = self.bag.swap_remove(at);
        // A forwarded request is no record that merges: a stream never repeats it.
        let may_repeat = !matches!(message, Message::Forward { .. });
        if self.faults.repetition && may_repeat && self.random.one_in(8) {
            self.bag.push((from, to, message.clone()));
        }
        if self.faults.loss && self.random.one_in(12) {
            if message.is_request() && self.random.one_in(2) {
                self.tell(from.node.0 as usize - 1, Input::Unsent { to, op: message.op() });
            }
            return;
        }
        self.tell(to.0 as usize - 1, Input::Peer { from, tag: tag(), message });
    }

    fn sync(&mut self, node: usize) {
        let some = self.random.below(self.nodes[node].log.len() + 1);
        let Node { log, store, .. } = &mut self.nodes[node];
        let Some((seq, ..)) = some.checked_sub(1).map(|last| log[last].clone()) else { return };
        for (_, key, record) in log.drain(..some) {
            match record {
                Some(record) => store.insert(key, record),
                None => store.remove(&key),
            };
        }
        self.tell(node, Input::Durable(seq));
    }

    fn load(&mut self, node: usize) {
        if self.nodes[node].loads.is_empty() {
            return;
        }
        let at = self.random.below(self.nodes[node].loads.len());
        let (op, key) = self.nodes[node].loads.swap_remove(at);
        let result = Ok(self.nodes[node].store.get(&key).cloned());
        self.tell(node, Input::Loaded { op, result });
    }

    fn pass_time(&mut self, span: Duration) {
        self.elapsed += span;
        for node in 0..4 {
            if self.nodes[node].shard.next_timeout().is_some_and(|at| at <= self.elapsed) {
                let (now, mut effects) = (self.now(node), Vec::new());
                self.nodes[node].shard.handle_timeout(now, &mut effects);
                self.perform(node, effects);
            }
        }
    }

    fn step(&mut self, calls: bool) {
        self.step += 1;
        let node = self.random.below(4);
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
            _ => {}
        }
    }

    fn run(&mut self) {
        (0..1500).for_each(|_| self.step(true));
        // What is on its way arrives, or its time runs out.
        while !self.bag.is_empty() || self.nodes.iter().any(|node| !node.log.is_empty() || !node.loads.is_empty()) {
            self.step(false);
        }
        for _ in 0..3 {
            self.pass_time(ms(600));
            (0..2000).for_each(|_| self.step(false));
        }
    }

    fn acknowledged(&self) -> usize {
        let is_written = |call: &&Call| matches!(call.completed, Some((_, Response::Written { .. })));
        self.calls.iter().filter(is_written).count()
    }

    fn check(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            assert_eq!(node.shard.operations(), 0, "operations are left at node {}", number + 1);
            assert_eq!(node.shard.overlaid_keys(), 0, "keys are overlaid at node {}", number + 1);
        }
        let known: BTreeSet<&str> = self.calls.iter().filter_map(|call| call.value.as_deref()).collect();
        for call in &self.calls {
            let Some((_, response)) = &call.completed else { panic!("a request got no answer") };
            match response {
                Response::Value { record: Some(record), .. } => {
                    assert!(known.contains(core::str::from_utf8(&value_of(record).unwrap()).unwrap()));
                }
                Response::Failed(failure) if failure.kind == FailureKind::Rejected => {
                    let value = call.value.as_deref().map(str::as_bytes);
                    let stored = self
                        .nodes
                        .iter()
                        .flat_map(|node| node.store.values())
                        .any(|record| value_of(record).as_deref() == value);
                    assert!(!stored, "a rejected write is stored: {}", failure.message);
                }
                _ => {}
            }
        }
        for key in 0..KEYS {
            self.check_key(key);
        }
    }

    /// What was acknowledged is held by two replicas, seen by later reads, and followed by later writes.
    fn check_key(&self, key: usize) {
        let calls: Vec<&Call> = self.calls.iter().filter(|call| call.key == key).collect();
        for call in &calls {
            let Some((completed, Response::Written { dot, .. })) = &call.completed else { continue };
            let name = super::bench::key(&format!("k{key}"));
            let held = |node: &&Node| node.store.get(&name).is_some_and(|held| held.dot() >= *dot);
            assert!(self.nodes.iter().filter(held).count() >= 2, "an acknowledged write is held by too few");
            for later in calls.iter().filter(|later| later.invoked > *completed) {
                match &later.completed {
                    Some((_, Response::Written { dot: next, .. })) => {
                        assert!(next > dot, "a write that began later must win: {next:?}, {dot:?}");
                    }
                    Some((_, Response::Value { record: seen, .. })) => {
                        let seen = seen.as_ref().map(Record::dot);
                        assert!(seen >= Some(*dot), "an acknowledged write is not seen: {seen:?}, {dot:?}");
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Runs one world to its end and checks it. A seed that fails is printed and replays.
fn run(seed: u64, faults: Faults) -> World {
    println!("seed {seed}");
    let mut world = World::new(seed, faults);
    world.run();
    world.check();
    world
}

#[test]
fn replicas_that_heard_everything_agree() {
    let mut acknowledged = 0;
    for seed in 0..300 {
        let world = run(seed, Faults { loss: false, repetition: true });
        assert_eq!(world.nodes[0].store, world.nodes[1].store);
        assert_eq!(world.nodes[1].store, world.nodes[2].store);
        assert!(world.nodes[3].store.is_empty(), "it is no replica");
        acknowledged += world.acknowledged();
    }
    assert!(acknowledged > 5000, "{acknowledged} writes are too few to tell");
}

#[test]
fn what_is_acknowledged_survives_loss_and_repetition() {
    let mut acknowledged = 0;
    for seed in 1000..1300 {
        acknowledged += run(seed, Faults { loss: true, repetition: true }).acknowledged();
    }
    assert!(acknowledged > 5000, "{acknowledged} writes are too few to tell");
}
