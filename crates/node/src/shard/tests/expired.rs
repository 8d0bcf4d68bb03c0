//! What nobody waits for any more is not done.

use core::time::Duration;

use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{Effect, Input, StoreError};
use crate::{DEFAULT_KEYSPACE, KeyRange, Lane, Message, NodeId, PeerShard, ShardIndex};

fn from_peer(until: Duration, message: Message) -> Input {
    Input::Peer { from: PeerShard { node: NodeId(2), shard: ShardIndex(0) }, tag: tag(), until, message }
}

fn read() -> Message {
    Message::Read { op: their_op(1), key: key("k"), known: None, stand_in_for: None }
}

fn scan() -> Message {
    let range = KeyRange::of_partition(DEFAULT_KEYSPACE, PARTITION, b"", None);
    Message::Scan { op: their_op(1), range, limit_bytes: 1000, puller: None }
}

fn forward() -> Message {
    Message::Forward { op: their_op(1), request: request(put("k", "v", Level::One), ms(100)) }
}

#[test]
fn what_a_peer_has_given_up_is_not_begun() {
    let mut bench = Bench::node(1);
    bench.wait(ms(50));
    let now = bench.now.elapsed;
    for message in [read(), scan(), forward()] {
        bench.tell(from_peer(now, message.clone()));
        assert_eq!((bench.log.len(), bench.shard.operations()), (0, 0), "{message:?}");
        assert_eq!(bench.sent(), []);
        bench.tell(from_peer(now + ms(1), message.clone()));
        bench.sync();
        assert!(!bench.sent().is_empty(), "{message:?} is still waited for");
    }
}

#[test]
fn a_disk_is_told_how_long_a_read_is_waited_for_and_may_leave_it() {
    let mut bench = Bench::node(1);
    bench.hold_reads = true;
    let until = bench.now.elapsed + ms(20);
    for message in [read(), scan()] {
        bench.tell(from_peer(until, message));
        let (told, given_up) = match bench.held.pop_front() {
            Some(Effect::Load { op, until, .. }) => (until, Input::Loaded { op, result: Err(StoreError::TooLate) }),
            Some(Effect::Scan { op, until, .. }) => (until, Input::Scanned { op, result: Err(StoreError::TooLate) }),
            other => panic!("{other:?} reads nothing"),
        };
        assert_eq!(told, until);
        bench.tell(given_up);
        // Nobody is there to be told.
        bench.assert_idle();
    }
}

#[test]
fn a_read_is_waited_for_as_long_as_its_client_waits_and_a_write_always() {
    let mut bench = Bench::node(1);
    let mut asked = |operation| {
        let mut effects = Vec::new();
        let input =
            Input::Client { from: crate::ClientRef { session: 1, request: 1 }, request: request(operation, ms(300)) };
        bench.shard.handle(bench.now, input, &mut effects);
        let until = effects.iter().filter_map(|effect| match effect {
            Effect::Send { lane: Lane::Requests, until, .. } | Effect::Load { until, .. } => Some(*until),
            _ => None,
        });
        let until: Vec<Duration> = until.collect();
        assert!(!until.is_empty());
        until.into_iter().map(|until| until.checked_sub(bench.now.elapsed)).collect::<Vec<_>>()
    };
    assert!(asked(get("k", Level::All)).iter().all(|left| *left == Some(ms(300))));
    let writes = asked(put("k", "v", Level::All));
    assert!(writes.iter().all(|left| left.is_some_and(|left| left > Duration::from_secs(1 << 40))), "{writes:?}");
}
