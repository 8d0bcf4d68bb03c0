//! Between what clients say on the wire and what shards understand.

use std::mem;
use std::num::NonZeroU8;
use std::time::Duration;

use bytes::Bytes;
use kvorum_node::{
    ActorId, Attempt, Consistency, Failure, FailureKind, Keyspace, Operation, Record, Request, Response, View, request,
};
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;
use kvorum_wire::v1;
use tonic::Status;
use tonic::metadata::MetadataValue;

/// How long a request that names no timeout is tried.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Understands a request.
pub(crate) fn request_from_wire(view: &View, operation: v1::request::Operation) -> Result<Request, Failure> {
    use v1::request::Operation as Wire;
    let (keyspace, timeout_ms, operation) = match operation {
        Wire::Get(mut get) => (mem::take(&mut get.keyspace), get.timeout_ms, get_from_wire(get)?),
        Wire::Put(mut put) => (mem::take(&mut put.keyspace), put.timeout_ms, put_from_wire(put)?),
        Wire::Delete(mut delete) => (mem::take(&mut delete.keyspace), delete.timeout_ms, delete_from_wire(delete)?),
        Wire::Scan(scan) => {
            let cursor = scan.cursor.unwrap_or_default();
            let partition = u16::try_from(cursor.partition)
                .map_err(|_| invalid(format!("the cursor's partition {} does not exist", cursor.partition)))?;
            let page = request::Scan {
                partition: PartitionId(partition),
                prefix: scan.prefix,
                after: cursor.after,
                limit_bytes: u32::MAX,
                limit_rows: (scan.limit > 0).then(|| u32::try_from(scan.limit).unwrap_or(u32::MAX)),
                keys_only: scan.keys_only,
                level: level_from_wire(scan.level)?,
            };
            (scan.keyspace, scan.timeout_ms, Operation::Scan(page))
        }
    };
    let keyspace = self::keyspace(view, &keyspace)?.id;
    let timeout = if timeout_ms == 0 { DEFAULT_TIMEOUT } else { Duration::from_millis(timeout_ms.into()) };
    Ok(Request { keyspace, timeout, operation })
}

/// A get, without its keyspace and timeout.
pub(crate) fn get_from_wire(get: v1::GetRequest) -> Result<Operation, Failure> {
    let consistency = consistency_from_wire(get.consistency)?;
    Ok(Operation::Get { key: get.key, level: level_from_wire(get.level)?, consistency })
}

/// A put, without its keyspace and timeout.
pub(crate) fn put_from_wire(put: v1::PutRequest) -> Result<Operation, Failure> {
    let (level, consistency) = (level_from_wire(put.level)?, consistency_from_wire(put.consistency)?);
    let v1::PutRequest { key, value, ttl_ms, context, .. } = put;
    Ok(Operation::Put { key, value, ttl_ms, level, consistency, attempt: put.attempt.map(attempt_from_wire), context })
}

/// A delete, without its keyspace and timeout.
pub(crate) fn delete_from_wire(delete: v1::DeleteRequest) -> Result<Operation, Failure> {
    let (level, consistency) = (level_from_wire(delete.level)?, consistency_from_wire(delete.consistency)?);
    let v1::DeleteRequest { key, context, .. } = delete;
    Ok(Operation::Delete { key, level, consistency, attempt: delete.attempt.map(attempt_from_wire), context })
}

fn attempt_from_wire(attempt: v1::Attempt) -> Attempt {
    let v1::Attempt { id, retried_after_ms, first_asked } = attempt;
    Attempt { id, retried_after_ms, first_asked: first_asked.map(ActorId) }
}

pub(crate) fn attempt_to_wire(attempt: Attempt) -> v1::Attempt {
    let Attempt { id, retried_after_ms, first_asked } = attempt;
    v1::Attempt { id, retried_after_ms, first_asked: first_asked.map(|process| process.0) }
}

pub(crate) fn consistency_from_wire(consistency: i32) -> Result<Option<Consistency>, Failure> {
    match v1::Consistency::try_from(consistency) {
        Ok(v1::Consistency::Unspecified) => Ok(None),
        Ok(v1::Consistency::Sloppy) => Ok(Some(Consistency::Sloppy)),
        Ok(v1::Consistency::Strict) => Ok(Some(Consistency::Strict)),
        Err(_) => Err(invalid(format!("there is no consistency {consistency}; use sloppy or strict"))),
    }
}

