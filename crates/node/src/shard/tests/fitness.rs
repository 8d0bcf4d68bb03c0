//! What a node holds back from: serving at all, coordinating writes, answering reads.

use kvorum_quorum::Level;

use super::bench::*;
use crate::fitness::{Bar, ClockFault, Fitness};
use crate::request::Scan;
use crate::shard::{Input, Report};
use crate::{FailureKind, KeyRange, Message, NodeId, Operation, Response, View};

impl Bench {
    /// This node must hold back from that, and others are in doubt.
    fn fit(&mut self, fitness: Fitness, in_doubt: &[u64]) {
        let before = View::clone(self.shard.view());
        let mut members = before.members.clone();
        for (id, member) in &mut members {
            member.in_doubt = in_doubt.contains(&id.0);
        }
        let catalog = before.catalog.clone();
        let view = View::new(before.me, before.cluster, before.layout.clone(), catalog, members, "dc", None);
        self.tell(Input::View(view.with_fitness(fitness).into()));
    }

    fn refusal(&mut self) -> (u64, FailureKind, String) {
        let sent = self.sent();
        let [(to, Message::Refused { failure, .. })] = &sent[..] else { panic!("expected a refusal, not {sent:?}") };
        (*to, failure.kind, failure.message.clone())
    }
}

fn scan() -> Operation {
    Operation::Scan(Scan {
        partition: key("k").partition(),
        prefix: bytes::Bytes::new(),
        after: None,
        limit_bytes: 1000,
        limit_rows: None,
        keys_only: false,
        level: Some(Level::One),
    })
}

const WRONG_CLOCK: Fitness = Fitness { bar: None, clock: Some(ClockFault::Off { by_ms: 61_200 }), in_doubt: false };
const IN_DOUBT: Fitness = Fitness { bar: None, clock: None, in_doubt: true };

#[test]
fn a_node_whose_clock_is_wrong_coordinates_no_write_and_serves_all_else() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(-50, "old"));
    bench.fit(WRONG_CLOCK, &[]);
    for operation in [put("k", "v", Level::One), delete("k", Level::One)] {
        bench.ask(operation);
        let response = bench.reply();
        let failure = failure(&response);
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.message.starts_with("n1's clock is 61.2 s ahead"), "{failure}");
        assert_eq!((bench.reports(), bench.sent(), bench.log.len()), (vec![Report::WriteRefused], vec![], 0));
    }
    // Nor one that a client asked of another node.
    let forwarded = Message::Forward { op: their_op(1), request: request(put("k", "v", Level::One), ms(900)) };
    bench.peer(4, forwarded);
    let sent = bench.sent();
    let [(4, Message::ForwardReply { response: Response::Failed(refused), .. })] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(refused.kind, FailureKind::Rejected);
    assert_eq!(bench.reports(), [Report::WriteRefused]);
    bench.ask(get("k", Level::One));
    assert_eq!(value(&bench.reply()).0.as_deref(), Some(&b"old"[..]));
    bench.peer(2, their_write(1, key("k"), record(0, "theirs")));
    bench.sync();
    assert!(matches!(bench.sent()[..], [(2, Message::WriteReply { .. })]), "it stores what others coordinate");
    bench.assert_idle();
}

#[test]
fn a_node_without_a_replica_forwards_whatever_its_clock_shows() {
    let mut bench = Bench::node(5);
    bench.fit(WRONG_CLOCK, &[]);
    bench.ask(put("k", "v", Level::One));
    assert!(matches!(bench.sent()[..], [(_, Message::Forward { .. })]));
    assert_eq!((bench.replies(), bench.reports()), (vec![], vec![]));
}

#[test]
fn a_process_that_may_not_speak_for_its_node_serves_nobody() {
    let mut bench = Bench::node(1);
    for bar in [Bar::ComparingNotes, Bar::Claiming, Bar::Twin, Bar::NameTaken] {
        bench.fit(Fitness { bar: Some(bar), ..Fitness::default() }, &[]);
        for operation in [get("k", Level::One), put("k", "v", Level::One), scan()] {
            bench.ask(operation);
            let response = bench.reply();
            assert_eq!(failure(&response).kind, FailureKind::Rejected);
            assert!(failure(&response).message.contains(&bar.to_string()), "{response:?}");
        }
        // An acknowledgement would be another's, whose store will never hold it.
        for message in [
            their_write(1, key("k"), record(0, "v")),
            Message::Read { op: their_op(2), key: key("k"), known: None, stand_in_for: None },
        ] {
            bench.peer(2, message);
            assert_eq!(bench.refusal().1, FailureKind::Rejected);
        }
    }
    assert_eq!(bench.log.len(), 0);
    bench.assert_idle();
}

