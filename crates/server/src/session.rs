//! A session: one client's requests, many to a message, on one stream. The response stream does both halves when it
//! is polled: it hands the requests that have come to the shard, and hands out the replies that are due. So there is
//! no task or channel per session, and a client that does not read its replies is not read from either: the transport
//! stops polling, and memory stays bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use kvorum_wire::v1;
use tonic::{Status, Streaming};

use crate::outbox::Outbox;
use crate::shard_loop;

/// So many requests of a session are begun before others have their turn: answers that are due do not wait for the whole of a
/// large message.
const PART: usize = 128;
/// For so many polls in a row it waits until answers have left.
const PUT_OFF: u8 = 2;

/// When the next part of what was taken on is begun: answers leave first, for which others need a turn; but there may always be
/// more of them.
#[derive(Debug, Default)]
struct Turns {
    /// Answers were handed out at the last poll.
    has_answered: bool,
    /// How many polls in a row what was taken on has waited for that.
    put_off: u8,
}

impl Turns {
    /// Whether it is begun at this poll, if something `waits` for that. To be asked at every poll.
    fn begins(&mut self, waits: bool, answers_wait: bool) -> bool {
        let has_answered = std::mem::take(&mut self.has_answered);
        let is_put_off = waits && (has_answered || answers_wait) && self.put_off < PUT_OFF;
        self.put_off = if is_put_off { self.put_off + 1 } else { 0 };
        waits && !is_put_off
    }
}

pub(crate) struct SessionStream {
    id: u64,
    incoming: Streaming<v1::SessionRequest>,
    outbox: Arc<Outbox<v1::Response>>,
    /// The weight of the message that the transport took last. It takes the next when that one is on its way.
    leaving: usize,
    turns: Turns,
    /// The client will send no more.
    ended: bool,
}

impl SessionStream {
    pub(crate) fn open(incoming: Streaming<v1::SessionRequest>) -> Self {
        // Bounded by the requests in flight rather than by bytes: a reply is never refused.
        let outbox = Outbox::new(usize::MAX);
        let id = shard_loop::with(|shard_loop| shard_loop.open_session(Arc::clone(&outbox)));
        Self { id, incoming, outbox, leaving: 0, turns: Turns::default(), ended: false }
    }

    /// Hands over the requests that have come, a message at a time: what is refused is answered before more is taken in.
    fn take_in(&mut self, cx: &mut Context<'_>) {
        // So who does not read answers is asked nothing more either.
        while !self.ended && self.outbox.bytes() == 0 {
            match Pin::new(&mut self.incoming).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    shard_loop::with(|shard_loop| shard_loop.session_requests(self.id, message.requests));
                }
                Poll::Ready(Some(Err(_)) | None) => self.ended = true,
                Poll::Pending => return,
            }
        }
    }

    fn is_over(&self) -> bool {
        shard_loop::with(|shard_loop| (self.ended || shard_loop.is_draining()) && shard_loop.session_load(self.id) == 0)
    }
}

impl Stream for SessionStream {
    type Item = Result<v1::SessionResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let left = std::mem::take(&mut self.leaving);
        if left > 0 {
            shard_loop::with(|shard_loop| shard_loop.session_read(self.id, left));
        }
        self.take_in(cx);
        let waits = shard_loop::with(|shard_loop| shard_loop.session_waits(self.id));
        let answers_wait = self.outbox.bytes() > 0;
        if self.turns.begins(waits, answers_wait) {
            shard_loop::with(|shard_loop| shard_loop.session_proceed(self.id, PART));
        }
        if waits {
            // There may be more, which comes after what others have to do.
            cx.waker().wake_by_ref();
        }
        let waiting = self.outbox.bytes();
        match self.outbox.poll_take(cx) {
            Poll::Ready(responses) => {
                self.leaving = waiting - self.outbox.bytes();
                self.turns.has_answered = true;
                Poll::Ready(Some(Ok(v1::SessionResponse { responses })))
            }
            Poll::Pending if self.is_over() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for SessionStream {
    fn drop(&mut self) {
        shard_loop::with(|shard_loop| shard_loop.close_session(self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_on_is_begun_at_once_if_there_is_nothing_to_answer() {
        let mut turns = Turns::default();
        assert!((0..10).all(|_| turns.begins(true, false)));
        turns.has_answered = true;
        assert!(!turns.begins(false, false), "there is nothing to begin");
        assert!(turns.begins(true, false), "what was answered then has left");
    }

    #[test]
    fn answers_leave_first_and_others_have_a_turn_in_between() {
        let mut turns = Turns::default();
        assert!(!turns.begins(true, true), "the answers are handed out");
        turns.has_answered = true;
        assert!(!turns.begins(true, false), "they leave");
        assert!(turns.begins(true, false));
    }

    #[test]
    fn answers_without_end_keep_nothing_from_being_begun() {
        let mut turns = Turns::default();
        let begun = (0..30).filter(|_| {
            turns.has_answered = true;
            turns.begins(true, true)
        });
        assert_eq!(begun.count(), 10);
    }
}
