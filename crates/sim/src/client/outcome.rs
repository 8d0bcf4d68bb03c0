//! What a client concludes from an answer, and nothing more than that.

use kvorum_node::{Failure, FailureKind, Record, Replicas, Response};

use crate::history::{OpId, Outcome};

pub(super) fn outcome_of(record: Option<&Record>) -> Outcome {
    let Some(record) = record else { return Outcome::Read(None) };
    let value = record.value().and_then(|value| core::str::from_utf8(&value).ok()?.parse().ok());
    value.map_or(Outcome::ReadUnknown, |id| Outcome::Read(Some(OpId(id))))
}

pub(super) fn outcome_of_read(response: Response) -> Outcome {
    match response {
        Response::Value { record, replicas } => {
            check_replicas(replicas);
            outcome_of(record.as_ref())
        }
        Response::Failed(_) => Outcome::Failed,
        other => panic!("a get is answered with a value, not {other:?}"),
    }
}

pub(super) fn outcome_of_write(response: Response) -> Outcome {
    match response {
        Response::Written { replicas, .. } => {
            check_replicas(replicas);
            Outcome::Written
        }
        Response::Failed(failure) => match failure.kind {
            FailureKind::Invalid | FailureKind::Rejected | FailureKind::Overloaded => Outcome::Rejected,
            FailureKind::Indeterminate | FailureKind::TimedOut | FailureKind::DataLoss => Outcome::Indeterminate,
        },
        other => panic!("a write is answered as written, not {other:?}"),
    }
}

pub(super) fn check_replicas(replicas: Replicas) {
    assert!(
        replicas.answered >= replicas.wanted,
        "an operation succeeds when enough replicas answered, not with {replicas:?}"
    );
}

/// The answer of a host that has no process.
pub(super) fn refused() -> Response {
    Response::Failed(Failure::new(FailureKind::Rejected, "the connection was refused"))
}
