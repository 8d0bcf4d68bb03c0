//! The clients: what they ask, of whom, how long they wait, and what they write down. They know a node only by its
//! answers. Whether those fit together is the checker's business.

mod outcome;

use core::time::Duration;

use bytes::Bytes;
use kvorum_node::request::Scan;
use kvorum_node::{ClientRef, DEFAULT_KEYSPACE, Operation, Request, Response};
use kvorum_quorum::Level;
use kvorum_ring::{PartitionId, Partitions, Token};

use crate::SimConfig;
use crate::environment::Environment;
use crate::event::{Event, HostIndex};
use crate::history::{Action, History, OpId, Outcome};
use crate::random::{Purpose, Random};
use outcome::{check_replicas, outcome_of, outcome_of_read, outcome_of_write, refused};

/// After how long a connection is found broken when its node dies. What that node sent before arrives earlier.
const UNTIL_DISCONNECTED: Duration = Duration::from_millis(1);
/// How much longer than the node a client waits for its answer.
const PATIENCE: Duration = Duration::from_millis(100);

pub(crate) struct Clients {
    random: Random,
    sessions: Vec<Session>,
    history: History,
    hosts: usize,
    keys: Vec<Bytes>,
    partitions: Partitions,
    levels: (Level, Level),
    at_work: bool,
}

/// One client, with at most one request under way.
#[derive(Default)]
struct Session {
    /// How many requests it has made.
    requests: u64,
    waiting: Option<Waiting>,
    /// It asks again and again; others ask once.
    works: bool,
}

struct Waiting {
    request: u64,
    host: HostIndex,
    asked: Asked,
}

enum Asked {
    One(OpId),
    Scan { scan: Scan, invoked: Duration },
}

