//! Owns what a call that is tried several times tells of its failures in the end.

use crate::session::Failure;
use crate::{Attempt, Error, Outcome};

/// What has failed so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Of each endpoint that could not be reached, the last failure.
    unreached: Vec<Attempt>,
    /// The last failure of a node that could.
    last: Option<Error>,
    /// The last that leaves open what was applied.
    open: Option<Error>,
}

impl Failures {
    pub(crate) fn add(&mut self, error: Error) {
        match error {
            Error::Connect { attempts, .. } => {
                for attempt in attempts {
                    self.unreached.retain(|earlier| earlier.endpoint != attempt.endpoint);
                    self.unreached.push(attempt);
                }
            }
            open if open.outcome() == Outcome::Unknown => self.open = Some(open),
            other => self.last = Some(other),
        }
    }

    /// Whether something may have been applied.
    pub(crate) fn leave_it_open(&self) -> bool {
        self.open.is_some()
    }

    /// The error to hand on. That something may have been applied is not undone by a later try that certainly was not;
    /// and what a node said tells more than that another could not be reached.
    ///
    /// # Panics
    /// If nothing has failed.
    pub(crate) fn into_error(self) -> Error {
        self.open.or(self.last).unwrap_or_else(|| {
            let last = self.unreached.last().expect("a call fails only after a failure");
            let source = last.cause.clone();
            Error::Connect { attempts: self.unreached, source }
        })
    }
}

/// What it means that there is no connection with the node of this address.
pub(crate) fn unreachable(address: &str, failure: Failure) -> Error {
    let cause = failure.into_cause();
    let attempt = Attempt { endpoint: address.to_owned(), cause: cause.clone() };
    Error::Connect { attempts: vec![attempt], source: cause }
}

/// A node's words without the outcome at their head, which the error's variant says.
pub(crate) fn plain(message: String) -> String {
    let headless = ["rejected: ", "indeterminate: "].iter().find_map(|head| message.strip_prefix(head));
    headless.map(str::to_owned).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variant: fn(String, String) -> Error, message: &str) -> Error {
        variant("a:1".into(), message.into())
    }

    fn rejected(endpoint: String, message: String) -> Error {
        Error::Rejected { endpoint, message }
    }

    fn indeterminate(endpoint: String, message: String) -> Error {
        Error::Indeterminate { endpoint, message }
    }

    #[test]
    fn what_may_have_been_applied_stays_so_whatever_fails_later() {
        let mut failures = Failures::default();
        failures.add(said(rejected, "first"));
        assert!(!failures.leave_it_open());
        failures.add(said(indeterminate, "second"));
        failures.add(said(indeterminate, "third"));
        failures.add(said(rejected, "fourth"));
        failures.add(unreachable("b:2", Failure::Ended));
        assert!(failures.leave_it_open());
        let error = failures.into_error();
        assert!(matches!(&error, Error::Indeterminate { message, .. } if message == "third"), "{error}");
    }

    #[test]
    fn what_a_node_said_tells_more_than_that_others_could_not_be_reached() {
        let mut failures = Failures::default();
        failures.add(said(rejected, "said"));
        failures.add(unreachable("b:2", Failure::Ended));
        assert!(matches!(failures.into_error(), Error::Rejected { .. }));
        let mut failures = Failures::default();
        for endpoint in ["b:2", "c:3", "b:2"] {
            failures.add(unreachable(endpoint, Failure::Ended));
        }
        let Error::Connect { attempts, .. } = failures.into_error() else { panic!("nobody was reached") };
        let tried: Vec<&str> = attempts.iter().map(|attempt| attempt.endpoint.as_str()).collect();
        assert_eq!(tried, ["c:3", "b:2"]);
    }
}
