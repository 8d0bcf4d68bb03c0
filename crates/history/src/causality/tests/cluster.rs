//! A store of three replicas of explicit histories, with clients, delays, losses and faults of its own, which writes
//! down what its clients see.

use std::collections::BTreeMap;

use super::super::{CausalHistory, ExplicitRegister, ExplicitVersion};
use crate::contradiction::script::{PUT, Random, WRITTEN, put_until};
use crate::{Action, History, Moment, OpId, Outcome};

const N: usize = 3;
const CLIENTS: usize = 4;
const STEPS: usize = 260;
/// How far the clocks that judge expiry may be off.
const CLOCK_BOUND: u64 = 3;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Writes replace nothing.
    ContextIgnored,
    /// A read returns one sibling at most.
    SiblingDropped,
    /// A replica forgets its tombstones at once.
    TombstoneForgotten,
    /// A replica forgets all that it holds, now and then.
    WriteForgotten,
    /// A write replaces everything at the replicas that take it.
    LastWriterWins,
    /// Reads ask one replica only.
    WeakReads,
    /// Expired values are returned.
    NeverExpires,
}

impl Fault {
    pub(super) const ALL: [Self; 7] = [
        Self::ContextIgnored,
        Self::SiblingDropped,
        Self::TombstoneForgotten,
        Self::WriteForgotten,
        Self::LastWriterWins,
        Self::WeakReads,
        Self::NeverExpires,
    ];
}

type Register = ExplicitRegister<OpId>;
type Replicas = Vec<usize>;

enum State {
    Idle,
    Writing { id: OpId, version: ExplicitVersion<OpId>, left: Replicas, taken: usize },
    Reading { id: OpId, left: Replicas, answers: Vec<Register> },
}

struct Client {
    process: u64,
    key: u8,
    state: State,
    context: BTreeMap<u8, (OpId, CausalHistory<OpId>)>,
}

struct Cluster {
    fault: Fault,
    random: Random,
    now: u64,
    history: History<u8>,
    replicas: Vec<BTreeMap<u8, Register>>,
    /// Messages under way to replicas: they may arrive late or never.
    under_way: Vec<(usize, u8, ExplicitVersion<OpId>)>,
    /// When each put that expires does so, by a clock that nobody sees.
    expires: BTreeMap<OpId, u64>,
}

/// A run: random clients and losses, then a calm in which everything arrives, and a last read of each key.
pub(super) fn run(seed: u64, fault: Fault) -> History<u8> {
    let mut cluster = Cluster {
        fault,
        random: Random(seed),
        now: 0,
        history: History::default(),
        replicas: vec![BTreeMap::new(); N],
        under_way: Vec::new(),
        expires: BTreeMap::new(),
    };
    let client = |process| Client { process, key: 0, state: State::Idle, context: BTreeMap::new() };
    let mut clients: Vec<_> = (0..CLIENTS as u64).map(client).collect();
    for _ in 0..STEPS {
        cluster.now += cluster.random.below(3);
        match cluster.random.below(10) {
            0 => cluster.exchange(),
            1 | 2 => cluster.arrive(30),
            _ => {
                let client = cluster.random.index(CLIENTS);
                cluster.step(&mut clients[client]);
            }
        }
    }
    while !cluster.under_way.is_empty() {
        cluster.arrive(0);
    }
    for (from, to) in [(0, 1), (1, 2), (2, 1), (1, 0)] {
        cluster.copy(from, to);
    }
    for key in 0..2 {
        cluster.now += 5;
        let id = cluster.history.begin(CLIENTS as u64, key, Action::Get, None, Moment(cluster.now));
        let answers = vec![cluster.replica(0, key).clone()];
        cluster.now += 1;
        cluster.answer(id, &answers);
    }
    cluster.history
}

impl Cluster {
    fn replica(&mut self, replica: usize, key: u8) -> &mut Register {
        self.replicas[replica].entry(key).or_default()
    }

    fn take(&mut self, replica: usize, key: u8, mut version: ExplicitVersion<OpId>) {
        let fault = self.fault;
        let history = &self.history;
        let is_delete = |id: OpId| history.operations()[id.0].action == Action::Delete;
        let register = self.replicas[replica].entry(key).or_default();
        if fault == Fault::LastWriterWins {
            let (_, everything) = register.read();
            if everything.contains(&version.id) {
                return;
            }
            version.past.join(&everything);
        }
        register.insert(version);
        if fault == Fault::TombstoneForgotten {
            *register = rebuilt(register, |id| !is_delete(id));
        }
        if fault == Fault::WriteForgotten && self.random.chance(10) {
            *self.replica(replica, key) = Register::default();
        }
    }

    /// Some message arrives, or is lost.
    fn arrive(&mut self, lost_percent: u64) {
        if !self.under_way.is_empty() {
            let message = self.random.index(self.under_way.len());
            let (replica, key, version) = self.under_way.swap_remove(message);
            if !self.random.chance(lost_percent) {
                self.take(replica, key, version);
            }
        }
    }

    /// Anti-entropy between two replicas.
    fn exchange(&mut self) {
        let (from, to) = (self.random.index(N), self.random.index(N));
        self.copy(from, to);
    }

    fn copy(&mut self, from: usize, to: usize) {
        for key in 0..2 {
            let versions: Vec<_> = self.replica(from, key).versions().collect();
            versions.into_iter().for_each(|version| self.take(to, key, version));
        }
    }

    fn shuffled(&mut self) -> Replicas {
        let mut replicas: Vec<_> = (0..N).collect();
        replicas.swap(0, self.random.index(N));
        replicas.swap(1, 1 + self.random.index(N - 1));
        replicas
    }

