//! Owns the calls about the cluster itself: unary, rare, each on a connection of its own. They are
//! reads: each known node is asked once, until one answers; or, where the answer is about a node, that node alone.

use core::time::Duration;

use bytes::Bytes;
use kvorum_wire::v1::admin_client::AdminClient;
use kvorum_wire::v1::{
    HintsRequest, HintsResponse, ListKeyspacesRequest, ListKeyspacesResponse, RingRequest, RingResponse, StatusRequest,
    StatusResponse, TopologyRequest, TopologyResponse, WatchStatusRequest, WatchStatusResponse, WhyRequest,
    WhyResponse,
};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Response, Status, Streaming};

use crate::convert::timeout_ms;
use crate::error::{Error, Outcome};
use crate::failures::{Failures, plain, unreachable};
use crate::node::Node;
use crate::route::{Routes, Target};
use crate::session::{CONNECT_TIMEOUT, Failure};

pub(crate) async fn status(routes: &Routes, timeout: Duration) -> Result<StatusResponse, Error> {
    let call = async |mut node: AdminClient<Channel>| node.status(StatusRequest {}).await;
    ask(routes, timeout, call).await
}

pub(crate) async fn ring(routes: &Routes, timeout: Duration, key: Option<&[u8]>) -> Result<RingResponse, Error> {
    let request = RingRequest { key: key.map(|key| key.to_vec().into()) };
    let call = async |mut node: AdminClient<Channel>| node.ring(request.clone()).await;
    ask(routes, timeout, call).await
}

pub(crate) async fn topology(routes: &Routes, timeout: Duration) -> Result<TopologyResponse, Error> {
    let call = async |mut node: AdminClient<Channel>| node.topology(TopologyRequest {}).await;
    ask(routes, timeout, call).await
}

pub(crate) async fn why(
    routes: &Routes,
    timeout: Duration,
    keyspace: String,
    key: Bytes,
) -> Result<WhyResponse, Error> {
    let request = WhyRequest { keyspace, key, timeout_ms: timeout_ms(timeout) };
    let call = async |mut node: AdminClient<Channel>| node.why(request.clone()).await;
    ask(routes, timeout, call).await
}

pub(crate) async fn keyspaces(routes: &Routes, timeout: Duration) -> Result<ListKeyspacesResponse, Error> {
    let call = async |mut node: AdminClient<Channel>| node.list_keyspaces(ListKeyspacesRequest {}).await;
    ask(routes, timeout, call).await
}

/// The address of the node that tells, and what it tells. How long that may take is up to the cluster.
pub(crate) async fn watch_status(
    routes: &Routes,
    timeout: Duration,
) -> Result<(String, Streaming<WatchStatusResponse>), Error> {
    let call = async |mut node: AdminClient<Channel>| node.watch_status(WatchStatusRequest {}).await;
    ask_one(routes, timeout, call).await
}

/// A stream of a node's is over.
pub(crate) fn lost(endpoint: &str, status: Status) -> Error {
    match status.code() {
        Code::Unimplemented => refused(endpoint, status),
        _ => unreachable(endpoint, Failure::from(status)),
    }
}

/// What this one node keeps for others.
pub(crate) async fn hints(node: &Node, deadline: Instant) -> Result<HintsResponse, Error> {
    let now = Instant::now();
    let mut client = connect(node, deadline.min(now + CONNECT_TIMEOUT)).await?;
    let answer = timeout_at(deadline, client.hints(HintsRequest {})).await;
    understand(node, deadline.saturating_duration_since(now), answer)
}

async fn ask<T>(
    routes: &Routes,
    timeout: Duration,
    call: impl AsyncFn(AdminClient<Channel>) -> Result<Response<T>, Status>,
) -> Result<T, Error> {
    ask_one(routes, timeout, call).await.map(|(_, answer)| answer)
}

/// Who answered, and what.
async fn ask_one<T>(
    routes: &Routes,
    timeout: Duration,
    call: impl AsyncFn(AdminClient<Channel>) -> Result<Response<T>, Status>,
) -> Result<(String, T), Error> {
    let deadline = Instant::now() + timeout;
    let mut failures = Failures::default();
    let mut tour = routes.tour(Target::Anything);
    while let Some(node) = tour.next() {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            break;
        }
        let wait = if tour.has_next() { left / 2 } else { left };
        let told = match connect(&node, now + wait.min(CONNECT_TIMEOUT)).await {
            Ok(client) => understand(&node, wait, timeout_at(now + wait, call(client)).await),
            Err(error) => Err(error),
        };
        match told {
            Ok(answer) => return Ok((node.address().to_owned(), answer)),
            Err(error) => failures.add(error),
        }
    }
    Err(failures.into_error())
}

/// What a node has answered within `wait`, if it has.
fn understand<T>(
    node: &Node,
    wait: Duration,
    answer: Result<Result<Response<T>, Status>, Elapsed>,
) -> Result<T, Error> {
    match answer {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(refused(node.address(), status)),
        Err(_) => {
            node.avoid();
            let message = format!("no word from it within {wait:.1?}");
            Err(Error::TimedOut { endpoint: node.address().into(), message })
        }
    }
}

/// A connection of its own to a node's `Admin` service.
pub(crate) async fn connect(node: &Node, by: Instant) -> Result<AdminClient<Channel>, Error> {
    let connected = match timeout_at(by, node.endpoint().connect()).await {
        Ok(connected) => connected.map_err(Failure::from),
        Err(_) => Err(Failure::Unaccepted),
    };
    let channel = connected.map_err(|failure| unreachable(node.address(), failure))?;
    Ok(AdminClient::new(channel).max_decoding_message_size(64 * 1024 * 1024))
}

fn refused(endpoint: &str, status: Status) -> Error {
    let endpoint = endpoint.to_owned();
    let message = plain(status.message().to_owned());
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition => Error::Invalid { endpoint, message },
        Code::ResourceExhausted => Error::Overloaded { endpoint, message },
        Code::DeadlineExceeded => Error::TimedOut { endpoint, message },
        Code::DataLoss => Error::DataLoss { endpoint, message, outcome: Outcome::NotApplied },
        Code::Unavailable if status.metadata().contains_key("kvorum-outcome") => Error::Rejected { endpoint, message },
        Code::Unimplemented => {
            Error::Protocol { endpoint, message: "it knows no such call: is it a kvorum node?".into() }
        }
        // The connection broke, or something between here and there did.
        _ => unreachable(&endpoint, Failure::from(status)),
    }
}
