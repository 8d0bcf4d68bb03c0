//! `floors`: what the messages of a replicated store cost when there is no store. It owns the way from arguments to one
//! command; each command has a file of its own.

mod args;
mod cluster;
mod compare;
mod compare_report;
mod cpu;
mod drive;
mod duration;
mod echo;
mod frames;
mod kvbench;
mod links;
mod processes;
mod quorum;
mod report;
mod run;
mod serve;
mod waiters;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Serve(args) => serve::serve(&args),
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::compare(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floors: {error:#}");
            ExitCode::FAILURE
        }
    }
}
