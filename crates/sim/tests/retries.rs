//! Clients that do not know what became of a write, and ask again for it by its name: it takes effect once; and a shell that
//! forgets names is found out.

mod common;

use kvorum_node::Mode;
use kvorum_sim::{Sabotage, Scenario, SimConfig, Stats, run};

use common::{assert_clean, is_found_out, lie};

fn retried(mode: Mode) -> impl Fn(SimConfig) -> SimConfig {
    move |config| SimConfig { ticks: 5000, ..config.with_mode(mode).with_scenario(Scenario::RetriedWrites) }
}

#[test]
fn a_write_that_is_asked_for_again_takes_effect_once_beside_siblings() {
    let mut total = Stats::default();
    for seed in 0..60 {
        let report = run(retried(Mode::Causal)(SimConfig::from_seed(seed)));
        assert_clean(&report);
        total.add(&report.stats);
    }
    assert!(total.asked_again > 3000 && total.acknowledged > 10_000, "{total}");
}

/// How many writes are seen to take effect twice, where one version wins.
fn repetitions(change: impl Fn(SimConfig) -> SimConfig) -> usize {
    let violations = (0..60).flat_map(|seed| run(change(retried(Mode::Lww)(SimConfig::from_seed(seed)))).violations);
    violations.filter(|violation| violation.kind() == "repetition").count()
}

#[test]
fn names_keep_writes_from_taking_effect_twice_where_one_version_wins() {
    let (named, forgotten) = (repetitions(|config| config), repetitions(lie(Sabotage::AttemptsForgotten)));
    assert!(forgotten > 5 && named * 5 < forgotten, "{named} with names, {forgotten} without");
}

#[test]
fn names_that_are_forgotten_are_found_out() {
    let forgets = |mode| move |config| lie(Sabotage::AttemptsForgotten)(retried(mode)(config));
    let found = is_found_out(300, &["repetition"], forgets(Mode::Lww));
    assert!(found.complaint().contains("came back"), "{}", found.complaint());
    // The same write stands beside itself, or what was replaced is shown again.
    is_found_out(100, &["causality", "repetition"], forgets(Mode::Causal));
}

#[test]
fn writers_behind_a_read_that_ends_a_check_wait_for_the_next() {
    // Found once: a writer went on beside another read of the stored record, and the node panicked.
    let config = SimConfig::from_seed(94).with_mode(Mode::Causal).with_scenario(Scenario::RetriedWrites);
    assert_clean(&run(config));
}
