//! The clients: what they ask, of whom, how long they wait, what they try again, and what they write down. They know a
//! node only by its answers. Whether those fit together is for the checkers to say.

mod again;
mod outcome;
mod scan;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use kvorum_history::{Action, Expiry, History, Moment, OpId, Outcome};
use kvorum_node::request::Scan;
use kvorum_node::{ClientRef, Consistency, KeyspaceId, Mode, Operation, Request, Response};
use kvorum_quorum::Level;
use kvorum_ring::Partitions;

use crate::clock::virtual_time_of;
use crate::config::{Levels, SimConfig};
use crate::environment::Environment;
use crate::event::{Event, HostIndex};
use crate::random::{Purpose, Random};
use crate::retries::Retries;
use crate::sabotage::Sabotage;
use crate::watch::moment;
use crate::workload::{KeyIndex, Keys, Mix, Task, value_of};
use again::Named;
pub(crate) use outcome::knows;
use outcome::{outcome_of_read, outcome_of_write, refused};

/// After how long a connection is found broken when its node dies. What that node sent before arrives earlier.
const UNTIL_DISCONNECTED: Duration = Duration::from_millis(1);
/// How much longer than the node a client waits for its answer.
const PATIENCE: Duration = Duration::from_millis(100);

pub(crate) struct Clients {
    random: Random,
    sessions: Vec<Session>,
    history: History<Arc<str>>,
    /// The node that each operation of the history was asked of first.
    asked: Vec<HostIndex>,
    /// How many nodes there are; those that are asked first are the first of them.
    hosts: usize,
    asked_first: usize,
    keys: Keys,
    partitions: Partitions,
    keyspace: KeyspaceId,
    mode: Mode,
    /// Of the last read of each key in all replicas, and what it handed out.
    last_reads: BTreeMap<KeyIndex, (OpId, Bytes)>,
    mix: Mix,
    /// Whether writes have names, by which they are asked for again.
    retries: Option<Retries>,
    names: Random,
    /// The reads of the history that are keys of pages.
    scanned: BTreeSet<OpId>,
    /// Writes that may be asked for again.
    has_names: BTreeSet<OpId>,
    levels: Levels,
    consistency: Consistency,
    replication: u8,
    /// Whether some values are long.
    padded: bool,
    /// No clock is off by more.
    max_offset: Duration,
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
    /// Whether its last scan succeeded, when it has ended.
    scanned: Option<bool>,
    /// The last read of each key, and the context it handed out.
    contexts: BTreeMap<KeyIndex, (OpId, Bytes)>,
}

struct Waiting {
    request: u64,
    host: HostIndex,
    timeout: Duration,
    asked: Asked,
}

enum Asked {
    One(One),
    Scan {
        scan: Scan,
        invoked: Moment,
        /// All pages, or only this.
        to_the_end: bool,
    },
}

/// What is asked of one key.
struct One {
    id: OpId,
    operation: Operation,
    /// How often it may be tried elsewhere when it was refused.
    retries: u8,
    named: Option<Named>,
}

impl Clients {
    pub(crate) fn new(config: &SimConfig, partitions: Partitions) -> Self {
        Self {
            random: Random::stream(config.seed, Purpose::Client),
            sessions: (0..config.clients).map(|_| Session { works: true, ..Session::default() }).collect(),
            history: History::default(),
            asked: Vec::new(),
            hosts: config.nodes,
            asked_first: config.nodes - config.scenario.map_or(0, |scenario| scenario.victims(config.nodes)),
            keys: Keys::new(config),
            partitions,
            keyspace: config.keyspace(),
            mode: config.mode,
            last_reads: BTreeMap::new(),
            mix: config.mix,
            retries: config.retries,
            names: Random::stream(config.seed, Purpose::Names),
            scanned: BTreeSet::new(),
            has_names: BTreeSet::new(),
            levels: config.levels,
            consistency: config.consistency,
            replication: config.replication,
            padded: config.writes_long_values(),
            max_offset: config.clocks.max_offset(),
            at_work: false,
        }
    }

    pub(crate) fn history(&self) -> &History<Arc<str>> {
        &self.history
    }

    pub(crate) fn into_history(self) -> History<Arc<str>> {
        self.history
    }

    pub(crate) fn outcome(&self, id: OpId) -> &Outcome {
        &self.history.operations()[id.0].outcome
    }

    pub(crate) fn asked(&self) -> &[HostIndex] {
        &self.asked
    }

