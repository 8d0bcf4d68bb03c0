//! Owns why a session is over, and what that means for a call on it.

use std::sync::Arc;

use tonic::{Code, Status};

use crate::Cause;
use crate::error::Root;

/// Why a session is over or could not take a request.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{}", Root(&**.0))]
    Connect(Arc<tonic::transport::Error>),
    #[error("it did not accept a session in time")]
    Unaccepted,
    /// Shared, since a status is large and every call that it fails gets a copy.
    #[error("{}", describe(.0))]
    Status(Arc<Status>),
    #[error("the node ended the session")]
    Ended,
    #[error("the request waited for the connection until its time was up")]
    OutboxFull,
}

/// What became of a call that has no answer.
#[derive(Debug, Clone)]
pub(crate) enum Lost {
    /// The node certainly never saw it.
    Unsent(Failure),
    /// The session broke after it had left.
    Broken(Failure),
    /// It left, and no answer came in time.
    Silent,
}

impl Failure {
    pub(crate) fn into_cause(self) -> Cause {
        match self {
            Failure::Connect(error) => error,
            other => Arc::new(other),
        }
    }
}

impl From<tonic::transport::Error> for Failure {
    fn from(error: tonic::transport::Error) -> Failure {
        Failure::Connect(Arc::new(error))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Failure {
        Failure::Status(Arc::new(status))
    }
}

/// What a status says: a node's own words, or beneath a broken connection its innermost cause.
fn describe(status: &Status) -> String {
    use std::error::Error as _;
    match (status.code(), status.source()) {
        (_, Some(source)) => Root(source).to_string(),
        (Code::Unimplemented, None) => "it speaks no sessions: is it a kvorum node?".into(),
        (code, None) if status.message().is_empty() => code.description().to_lowercase(),
        (_, None) => status.message().into(),
    }
}
