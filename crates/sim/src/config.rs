//! What one run looks like: sizes, levels, limits, how bad things get. Everything that a seed draws about the shape of
//! a run is drawn here. It holds no behaviour.
//!
//! Seeds draw in a swarm: each leaves out about half of what can go wrong and much of what clients can do, so that some
//! are heavy in one thing and silent in another (Groce and others, "Swarm Testing", ISSTA 2012).

use core::time::Duration;

use kvorum_lsm::{Compression, Options};
use kvorum_node::{Consistency, DEFAULT_KEYSPACE, KeyspaceId, Limits, Mode};
use kvorum_quorum::Level;

use crate::faults::{FaultRates, LosableDisks};
use crate::random::{Purpose, Random};
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;
use crate::workload::Mix;

/// The most nodes a simulated cluster has.
pub const MOST_NODES: usize = 128;

/// One run of the simulation. [`SimConfig::from_seed`] draws one; every field may be changed before it runs.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many nodes, 1 to [`MOST_NODES`].
    pub nodes: usize,
    /// How many racks they stand in, in turn.
    pub racks: usize,
    /// How many replicas each key has, at most `nodes`.
    pub replication: u8,
    /// How many data shards each node has.
    pub shards: u16,
    /// How many partitions the cluster has: a power of two.
    pub partitions: u32,
    /// How long faults go on, in virtual milliseconds.
    pub ticks: u64,
    /// How many clients work at once.
    pub clients: usize,
    /// How many keys they share; few, so that they collide.
    pub keys: usize,
    /// What becomes of concurrent versions of a key.
    pub mode: Mode,
    /// What clients do, and how often.
    pub mix: Mix,
    /// What clients ask for when they read and when they write.
    pub levels: Levels,
    /// Whose answers count for them.
    pub consistency: Consistency,
    /// What bounds each shard; narrow on some seeds, so that they are reached.
    pub limits: Limits,
    /// How far a node's wall clock may be off, either way, in milliseconds, and jump besides.
    pub clocks: Clocks,
    /// By how much the clock of each node is off all the time, in milliseconds, instead of what is drawn; 0 where none is
    /// named.
    pub skews: Option<Vec<i64>>,
    /// How the storage engine of each node is set up: small, so that everything it does it does often.
    pub engine: Options,
    /// Whether a log takes tens of milliseconds to write a group, so that much is under way when a node dies.
    pub slow_disks: bool,
    /// Whether faults begin at once, and not only when the cluster has been founded.
    pub rough_start: bool,
    /// What happens to the cluster.
    pub faults: FaultRates,
    /// Of the fault schedule only these happen, by number; all, if none is given.
    pub only_faults: Option<Vec<u32>>,
    /// What happens in particular.
    pub scenario: Option<Scenario>,
    /// What the shell does wrong on purpose.
    pub sabotage: Option<Sabotage>,
    /// Whether the run keeps the digest of its trace, by which two runs are compared. It costs half of the time.
    pub traced: bool,
}

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// R.
    pub read: Level,
    /// W.
    pub write: Level,
}

/// How wrong wall clocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Each is off by up to this, either way, all the time.
    pub max_skew_ms: u64,
    /// Each may jump by up to this, either way, for a while.
    pub max_jump_ms: u64,
}

impl Clocks {
    /// No clock is off by more than this from real time.
    pub(crate) fn max_offset(self) -> Duration {
        Duration::from_millis(self.max_skew_ms + self.max_jump_ms)
    }
}

impl Levels {
    /// Both a majority.
    pub const QUORUM: Self = Self { read: Level::Quorum, write: Level::Quorum };

    /// How many of `replication` replicas a level means.
    pub(crate) fn count(level: Level, replication: u8) -> i32 {
        let all = i32::from(replication);
        match level {
            Level::All | Level::EachQuorum => all,
            Level::Quorum | Level::LocalQuorum => all / 2 + 1,
            Level::One => 1,
            Level::Two => 2.min(all),
            Level::Three => 3.min(all),
            Level::Number(count) => i32::from(count.get()).min(all),
        }
    }