    /// Whether a write has a name, by which it may be asked for again.
    pub(crate) fn has_name(&self, write: OpId) -> bool {
        self.has_names.contains(&write)
    }

    pub(crate) fn is_of_a_scan(&self, read: OpId) -> bool {
        self.scanned.contains(&read)
    }

    /// Whether nobody waits for an answer.
    pub(crate) fn are_idle(&self) -> bool {
        self.sessions.iter().all(|session| session.waiting.is_none())
    }

    pub(crate) fn keys(&self) -> &[Arc<str>] {
        self.keys.names()
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
        let host = self.random.index(self.asked_first);
        let timeout = self.random.millis(50, 1500);
        let Levels { read, write } = self.levels;
        let consistency = self.consistency;
        match self.keys.draw(&self.mix, &mut self.random) {
            Task::Get(key) => drop(self.get(session, host, key, read, consistency, timeout, env)),
            Task::Put { key, ttl } => {
                let seen = self.seen(session, key);
                self.put(session, host, key, ttl, seen, write, consistency, timeout, env);
            }
            Task::Delete(key) => match (self.mode, self.seen(session, key)) {
                // A blind deletion deletes what its coordinator holds, and nobody outside can say what that was.
                (Mode::Causal, None) => drop(self.get(session, host, key, read, consistency, timeout, env)),
                (_, seen) => drop(self.delete(session, host, key, seen, write, consistency, timeout, env)),
            },
            Task::Scan(key) => self.scan(session, host, key, timeout, env),
            Task::List { set } => self.list(session, host, set, timeout, env),
        }
    }

    /// Somebody who asks only this: reads a key through a node. The outcome is the operation's in the history.
    pub(crate) fn read_once(
        &mut self,
        host: HostIndex,
        key: KeyIndex,
        level: Level,
        consistency: Consistency,
        timeout: Duration,
        env: &mut Environment,
    ) -> OpId {
        let session = self.newcomer();
        self.get(session, host, key, level, consistency, timeout, env)
    }

    /// Somebody who asks only this: overwrites a key through a node, in replicas.
    pub(crate) fn write_once(
        &mut self,
        host: HostIndex,
        key: KeyIndex,
        level: Level,
        timeout: Duration,
        env: &mut Environment,
    ) -> OpId {
        let session = self.newcomer();
        // Where siblings are kept, only who has seen all of them makes an end of them.
        let seen = self.last_reads.get(&key).filter(|_| self.mode == Mode::Causal).cloned();
        if self.random.permille(200) && (self.mode == Mode::Lww || seen.is_some()) {
            self.delete(session, host, key, seen, level, Consistency::Strict, timeout, env)
        } else {
            self.put(session, host, key, None, seen, level, Consistency::Strict, timeout, env)
        }
    }

    fn newcomer(&mut self) -> usize {
        self.sessions.push(Session::default());
        self.sessions.len() - 1
    }

    fn begin(
        &mut self,
        session: usize,
        host: HostIndex,
        key: KeyIndex,
        action: Action,
        context: Option<OpId>,
        invoked: Moment,
    ) -> OpId {
        self.asked.push(host);
        self.history.begin(session as u64, Arc::clone(self.keys.name(key)), action, context, invoked)
    }

    /// What a client's next write of a key rests on: its last read or nothing, mostly the one where siblings are kept.
    fn seen(&mut self, session: usize, key: KeyIndex) -> Option<(OpId, Bytes)> {
        let blind = if self.mode == Mode::Lww { 700 } else { 200 };
        if self.random.permille(blind) {
            return None;
        }
        self.sessions[session].contexts.get(&key).cloned()
    }

    #[expect(clippy::too_many_arguments, reason = "who asks whom for what, and how")]
    fn get(
        &mut self,
        session: usize,
        host: HostIndex,
        key: KeyIndex,
        level: Level,
        consistency: Consistency,
        timeout: Duration,
        env: &mut Environment,
    ) -> OpId {
        let id = self.begin(session, host, key, Action::Get, None, moment(env.now));
        let operation = Operation::Get { key: self.name(key), level: Some(level), consistency: Some(consistency) };
        self.ask_one(session, host, id, operation, timeout, env)
    }

