//! Owns how a command ends: exit codes, and the one line that an error is.

use std::io::{self, Write};
use std::process::ExitCode;

use kvorum_client::Error;

/// What the exit code tells; 0 is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    NotFound = 1,
    Usage = 2,
    /// Unavailable, timed out, in doubt, or not to be reached.
    Unavailable = 3,
    /// Limits, permissions, bad lines of an import.
    Refused = 4,
    Other = 5,
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What failed, on what, what to do about it.
    Said(Exit, String),
    /// Who reads our output has gone away, as `head` does: that is no failure of ours.
    BrokenPipe,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure::Said(exit, message.into())
    }

    pub(crate) fn other(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Other, message)
    }

    /// `what` failed like this: "get `key` from 127.0.0.1:7400".
    pub(crate) fn of(what: &str, error: &Error) -> Failure {
        let (exit, advice) = verdict(error);
        Failure::new(exit, format!("cannot {what}: {error}; {advice}"))
    }

    /// Standard output, or a file in its place, cannot be written.
    pub(crate) fn writing(what: &str, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::BrokenPipe
        } else {
            Failure::other(format!("cannot write {what}: {error}; is there space, and the permission?"))
        }
    }
}

/// The exit code of an error, and what to do about it.
pub(crate) fn verdict(error: &Error) -> (Exit, &'static str) {
    match error {
        Error::Config(_) => (Exit::Usage, "see kvctl --help"),
        Error::NotFound { .. } => (Exit::NotFound, "is the name right?"),
        Error::Invalid { .. } => (Exit::Refused, "change what the node objects to"),
        Error::Precondition { .. } => (Exit::Refused, "see kvctl get --show-context"),
        Error::Rejected { .. } => {
            (Exit::Unavailable, "try again when more nodes are up (kvctl status), or with a lower level")
        }
        Error::Overloaded { .. } => (Exit::Unavailable, "try again later"),
        Error::Indeterminate { .. } => (Exit::Unavailable, "read the key before you decide whether to try again"),
        Error::TimedOut { .. } => {
            (Exit::Unavailable, "try again with a longer --timeout or a lower level, or see kvctl status")
        }
        Error::Connect { .. } => (Exit::Unavailable, "is the node running? -e or KVORUM_ENDPOINT names another one"),
        Error::DataLoss { .. } => (Exit::Other, "look into the logs of the nodes"),
        Error::Protocol { .. } => (Exit::Other, "is that a kvorum node, and is kvctl as new as it?"),
        _ => (Exit::Other, "see kvctl status"),
    }
}

/// Ends the process as the result says.
pub(crate) fn report(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) | Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(Failure::Said(exit, message)) => {
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
    format!("{}; see kvctl --help", line.strip_prefix("error: ").unwrap_or(&line))
}

/// One line on standard error, whatever the message holds.
pub(crate) fn complain(message: &str) {
    // When nobody reads our complaints there is nobody to tell.
    let _ = writeln!(io::stderr(), "kvctl: {}", one_line(message));
}

/// Control characters would break the line, or the terminal.
pub(crate) fn one_line(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kvorum_client::{Attempt, Cause, Outcome};

    use super::*;

    #[test]
    fn every_error_has_its_exit_code() {
        let (endpoint, message) = (String::from("a:1"), String::from("m"));
        let cause: Cause = Arc::new(io::Error::other("refused"));
        let attempt = Attempt { endpoint: endpoint.clone(), cause: cause.clone() };
        let both = || (endpoint.clone(), message.clone());
        let cases = [
            (Error::Config(both().1), Exit::Usage),
            (Error::Invalid { endpoint: both().0, message: both().1 }, Exit::Refused),
            (Error::NotFound { endpoint: both().0, message: both().1 }, Exit::NotFound),
            (Error::Rejected { endpoint: both().0, message: both().1 }, Exit::Unavailable),
            (Error::Overloaded { endpoint: both().0, message: both().1 }, Exit::Unavailable),
            (Error::Indeterminate { endpoint: both().0, message: both().1 }, Exit::Unavailable),
            (Error::TimedOut { endpoint: both().0, message: both().1 }, Exit::Unavailable),
            (Error::Connect { attempts: vec![attempt], source: cause }, Exit::Unavailable),
            (Error::Protocol { endpoint: both().0, message: both().1 }, Exit::Other),
            (Error::DataLoss { endpoint: both().0, message: both().1, outcome: Outcome::NotApplied }, Exit::Other),
        ];
        for (error, exit) in cases {
            let Failure::Said(got, line) = Failure::of("get `k` from a:1", &error) else {
                panic!("{error}");
            };
            assert_eq!(got, exit, "{error}");
            assert!(line.starts_with("cannot get `k` from a:1: ") && line.contains("; "), "{line}");
        }
    }

    #[test]
    fn the_codes_are_those_of_the_contract() {
        let codes = [Exit::NotFound, Exit::Usage, Exit::Unavailable, Exit::Refused, Exit::Other];
        assert_eq!(codes.map(|exit| exit as u8), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        assert_eq!(one_line("a\nb\u{1b}[31m\tc`ü`"), "a\\nb\\u{1b}[31m\\tc`ü`");
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        for line in [["kvctl", "put", "k"].as_slice(), &["kvctl", "get", "k", "-r", "most"], &["kvctl", "frob"]] {
            let args = line.iter().map(std::ffi::OsString::from);
            let told = usage_line(&crate::args::parse(args).unwrap_err());
            assert!(!told.contains('\n') && !told.contains("Usage"), "{told}");
            assert!(told.ends_with("; see kvctl --help") && !told.starts_with("error"), "{told}");
        }
    }

    #[test]
    fn every_wrong_command_line_ends_with_the_code_of_usage() {
        for line in [
            "kvctl",
            "kvctl frob",
            "kvctl get",
            "kvctl get a b",
            "kvctl get a --frob",
            "kvctl get a -r most",
            "kvctl get a --retry",
            "kvctl put a b --ttl",
            "kvctl put a b --strict --sloppy",
            "kvctl scan --limit 0",
            "kvctl status -o xml",
            "kvctl completions cmd",
            "kvctl -e",
        ] {
            let error = crate::args::parse(line.split(' ').map(std::ffi::OsString::from)).unwrap_err();
            assert_eq!(usage(&error), ExitCode::from(2), "{line}");
        }
        for line in ["kvctl --help", "kvctl get --help", "kvctl --version"] {
            let shown = crate::args::parse(line.split(' ').map(std::ffi::OsString::from)).unwrap_err();
            assert_eq!(usage(&shown), ExitCode::SUCCESS, "{line}");
        }
    }
}
