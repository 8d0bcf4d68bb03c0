//! Owns one session with one node: a stream on which the requests of many tasks travel, many to a
//! message. It never tries anything again and does not reconnect: once over, it stays over.
//!
//! A call puts its request in the outbox and waits for its slot. The outgoing gRPC stream *is* the
//! outbox: when polled it yields what is queued. One lock guards both, held for as long as it takes
//! to move a request; a call takes it twice, a message once.
//!
//! Nothing leaves before the node has accepted the session. So a request is certainly unsent when
//! the node does not exist, refuses, or is stopped while its kernel still accepts connections.

mod calls;
mod failure;
mod outbox;

use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::Stream;
use kvorum_wire::v1::kv_client::KvClient;
use kvorum_wire::v1::request::Operation;
use kvorum_wire::v1::response::Result as Answer;
use kvorum_wire::v1::{Request, SessionRequest, SessionResponse};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::Endpoint;

use calls::Calls;
pub(crate) use failure::{Failure, Lost};
use outbox::Outbox;

/// How long a node may take to accept a session, connection and name lookup included.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The header by which a node tells which process of it this is.
const PROCESS_HEADER: &str = "kvorum-process";
/// The longest message that is accepted from a node.
const RECEIVE_BYTES: usize = 64 * 1024 * 1024;

/// A session. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Arc<Shared>,
    reader: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There may be room in the outbox again, or the session is over.
    room: Notify,
    /// The same as `state.over`, to be seen without the lock.
    over: AtomicBool,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct State {
    calls: Calls,
    outbox: Outbox,
    open: bool,
    /// Which process it is with, if that was told.
    process: Option<u64>,
    over: Option<Failure>,
    /// The outgoing stream, when it found nothing to send.
    sender: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Connecting,
    Open,
    Over,
}

impl Session {
    /// Begins to connect; requests may be queued at once. `ended` is told when the session is over.
    pub(crate) fn open(endpoint: Endpoint, ended: Arc<Notify>) -> Session {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            room: Notify::new(),
            over: AtomicBool::new(false),
            progress: watch::Sender::new(Progress::Connecting),
        });
        let task = {
            let shared = Arc::clone(&shared);
            async move {
                let failure = shared.converse(endpoint).await;
                shared.end(failure);
                ended.notify_one();
            }
        };
        Session { shared, reader: tokio::spawn(task).abort_handle() }
    }

    /// Sends one request and waits for its answer, until the deadline.
    pub(crate) async fn call(&self, operation: Operation, deadline: Instant) -> Result<Answer, Lost> {
        let mut call = match self.shared.push(operation)? {
            Ok(call) => call,
            Err(operation) => match timeout_at(deadline, self.push_when_room(operation)).await {
                Ok(call) => call?,
                Err(_) => return Err(Lost::Unsent(self.shared.hindrance())),
            },
        };
        match timeout_at(deadline, &mut call).await {
            Ok(result) => result,
            Err(_) if call.give_up() => Err(Lost::Silent),
            Err(_) => Err(Lost::Unsent(self.shared.hindrance())),
        }
    }

    /// Until the node has accepted the session, or the session is over.
    pub(crate) async fn opened(&self) -> Result<(), Failure> {
        let mut progress = self.shared.progress.subscribe();
        let decided = progress.wait_for(|&progress| progress != Progress::Connecting).await;
        let open = decided.is_ok_and(|progress| *progress == Progress::Open);
        if open { Ok(()) } else { Err(self.failure().map_or(Failure::Ended, |over| over.0)) }
    }

    /// Why the session is over, if it is, and whether the node had accepted it before.
    pub(crate) fn failure(&self) -> Option<(Failure, bool)> {
        if !self.shared.over.load(Ordering::Acquire) {
            return None;
        }
        let state = self.shared.lock();
        state.over.clone().map(|failure| (failure, state.open))
    }

    /// Which process of the node it is with; not known before the node has accepted it.
    pub(crate) fn process(&self) -> Option<u64> {
        self.shared.lock().process
    }

    async fn push_when_room(&self, mut operation: Operation) -> Result<Call<'_>, Lost> {
        loop {
            let mut room = core::pin::pin!(self.shared.room.notified());
            // From here on no notice is missed, so that looking once more is enough.
            room.as_mut().enable();
            match self.shared.push(operation)? {
                Ok(call) => return Ok(call),
                Err(back) => operation = back,
            }
            room.await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.reader.abort();
        // The stream must end too: the connection lives as long as its streams.
        self.shared.end(Failure::Ended);
    }
}

