//! Whole runs: that healthy clusters pass, that each lie of the shell is found out, and that a seed repeats itself. The
//! parts have their own tests beside them.

mod common;

use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use kvorum_history::{Operation, Outcome};
use kvorum_node::Mode;
use kvorum_sim::{
    Clocks, Fault, FaultRates, Levels, Mix, Report, Sabotage, Scenario, SimConfig, Stats, Trouble, Violation, run,
    shrink,
};

use common::{assert_clean, is_found_out, lie};

fn all_are_clean(seeds: Range<u64>) {
    let mut total = Stats::default();
    for seed in seeds {
        let report = run(SimConfig::from_seed(seed));
        assert_clean(&report);
        total.add(&report.stats);
    }
    // It says something only if there was something to lose, and enough went wrong to lose it.
    assert!(total.acknowledged > 30_000 && total.reads > 30_000, "{total}");
    assert!(total.indeterminate > 5000 && total.rejected > 5000 && total.forwarded > 5000, "{total}");
    assert!(total.dropped > 5000 && total.repeated > 1000 && total.unsent > 5000, "{total}");
    assert!(total.retried > 1000 && total.lost_clients > 500, "{total}");
    assert!(total.crashes > 500 && total.cuts > 200 && total.undurable_appends > 500, "{total}");
    assert!(total.power_losses > 300 && total.power_losses + 100 < total.crashes, "{total}");
    assert!(total.flushes > 1000 && total.compactions > 500 && total.torn_bytes > 1000, "{total}");
    assert!(total.failed_starts > 20, "{total}");
    assert!(total.pauses > 100 && total.clock_jumps > 50, "{total}");
    assert!(total.failed_saves > 30 && total.failed_loads > 500 && total.failed_logs > 100, "{total}");
    assert!(total.lost_disks > 20 && total.restored_disks > 5 && total.pulled > 10, "{total}");
    assert!(total.hints > 1000, "{total}");
    assert_eq!(total.undecided, 0, "{total}");
}

// Five hundred seeds, in four parts that run side by side.

#[test]
fn seeds_0_to_125_keep_every_promise() {
    all_are_clean(0..125);
}

#[test]
fn seeds_125_to_250_keep_every_promise() {
    all_are_clean(125..250);
}

#[test]
fn seeds_250_to_375_keep_every_promise() {
    all_are_clean(250..375);
}

#[test]
fn seeds_375_to_500_keep_every_promise() {
    all_are_clean(375..500);
}

/// A run in which nothing goes wrong.
fn calm(config: SimConfig) -> SimConfig {
    SimConfig {
        faults: FaultRates::NONE,
        limits: kvorum_node::Limits::default(),
        clocks: Clocks { max_skew_ms: 50, max_jump_ms: 0 },
        mix: Mix::ORDINARY,
        rough_start: false,
        slow_disks: false,
        ..config
    }
}

#[test]
fn a_calm_cluster_acknowledges_almost_everything() {
    for (seed, nodes) in [(1, 1), (2, 2), (3, 3), (4, 5)] {
        let replication = nodes.min(3) as u8;
        let drawn = SimConfig::from_seed(seed).with_replication(replication, nodes).with_levels(Levels::QUORUM);
        let report = run(calm(SimConfig { ticks: 3000, ..drawn }));
        assert_clean(&report);
        let Stats { acknowledged, indeterminate, rejected, failed_reads, .. } = report.stats;
        assert!(acknowledged > 100, "{}", report.stats);
        // Now and then a disk stalls for longer than an impatient client waits.
        assert!((indeterminate + rejected + failed_reads) * 50 <= acknowledged, "{}", report.stats);
    }
}

#[test]
fn a_hundred_nodes_found_a_cluster_and_serve() {
    let report = run(calm(SimConfig { ticks: 1000, ..SimConfig::from_seed(3).with_nodes(100) }));
    assert_clean(&report);
    assert!(report.stats.acknowledged > 50, "{}", report.stats);
}

#[test]
fn an_acknowledgement_before_the_log_is_durable_is_found_out() {
    is_found_out(500, &["durability"], lie(Sabotage::DurableTooEarly));
}

#[test]
fn an_actor_that_outlives_its_process_is_found_out() {
    is_found_out(500, &["tenure"], lie(Sabotage::SameActor));
}

#[test]
fn replicas_that_overwrite_instead_of_merging_are_found_out() {
    is_found_out(500, &["durability"], lie(Sabotage::Overwrite));
}

