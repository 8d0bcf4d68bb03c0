//! What an operator is told of one key: each replica's record, taken apart.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kvorum_node::{ActorId, Failure, Keyspace, NodeId, Operation, Record, Request, Response, Version, View};
use kvorum_wire::v1;
use tonic::Status;

use crate::client_codec;
use crate::clock::Clock;
use crate::shard_loop;

/// How long the replicas are waited for if the caller does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks every replica of a key; to be called on a shard thread.
pub(crate) async fn why(
    view: &View,
    clock: Clock,
    request: v1::WhyRequest,
    place: v1::KeyPlace,
) -> Result<v1::WhyResponse, Status> {
    let v1::WhyRequest { keyspace, key, timeout_ms } = request;
    let keyspace = client_codec::keyspace(view, &keyspace).map_err(refused)?;
    let told = ask(keyspace, key, timeout_ms).await?;
    let now = clock.now().unix_ms;
    let nodes: BTreeMap<ActorId, &str> = view.members.values().map(|member| (member.actor, &*member.name)).collect();
    let replicas = told.into_iter().map(|(id, held)| replica(view.name_of(id), held, now, &nodes)).collect();
    Ok(v1::WhyResponse { place: Some(place), mode: keyspace.mode.to_string(), replicas })
}

async fn ask(
    keyspace: &Keyspace,
    key: Bytes,
    timeout_ms: u32,
) -> Result<Vec<(NodeId, Result<Option<Record>, String>)>, Status> {
    let timeout = if timeout_ms == 0 { DEFAULT_TIMEOUT } else { Duration::from_millis(timeout_ms.into()) };
    let request = Request { keyspace: keyspace.id, timeout, operation: Operation::Why { key } };
    let answer = shard_loop::with(|shard_loop| shard_loop.inquire(request));
    match answer.await {
        Ok(Response::Why(told)) => Ok(told),
        Ok(Response::Failed(failure)) => Err(refused(failure)),
        Ok(_) => Err(Status::internal("the answer does not fit the call")),
        Err(_) => Err(Status::unavailable("rejected: the node is stopping")),
    }
}

fn refused(failure: Failure) -> Status {
    client_codec::status(client_codec::error_to_wire(failure))
}

fn replica(
    name: String,
    held: Result<Option<Record>, String>,
    now: u64,
    nodes: &BTreeMap<ActorId, &str>,
) -> v1::WhyReplica {
    let node = |actor: ActorId| nodes.get(&actor).map(|name| (*name).to_owned()).unwrap_or_default();
    let record = match held {
        Ok(Some(record)) => record,
        Ok(None) => return v1::WhyReplica { name, ..Default::default() },
        Err(error) => return v1::WhyReplica { name, error, ..Default::default() },
    };
    let version = |version: Version| v1::WhyVersion {
        actor: version.dot.actor.0,
        timestamp: version.dot.time.to_bits(),
        node: node(version.dot.actor),
        tombstone: version.value.is_none(),
        expires_at: version.expires_at_ms,
        expired: version.is_expired(now),
        bytes: version.value.map_or(0, |value| value.len() as u64),
    };
    let context = record.context();
    let entries = context.iter().map(|(actor, time)| v1::WhyEntry {
        actor: *actor,
        timestamp: time.to_bits(),
        node: node(ActorId(*actor)),
    });
    v1::WhyReplica {
        name,
        error: String::new(),
        found: true,
        versions: record.versions().map(version).collect(),
        context: entries.collect(),
        bytes: record.as_bytes().len() as u64,
    }
}
