//! `engines`: kvorum-lsm beside other embedded storage engines. It owns the way from arguments to one command; `compare` is the one that
//! people use, and starts the others.

mod args;
mod child;
mod compare;
mod data;
mod engines;
mod figures;
mod measured;
mod prepare;
mod process;
mod report;
mod rows;
mod sizes;
mod table;
mod workloads;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

use args::{Args, Command, RunArgs};
use workloads::Setting;

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Compare(args) => compare::compare(&args),
        Command::Run(args) => run(&args),
        Command::Prepare(args) => {
            let setting = Setting { name: args.engine, dir: &args.dir, sizes: &args.sizes };
            dies(args.die_with_parent).and_then(|()| prepare::prepare(setting, args.end)).map(|()| ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("engines: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(args: &RunArgs) -> Result<ExitCode> {
    dies(args.die_with_parent)?;
    make_empty(&args.dir)?;
    let sizes = args.sizes.sizes();
    let run = workloads::run(&args.workload, Setting { name: args.engine, dir: &args.dir, sizes: &sizes })?;
    println!("{}", serde_json::to_string(&run)?);
    Ok(ExitCode::SUCCESS)
}

fn dies(with_parent: bool) -> Result<()> {
    if with_parent { child::die_with_parent() } else { Ok(()) }
}

/// Makes a directory, and takes none that has something in it.
fn make_empty(dir: &Path) -> Result<()> {
    let context = || format!("cannot make the directory {}", dir.display());
    std::fs::create_dir_all(dir).with_context(context)?;
    if std::fs::read_dir(dir).with_context(context)?.next().is_some() {
        bail!("{} is not empty", dir.display());
    }
    Ok(())
}
