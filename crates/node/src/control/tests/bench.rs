//! Control parts on a bench: messages arrive at once unless their link is cut, saves succeed at once unless held.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) use kvorum_ring::{Partitions, Replication};
pub(super) use kvorum_vclock::Timestamp;

use super::super::*;
pub(super) use crate::{Catalog, CatalogChange, Secret};

/// The wall clock when a bench is set up, in milliseconds.
pub(super) const WALL: u64 = 1_000_000;
pub(super) const CLUSTER: ClusterId = ClusterId(0xc1);
pub(super) const SECRET: Secret = Secret([0x5e; 32]);

pub(super) fn address(n: u64) -> Address {
    format!("host{n}:1").into()
}

pub(super) fn meta(n: u64) -> MemberMeta {
    MemberMeta {
        name: format!("n{n}").into(),
        client: format!("host{n}:2").into(),
        dc: "dc".into(),
        rack: "rack".into(),
        weight: 1,
        actor: ActorId(n),
        since_ms: WALL,
        ceiling: Timestamp::MIN,
        in_doubt: None,
        epoch: 0,
        catalog: 0,
        pulled: 0,
        to_pull: 0,
        bytes: 0,
        founding: 0,
    }
}

/// A node that knows nothing and seeks the first.
pub(super) fn newcomer(n: u64) -> ControlConfig {
    ControlConfig {
        me: NodeId(n),
        boot: 1,
        shards: 2,
        peer: address(n),
        meta: meta(n),
        seeds: vec![address(1)],
        saved: SavedState::default(),
        in_doubt: None,
        clock_floor: Timestamp::MIN,
        founding: None,
        gossip: gossip::Config::default(),
        seed: n,
    }
}

/// A node that founds a cluster when so many are present.
pub(super) fn founder(n: u64, nodes: u32) -> ControlConfig {
    ControlConfig {
        saved: SavedState { cluster: Some(CLUSTER), ..SavedState::default() },
        founding: Some(Founding {
            nodes,
            partitions: Partitions::new(8).unwrap(),
            replication: Replication::PerCentre(3),
            pair_bytes: crate::DEFAULT_PAIR_BYTES,
            secret: SECRET,
        }),
        ..newcomer(n)
    }
}

/// One control part, what it said, and its disk.
pub(super) struct Process {
    pub(super) control: Control,
    pub(super) views: Vec<Arc<View>>,
    pub(super) ceilings: Vec<Timestamp>,
    /// What became of changes of the keyspaces, by ticket.
    pub(super) outcomes: BTreeMap<u64, ChangeOutcome>,
    notes: Vec<Note>,
    /// Saves wait for [`Bench::finish_saves`].
    pub(super) hold_saves: bool,
    pub(super) saves: VecDeque<(u64, SavedState)>,
    pub(super) ceiling_saves: VecDeque<Timestamp>,
    /// What is durable.
    pub(super) disk: SavedState,
    pub(super) disk_ceiling: Timestamp,
    pub(super) identity_saves: VecDeque<(u64, Option<Arc<str>>)>,
    /// The boot and the doubt on disk.
    pub(super) disk_identity: (u64, Option<Arc<str>>),
    /// Whose place it wants to take, and the last boot of that one.
    pub(super) taken_over: Option<(NodeId, u64)>,
}

impl Process {
    pub(super) fn notes(&mut self) -> Vec<Note> {
        core::mem::take(&mut self.notes)
    }

    pub(super) fn view(&self) -> &View {
        self.views.last().expect("a view is published at once")
    }
}

#[derive(Default)]
pub(super) struct Bench {
    pub(super) elapsed: Duration,
    processes: BTreeMap<Address, Process>,
    /// Who cannot reach whom.
    cuts: BTreeSet<(Address, Address)>,
    /// What was sent, for the tests that look at it: from whom, to whom, what.
    pub(super) wire: Vec<(Address, Address, ControlMessage)>,
    /// How far wall clocks are off, in milliseconds.
    pub(super) skews: BTreeMap<Address, i64>,
}

impl Bench {
    pub(super) fn now(&self) -> Now {
        Now { elapsed: self.elapsed, unix_ms: WALL + u64::try_from(self.elapsed.as_millis()).unwrap() }
    }

    /// The time as a process has it.
    fn clock_of(&self, me: &Address) -> Now {
        let Now { elapsed, unix_ms } = self.now();
        Now { elapsed, unix_ms: unix_ms.saturating_add_signed(self.skews.get(me).copied().unwrap_or(0)) }
    }

    pub(super) fn start(&mut self, config: ControlConfig) {
        self.start_with(config, false);
    }

    /// Starts a process, whose saves may wait.
    pub(super) fn start_with(&mut self, config: ControlConfig, hold_saves: bool) {
        let mut effects = Vec::new();
        let (peer, disk, disk_ceiling) = (Address::clone(&config.peer), config.saved.clone(), config.clock_floor);
        let disk_identity = (config.boot, config.in_doubt.clone());
        let control = Control::new(config, self.clock_of(&peer), &mut effects);
        let process = Process {
            control,
            views: Vec::new(),
            ceilings: Vec::new(),
            outcomes: BTreeMap::new(),
            notes: Vec::new(),
            hold_saves,
            saves: VecDeque::new(),
            ceiling_saves: VecDeque::new(),
            disk,
            disk_ceiling,
            identity_saves: VecDeque::new(),
            disk_identity,
            taken_over: None,
        };
        self.processes.insert(Address::clone(&peer), process);
        self.perform(peer, effects);
    }

    /// Ends a process, and gives what it leaves behind.
    pub(super) fn kill(&mut self, n: u64) -> Process {
        self.processes.remove(&address(n)).expect("it runs")
    }

