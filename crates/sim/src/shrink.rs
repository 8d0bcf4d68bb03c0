//! Shrinking: the shortest run with the fewest faults that still shows a violation of the same kind. A run is what its
//! configuration says, so shrinking is running again with less.

use std::panic::catch_unwind;

use crate::config::SimConfig;
use crate::report::Report;
use crate::run;

/// Faults need not go on for less than this.
const SHORTEST_TICKS: u64 = 50;

/// Looks for the least of a run that found something: fewer ticks, fewer faults. It runs at most `tries` times, and
/// gives the report of the least run it found; that is the report itself, if nothing can be left out.
#[must_use]
pub fn shrink(report: Report, tries: u32) -> Report {
    let Some(kind) = report.violations.first().map(crate::Violation::kind) else { return report };
    let mut search = Search { kind, tries, least: report };
    search.fewer_ticks();
    search.fewer_faults();
    search.fewer_ticks();
    search.least
}

struct Search {
    kind: &'static str,
    tries: u32,
    least: Report,
}

impl Search {
    /// Whether a run shows the same; then it is the least so far.
    fn shows(&mut self, config: SimConfig) -> bool {
        if self.tries == 0 {
            return false;
        }
        self.tries -= 1;
        // A run that panics is found out too, but of something else.
        let Ok(report) = catch_unwind(|| run(config)) else { return false };
        let shows = report.violations.iter().any(|violation| violation.kind() == self.kind);
        if shows {
            self.least = report;
        }
        shows
    }

    fn fewer_ticks(&mut self) {
        let mut step = self.least.config.ticks / 2;
        while step >= SHORTEST_TICKS {
            let config = self.least.config.clone();
            let ticks = config.ticks.saturating_sub(step);
            if ticks < SHORTEST_TICKS || !self.shows(SimConfig { ticks, ..config }) {
                step /= 2;
            }
        }
    }

    /// Leaves out halves of the faults, then quarters, and so on (after Zeller's ddmin).
    fn fewer_faults(&mut self) {
        let mut chunk = self.least.schedule.len().div_ceil(2);
        while chunk > 0 {
            let mut from = 0;
            while from < self.least.schedule.len() {
                let ids = self.least.schedule.iter().map(|trouble| trouble.id);
                let only = ids.clone().take(from).chain(ids.skip(from + chunk)).collect();
                let config = SimConfig { only_faults: Some(only), ..self.least.config.clone() };
                if !self.shows(config) {
                    from += chunk;
                }
            }
            chunk /= 2;
        }
    }
}
