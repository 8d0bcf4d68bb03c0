//! `gossip`: kvorum-gossip beside other gossip libraries, in one simulated network. It owns the way from arguments to
//! simulations, and from their outcomes to tables.

mod args;
mod children;
mod cluster;
mod network;
mod peer;
mod peers;
mod process;
mod report;
mod scenarios;
mod table;
mod variants;
mod views;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use args::Args;
use report::Report;
use scenarios::Cell;

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.cell {
        Some(cell) => run_cell(cell).map(|()| ExitCode::SUCCESS),
        None => compare(&args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("gossip: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_cell(cell: &str) -> Result<()> {
    children::die_with_parent()?;
    let cell: Cell = serde_json::from_str(cell).context("the cell is not understood")?;
    println!("{}", serde_json::to_string(&cell.variant.run(&cell)?)?);
    Ok(())
}

/// The exit code says whether all simulations came to their end, not who did better.
fn compare(args: &Args) -> Result<ExitCode> {
    let cells = args.cells()?;
    let results = children::run(&cells, args.jobs, Duration::from_secs(args.patience));
    let report = Report::new(cells, results);
    print!("{}", table::text(&report));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if report.runs.iter().any(|run| run.failed.is_some()) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
