//! What every simulated process shares: virtual time, the queue, the network, the trace and the counts. It carries
//! messages to where they go, and runs no machine.

use core::time::Duration;
use std::collections::VecDeque;

use kvorum_node::{
    ActorId, Address, ClientRef, ControlBody, ControlMessage, EpochPhase, Message, NodeId, PeerShard, Response,
};

use crate::clock::WallClock;
use crate::config::SimConfig;
use crate::event::{Event, HostIndex, Life, Local, Queue, Way};
use crate::network::{Fate, HostSet, Network};
use crate::random::{Purpose, Random};
use crate::report::Stats;
use crate::sabotage::Sabotage;
use crate::trace::{Trace, TraceSink};
use crate::watch::Watch;

pub(crate) struct Environment {
    pub(crate) now: Duration,
    pub(crate) queue: Queue,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) stats: Stats,
    pub(crate) watch: Watch,
    pub(crate) disk_random: Random,
    pub(crate) identities: Random,
    pub(crate) sabotage: Option<Sabotage>,
    /// The faults are over.
    pub(crate) is_calm: bool,
    /// In a thousand saves, and in a thousand reads.
    failed_saves: u16,
    failed_loads: u16,
    slow_disks: bool,
    hosts: Vec<Entry>,
}

struct Entry {
    id: NodeId,
    address: Address,
    life: Life,
    /// The process that runs, or was the last to.
    process: Option<ActorId>,
    clock: WallClock,
    /// Until when its process stands still, and what it will do then, in the order it came.
    paused_until: Option<Duration>,
    put_off: VecDeque<Event>,
    /// How many troubles keep it down.
    held_down: u32,
}

impl Environment {
    pub(crate) fn new(config: &SimConfig, sink: Option<TraceSink>) -> Self {
        let mut identities = Random::stream(config.seed, Purpose::Identity);
        let mut shape = Random::stream(config.seed.rotate_left(32), Purpose::Shape);
        let skew = config.clocks.max_skew_ms;
        let entry = |host| Entry {
            id: NodeId(identities.next()),
            address: format!("n{host}:7401").into(),
            life: 0,
            process: None,
            clock: WallClock::new(match (&config.skews, shape.below(2 * skew + 1)) {
                (Some(skews), _) => skews.get(host).copied().unwrap_or(0),
                (None, drawn) => drawn as i64 - skew as i64,
            }),
            paused_until: None,
            put_off: VecDeque::new(),
            held_down: 0,
        };
        let hosts = (0..config.nodes).map(entry).collect();
        Self {
            now: Duration::ZERO,
            queue: Queue::default(),
            network: Network::new(
                Random::stream(config.seed, Purpose::Network),
                config.nodes,
                config.faults.lost_clients_permille,
            ),
            trace: Trace::new(config.traced, sink),
            stats: Stats::default(),
            watch: Watch::new(config),
            disk_random: Random::stream(config.seed, Purpose::Disk),
            identities,
            failed_saves: config.faults.failed_saves_permille,
            failed_loads: config.faults.failed_loads_permille,
            slow_disks: config.slow_disks,
            sabotage: config.sabotage,
            is_calm: false,
            hosts,
        }
    }

    pub(crate) fn id(&self, host: HostIndex) -> NodeId {
        self.hosts[host].id
    }

    pub(crate) fn address(&self, host: HostIndex) -> Address {
        Address::clone(&self.hosts[host].address)
    }

    pub(crate) fn host_of(&self, id: NodeId) -> HostIndex {
        self.hosts.iter().position(|host| host.id == id).expect("nodes speak only to nodes of their cluster")
    }

    pub(crate) fn life(&self, host: HostIndex) -> Life {
        self.hosts[host].life
    }

    pub(crate) fn is_up(&self, host: HostIndex) -> bool {
        self.life(host) % 2 == 1
    }

    /// As what its process is known to clients, the last one's if none runs.
    pub(crate) fn process(&self, host: HostIndex) -> Option<ActorId> {
        self.hosts[host].process
    }

    pub(crate) fn set_process(&mut self, host: HostIndex, process: ActorId) {
        self.hosts[host].process = Some(process);
    }

    /// A process starts, or dies.
    pub(crate) fn next_life(&mut self, host: HostIndex) -> Life {
        let entry = &mut self.hosts[host];
        entry.life += 1;
        // What stood still is gone with its process, but for messages that may reach the next one.
        if entry.paused_until.take().is_some() {
            for event in entry.put_off.drain(..) {
                self.queue.push(self.now, event);
            }
        }
        entry.life
    }

    pub(crate) fn down(&self) -> HostSet {
        (0..self.hosts.len()).filter(|host| !self.is_up(*host)).fold(HostSet::EMPTY, HostSet::with)
    }

    /// The wall clock of a host, in milliseconds since the Unix epoch.
    pub(crate) fn unix_ms(&self, host: HostIndex) -> u64 {
        self.hosts[host].clock.unix_ms(self.now)
    }

    pub(crate) fn clock(&mut self, host: HostIndex) -> &mut WallClock {
        &mut self.hosts[host].clock
    }

    /// Something keeps a host down, or does so no longer; whether anything does now.
    pub(crate) fn hold_down(&mut self, host: HostIndex, holds: bool) -> bool {
        let held_down = &mut self.hosts[host].held_down;
        *held_down = if holds { *held_down + 1 } else { held_down.saturating_sub(1) };
        *held_down > 0
    }

