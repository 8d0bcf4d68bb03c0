//! What a client concludes from an answer, and nothing more than that.

use kvorum_history::{OpId, Outcome, Version};
use kvorum_node::{ActorId, Failure, FailureKind, Mode, Record, Replicas, Response};

use crate::workload::operation_of;
use kvorum_vclock::{Dot, Timestamp};

/// What a read found, and as which version where there is one.
pub(super) fn outcome_of(record: Option<&Record>, as_of_ms: u64, mode: Mode) -> (Outcome, Option<Version>) {
    let Some(record) = record else { return (Outcome::Read(Vec::new()), None) };
    let puts = record.live_versions(as_of_ms).map(|version| operation_of(&version.value?).map(OpId));
    let outcome = puts.collect::<Option<Vec<_>>>().map_or(Outcome::ReadUnknown, Outcome::Read);
    (outcome, (mode == Mode::Lww).then(|| version_of(record.dot())))
}

/// `wanted` is what the level asks for.
pub(super) fn outcome_of_read(response: &Response, wanted: u8, mode: Mode) -> (Outcome, Option<Version>) {
    match response {
        Response::Value { record, as_of_ms, replicas, .. } => {
            check_replicas(*replicas, wanted);
            outcome_of(record.as_ref(), *as_of_ms, mode)
        }
        Response::Failed(_) => (Outcome::Failed, None),
        other => panic!("a get is answered with a value, not {other:?}"),
    }
}

pub(super) fn outcome_of_write(response: &Response, wanted: u8) -> Outcome {
    match response {
        Response::Written { dot, replicas, .. } => {
            check_replicas(*replicas, wanted);
            Outcome::Written { version: Some(version_of(*dot)) }
        }
        Response::Failed(failure) => match failure.kind {
            FailureKind::Invalid | FailureKind::Precondition | FailureKind::Rejected | FailureKind::Overloaded => {
                Outcome::Rejected
            }
            FailureKind::Indeterminate | FailureKind::TimedOut | FailureKind::DataLoss => Outcome::Indeterminate,
        },
        other => panic!("a write is answered as written, not {other:?}"),
    }
}

/// Versions are ordered as records are: by timestamp, then by actor.
fn version_of(dot: Dot<ActorId>) -> Version {
    Version(u128::from(dot.time.to_bits()) << 64 | u128::from(dot.actor.0))
}

/// Whether a replica that holds this record knows of a version: holds it, or what replaced it.
pub(crate) fn knows(record: &Record, version: Version) -> bool {
    let (time, actor) = (Timestamp::from_bits((version.0 >> 64) as u64), ActorId(version.0 as u64));
    if record.is_causal() { record.context().get(&actor.0) >= time } else { record.dot() >= Dot { time, actor } }
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