pub(crate) fn consistency_to_wire(consistency: Option<Consistency>) -> i32 {
    let consistency = match consistency {
        None => v1::Consistency::Unspecified,
        Some(Consistency::Sloppy) => v1::Consistency::Sloppy,
        Some(Consistency::Strict) => v1::Consistency::Strict,
    };
    consistency.into()
}

/// Looks a keyspace up by the name that a client gives.
pub(crate) fn keyspace<'a>(view: &'a View, name: &str) -> Result<&'a Keyspace, Failure> {
    let missing = || {
        let is_behind = view.members.values().any(|member| member.catalog > view.catalog.version());
        if is_behind {
            let message =
                format!("this node does not know a keyspace `{name}`, and others know newer keyspaces; retry");
            return Failure::new(FailureKind::Rejected, message);
        }
        invalid(format!("there is no keyspace `{name}`; see `kvctl keyspace list`"))
    };
    view.catalog.by_name(name).ok_or_else(missing)
}

fn invalid(message: String) -> Failure {
    Failure::new(FailureKind::Invalid, message)
}

pub(crate) fn level_from_wire(level: Option<v1::Level>) -> Result<Option<Level>, Failure> {
    use v1::level::{Level as Wire, Name};
    let Some(level) = level.and_then(|level| level.level) else { return Ok(None) };
    let bad = |what: &dyn std::fmt::Display| {
        invalid(format!(
            "there is no level {what}; use one, two, three, quorum, all, local_quorum, each_quorum or a number from 1 to 64"
        ))
    };
    let level = match level {
        Wire::Number(number) => {
            let number = u8::try_from(number).ok().filter(|number| *number <= 64).and_then(NonZeroU8::new);
            Level::Number(number.ok_or_else(|| bad(&"of that number"))?)
        }
        Wire::Name(name) => match Name::try_from(name) {
            Ok(Name::One) => Level::One,
            Ok(Name::Two) => Level::Two,
            Ok(Name::Three) => Level::Three,
            Ok(Name::Quorum) => Level::Quorum,
            Ok(Name::All) => Level::All,
            Ok(Name::LocalQuorum) => Level::LocalQuorum,
            Ok(Name::EachQuorum) => Level::EachQuorum,
            Ok(Name::Unspecified) => return Ok(None),
            Err(_) => return Err(bad(&name)),
        },
    };
    Ok(Some(level))
}

pub(crate) fn level_to_wire(level: Level) -> v1::Level {
    use v1::level::{Level as Wire, Name};
    let name = match level {
        Level::One => Name::One,
        Level::Two => Name::Two,
        Level::Three => Name::Three,
        Level::Quorum => Name::Quorum,
        Level::All => Name::All,
        Level::LocalQuorum => Name::LocalQuorum,
        Level::EachQuorum => Name::EachQuorum,
        Level::Number(number) => return v1::Level { level: Some(Wire::Number(number.get().into())) },
    };
    v1::Level { level: Some(Wire::Name(name.into())) }
}

/// Says an answer. `is_delete` tells a delete's from a put's.
pub(crate) fn response_to_wire(id: u64, partitions: u32, is_delete: bool, response: Response) -> v1::Response {
    use v1::response::Result as Wire;
    let result = match response {
        Response::Value { record, context, as_of_ms, replicas } => Wire::Get(v1::GetResponse {
            versions: record.iter().flat_map(|record| versions(record, as_of_ms)).collect(),
            replicas: Some(replicas_to_wire(replicas)),
            context,
        }),
        Response::Written { dot, expires_at_ms, replicas } => {
            let (actor, timestamp) = (dot.actor.0, dot.time.to_bits());
            let replicas = Some(replicas_to_wire(replicas));
            if is_delete {
                Wire::Delete(v1::DeleteResponse { actor, timestamp, replicas })
            } else {
                Wire::Put(v1::PutResponse { actor, timestamp, replicas, expires_at: expires_at_ms })
            }
        }
        Response::Page { partition, rows, as_of_ms, next, replicas } => Wire::Scan(v1::ScanResponse {
            rows: rows
                .into_iter()
                .map(|(key, record)| v1::Row { key, versions: versions(&record, as_of_ms).collect() })
                .collect(),
            next: next_cursor(partition, next, partitions),
            replicas: Some(replicas_to_wire(replicas)),
        }),
        Response::Why(_) => unreachable!("only the `Admin` service asks why, and is answered as the shard answers"),
        Response::Failed(failure) => Wire::Error(error_to_wire(failure)),
    };
    v1::Response { id, result: Some(result) }
}

