//! Forwarding by a node that holds no replica, and coordinating for one.

use bytes::Bytes;
use kvorum_quorum::Level;

use super::bench::*;
use crate::shard::{Input, Report};
use crate::{FailureKind, Message, NodeId, Op, Operation, Replicas, Response};

fn an_answer() -> Response {
    Response::Value { record: None, context: Bytes::new(), as_of_ms: 0, replicas: Replicas::default() }
}

/// A bench of a node that holds nothing, which has forwarded this; to whom, and as what.
fn forwarded(operation: Operation) -> (Bench, u64, Op) {
    let mut bench = Bench::node(4);
    bench.ask(operation);
    let (to, op) = bench.asked();
    assert_eq!(to.len(), 1);
    (bench, to[0], op)
}

#[test]
fn a_request_goes_to_one_replica_and_its_answer_back_to_the_client() {
    for operation in [get("k", Level::Quorum), put("k", "v", Level::Quorum), delete("k", Level::Quorum)] {
        let mut bench = Bench::node(4);
        let request = bench.ask(operation.clone());
        let mut sent = bench.sent();
        let Some((node, Message::Forward { op, request: sent_request })) = sent.pop() else { panic!("{sent:?}") };
        assert_eq!(sent, [], "to one only");
        assert_eq!(sent_request.operation, operation);
        assert!(sent_request.timeout < ms(1000) && sent_request.timeout > ms(900), "{:?}", sent_request.timeout);
        let other = node % 3 + 1;
        bench.peer(other, Message::ForwardReply { op, response: an_answer() });
        assert_eq!(bench.replies(), [], "nobody else was asked");
        bench.peer(node, Message::ForwardReply { op, response: an_answer() });
        bench.peer(node, Message::ForwardReply { op, response: an_answer() });
        assert_eq!(bench.replies(), [(request, an_answer())]);
        bench.wait(ms(2000));
        bench.assert_idle();
    }
}

#[test]
fn what_was_not_sent_goes_to_the_next_replica_until_there_is_none() {
    for operation in [get("k", Level::Quorum), put("k", "v", Level::Quorum)] {
        let (mut bench, first, op) = forwarded(strict(operation));
        let mut asked = vec![first];
        for _ in 0..2 {
            bench.tell(Input::Unsent { to: NodeId(*asked.last().unwrap()), op });
            asked.extend(bench.asked().0);
        }
        asked.sort_unstable();
        assert_eq!(asked, [1, 2, 3]);
        bench.tell(Input::Unsent { to: NodeId(1), op });
        bench.tell(Input::Unsent { to: NodeId(2), op });
        bench.tell(Input::Unsent { to: NodeId(3), op });
        assert_eq!(failure(&bench.reply()).kind, FailureKind::Rejected);
        assert_eq!(bench.reports().len(), 3);
        bench.assert_idle();
    }
}

#[test]
fn a_lost_write_is_indeterminate_and_a_lost_read_is_asked_elsewhere() {
    type Lose = fn(&mut Bench, u64);
    let ways: [Lose; 2] = [|bench, node| bench.tell(Input::PeerLost(NodeId(node))), |bench, node| bench.down(&[node])];
    for lose in ways {
        for operation in [put("k", "v", Level::Quorum), delete("k", Level::Quorum)] {
            let (mut bench, node, _) = forwarded(operation);
            lose(&mut bench, node % 3 + 1);
            assert_eq!(bench.replies(), []);
            lose(&mut bench, node);
            assert_eq!(failure(&bench.reply()).kind, FailureKind::Indeterminate);
            bench.assert_idle();
        }
        let (mut bench, node, op) = forwarded(get("k", Level::Quorum));
        lose(&mut bench, node);
        let (to, again) = bench.asked();
        assert_ne!(to, [node]);
        assert_eq!(again, op);
        bench.peer(to[0], Message::ForwardReply { op, response: an_answer() });
        assert_eq!(bench.reply(), an_answer());
        bench.assert_idle();
    }
}

#[test]
fn what_is_not_answered_in_time_is_indeterminate_if_it_writes() {
    for (operation, kind) in
        [(get("k", Level::Quorum), FailureKind::TimedOut), (put("k", "v", Level::Quorum), FailureKind::Indeterminate)]
    {
        let (mut bench, node, _) = forwarded(operation);
        bench.wait(ms(990));
        assert_eq!(bench.replies(), []);
        bench.wait(ms(20));
        assert_eq!(failure(&bench.reply()).kind, kind);
        assert_eq!(bench.reports(), [Report::PeerFailed(NodeId(node))]);
        bench.assert_idle();
    }
}

#[test]
fn what_one_replica_rejects_is_asked_of_the_next_and_the_last_word_is_passed_on() {
    let mut bench = Bench::node(5);
    bench.ask(put("k", "v", Level::Quorum));
    let reject = |op, why: &str| {
        let failure = crate::Failure::new(FailureKind::Rejected, why);
        Message::ForwardReply { op, response: Response::Failed(failure) }
    };
    let mut asked = Vec::new();
    for why in ["its clock", "its disk", "its name"] {
        let (nodes, op) = bench.asked();
        assert_eq!((nodes.len(), bench.replies().len()), (1, 0));
        asked.extend(&nodes);
        bench.peer(nodes[0], reject(op, why));
    }
    asked.sort_unstable();
    assert_eq!((asked, failure(&bench.reply()).message.as_str()), (vec![1, 2, 3], "its name"));
    bench.assert_idle();
}

#[test]
fn a_refusal_is_passed_on() {
    let (mut bench, node, op) = forwarded(put("k", "v", Level::Quorum));
    bench.refuse(node, op);
    assert_eq!(failure(&bench.reply()).kind, FailureKind::Overloaded);
    bench.assert_idle();
}

#[test]
fn a_request_is_forwarded_once_and_not_again() {
    let mut bench = Bench::node(4);
    let request = request(put("k", "v", Level::One), ms(500));
    bench.peer(5, Message::Forward { op: their_op(1), request });
    let sent = bench.sent();
    let [(5, Message::ForwardReply { op, response })] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((*op, failure(response).kind), (their_op(1), FailureKind::Rejected));
    bench.assert_idle();
}

#[test]
fn a_replica_coordinates_for_the_node_that_forwarded() {
    let mut bench = Bench::node(1);
    let request = request(put("k", "v", Level::Quorum), ms(500));
    bench.peer(4, Message::Forward { op: their_op(1), request });
    let (to, op) = bench.asked();
    assert_eq!(to, [2, 3]);
    let newest = bench.log[0].2.dot();
    bench.sync();
    bench.peer(3, Message::WriteReply { op, newest, pulled_by: Vec::new() });
    let sent = bench.sent();
    let [(4, Message::ForwardReply { op, response })] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(*op, their_op(1));
    assert_eq!(written(response).1.answered, 2);
    bench.assert_idle();
}

#[test]
fn with_no_replica_up_a_request_is_rejected() {
    let mut bench = Bench::new(Setup { me: 4, down: vec![1, 2, 3], ..Setup::default() });
    bench.ask(strict(put("k", "v", Level::One)));
    let reply = bench.reply();
    assert_eq!(failure(&reply).kind, FailureKind::Rejected);
    assert!(failure(&reply).message.contains("n1 is down"), "{}", failure(&reply).message);
    bench.assert_idle();
}
