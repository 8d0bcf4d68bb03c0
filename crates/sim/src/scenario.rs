//! Runs in which something particular happens besides what a seed draws.

use clap::ValueEnum;
use kvorum_node::{MAX_DRIFT, Mode};

use crate::config::{Clocks, Levels, SimConfig};
use crate::faults::FaultRates;

/// The bound of a clock's offset from its peers' median is half of what replicas allow.
const BOUND_MS: i64 = MAX_DRIFT.as_millis() as i64 / 2;

/// Something particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The clocks of two nodes are off all the time, either way, by almost as much as they may be.
    ClocksAtTheBound,
    /// The clock of one node leaps far beyond the bound, a second after the faults begin, and is mended when they end.
    ClockBeyondTheBound,
}

impl Scenario {
    /// The node whose clock leaps, and by how much, in milliseconds: so far that what it should not have minted is still
    /// out of reach when all keys are written in the end.
    pub(crate) const RUNAWAY: (usize, i64) = (1, 100_000);

    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl SimConfig {
    /// The same run with that.
    #[must_use]
    pub fn with_scenario(self, scenario: Scenario) -> Self {
        let nodes = if self.nodes == 5 { 5 } else { 3 };
        let replication = if self.replication == 5 && nodes == 5 { 5 } else { 3 };
        let config = self.with_mode(Mode::Lww).with_replication(replication, nodes).with_levels(Levels::QUORUM);
        match scenario {
            Scenario::ClocksAtTheBound => {
                // What a message takes on its way counts as a part of the offset.
                let most = BOUND_MS - 1_000;
                let skew = |host| [-most, most].get(host).copied().unwrap_or(0);
                let clocks = Clocks { max_skew_ms: most.unsigned_abs(), max_jump_ms: 0 };
                let skews = Some((0..nodes).map(skew).collect());
                Self { scenario: Some(scenario), clocks, skews, ..config }
            }
            Scenario::ClockBeyondTheBound => {
                let FaultRates { cut, storm, pause, mean_gap, .. } = config.faults;
                let faults = FaultRates { cut, storm, pause, mean_gap, ..FaultRates::NONE };
                let clocks = Clocks { max_skew_ms: config.clocks.max_skew_ms, max_jump_ms: 0 };
                let mut mix = config.mix;
                // That node takes values for expired long before the others do, and is asked only once.
                (mix.expiring_put, mix.retries) = (0, 0);
                mix.put = mix.put.max(1);
                Self { scenario: Some(scenario), faults, clocks, mix, rough_start: false, ..config }
            }
        }
    }
}
