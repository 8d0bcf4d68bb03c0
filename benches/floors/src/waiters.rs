//! Owns which client connection waits for which frame to be acknowledged. A connection has one frame on its way at a
//! time, so its number and the count of its frames make the frame's number.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// The connections, each with what it waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
}

#[derive(Debug)]
struct Slot {
    /// Counts the frames.
    frame: u32,
    acknowledged: bool,
    waker: Waker,
}

impl Waiters {
    /// A place for a connection.
    pub(crate) fn enter(&self) -> u32 {
        if let Some(slot) = self.free.borrow_mut().pop() {
            return slot;
        }
        let mut slots = self.slots.borrow_mut();
        slots.push(Slot { frame: 0, acknowledged: false, waker: Waker::noop().clone() });
        u32::try_from(slots.len() - 1).expect("a machine has fewer connections")
    }

    /// The connection is gone.
    pub(crate) fn leave(&self, slot: u32) {
        self.free.borrow_mut().push(slot);
    }

    /// The number of a connection's next frame, which is then waited for.
    pub(crate) fn next_frame(&self, slot: u32) -> u64 {
        let mut slots = self.slots.borrow_mut();
        let waiting = &mut slots[slot as usize];
        waiting.frame = waiting.frame.wrapping_add(1);
        waiting.acknowledged = false;
        u64::from(waiting.frame) << 32 | u64::from(slot)
    }

    /// A peer has a copy. The second acknowledgement of a frame, and any that is late, changes nothing.
    pub(crate) fn acknowledge(&self, number: u64) {
        let mut slots = self.slots.borrow_mut();
        let Some(waiting) = slots.get_mut((number & 0xffff_ffff) as usize) else { return };
        if u64::from(waiting.frame) == number >> 32 && !waiting.acknowledged {
            waiting.acknowledged = true;
            waiting.waker.wake_by_ref();
        }
    }

    /// Until a peer has a copy of the connection's frame.
    pub(crate) async fn acknowledged(&self, slot: u32) {
        poll_fn(|context| {
            let waiting = &mut self.slots.borrow_mut()[slot as usize];
            if waiting.acknowledged {
                return Poll::Ready(());
            }
            waiting.waker.clone_from(context.waker());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn is_ready(waiters: &Waiters, slot: u32) -> bool {
        pin!(waiters.acknowledged(slot)).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_first_acknowledgement_of_its_own_frame_is_enough() {
        let waiters = Waiters::default();
        let (a, b) = (waiters.enter(), waiters.enter());
        let (of_a, of_b) = (waiters.next_frame(a), waiters.next_frame(b));
        assert!(!is_ready(&waiters, a) && !is_ready(&waiters, b));
        waiters.acknowledge(of_b);
        assert!(!is_ready(&waiters, a) && is_ready(&waiters, b));
        waiters.acknowledge(of_a);
        assert!(is_ready(&waiters, a));
    }

    #[test]
    fn a_late_acknowledgement_does_not_answer_the_next_frame() {
        let waiters = Waiters::default();
        let slot = waiters.enter();
        let first = waiters.next_frame(slot);
        waiters.acknowledge(first);
        let second = waiters.next_frame(slot);
        waiters.acknowledge(first);
        assert!(!is_ready(&waiters, slot));
        waiters.leave(slot);
        assert_eq!(waiters.enter(), slot, "places are used again");
        let third = waiters.next_frame(slot);
        waiters.acknowledge(second);
        assert!(!is_ready(&waiters, slot));
        waiters.acknowledge(third);
        assert!(is_ready(&waiters, slot));
        waiters.acknowledge(u64::MAX);
    }
}
