//! What tests of whole runs share: a run that found nothing, and a broken one that is found out.

use kvorum_sim::{Report, Sabotage, SimConfig, run};

pub(crate) fn assert_clean(report: &Report) {
    assert!(report.violations.is_empty(), "{}", report.complaint());
}

/// Breaks the system, and wants to see it found out within so many seeds, by a checker of one of these kinds.
pub(crate) fn is_found_out(seeds: u64, by: &[&str], break_it: impl Fn(SimConfig) -> SimConfig) -> Report {
    let found = (0..seeds)
        .map(|seed| run(break_it(SimConfig::from_seed(seed))))
        .find(|report| report.violations.iter().any(|violation| by.contains(&violation.kind())));
    found.unwrap_or_else(|| panic!("{seeds} seeds did not show that the system is broken"))
}

pub(crate) fn lie(sabotage: Sabotage) -> impl Fn(SimConfig) -> SimConfig {
    move |config| SimConfig { sabotage: Some(sabotage), ..config }
}
