//! The world: hosts, clients and faults in one loop over the queue, and the phases of a run. Trouble first, then
//! calm in which everything must heal, then the last reads and the verdict. It decides nothing about time or chance
//! itself: those are drawn elsewhere.

mod heal;
mod settle;
mod trouble;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kvorum_node::control::{Founding, SavedState};
use kvorum_node::{CatalogChange, ClusterId, ControlInput, DEFAULT_KEYSPACE, NodeId, Secret};
use kvorum_ring::{Partitions, Replication};

use crate::SimConfig;
use crate::client::Clients;
use crate::disk::Disk;
use crate::disk::store::Work;
use crate::environment::Environment;
use crate::event::{Event, HostIndex};
use crate::faults::{self, Trouble};
use crate::process::{Process, Settings};
use crate::random::{Purpose, Random};
use crate::report::Report;
use crate::trace::TraceSink;
use crate::verdict::{Violation, judge, judge_repetition};

/// How long after the last fault, or the start of a calm founding, every node may take to get ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A simulated cluster.
pub struct World {
    config: SimConfig,
    env: Environment,
    hosts: Vec<Host>,
    clients: Clients,
    schedule: Vec<Trouble>,
    /// The troubles under way that would have cost more than can be spared, and so cost nothing.
    spared: BTreeSet<u32>,
    violations: Vec<Violation>,
}

/// One computer: its disk stays when its process dies.
struct Host {
    settings: Settings,
    disk: Disk,
    process: Option<Process>,
}

impl World {
    /// A cluster of which nothing runs yet. Each line of the trace goes to `sink`.
    ///
    /// # Panics
    /// If the configuration makes no sense.
    #[must_use]
    pub fn new(config: SimConfig, sink: Option<TraceSink>) -> Self {
        config.check();
        let partitions = Partitions::new(config.partitions).expect("the configuration was checked");
        let mut env = Environment::new(&config, sink);
        let founding = Founding {
            nodes: config.nodes as u32,
            partitions,
            replication: Replication::PerCentre(config.replication),
            pair_bytes: kvorum_node::DEFAULT_PAIR_BYTES,
            secret: Secret([7; 32]),
        };
        let cluster = ClusterId(env.identities.next());
        let host = |host: HostIndex| {
            let founder = host == 0;
            let settings = Settings {
                host,
                id: env.id(host),
                address: env.address(host),
                seeds: if founder { Vec::new() } else { vec![env.address(0)] },
                founding: founder.then(|| founding.clone()),
                shards: config.shards,
                rack: host % config.racks,
                limits: config.limits,
            };
            let saved = SavedState { cluster: founder.then_some(cluster), ..SavedState::default() };
            Host { settings, disk: Disk::new(saved, &config, host), process: None }
        };
        let hosts = (0..config.nodes).map(host).collect();
        let clients = Clients::new(&config, partitions);
        Self { config, env, hosts, clients, schedule: Vec::new(), spared: BTreeSet::new(), violations: Vec::new() }
    }

    /// Lives through the whole run. Should it panic, the seed is told.
    #[must_use]
    pub fn run(mut self) -> Report {
        let _replay = Replay(self.config.replay());
        self.start_all();
        if !self.config.rough_start {
            let ready = self.run_until(READY_WITHIN, Self::all_ready);
            self.expect_ready(ready);
        }
        self.create_keyspace();
        self.live_through_faults();
        let calm = self.heal();
        self.hear_engines();
        let replicas = self.replicas();
        let Environment { watch, stats, .. } = &mut self.env;
        judge(&self.config, &self.clients, watch, calm, stats, &mut self.violations);
        judge_repetition(&self.config, &self.clients, watch, stats, &mut self.violations);
        Report {
            config: self.config,
            stats: self.env.stats,
            virtual_time: self.env.now,
            digest: self.env.trace.digest(),
            trace_lines: self.env.trace.lines(),
            schedule: self.schedule,
            asked: self.clients.asked().to_vec(),
            replicas,
            history: self.clients.into_history(),
            violations: self.violations,
        }
    }

    /// The replicas of each key, if anybody knows.
    fn replicas(&self) -> BTreeMap<Arc<str>, Vec<HostIndex>> {
        let mut processes = self.hosts.iter().filter_map(|host| host.process.as_ref());
        let Some(view) = processes.find(|process| process.is_ready()).map(Process::view) else {
            return BTreeMap::new();
        };
        let hosts = |name: &Arc<str>| {
            let partition = view.partition_of(name.as_bytes())?;
            Some(view.replicas(partition).map(|replica| self.env.host_of(replica.id)).collect())
        };
        self.clients.keys().iter().filter_map(|name| Some((Arc::clone(name), hosts(name)?))).collect()
    }

