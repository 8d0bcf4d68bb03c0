//! `kvnode`: one node (`run`), or a whole local cluster as child processes (`dev`). Arguments become a configuration,
//! and that becomes one call.

mod args;
mod dev;
mod run;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Dev(args) => dev::dev(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kvnode: {:#}", failure.error);
            ExitCode::from(failure.exit)
        }
    }
}

/// Why a command ended, and the exit code that says so.
struct Failure {
    error: anyhow::Error,
    exit: u8,
}

/// The exit code for a wrong flag, variable or file.
const USAGE: u8 = 2;
/// The exit code for everything else.
const OTHER: u8 = 5;

impl Failure {
    fn usage(error: anyhow::Error) -> Self {
        Self { error, exit: USAGE }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), exit: OTHER }
    }
}