    fn step(&mut self, client: &mut Client) {
        let key = client.key;
        client.state = match core::mem::replace(&mut client.state, State::Idle) {
            State::Idle => {
                client.key = u8::from(self.random.chance(30));
                self.begin(client)
            }
            // The client knows no more: the messages go on, or not.
            State::Writing { id, version, left, .. } if self.random.chance(8) => {
                self.under_way.extend(left.into_iter().map(|replica| (replica, key, version.clone())));
                if self.random.chance(50) {
                    self.history.end(id, Outcome::Indeterminate, Moment(self.now));
                } else {
                    client.process += CLIENTS as u64 + 1;
                }
                State::Idle
            }
            State::Writing { id, version, mut left, taken } => {
                let replica = left.pop().expect("W is not more than N");
                self.take(replica, key, version.clone());
                if taken + 1 < 2 {
                    State::Writing { id, version, left, taken: taken + 1 }
                } else {
                    self.under_way.extend(left.into_iter().map(|replica| (replica, key, version.clone())));
                    self.history.end(id, WRITTEN, Moment(self.now));
                    State::Idle
                }
            }
            State::Reading { id, .. } if self.random.chance(5) => {
                self.history.end(id, Outcome::Failed, Moment(self.now));
                State::Idle
            }
            State::Reading { id, mut left, mut answers } => {
                let replica = left.pop().expect("R is not more than N");
                answers.push(self.replica(replica, key).clone());
                if answers.len() < if self.fault == Fault::WeakReads { 1 } else { 2 } {
                    State::Reading { id, left, answers }
                } else {
                    let context = self.answer(id, &answers);
                    client.context.insert(key, (id, context));
                    State::Idle
                }
            }
        };
    }

    fn begin(&mut self, client: &Client) -> State {
        let (now, key, process) = (Moment(self.now), client.key, client.process);
        let expires = self.now + CLOCK_BOUND + self.random.below(40);
        let action = match self.random.below(20) {
            0..10 => {
                let id = self.history.begin(process, key, Action::Get, None, now);
                return State::Reading { id, left: self.shuffled(), answers: Vec::new() };
            }
            10..16 => PUT,
            16 | 17 => put_until(expires - CLOCK_BOUND, expires + CLOCK_BOUND),
            _ => Action::Delete,
        };
        let known = client.context.get(&key).filter(|_| self.random.chance(80));
        let id = self.history.begin(process, key, action, known.map(|(read, _)| *read), now);
        if self.random.chance(5) {
            self.history.end(id, Outcome::Rejected, now);
            return State::Idle;
        }
        if matches!(action, Action::Put { expiry: Some(_) }) {
            self.expires.insert(id, expires);
        }
        let context = known.filter(|_| self.fault != Fault::ContextIgnored).map(|(_, context)| context.clone());
        let version = Register::default().write(id, &context.unwrap_or_default());
        State::Writing { id, version, left: self.shuffled(), taken: 0 }
    }

    fn answer(&mut self, id: OpId, answers: &[Register]) -> CausalHistory<OpId> {
        let mut merged = Register::default();
        answers.iter().for_each(|answer| merged.merge(answer));
        let (mut seen, context) = merged.read();
        seen.retain(|put| self.history.operations()[put.0].action != Action::Delete);
        if self.fault != Fault::NeverExpires {
            seen.retain(|put| self.expires.get(put).is_none_or(|expires| self.now < *expires));
        }
        if self.fault == Fault::SiblingDropped {
            seen.truncate(1);
        }
        let len = seen.len().max(1);
        seen.rotate_left(self.random.index(len));
        self.history.end(id, Outcome::Read(seen), Moment(self.now));
        context
    }
}

fn rebuilt(register: &Register, keep: impl Fn(OpId) -> bool) -> Register {
    let mut kept = Register::default();
    register.versions().filter(|version| keep(version.id)).for_each(|version| kept.insert(version));
    kept
}

/// The same history with another outcome of one operation.
pub(super) fn with_outcome(history: &History<u8>, of: OpId, outcome: Outcome) -> History<u8> {
    let mut changed = History::default();
    for operation in history.operations() {
        let id =
            changed.begin(operation.process, operation.key, operation.action, operation.context, operation.invoked);
        if let Some(completed) = operation.completed {
            changed.end(id, if id == of { outcome.clone() } else { operation.outcome.clone() }, completed);
        }
    }
    changed
}

/// The same history with a few operations that ended otherwise.
pub(super) fn mutated(history: &History<u8>, random: &mut Random) -> History<u8> {
    let mut changed = with_outcome(history, OpId(usize::MAX), Outcome::Failed);
    for _ in 0..1 + random.below(3) {
        let id = OpId(random.index(changed.operations().len()));
        let outcome = match &changed.operations()[id.0].outcome {
            Outcome::Read(seen) => {
                let mut seen = seen.clone();
                let any = random.index(changed.operations().len() + 1);
                match random.below(5) {
                    0 => _ = seen.pop(),
                    1 => seen.extend(seen.first().copied()),
                    2 => seen = vec![OpId(any)],
                    _ => seen.push(OpId(any)),
                }
                if random.chance(5) { Outcome::ReadUnknown } else { Outcome::Read(seen) }
            }
            Outcome::Failed => Outcome::Read(Vec::new()),
            _ => [WRITTEN, Outcome::Rejected, Outcome::Indeterminate][random.index(3)].clone(),
        };
        changed = with_outcome(&changed, id, outcome);
    }
    changed
}
