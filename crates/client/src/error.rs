//! Owns what can go wrong with a call, and for each what it means for the data. Which failure is
//! tried again is decided in `perform.rs`.

use core::fmt;
use std::error::Error as StdError;
use std::sync::Arc;

/// What lies beneath a broken or refused connection.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// Why a call failed. [`Error::outcome`] says whether it may have changed anything.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Found before anything was sent: a setting or an option makes no sense, or cannot be had on this system.
    #[error("{0}")]
    Config(String),

    /// The caller's fault: the request breaks a limit or a rule of the cluster. Nothing changed.
    #[error("{endpoint} refuses it: {message}")]
    Invalid {
        /// The node that said so.
        endpoint: String,
        /// Its reason.
        message: String,
    },

    /// The state of the key, or the mode of its keyspace, does not allow it: read it again, and say what is to be
    /// replaced. Nothing changed.
    #[error("{endpoint} refuses it: {message}")]
    Precondition {
        /// The node that said so.
        endpoint: String,
        /// Its reason.
        message: String,
    },

    /// What was asked for does not exist: no keyspace has the name. Nothing changed.
    #[error("{message} (says {endpoint})")]
    NotFound {
        /// The node that said so.
        endpoint: String,
        /// What is not there.
        message: String,
    },

    /// The cluster's fault: too few replicas can be reached. Certainly nothing changed.
    #[error("{endpoint} rejected it, nothing changed: {message}")]
    Rejected {
        /// The node that said so last.
        endpoint: String,
        /// Its reason.
        message: String,
    },

    /// There is more work than the node or the connection to it can carry. Certainly nothing changed.
    #[error("{endpoint} is overloaded, nothing changed: {message}")]
    Overloaded {
        /// The node that said so last.
        endpoint: String,
        /// Its reason.
        message: String,
    },

    /// A write that may or may not be applied, now or later. Whether to repeat it, to read first, or
    /// to give up is the caller's decision.
    #[error("it may or may not be applied, {endpoint} did not finish it: {message}")]
    Indeterminate {
        /// The node to which it was sent.
        endpoint: String,
        /// What happened.
        message: String,
    },

    /// A read that too few replicas, or no node, answered in time.
    #[error("no answer from {endpoint} in time: {message}")]
    TimedOut {
        /// The node that was asked last.
        endpoint: String,
        /// What happened.
        message: String,
    },

    /// A replica found damaged data. A write may or may not be applied.
    #[error("{endpoint} found damaged data: {message}")]
    DataLoss {
        /// The node that said so.
        endpoint: String,
        /// What is damaged.
        message: String,
        /// Nothing changes by a read; of a write it is unknown.
        outcome: Outcome,
    },

    /// No node could be reached. Certainly nothing changed.
    #[error("{}", Listed(attempts))]
    Connect {
        /// Every endpoint that was tried, and its last failure; never empty.
        attempts: Vec<Attempt>,
        /// What lies beneath the last of them.
        source: Cause,
    },

    /// A node answered a read with something that this version of the client does not understand.
    #[error("{endpoint} answered what this client does not understand: {message}")]
    Protocol {
        /// The node that said so.
        endpoint: String,
        /// What was odd.
        message: String,
    },
}

/// What a failed call means for the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It certainly changed nothing, and will not.
    NotApplied,
    /// It may have changed what was asked, or may yet.
    Unknown,
}

/// One endpoint that could not be used.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its address.
    pub endpoint: String,
    /// Why it could not be used.
    pub cause: Cause,
}

impl Error {
    /// Whether anything may have changed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Indeterminate { .. } => Outcome::Unknown,
            Error::DataLoss { outcome, .. } => *outcome,
            Error::Config(_)
            | Error::Invalid { .. }
            | Error::Precondition { .. }
            | Error::NotFound { .. }
            | Error::Rejected { .. }
            | Error::Overloaded { .. }
            | Error::TimedOut { .. }
            | Error::Connect { .. }
            | Error::Protocol { .. } => Outcome::NotApplied,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, Root(&*self.cause))
    }
}

/// The attempts on one line.
struct Listed<'a>(&'a [Attempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no node can be reached (")?;
        for (index, attempt) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{attempt}")?;
        }
        f.write_str(")")
    }
}

/// The innermost cause: what wraps a refused connection only says "transport error".
pub(crate) struct Root<'a>(pub(crate) &'a (dyn StdError + 'static));

impl fmt::Display for Root<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut innermost = self.0;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        fmt::Display::fmt(innermost, f)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_endpoint_tried_is_named_with_its_innermost_cause() {
        let refused: Cause = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        let unknown: Cause = Arc::new(io::Error::other("no such host"));
        let attempts = vec![
            Attempt { endpoint: "a:1".into(), cause: refused },
            Attempt { endpoint: "b:2".into(), cause: Arc::clone(&unknown) },
        ];
        let error = Error::Connect { attempts, source: unknown };
        assert_eq!(error.to_string(), "no node can be reached (a:1: connection refused; b:2: no such host)");
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
}
