//! Owns what becomes of a call that fails: which failures are tried again, where, and for how long.
//! What is safe to try again is; nothing else.
//!
//! Reads always are. A write is only when it is certain that nothing was applied: the node said so,
//! or never saw it. The first failure that leaves this open ends the call.

use core::time::Duration;

use kvorum_wire::v1;
use kvorum_wire::v1::error::Kind;
use kvorum_wire::v1::request::Operation;
use kvorum_wire::v1::response::Result as Answer;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::convert::timeout_ms;
use crate::node::Node;
use crate::route::{Routes, Target};
use crate::session::{Failure, Lost};
use crate::{Attempt, Error, Outcome, Retry};

/// How much longer than the request's own timeout an answer is awaited, so that the node's account
/// of what its replicas did arrives.
const GRACE: Duration = Duration::from_millis(250);
/// Pauses between rounds over all nodes, and after an overloaded one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Carries out one operation, with retries, within `timeout`. The answer is one to the operation.
pub(crate) async fn perform(
    routes: &Routes,
    retry: Retry,
    target: Target<'_>,
    operation: Operation,
    timeout: Duration,
) -> Result<Answer, Error> {
    let deadline = Instant::now() + timeout;
    let is_read = matches!(operation, Operation::Get(_) | Operation::Scan(_));
    let mut pauses = Pauses::until(deadline);
    let mut failures = Failures::default();
    let mut left = timeout;
    loop {
        let mut tour = routes.tour(target);
        let mut paused = false;
        while let Some(node) = tour.next() {
            // A read that hangs still has time for another node; a write must be waited for.
            let wait = if is_read && tour.has_next() { left / 2 } else { left + GRACE };
            let request = with_timeout(&operation, left);
            let Failed { error, again } = match attempt(&node, request, wait, is_read).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            failures.add(error);
            let go_on = match again {
                Again::Never => false,
                Again::Elsewhere => true,
                Again::AfterAPause => pauses.pause().await,
            };
            left = deadline.saturating_duration_since(Instant::now());
            if !go_on || left.is_zero() {
                return Err(failures.into_error());
            }
            paused |= again == Again::AfterAPause;
        }
        if !paused && (retry == Retry::OnceAround || !pauses.pause().await) {
            return Err(failures.into_error());
        }
        left = deadline.saturating_duration_since(Instant::now());
    }
}

/// A failed attempt, and what is to be done about it.
struct Failed {
    error: Error,
    again: Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    Elsewhere,
    AfterAPause,
}

/// One request to one node.
async fn attempt(node: &Node, request: Operation, wait: Duration, is_read: bool) -> Result<Answer, Failed> {
    let fits = fitting(&request);
    let answer = match node.session() {
        Ok(session) => session.call(request, Instant::now() + wait).await,
        Err(failure) => Err(Lost::Unsent(failure)),
    };
    match answer {
        Ok(Answer::Error(refusal)) => Err(refused(node, refusal, is_read)),
        Ok(answer) if fits(&answer) => Ok(answer),
        Ok(_) => {
            let message = "it answered another question than it was asked".into();
            let kind = Kind::Unspecified.into();
            Err(refused(node, v1::Error { kind, message }, is_read))
        }
        Err(Lost::Silent) => {
            node.avoid();
            Err(hung(node, format!("no word from it within {wait:.1?}"), is_read))
        }
        Err(Lost::Broken(failure)) if !is_read => Err(hung(node, format!("the connection broke: {failure}"), is_read)),
        Err(Lost::Unsent(failure @ Failure::OutboxFull)) => {
            let error = Error::Overloaded { endpoint: endpoint(node), message: failure.to_string() };
            Err(Failed { error, again: Again::AfterAPause })
        }
        Err(Lost::Unsent(failure) | Lost::Broken(failure)) => {
            let error = unreachable(node, failure);
            Err(Failed { error, again: Again::Elsewhere })
        }
    }
}

/// Whether an answer is one to this request.
fn fitting(request: &Operation) -> fn(&Answer) -> bool {
    match request {
        Operation::Get(_) => |answer| matches!(answer, Answer::Get(_)),
        Operation::Put(_) => |answer| matches!(answer, Answer::Put(_)),
        Operation::Delete(_) => |answer| matches!(answer, Answer::Delete(_)),
        Operation::Scan(_) => |answer| matches!(answer, Answer::Scan(_)),
    }
}

