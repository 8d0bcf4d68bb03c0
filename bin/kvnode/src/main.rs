//! `kvnode`: one node (`run`), what it would be started with (`config`), or a whole local cluster as child processes
//! (`dev`). Arguments become a configuration, and that becomes one call.

mod args;
mod config;
mod dev;
mod effective;
mod layers;
mod run;
mod settings;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return wrong_line(&error),
    };
    let outcome = match args.command {
        Command::Run(args) => run::run(&args),
        Command::Config(args) => config::config(&args.layers),
        Command::Dev(args) => dev::dev(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("kvnode: {}", one_line(&format!("{:#}", failure.error)));
            ExitCode::from(failure.exit)
        }
    }
}

/// Ends the process after a wrong command line, or after `--help` and `--version`.
fn wrong_line(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away is no failure of ours.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(USAGE)
        }
        _ => {
            eprintln!("kvnode: {}", one_line(&usage_line(error)));
            ExitCode::from(USAGE)
        }
    }
}

/// What is wrong with the command line, without the usage that clap adds.
fn usage_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let told = text.split("\n\nUsage:").next().unwrap_or(&text);
    let told = told.split("\n\nFor more").next().unwrap_or(told);
    let line = told.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}; see kvnode --help", line.strip_prefix("error: ").unwrap_or(&line))
}

/// Control characters would break the line, or the terminal.
fn one_line(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        for line in
            [["kvnode", "frob"].as_slice(), &["kvnode", "run", "--lissten", "a:1"], &["kvnode", "run", "--name"]]
        {
            let told = usage_line(&Args::try_parse_from(line).unwrap_err());
            assert!(!told.contains('\n') && !told.contains("Usage"), "{told}");
            assert!(told.ends_with("; see kvnode --help") && !told.starts_with("error"), "{told}");
        }
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
    }
}
