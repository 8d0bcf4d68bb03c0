//! One node process: a control part and its shards, and the shell around them that performs what they want. It
//! works as the real shell does: a turn handles one input and whatever it brings about at once, then hands the
//! log one group. It lives until its host crashes and knows nothing of that.

mod engine;
mod perform;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use kvorum_gossip as gossip;
use kvorum_node::control::Founding;
use kvorum_node::{
    ActorId, Address, ClientRef, Consistency, Control, ControlConfig, ControlEffect, ControlInput, Effect, EpochPhase,
    Input, Limits, MemberMeta, Message, NodeId, Now, Operation, PeerShard, Request, Shard, ShardConfig, ShardIndex,
    StoreError, View, partition_of_message, partition_of_request,
};
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;

use crate::disk::{Disk, Saving};
use crate::environment::Environment;
use crate::event::{HostIndex, Local};
use crate::sabotage::Sabotage;
use crate::watch::Place;

/// Beyond this, timestamps are refused. It exceeds the clock's lease, and each jump of a clock; not all of them together,
/// so that now and then nodes refuse each other.
const MAX_DRIFT_MS: u64 = 30_000;
/// How long a read waits before it asks one more replica.
const HEDGE_AFTER: Duration = Duration::from_millis(15);

/// What a process is started with, the same each time.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) host: HostIndex,
    pub(crate) id: NodeId,
    pub(crate) address: Address,
    pub(crate) seeds: Vec<Address>,
    pub(crate) founding: Option<Founding>,
    pub(crate) shards: u16,
    pub(crate) rack: usize,
    pub(crate) limits: Limits,
}

pub(crate) struct Process {
    host: HostIndex,
    started: Duration,
    actor: ActorId,
    limits: Limits,
    control: Control,
    shards: Vec<Shard>,
    /// The log failed: it takes no more writes until the process starts again.
    log_failed: bool,
    /// The engine is going to do background work.
    engine_is_due: bool,
    /// When each machine's timer goes off: the control part's, then the shards'.
    timers: Vec<Option<Duration>>,
    /// How long it takes from one thread to another.
    hop: Duration,
}

impl Process {
    /// Starts with what the disk holds; its store is open.
    pub(crate) fn start(settings: &Settings, disk: &mut Disk, env: &mut Environment) -> Self {
        env.stats.doubts += u64::from(disk.begin_boot(env.identities.next()));
        let fresh = ActorId(env.identities.next());
        let actor = if env.sabotage == Some(Sabotage::SameActor) { ActorId(settings.id.0) } else { fresh };
        env.set_process(settings.host, actor);
        let name: Arc<str> = format!("n{}", settings.host).into();
        let meta = MemberMeta {
            client: format!("{name}:7400").into(),
            name,
            dc: "dc1".into(),
            rack: format!("rack{}", settings.rack).into(),
            weight: 1,
            actor,
            epoch: 0,
            catalog: 0,
            pulled: 0,
            to_pull: 0,
            bytes: 0,
            founding: 0,
            since_ms: env.unix_ms(settings.host),
            ceiling: disk.ceiling,
            in_doubt: None,
        };
        let config = ControlConfig {
            me: settings.id,
            boot: disk.boot,
            shards: usize::from(settings.shards),
            in_doubt: disk.in_doubt.clone(),
            peer: Address::clone(&settings.address),
            meta,
            seeds: settings.seeds.clone(),
            saved: disk.state.clone(),
            clock_floor: disk.ceiling,
            founding: settings.founding.clone(),
            gossip: gossip::Config::default(),
            seed: env.identities.next(),
        };
        let mut effects = Vec::new();
        let now = Now { elapsed: Duration::ZERO, unix_ms: env.unix_ms(settings.host) };
        let control = Control::new(config, now, &mut effects);
        let first = effects
            .iter()
            .find_map(|effect| if let ControlEffect::Publish(view) = effect { Some(Arc::clone(view)) } else { None });
        let view = first.expect("the first view comes out at once");
        let shard = |index| ShardConfig {
            index: ShardIndex(index),
            shards: usize::from(settings.shards),
            actor,
            clock_floor: disk.ceiling,
            max_drift_ms: MAX_DRIFT_MS,
            hedge_after: HEDGE_AFTER,
            limits: if env.sabotage == Some(Sabotage::Unlimited) { Limits::default() } else { settings.limits },
            seed: env.identities.next(),
        };
        let configs: Vec<ShardConfig> = (0..settings.shards).map(shard).collect();
        let shards: Vec<Shard> = configs.into_iter().map(|config| Shard::new(config, Arc::clone(&view))).collect();
        let mut process = Self {
            host: settings.host,
            started: env.now,
            actor,
            limits: settings.limits,
            log_failed: false,
            engine_is_due: false,
            control,
            timers: vec![None; 1 + shards.len()],
            shards,
            hop: env.disk_random.micros(5, 200),
        };
        for shard in 0..process.shards.len() {
            env.local(settings.host, Duration::ZERO, Local::Shard { shard, input: Input::Started });
        }
        process.perform_control(effects, disk, env);
        process.set_timer(0, env);
        process.let_engine_work(disk, env);
        process
    }

