//! `engines compare`: each workload with each engine, by turns, each in a process of its own.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::args::{CompareArgs, Output};
use crate::child;
use crate::engines::Name;
use crate::figures::{GROUPS, Workload};
use crate::measured::Run;
use crate::report::{Entry, Report};

pub(crate) fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let begun = Instant::now();
    let context = || format!("cannot make data in {}", args.dir.display());
    let parent = std::path::absolute(&args.dir).with_context(context)?;
    let place = tempfile::Builder::new().prefix("engines-").tempdir_in(parent).with_context(context)?;
    let rounds = args.rounds.map_or(if args.sizes.short { 1 } else { 3 }, NonZeroUsize::get);
    let (engines, groups) = (distinct(&args.engines), groups(&args.workloads));
    // Before hours of work, not after.
    let mut json = args.json.as_deref().map(create).transpose()?;
    let mut entries = Vec::new();
    for round in 0..rounds {
        for (at, group) in groups.iter().enumerate() {
            // Whoever goes first finds the disk in another state than the rest.
            for turn in 0..engines.len() {
                let engine = engines[(turn + round + at) % engines.len()];
                let entry = once(args, engine, group, round + 1, place.path());
                eprintln!("{} {}", progress(begun, round + 1, rounds), entry.line());
                entries.push(entry);
            }
        }
    }
    place.close().context("cannot remove the data")?;
    let report = Report::new(args.sizes.sizes(), rounds, begun.elapsed(), entries);
    if let Some(file) = &mut json {
        serde_json::to_writer_pretty(&mut *file, &report).context("cannot write the JSON")?;
        file.write_all(b"\n").context("cannot write the JSON")?;
    }
    let text = match args.output {
        Output::Table => report.text(),
        Output::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot print the report")?;
    let faults = report.faults();
    for fault in &faults {
        eprintln!("engines: {fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One process. What goes wrong in it is part of the report.
fn once(args: &CompareArgs, engine: Name, workloads: &[Workload], round: usize, place: &Path) -> Entry {
    let dir = place.join(engine.text());
    let begun = Instant::now();
    let outcome = in_process(args, engine, workloads, &dir).map_err(|error| format!("{error:#}"));
    // The next run wants the room; what cannot be removed is told with the whole directory.
    let _ = std::fs::remove_dir_all(&dir);
    let seconds = begun.elapsed().as_secs_f64();
    Entry { round, engine, workloads: workloads.to_vec(), seconds, outcome: outcome.into() }
}

fn in_process(args: &CompareArgs, engine: Name, workloads: &[Workload], dir: &Path) -> Result<Run> {
    let names: Vec<&str> = workloads.iter().map(|workload| workload.text()).collect();
    let mut arguments = vec!["run".to_owned(), format!("--engine={}", engine.text())];
    arguments.push(format!("--workload={}", names.join(",")));
    arguments.push(format!("--dir={}", dir.to_str().context("the directory's name is no text")?));
    arguments.extend(args.sizes.arguments());
    // It waits for one that it starts itself.
    let text = child::output(&arguments, false, 2 * args.sizes.sizes().patience())?;
    serde_json::from_str(&text).context("it printed something else than a report")
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn progress(begun: Instant, round: usize, rounds: usize) -> String {
    format!("[{:>4} s, round {round} of {rounds}]", begun.elapsed().as_secs())
}

/// The engines without repetition, in the order given.
fn distinct(engines: &[Name]) -> Vec<Name> {
    let mut distinct = Vec::new();
    for engine in engines {
        if !distinct.contains(engine) {
            distinct.push(*engine);
        }
    }
    distinct
}

/// What one process each does of the workloads that are wanted.
fn groups(wanted: &[Workload]) -> Vec<Vec<Workload>> {
    let of =
        |group: &&[Workload]| group.iter().copied().filter(|workload| wanted.contains(workload)).collect::<Vec<_>>();
    GROUPS.iter().map(of).filter(|group| !group.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_share_a_process_and_nothing_is_done_twice() {
        use Workload::{Absent, Fill1, Get1, Overwrite};

        let wanted = [Absent, Overwrite, Get1, Fill1, Get1];
        assert_eq!(groups(&wanted), [vec![Fill1], vec![Get1, Absent], vec![Overwrite]]);
        assert_eq!(distinct(&[Name::Sled, Name::Lsm, Name::Sled]), [Name::Sled, Name::Lsm]);
    }
}
