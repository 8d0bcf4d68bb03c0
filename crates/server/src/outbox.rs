//! An outbox: what waits to leave on one stream. The stream *is* the outbox: when the transport polls it, everything
//! queued leaves as one message, so the cost per frame falls as load rises.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use tonic::Status;

/// The most bytes of frames that leave as one message.
pub(crate) const MESSAGE_BYTES: usize = 256 << 10;

/// A bounded queue of frames with the weights they were pushed with.
#[derive(Debug)]
pub(crate) struct Outbox<F> {
    state: Mutex<State<F>>,
    limit_bytes: usize,
    may_wait: fn(&F) -> bool,
}

#[derive(Debug)]
struct State<F> {
    frames: VecDeque<Queued<F>>,
    bytes: usize,
    waker: Option<Waker>,
    /// Closed outboxes take only what may wait: there is no connection, and no attempt to make one that is still young.
    open: bool,
    /// Whether the other side has agreed to listen. Nothing leaves before, so that what it refuses is known to be unsent.
    accepted: bool,
    /// Which stream may take frames; earlier ones end.
    stream: u64,
    /// How often it was closed.
    closings: u64,
}

#[derive(Debug)]
struct Queued<F> {
    weight: usize,
    /// How often the outbox had been closed by then.
    closings: u64,
    frame: F,
}

impl<F> Outbox<F> {
    pub(crate) fn new(limit_bytes: usize) -> Arc<Self> {
        Self::with_waiting(limit_bytes, |_| false)
    }

    /// One in which what `may_wait` is held while there is no connection: for the next attempt, and the one after.
    pub(crate) fn with_waiting(limit_bytes: usize, may_wait: fn(&F) -> bool) -> Arc<Self> {
        let state = State {
            frames: VecDeque::new(),
            bytes: 0,
            waker: None,
            open: true,
            accepted: false,
            stream: 0,
            closings: 0,
        };
        Arc::new(Self { state: Mutex::new(state), limit_bytes, may_wait })
    }

    fn state(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues frames; hands back those that found no room. One frame always fits into an empty outbox.
    pub(crate) fn push(&self, frames: impl IntoIterator<Item = (usize, F)>) -> Vec<F> {
        let mut refused = Vec::new();
        let mut state = self.state();
        for (weight, frame) in frames {
            let is_taken = state.open || (self.may_wait)(&frame);
            if is_taken && (state.bytes == 0 || state.bytes + weight <= self.limit_bytes) {
                let closings = state.closings;
                state.bytes += weight;
                state.frames.push_back(Queued { weight, closings, frame });
            } else {
                refused.push(frame);
            }
        }
        let waker = if state.frames.is_empty() { None } else { state.waker.take() };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        refused
    }

    /// Takes up to a message's worth.
    fn take_from(state: &mut State<F>) -> Vec<F> {
        let mut taken = Vec::with_capacity(state.frames.len().min(1024));
        let mut bytes = 0;
        while let Some(Queued { weight, frame, .. }) =
            state.frames.pop_front_if(|next| bytes == 0 || bytes + next.weight <= MESSAGE_BYTES)
        {
            bytes += weight;
            state.bytes -= weight;
            taken.push(frame);
        }
        taken
    }

    /// Takes what is queued, or remembers whom to wake.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Vec<F>> {
        let mut state = self.state();
        if state.frames.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Self::take_from(&mut state))
    }

    /// Has the stream look around though nothing was pushed.
    pub(crate) fn wake(&self) {
        let waker = self.state().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// The connection is gone, or was refused: what was queued is handed back, apart from what may wait and did not wait
    /// for an earlier one.
    pub(crate) fn close(&self) -> Vec<F> {
        let mut guard = self.state();
        let state = &mut *guard;
        let queued = std::mem::take(&mut state.frames);
        let stays = |queued: &Queued<F>| queued.closings == state.closings && (self.may_wait)(&queued.frame);
        let (held, unsent): (VecDeque<_>, VecDeque<_>) = queued.into_iter().partition(stays);
        state.bytes = held.iter().map(|queued| queued.weight).sum();
        state.frames = held;
        state.closings += 1;
        (state.open, state.accepted) = (false, false);
        state.waker = None;
        unsent.into_iter().map(|queued| queued.frame).collect()
    }

    pub(crate) fn open(&self) {
        self.state().open = true;
    }

    /// The stream of a new connection, which waits until it is accepted; streams of earlier ones end.
    pub(crate) fn stream<M, W: Fn(Vec<F>) -> M>(self: &Arc<Self>, wrap: W) -> OutboxStream<F, W> {
        let mut state = self.state();
        state.stream += 1;
        state.accepted = false;
        OutboxStream { outbox: Arc::clone(self), number: state.stream, wrap }
    }

    /// The other side listens: what is queued may leave.
    pub(crate) fn accept(&self) {
        self.state().accepted = true;
        self.wake();
    }
}