impl Shared {
    /// The whole life of the session; returns why it is over.
    async fn converse(self: &Arc<Self>, endpoint: Endpoint) -> Failure {
        let accepted = timeout(CONNECT_TIMEOUT, async {
            let channel = endpoint.connect().await.map_err(Failure::from)?;
            let mut node = KvClient::new(channel).max_decoding_message_size(RECEIVE_BYTES);
            let outgoing = Outgoing { shared: Arc::clone(self), greeted: false };
            let answers = node.session(outgoing).await.map_err(Failure::from)?;
            let process = answers.metadata().get(PROCESS_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
            Ok((answers.into_inner(), process))
        });
        let (mut answers, process) = match accepted.await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(failure)) => return failure,
            Err(_) => return Failure::Unaccepted,
        };
        self.accepted(process);
        let mut wakers = Vec::new();
        loop {
            match answers.message().await {
                Ok(Some(message)) => self.receive(message, &mut wakers),
                Ok(None) => return Failure::Ended,
                Err(status) => return Failure::from(status),
            }
        }
    }

    fn accepted(&self, process: Option<u64>) {
        let sender = {
            let mut state = self.lock();
            (state.open, state.process) = (true, process);
            state.sender.take()
        };
        self.progress.send_replace(Progress::Open);
        sender.into_iter().for_each(Waker::wake);
    }

    fn receive(&self, message: SessionResponse, wakers: &mut Vec<Waker>) {
        {
            let mut state = self.lock();
            for response in message.responses {
                if let Some(answer) = response.result {
                    wakers.extend(state.calls.complete(response.id, answer));
                }
            }
        }
        wakers.drain(..).for_each(Waker::wake);
    }

    fn end(&self, failure: Failure) {
        let (wakers, sender) = {
            let mut state = self.lock();
            if state.over.is_some() {
                return;
            }
            let wakers = state.calls.fail_all(&failure);
            state.outbox = Outbox::default();
            state.over = Some(failure);
            self.over.store(true, Ordering::Release);
            (wakers, state.sender.take())
        };
        self.progress.send_replace(Progress::Over);
        self.room.notify_waiters();
        wakers.into_iter().chain(sender).for_each(Waker::wake);
    }

    /// Queues a request, or hands it back when there is no room.
    fn push(&self, operation: Operation) -> Result<Result<Call<'_>, Operation>, Lost> {
        let (id, sender) = {
            let mut state = self.lock();
            if let Some(failure) = &state.over {
                return Err(Lost::Unsent(failure.clone()));
            }
            if state.outbox.is_full() {
                return Ok(Err(operation));
            }
            let id = state.calls.insert();
            state.outbox.push(id, operation);
            (id, state.sender.take())
        };
        sender.into_iter().for_each(Waker::wake);
        Ok(Ok(Call { shared: self, id: Some(id) }))
    }

    /// Why a request still has not left when its time is up.
    fn hindrance(&self) -> Failure {
        if self.lock().open { Failure::OutboxFull } else { Failure::Unaccepted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, unless an invariant of this file is broken.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call in flight. Dropped, it is given up.
struct Call<'a> {
    shared: &'a Shared,
    /// Absent once the slot is released.
    id: Option<u64>,
}

impl Call<'_> {
    /// Whether the node may have seen the request.
    fn give_up(&mut self) -> bool {
        self.id.take().is_some_and(|id| self.shared.lock().calls.abandon(id))
    }
}

impl Future for Call<'_> {
    type Output = Result<Answer, Lost>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id.expect("a call is not polled after its end");
        let result = self.shared.lock().calls.poll(id, context);
        if result.is_ready() {
            self.id = None;
        }
        result
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// What the session sends.
struct Outgoing {
    shared: Arc<Shared>,
    /// Whether the empty first message has left, with which a session begins.
    greeted: bool,
}

impl Stream for Outgoing {
    type Item = SessionRequest;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SessionRequest>> {
        if !core::mem::replace(&mut self.greeted, true) {
            return Poll::Ready(Some(SessionRequest::default()));
        }
        let mut state = self.shared.lock();
        if state.over.is_some() {
            return Poll::Ready(None);
        }
        let was_full = state.outbox.is_full();
        let requests = if state.open { state.take() } else { Vec::new() };
        if requests.is_empty() {
            state.sender = Some(context.waker().clone());
        }
        let has_room = !state.outbox.is_full();
        drop(state);
        if was_full && has_room {
            self.shared.room.notify_waiters();
        }
        if requests.is_empty() { Poll::Pending } else { Poll::Ready(Some(SessionRequest { requests })) }
    }
}

impl State {
    fn take(&mut self) -> Vec<Request> {
        self.outbox.take(&mut self.calls)
    }
}

#[cfg(test)]
mod tests;
