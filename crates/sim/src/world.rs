//! The world: hosts, clients and faults in one loop over the queue, and the phases of a run. Trouble first, then
//! calm in which everything must heal, then the last reads and the verdict. It decides nothing about time or chance
//! itself: those are drawn elsewhere.

mod trouble;

use core::time::Duration;

use kvorum_node::control::{Founding, SavedState};
use kvorum_node::{ClusterId, NodeId};
use kvorum_ring::{Partitions, Replication};

use crate::SimConfig;
use crate::checker;
use crate::client::Clients;
use crate::disk::Disk;
use crate::environment::Environment;
use crate::event::{Event, HostIndex};
use crate::faults;
use crate::history::{History, OpId, Outcome};
use crate::process::{Process, Settings};
use crate::random::{Purpose, Random};
use crate::report::{Report, Violation};
use crate::trace::TraceSink;

/// How long after the last fault, or the start of a calm founding, every node may take to get ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long the last reads may take after that, with all their attempts.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long the last reads wait for one answer.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// Longer than any request may last, so that nothing is under way any more.
const QUIET: Duration = Duration::from_secs(4);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A simulated cluster.
pub struct World {
    config: SimConfig,
    env: Environment,
    hosts: Vec<Host>,
    clients: Clients,
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
        let mut shape = Random::stream(config.seed.rotate_left(32), Purpose::Shape);
        let founding = Founding {
            nodes: config.nodes as u32,
            partitions,
            replication: Replication::PerCentre(config.replication),
            pair_bytes: kvorum_node::DEFAULT_PAIR_BYTES,
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
                skew_ms: shape.below(2 * config.max_skew_ms + 1) as i64 - config.max_skew_ms as i64,
            };
            let saved = SavedState { cluster: founder.then_some(cluster), ..SavedState::default() };
            Host { settings, disk: Disk::new(saved, usize::from(config.shards), config.sabotage), process: None }
        };
        let hosts = (0..config.nodes).map(host).collect();
        let clients = Clients::new(&config, partitions);
        Self { config, env, hosts, clients, violations: Vec::new() }
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
        self.live_through_faults();
        self.heal();
        self.violations.extend(
            checker::durability(self.clients.history()).into_iter().map(|lost| Violation::Durability(Box::new(lost))),
        );
        Report {
            config: self.config,
            stats: self.env.stats,
            virtual_time: self.env.now,
            digest: self.env.trace.digest(),
            trace_lines: self.env.trace.lines(),
            violations: self.violations,
        }
    }

    /// What the clients have seen so far.
    #[must_use]
    pub fn history(&self) -> &History {
        self.clients.history()
    }

    fn live_through_faults(&mut self) {
        let until = self.env.now + Duration::from_millis(self.config.ticks);
        let mut random = Random::stream(self.config.seed, Purpose::Fault);
        for (at, fault) in faults::schedule(&self.config, &mut random, self.env.now, until) {
            if at < until {
                self.env.queue.push(at, Event::Fault(fault));
            }
        }
        self.clients.start(&mut self.env);
        self.run_to(until);
    }

    /// The faults are over. Every node must get ready, every key be readable through every node, and in the end
    /// nothing be left half done.
    fn heal(&mut self) {
        self.env.trace.record(self.env.now, format_args!("calm"));
        self.env.network.calm();
        self.env.failed_saves = 0;
        self.clients.stop();
        self.start_all();
        let ready = self.run_until(READY_WITHIN, Self::all_ready);
        self.expect_ready(ready);
        self.read_everything();
        self.run_to(self.env.now + QUIET);
        for (node, host) in self.hosts.iter().enumerate() {
            let shards = host.process.iter().flat_map(Process::unfinished).enumerate();
            let unfinished = shards.filter(|(_, (operations, overlaid))| operations + overlaid > 0);
            let violation =
                |(shard, (operations, overlaid))| Violation::Unfinished { node, shard, operations, overlaid };
            self.violations.extend(unfinished.map(violation));
        }
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

    /// Reads every key through every node, again where it fails, for as long as that may take.
    fn read_everything(&mut self) {
        let until = self.env.now + READ_WITHIN;
        let keys = self.config.keys;
        let mut missing: Vec<(HostIndex, usize)> =
            (0..self.hosts.len()).flat_map(|host| (0..keys).map(move |key| (host, key))).collect();
        while !missing.is_empty() && self.env.now < until {
            let asked: Vec<(HostIndex, usize, OpId)> = missing
                .into_iter()
                .map(|(host, key)| (host, key, self.clients.read_once(host, key, READ_TIMEOUT, &mut self.env)))
                .collect();
            let outcome = |world: &Self, id: OpId| world.clients.history().operations()[id.0].outcome;
            self.run_until(2 * READ_TIMEOUT, |world| {
                asked.iter().all(|(.., id)| outcome(world, *id) != Outcome::Pending)
            });
            let failed =
                asked.into_iter().filter(|(.., id)| matches!(outcome(self, *id), Outcome::Pending | Outcome::Failed));
            missing = failed.map(|(host, key, _)| (host, key)).collect();
        }
        self.violations.extend(missing.into_iter().map(|(node, key)| Violation::Unreadable { node, key }));
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
        match event {
            Event::Peer { way, from, to, tag, message } => {
                if env.arrives(way) {
                    let (process, disk) = self.hosts[way.to.0].running();
                    process.peer(from, to, tag, message, disk, env);
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
            Event::Fault(fault) => self.trouble(fault),
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