    /// A host's process stands still until then, if there is one.
    pub(crate) fn pause(&mut self, host: HostIndex, until: Duration) {
        if self.is_up(host) {
            self.stats.pauses += 1;
            let paused_until = &mut self.hosts[host].paused_until;
            *paused_until = (*paused_until).max(Some(until));
        }
    }

    /// A process goes on, unless something else makes it stand still for longer: it does now, in the order it came,
    /// what it would have done.
    pub(crate) fn resume(&mut self, host: HostIndex) {
        let entry = &mut self.hosts[host];
        if entry.paused_until.is_some_and(|until| until <= self.now) {
            entry.paused_until = None;
            for event in entry.put_off.drain(..) {
                self.queue.push(self.now, event);
            }
        }
    }

    /// Keeps an event for a process that stands still; gives back one that need not wait.
    pub(crate) fn put_off(&mut self, event: Event) -> Option<Event> {
        match event.host() {
            Some(host) if self.hosts[host].paused_until.is_some() => {
                self.hosts[host].put_off.push_back(event);
                None
            }
            _ => Some(event),
        }
    }

    /// Nothing goes wrong any more. What stands still goes on.
    pub(crate) fn calm(&mut self) {
        self.is_calm = true;
        self.network.calm();
        (self.failed_saves, self.failed_loads) = (0, 0);
        for host in 0..self.hosts.len() {
            let entry = &mut self.hosts[host];
            entry.clock.settle();
            entry.held_down = 0;
            entry.paused_until = entry.paused_until.map(|_| self.now);
            self.resume(host);
        }
    }

    /// Whether a state file cannot be written.
    pub(crate) fn fails_save(&mut self) -> bool {
        let fails = self.disk_random.permille(self.failed_saves);
        self.stats.failed_saves += u64::from(fails);
        fails
    }

    /// Whether the store cannot read what it is asked for.
    pub(crate) fn fails_load(&mut self) -> bool {
        let fails = self.disk_random.permille(self.failed_loads);
        self.stats.failed_loads += u64::from(fails);
        fails
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.queue.push(self.now + delay, event);
    }

    /// Something inside a process, which comes to nothing if that one dies before.
    pub(crate) fn local(&mut self, host: HostIndex, delay: Duration, local: Local) {
        let life = self.life(host);
        self.after(delay, Event::Local { host, life, local });
    }

    /// Whether something keeps a host down.
    pub(crate) fn is_held_down(&self, host: HostIndex) -> bool {
        self.hosts[host].held_down > 0
    }

    /// How long a log takes to write a group and sync it; longer on a disk that is slow for now.
    pub(crate) fn flush_latency(&mut self, is_slow: bool) -> Duration {
        match (self.disk_random.permille(30), self.slow_disks) {
            _ if is_slow => self.disk_random.millis(50, 800),
            (true, _) => self.disk_random.millis(5, 150),
            (false, true) => self.disk_random.millis(5, 60),
            (false, false) => self.disk_random.micros(100, 3000),
        }
    }

    /// How long it takes until an engine's thread has done a piece of background work.
    pub(crate) fn until_engine_works(&mut self, is_slow: bool) -> Duration {
        match (is_slow, self.slow_disks) {
            (true, _) => self.disk_random.millis(20, 1000),
            (false, true) => self.disk_random.millis(2, 100),
            (false, false) => self.disk_random.micros(200, 20_000),
        }
    }

    fn way(&self, from: HostIndex, to: HostIndex) -> Way {
        Way { from: (from, self.life(from)), to: (to, self.life(to)) }
    }

    /// Sends a message to a shard; whether the sender may believe that it left.
    pub(crate) fn send(
        &mut self,
        from: PeerShard,
        to: PeerShard,
        tag: EpochPhase,
        timeout: Duration,
        message: &Message,
    ) -> bool {
        let way = self.way(self.host_of(from.node), self.host_of(to.node));
        let is_forward = matches!(message, Message::Forward { .. });
        self.stats.forwarded += u64::from(is_forward);
        // A forwarded request names no dot, so coordinating it twice would write twice: see the README.
        let may_repeat = !is_forward || self.sabotage == Some(Sabotage::RepeatForwards);
        let fate = self.network.fate(way.from.0, way.to.0, may_repeat);
        self.carry_out(fate, || Event::Peer { way, from, to, tag, timeout, message: message.clone() })
    }

    /// Sends a message to a control part. Nobody is told when that fails.
    pub(crate) fn send_control(&mut self, from: HostIndex, to: &Address, message: &ControlMessage) {
        let Some(to) = self.hosts.iter().position(|host| host.address == *to) else { return };
        let way = self.way(from, to);
        let fate = self.network.fate(from, to, true);
        self.carry_out(fate, || Event::Control { way, message: as_bytes_and_back(message) });
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
        if self.network.loses_client() {
            self.stats.lost_clients += 1;
            self.after(delay, Event::Disconnected { to });
        } else {
            self.after(delay, Event::Response { to, response });
        }
    }
}

/// What arrives: gossip goes as bytes, as between real nodes.
fn as_bytes_and_back(message: &ControlMessage) -> ControlMessage {
    let mut arrives = message.clone();
    if let ControlBody::Gossip(gossip) = &mut arrives.body {
        let mut bytes = Vec::with_capacity(gossip.encoded_len());
        gossip.encode(&mut bytes);
        assert!(bytes.len() <= kvorum_gossip::Config::default().message_bytes, "a message of {} bytes", bytes.len());
        let read = kvorum_gossip::Message::decode(&bytes).expect("what gossip writes it reads");
        assert_eq!(read, *gossip, "and understands as it was meant");
        *gossip = read;
    }
    arrives
}
