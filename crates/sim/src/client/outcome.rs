//! What a client concludes from an answer, and nothing more than that.

use kvorum_history::{OpId, Outcome, Version};
use kvorum_node::{Failure, FailureKind, Record, Replicas, Response};

use crate::workload::operation_of;

/// What a read found, and as which version.
pub(super) fn outcome_of(record: Option<&Record>) -> (Outcome, Option<Version>) {
    let Some(record) = record else { return (Outcome::Read(Vec::new()), None) };
    let put = record.value().and_then(|value| operation_of(&value));
    let outcome = put.map_or(Outcome::ReadUnknown, |id| Outcome::Read(vec![OpId(id)]));
    (outcome, Some(version_of(record)))
}

/// `wanted` is what the level asks for.
pub(super) fn outcome_of_read(response: &Response, wanted: u8) -> (Outcome, Option<Version>) {
    match response {
        Response::Value { record, replicas } => {
            check_replicas(*replicas, wanted);
            outcome_of(record.as_ref())
        }
        Response::Failed(_) => (Outcome::Failed, None),
        other => panic!("a get is answered with a value, not {other:?}"),
    }
}

pub(super) fn outcome_of_write(response: &Response, wanted: u8) -> Outcome {
    match response {
        Response::Written { record, replicas } => {
            check_replicas(*replicas, wanted);
            Outcome::Written { version: Some(version_of(record)) }
        }
        Response::Failed(failure) => match failure.kind {
            FailureKind::Invalid | FailureKind::Rejected | FailureKind::Overloaded => Outcome::Rejected,
            FailureKind::Indeterminate | FailureKind::TimedOut | FailureKind::DataLoss => Outcome::Indeterminate,
        },
        other => panic!("a write is answered as written, not {other:?}"),
    }
}

/// Versions are ordered as records are: by timestamp, then by actor.
fn version_of(record: &Record) -> Version {
    let dot = record.dot();
    Version(u128::from(dot.time.to_bits()) << 64 | u128::from(dot.actor.0))
}

pub(super) fn check_replicas(replicas: Replicas, wanted: u8) {
    assert!(
        replicas.wanted >= wanted && replicas.answered >= replicas.wanted,
        "an operation succeeds when the {wanted} replicas that were asked for answered, not with {replicas:?}"
    );
}

/// The answer of a host that has no process.
pub(super) fn refused() -> Response {
    Response::Failed(Failure::new(FailureKind::Rejected, "the connection was refused"))
}