/// The messages that leave an outbox.
pub(crate) struct OutboxStream<F, W> {
    outbox: Arc<Outbox<F>>,
    number: u64,
    wrap: W,
}

impl<F, M, W: Fn(Vec<F>) -> M + Unpin> Stream for OutboxStream<F, W> {
    type Item = M;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let mut state = self.outbox.state();
        if state.stream != self.number {
            return Poll::Ready(None);
        }
        if !state.accepted {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        self.outbox.poll_take(cx).map(|frames| Some((self.wrap)(frames)))
    }
}

/// What a service hands the transport: its errors are statuses.
pub(crate) type ResponseStream<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    struct Counter(Mutex<usize>);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    #[test]
    fn everything_queued_leaves_as_one_message_up_to_its_limit() {
        let outbox = Outbox::new(usize::MAX);
        assert!(outbox.push([(10, 'a'), (10, 'b'), (MESSAGE_BYTES, 'c')]).is_empty());
        let take = || Outbox::take_from(&mut outbox.state());
        assert_eq!(take(), ['a', 'b']);
        assert_eq!(take(), ['c'], "a frame larger than a message leaves alone");
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn what_finds_no_room_is_handed_back() {
        let outbox = Outbox::new(100);
        assert_eq!(outbox.push([(60, 'a'), (60, 'b'), (40, 'c')]), ['b']);
        assert_eq!(outbox.close(), ['a', 'c']);
        assert_eq!(outbox.push([(1, 'd')]), ['d'], "a closed outbox takes nothing");
        outbox.open();
        assert!(outbox.push([(1000, 'e')]).is_empty(), "an empty outbox takes one frame of any size");
    }

    #[test]
    fn a_push_wakes_the_stream_once_and_a_new_connection_ends_the_old_stream() {
        let outbox = Outbox::new(100);
        let counter = Arc::new(Counter(Mutex::new(0)));
        let waker = Waker::from(Arc::clone(&counter));
        let mut cx = Context::from_waker(&waker);
        let mut first = outbox.stream(|frames| frames);
        outbox.accept();
        assert_eq!(Pin::new(&mut first).poll_next(&mut cx), Poll::Pending);
        outbox.push([(1, 'a')]);
        outbox.push([(1, 'b')]);
        assert_eq!(*counter.0.lock().unwrap(), 1);
        let mut second = outbox.stream(|frames| frames);
        assert_eq!(Pin::new(&mut first).poll_next(&mut cx), Poll::Ready(None));
        assert_eq!(Pin::new(&mut second).poll_next(&mut cx), Poll::Pending, "nobody listens yet");
        outbox.accept();
        assert_eq!(*counter.0.lock().unwrap(), 2);
        assert_eq!(Pin::new(&mut second).poll_next(&mut cx), Poll::Ready(Some(vec!['a', 'b'])));
    }

    #[test]
    fn what_may_wait_is_held_for_two_attempts_and_no_longer() {
        let outbox = Outbox::with_waiting(100, char::is_ascii_uppercase);
        assert!(outbox.push([(10, 'A'), (10, 'b')]).is_empty());
        assert_eq!(outbox.close(), ['b']);
        assert_eq!(outbox.push([(10, 'C'), (10, 'd'), (90, 'E')]), ['d', 'E'], "what waits counts against the limit");
        outbox.open();
        assert!(outbox.push([(10, 'F')]).is_empty());
        assert_eq!(outbox.close(), ['A'], "it has waited for an attempt before this one");
        assert_eq!(outbox.bytes(), 20);
        assert_eq!(outbox.close(), ['C', 'F']);
        assert_eq!(outbox.bytes(), 0);
    }
}
