//! Owns a simulated network of nodes in virtual time: delay, loss, duplicates, cuts, pauses, crashes and restarts, all from
//! one seed. It judges nobody; that is what the tests are for.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use kvorum_gossip::{
    ClusterTag, Config, Effect, Envelope, Event, Gossip, Incarnation, Input, Member, Message, MessageKind, Setup, State,
};

pub(crate) type Id = u64;
pub(crate) type Node = Gossip<Id, SocketAddr>;
pub(crate) type Noted = Event<Id, SocketAddr>;
type Packet = Message<Id, SocketAddr>;

/// How many messages wait for a node that does not run; the rest is lost.
const BACKLOG: usize = 256;
/// What UDP and IPv4 add to a message.
const HEADERS: usize = 28;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Ids are scattered, so that nothing follows from their order.
pub(crate) fn id(node: usize) -> Id {
    (node as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The node with this id.
pub(crate) fn index(id: Id) -> usize {
    id.wrapping_mul(0xf1de_83e1_9937_733d).wrapping_sub(1) as usize
}

pub(crate) fn address(node: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + node as u32), 7946))
}

fn node_at(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(it) => (u32::from(*it.ip()) - 0x0a00_0000) as usize,
        SocketAddr::V6(_) => panic!("there is no such address here"),
    }
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

enum Item {
    /// The timer of a node that was set last, if it has this number.
    Timer {
        node: usize,
        number: u64,
    },
    Delivery {
        from: usize,
        to: usize,
        message: Packet,
    },
    /// A paused node runs again.
    Resume {
        node: usize,
    },
}

/// The earliest is the greatest; of two at the same time the one that was queued first.
struct Due(Duration, u64, Item);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (other.0, other.1).cmp(&(self.0, self.1))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) largest: usize,
}

pub(crate) struct Network {
    pub(crate) config: Config,
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    pub(crate) max_delay_ms: u64,
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Option<Node>>,
    /// How many processes a node has had; the number of the latest is its incarnation.
    pub(crate) lives: Vec<u64>,
    timers: Vec<u64>,
    /// What waits for a node that is paused.
    paused: Vec<Option<VecDeque<(usize, Packet)>>>,
    /// Messages from one to the other are lost.
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    /// Messages between nodes on different sides are lost.
    pub(crate) sides: Vec<u8>,
    queue: BinaryHeap<Due>,
    queued: u64,
    pub(crate) random: Random,
    pub(crate) seed: u64,
    /// All events but those of metadata, by time and node.
    pub(crate) log: Vec<(Duration, usize, Noted)>,
    /// Whether messages are counted, and go through their bytes.
    pub(crate) counts_traffic: bool,
    pub(crate) traffic: Traffic,
    /// How many rounds were run, by all nodes together.
    pub(crate) rounds: u64,
    /// Tells the time outside, for those who want to know how long the machines took in all.
    pub(crate) stopwatch: Option<fn() -> Duration>,
    pub(crate) spent: Duration,
}

impl Network {
    pub(crate) fn new(seed: u64, config: Config) -> Self {
        Self {
            config,
            loss_percent: 0,
            duplicate_percent: 0,
            max_delay_ms: 10,
            now: Duration::ZERO,
            nodes: Vec::new(),
            lives: Vec::new(),
            timers: Vec::new(),
            paused: Vec::new(),
            cuts: BTreeSet::new(),
            sides: Vec::new(),
            queue: BinaryHeap::new(),
            queued: 0,
            random: Random(seed ^ 0x6e65_7477_6f72_6b73),
            seed,
            log: Vec::new(),
            counts_traffic: false,
            traffic: Traffic::default(),
            rounds: 0,
            stopwatch: None,
            spent: Duration::ZERO,
        }
    }

    /// A cluster of so many nodes that know each other, and have nothing new to tell.
    pub(crate) fn settled(seed: u64, n: usize, config: Config) -> Self {
        let mut network = Self::new(seed, config);
        (0..n).for_each(|node| network.start(node, &[0, n / 2]));
        network.introduce_all();
        let quiet = network.config.round_interval * 20;
        network.run_until(quiet * 20, "the cluster forms", Network::all_see_all_up);
        network.run_for(quiet);
        network.log.clear();
        network
    }

