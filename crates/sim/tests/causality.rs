//! Whole runs in a keyspace that keeps siblings: what breaks causality is found out, and a thousand restarts neither lose a
//! write nor let contexts grow.

mod common;

use core::time::Duration;

use kvorum_node::{CONTEXT_ENTRIES, Consistency, Mode};
use kvorum_quorum::Level;
use kvorum_sim::{Clocks, FaultRates, Levels, Mix, Report, Sabotage, SimConfig, run};

use common::{assert_clean, is_found_out, lie};

/// Breaks the system, and wants to see it found out within so many seeds that causality is broken.
fn breaks_causality(seeds: u64, change: impl Fn(SimConfig) -> SimConfig) -> Report {
    is_found_out(seeds, &["causality"], |config| change(config).with_mode(Mode::Causal))
}

#[test]
fn replicas_that_overwrite_siblings_are_found_out() {
    breaks_causality(200, lie(Sabotage::Overwrite));
}

#[test]
fn writes_that_do_not_wait_for_w_replicas_are_found_out() {
    breaks_causality(200, lie(Sabotage::AckAfterOne));
}

#[test]
fn an_acknowledgement_before_the_log_is_durable_breaks_causality() {
    breaks_causality(200, lie(Sabotage::DurableTooEarly));
}

#[test]
fn a_store_that_forgets_breaks_causality() {
    breaks_causality(200, lie(Sabotage::ForgottenRecords));
}

#[test]
fn levels_that_do_not_overlap_are_found_out() {
    // All reads are judged, not the last ones alone.
    let report = breaks_causality(200, |config| {
        SimConfig { mix: Mix::ORDINARY, sabotage: Some(Sabotage::AckAfterOne), ..config }.with_levels(Levels::QUORUM)
    });
    assert!(report.config.replication > 1);
}

/// Three nodes that die and start again all the time, with whatever they had not synced.
fn restless(seed: u64, seconds: u64) -> SimConfig {
    let mean_gap = Duration::from_millis(600);
    SimConfig {
        clients: 3,
        keys: 2,
        mix: Mix { retries: 3, ..Mix::ORDINARY },
        clocks: Clocks { max_skew_ms: 50, max_jump_ms: 0 },
        faults: FaultRates { mean_gap, crash: 40, power_failure: 2, ..FaultRates::NONE },
        ticks: seconds * 1000,
        slow_disks: true,
        rough_start: false,
        ..SimConfig::from_seed(seed)
    }
    .with_mode(Mode::Causal)
    .with_consistency(Consistency::Strict)
    .with_replication(3, 3)
    .with_levels(Levels::QUORUM)
}

#[test]
fn a_thousand_restarts_lose_nothing_and_contexts_stay_within_their_bound() {
    let report = run(restless(1, 800));
    assert_clean(&report);
    let stats = &report.stats;
    assert!(stats.crashes >= 1000 && stats.undurable_appends > 500, "{stats}");
    assert!(stats.acknowledged > 3000 && stats.reads > 3000, "{stats}");
    // That each record keeps to the bound, and that no actor mints a dot twice, is watched at every append.
    assert!(stats.pruned > 100, "so many tenures write that contexts must be pruned: {stats}");
    assert!(stats.context_entries <= CONTEXT_ENTRIES as u64 + 10, "{stats}");
}

/// The prefix rule: a coordinator dies when its write has reached others and not its own log, starts again, and writes once
/// more. Under its old actor a context with the later dot would erase the earlier write, which its reader never saw: it has
/// asked that node alone.
#[test]
fn an_actor_that_outlives_its_process_loses_a_write() {
    let levels = Levels { read: Level::One, write: Level::Quorum };
    // Many keys, so that nobody else's write brings the lost one back before. A strict read of another node would do so, too.
    let config = |seed| {
        let config = restless(seed, 60).with_levels(levels).with_consistency(Consistency::Sloppy);
        let config = SimConfig { clients: 16, keys: 40, ..config };
        SimConfig { sabotage: Some(Sabotage::SameActor), ..config }
    };
    let loses = |seed: &u64| {
        let report = run(config(*seed));
        report.violations.iter().any(|violation| violation.kind() == "causality")
    };
    assert!((0..100).any(|seed| loses(&seed)), "a hundred runs did not show that a write is lost");
    for seed in 0..5 {
        let healthy = run(SimConfig { sabotage: None, ..config(seed) });
        assert_clean(&healthy);
    }
}
