//! Whole runs: that healthy clusters pass, that broken ones are found out, and that a seed repeats itself. The
//! parts have their own tests beside them.

use core::time::Duration;

use kvorum_quorum::Level;
use kvorum_sim::{FaultRates, Report, Sabotage, SimConfig, Stats, Violation, run};

fn assert_clean(report: &Report) {
    assert!(report.violations.is_empty(), "{}", report.complaint());
}

#[test]
fn fifty_seeds_lose_no_acknowledged_write() {
    let mut total = Stats::default();
    for seed in 0..50 {
        let report = run(SimConfig::from_seed(seed));
        assert_clean(&report);
        total.add(&report.stats);
    }
    // It says something only if there was something to lose, and enough went wrong to lose it.
    assert!(total.acknowledged > 10_000 && total.reads > 10_000, "{total}");
    assert!(total.crashes > 200 && total.cuts > 100 && total.lost_appends > 50, "{total}");
    assert!(total.dropped > 1000 && total.repeated > 1000 && total.unsent > 1000, "{total}");
    assert!(total.forwarded > 1000 && total.indeterminate > 500 && total.failed_saves > 10, "{total}");
}

#[test]
fn a_calm_cluster_acknowledges_almost_everything() {
    for (seed, nodes) in [(1, 1), (2, 2), (3, 3), (4, 5)] {
        let drawn = SimConfig::from_seed(seed).with_nodes(nodes);
        let report =
            run(SimConfig { faults: FaultRates::NONE, ticks: 3000, rough_start: false, slow_disks: false, ..drawn });
        assert_clean(&report);
        let Stats { acknowledged, indeterminate, rejected, failed_reads, .. } = report.stats;
        assert!(acknowledged > 100, "{}", report.stats);
        // Now and then a disk stalls for longer than an impatient client waits.
        assert!((indeterminate + rejected + failed_reads) * 100 <= acknowledged, "{}", report.stats);
    }
}

#[test]
fn five_replicas_lose_no_acknowledged_write() {
    for seed in 0..10 {
        assert_clean(&run(SimConfig { replication: 5, ..SimConfig::from_seed(seed).with_nodes(5) }));
    }
}

/// Breaks the system, and wants to see it found out within so many seeds.
fn is_found_out(seeds: u64, break_it: impl Fn(SimConfig) -> SimConfig) {
    let lost =
        |report: &Report| report.violations.iter().any(|violation| matches!(violation, Violation::Durability(_)));
    let found = (0..seeds).find(|seed| lost(&run(break_it(SimConfig::from_seed(*seed)))));
    assert!(found.is_some(), "{seeds} seeds did not show that the system is broken");
}

#[test]
fn a_log_that_is_not_synced_is_found_out() {
    is_found_out(10, |config| SimConfig { sabotage: Some(Sabotage::NoSync), ..config });
}

#[test]
fn a_disk_that_is_wiped_at_restart_is_found_out() {
    is_found_out(5, |config| SimConfig { sabotage: Some(Sabotage::WipedAtRestart), ..config });
}

#[test]
fn a_network_that_repeats_forwarded_requests_is_found_out() {
    let stormy = FaultRates { mean_gap: Duration::from_millis(200), storm: 1, ..FaultRates::NONE };
    is_found_out(40, |config| SimConfig {
        sabotage: Some(Sabotage::RepeatForwards),
        faults: stormy,
        ..config.with_nodes(5)
    });
}

#[test]
fn levels_that_do_not_overlap_are_found_out() {
    is_found_out(5, |config| SimConfig { levels: (Level::One, Level::One), ..config });
}

#[test]
fn a_seed_repeats_itself_and_no_other() {
    let short = |seed| run(SimConfig { ticks: 3000, ..SimConfig::from_seed(seed) });
    let mut digests = Vec::new();
    for seed in 0..6 {
        let (first, second) = (short(seed), short(seed));
        assert_eq!(
            (first.digest, first.trace_lines, first.stats),
            (second.digest, second.trace_lines, second.stats),
            "seed {seed}"
        );
        assert!(first.trace_lines > 1000);
        digests.push(first.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 6, "different seeds live different lives");
}

#[test]
fn showing_the_trace_changes_nothing() {
    let config = SimConfig { ticks: 1000, ..SimConfig::from_seed(7) };
    let lines = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = std::rc::Rc::clone(&lines);
    let shown =
        kvorum_sim::World::new(config.clone(), Some(Box::new(move |_: &str| counter.set(counter.get() + 1)))).run();
    assert_eq!(shown.digest, run(config).digest);
    assert_eq!(lines.get(), shown.trace_lines);
}

#[test]
fn a_complaint_tells_how_to_see_it_again() {
    let config = SimConfig { ticks: 77, ..SimConfig::from_seed(3) };
    assert_eq!(config.replay(), "cargo run -p kvorum-sim -- --seed 3 --ticks 77 --trace");
    assert_eq!(SimConfig::from_seed(3).replay(), "cargo run -p kvorum-sim -- --seed 3 --trace");
}