#[test]
fn a_node_in_doubt_takes_writes_and_answers_no_reads() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(-50, "perhaps not the newest"));
    bench.fit(IN_DOUBT, &[]);
    let range = KeyRange::of_partition(key("k").keyspace(), key("k").partition(), b"", None);
    let reads = [
        Message::Read { op: their_op(1), key: key("k"), known: None, stand_in_for: None },
        Message::Scan { op: their_op(2), range, limit_bytes: 1000, puller: None },
    ];
    for read in reads {
        bench.peer(2, read);
        let (to, kind, message) = bench.refusal();
        assert_eq!((to, kind), (2, FailureKind::Rejected));
        assert!(message.contains("in doubt: may have lost acknowledged writes"), "{message}");
    }
    bench.peer(2, their_write(3, key("k"), record(0, "new")));
    bench.sync();
    assert!(matches!(bench.sent()[..], [(2, Message::WriteReply { .. })]));
    // What it has written itself since is no better: something newer may be lost.
    bench.peer(2, Message::Read { op: their_op(4), key: key("k"), known: None, stand_in_for: None });
    assert_eq!(bench.refusal().1, FailureKind::Rejected);
    bench.ask(put("k", "own", Level::One));
    bench.sync();
    written(&bench.reply());
}

#[test]
fn a_write_that_must_win_hears_enough_replicas_that_know_what_they_held() {
    let mut bench = Bench::node(1);
    bench.fit(Fitness::default(), &[2]);
    bench.ask(put("k", "v", Level::Quorum));
    let (nodes, op) = bench.asked();
    bench.sync();
    let minted = bench.store[&key("k")].dot();
    bench.peer(2, Message::WriteReply { op, newest: minted, pulled_by: Vec::new() });
    assert_eq!((nodes, bench.replies().len()), (vec![2, 3], 0), "two have stored it, but one knows nothing");
    // The third knows of a version that was acknowledged before: the write is minted again above it.
    bench.peer(3, Message::WriteReply { op, newest: dot(200), pulled_by: Vec::new() });
    let (_, op) = bench.asked();
    bench.sync();
    let minted = bench.store[&key("k")].dot();
    bench.peer(3, Message::WriteReply { op, newest: minted, pulled_by: Vec::new() });
    assert!(written(&bench.reply()).0 > dot(200));
}

#[test]
fn a_read_asks_those_in_doubt_last_this_node_included() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(-50, "perhaps not the newest"));
    bench.fit(IN_DOUBT, &[]);
    for operation in [get("k", Level::One), scan()] {
        bench.ask(operation);
        assert_eq!(bench.asked().0, [2]);
    }
    bench.fit(Fitness::default(), &[2]);
    bench.ask(get("k", Level::Two));
    assert_eq!(bench.asked().0, [3], "itself and the third");
    // With too few others it says who is in doubt.
    bench.fit(IN_DOUBT, &[2]);
    bench.ask(get("k", Level::Two));
    let (_, op) = bench.asked();
    bench.refuse(2, op);
    bench.refuse(3, op);
    let replies = bench.replies();
    let (_, response) = replies.last().expect("it is impossible");
    assert_eq!(failure(response).kind, FailureKind::Rejected);
    assert!(failure(response).message.contains("is in doubt"), "{response:?}");
}

#[test]
fn whose_doubt_ends_is_asked_again() {
    let mut bench = Bench::node(1);
    bench.store.insert(key("k"), record(-50, "v"));
    bench.fit(IN_DOUBT, &[]);
    bench.fit(Fitness::default(), &[]);
    assert!(bench.shard.view().replicas(key("k").partition()).all(|replica| !replica.in_doubt));
    bench.ask(get("k", Level::One));
    assert_eq!(value(&bench.reply()).0.as_deref(), Some(&b"v"[..]));
    assert_eq!(bench.shard.view().me, NodeId(1));
}
