//! Owns the calls in flight on one session: a table of slots, each the place where one answer
//! arrives. It knows no socket and no queue.

use core::task::{Context, Poll, Waker};

use kvorum_wire::v1::response::Result as Answer;

use super::{Failure, Lost};

/// The slots. A slot's number and the generation of its use make the request's id, so that an answer
/// nobody waits for any more finds nobody.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Free,
    /// Accepted, not yet taken by the connection.
    Queued(Option<Waker>),
    /// Taken by the connection: the node may have seen it.
    Sent(Option<Waker>),
    Done(Result<Answer, Lost>),
}

impl Calls {
    /// A slot for a new call; returns its id.
    pub(crate) fn insert(&mut self) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len()).expect("calls in flight fit in 32 bits");
            self.slots.push(Slot { generation: 0, stage: Stage::Free });
            index
        });
        let slot = &mut self.slots[index as usize];
        assert!(matches!(slot.stage, Stage::Free), "a free slot is in nobody's use");
        slot.stage = Stage::Queued(None);
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    /// The call leaves for the node. False if its caller has given it up: it must not leave.
    pub(crate) fn mark_sent(&mut self, id: u64) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let Stage::Queued(waker) = &mut slot.stage else {
            unreachable!("a call leaves once");
        };
        slot.stage = Stage::Sent(waker.take());
        true
    }

    /// The node has answered. Returns whom to wake. Answers to ids not sent are ignored.
    pub(crate) fn complete(&mut self, id: u64, answer: Answer) -> Option<Waker> {
        let slot = self.slot(id)?;
        let Stage::Sent(waker) = &mut slot.stage else { return None };
        let waker = waker.take();
        slot.stage = Stage::Done(Ok(answer));
        waker
    }

    /// The session is over: every call without an answer fails, each by what may have become of it.
    pub(crate) fn fail_all(&mut self, failure: &Failure) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for slot in &mut self.slots {
            let lost = match &mut slot.stage {
                Stage::Free | Stage::Done(_) => continue,
                Stage::Queued(waker) => (Lost::Unsent(failure.clone()), waker.take()),
                Stage::Sent(waker) => (Lost::Broken(failure.clone()), waker.take()),
            };
            slot.stage = Stage::Done(Err(lost.0));
            wakers.extend(lost.1);
        }
        wakers
    }

    /// The result, once; the slot is free then.
    pub(crate) fn poll(&mut self, id: u64, context: &Context<'_>) -> Poll<Result<Answer, Lost>> {
        let slot = self.slot(id).expect("a call is polled until it has its result, not after");
        match &mut slot.stage {
            Stage::Queued(waker) | Stage::Sent(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    None => *waker = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            Stage::Free | Stage::Done(_) => match self.release(id) {
                Stage::Done(result) => Poll::Ready(result),
                _ => unreachable!("a free slot has no id"),
            },
        }
    }

    /// The caller gives up. Whether the node may have seen the call.
    pub(crate) fn abandon(&mut self, id: u64) -> bool {
        !matches!(self.release(id), Stage::Queued(_))
    }

    fn slot(&mut self, id: u64) -> Option<&mut Slot> {
        let slot = self.slots.get_mut((id & 0xffff_ffff) as usize)?;
        (u64::from(slot.generation) == id >> 32 && !matches!(slot.stage, Stage::Free)).then_some(slot)
    }

    fn release(&mut self, id: u64) -> Stage {
        let slot = self.slot(id).expect("a slot is released once");
        slot.generation = slot.generation.wrapping_add(1);
        let stage = core::mem::replace(&mut slot.stage, Stage::Free);
        self.free.push((id & 0xffff_ffff) as u32);
        stage
    }
}

#[cfg(test)]
mod tests {
    use kvorum_wire::v1::PutResponse;

    use super::*;

    fn answer(timestamp: u64) -> Answer {
        Answer::Put(PutResponse { timestamp, ..Default::default() })
    }

    fn poll(calls: &mut Calls, id: u64) -> Poll<Result<Answer, Lost>> {
        calls.poll(id, &Context::from_waker(Waker::noop()))
    }

    #[test]
    fn an_answer_reaches_its_own_call() {
        let mut calls = Calls::default();
        let (a, b) = (calls.insert(), calls.insert());
        assert!(calls.mark_sent(a) && calls.mark_sent(b));
        assert!(poll(&mut calls, a).is_pending());
        assert!(calls.complete(b, answer(2)).is_none(), "nobody has polled it yet");
        assert!(calls.complete(a, answer(1)).is_some());
        assert!(matches!(poll(&mut calls, a), Poll::Ready(Ok(got)) if got == answer(1)));
        assert!(matches!(poll(&mut calls, b), Poll::Ready(Ok(got)) if got == answer(2)));
    }

    #[test]
    fn an_answer_that_comes_late_or_twice_finds_nobody_even_if_the_slot_is_in_use_again() {
        let mut calls = Calls::default();
        let old = calls.insert();
        assert!(calls.mark_sent(old));
        assert!(calls.abandon(old), "it may have been seen");
        let new = calls.insert();
        assert_eq!(old as u32, new as u32, "the slot is used again");
        assert!(calls.mark_sent(new));
        assert!(calls.complete(old, answer(1)).is_none());
        assert!(poll(&mut calls, new).is_pending());
        assert!(calls.complete(new, answer(2)).is_some());
        assert!(calls.complete(new, answer(3)).is_none());
        assert!(matches!(poll(&mut calls, new), Poll::Ready(Ok(got)) if got == answer(2)));
        assert!(calls.complete(u64::MAX, answer(4)).is_none());
    }

    #[test]
    fn a_call_given_up_before_it_left_never_leaves() {
        let mut calls = Calls::default();
        let id = calls.insert();
        assert!(!calls.abandon(id), "it cannot have been seen");
        assert!(!calls.mark_sent(id));
    }

    #[test]
    fn a_broken_session_tells_what_was_sent_from_what_was_not() {
        let mut calls = Calls::default();
        let (queued, sent, done) = (calls.insert(), calls.insert(), calls.insert());
        assert!(calls.mark_sent(sent) && calls.mark_sent(done));
        calls.complete(done, answer(1));
        calls.fail_all(&Failure::Ended);
        assert!(matches!(poll(&mut calls, queued), Poll::Ready(Err(Lost::Unsent(_)))));
        assert!(matches!(poll(&mut calls, sent), Poll::Ready(Err(Lost::Broken(_)))));
        assert!(matches!(poll(&mut calls, done), Poll::Ready(Ok(_))));
    }
}
