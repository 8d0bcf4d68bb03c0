//! Nodes that may have lost acknowledged writes: they cost nothing as long as others have what they lack, and leave doubt when
//! they have pulled it; and lies about that are found out.

mod common;

use core::time::Duration;

use kvorum_node::{Consistency, Mode};
use kvorum_quorum::Level;
use kvorum_sim::{FaultRates, Levels, LosableDisks, Mix, Sabotage, Scenario, SimConfig, Stats, run};

use common::{assert_clean, is_found_out, lie};

/// Three replicas, writes to all, reads of one: all disks but one may be lost at a time, if their nodes answer no reads.
fn two_disks_of_three_are_lost(config: SimConfig) -> SimConfig {
    let levels = Levels { read: Level::One, write: Level::All };
    let config = config.with_mode(Mode::Lww).with_consistency(Consistency::Strict).with_replication(3, 3);
    let config = config.with_levels(levels);
    let losable_disks = LosableDisks { known: 2, unknown: 0 };
    SimConfig { ticks: 4000, faults: FaultRates { lost_disk: 20, losable_disks, ..FaultRates::NONE }, ..config }
}

#[test]
fn a_node_in_doubt_that_answers_reads_is_found_out() {
    is_found_out(100, &["durability", "quorum"], |config| {
        lie(Sabotage::DoubtIgnored)(two_disks_of_three_are_lost(config))
    });
}

#[test]
fn nodes_in_doubt_cost_no_acknowledged_write() {
    let mut total = Stats::default();
    for seed in 0..50 {
        let report = run(two_disks_of_three_are_lost(SimConfig::from_seed(seed)));
        assert_clean(&report);
        total.add(&report.stats);
    }
    assert!(total.lost_disks > 60 && total.pulled > 60, "{total}");
}

/// One of three disks is lost, which leaves a write that was acknowledged by two replicas in one; and clocks are as wrong as
/// they may be.
fn one_disk_of_three_is_lost(config: SimConfig) -> SimConfig {
    let config = config.with_scenario(Scenario::ClocksAtTheBound).with_replication(3, 3);
    let losable_disks = LosableDisks { known: 1, unknown: 0 };
    let (cut, mean_gap) = (60, Duration::from_millis(200));
    let faults = FaultRates { cut, mean_gap, lost_disk: 60, losable_disks, ..FaultRates::NONE };
    let mix = Mix { get: 20, put: 60, ..Mix::ORDINARY };
    SimConfig { faults, mix, keys: 12, clients: 6, ..config }
}

#[test]
fn blind_writes_follow_real_time_beside_a_node_in_doubt() {
    let mut total = Stats::default();
    for seed in 0..60 {
        let report = run(one_disk_of_three_is_lost(SimConfig::from_seed(seed)));
        assert_clean(&report);
        total.add(&report.stats);
    }
    assert!(total.lost_disks > 60 && total.pulled > 30, "{total}");
}

#[test]
fn a_node_whose_doubt_the_others_do_not_know_of_is_found_out() {
    // It takes writes, and cannot tell their coordinators which version was the newest: clocks decide then.
    is_found_out(500, &["durability", "quorum"], |config| {
        lie(Sabotage::DoubtHidden)(one_disk_of_three_is_lost(config))
    });
}

#[test]
fn a_lost_disk_and_an_old_copy_at_a_time_cost_no_acknowledged_write_and_leave_doubt() {
    let mut five = 0;
    for seed in 0..80 {
        let report = run(SimConfig::from_seed(seed).with_scenario(Scenario::LostDisk));
        // That no read, which asks one replica, misses an acknowledged write is judged in the whole run.
        assert_clean(&report);
        let Stats { lost_disks, restored_disks, doubts, pulled, acknowledged, .. } = report.stats;
        assert_eq!((lost_disks, restored_disks, doubts, pulled), (1, 1, 2, 2), "{}", report.complaint());
        assert!(acknowledged > 100, "{}", report.stats);
        five += usize::from(report.config.nodes == 5);
    }
    assert!((10..70).contains(&five), "{five} runs of five nodes");
}

#[test]
fn a_pull_that_fetches_nothing_is_found_out() {
    is_found_out(20, &["quorum", "causality"], |config| {
        lie(Sabotage::PullSkipped)(config.with_scenario(Scenario::LostDisk))
    });
    is_found_out(300, &["durability", "quorum", "causality"], lie(Sabotage::PullSkipped));
}

#[test]
fn siblings_survive_disks_that_are_lost_one_after_the_other() {
    let mut total = Stats::default();
    for seed in 0..40 {
        let config = SimConfig::from_seed(seed).with_mode(Mode::Causal).with_consistency(Consistency::Strict);
        let config = config.with_replication(3, 3).with_levels(Levels::QUORUM);
        let losable_disks = LosableDisks { known: 1, unknown: 0 };
        let faults = FaultRates {
            mean_gap: Duration::from_millis(500),
            lost_disk: 60,
            crash: 20,
            losable_disks,
            ..FaultRates::NONE
        };
        let report = run(SimConfig { faults, ticks: 6000, ..config });
        assert_clean(&report);
        total.add(&report.stats);
    }
    assert!(total.lost_disks > 80 && total.pulled > 60, "{total}");
}
