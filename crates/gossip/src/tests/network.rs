//! Owns a simulated network of nodes in virtual time: delay, loss, cuts, crashes and restarts, all
//! from one seed. It judges nothing; that is what the tests are for.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;
use std::{format, string::String};

use super::{Node, address, ms, profile};
use crate::random::Random;
use crate::{Config, Effect, Event, Gossip, Incarnation, Input, Member, Message, State};

enum Item {
    /// A timer of the `life`-th process of a node.
    Timer {
        id: u32,
        life: u64,
    },
    Delivery {
        from: u32,
        to: u32,
        message: Message<u32, u32, u32>,
    },
}

pub(super) struct Network {
    pub(super) config: Config,
    pub(super) loss_percent: u64,
    pub(super) max_delay_ms: u64,
    pub(super) now: Duration,
    nodes: BTreeMap<u32, Node>,
    /// How many processes a node has had; the number of the latest is its incarnation.
    lives: BTreeMap<u32, u64>,
    /// Both directions of each are cut.
    cuts: BTreeSet<(u32, u32)>,
    queue: BTreeMap<(Duration, u64), Item>,
    queued: u64,
    random: Random,
    seed: u64,
    /// All events, by time and node.
    pub(super) log: Vec<(Duration, u32, Event<u32, u32, u32>)>,
    /// All effects, if somebody wants them.
    pub(super) trace: Option<Vec<String>>,
    pub(super) sent: u64,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            config: Config::default(),
            loss_percent: 0,
            max_delay_ms: 10,
            now: Duration::ZERO,
            nodes: BTreeMap::new(),
            lives: BTreeMap::new(),
            cuts: BTreeSet::new(),
            queue: BTreeMap::new(),
            queued: 0,
            random: Random::new(seed ^ 0x6e65_7477_6f72_6b73),
            seed,
            log: Vec::new(),
            trace: None,
            sent: 0,
        }
    }

    /// A cluster of nodes `0..n` that has run long enough for all to know all.
    pub(super) fn settled(seed: u64, n: u32) -> Self {
        let mut network = Self::new(seed);
        (0..n).for_each(|id| network.start(id, &[0]));
        network.run_until_all(Duration::from_secs(10), "the cluster forms", Network::all_see_all_up);
        network.log.clear();
        network
    }

    /// Starts the next process of a node.
    pub(super) fn start(&mut self, id: u32, seeds: &[u32]) {
        let life = self.lives.entry(id).or_default();
        *life += 1;
        let (life, incarnation) = (*life, Incarnation(*life));
        let seeds = seeds.iter().copied().map(address).collect();
        let seed = self.seed.wrapping_mul(1_000_003) ^ u64::from(id) << 20 ^ life;
        let config = self.config.clone();
        let profile = profile(id, 0);
        let node = Gossip::new(config, id, incarnation, profile, seeds, Vec::new(), seed, self.now);
        assert_eq!(node.next_timeout(), Some(self.now));
        self.nodes.insert(id, node);
        self.push(self.now, Item::Timer { id, life });
    }

    pub(super) fn kill(&mut self, id: u32) {
        self.nodes.remove(&id).expect("it runs");
    }

    /// Goes on with a process that was taken out of the network: it knows nothing of the gap.
    pub(super) fn thaw(&mut self, node: Node) {
        let id = *node.me();
        self.nodes.insert(id, node);
        let life = self.lives[&id];
        self.push(self.now, Item::Timer { id, life });
    }

    pub(super) fn cut(&mut self, a: u32, b: u32) {
        self.cuts.insert((a.min(b), a.max(b)));
    }

    /// Cuts every line between nodes below `border` and the others.
    pub(super) fn split_at(&mut self, border: u32) {
        let ids = self.ids();
        for a in ids.iter().filter(|id| **id < border) {
            for b in ids.iter().filter(|id| **id >= border) {
                self.cut(*a, *b);
            }
        }
    }

    pub(super) fn mend(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn input(&mut self, id: u32, input: Input<u32, u32, u32>) {
        let mut effects = Vec::new();
        let node = self.nodes.get_mut(&id).expect("it runs");
        node.handle(self.now, input, &mut effects);
        self.perform(id, effects);
    }

    pub(super) fn node(&self, id: u32) -> &Node {
        &self.nodes[&id]
    }

    pub(super) fn node_mut(&mut self, id: u32) -> &mut Node {
        self.nodes.get_mut(&id).expect("it runs")
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.nodes.keys().copied().collect()
    }

    /// What a node believes of another.
    pub(super) fn state(&self, observer: u32, target: u32) -> Option<State> {
        self.node(observer).member(&target).map(Member::state)
    }

    /// Whether every other running node believes this of `target`.
    pub(super) fn all_others_see(&self, target: u32, state: Option<State>) -> bool {
        let mut others = self.nodes.keys().filter(|id| **id != target);
        others.all(|id| self.state(*id, target) == state)
    }

    /// Whether all running nodes see all running nodes up, and know of no others.
    pub(super) fn all_see_all_up(&self) -> bool {
        self.nodes.values().all(|node| {
            let up = node.members().filter(|it| it.state() == State::Up);
            up.map(Member::id).eq(self.nodes.keys()) && node.members().count() == self.nodes.len()
        })
    }

    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
    }

    /// Runs until the condition holds and tells how long that took; not longer than `limit`.
    pub(super) fn run_until_all(&mut self, limit: Duration, what: &str, condition: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !condition(self) {
            let now = self.now;
            assert!(now - start < limit, "seed {}: not in {limit:?}: {what}", self.seed);
            self.run_for(ms(20));
        }
        self.now - start
    }

    /// Performs the next thing due up to `end`, or moves on to `end` if there is none.
    fn step(&mut self, end: Duration) -> bool {
        let due = self.queue.first_entry().filter(|it| it.key().0 <= end);
        let Some(entry) = due else {
            self.now = end;
            return false;
        };
        let ((now, _), item) = entry.remove_entry();
        self.now = now;
        match item {
            Item::Timer { id, life } => {
                if self.lives[&id] == life
                    && let Some(node) = self.nodes.get_mut(&id)
                {
                    let mut effects = Vec::new();
                    node.handle_timeout(now, &mut effects);
                    let next = node.next_timeout().expect("there is always a next round");
                    assert!(next > now, "time moves on");
                    self.push(next, Item::Timer { id, life });
                    self.perform(id, effects);
                }
            }
            Item::Delivery { from, to, message } => {
                let cut = self.cuts.contains(&(from.min(to), from.max(to)));
                if !cut && self.nodes.contains_key(&to) {
                    self.input(to, Input::Message(message));
                }
            }
        }
        true
    }

    fn perform(&mut self, id: u32, effects: Vec<Effect<u32, u32, u32>>) {
        for effect in effects {
            if let Some(trace) = &mut self.trace {
                trace.push(format!("{:?} {id} {effect:?}", self.now));
            }
            match effect {
                Effect::Event(event) => self.log.push((self.now, id, event)),
                Effect::Send { to, message } => {
                    self.sent += 1;
                    assert_ne!(to, address(id), "nobody talks to itself");
                    if self.random.below(100) < self.loss_percent {
                        continue;
                    }
                    let delay = ms(self.random.below(self.max_delay_ms) + 1);
                    let (from, to) = (id, to - address(0));
                    self.push(self.now + delay, Item::Delivery { from, to, message });
                }
            }
        }
    }

    fn push(&mut self, at: Duration, item: Item) {
        self.queued += 1;
        self.queue.insert((at, self.queued), item);
    }
}
