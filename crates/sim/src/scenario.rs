//! Runs in which something particular happens besides what a seed draws.

use core::time::Duration;

use clap::ValueEnum;
use kvorum_node::{Consistency, Limits, MAX_DRIFT, Mode};
use kvorum_quorum::Level;

use crate::config::{Clocks, Levels, SimConfig};
use crate::faults::{Fault, FaultRates, LosableDisks};
use crate::network::{Cut, HostSet};
use crate::retries::Retries;
use crate::workload::Mix;

/// The bound of a clock's offset from its peers' median is half of what replicas allow.
const BOUND_MS: i64 = MAX_DRIFT.as_millis() as i64 / 2;
/// A second after the faults begin.
const SECOND: Duration = Duration::from_secs(1);

/// Something particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The clocks of two nodes are off all the time, either way, by almost as much as they may be.
    ClocksAtTheBound,
    /// The clock of one node leaps far beyond the bound, a second after the faults begin, and is mended when they end.
    ClockBeyondTheBound,
    /// One node of three, or two of five, dies a second after writing has begun, and starts again when that has ended. Nobody
    /// reads, so that only hints bring it what it missed.
    HintedHandoff,
    /// The same, and a node that keeps hints dies while it delivers them.
    InterruptedHandoff,
    /// Three nodes of five are cut off from the other two for ten seconds, with clients on either side.
    Bank,
    /// A disk is lost, and another one set back to an old copy, so that two nodes are in doubt at a time.
    LostDisk,
    /// Clients ask again for writes of which they do not know what became, by the names of these, and requests are often lost.
    RetriedWrites,
}

impl Scenario {
    /// The node whose clock leaps, and by how much, in milliseconds: so far that what it should not have minted is still
    /// out of reach when all keys are written in the end.
    pub(crate) const RUNAWAY: (usize, i64) = (1, 100_000);

    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How many nodes, the last ones, die and are spared by clients: who coordinates a write when it dies keeps no hint.
    pub(crate) fn victims(self, nodes: usize) -> usize {
        match self {
            Self::HintedHandoff | Self::InterruptedHandoff => nodes / 2,
            Self::ClocksAtTheBound | Self::ClockBeyondTheBound | Self::Bank | Self::LostDisk | Self::RetriedWrites => 0,
        }
    }

    /// Whether hints alone must bring every acknowledged write to all of its replicas.
    pub(crate) fn rests_on_hints(self) -> bool {
        match self {
            Self::HintedHandoff | Self::InterruptedHandoff | Self::Bank => true,
            Self::ClocksAtTheBound | Self::ClockBeyondTheBound | Self::LostDisk | Self::RetriedWrites => false,
        }
    }

    /// What happens: when, and for how long, reckoned from when the faults begin, which goes on for `ticks`.
    pub(crate) fn troubles(self, config: &SimConfig, ticks: Duration) -> Vec<(Duration, Duration, Fault)> {
        let left = ticks.saturating_sub(SECOND);
        match self {
            Self::ClocksAtTheBound | Self::RetriedWrites => Vec::new(),
            Self::ClockBeyondTheBound => {
                let (host, by_ms) = Self::RUNAWAY;
                vec![(SECOND, left, Fault::ClockJump { host, by_ms })]
            }
            Self::HintedHandoff | Self::InterruptedHandoff => {
                let all = HostSet::first(config.nodes);
                let victims = all.without(HostSet::first(config.nodes - self.victims(config.nodes)));
                vec![(SECOND, left, Fault::Crash(victims))]
            }
            Self::Bank => {
                let from = HostSet::first(3);
                let to = HostSet::first(config.nodes).without(from);
                let cut = Cut { from, to, both_ways: true, reset: config.seed.is_multiple_of(2) };
                vec![(SECOND, 10 * SECOND, Fault::Cut(cut))]
            }
            Self::LostDisk => {
                vec![(SECOND / 2, 6 * SECOND, Fault::RestoredDisk(2)), (6 * SECOND, SECOND, Fault::LostDisk(1))]
            }
        }
    }
}