    /// Takes back what [`kill`](Self::kill) gave: it was never dead.
    pub(super) fn resume(&mut self, n: u64, process: Process) {
        self.processes.insert(address(n), process);
    }

    /// What a process leaves behind that has never done anything.
    pub(super) fn blank(&mut self, n: u64) -> Process {
        self.start(newcomer(n));
        self.kill(n)
    }

    pub(super) fn at(&mut self, n: u64) -> &mut Process {
        self.processes.get_mut(&address(n)).expect("it runs")
    }

    pub(super) fn cut(&mut self, from: u64, to: u64) {
        self.cuts.insert((address(from), address(to)));
    }

    pub(super) fn mend(&mut self, from: u64, to: u64) {
        self.cuts.remove(&(address(from), address(to)));
    }

    pub(super) fn tell(&mut self, n: u64, input: ControlInput) {
        self.give(address(n), input);
    }

    /// Says something to a process as from another, of some cluster.
    pub(super) fn say(&mut self, n: u64, from: u64, cluster: Option<ClusterId>, body: ControlBody) {
        let clock_ms = self.now().unix_ms;
        let message = ControlMessage { cluster, from: NodeId(from), reply_to: address(from), clock_ms, body };
        self.tell(n, ControlInput::Message(message));
    }

    fn give(&mut self, to: Address, input: ControlInput) {
        let (now, mut effects) = (self.clock_of(&to), Vec::new());
        let Some(process) = self.processes.get_mut(&to) else { return };
        process.control.handle(now, input, &mut effects);
        self.perform(to, effects);
    }

    fn perform(&mut self, me: Address, effects: Vec<ControlEffect>) {
        let mut inputs = Vec::new();
        for effect in effects {
            let process = self.processes.get_mut(&me).expect("it runs");
            match effect {
                ControlEffect::Send { to, message } => {
                    self.wire.push((Address::clone(&me), Address::clone(&to), message.clone()));
                    if !self.cuts.contains(&(Address::clone(&me), Address::clone(&to))) {
                        inputs.push((to, ControlInput::Message(message)));
                    }
                }
                ControlEffect::Save { version, state } => process.saves.push_back((version, state)),
                ControlEffect::SaveCeiling(ceiling) => process.ceiling_saves.push_back(ceiling),
                ControlEffect::Publish(view) => process.views.push(view),
                ControlEffect::Ceiling(ceiling) => process.ceilings.push(ceiling),
                ControlEffect::CatalogChanged { ticket, outcome } => {
                    let twice = process.outcomes.insert(ticket, outcome);
                    assert_eq!(twice, None, "a change has one outcome");
                }
                ControlEffect::SaveIdentity { boot, in_doubt } => process.identity_saves.push_back((boot, in_doubt)),
                ControlEffect::TakeOver { id, boot } => process.taken_over = Some((id, boot)),
                ControlEffect::Note(note) => process.notes.push(note),
            }
        }
        if !self.processes[&me].hold_saves {
            self.finish_saves_at(&me);
        }
        for (to, input) in inputs {
            self.give(to, input);
        }
    }

    /// Makes durable what waits for it.
    pub(super) fn finish_saves(&mut self, n: u64) {
        self.finish_saves_at(&address(n));
    }

    fn finish_saves_at(&mut self, me: &Address) {
        loop {
            let process = self.processes.get_mut(me).expect("it runs");
            if let Some((version, state)) = process.saves.pop_front() {
                process.disk = state;
                self.give(Address::clone(me), ControlInput::Saved { version });
            } else if let Some(ceiling) = process.ceiling_saves.pop_front() {
                process.disk_ceiling = ceiling;
                self.give(Address::clone(me), ControlInput::CeilingSaved(ceiling));
            } else if let Some(identity) = process.identity_saves.pop_front() {
                process.disk_identity = identity;
                self.give(Address::clone(me), ControlInput::IdentitySaved(Ok(())));
            } else {
                return;
            }
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.elapsed + span;
        loop {
            let next =
                self.processes.iter().filter_map(|(me, it)| Some((it.control.next_timeout()?, Address::clone(me))));
            let Some((at, me)) = next.min().filter(|(at, _)| *at <= end) else { break };
            self.elapsed = self.elapsed.max(at);
            let (now, mut effects) = (self.clock_of(&me), Vec::new());
            self.processes.get_mut(&me).expect("it runs").control.handle_timeout(now, &mut effects);
            self.perform(me, effects);
        }
        self.elapsed = end;
    }
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Three nodes that have founded a cluster.
pub(super) fn founded() -> Bench {
    let mut bench = Bench::default();
    bench.start(founder(1, 3));
    bench.start(newcomer(2));
    bench.start(newcomer(3));
    bench.run(seconds(5));
    for n in 1..=3 {
        assert!(bench.at(n).control.is_ready(), "node {n} has the layout");
        bench.at(n).notes();
    }
    bench
}

/// The configuration of the next process of a node that has left this behind.
pub(super) fn again(n: u64, left: &Process) -> ControlConfig {
    let (boot, in_doubt) = left.disk_identity.clone();
    let again = newcomer(n);
    // Actors are drawn anew for every process, and differ in their upper bits.
    let actor = ActorId(again.meta.actor.0 | (boot + 1) << 40);
    ControlConfig {
        boot: boot + 1,
        seeds: Vec::new(),
        saved: left.disk.clone(),
        in_doubt,
        clock_floor: left.disk_ceiling,
        meta: MemberMeta { actor, since_ms: WALL + 5_000 * boot, ..again.meta },
        ..again
    }
}