    /// By how many replicas every read overlaps every write, and every write every other, less the one that is
    /// needed. Negative where they need not overlap at all.
    ///
    /// R + W > N lets a read meet each acknowledged write; W + W > N lets a blind write find the newest acknowledged
    /// one and mint above it. Without both, reads may be stale and clocks decide. What is above the need may be lost:
    /// so many disks.
    pub(crate) fn spare_overlap(self, replication: u8) -> i32 {
        let (all, count) = (i32::from(replication), |level| Self::count(level, replication));
        let (read, write) = (count(self.read), count(self.write));
        (read + write).min(write + write) - all - 1
    }

    /// How many disks may be lost, or set back, so that still no acknowledged write is.
    ///
    /// A node that knows what happened is in doubt and answers no reads. Then each write that was acknowledged is known to W less
    /// so many of the others, which every read of enough of them meets. But it takes writes, and cannot tell their coordinators which version
    /// is the newest; by as much writes must overlap each other beyond their need. One that does not know answers reads too.
    pub(crate) fn losable_disks(self, replication: u8) -> LosableDisks {
        let write = Self::count(self.write, replication);
        let unknown = self.spare_overlap(replication).max(0) as u32;
        let known =
            if unknown > 0 || self.are_strict(replication) { 2 * write - i32::from(replication) - 1 } else { 0 };
        LosableDisks { known: known.max(0) as u32, unknown }
    }

    /// Whether no read may be stale.
    pub(crate) fn are_strict(self, replication: u8) -> bool {
        self.spare_overlap(replication) >= 0
    }
}

impl SimConfig {
    /// The run that a seed stands for.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Random::stream(seed, Purpose::Shape);
        let (nodes, replication) = [(3, 3), (3, 3), (5, 3), (5, 3), (5, 5), (4, 1), (1, 1), (2, 2)][random.index(8)];
        let levels = draw_levels(&mut random);
        let clocks =
            Clocks { max_skew_ms: [0, 50, 400][random.index(3)], max_jump_ms: [0, 0, 500, 20_000][random.index(4)] };
        let disks = levels.losable_disks(replication);
        let mut config = Self {
            seed,
            nodes,
            racks: 1 + random.index(3),
            replication,
            shards: 1 + random.below(2) as u16,
            partitions: 8,
            ticks: 10_000,
            clients: 4 + random.index(5),
            keys: 2 + random.index(7),
            mode: Mode::Lww,
            mix: Mix::swarm(&mut random),
            levels,
            consistency: Consistency::Strict,
            limits: draw_limits(&mut random),
            clocks,
            skews: None,
            rough_start: random.permille(250),
            engine: draw_engine(&mut random),
            slow_disks: random.permille(250),
            faults: FaultRates::swarm(&mut random, disks),
            only_faults: None,
            scenario: None,
            sabotage: None,
            traced: false,
        };
        if config.limits != Limits::default() {
            // So many that they would go beyond.
            config.clients = 16 + random.index(25);
        }
        // Drawn last, so that the rest of each seed stays as it was.
        if random.permille(350) { config.with_mode(Mode::Causal) } else { config }
    }

    /// The same run with another number of nodes; the replication factor shrinks with them if it must.
    #[must_use]
    pub fn with_nodes(self, nodes: usize) -> Self {
        self.clone().with_replication(self.replication.min(u8::try_from(nodes).unwrap_or(u8::MAX)), nodes)
    }

    /// The same run with other numbers of nodes and replicas. Fewer replicas can spare fewer disks.
    #[must_use]
    pub fn with_replication(self, replication: u8, nodes: usize) -> Self {
        let mut config = Self { nodes, replication, ..self };
        let LosableDisks { known, unknown } = config.levels.losable_disks(replication);
        config.faults.losable_disks.known = config.faults.losable_disks.known.min(known);
        config.faults.losable_disks.unknown = config.faults.losable_disks.unknown.min(unknown);
        config
    }

    /// The same run with other levels.
    #[must_use]
    pub fn with_levels(self, levels: Levels) -> Self {
        let (replication, nodes) = (self.replication, self.nodes);
        Self { levels, ..self }.with_replication(replication, nodes)
    }

    /// The same run in a keyspace of another mode. One that keeps siblings is created when the cluster has been founded.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        let rough_start = self.rough_start && mode == Mode::Lww;
        let mut config = Self { mode, rough_start, ..self };
        if mode == Mode::Causal {
            // Siblings on a node in doubt are seen by nobody, and so made an end of by nobody.
            config.faults.losable_disks = LosableDisks { known: 0, unknown: 0 };
        }
        config
    }

    /// The keyspace that clients use.
    pub(crate) fn keyspace(&self) -> KeyspaceId {
        match self.mode {
            Mode::Lww => DEFAULT_KEYSPACE,
            Mode::Causal => KeyspaceId(DEFAULT_KEYSPACE.0 + 1),
        }
    }

    /// Whether clients write long values besides short ones; where bounds are narrow, pairs are of one size.
    pub(crate) fn writes_long_values(&self) -> bool {
        self.limits == Limits::default()
    }

    /// Key and value of the largest pair that clients write, with what is stored besides.
    pub(crate) fn most_pair_bytes(&self) -> usize {
        if self.writes_long_values() { 512 } else { 64 }
    }

    /// Whether no read may be stale.
    pub(crate) fn is_strict(&self) -> bool {
        match self.mode {
            Mode::Lww => self.levels.are_strict(self.replication),
            Mode::Causal => self.reads_meet_writes(),
        }
    }

    /// Whether every read meets every acknowledged write. Where siblings are kept that is enough: no write has to find
    /// out which was the newest.
    pub(crate) fn reads_meet_writes(&self) -> bool {
        let count = |level| Levels::count(level, self.replication);
        count(self.levels.read) + count(self.levels.write) > i32::from(self.replication)
    }

    /// One replica that answers from what is durable is a linearizable register, unless its values expire. Several are
    /// not: until reads repair, an open write may be seen by one read and not by the next.
    pub(crate) fn judges_linearizability(&self) -> bool {
        self.mode == Mode::Lww && self.replication == 1 && self.mix.expiring_put == 0
    }

    pub(crate) fn check(&self) {
        assert!(
            (1..=MOST_NODES).contains(&self.nodes),
            "a simulated cluster has 1 to {MOST_NODES} nodes, not {}",
            self.nodes
        );
        assert!(
            (1..=self.nodes).contains(&usize::from(self.replication)),
            "a key has 1 to {} replicas, not {}",
            self.nodes,
            self.replication
        );
        assert!(self.shards > 0 && self.clients > 0 && self.keys > 0, "a run has shards, clients and keys");
        assert!(self.racks > 0, "nodes stand in racks");
        self.engine.validate().expect("the engine can be set up like that");
        assert!(
            self.partitions.is_power_of_two() && self.partitions <= 65_536,
            "partitions come in powers of two up to 65536"
        );
    }
}