    /// Where siblings are kept, an operator creates a keyspace for them, and every node gets to know it.
    fn create_keyspace(&mut self) {
        let keyspace = self.config.keyspace();
        if keyspace == DEFAULT_KEYSPACE {
            return;
        }
        let known =
            |host: &Host| host.process.as_ref().is_some_and(|process| process.view().keyspace(keyspace).is_some());
        let all_know = |world: &Self| world.hosts.iter().all(known);
        // The founder's disk may refuse to keep it.
        for ticket in 1..=30 {
            let (name, settings) = (Arc::from("siblings"), Default::default());
            let change = CatalogChange::Create { name, mode: self.config.mode, settings };
            let input = ControlInput::ChangeCatalog { ticket, change, timeout: READY_WITHIN };
            let (process, disk) = self.hosts[0].running();
            process.control_turn(input, disk, &mut self.env);
            if self.run_until(Duration::from_secs(1), all_know) {
                return;
            }
        }
        self.violations.extend((0..self.hosts.len()).map(|node| Violation::NotReady { node }));
    }

    /// What engines did is counted. What they reported without cause comes first of all violations, for others follow from it.
    fn hear_engines(&mut self) {
        let mut found = Vec::new();
        for (node, Host { disk, .. }) in self.hosts.iter_mut().enumerate() {
            let Work { flushes, compactions, torn_bytes } = disk.store.done();
            self.env.stats.flushes += flushes;
            self.env.stats.compactions += compactions;
            self.env.stats.torn_bytes += torn_bytes;
            found.extend(disk.store.surprises().iter().map(|what| Violation::Engine { node, what: what.clone() }));
        }
        self.violations.splice(0..0, found);
    }

    fn live_through_faults(&mut self) {
        let until = self.env.now + Duration::from_millis(self.config.ticks);
        let mut random = Random::stream(self.config.seed, Purpose::Fault);
        self.schedule = faults::schedule(&self.config, &mut random, self.env.now, until);
        for trouble in &self.schedule {
            self.env.queue.push(trouble.at, Event::Begins(*trouble));
            if trouble.at + trouble.lasts < until {
                self.env.queue.push(trouble.at + trouble.lasts, Event::Ends(*trouble));
            }
        }
        self.clients.start(&mut self.env);
        self.run_to(until);
    }

    fn all_ready(&self) -> bool {
        self.hosts.iter().all(|host| host.process.as_ref().is_some_and(Process::is_ready))
    }

    fn expect_ready(&mut self, ready: bool) {
        if !ready {
            let late =
                self.hosts.iter().enumerate().filter(|(_, host)| !host.process.as_ref().is_some_and(Process::is_ready));
            self.violations.extend(late.map(|(node, _)| Violation::NotReady { node }));
        }
    }

    fn run_until(&mut self, at_most: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let limit = self.env.now + at_most;
        while !done(self) {
            if self.env.now >= limit {
                return false;
            }
            self.run_to(self.env.now + LOOK_EVERY);
        }
        true
    }

    fn run_to(&mut self, moment: Duration) {
        while let Some((at, event)) = self.env.queue.pop_by(moment) {
            assert!(at >= self.env.now, "time does not go back");
            self.env.now = at;
            self.env.stats.events += 1;
            self.happen(event);
        }
        self.env.now = moment;
    }

    fn happen(&mut self, event: Event) {
        let env = &mut self.env;
        let Some(event) = env.put_off(event) else { return };
        match event {
            Event::Peer { way, from, to, tag, timeout, message } => {
                if env.arrives(way) {
                    let (process, disk) = self.hosts[way.to.0].running();
                    process.peer(from, to, tag, timeout, message, disk, env);
                }
            }
            Event::Control { way, message } => {
                if env.arrives(way) {
                    let (process, disk) = self.hosts[way.to.0].running();
                    process.control_turn(kvorum_node::ControlInput::Message(message), disk, env);
                }
            }
            Event::Broken { at, life, of } => {
                if !env.is_up(of) {
                    env.network.refuse(at, of);
                }
                if env.life(at) == life {
                    let lost: NodeId = env.id(of);
                    let (process, disk) = self.hosts[at].running();
                    process.peer_lost(lost, disk, env);
                }
            }
            Event::Request { host, from, request } => {
                if env.is_up(host) {
                    let (process, disk) = self.hosts[host].running();
                    process.request(from, request, disk, env);
                } else {
                    self.clients.bounced(from, env);
                }
            }
            Event::Response { to, response } => self.clients.answered(to, response, env),
            Event::Disconnected { to } | Event::GiveUp { to } => self.clients.give_up(to, env),
            Event::Think { session } => self.clients.think(session, env),
            Event::Local { host, life, local } => {
                if env.life(host) == life {
                    let (process, disk) = self.hosts[host].running();
                    process.local(local, disk, env);
                }
            }
            Event::Begins(trouble) => self.begin(trouble),
            Event::Ends(trouble) => self.end(trouble),
        }
    }
}

impl Host {
    fn running(&mut self) -> (&mut Process, &mut Disk) {
        (self.process.as_mut().expect("a host that is up has a process"), &mut self.disk)
    }
}

/// Says how to see a run again when it panics.
struct Replay(String);

impl Drop for Replay {
    #[expect(clippy::print_stderr, reason = "nobody else can tell which run panicked")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the simulation panicked; replay with: {}", self.0);
        }
    }
}
