//! `kvctl`, the command line of Kvorum. It owns the way from arguments to one command and from its
//! result to an exit code; each command has a file of its own.

mod args;
mod del;
mod duration;
mod exit;
mod export;
mod format;
mod get;
mod hints;
mod import;
mod keyspace;
mod lines;
mod output;
mod partial;
mod progress;
mod put;
mod ring;
mod scan;
mod status;
mod target;
mod token;
mod watch;
mod why;

use std::process::ExitCode;

use args::{Args, Command};
use exit::Failure;
use target::Target;

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return exit::usage(&error),
    };
    exit::report(run(args))
}

fn run(args: Args) -> Result<(), Failure> {
    if let Command::Completions { shell } = args.command {
        return args::completions(shell);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let result = runtime.block_on(command(args));
    // A thread may still be waiting for standard input.
    runtime.shutdown_background();
    result
}

async fn command(args: Args) -> Result<(), Failure> {
    let target = Target::new(args.global, args.command.retry(), args.command.retry_indeterminate())?;
    match args.command {
        Command::Put(put) => put::run(&target, put).await,
        Command::Get(get) => get::run(&target, get).await,
        Command::Del(del) => del::run(&target, del).await,
        Command::Scan(scan) => scan::run(&target, scan).await,
        Command::Import(import) => import::run(&target, import).await,
        Command::Export(export) => export::run(&target, export).await,
        Command::Keyspace { command } => keyspace::run(&target, command).await,
        Command::Status(args) if args.watch => watch::run(&target, args.interval).await,
        Command::Status(_) => status::run(&target).await,
        Command::Ring { key } => ring::run(&target, key).await,
        Command::Why { key } => why::run(&target, key).await,
        Command::Hints => hints::run(&target).await,
        Command::Completions { .. } => unreachable!("completions need no cluster"),
    }
}
