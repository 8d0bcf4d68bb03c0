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
fn a_write_that_is_asked_for_again_takes_effect_once() {
    for mode in [Mode::Lww, Mode::Causal] {
        let mut total = Stats::default();
        for seed in 0..60 {
            let report = run(retried(mode)(SimConfig::from_seed(seed)));
            assert_clean(&report);
            total.add(&report.stats);
        }
        // Asking again is of use, too.
        assert!(total.asked_again > 3000 && total.confirmed > 500 && total.acknowledged > 10_000, "{total}");
    }
}

#[test]
fn retries_that_begin_where_nothing_is_found_are_found_out() {
    for mode in [Mode::Lww, Mode::Causal] {
        let begins = |config| lie(Sabotage::RetriesBegun)(retried(mode)(config));
        is_found_out(100, &["repetition"], begins);
    }
}

#[test]
fn names_that_are_forgotten_are_found_out() {
    let forgets = |mode| move |config| lie(Sabotage::AttemptsForgotten)(retried(mode)(config));
    is_found_out(100, &["repetition"], forgets(Mode::Lww));
    // The same write stands beside itself, or what was replaced is shown again.
    is_found_out(100, &["causality", "repetition"], forgets(Mode::Causal));
}

#[test]
fn writers_behind_a_read_that_ends_a_check_wait_for_the_next() {
    // Found once: a writer went on beside another read of the stored record, and the node panicked.
    let config = SimConfig::from_seed(94).with_mode(Mode::Causal).with_scenario(Scenario::RetriedWrites);
    assert_clean(&run(config));
}