fn draw_levels(random: &mut Random) -> Levels {
    let level = |random: &mut Random| [Level::One, Level::Quorum, Level::All][random.index(3)];
    if random.permille(500) { Levels::QUORUM } else { Levels { read: level(random), write: level(random) } }
}

fn draw_limits(random: &mut Random) -> Limits {
    let mut limits = Limits::default();
    if random.permille(150) {
        limits.operations = 2 + random.index(8);
    }
    if random.permille(150) {
        limits.undurable_bytes = 100 + random.index(1500);
    }
    limits
}

/// A memtable of 4 KiB is sealed after every group, which takes time; one of 64 KiB holds all that is written in a run.
fn draw_engine(random: &mut Random) -> Options {
    let memtable_bytes = if random.permille(50) { 4 << 10 } else { [8 << 10, 16 << 10, 64 << 10][random.index(3)] };
    let mut one_of = |sizes: &[usize]| sizes[random.index(sizes.len())];
    let l0_compact = one_of(&[1, 2, 4]);
    let l0_slow = l0_compact + one_of(&[0, 2, 8]);
    let options = Options::default()
        .memtable_bytes(memtable_bytes)
        .memtables(one_of(&[2, 3]))
        .cache_bytes(one_of(&[0, 4 << 10, 64 << 10]))
        .block_bytes(one_of(&[256, 512, 4 << 10]))
        .restart_interval(one_of(&[1, 4, 16]))
        .uncompressed_levels(one_of(&[0, 2]))
        .filter_bits(one_of(&[0, 10]) as u8)
        .level_base_bytes(one_of(&[4 << 10, 16 << 10]) as u64)
        .level_multiplier(one_of(&[2, 10]) as u64)
        .target_file_bytes(one_of(&[4 << 10, 16 << 10]) as u64)
        .l0_compact(l0_compact)
        .l0_slow(l0_slow)
        .l0_stop(l0_slow + one_of(&[1, 8]));
    if one_of(&[0, 1]) == 0 { options } else { options.bottom_compression(Compression::None) }
}

#[cfg(test)]
mod tests;