    /// Tells every node of all others at once, what a thousand nodes would need some seconds for, and that this is no news to
    /// anybody.
    fn introduce_all(&mut self) {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let now = self.now;
        let say = |node: &mut Node| {
            let mut out = Vec::new();
            node.handle(now, Input::Contact(nobody), &mut out);
            let Some(Effect::Send { message, .. }) = out.pop() else { panic!("it opens an exchange") };
            message
        };
        // A contact is told all that is new, which is what the node says of itself.
        let mut deltas: Vec<_> = self.nodes.iter_mut().flatten().flat_map(|node| say(node).deltas).collect();
        deltas.sort_by_key(|delta| *delta.id());
        deltas.dedup_by_key(|delta| *delta.id());
        let mut agreement: Option<Packet> = None;
        for node in self.nodes.iter_mut().flatten() {
            let greeting = say(node);
            let everything =
                Packet { kind: MessageKind::Ack2, deltas: deltas.clone(), digests: Vec::new(), ..greeting };
            node.handle(now, Input::Message(Packet { address: nobody, ..everything }), &mut Vec::new());
            let agreement = agreement.get_or_insert_with(|| Packet {
                kind: MessageKind::Syn,
                address: nobody,
                deltas: Vec::new(),
                digests: Vec::new(),
                range: None,
                wanted: Vec::new(),
                ..say(node)
            });
            for _ in 0..8 {
                node.handle(now, Input::Message(agreement.clone()), &mut Vec::new());
            }
        }
    }