fn next_cursor(partition: PartitionId, after: Option<Bytes>, partitions: u32) -> Option<v1::Cursor> {
    let partition = u32::from(partition.0);
    match after {
        Some(after) => Some(v1::Cursor { partition, after: Some(after) }),
        None => {
            Some(partition + 1).filter(|next| *next < partitions).map(|partition| v1::Cursor { partition, after: None })
        }
    }
}

/// The versions that a reader sees, newest first.
fn versions(record: &Record, as_of_ms: u64) -> impl Iterator<Item = v1::Version> + use<> {
    record.live_versions(as_of_ms).map(|version| v1::Version {
        value: version.value.unwrap_or_default(),
        actor: version.dot.actor.0,
        timestamp: version.dot.time.to_bits(),
        expires_at: version.expires_at_ms,
    })
}

pub(crate) fn replicas_to_wire(replicas: kvorum_node::Replicas) -> v1::Replicas {
    v1::Replicas {
        wanted: replicas.wanted.into(),
        answered: replicas.answered.into(),
        agreed: replicas.agreed.into(),
        sloppy: replicas.sloppy,
    }
}

pub(crate) fn replicas_from_wire(replicas: Option<v1::Replicas>) -> kvorum_node::Replicas {
    let replicas = replicas.unwrap_or_default();
    let count = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
    kvorum_node::Replicas {
        wanted: count(replicas.wanted),
        answered: count(replicas.answered),
        agreed: count(replicas.agreed),
        sloppy: replicas.sloppy,
    }
}

pub(crate) fn error_to_wire(failure: Failure) -> v1::Error {
    use v1::error::Kind;
    let kind = match failure.kind {
        FailureKind::Invalid => Kind::Invalid,
        FailureKind::Rejected => Kind::Rejected,
        FailureKind::Overloaded => Kind::Overloaded,
        FailureKind::Indeterminate => Kind::Indeterminate,
        FailureKind::TimedOut => Kind::TimedOut,
        FailureKind::DataLoss => Kind::DataLoss,
        FailureKind::Precondition => Kind::Precondition,
    };
    v1::Error { kind: kind.into(), message: failure.message }
}

pub(crate) fn error_from_wire(error: v1::Error) -> Failure {
    use v1::error::Kind;
    let kind = match error.kind() {
        Kind::Invalid => FailureKind::Invalid,
        Kind::Rejected => FailureKind::Rejected,
        Kind::Overloaded => FailureKind::Overloaded,
        Kind::TimedOut => FailureKind::TimedOut,
        Kind::DataLoss => FailureKind::DataLoss,
        Kind::Precondition => FailureKind::Precondition,
        // What a newer peer means cannot be known: no more is promised than is certain.
        Kind::Indeterminate | Kind::Unspecified => FailureKind::Indeterminate,
    };
    Failure::new(kind, error.message)
}

/// A failure as a gRPC status, for unary calls. The metadata `kvorum-outcome` says what the client may conclude.
pub(crate) fn status(error: v1::Error) -> Status {
    use v1::error::Kind;
    let kind = error.kind();
    let (mut status, outcome) = match kind {
        Kind::Invalid => (Status::invalid_argument(error.message), "rejected"),
        Kind::Rejected => (Status::unavailable(format!("rejected: {}", error.message)), "rejected"),
        Kind::Overloaded => (Status::resource_exhausted(error.message), "rejected"),
        Kind::TimedOut => (Status::deadline_exceeded(error.message), "rejected"),
        Kind::DataLoss => (Status::data_loss(error.message), "rejected"),
        Kind::Precondition => (Status::failed_precondition(error.message), "rejected"),
        Kind::Indeterminate | Kind::Unspecified => (Status::unknown(error.message), "indeterminate"),
    };
    status.metadata_mut().insert("kvorum-outcome", MetadataValue::from_static(outcome));
    status
}
