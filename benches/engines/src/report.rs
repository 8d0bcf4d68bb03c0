//! Owns the report of a comparison: every run, what follows from them, and what went wrong. JSON is this as it is.

use std::time::Duration;

use serde::Serialize;

use crate::engines::Name;
use crate::figures::{FIGURES, Workload};
use crate::measured::Run;
use crate::rows::{self, BarRow, Row};
use crate::sizes::Sizes;
use crate::table;

/// A whole comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) sizes: Sizes,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) processors: usize,
    pub(crate) engines: Vec<Described>,
    pub(crate) rows: Vec<Row>,
    pub(crate) bars: Vec<BarRow>,
    pub(crate) runs: Vec<Entry>,
}

/// An engine.
#[derive(Debug, Serialize)]
pub(crate) struct Described {
    pub(crate) name: Name,
    pub(crate) version: String,
    /// What its buffered puts lack.
    pub(crate) less: Option<&'static str>,
}

/// One process.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub(crate) round: usize,
    pub(crate) engine: Name,
    pub(crate) workloads: Vec<Workload>,
    /// All of it, with what was not measured.
    pub(crate) seconds: f64,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Run(Run),
    Error(String),
}

impl From<Result<Run, String>> for Outcome {
    fn from(outcome: Result<Run, String>) -> Self {
        outcome.map_or_else(Outcome::Error, Outcome::Run)
    }
}

impl Outcome {
    pub(crate) fn run(&self) -> Option<&Run> {
        match self {
            Outcome::Run(run) => Some(run),
            Outcome::Error(_) => None,
        }
    }
}

impl Entry {
    /// What people see while it goes on: the first figure of each workload.
    pub(crate) fn line(&self) -> String {
        let Self { engine, seconds, .. } = self;
        let said = match &self.outcome {
            Outcome::Error(error) => {
                let names: Vec<&str> = self.workloads.iter().map(|workload| workload.text()).collect();
                format!("{} FAILED: {error}", names.join(","))
            }
            Outcome::Run(run) => {
                let first = |workload| FIGURES.iter().find(|figure| figure.workload == workload);
                let of = |one: &crate::measured::Measured| {
                    let figure = first(one.workload)?;
                    let value = one.figures.get(figure.name)?;
                    let digits = figure.digits;
                    Some(format!("{} {value:.digits$} {}", one.workload.text(), figure.name))
                };
                run.measured.iter().filter_map(of).collect::<Vec<_>>().join("; ")
            }
        };
        format!("{}: {said} ({seconds:.1} s in all)", engine.text())
    }

    /// What is wrong, by name.
    fn faults(&self) -> Vec<String> {
        let engine = self.engine.text();
        match &self.outcome {
            Outcome::Error(_) => vec![self.line()],
            Outcome::Run(run) => {
                let bad = run.measured.iter().filter(|one| !one.checks.all_right());
                let told = bad.map(|one| {
                    let (checks, workload) = (one.checks, one.workload.text());
                    format!(
                        "{engine} gave wrong data in {workload}, round {}: of {} values {} were wrong and {} missing",
                        self.round, checks.checked, checks.wrong, checks.missing
                    )
                });
                told.collect()
            }
        }
    }
}

impl Report {
    pub(crate) fn new(sizes: Sizes, rounds: usize, took: Duration, runs: Vec<Entry>) -> Self {
        let mut names: Vec<Name> = runs.iter().map(|entry| entry.engine).collect();
        names.sort_unstable();
        names.dedup();
        let rows = rows::rows(&runs, &names);
        let engines = names.iter().map(|name| Described { name: *name, version: name.version(), less: name.less() });
        Self {
            sizes,
            rounds,
            seconds: took.as_secs_f64(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            engines: engines.collect(),
            bars: rows::bars(&rows),
            rows,
            runs,
        }
    }

    pub(crate) fn text(&self) -> String {
        table::text(self)
    }

    /// Everything that must not be, by name.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.runs.iter().flat_map(Entry::faults).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measured::{Checks, Measured};

    impl Entry {
        pub(crate) fn measured_mut(&mut self) -> &mut Measured {
            match &mut self.outcome {
                Outcome::Run(run) => &mut run.measured[0],
                Outcome::Error(error) => panic!("{error}"),
            }
        }
    }

    /// A run whose first figure is this.
    pub(crate) fn entry(round: usize, engine: Name, workload: Workload, figure: f64) -> Entry {
        let name = FIGURES.iter().find(|figure| figure.workload == workload).unwrap().name;
        let measured = Measured {
            workload,
            figures: [(name.to_owned(), figure)].into(),
            operations: 100,
            seconds: 1.0,
            cpu_seconds: 0.5,
            peak_bytes: 64 << 20,
            cut: false,
            settled: true,
            checks: Checks { checked: 100, ..Checks::default() },
        };
        let run = Run { engine, version: "1".into(), measured: vec![measured] };
        Entry { round, engine, workloads: vec![workload], seconds: 2.0, outcome: Outcome::Run(run) }
    }

    fn report(runs: Vec<Entry>) -> Report {
        let sizes = crate::sizes::SizeArgs::default().sizes();
        Report::new(sizes, 1, Duration::from_secs(3), runs)
    }

    #[test]
    fn wrong_and_missing_values_and_failures_are_faults_and_lost_ones_are_not() {
        let good = entry(1, Name::Lsm, Workload::Fill1, 10.0);
        let (mut wrong, mut lost, mut failed) = (good.clone(), good.clone(), good.clone());
        wrong.measured_mut().checks.wrong = 2;
        lost.measured_mut().checks.lost = 2;
        failed.outcome = Outcome::Error("it broke".into());
        assert!(report(vec![good, lost]).faults().is_empty());
        let faults = report(vec![wrong, failed]).faults();
        assert!(
            faults[0].contains("lsm") && faults[0].contains("2 were wrong") && faults[0].contains("fill1"),
            "{faults:?}"
        );
        assert!(faults[1].contains("it broke") && faults[1].contains("fill1"), "{faults:?}");
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn json_has_every_run_and_what_follows() {
        let runs = vec![entry(1, Name::Lsm, Workload::Get1, 30.0), entry(1, Name::Fjall, Workload::Get1, 20.0)];
        let json = serde_json::to_value(report(runs)).unwrap();
        assert_eq!(json["runs"][1]["outcome"]["run"]["measured"][0]["figures"]["ops/s"], 20.0);
        assert_eq!(json["rows"][1]["ratio"]["median"], 1.5);
        assert_eq!((&json["bars"][0]["bar"], &json["bars"][0]["met"]), (&1.1.into(), &true.into()));
        assert_eq!(json["engines"][1]["name"], "fjall");
    }
}
