//! The outbox, without a connection. What leaves on a real one is tested in `tests/it/sessions.rs`.

use kvorum_wire::v1::PutRequest;

use super::outbox::{FRAME_BYTES, MESSAGE_BYTES, OUTBOX_BYTES};
use super::*;

const VALUE: usize = 10_000;

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        state: Mutex::default(),
        room: Notify::new(),
        over: AtomicBool::new(false),
        progress: watch::Sender::new(Progress::Connecting),
    })
}

fn put() -> Operation {
    Operation::Put(PutRequest { value: vec![0; VALUE].into(), ..Default::default() })
}

/// Queues puts until there is no room.
fn fill(shared: &Shared) -> Vec<Call<'_>> {
    core::iter::from_fn(|| shared.push(put()).unwrap().ok()).take(1000).collect()
}

fn poll(outgoing: &mut Outgoing) -> Poll<Option<usize>> {
    let polled = Pin::new(outgoing).poll_next(&mut Context::from_waker(Waker::noop()));
    polled.map(|message| message.map(|message| message.requests.len()))
}

#[test]
fn the_outbox_takes_a_mebibyte_and_then_hands_requests_back() {
    let shared = shared();
    let calls = fill(&shared);
    assert_eq!(calls.len(), OUTBOX_BYTES.div_ceil(VALUE + FRAME_BYTES));
    assert!(matches!(shared.push(put()), Ok(Err(Operation::Put(_)))));
}

#[test]
fn a_message_that_leaves_makes_room_again() {
    let shared = shared();
    let _calls = fill(&shared);
    let mut outgoing = Outgoing { shared: Arc::clone(&shared), greeted: false };
    assert_eq!(poll(&mut outgoing), Poll::Ready(Some(0)), "the greeting");
    assert_eq!(poll(&mut outgoing), Poll::Pending, "the node has not accepted yet");
    shared.accepted(None);
    let sent = MESSAGE_BYTES / (VALUE + FRAME_BYTES);
    assert_eq!(poll(&mut outgoing), Poll::Ready(Some(sent)));
    assert!(fill(&shared).len() >= sent);
}

#[test]
fn what_is_given_up_makes_room_too() {
    let shared = shared();
    drop(fill(&shared));
    let mut outgoing = Outgoing { shared: Arc::clone(&shared), greeted: true };
    shared.accepted(None);
    assert_eq!(poll(&mut outgoing), Poll::Pending, "nobody waits for any of it");
    assert_eq!(fill(&shared).len(), OUTBOX_BYTES.div_ceil(VALUE + FRAME_BYTES));
}

#[test]
fn a_session_that_is_over_takes_nothing_and_ends_its_stream() {
    let shared = shared();
    let calls = fill(&shared);
    shared.end(Failure::Ended);
    assert!(matches!(shared.push(put()), Err(Lost::Unsent(Failure::Ended))));
    let mut outgoing = Outgoing { shared: Arc::clone(&shared), greeted: true };
    assert_eq!(poll(&mut outgoing), Poll::Ready(None));
    drop(calls);
}
