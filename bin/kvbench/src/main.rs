//! `kvbench`, the load generator of Kvorum. It owns the way from arguments to one command and from its result to an
//! exit code; each command has a file of its own.

mod args;
mod check;
mod connections;
mod cpu;
mod distribution;
mod duration;
mod exit;
mod keys;
mod live;
mod load;
mod progress;
mod random;
mod recorder;
mod report;
mod run;
mod schedule;
mod summary;
mod turnstile;
mod values;
mod workers;
mod workload;

use std::process::ExitCode;

use args::{Args, Command};
use exit::{Exit, Failure};

fn main() -> ExitCode {
    match args::parse(std::env::args_os()) {
        Ok(args) => perform(args),
        Err(error) => exit::usage(&error),
    }
}

/// A check asks no cluster, and needs no runtime.
fn perform(args: Args) -> ExitCode {
    match args.command {
        Command::Load(args) => exit::report(block_on(load::load(args))),
        Command::Run(args) => exit::report(block_on(run::run(*args))),
        Command::Check(args) => check::check(&args),
    }
}

/// One thread does everything: the clients' tasks, their connections and the clock. A task that is woken is then a few
/// hundred nanoseconds away, where another thread would be microseconds; and what is answered together leaves together.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Other, format!("cannot start: {error}")))?;
    runtime.block_on(command)
}
