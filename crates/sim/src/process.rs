//! One node process: a control part and its shards, and the shell around them that performs what they want. It
//! works as the real shell does: a turn handles one input and whatever it brings about at once, then hands the
//! log one group. It lives until its host crashes and knows nothing of that.

mod perform;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use kvorum_gossip as gossip;
use kvorum_node::control::Founding;
use kvorum_node::{
    ActorId, Address, ClientRef, Control, ControlConfig, ControlEffect, ControlInput, Effect, EpochPhase, Input,
    Limits, MemberMeta, Message, NodeId, Now, PeerShard, Request, Shard, ShardConfig, ShardIndex, partition_of_message,
    partition_of_request,
};
use kvorum_ring::PartitionId;

use crate::disk::Disk;
use crate::environment::Environment;
use crate::event::{HostIndex, Local};

/// Virtual time 0 on an exact wall clock, in milliseconds since the Unix epoch.
const UNIX_EPOCH_MS: u64 = 1_700_000_000_000;
/// Beyond this, timestamps are refused. It exceeds the clock lease, as it must.
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
    /// How far the wall clock is off, in milliseconds.
    pub(crate) skew_ms: i64,
}

pub(crate) struct Process {
    host: HostIndex,
    skew_ms: i64,
    started: Duration,
    control: Control,
    shards: Vec<Shard>,
    /// When each machine's timer goes off: the control part's, then the shards'.
    timers: Vec<Option<Duration>>,
    /// How long it takes from one thread to another.
    hop: Duration,
}

impl Process {
    /// Starts with what the disk holds.
    pub(crate) fn start(settings: &Settings, disk: &mut Disk, env: &mut Environment) -> Self {
        disk.boot += 1;
        let actor = ActorId(env.identities.next());
        let name: Arc<str> = format!("n{}", settings.host).into();
        let meta = MemberMeta {
            client: format!("{name}:7400").into(),
            name,
            dc: "dc1".into(),
            rack: "rack1".into(),
            weight: 1,
            actor,
            epoch: 0,
            bytes: 0,
            founding: 0,
        };
        let config = ControlConfig {
            me: settings.id,
            boot: disk.boot,
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
        let now = wall(env.now, Duration::ZERO, settings.skew_ms);
        let control = Control::new(config, now, &mut effects);
        let first = effects
            .iter()
            .find_map(|effect| if let ControlEffect::Publish(view) = effect { Some(Arc::clone(view)) } else { None });
        let view = first.expect("the first view comes out at once");
        let shard = |index| ShardConfig {
            index: ShardIndex(index),
            actor,
            clock_floor: disk.ceiling,
            max_drift_ms: MAX_DRIFT_MS,
            hedge_after: HEDGE_AFTER,
            limits: Limits::default(),
            seed: env.identities.next(),
        };
        let configs: Vec<ShardConfig> = (0..settings.shards).map(shard).collect();
        let shards: Vec<Shard> = configs.into_iter().map(|config| Shard::new(config, Arc::clone(&view))).collect();
        let mut process = Self {
            host: settings.host,
            skew_ms: settings.skew_ms,
            started: env.now,
            control,
            timers: vec![None; 1 + shards.len()],
            shards,
            hop: env.disk_random.micros(5, 200),
        };
        process.perform_control(effects, disk, env);
        process.set_timer(0, env);
        process
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.control.is_ready()
    }

    /// Of each shard: operations in flight, and keys in its overlay.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (usize, usize)> {
        self.shards.iter().map(|shard| (shard.operations(), shard.overlaid_keys()))
    }

    fn now(&self, env: &Environment) -> Now {
        wall(env.now, env.now - self.started, self.skew_ms)
    }

    fn shard_of(&self, partition: Option<PartitionId>) -> Option<usize> {
        Some(usize::from(partition?.0) % self.shards.len())
    }

    /// A client's request; the shard that owns its partition takes it.
    pub(crate) fn request(&mut self, from: ClientRef, request: Request, disk: &mut Disk, env: &mut Environment) {
        let shard = self.shard_of(partition_of_request(&request, self.shards[0].view())).unwrap_or(0);
        self.turn(shard, Input::Client { from, request }, disk, env);
    }

    /// A peer's message: a request goes to the shard that owns its partition, an answer to the one it names.
    pub(crate) fn peer(
        &mut self,
        from: PeerShard,
        to: PeerShard,
        tag: EpochPhase,
        message: Message,
        disk: &mut Disk,
        env: &mut Environment,
    ) {
        let owner = self.shard_of(partition_of_message(&message, self.shards[0].view()));
        let shard = owner.unwrap_or(usize::from(to.shard.0) % self.shards.len());
        self.turn(shard, Input::Peer { from, tag, message }, disk, env);
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
            Local::Timer { machine } => self.timer(machine, disk, env),
            Local::Load { shard, op, key } => {
                let result = Ok(disk.load(&key));
                self.turn(shard, Input::Loaded { op, result }, disk, env);
            }
            Local::Scan { shard, op, range, limit_bytes } => {
                let result = Ok(disk.scan(&range, limit_bytes));
                self.turn(shard, Input::Scanned { op, result }, disk, env);
            }
            Local::LogFlushed { shard } => {
                let durable = disk.end_flush(shard, env.now);
                self.turn(shard, Input::Durable(durable), disk, env);
            }
            Local::FileWritten => {
                let failed = env.disk_random.permille(env.failed_saves);
                env.stats.failed_saves += u64::from(failed);
                let (input, more) = disk.end_file(failed);
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
        loop {
            self.perform(shard, &mut effects, &mut inputs, disk, env);
            let Some(input) = inputs.pop_front() else { break };
            env.trace.record(env.now, format_args!("n{}.{shard} <- {input:?}", self.host));
            let now = self.now(env);
            self.shards[shard].handle(now, input, &mut effects);
        }
        self.end_turn(shard, disk, env);
    }

    fn timer(&mut self, machine: usize, disk: &mut Disk, env: &mut Environment) {
        if self.timers[machine] != Some(env.now) {
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

    /// What the turn appended goes to the log as one group, unless one is being written.
    fn end_turn(&mut self, shard: usize, disk: &mut Disk, env: &mut Environment) {
        if disk.begin_flush(shard) {
            let latency = env.flush_latency();
            env.local(self.host, latency, Local::LogFlushed { shard });
        }
        self.set_timer(1 + shard, env);
    }

    pub(crate) fn control_turn(&mut self, input: ControlInput, disk: &mut Disk, env: &mut Environment) {
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
            env.local(self.host, at - env.now, Local::Timer { machine });
        }
    }
}

fn wall(virtual_time: Duration, elapsed: Duration, skew_ms: i64) -> Now {
    let exact = UNIX_EPOCH_MS + virtual_time.as_millis() as u64;
    Now { elapsed, unix_ms: exact.saturating_add_signed(skew_ms) }
}
