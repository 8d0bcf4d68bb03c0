//! Owns what becomes of a call that fails: which failures are tried again, where, and for how long.
//! What is safe to try again is; nothing else.
//!
//! Reads always are. A write is when it is certain that nothing was applied: the node said so, or never saw it. The first
//! failure that leaves this open ends the call, unless the write carries an id, by which the nodes see to it that it is
//! applied once however often it is asked for.
//!
//! Each try after one that reached a node is paid for from the client's budget. What never left costs nothing: it was no
//! load to anybody, `node.rs` spaces the attempts to connect, and without it a client could not get past dead nodes.

use core::time::Duration;

use kvorum_wire::v1;
use kvorum_wire::v1::error::Kind;
use kvorum_wire::v1::request::Operation;
use kvorum_wire::v1::response::Result as Answer;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::client::Core;
use crate::convert::{millis, timeout_ms};
use crate::failures::{Failures, plain, unreachable};
use crate::node::Node;
use crate::route::Target;
use crate::session::{Failure, Lost};
use crate::{Error, Outcome, Retry};

/// How much longer than the request's own timeout an answer is awaited, so that the node's account
/// of what its replicas did arrives.
const GRACE: Duration = Duration::from_millis(250);
/// Pauses: after an overloaded node, after every round over all nodes, and from the second round on before each retry. So
/// the few retries that the budget allows are spread over seconds, in which a failure may be found out or mended.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Carries out one operation, with retries, within `timeout`. The answer is one to the operation.
pub(crate) async fn perform(
    core: &Core,
    target: Target<'_>,
    operation: Operation,
    timeout: Duration,
) -> Result<Answer, Error> {
    let begin = Instant::now();
    let deadline = begin + timeout;
    let nature = Nature::of(&operation);
    let mut pauses = Pauses::until(deadline);
    let mut failures = Failures::default();
    let mut tour = core.routes.tour(target);
    let (mut is_first_round, mut overloaded) = (true, false);
    let mut next = tour.next();
    let mut left = timeout;
    let mut first_asked = None;
    core.budget.earn();
    loop {
        let node = next.expect("there is an endpoint, so a walk has a first node");
        let (told, wait) = share(left, nature != Nature::Write && tour.has_next());
        let age_ms = failures.leave_it_open().then(|| millis(begin.elapsed()));
        let request = request(&operation, told, age_ms, first_asked);
        let (answer, process) = attempt(&node, request, wait, nature).await;
        let Failed { error, again } = match answer {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        if age_ms.is_none() {
            first_asked = process;
        }
        failures.add(error);
        left = deadline.saturating_duration_since(Instant::now());
        if again == Again::Never || left.is_zero() {
            return Err(failures.into_error());
        }
        next = tour.next();
        let is_around = next.is_none();
        overloaded |= again == Again::AfterAPause;
        // A write in doubt goes on as an overloaded node is asked again: who waits for it wants to know what became of it.
        let goes_round = core.config.retry == Retry::UntilTimeout || overloaded || failures.leave_it_open();
        if is_around && !goes_round {
            return Err(failures.into_error());
        }
        let rests = match again {
            Again::AfterAPause => true,
            Again::Elsewhere if !is_first_round => true,
            _ => is_around && !overloaded,
        };
        let pause = if rests { pauses.next() } else { Some(Duration::ZERO) };
        let affordable = pause.filter(|_| again == Again::Freely || core.budget.pay());
        let Some(pause) = affordable else { return Err(failures.into_error()) };
        if !pause.is_zero() {
            sleep(pause).await;
            left = deadline.saturating_duration_since(Instant::now());
        }
        if is_around {
            tour = core.routes.tour(target);
            next = tour.next();
            (is_first_round, overloaded) = (false, false);
        }
    }
}

/// What it would mean to ask for an operation twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// Nothing: it changes nothing.
    Read,
    /// It might be applied twice, or after a later write.
    Write,
    /// The nodes know it by its id, and see to it that this does not happen.
    WriteWithId,
}

impl Nature {
    fn of(operation: &Operation) -> Nature {
        let attempt = match operation {
            Operation::Get(_) | Operation::Scan(_) => return Nature::Read,
            Operation::Put(put) => put.attempt,
            Operation::Delete(delete) => delete.attempt,
        };
        if attempt.is_some() { Nature::WriteWithId } else { Nature::Write }
    }
}

/// How long a node is told to try, and how long its answer is awaited. A try that hangs, where there is another node, must
/// leave time for that; the node is told a little less, so that its own account arrives. All others must be waited for.
fn share(left: Duration, has_another: bool) -> (Duration, Duration) {
    if has_another {
        let wait = left / 2;
        (wait - (wait / 4).min(GRACE), wait)
    } else {
        (left, left + GRACE)
    }
}