    /// Starts the next process of a node.
    pub(crate) fn start(&mut self, node: usize, seeds: &[usize]) {
        while self.nodes.len() <= node {
            self.nodes.push(None);
            self.lives.push(0);
            self.timers.push(0);
            self.paused.push(None);
            self.sides.push(0);
        }
        self.lives[node] += 1;
        let life = self.lives[node];
        let setup = Setup {
            incarnation: Incarnation(life),
            seeds: seeds.iter().map(|seed| address(*seed)).collect(),
            random_seed: self.seed.wrapping_mul(1_000_003) ^ (node as u64) << 20 ^ life,
            ..Setup::new(id(node), address(node))
        };
        let started = Gossip::new(self.config.clone(), setup, self.now).expect("the configuration is valid");
        assert_eq!(started.next_timeout(), Some(self.now));
        self.nodes[node] = Some(started);
        // Processes do not start at the very same moment.
        let interval = self.config.round_interval.as_micros() as u64;
        let offset = Duration::from_micros(self.random.below(interval));
        self.set_timer(node, self.now + offset);
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].take().expect("it runs");
        self.paused[node] = None;
    }

    /// From now on the node handles neither messages nor time, until so much later.
    pub(crate) fn pause(&mut self, node: usize, span: Duration) {
        if self.nodes[node].is_some() && self.paused[node].is_none() {
            self.paused[node] = Some(VecDeque::new());
            self.push(self.now + span, Item::Resume { node });
        }
    }

    /// Cuts the line between two nodes, both ways.
    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        self.cuts.extend([(a, b), (b, a)]);
    }

    pub(crate) fn mend(&mut self) {
        self.cuts.clear();
        self.sides.fill(0);
    }

    pub(crate) fn input(&mut self, node: usize, input: Input<Id, SocketAddr>) {
        let (now, start) = (self.now, self.stopwatch.map(|now| now()));
        let mut effects = Vec::new();
        self.node_mut(node).handle(now, input, &mut effects);
        self.stop(start);
        self.perform(node, effects);
    }

    pub(crate) fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("it runs")
    }

    pub(crate) fn node_mut(&mut self, node: usize) -> &mut Node {
        self.nodes[node].as_mut().expect("it runs")
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.is_some()).map(|(node, _)| node)
    }

    /// What a node believes of another.
    pub(crate) fn state(&self, observer: usize, target: usize) -> Option<State> {
        self.node(observer).member(&id(target)).map(|member| member.state())
    }

    /// Whether every other running node believes this of `target`.
    pub(crate) fn all_others_see(&self, target: usize, state: Option<State>) -> bool {
        self.running().filter(|node| *node != target).all(|node| self.state(node, target) == state)
    }

    /// Whether all running nodes see all running nodes up, and know of no others.
    pub(crate) fn all_see_all_up(&self) -> bool {
        let running = self.running().count();
        self.nodes.iter().flatten().all(|node| {
            let up = |member: Member<'_, Id, SocketAddr>| {
                member.state() == State::Up && self.nodes[index(*member.id())].is_some()
            };
            node.members().all(up) && node.members().count() == running
        })
    }

    /// Who was believed to be `state` by anybody, and by whom, in order.
    pub(crate) fn verdicts(&self, state: State) -> Vec<(usize, usize)> {
        let changes = self.log.iter().filter_map(|(_, at, event)| match event {
            Event::StateChanged { id, to, .. } if *to == state => Some((*at, index(*id))),
            _ => None,
        });
        changes.collect()
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
    }

    pub(crate) fn run_rounds(&mut self, rounds: u32) {
        self.run_for(self.config.round_interval * rounds);
    }

    /// Runs until the condition holds and tells how long that took; not longer than `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, what: &str, condition: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !condition(self) {
            assert!(self.now - start < limit, "seed {}: not within {limit:?}: {what}", self.seed);
            self.run_for(self.config.round_interval / 4);
        }
        self.now - start
    }

    /// Performs the next thing due up to `end`, or moves on to `end` if there is none.
    fn step(&mut self, end: Duration) -> bool {
        if self.queue.peek().is_none_or(|due| due.0 > end) {
            self.now = end;
            return false;
        }
        let Some(Due(now, _, item)) = self.queue.pop() else { return false };
        self.now = now;
        match item {
            Item::Timer { node, number } if self.timers[node] == number => {
                if self.paused[node].is_none()
                    && let Some(it) = self.nodes[node].as_mut()
                {
                    let start = self.stopwatch.map(|now| now());
                    let mut effects = Vec::new();
                    it.handle_timeout(now, &mut effects);
                    let next = it.next_timeout().expect("there is always a next round");
                    assert!(next > now, "time moves on");
                    self.stop(start);
                    self.rounds += 1;
                    self.set_timer(node, next);
                    self.perform(node, effects);
                }
            }
            Item::Timer { .. } => {}
            Item::Delivery { from, to, message } => self.deliver(from, to, message),
            Item::Resume { node } => {
                let backlog = self.paused[node].take().unwrap_or_default();
                // Which of the two comes first depends on the program around the machine.
                let timer_first = self.random.below(2) == 0;
                if timer_first {
                    self.set_timer(node, now);
                }
                for (from, message) in backlog {
                    self.push(now, Item::Delivery { from, to: node, message });
                }
                if !timer_first {
                    self.set_timer(node, now);
                }
            }
        }
        true
    }

    fn deliver(&mut self, from: usize, to: usize, message: Packet) {
        if self.cuts.contains(&(from, to)) || self.sides[from] != self.sides[to] || self.nodes[to].is_none() {
            return;
        }
        if let Some(backlog) = &mut self.paused[to] {
            if backlog.len() < BACKLOG {
                backlog.push_back((from, message));
            }
            return;
        }
        self.input(to, Input::Message(message));
    }

    fn perform(&mut self, from: usize, effects: Vec<Effect<Id, SocketAddr>>) {
        for effect in effects {
            match effect {
                Effect::Event(Event::MetaChanged { .. }) => {}
                Effect::Event(event) => self.log.push((self.now, from, event)),
                Effect::Send { to, message } => {
                    assert_ne!(to, address(from), "nobody talks to itself");
                    let message = if self.counts_traffic { self.count(message) } else { message };
                    let copies = 1 + u64::from(self.random.below(100) < self.duplicate_percent);
                    for _ in 0..copies {
                        let is_nowhere = node_at(to) >= self.nodes.len();
                        if self.random.below(100) < self.loss_percent || is_nowhere {
                            continue;
                        }
                        let delay = Duration::from_micros(self.random.below(self.max_delay_ms * 1000) + 100);
                        let (to, message) = (node_at(to), message.clone());
                        self.push(self.now + delay, Item::Delivery { from, to, message });
                    }
                }
            }
        }
    }

    /// Sends a message through its bytes.
    fn count(&mut self, message: Packet) -> Packet {
        let envelope = Envelope::new(ClusterTag::from(1)).with_key([7; 32]);
        let bytes = envelope.seal(&message);
        assert!(bytes.len() <= self.config.message_bytes, "{} bytes: {message:?}", bytes.len());
        self.traffic.messages += 1;
        self.traffic.bytes += (bytes.len() + HEADERS) as u64;
        self.traffic.largest = self.traffic.largest.max(bytes.len());
        let opened = envelope.open(&bytes).expect("what is sealed can be opened");
        assert_eq!(opened, message);
        opened
    }

    fn stop(&mut self, start: Option<Duration>) {
        if let (Some(now), Some(start)) = (self.stopwatch, start) {
            self.spent += now() - start;
        }
    }

    fn set_timer(&mut self, node: usize, at: Duration) {
        self.timers[node] += 1;
        let number = self.timers[node];
        self.push(at, Item::Timer { node, number });
    }

    fn push(&mut self, at: Duration, item: Item) {
        self.queued += 1;
        self.queue.push(Due(at, self.queued, item));
    }
}
