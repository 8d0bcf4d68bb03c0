//! Owns how a command ends: exit codes, and the one line that an error is.

use std::io::{self, Write};
use std::process::ExitCode;

use kvorum_client::Error;

/// What the exit code tells; 0 is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every operation of a run failed.
    AllFailed = 1,
    /// Also a history that cannot be read.
    Usage = 2,
    /// The cluster cannot be reached, or not in time.
    Unavailable = 3,
    /// The cluster's limits.
    Refused = 4,
    Other = 5,
}

/// Why a command did not do what it should: what failed, on what, what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into() }
    }

    /// `what` failed like this: "load `key` into 127.0.0.1:7400".
    pub(crate) fn of(what: &str, error: &Error) -> Failure {
        let (exit, advice) = match error {
            Error::Config(_) => (Exit::Usage, "see kvbench --help"),
            Error::Invalid { .. } | Error::Precondition { .. } => (Exit::Refused, "change what the node objects to"),
            Error::Connect { .. } => {
                (Exit::Unavailable, "is the node running? -e or KVORUM_ENDPOINT names another one")
            }
            Error::DataLoss { .. } | Error::Protocol { .. } => (Exit::Other, "look into the logs of the nodes"),
            _ => (Exit::Unavailable, "see kvctl status"),
        };
        Failure::new(exit, format!("cannot {what}: {error}; {advice}"))
    }
}

/// Ends the process as the result says.
pub(crate) fn report(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, message }) => {
            complain(&message);
            ExitCode::from(exit as u8)
        }
    }
}

/// Ends the process after a wrong command line, or after `--help` and `--version`.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader that has gone away is no failure of ours.
            let _ = error.print();
            ExitCode::from(error.exit_code() as u8)
        }
        _ => {
            complain(&usage_line(error));
            ExitCode::from(Exit::Usage as u8)
        }
    }
}

/// What is wrong with the command line, without the usage that clap adds.
fn usage_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let told = text.split("\n\nUsage:").next().unwrap_or(&text).split("\n\nFor more").next();
    let words: Vec<&str> = told.unwrap_or(&text).split_whitespace().collect();
    let line = words.join(" ");
    format!("{}; see kvbench --help", line.strip_prefix("error: ").unwrap_or(&line))
}

/// One line on standard error, whatever the message holds.
pub(crate) fn complain(message: &str) {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    // When nobody reads our complaints there is nobody to tell.
    let _ = writeln!(io::stderr(), "kvbench: {}", message.chars().map(escape).collect::<String>());
}

/// Text for the user; who reads it may have gone away, as `head` does.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Other, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_contract() {
        let codes = [Exit::AllFailed, Exit::Usage, Exit::Unavailable, Exit::Refused, Exit::Other];
        assert_eq!(codes.map(|exit| exit as u8), [1, 2, 3, 4, 5]);
        let (endpoint, message) = (String::from("a:1"), String::from("m"));
        let invalid = Error::Invalid { endpoint: endpoint.clone(), message: message.clone() };
        assert_eq!(Failure::of("load", &invalid).exit, Exit::Refused);
        assert_eq!(Failure::of("load", &Error::Rejected { endpoint, message }).exit, Exit::Unavailable);
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        for line in [["kvbench", "run", "--ops", "5"].as_slice(), &["kvbench", "frob"], &["kvbench", "load", "-x"]] {
            let told = usage_line(&crate::args::parse(line.iter().map(std::ffi::OsString::from)).unwrap_err());
            assert!(!told.contains('\n') && !told.contains("Usage"), "{told}");
            assert!(told.ends_with("; see kvbench --help") && !told.starts_with("error"), "{told}");
        }
    }
}