/// What a node's own error means.
fn refused(node: &Node, refusal: v1::Error, is_read: bool) -> Failed {
    let (kind, message, endpoint) = (refusal.kind(), plain(refusal.message), endpoint(node));
    let (error, again) = match kind {
        Kind::Invalid => (Error::Invalid { endpoint, message }, Again::Never),
        Kind::Precondition => (Error::Precondition { endpoint, message }, Again::Never),
        Kind::Rejected => (Error::Rejected { endpoint, message }, Again::Elsewhere),
        Kind::Overloaded => (Error::Overloaded { endpoint, message }, Again::AfterAPause),
        Kind::DataLoss if is_read => {
            (Error::DataLoss { endpoint, message, outcome: Outcome::NotApplied }, Again::Elsewhere)
        }
        Kind::DataLoss => (Error::DataLoss { endpoint, message, outcome: Outcome::Unknown }, Again::Never),
        Kind::TimedOut | Kind::Indeterminate => return hung(node, message, is_read),
        // A kind of a later version says nothing about what was applied.
        Kind::Unspecified if is_read => (Error::Protocol { endpoint, message }, Again::Elsewhere),
        Kind::Unspecified => (Error::Indeterminate { endpoint, message }, Again::Never),
    };
    Failed { error, again }
}

/// A node's words without the outcome at their head, which the error's variant says.
pub(crate) fn plain(message: String) -> String {
    let headless = ["rejected: ", "indeterminate: "].iter().find_map(|head| message.strip_prefix(head));
    headless.map(str::to_owned).unwrap_or(message)
}

/// What it means that a node saw the request and did not finish it.
fn hung(node: &Node, message: String, is_read: bool) -> Failed {
    let endpoint = endpoint(node);
    if is_read {
        Failed { error: Error::TimedOut { endpoint, message }, again: Again::Elsewhere }
    } else {
        Failed { error: Error::Indeterminate { endpoint, message }, again: Again::Never }
    }
}

/// What it means that there is no connection.
pub(crate) fn unreachable(node: &Node, failure: Failure) -> Error {
    let cause = failure.into_cause();
    let attempt = Attempt { endpoint: endpoint(node), cause: cause.clone() };
    Error::Connect { attempts: vec![attempt], source: cause }
}

fn endpoint(node: &Node) -> String {
    node.address().to_owned()
}

fn with_timeout(operation: &Operation, timeout: Duration) -> Operation {
    let mut operation = operation.clone();
    *match &mut operation {
        Operation::Get(get) => &mut get.timeout_ms,
        Operation::Put(put) => &mut put.timeout_ms,
        Operation::Delete(delete) => &mut delete.timeout_ms,
        Operation::Scan(scan) => &mut scan.timeout_ms,
    } = timeout_ms(timeout);
    operation
}

/// What has failed so far.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Of each endpoint that could not be reached, the last failure.
    unreached: Vec<Attempt>,
    /// The last failure of a node that could.
    last: Option<Error>,
}

impl Failures {
    pub(crate) fn add(&mut self, error: Error) {
        match error {
            Error::Connect { attempts, .. } => {
                for attempt in attempts {
                    self.unreached.retain(|earlier| earlier.endpoint != attempt.endpoint);
                    self.unreached.push(attempt);
                }
            }
            other => self.last = Some(other),
        }
    }

    /// The error to hand on: what a node said tells more than that another could not be reached.
    ///
    /// # Panics
    /// If nothing has failed.
    pub(crate) fn into_error(self) -> Error {
        self.last.unwrap_or_else(|| {
            let last = self.unreached.last().expect("a call fails only after a failure");
            let source = last.cause.clone();
            Error::Connect { attempts: self.unreached, source }
        })
    }
}

/// The pauses of one call. Most calls have none, so they cost nothing until the first.
struct Pauses {
    deadline: Instant,
    backoff: Option<Backoff>,
}

impl Pauses {
    fn until(deadline: Instant) -> Pauses {
        Pauses { deadline, backoff: None }
    }

    /// Waits; false, at once, if no time would be left afterwards.
    async fn pause(&mut self) -> bool {
        let backoff = self.backoff.get_or_insert_with(|| Backoff::new(FIRST_PAUSE, LONGEST_PAUSE));
        let pause = backoff.pause();
        let in_time = Instant::now() + pause < self.deadline;
        if in_time {
            sleep(pause).await;
        }
        in_time
    }
}