    #[expect(clippy::too_many_arguments, reason = "who asks whom for what, and how")]
    fn put(
        &mut self,
        session: usize,
        host: HostIndex,
        key: KeyIndex,
        ttl: Option<Duration>,
        seen: Option<(OpId, Bytes)>,
        level: Level,
        consistency: Consistency,
        timeout: Duration,
        env: &mut Environment,
    ) -> OpId {
        // Until the node has told when the value ends, that is all that is known.
        let ttl = ttl.map(|ttl| Duration::from_millis(ttl.as_millis() as u64));
        // Nodes reckon in milliseconds, and round down.
        let most_early = 2 * self.max_offset + Duration::from_millis(1);
        let earliest = ttl.map(|ttl| moment((env.now + ttl).saturating_sub(most_early)));
        let expiry = earliest.map(|earliest| Expiry { earliest, latest: Moment(u64::MAX) });
        let (read, context) = seen.unzip();
        let context = context.unwrap_or_default();
        let id = self.begin(session, host, key, Action::Put { expiry }, read, moment(env.now));
        let value = value_of(id.0, self.padded, &mut self.random).into();
        let ttl_ms = ttl.map(|ttl| ttl.as_millis() as u64);
        let operation = Operation::Put {
            key: self.name(key),
            value,
            ttl_ms,
            level: Some(level),
            context,
            consistency: Some(consistency),
            attempt: self.attempt(session),
        };
        self.ask_one(session, host, id, operation, timeout, env)
    }

    #[expect(clippy::too_many_arguments, reason = "who asks whom for what, and how")]
    fn delete(
        &mut self,
        session: usize,
        host: HostIndex,
        key: KeyIndex,
        seen: Option<(OpId, Bytes)>,
        level: Level,
        consistency: Consistency,
        timeout: Duration,
        env: &mut Environment,
    ) -> OpId {
        let (read, context) = seen.unzip();
        let id = self.begin(session, host, key, Action::Delete, read, moment(env.now));
        let context = context.unwrap_or_default();
        let operation = Operation::Delete {
            key: self.name(key),
            level: Some(level),
            context,
            consistency: Some(consistency),
            attempt: self.attempt(session),
        };
        self.ask_one(session, host, id, operation, timeout, env)
    }

    fn ask_one(
        &mut self,
        session: usize,
        host: HostIndex,
        id: OpId,
        operation: Operation,
        timeout: Duration,
        env: &mut Environment,
    ) -> OpId {
        let named = self.named(&operation, host, env);
        if named.is_some() {
            self.has_names.insert(id);
        }
        let asked = Asked::One(One { id, operation: operation.clone(), retries: self.mix.retries, named });
        self.send(session, host, asked, operation, timeout, env);
        id
    }

