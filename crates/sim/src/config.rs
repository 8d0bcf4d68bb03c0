//! What one run looks like: sizes, levels, how bad the weather is. It holds no behaviour; everything that a seed
//! draws about the shape of a run is drawn here.

use core::time::Duration;

use kvorum_quorum::Level;

use crate::random::{Purpose, Random};

/// One run of the simulation. [`SimConfig::from_seed`] draws one; every field may be changed before it runs.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many nodes, 1 to 64.
    pub nodes: usize,
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
    /// What clients ask for when they read and when they write.
    pub levels: (Level, Level),
    /// How far a node's wall clock may be off, either way, in milliseconds.
    pub max_skew_ms: u64,
    /// Whether a log takes tens of milliseconds to write a group, so that much is under way when a node dies.
    pub slow_disks: bool,
    /// Whether faults begin at once, and not only when the cluster has been founded.
    pub rough_start: bool,
    /// What happens to the cluster.
    pub faults: FaultRates,
    /// What the shell does wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

/// How often each kind of trouble comes. All zero is a calm run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRates {
    /// The mean time from one fault to the next.
    pub mean_gap: Duration,
    /// The weights of the kinds among each other.
    pub crash: u16,
    /// All nodes at once, as when the power fails.
    pub power_failure: u16,
    /// Messages between some nodes are cut off, one way or both.
    pub cut: u16,
    /// The network loses, repeats and delays messages for a while.
    pub storm: u16,
    /// Of a thousand saves of a state file, so many fail.
    pub failed_saves_permille: u16,
}

impl FaultRates {
    /// Nothing happens.
    pub const NONE: Self = Self {
        mean_gap: Duration::from_secs(1),
        crash: 0,
        power_failure: 0,
        cut: 0,
        storm: 0,
        failed_saves_permille: 0,
    };
}

impl Default for FaultRates {
    fn default() -> Self {
        Self {
            mean_gap: Duration::from_millis(500),
            crash: 40,
            power_failure: 5,
            cut: 35,
            storm: 20,
            failed_saves_permille: 20,
        }
    }
}

/// What the simulated shell does wrong, to show that the checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The log is reported durable, and read, as always, but it is synced only now and then; a crash loses the rest.
    NoSync,
    /// A node that starts again finds its data gone, and does not know.
    WipedAtRestart,
    /// The network repeats requests that one node forwards to another, so some are coordinated twice. Real streams
    /// never do; should they, an old value comes back under a new dot.
    RepeatForwards,
}

impl SimConfig {
    /// The run that a seed stands for.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Random::stream(seed, Purpose::Shape);
        let (nodes, replication) = [(3, 3), (3, 3), (5, 3)][random.index(3)];
        Self {
            seed,
            nodes,
            replication,
            shards: 1 + random.below(2) as u16,
            partitions: 8,
            ticks: 10_000,
            clients: 4 + random.index(5),
            keys: 2 + random.index(7),
            levels: (Level::Quorum, Level::Quorum),
            max_skew_ms: [0, 50, 400][random.index(3)],
            rough_start: random.permille(250),
            slow_disks: random.permille(250),
            faults: FaultRates::default(),
            sabotage: None,
        }
    }

    /// The same run with another number of nodes; the replication factor shrinks with them if it must.
    #[must_use]
    pub fn with_nodes(self, nodes: usize) -> Self {
        let most = u8::try_from(nodes).unwrap_or(u8::MAX);
        Self { nodes, replication: self.replication.min(most), ..self }
    }

    pub(crate) fn check(&self) {
        assert!((1..=64).contains(&self.nodes), "a simulated cluster has 1 to 64 nodes, not {}", self.nodes);
        assert!(
            (1..=self.nodes).contains(&usize::from(self.replication)),
            "a key has 1 to {} replicas, not {}",
            self.nodes,
            self.replication
        );
        assert!(self.shards > 0 && self.clients > 0 && self.keys > 0, "a run has shards, clients and keys");
        assert!(
            self.partitions.is_power_of_two() && self.partitions <= 65_536,
            "partitions come in powers of two up to 65536"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_draw_every_shape_and_each_the_same_again() {
        let shapes: Vec<_> = (0..50).map(SimConfig::from_seed).collect();
        assert!(shapes.iter().any(|config| config.nodes == 3) && shapes.iter().any(|config| config.nodes == 5));
        assert!(shapes.iter().any(|config| config.shards == 1) && shapes.iter().any(|config| config.shards == 2));
        assert!(shapes.iter().any(|config| config.rough_start) && shapes.iter().any(|config| !config.rough_start));
        assert_eq!(format!("{:?}", SimConfig::from_seed(9)), format!("{:?}", shapes[9]));
    }

    #[test]
    fn fewer_nodes_hold_fewer_replicas() {
        let config = SimConfig::from_seed(1).with_nodes(2);
        assert_eq!((config.nodes, config.replication), (2, 2));
        config.check();
    }
}