    /// Whether it says that it may have lost acknowledged writes.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.control.figures().in_doubt
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.control.is_ready()
    }

    /// How many hints it says that it keeps for others.
    pub(crate) fn hints(&self) -> u64 {
        let (queues, _) = self.control.hints();
        queues.iter().map(|queue| queue.count).sum()
    }

    /// Of each shard: operations in flight, and keys in its overlay.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (usize, usize)> {
        self.shards.iter().map(|shard| (shard.operations(), shard.overlaid_keys()))
    }

    /// Whether it can go on only after a restart.
    pub(crate) fn has_failed(&self) -> bool {
        self.log_failed
    }

    pub(crate) fn view(&self) -> &View {
        self.shards[0].view()
    }

    fn now(&self, env: &Environment) -> Now {
        Now { elapsed: env.now - self.started, unix_ms: env.unix_ms(self.host) }
    }

    fn shard_of(&self, partition: Option<PartitionId>) -> Option<usize> {
        Some(usize::from(partition?.0) % self.shards.len())
    }

    /// A client's request; the shard that owns its partition takes it.
    pub(crate) fn request(&mut self, from: ClientRef, mut request: Request, disk: &mut Disk, env: &mut Environment) {
        if env.sabotage == Some(Sabotage::AckAfterOne)
            && !env.is_calm
            && let Operation::Put { level, .. } | Operation::Delete { level, .. } = &mut request.operation
        {
            *level = Some(Level::One);
        }
        if env.sabotage == Some(Sabotage::StrictIgnored)
            && !env.is_calm
            && let Operation::Get { consistency, .. }
            | Operation::Put { consistency, .. }
            | Operation::Delete { consistency, .. } = &mut request.operation
        {
            *consistency = Some(Consistency::Sloppy);
        }
        if let Operation::Put { attempt, .. } | Operation::Delete { attempt, .. } = &mut request.operation {
            match (env.sabotage, &mut *attempt) {
                (Some(Sabotage::AttemptsForgotten), _) => *attempt = None,
                (Some(Sabotage::RetriesBegun), Some(attempt)) => attempt.first_asked = Some(self.actor),
                _ => {}
            }
        }
        let shard = self.shard_of(partition_of_request(&request, self.shards[0].view())).unwrap_or(0);
        self.turn(shard, Input::Client { from, request }, disk, env);
    }

    /// A peer's message: a request goes to the shard that owns its partition, an answer to the one it names.
    #[expect(clippy::too_many_arguments, reason = "what a frame carries, and where it arrives")]
    pub(crate) fn peer(
        &mut self,
        from: PeerShard,
        to: PeerShard,
        tag: EpochPhase,
        timeout: Duration,
        message: Message,
        disk: &mut Disk,
        env: &mut Environment,
    ) {
        let owner = self.shard_of(partition_of_message(&message, self.shards[0].view()));
        let shard = owner.unwrap_or(usize::from(to.shard.0) % self.shards.len());
        let until = self.now(env).elapsed.saturating_add(timeout);
        if env.sabotage == Some(Sabotage::CountTwice)
            && matches!(message, Message::WriteReply { .. })
            && let Some(node) = self.view().members.keys().copied().find(|node| *node != from.node && *node != to.node)
        {
            let (from, message) = (PeerShard { node, ..from }, message.clone());
            self.turn(shard, Input::Peer { from, tag, until, message }, disk, env);
        }
        self.turn(shard, Input::Peer { from, tag, until, message }, disk, env);
    }

    /// The connection to a peer broke.
    pub(crate) fn peer_lost(&mut self, node: NodeId, disk: &mut Disk, env: &mut Environment) {
        for shard in 0..self.shards.len() {
            self.turn(shard, Input::PeerLost(node), disk, env);
        }
    }

    /// Something inside the process is due.
    pub(crate) fn local(&mut self, local: Local, disk: &mut Disk, env: &mut Environment) {
        match local {
            Local::Shard { shard, input } => self.turn(shard, input, disk, env),
            Local::Control(input) => self.control_turn(input, disk, env),
            Local::Timer { machine, due } => self.timer(machine, due, disk, env),
            Local::Load { shard, op, key, until } => {
                let is_late = self.now(env).elapsed >= until;
                let result = if is_late { Err(StoreError::TooLate) } else { self.load(&key, disk, env) };
                self.turn(shard, Input::Loaded { op, result }, disk, env);
            }
            Local::Scan { shard, op, range, limit_bytes, until } => {
                let is_late = self.now(env).elapsed >= until;
                let result = if is_late { Err(StoreError::TooLate) } else { self.scan(&range, limit_bytes, disk, env) };
                self.turn(shard, Input::Scanned { op, result }, disk, env);
            }
            Local::LogFlushed => self.log_flushed(disk, env),
            Local::EngineWorks => self.engine_works(disk, env),
            Local::FileWritten => {
                let outcome = match disk.is_full() || env.fails_save() {
                    false => Saving::Done,
                    true if env.disk_random.permille(300) => Saving::DoneAllTheSame,
                    true => Saving::Failed,
                };
                let (input, more) = disk.end_file(outcome);
                if more {
                    self.write_file(env);
                }
                self.control_turn(input, disk, env);
            }
        }
    }

    /// One input of a shard, and all that follows from it at once.
    fn turn(&mut self, shard: usize, input: Input, disk: &mut Disk, env: &mut Environment) {
        self.run(shard, VecDeque::from([input]), Vec::new(), disk, env);
    }

    fn run(
        &mut self,
        shard: usize,
        mut inputs: VecDeque<Input>,
        mut effects: Vec<Effect>,
        disk: &mut Disk,
        env: &mut Environment,
    ) {
        let mut merges = false;
        loop {
            self.perform(shard, merges, &mut effects, &mut inputs, disk, env);
            let Some(input) = inputs.pop_front() else { break };
            merges = matches!(&input, Input::Peer { message: Message::Write { .. }, .. });
            env.trace.record(env.now, format_args!("n{}.{shard} <- {input:?}", self.host));
            let now = self.now(env);
            self.shards[shard].handle(now, input, &mut effects);
        }
        self.end_turn(shard, disk, env);
    }

    fn timer(&mut self, machine: usize, due: Duration, disk: &mut Disk, env: &mut Environment) {
        if self.timers[machine] != Some(due) {
            return; // An earlier moment was wanted since, and has come.
        }
        self.timers[machine] = None;
        let now = self.now(env);
        if let Some(shard) = machine.checked_sub(1) {
            let mut effects = Vec::new();
            self.shards[shard].handle_timeout(now, &mut effects);
            self.run(shard, VecDeque::new(), effects, disk, env);
        } else {
            let mut effects = Vec::new();
            self.control.handle_timeout(now, &mut effects);
            self.perform_control(effects, disk, env);
            self.set_timer(0, env);
        }
    }

    /// What the turn appended goes to the log with whatever else is queued, unless a group is being written.
    fn end_turn(&mut self, shard: usize, disk: &mut Disk, env: &mut Environment) {
        if disk.begin_flush() {
            let latency = env.flush_latency(disk.is_slow());
            env.local(self.host, latency, Local::LogFlushed);
        }
        env.watch.bounds(env.now, Place { host: self.host, shard }, &self.shards[shard], &self.limits);
        self.set_timer(1 + shard, env);
    }

    pub(crate) fn control_turn(&mut self, mut input: ControlInput, disk: &mut Disk, env: &mut Environment) {
        if env.sabotage == Some(Sabotage::ClockUnchecked)
            && let ControlInput::Message(message) = &mut input
        {
            message.clock_ms = env.unix_ms(self.host);
        }
        env.trace.record(env.now, format_args!("n{} <- {input:?}", self.host));
        let mut effects = Vec::new();
        let now = self.now(env);
        self.control.handle(now, input, &mut effects);
        self.perform_control(effects, disk, env);
        self.set_timer(0, env);
    }

    fn set_timer(&mut self, machine: usize, env: &mut Environment) {
        let next = match machine.checked_sub(1) {
            None => self.control.next_timeout(),
            Some(shard) => self.shards[shard].next_timeout(),
        };
        let Some(at) = next.map(|next| (self.started + next).max(env.now)) else { return };
        if self.timers[machine].is_none_or(|set| at < set) {
            self.timers[machine] = Some(at);
            env.local(self.host, at - env.now, Local::Timer { machine, due: at });
        }
    }
}
