//! Owns how a change of a keyspace is asked for: of one node after the other until one takes it up. From then on nobody but
//! that node knows what has become of it.

use core::time::Duration;

use kvorum_wire::v1::admin_client::AdminClient;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::admin;
use crate::convert::timeout_ms;
use crate::error::Error;
use crate::failures::{Failures, plain};
use crate::node::Node;
use crate::route::{Routes, Target};
use crate::session::CONNECT_TIMEOUT;

/// How much longer than the request's own timeout an answer is awaited.
const GRACE: Duration = Duration::from_millis(250);

/// Asks for a change, within `timeout`: through another node only while it certainly was not made.
pub(super) async fn change<T>(
    routes: &Routes,
    timeout: Duration,
    call: impl AsyncFn(AdminClient<Channel>, u32) -> Result<Response<T>, Status>,
) -> Result<T, Error> {
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
        let client = match admin::connect(&node, now + wait.min(CONNECT_TIMEOUT)).await {
            Ok(client) => client,
            Err(error) => {
                failures.add(error);
                continue;
            }
        };
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout_at(deadline + GRACE, call(client, timeout_ms(left))).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) => match refused(&node, &status) {
                rejected @ Error::Rejected { .. } => failures.add(rejected),
                error => return Err(error),
            },
            Err(_) => {
                node.avoid();
                let message = format!("no word from it within {timeout:.1?}");
                return Err(Error::Indeterminate { endpoint: node.address().into(), message });
            }
        }
    }
    Err(failures.into_error())
}

/// What it means that a node did not make a change.
fn refused(node: &Node, status: &Status) -> Error {
    let endpoint = node.address().to_owned();
    let message = plain(status.message().to_owned());
    let outcome = status.metadata().get("kvorum-outcome").is_some_and(|outcome| outcome == "rejected");
    match status.code() {
        Code::NotFound => Error::NotFound { endpoint, message },
        Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists => Error::Invalid { endpoint, message },
        Code::ResourceExhausted => Error::Overloaded { endpoint, message },
        Code::Unavailable if outcome => Error::Rejected { endpoint, message },
        Code::Unimplemented => {
            Error::Protocol { endpoint, message: "it knows no keyspaces: is it a kvorum node of this version?".into() }
        }
        // It says so, or the connection broke while it was at it.
        _ => Error::Indeterminate { endpoint, message },
    }
}
