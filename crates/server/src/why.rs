//! What an operator is told of one key: each replica's record, taken apart, and the hints that wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kvorum_node::{
    ActorId, Explanation, Failure, Holding, KeptHint, Keyspace, NodeId, Operation, Outline, Request, Response, View,
};
use kvorum_wire::v1;
use tonic::Status;

use crate::client_codec;
use crate::clock::Clock;
use crate::shard_loop;

/// How long the replicas are waited for if the caller does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks every replica of a key, and the members what they keep for them; to be called on a shard thread.
pub(crate) async fn why(
    view: &View,
    clock: Clock,
    request: v1::WhyRequest,
    place: v1::KeyPlace,
) -> Result<v1::WhyResponse, Status> {
    let v1::WhyRequest { keyspace, key, timeout_ms } = request;
    let keyspace = client_codec::keyspace(view, &keyspace).map_err(refused)?;
    let Explanation { replicas, silent, unasked } = ask(keyspace, key, timeout_ms).await?;
    let names = Names {
        view,
        now: clock.now().unix_ms,
        tenures: view.members.values().map(|member| (member.actor, &*member.name)).collect(),
    };
    Ok(v1::WhyResponse {
        place: Some(place),
        mode: keyspace.mode.to_string(),
        replicas: replicas.into_iter().map(|holding| names.replica(holding)).collect(),
        silent: silent.into_iter().map(|node| view.name_of(node)).collect(),
        unasked: u32::try_from(unasked).unwrap_or(u32::MAX),
    })
}

async fn ask(keyspace: &Keyspace, key: Bytes, timeout_ms: u32) -> Result<Explanation, Status> {
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

/// What is told to an operator in words.
struct Names<'a> {
    view: &'a View,
    /// Milliseconds since the Unix epoch.
    now: u64,
    tenures: BTreeMap<ActorId, &'a str>,
}

impl Names<'_> {
    /// Whose tenure an actor is; empty when that is not known any more.
    fn node(&self, actor: ActorId) -> String {
        self.tenures.get(&actor).map(|name| (*name).to_owned()).unwrap_or_default()
    }

    fn version(&self, version: Outline) -> v1::WhyVersion {
        let Outline { dot, bytes, expires_at_ms } = version;
        v1::WhyVersion {
            actor: dot.actor.0,
            timestamp: dot.time.to_bits(),
            node: self.node(dot.actor),
            tombstone: bytes.is_none(),
            expires_at: expires_at_ms,
            expired: version.is_expired(self.now),
            bytes: bytes.unwrap_or(0),
        }
    }

    fn hint(&self, (holder, hint): (NodeId, KeptHint)) -> v1::WhyHint {
        let versions = hint.versions.into_iter().map(|version| self.version(version)).collect();
        v1::WhyHint { holder: self.view.name_of(holder), versions, owed: hint.owed }
    }

    fn replica(&self, holding: Holding) -> v1::WhyReplica {
        let Holding { node, held, hints } = holding;
        let hints = hints.into_iter().map(|hint| self.hint(hint)).collect();
        let replica = v1::WhyReplica { name: self.view.name_of(node), hints, ..Default::default() };
        let record = match held {
            Ok(Some(record)) => record,
            Ok(None) => return replica,
            Err(error) => return v1::WhyReplica { error, ..replica },
        };
        let context = record.context();
        let entries = context.iter().map(|(actor, time)| v1::WhyEntry {
            actor: *actor,
            timestamp: time.to_bits(),
            node: self.node(ActorId(*actor)),
        });
        v1::WhyReplica {
            found: true,
            versions: record.versions().map(|version| self.version(version.into())).collect(),
            context: entries.collect(),
            bytes: record.as_bytes().len() as u64,
            ..replica
        }
    }
}
