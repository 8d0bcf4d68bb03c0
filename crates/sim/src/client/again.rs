//! Writes that are asked for again by their name: a client does not know what became of one, for its answer was lost, late
//! or says so. For the history it is one operation, from the first request to the last answer.

use core::time::Duration;

use kvorum_history::Outcome;
use kvorum_node::{ActorId, Attempt, Operation};

use super::{Asked, Clients, One, Waiting};
use crate::environment::Environment;
use crate::event::HostIndex;

/// A write that has a name.
#[derive(Clone, Copy)]
pub(super) struct Named {
    /// When it was asked for first.
    since: Duration,
    /// How often it may be asked for again.
    left: u8,
    /// Which process was asked for it first, and may have begun it.
    first_asked: Option<ActorId>,
    /// An earlier request may have taken effect, whatever the last one came to.
    in_doubt: bool,
}

impl Clients {
    /// The name of a client's next write. Those who ask only once give none.
    pub(super) fn attempt(&mut self, session: usize) -> Option<Attempt> {
        let is_named = self.retries.is_some() && self.sessions[session].works;
        is_named.then(|| Attempt { id: self.names.next(), retried_after_ms: None, first_asked: None })
    }

    /// What is kept of a request that has such a name.
    pub(super) fn named(&self, operation: &Operation, host: HostIndex, env: &Environment) -> Option<Named> {
        let (Operation::Put { attempt: Some(_), .. } | Operation::Delete { attempt: Some(_), .. }) = operation else {
            return None;
        };
        let first_asked = env.process(host);
        self.retries.map(|retries| Named { since: env.now, left: retries.most, first_asked, in_doubt: false })
    }

    /// Asks again for a write that may have taken effect, through any node, unless it has no name or was asked for often
    /// enough: then what is waited for is given back.
    pub(super) fn ask_again(&mut self, session: usize, waiting: Waiting, env: &mut Environment) -> Option<Waiting> {
        let Waiting { request, host, timeout, asked } = waiting;
        let Asked::One(One { id, operation, retries, named: Some(named @ Named { since, left: 1.., .. }) }) = asked
        else {
            return Some(Waiting { request, host, timeout, asked });
        };
        let operation = tried_before(operation, env.now - since, named.first_asked);
        let named = Some(Named { left: named.left - 1, in_doubt: true, ..named });
        let another = self.names.index(self.hosts);
        env.stats.asked_again += 1;
        self.send(
            session,
            another,
            Asked::One(One { id, operation: operation.clone(), retries, named }),
            operation,
            timeout,
            env,
        );
        None
    }

    /// All who wait for an answer to a write lose patience at the same moment.
    pub(crate) fn ask_at_once(&mut self, env: &mut Environment) {
        if !self.retries.is_some_and(|retries| retries.storms) {
            return;
        }
        for session in 0..self.sessions.len() {
            if let Some(waiting) = self.sessions[session].waiting.take() {
                let left = self.ask_again(session, waiting, env);
                self.sessions[session].waiting = self.sessions[session].waiting.take().or(left);
            }
        }
    }
}

impl One {
    /// What the client knows of it: that its last request did nothing says nothing of those before.
    pub(super) fn known(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Rejected if self.is_in_doubt() => Outcome::Indeterminate,
            outcome => outcome,
        }
    }

    /// The same operation, certainly not begun so far, is asked of another node.
    pub(super) fn elsewhere(self, host: HostIndex, env: &Environment) -> Self {
        let first_asked = env.process(host);
        let named = self.named.map(|named| if named.in_doubt { named } else { Named { first_asked, ..named } });
        Self { retries: self.retries - 1, named, ..self }
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.named.is_some_and(|named| named.in_doubt)
    }
}

/// The same request, when it is not the first.
fn tried_before(mut operation: Operation, since: Duration, first_asked: Option<ActorId>) -> Operation {
    if let Operation::Put { attempt: Some(attempt), .. } | Operation::Delete { attempt: Some(attempt), .. } =
        &mut operation
    {
        (attempt.retried_after_ms, attempt.first_asked) = (Some(since.as_millis() as u64), first_asked);
    }
    operation
}