#[test]
fn writes_that_do_not_wait_for_w_replicas_are_found_out() {
    is_found_out(500, &["durability"], lie(Sabotage::AckAfterOne));
    is_found_out(500, &["quorum"], lie(Sabotage::AckAfterOne));
}

#[test]
fn a_store_that_forgets_what_it_said_to_be_durable_is_found_out() {
    is_found_out(500, &["durability"], lie(Sabotage::ForgottenRecords));
    is_found_out(500, &["convergence"], lie(Sabotage::ForgottenRecords));
}

/// 200 seeds of a scenario.
fn scenario(scenario: Scenario) -> impl Iterator<Item = Report> {
    (0..200).map(move |seed| run(SimConfig { ticks: 4000, ..SimConfig::from_seed(seed).with_scenario(scenario) }))
}

#[test]
fn clocks_off_by_as_much_as_they_may_be_break_no_promise() {
    let mut total = Stats::default();
    for report in scenario(Scenario::ClocksAtTheBound) {
        assert_clean(&report);
        total.add(&report.stats);
    }
    assert!(total.acknowledged > 10_000 && total.crashes > 100, "{total}");
}

#[test]
fn a_clock_far_beyond_the_bound_coordinates_nothing_and_harms_nobody() {
    let (mut refused, mut acknowledged) = (0, 0);
    for report in scenario(Scenario::ClockBeyondTheBound) {
        // That the node coordinates again when its clock is mended belongs to that: all keys are written through all nodes.
        assert_clean(&report);
        let leaps = |trouble: &&Trouble| matches!(trouble.fault, Fault::ClockJump { .. });
        let Some(leap) = report.schedule.iter().find(leaps) else { panic!("no clock leaps: {}", report.complaint()) };
        let (from, until) = (leap.at + Duration::from_millis(600), leap.at + leap.lasts);
        let meanwhile = |operation: &&Operation<Arc<str>>| {
            let at = Duration::from_nanos(operation.invoked.0);
            operation.is_write() && (from..until).contains(&at)
        };
        for write in report.history.operations().iter().filter(meanwhile) {
            let (is_done, beyond) = (matches!(write.outcome, Outcome::Written { .. }), report.asked[write.id.0] == 1);
            // In a larger cluster it forwards what is not its own.
            assert!(!(is_done && beyond) || report.config.nodes > 3, "{write}: {}", report.config.replay());
            acknowledged += usize::from(is_done && !beyond);
            refused += usize::from(!is_done && beyond);
        }
    }
    assert!(refused > 1000 && acknowledged > 5000, "{refused} refused, {acknowledged} acknowledged elsewhere");
}

#[test]
fn a_wrong_clock_that_nobody_checks_is_found_out() {
    is_found_out(200, &["durability", "quorum", "liveness"], |config| {
        lie(Sabotage::ClockUnchecked)(config.with_scenario(Scenario::ClockBeyondTheBound))
    });
}

#[test]
fn an_answer_that_counts_twice_is_found_out() {
    is_found_out(500, &["durability"], lie(Sabotage::CountTwice));
}

#[test]
fn a_network_that_repeats_forwarded_requests_is_found_out() {
    // Where there are many nodes, few of them hold the key that is asked for.
    let broken = lie(Sabotage::RepeatForwards);
    is_found_out(200, &["durability", "quorum", "causality"], |config| broken(config.with_nodes(8)));
}

#[test]
fn a_disk_that_is_wiped_at_every_restart_is_found_out() {
    is_found_out(500, &["durability"], lie(Sabotage::WipedAtRestart));
}

#[test]
fn a_log_whose_failure_is_hidden_is_found_out() {
    is_found_out(500, &["durability"], lie(Sabotage::FailureHidden));
}

#[test]
fn a_disk_that_syncs_no_log_is_found_out() {
    is_found_out(500, &["durability", "quorum"], lie(Sabotage::UnsyncedLog));
    // The engine itself notices what is missing in the midst of a log.
    is_found_out(500, &["engine"], lie(Sabotage::UnsyncedLog));
}

#[test]
fn bounds_that_a_node_does_not_know_of_are_found_out_to_be_broken() {
    let outgrown: BTreeSet<&str> = (0..300)
        .flat_map(|seed| run(lie(Sabotage::Unlimited)(SimConfig::from_seed(seed).with_mode(Mode::Lww))).violations)
        .filter_map(|violation| if let Violation::Unbounded(exceeded) = violation { Some(exceeded.what) } else { None })
        .collect();
    assert_eq!(outgrown, BTreeSet::from(["operations", "undurable bytes"]));
}

