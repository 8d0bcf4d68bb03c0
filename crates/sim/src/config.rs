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
use crate::retries::Retries;
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
    /// How clients ask again, by name, for writes of which they do not know what became; only where they are strict, and both
    /// reads and writes overlap writes. No seed draws it; `--scenario retried-writes` has it.
    pub retries: Option<Retries>,
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

    /// By how many replicas every read overlaps every write, and by how many every write every other, less the one that
    /// is needed. Negative where they need not overlap at all.
    ///
    /// R + W > N lets a read meet each acknowledged write; W + W > N lets a blind write find the newest acknowledged
    /// one and mint above it. Without both, reads may be stale and clocks decide.
    fn spare_overlaps(self, replication: u8) -> (i32, i32) {
        let (all, count) = (i32::from(replication), |level| Self::count(level, replication));
        let (read, write) = (count(self.read), count(self.write));
        (read + write - all - 1, write + write - all - 1)
    }

    /// How many nodes at a time may lack what their disks have lost, or what came after an old copy of them, so that still no
    /// acknowledged write is lost, and no read misses one that must not.
    ///
    /// One of the W replicas of a write must be left to pull from. A node that knows what happened is in doubt and answers
    /// no reads; so reads still meet each write, in one of the others. But it takes writes, and a coordinator that has not heard of
    /// its doubt takes its word on which version is the newest: where one version wins, writes must overlap each other in so many
    /// more. A node that does not know answers reads too, and reads must overlap writes in so many more.
    pub(crate) fn losable_disks(self, replication: u8, mode: Mode) -> LosableDisks {
        let (reads_meet, writes_meet) = self.spare_overlaps(replication);
        let survive = Self::count(self.write, replication) - 1;
        let are_strict = self.are_strict(replication, mode);
        let known = if are_strict && mode == Mode::Lww { survive.min(writes_meet) } else { survive };
        let unknown = if are_strict { known.min(reads_meet) } else { known };
        LosableDisks { known: known as u32, unknown: unknown as u32 }
    }

    /// Whether no read may be stale: every read meets every acknowledged write, and, where one version wins, every write
    /// does too.
    pub(crate) fn are_strict(self, replication: u8, mode: Mode) -> bool {
        let (reads_meet, writes_meet) = self.spare_overlaps(replication);
        reads_meet >= 0 && (mode == Mode::Causal || writes_meet >= 0)
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
            retries: None,
            limits: draw_limits(&mut random),
            clocks,
            skews: None,
            rough_start: random.permille(250),
            engine: draw_engine(&mut random),
            slow_disks: random.permille(250),
            faults: FaultRates::swarm(&mut random),
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
        let mode = if random.permille(350) { Mode::Causal } else { Mode::Lww };
        let consistency = if random.permille(300) { Consistency::Sloppy } else { Consistency::Strict };
        let retries = Retries { most: 1 + random.below(4) as u8, storms: random.permille(333) };
        config.retries = random.permille(250).then_some(retries);
        if config.retries.is_some() {
            // Narrow limits have room for some records that remember as many names as they can.
            config.limits.undurable_bytes += 16 << 10;
        }
        config.with_mode(mode).with_consistency(consistency)
    }

    /// The same run with another number of nodes; the replication factor shrinks with them if it must.
    #[must_use]
    pub fn with_nodes(self, nodes: usize) -> Self {
        self.clone().with_replication(self.replication.min(u8::try_from(nodes).unwrap_or(u8::MAX)), nodes)
    }

    /// The same run with other numbers of nodes and replicas. Fewer replicas can spare fewer disks.
    #[must_use]
    pub fn with_replication(self, replication: u8, nodes: usize) -> Self {
        Self { nodes, replication, ..self }.with_disks_that_can_be_spared()
    }

    /// The same run with other levels.
    #[must_use]
    pub fn with_levels(self, levels: Levels) -> Self {
        Self { levels, ..self }.with_disks_that_can_be_spared()
    }

    /// The same run in a keyspace of another mode. One that keeps siblings is created when the cluster has been founded.
    #[must_use]
    pub fn with_mode(self, mode: Mode) -> Self {
        let rough_start = self.rough_start && mode == Mode::Lww;
        Self { mode, rough_start, ..self }.with_disks_that_can_be_spared()
    }

    /// The same run with clients that insist on replicas, or do not.
    #[must_use]
    pub fn with_consistency(self, consistency: Consistency) -> Self {
        Self { consistency, ..self }.with_disks_that_can_be_spared()
    }

    /// No more disks are lost than can be spared. With stand-ins none can: a lost disk takes with it what its node kept for
    /// others, which may be all that there is of an acknowledged write, and no replica knows that.
    fn with_disks_that_can_be_spared(mut self) -> Self {
        let LosableDisks { known, unknown } = match self.consistency {
            Consistency::Strict => self.levels.losable_disks(self.replication, self.mode),
            Consistency::Sloppy => LosableDisks::NONE,
        };
        let LosableDisks { known: most_known, unknown: most_unknown } = self.faults.losable_disks;
        self.faults.losable_disks = LosableDisks { known: known.min(most_known), unknown: unknown.min(most_unknown) };
        self
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

    /// Whether no read may be stale, in the time of faults too. Stand-ins are outside of what levels promise.
    pub(crate) fn is_strict(&self) -> bool {
        self.consistency == Consistency::Strict && self.levels.are_strict(self.replication, self.mode)
    }

    /// Whether what reads show tells that a write had its effect once. What a read returns lies in a majority then, and that
    /// overlaps all reads and writes only if these are of majorities too.
    pub(crate) fn judges_repetition(&self) -> bool {
        let is_majority =
            |level| Levels::count(level, self.replication) == Levels::count(Level::Quorum, self.replication);
        let meet = self.is_strict() && is_majority(self.levels.read) && is_majority(self.levels.write);
        self.retries.is_some() && meet
    }

    /// One replica that answers from what is durable is a linearizable register, unless its values expire. Several are
    /// not: a write that finds a newer version mints again above it, and if a read has seen it under its first version,
    /// it takes effect twice.
    pub(crate) fn judges_linearizability(&self) -> bool {
        let is_one_replica = self.replication == 1 && self.consistency == Consistency::Strict;
        self.mode == Mode::Lww && is_one_replica && self.mix.expiring_put == 0
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
