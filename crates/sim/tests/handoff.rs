//! Hinted handoff: what replicas missed is brought to them by hints alone, also when those who keep them die while they do; and
//! a store that forgets hints is found out.

mod common;

use kvorum_sim::{Report, Sabotage, Scenario, SimConfig, Stats, run};

use common::{assert_clean, is_found_out, lie};

fn scenario(scenario: Scenario) -> impl Iterator<Item = Report> {
    (0..100).map(move |seed| run(SimConfig { ticks: 3000, ..SimConfig::from_seed(seed).with_scenario(scenario) }))
}

#[test]
fn hints_alone_bring_a_node_what_it_missed() {
    let (mut total, mut five) = (Stats::default(), 0);
    for report in scenario(Scenario::HintedHandoff) {
        // Nobody has read when the disks are compared.
        assert_clean(&report);
        five += u64::from(report.config.nodes == 5);
        assert_eq!(report.stats.crashes, if report.config.nodes == 5 { 2 } else { 1 }, "{}", report.complaint());
        total.add(&report.stats);
    }
    assert!(five > 20 && total.hints > 5000 && total.acknowledged > 30_000, "{five} runs of five nodes; {total}");
}

#[test]
fn hints_are_delivered_although_who_keeps_them_dies_meanwhile() {
    let mut interrupted = 0;
    for report in scenario(Scenario::InterruptedHandoff) {
        assert_clean(&report);
        let victims = if report.config.nodes == 5 { 2 } else { 1 };
        interrupted += report.stats.crashes - victims;
    }
    assert!(interrupted > 80, "{interrupted} deliveries were interrupted");
}

#[test]
fn a_store_that_forgets_hints_is_found_out() {
    let found = is_found_out(10, &["handoff"], |config| {
        lie(Sabotage::HintsForgotten)(config.with_scenario(Scenario::HintedHandoff))
    });
    // Where stand-ins count, that loses what was acknowledged.
    assert!(found.complaint().contains("--scenario hinted-handoff"), "{}", found.complaint());
    is_found_out(300, &["durability", "causality"], |config| {
        lie(Sabotage::HintsForgotten)(config.with_consistency(kvorum_node::Consistency::Sloppy))
    });
}