#[test]
fn a_register_that_forgets_is_not_linearizable() {
    is_found_out(500, &["linearizability"], lie(Sabotage::DurableTooEarly));
}

#[test]
fn twenty_seeds_repeat_themselves_and_no_other() {
    let traced = |seed| run(SimConfig { ticks: 3000, traced: true, ..SimConfig::from_seed(seed) });
    let mut digests = Vec::new();
    for seed in 0..20 {
        let (first, second) = (traced(seed), traced(seed));
        assert_eq!(
            (first.digest, first.trace_lines, first.stats),
            (second.digest, second.trace_lines, second.stats),
            "seed {seed}"
        );
        assert_eq!(first.history.operations(), second.history.operations(), "seed {seed}");
        assert!(first.trace_lines > 100, "seed {seed} has {} lines", first.trace_lines);
        digests.push(first.digest);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 20, "different seeds live different lives");
}

#[test]
fn showing_the_trace_or_keeping_its_digest_changes_nothing() {
    let config = SimConfig { ticks: 1000, ..SimConfig::from_seed(7) };
    let lines = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = std::rc::Rc::clone(&lines);
    let shown =
        kvorum_sim::World::new(config.clone(), Some(Box::new(move |_: &str| counter.set(counter.get() + 1)))).run();
    let traced = run(SimConfig { traced: true, ..config.clone() });
    let untraced = run(config);
    assert_eq!((shown.digest, lines.get()), (traced.digest, traced.trace_lines));
    assert_eq!((untraced.stats, untraced.trace_lines), (traced.stats, 0));
}

#[test]
fn a_bad_run_shrinks_to_a_short_one_with_few_faults() {
    let found = is_found_out(500, &["durability"], lie(Sabotage::WipedAtRestart));
    let (before, faults, kind) = (found.config.ticks, found.schedule.len(), found.violations[0].kind());
    let least = shrink(found, 100);
    assert!(least.violations.iter().any(|violation| violation.kind() == kind));
    assert!(least.config.ticks < before / 2 && least.schedule.len() < faults, "{}", least.complaint());
    let again = run(least.config.clone());
    assert_eq!(again.stats, least.stats, "the least run is one that can be replayed");
}

#[test]
fn a_complaint_tells_how_to_see_it_again_and_what_went_wrong() {
    let config = SimConfig { ticks: 77, ..SimConfig::from_seed(3) };
    assert_eq!(config.replay(), "cargo run -p kvorum-sim -- --seed 3 --ticks 77 --trace");
    assert_eq!(SimConfig::from_seed(3).replay(), "cargo run -p kvorum-sim -- --seed 3 --trace");
    let some = SimConfig { only_faults: Some(vec![1, 5]), sabotage: Some(Sabotage::SameActor), ..config };
    let replay = "cargo run -p kvorum-sim -- --seed 3 --ticks 77 --only-faults=1,5 --sabotage same-actor --trace";
    assert_eq!(some.replay(), replay);
    let wiped = |seed| SimConfig { sabotage: Some(Sabotage::WipedAtRestart), ..SimConfig::from_seed(seed) };
    let report = (0..50).map(|seed| run(wiped(seed))).find(|report| !report.violations.is_empty());
    let complaint = report.expect("wiped disks lose writes").complaint();
    assert!(complaint.contains("replay with: cargo run") && complaint.contains("fault   0"), "{complaint}");
    assert!(complaint.contains("was asked of n"), "{complaint}");
}

#[test]
fn what_stands_still_goes_on_in_the_order_it_was_told() {
    // Pauses overlap here, and some last until the calm. A shard that was handed an old view after a new one would
    // never again serve.
    let faults = FaultRates { mean_gap: Duration::from_millis(100), pause: 20, crash: 3, ..FaultRates::NONE };
    for seed in 0..20 {
        let drawn = SimConfig::from_seed(seed).with_nodes(3).with_replication(3, 3).with_levels(Levels::QUORUM);
        let report = run(SimConfig { ticks: 3000, ..SimConfig { faults, ..calm(drawn) } });
        assert_clean(&report);
        assert!(report.stats.pauses > 5, "{}", report.stats);
    }
}

#[test]
fn faults_end_and_the_cluster_heals_even_after_a_rough_start() {
    let faults = FaultRates { mean_gap: Duration::from_millis(200), ..FaultRates::ORDINARY };
    for seed in 0..20 {
        assert_clean(&run(SimConfig { rough_start: true, faults, ticks: 3000, ..SimConfig::from_seed(seed) }));
    }
}