    fn name(&self, key: KeyIndex) -> Bytes {
        Bytes::copy_from_slice(self.keys.name(key).as_bytes())
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
        client.waiting = Some(Waiting { request: client.requests, host, timeout, asked });
        let to = ClientRef { session: session as u64, request: client.requests };
        let delay = env.network.client_delay();
        if !env.is_up(host) {
            return env.after(delay, Event::Response { to, response: refused() });
        }
        if env.network.loses_client() {
            env.stats.lost_clients += 1;
            return env.after(delay, Event::Disconnected { to });
        }
        let request = Request { keyspace: self.keyspace, timeout, operation };
        env.after(delay, Event::Request { host, from: to, request });
        env.after(timeout + PATIENCE, Event::GiveUp { to });
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
                let to = ClientRef { session, request: waiting.request };
                env.after(UNTIL_DISCONNECTED, Event::Disconnected { to });
            }
        }
    }

    fn take_waiting(&mut self, to: ClientRef) -> Option<Waiting> {
        self.sessions[to.session as usize].waiting.take_if(|waiting| waiting.request == to.request)
    }

    /// No answer will be waited for any longer.
    pub(crate) fn give_up(&mut self, to: ClientRef, env: &mut Environment) {
        let Some(waiting) = self.take_waiting(to) else { return };
        let Some(waiting) = self.ask_again(to.session as usize, waiting, env) else { return };
        match waiting.asked {
            Asked::One(One { id, .. }) if self.reads(id) => self.end(id, Outcome::Failed, env),
            Asked::One(One { id, .. }) => self.end(id, Outcome::Indeterminate, env),
            Asked::Scan { .. } => self.scan_ended(to.session as usize, false, env),
        }
        self.rest(to.session as usize, env);
    }

    fn reads(&self, id: OpId) -> bool {
        !self.history.operations()[id.0].is_write()
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, to: ClientRef, response: Response, env: &mut Environment) {
        let Some(Waiting { request, host, timeout, asked }) = self.take_waiting(to) else { return };
        let session = to.session as usize;
        match asked {
            Asked::One(one) => {
                let One { id, retries, .. } = one;
                // Of several requests each may have given it another end.
                if one.is_in_doubt() {
                    env.stats.confirmed += u64::from(matches!(response, Response::Written { .. }));
                } else {
                    self.narrow_expiry(id, &response);
                }
                let wanted = self.wanted(&one.operation, env);
                let (outcome, saw) = match self.reads(id) {
                    true => outcome_of_read(&response, wanted, self.mode),
                    false => (one.known(outcome_of_write(&response, wanted)), None),
                };
                self.expect_newer_than_seen(id, &outcome);
                if let (Response::Value { context, .. }, Operation::Get { level, .. }) = (&response, &one.operation) {
                    self.remember(session, id, context.clone(), *level == Some(Level::All));
                }
                if let Some(saw) = saw {
                    self.history.saw(id, saw);
                }
                if retries > 0 && matches!(outcome, Outcome::Rejected | Outcome::Failed) {
                    // What certainly did nothing may be asked of another node, as the same operation.
                    let another = (host + 1 + self.random.index(self.hosts)) % self.hosts;
                    let operation = one.operation.clone();
                    let asked = Asked::One(one.elsewhere(another, env));
                    env.stats.retried += 1;
                    return self.send(session, another, asked, operation, timeout, env);
                }
                if outcome == Outcome::Indeterminate {
                    let waiting = Waiting { request, host, timeout, asked: Asked::One(one) };
                    if self.ask_again(session, waiting, env).is_none() {
                        return;
                    }
                }
                self.end(id, outcome, env);
            }
            Asked::Scan { scan, invoked, to_the_end } => {
                if let Some(next) = self.scanned(session, host, &scan, invoked, &response, env).filter(|_| to_the_end) {
                    let scan = Scan { after: Some(next), ..scan };
                    return self.ask_scan(session, host, scan, true, timeout, env);
                }
            }
        }
        self.rest(session, env);
    }

    /// A write that has seen a version wins over it, whatever the clocks say and whichever replicas were asked.
    fn expect_newer_than_seen(&self, id: OpId, outcome: &Outcome) {
        let seen = self.history.operations()[id.0].context.and_then(|read| self.history.operations()[read.0].saw);
        if let (Some(seen), Outcome::Written { version: Some(version) }) = (seen, outcome) {
            assert!(*version > seen, "write {id:?} has seen {seen:?} and was acknowledged as {version:?}");
        }
    }

    /// A read has handed out a context.
    fn remember(&mut self, session: usize, id: OpId, context: Bytes, in_all: bool) {
        let name = &self.history.operations()[id.0].key;
        let Some(key) = self.keys.names().iter().position(|known| known == name) else { return };
        if in_all {
            self.last_reads.insert(key, (id, context.clone()));
        }
        self.sessions[session].contexts.insert(key, (id, context));
    }

    /// How many replicas a request wants; any number will do where a lie says so.
    fn wanted(&self, operation: &Operation, env: &Environment) -> u8 {
        match operation {
            Operation::Put { .. } | Operation::Delete { .. } if env.sabotage == Some(Sabotage::AckAfterOne) => 1,
            Operation::Get { level, .. } | Operation::Put { level, .. } | Operation::Delete { level, .. } => {
                Levels::count(level.expect("clients name their levels"), self.replication) as u8
            }
            Operation::Why { .. } => unreachable!("clients do not ask why"),
            Operation::Scan(_) => Levels::count(self.levels.read, self.replication) as u8,
        }
    }

    /// The node has told when the value ends, by a clock that is off by no more than all are; who reads it judges by
    /// another.
    fn narrow_expiry(&mut self, id: OpId, response: &Response) {
        let Response::Written { expires_at_ms: Some(at), .. } = response else { return };
        let at = virtual_time_of(*at);
        let earliest = moment(at.saturating_sub(self.max_offset));
        let latest = moment(at + self.max_offset + Duration::from_millis(1));
        self.history.narrow_expiry(id, Expiry { earliest, latest });
    }

    fn end(&mut self, id: OpId, outcome: Outcome, env: &mut Environment) {
        let count = match outcome {
            Outcome::Written { .. } => &mut env.stats.acknowledged,
            Outcome::Indeterminate => &mut env.stats.indeterminate,
            Outcome::Rejected => &mut env.stats.rejected,
            Outcome::Read(_) | Outcome::ReadUnknown => &mut env.stats.reads,
            Outcome::Failed => &mut env.stats.failed_reads,
            Outcome::Pending => unreachable!("an outcome is known"),
        };
        *count += 1;
        self.history.end(id, outcome, moment(env.now));
    }
}