/// The operation as it is sent in one try. `age_ms` tells how long ago the first began, once an earlier one may have been
/// applied: one that certainly was not is none that the nodes have to look for. `first_asked` is the process that got it.
fn request(operation: &Operation, timeout: Duration, age_ms: Option<u64>, first_asked: Option<u64>) -> Operation {
    let mut operation = operation.clone();
    let (attempt, told) = match &mut operation {
        Operation::Get(get) => (None, &mut get.timeout_ms),
        Operation::Scan(scan) => (None, &mut scan.timeout_ms),
        Operation::Put(put) => (put.attempt.as_mut(), &mut put.timeout_ms),
        Operation::Delete(delete) => (delete.attempt.as_mut(), &mut delete.timeout_ms),
    };
    *told = timeout_ms(timeout);
    if let Some(attempt) = attempt {
        attempt.retried_after_ms = age_ms;
        attempt.first_asked = first_asked.filter(|_| age_ms.is_some());
    }
    operation
}

/// A failed attempt, and what is to be done about it.
struct Failed {
    error: Error,
    again: Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    /// With another node, and at no cost: it never left, or what it was asked over broke.
    Freely,
    Elsewhere,
    AfterAPause,
}

/// One request to one node, and to which process of it, should that matter.
async fn attempt(
    node: &Node,
    request: Operation,
    wait: Duration,
    nature: Nature,
) -> (Result<Answer, Failed>, Option<u64>) {
    let fits = fitting(&request);
    match node.session() {
        Ok(session) => {
            let answer = session.call(request, Instant::now() + wait).await;
            let process = if nature == Nature::WriteWithId { session.process() } else { None };
            (judged(node, answer, fits, wait, nature), process)
        }
        Err(failure) => (judged(node, Err(Lost::Unsent(failure)), fits, wait, nature), None),
    }
}

/// What an answer, or that there is none, comes to.
fn judged(
    node: &Node,
    answer: Result<Answer, Lost>,
    fits: fn(&Answer) -> bool,
    wait: Duration,
    nature: Nature,
) -> Result<Answer, Failed> {
    match answer {
        Ok(Answer::Error(refusal)) => Err(refused(node, refusal, nature)),
        Ok(answer) if fits(&answer) => Ok(answer),
        Ok(_) => {
            let message = "it answered another question than it was asked".into();
            let kind = Kind::Unspecified.into();
            Err(refused(node, v1::Error { kind, message }, nature))
        }
        Err(Lost::Silent) => {
            node.avoid();
            Err(hung(node, format!("no word from it within {wait:.1?}"), nature))
        }
        Err(Lost::Broken(failure)) if nature == Nature::Read => {
            // No more of them break than were under way.
            Err(Failed { error: unreachable(node.address(), failure), again: Again::Freely })
        }
        Err(Lost::Broken(failure)) => Err(hung(node, format!("the connection broke: {failure}"), nature)),
        Err(Lost::Unsent(failure @ Failure::OutboxFull)) => {
            let error = Error::Overloaded { endpoint: endpoint(node), message: failure.to_string() };
            Err(Failed { error, again: Again::AfterAPause })
        }
        Err(Lost::Unsent(failure)) => Err(Failed { error: unreachable(node.address(), failure), again: Again::Freely }),
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
fn refused(node: &Node, refusal: v1::Error, nature: Nature) -> Failed {
    let is_read = nature == Nature::Read;
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
        Kind::TimedOut | Kind::Indeterminate => return hung(node, message, nature),
        // A kind of a later version says nothing about what was applied.
        Kind::Unspecified if is_read => (Error::Protocol { endpoint, message }, Again::Elsewhere),
        Kind::Unspecified => (Error::Indeterminate { endpoint, message }, Again::Never),
    };
    Failed { error, again }
}

/// What it means that a node saw the request and did not finish it.
fn hung(node: &Node, message: String, nature: Nature) -> Failed {
    let endpoint = endpoint(node);
    match nature {
        Nature::Read => Failed { error: Error::TimedOut { endpoint, message }, again: Again::Elsewhere },
        Nature::Write => Failed { error: Error::Indeterminate { endpoint, message }, again: Again::Never },
        Nature::WriteWithId => Failed { error: Error::Indeterminate { endpoint, message }, again: Again::Elsewhere },
    }
}

fn endpoint(node: &Node) -> String {
    node.address().to_owned()
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

    /// How long to wait now; nothing if no time would be left afterwards.
    fn next(&mut self) -> Option<Duration> {
        let backoff = self.backoff.get_or_insert_with(|| Backoff::new(FIRST_PAUSE, LONGEST_PAUSE));
        let pause = backoff.pause();
        (Instant::now() + pause < self.deadline).then_some(pause)
    }
}