impl SimConfig {
    /// The same run with that.
    #[must_use]
    pub fn with_scenario(self, scenario: Scenario) -> Self {
        let clocks = Clocks { max_jump_ms: 0, ..self.clocks };
        let alone = Self { faults: FaultRates::NONE, clocks, rough_start: false, ..self.clone() };
        let config = match scenario {
            Scenario::ClocksAtTheBound => {
                // What a message takes on its way counts as a part of the offset.
                let most = BOUND_MS - 1_000;
                let skew = |host| [-most, most].get(host).copied().unwrap_or(0);
                let clocks = Clocks { max_skew_ms: most.unsigned_abs(), max_jump_ms: 0 };
                let config = self.with_overlapping_levels();
                let skews = Some((0..config.nodes).map(skew).collect());
                Self { clocks, skews, ..config }
            }
            Scenario::ClockBeyondTheBound => {
                let FaultRates { cut, storm, pause, mean_gap, .. } = self.faults;
                let faults = FaultRates { cut, storm, pause, mean_gap, ..FaultRates::NONE };
                let mut mix = self.mix;
                // That node takes values for expired long before the others do, and is asked only once.
                (mix.expiring_put, mix.retries) = (0, 0);
                mix.put = mix.put.max(1);
                Self { faults, mix, ..alone.with_overlapping_levels() }
            }
            Scenario::HintedHandoff | Scenario::InterruptedHandoff => {
                let nodes = if self.nodes == 5 { 5 } else { 3 };
                let (mode, levels) = (self.mode, Levels::QUORUM);
                let mix = Mix { get: 0, put: 60, scan: 0, ..Mix::ORDINARY };
                // Whoever deletes in a keyspace of siblings has read.
                let mix = if mode == Mode::Causal { Mix { delete: 0, ..mix } } else { mix };
                let mut limits = Limits::default();
                if scenario == Scenario::InterruptedHandoff {
                    (limits.hints.in_flight, limits.hints.bytes_per_second) = (1, 8 << 10);
                }
                let config = alone.with_replication(nodes as u8, nodes).with_levels(levels);
                Self { mix, limits, keys: 24, ..config.with_consistency(Consistency::Strict) }
            }
            Scenario::Bank => {
                let mix = Mix { get: 40, put: 60, delete: 10, scan: 0, ..Mix::ORDINARY };
                let config = alone.with_replication(3, 5).with_levels(Levels::QUORUM);
                let (limits, ticks) = (Limits::default(), 14_000);
                Self { mix, limits, ticks, keys: 16, clients: 10, ..config }
            }
            Scenario::LostDisk => {
                let nodes = if self.nodes == 5 { 5 } else { 3 };
                let levels = Levels { read: Level::One, write: Level::All };
                let config = alone.with_consistency(Consistency::Strict).with_replication(nodes as u8, nodes);
                let mut config = config.with_levels(levels);
                // The copy is so old that its node finds out.
                config.faults.losable_disks = LosableDisks { known: 2, unknown: 1 };
                let mix = Mix { get: config.mix.get.max(20), ..config.mix };
                Self { mix, limits: Limits::default(), ticks: 10_000, ..config }
            }
            Scenario::RetriedWrites => {
                let mode = self.mode;
                let retries = Retries { most: 1 + (self.seed % 4) as u8, storms: self.seed.is_multiple_of(3) };
                let mix = Mix { get: 60, put: 40, ..self.mix };
                // A record remembers a few dozen names; so many that it forgets some are not written at once.
                let (retries, clients, limits) = (Some(retries), self.clients.min(8), Limits::default());
                let mut config = self.with_overlapping_levels().with_mode(mode);
                config.faults.lost_clients_permille = config.faults.lost_clients_permille.max(20);
                Self { mix, retries, clients, limits, ..config }
            }
        };
        Self { scenario: Some(scenario), ..config }
    }

    /// The same run with three replicas or five, of which majorities read and write, and one version that wins.
    fn with_overlapping_levels(self) -> Self {
        let nodes = if self.nodes == 5 { 5 } else { 3 };
        let replication = if self.replication == 5 && nodes == 5 { 5 } else { 3 };
        let config = self.with_mode(Mode::Lww).with_consistency(Consistency::Strict);
        config.with_replication(replication, nodes).with_levels(Levels::QUORUM)
    }
}