impl Clients {
    pub(crate) fn new(config: &SimConfig, partitions: Partitions) -> Self {
        Self {
            random: Random::stream(config.seed, Purpose::Client),
            sessions: (0..config.clients).map(|_| Session { works: true, ..Session::default() }).collect(),
            history: History::default(),
            hosts: config.nodes,
            keys: (0..config.keys).map(|key| format!("key-{key}").into()).collect(),
            partitions,
            levels: config.levels,
            at_work: false,
        }
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// From now on the clients keep asking.
    pub(crate) fn start(&mut self, env: &mut Environment) {
        self.at_work = true;
        for session in 0..self.sessions.len() {
            self.rest(session, env);
        }
    }

    /// What is under way ends, and nothing new begins.
    pub(crate) fn stop(&mut self) {
        self.at_work = false;
    }

    /// A client thinks before it asks again.
    fn rest(&mut self, session: usize, env: &mut Environment) {
        if self.at_work && self.sessions[session].works {
            let thinks = self.random.micros(0, 30_000);
            env.after(thinks, Event::Think { session });
        }
    }

    /// A client has thought of something.
    pub(crate) fn think(&mut self, session: usize, env: &mut Environment) {
        if !self.at_work {
            return;
        }
        let (host, key) = (self.random.index(self.hosts), self.random.index(self.keys.len()));
        let timeout = self.random.millis(50, 1500);
        match self.random.below(100) {
            0..45 => self.ask(session, host, key, Action::Get, timeout, env),
            45..82 => self.ask(session, host, key, Action::Put, timeout, env),
            82..94 => self.ask(session, host, key, Action::Delete, timeout, env),
            _ => self.ask_scan(session, host, key, timeout, env),
        }
    }

    /// Somebody who asks only this: reads a key through a node. The outcome is the operation's in the history.
    pub(crate) fn read_once(&mut self, host: HostIndex, key: usize, timeout: Duration, env: &mut Environment) -> OpId {
        let session = self.sessions.len();
        self.sessions.push(Session::default());
        let id = OpId(self.history.operations().len());
        self.ask(session, host, key, Action::Get, timeout, env);
        id
    }

    fn ask(
        &mut self,
        session: usize,
        host: HostIndex,
        key: usize,
        action: Action,
        timeout: Duration,
        env: &mut Environment,
    ) {
        let id = self.history.begin(session, host, key, action, env.now);
        let (read, write) = self.levels;
        let name = self.keys[key].clone();
        let operation = match action {
            Action::Get => Operation::Get { key: name, level: Some(read) },
            Action::Put => {
                Operation::Put { key: name, value: id.0.to_string().into(), ttl_ms: None, level: Some(write) }
            }
            Action::Delete => Operation::Delete { key: name, level: Some(write) },
        };
        self.send(session, host, Asked::One(id), operation, timeout, env);
    }

    fn ask_scan(&mut self, session: usize, host: HostIndex, key: usize, timeout: Duration, env: &mut Environment) {
        let after = self.random.permille(200).then(|| self.keys[key].clone());
        let partition = self.partition_of(key);
        let limit_bytes = self.random.below(120) as u32;
        let limit_rows = self.random.permille(250).then(|| 1 + self.random.below(2) as u32);
        let (prefix, keys_only, level) = (Bytes::new(), false, Some(self.levels.0));
        let scan = Scan { partition, prefix, after, limit_bytes, limit_rows, keys_only, level };
        let asked = Asked::Scan { scan: scan.clone(), invoked: env.now };
        self.send(session, host, asked, Operation::Scan(scan), timeout, env);
    }

    fn partition_of(&self, key: usize) -> PartitionId {
        self.partitions.of(Token::of(&self.keys[key]))
    }

    fn send(
        &mut self,
        session: usize,
        host: HostIndex,
        asked: Asked,
        operation: Operation,
        timeout: Duration,
        env: &mut Environment,
    ) {
        let client = &mut self.sessions[session];
        assert!(client.waiting.is_none(), "a client asks one thing at a time");
        client.requests += 1;
        client.waiting = Some(Waiting { request: client.requests, host, asked });
        let to = ClientRef { session: session as u64, request: client.requests };
        let delay = env.network.client_delay();
        if env.is_up(host) {
            let request = Request { keyspace: DEFAULT_KEYSPACE, timeout, operation };
            env.after(delay, Event::Request { host, from: to, request });
            env.after(timeout + PATIENCE, Event::GiveUp { to });
        } else {
            env.after(delay, Event::Response { to, response: refused() });
        }
    }

    /// A request found no process: the connection broke, perhaps behind a request that was read. Only a connection
    /// that was never made is certain.
    pub(crate) fn bounced(&mut self, to: ClientRef, env: &mut Environment) {
        env.after(UNTIL_DISCONNECTED, Event::Disconnected { to });
    }

    /// A node died: whoever waits for it will find its connection broken.
    pub(crate) fn disconnect(&mut self, host: HostIndex, env: &mut Environment) {
        for (session, client) in (0..).zip(&self.sessions) {
            if let Some(waiting) = client.waiting.as_ref().filter(|waiting| waiting.host == host) {
                env.after(
                    UNTIL_DISCONNECTED,
                    Event::Disconnected { to: ClientRef { session, request: waiting.request } },
                );
            }
        }
    }

    fn take_waiting(&mut self, to: ClientRef) -> Option<Waiting> {
        self.sessions[to.session as usize].waiting.take_if(|waiting| waiting.request == to.request)
    }

    /// No answer will be waited for any longer.
    pub(crate) fn give_up(&mut self, to: ClientRef, env: &mut Environment) {
        let Some(waiting) = self.take_waiting(to) else { return };
        if let Asked::One(id) = waiting.asked {
            let reads = self.history.operations()[id.0].action == Action::Get;
            self.end(id, if reads { Outcome::Failed } else { Outcome::Indeterminate }, env);
        } else {
            env.stats.failed_reads += 1;
        }
        self.rest(to.session as usize, env);
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, to: ClientRef, response: Response, env: &mut Environment) {
        let Some(waiting) = self.take_waiting(to) else { return };
        match waiting.asked {
            Asked::One(id) => {
                let reads = self.history.operations()[id.0].action == Action::Get;
                let outcome = if reads { outcome_of_read(response) } else { outcome_of_write(response) };
                self.end(id, outcome, env);
            }
            Asked::Scan { scan, invoked } => {
                self.scanned(to.session as usize, waiting.host, &scan, invoked, response, env);
            }
        }
        self.rest(to.session as usize, env);
    }

    fn end(&mut self, id: OpId, outcome: Outcome, env: &mut Environment) {
        let count = match outcome {
            Outcome::Written => &mut env.stats.acknowledged,
            Outcome::Indeterminate => &mut env.stats.indeterminate,
            Outcome::Rejected => &mut env.stats.rejected,
            Outcome::Read(_) | Outcome::ReadUnknown => &mut env.stats.reads,
            Outcome::Failed => &mut env.stats.failed_reads,
            Outcome::Pending => unreachable!("an outcome is known"),
        };
        *count += 1;
        self.history.end(id, outcome, env.now);
    }

    /// A page tells of every key it covers, of those it leaves out too.
    fn scanned(
        &mut self,
        session: usize,
        host: HostIndex,
        scan: &Scan,
        invoked: Duration,
        response: Response,
        env: &mut Environment,
    ) {
        let (rows, next) = match response {
            Response::Page { partition, rows, next, replicas } => {
                assert_eq!(partition, scan.partition, "a page is of the partition that was asked for");
                check_replicas(replicas);
                (rows, next)
            }
            Response::Failed(_) => return env.stats.failed_reads += 1,
            other => panic!("a scan is answered with a page, not {other:?}"),
        };
        for key in 0..self.keys.len() {
            let name = &self.keys[key];
            let after = scan.after.as_ref().is_none_or(|after| name > after);
            let covered =
                after && self.partition_of(key) == scan.partition && next.as_ref().is_none_or(|next| name <= next);
            let found = rows.iter().find(|(row, _)| row == name).map(|(_, record)| record);
            assert!(covered || found.is_none(), "a page holds only what was asked for");
            if covered {
                let id = self.history.begin(session, host, key, Action::Get, invoked);
                self.end(id, outcome_of(found), env);
            }
        }
    }
}
