//! What every simulated process shares: virtual time, the queue, the network, the trace and the counts. It carries
//! messages to where they go, and runs no machine.

use core::time::Duration;

use kvorum_node::{Address, ClientRef, ControlMessage, EpochPhase, Message, NodeId, PeerShard, Response};

use crate::config::{Sabotage, SimConfig};
use crate::event::{Event, HostIndex, Life, Local, Queue, Way};
use crate::network::{Fate, HostSet, Network};
use crate::random::{Purpose, Random};
use crate::report::Stats;
use crate::trace::{Trace, TraceSink};

pub(crate) struct Environment {
    pub(crate) now: Duration,
    pub(crate) queue: Queue,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) stats: Stats,
    pub(crate) disk_random: Random,
    pub(crate) identities: Random,
    /// In a thousand saves.
    pub(crate) failed_saves: u16,
    repeat_forwards: bool,
    slow_disks: bool,
    hosts: Vec<Entry>,
}

struct Entry {
    id: NodeId,
    address: Address,
    life: Life,
}

impl Environment {
    pub(crate) fn new(config: &SimConfig, sink: Option<TraceSink>) -> Self {
        let mut identities = Random::stream(config.seed, Purpose::Identity);
        let entry = |host| Entry { id: NodeId(identities.next()), address: format!("n{host}:7401").into(), life: 0 };
        let hosts = (0..config.nodes).map(entry).collect();
        Self {
            now: Duration::ZERO,
            queue: Queue::default(),
            network: Network::new(Random::stream(config.seed, Purpose::Network), config.nodes),
            trace: Trace::new(sink),
            stats: Stats::default(),
            disk_random: Random::stream(config.seed, Purpose::Disk),
            identities,
            failed_saves: config.faults.failed_saves_permille,
            slow_disks: config.slow_disks,
            repeat_forwards: config.sabotage == Some(Sabotage::RepeatForwards),
            hosts,
        }
    }

    pub(crate) fn id(&self, host: HostIndex) -> NodeId {
        self.hosts[host].id
    }

    pub(crate) fn address(&self, host: HostIndex) -> Address {
        Address::clone(&self.hosts[host].address)
    }

    fn host_of(&self, id: NodeId) -> HostIndex {
        self.hosts.iter().position(|host| host.id == id).expect("nodes speak only to nodes of their cluster")
    }

    pub(crate) fn life(&self, host: HostIndex) -> Life {
        self.hosts[host].life
    }

    pub(crate) fn is_up(&self, host: HostIndex) -> bool {
        self.life(host) % 2 == 1
    }

    /// A process starts, or dies.
    pub(crate) fn next_life(&mut self, host: HostIndex) -> Life {
        self.hosts[host].life += 1;
        self.hosts[host].life
    }

    pub(crate) fn down(&self) -> HostSet {
        let down = (0..self.hosts.len()).filter(|host| !self.is_up(*host));
        down.fold(HostSet(0), |set, host| HostSet(set.0 | HostSet::single(host).0))
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.queue.push(self.now + delay, event);
    }

    /// Something inside a process, which comes to nothing if that one dies before.
    pub(crate) fn local(&mut self, host: HostIndex, delay: Duration, local: Local) {
        let life = self.life(host);
        self.after(delay, Event::Local { host, life, local });
    }

    /// How long a log takes to write a group and sync it.
    pub(crate) fn flush_latency(&mut self) -> Duration {
        match (self.disk_random.permille(30), self.slow_disks) {
            (true, _) => self.disk_random.millis(5, 150),
            (false, true) => self.disk_random.millis(5, 60),
            (false, false) => self.disk_random.micros(100, 3000),
        }
    }

    fn way(&self, from: HostIndex, to: HostIndex) -> Way {
        Way { from: (from, self.life(from)), to: (to, self.life(to)) }
    }

    /// Sends a message to a shard; whether the sender may believe that it left.
    pub(crate) fn send(&mut self, from: PeerShard, to: PeerShard, tag: EpochPhase, message: &Message) -> bool {
        let way = self.way(self.host_of(from.node), self.host_of(to.node));
        let is_forward = matches!(message, Message::Forward { .. });
        self.stats.forwarded += u64::from(is_forward);
        // A forwarded request names no dot, so coordinating it twice would write twice: see the README.
        let fate = self.network.fate(way.from.0, way.to.0, !is_forward || self.repeat_forwards);
        self.carry_out(fate, || Event::Peer { way, from, to, tag, message: message.clone() })
    }

    /// Sends a message to a control part. Nobody is told when that fails.
    pub(crate) fn send_control(&mut self, from: HostIndex, to: &Address, message: &ControlMessage) {
        let Some(to) = self.hosts.iter().position(|host| host.address == *to) else { return };
        let way = self.way(from, to);
        let fate = self.network.fate(from, to, true);
        self.carry_out(fate, || Event::Control { way, message: message.clone() });
    }

    fn carry_out(&mut self, fate: Fate, event: impl Fn() -> Event) -> bool {
        match fate {
            Fate::Unsent => {
                self.stats.unsent += 1;
                return false;
            }
            Fate::Lost => {
                self.stats.messages += 1;
                self.stats.dropped += 1;
            }
            Fate::Arrives { after, again } => {
                self.stats.messages += 1;
                self.after(after, event());
                if let Some(again) = again {
                    self.stats.repeated += 1;
                    self.after(again, event());
                }
            }
        }
        true
    }

    /// Whether a message gets through to a process: there is one, and the connection outlived what happened since.
    pub(crate) fn arrives(&mut self, way: Way) -> bool {
        let unbroken = self.way(way.from.0, way.to.0);
        let survives = (way.from == unbroken.from && way.to == unbroken.to) || !self.network.dies_with_its_connection();
        let arrives = self.is_up(way.to.0) && survives;
        self.stats.dropped += u64::from(!arrives);
        arrives
    }

    pub(crate) fn reply(&mut self, to: ClientRef, response: Response) {
        let delay = self.network.client_delay();
        self.after(delay, Event::Response { to, response });
    }
}
