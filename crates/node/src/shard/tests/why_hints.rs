//! What waits for the replicas of a key: who is asked, what they tell, and what silence costs.

use kvorum_quorum::Level;

use super::bench::*;
use super::hints::started;
use super::why::{keep_nothing, questions, told, why};
use crate::shard::{Input, StoreError};
use crate::{Explanation, KeptHint, Message, NodeId, Op, Outline, Record};

/// A hint for a replica that holds a record.
fn hint(target: u64, owed: bool, record: &Record) -> KeptHint {
    KeptHint { target: NodeId(target), owed, versions: record.versions().map(Outline::from).collect() }
}

fn tells(bench: &mut Bench, node: u64, op: Op, hints: &[KeptHint]) {
    bench.peer(node, Message::HintsReply { op, hints: hints.to_vec() });
}

/// The hints that are told of: the holder of each and the hint.
fn kept(told: &Explanation) -> Vec<(u64, KeptHint)> {
    let each = told.replicas.iter().flat_map(|replica| replica.hints.iter().map(|hint| (replica.node, hint)));
    each.map(|(replica, (holder, hint))| {
        assert_eq!(hint.target, replica, "it is told where it belongs");
        (holder.0, hint.clone())
    })
    .collect()
}

fn silent(told: &Explanation) -> Vec<u64> {
    told.silent.iter().map(|node| node.0).collect()
}

/// The replicas hold nothing.
fn hold_nothing(bench: &mut Bench, nodes: &[u64], op: Op) {
    for node in nodes {
        bench.peer(*node, Message::ReadReply { op, record: None });
    }
}

/// A write that this node stands in for, durably.
fn stand_in(bench: &mut Bench, target: u64, record: &Record) {
    let (minted, stand_in_for) = (Some(record.time()), Some(NodeId(target)));
    let write =
        Message::Write { op: their_op(1), key: key("k"), record: record.clone(), minted, stand_in_for, relay: vec![] };
    bench.peer(5, write);
    bench.sync();
    assert!(matches!(bench.sent()[..], [(5, Message::WriteReply { .. })]));
}

#[test]
fn a_hint_is_told_at_the_replica_that_it_is_for_with_who_keeps_it() {
    let mut bench = Bench::node(1);
    bench.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    assert_eq!((nodes.clone(), members), (vec![2, 3], vec![2, 3, 4, 5]), "replicas first; this node asks itself");
    hold_nothing(&mut bench, &nodes, op);
    let (a, b) = (record(1, "a"), record(2, "longer"));
    let for_two = [hint(2, true, &a), hint(3, false, &b)];
    tells(&mut bench, 5, hints, &for_two);
    tells(&mut bench, 4, hints, &[hint(3, true, &a), hint(9, true, &a)]);
    keep_nothing(&mut bench, &[3], hints);
    assert_eq!(bench.replies(), [], "one has not told");
    keep_nothing(&mut bench, &[2], hints);
    let told = told(&mut bench);
    let expected = [(5, hint(2, true, &a)), (4, hint(3, true, &a)), (5, hint(3, false, &b))];
    assert_eq!(kept(&told), expected, "who keeps nothing is not shown, nor what is for no replica");
    assert_eq!(told.replicas[2].hints[1].1.versions[0].bytes, Some(6));
    assert_eq!((silent(&told), told.unasked), (vec![], 0));
    bench.assert_idle();
}

#[test]
fn this_node_tells_what_it_keeps_itself_as_a_replica_and_as_a_stand_in() {
    let mut bench = started(Setup { down: vec![3], ..Setup::default() });
    bench.ask(put("k", "v", Level::One));
    let written = bench.log[0].2.clone();
    bench.sync();
    bench.replies();
    bench.sent();
    bench.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    hold_nothing(&mut bench, &nodes, op);
    keep_nothing(&mut bench, &members, hints);
    assert_eq!(kept(&told(&mut bench)), [(1, hint(3, false, &written))], "the write is safe without it");

    let mut bench = started(Setup { me: 4, fallbacks: true, ..Setup::default() });
    stand_in(&mut bench, 2, &record(0, "v"));
    bench.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    assert_eq!((nodes.len(), members.len()), (3, 4));
    hold_nothing(&mut bench, &nodes, op);
    keep_nothing(&mut bench, &members, hints);
    assert_eq!(kept(&told(&mut bench)), [(4, hint(2, true, &record(0, "v")))]);
}

#[test]
fn a_member_that_is_asked_tells_its_hints_when_they_are_durable_also_in_doubt() {
    for in_doubt in [vec![], vec![1]] {
        let mut bench = started(Setup { down: vec![2, 3], in_doubt, ..Setup::default() });
        bench.peer(4, Message::ReadHints { op: their_op(1), key: key("k") });
        assert_eq!(bench.sent(), [(4, Message::HintsReply { op: their_op(1), hints: vec![] })]);
        bench.ask(put("k", "v", Level::One));
        let written = bench.log[0].2.clone();
        bench.sent();
        bench.peer(4, Message::ReadHints { op: their_op(2), key: key("k") });
        assert_eq!(bench.sent(), [], "it is not durable");
        bench.sync();
        let mut sent = bench.sent();
        let Some((4, Message::HintsReply { op, hints })) = sent.pop() else { panic!("{sent:?}") };
        assert_eq!(op, their_op(2));
        assert_eq!(hints, [hint(3, false, &written), hint(2, false, &written)]);
    }
}

#[test]
fn an_owed_hint_and_a_spare_one_are_two_and_of_another_key_nothing_is_told() {
    let mut bench = started(Setup { fallbacks: true, down: vec![3], ..Setup::default() });
    stand_in(&mut bench, 3, &record(0, "owed"));
    bench.ask(put("k", "spare", Level::One));
    let spare = bench.log[0].2.clone();
    bench.sync();
    bench.sent();
    bench.peer(4, Message::ReadHints { op: their_op(1), key: key("other") });
    bench.peer(4, Message::ReadHints { op: their_op(2), key: key("k") });
    let hints = vec![hint(3, true, &record(0, "owed")), hint(3, false, &spare)];
    let replies = [(1, vec![]), (2, hints)].map(|(op, hints)| (4, Message::HintsReply { op: their_op(op), hints }));
    assert_eq!(bench.sent(), replies);
}

#[test]
fn a_store_that_cannot_be_read_is_no_answer() {
    let mut bench = started(Setup::default());
    bench.hold_reads = true;
    bench.peer(4, Message::ReadHints { op: their_op(1), key: key("k") });
    bench.fail_load(StoreError::Io("gone".to_owned()));
    assert!(matches!(&bench.sent()[..], [(4, Message::Refused { op, .. })] if *op == their_op(1)));

    bench.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    bench.release();
    bench.fail_load(StoreError::Io("gone".to_owned()));
    hold_nothing(&mut bench, &nodes, op);
    keep_nothing(&mut bench, &members, hints);
    assert_eq!(silent(&told(&mut bench)), [1], "it cannot tell of itself");
    bench.assert_idle();
}

#[test]
fn who_does_not_tell_is_named_and_costs_nothing_else() {
    type Fail = fn(&mut Bench, Op);
    let ways: [Fail; 5] = [
        |bench, op| bench.refuse(4, op),
        |bench, op| bench.tell(Input::Unsent { to: NodeId(4), op }),
        |bench, _| bench.tell(Input::PeerLost(NodeId(4))),
        |bench, _| bench.down(&[4]),
        |bench, _| bench.wait(ms(510)),
    ];
    for fail in ways {
        let mut bench = Bench::node(1);
        bench.ask(why());
        let ((nodes, op), (_, hints)) = questions(&mut bench);
        hold_nothing(&mut bench, &nodes, op);
        tells(&mut bench, 2, hints, &[hint(3, false, &record(0, "v"))]);
        keep_nothing(&mut bench, &[3, 5], hints);
        assert_eq!(bench.replies(), []);
        fail(&mut bench, hints);
        let told = told(&mut bench);
        assert_eq!((silent(&told), kept(&told)), (vec![4], vec![(2, hint(3, false, &record(0, "v")))]));
        assert!(told.replicas.iter().all(|replica| replica.held == Ok(None)), "{told:?}");
        bench.reports();
        bench.assert_idle();
    }
}

#[test]
fn a_replica_that_is_lost_answers_neither_question() {
    let mut bench = Bench::node(1);
    bench.ask(why());
    let ((_, op), (_, hints)) = questions(&mut bench);
    hold_nothing(&mut bench, &[2], op);
    keep_nothing(&mut bench, &[2, 4, 5], hints);
    bench.tell(Input::PeerLost(NodeId(3)));
    let told = told(&mut bench);
    assert!(told.replicas[2].held.as_ref().unwrap_err().contains("lost"), "{told:?}");
    assert_eq!(silent(&told), [3]);
    bench.assert_idle();
}

#[test]
fn a_refusal_of_one_question_says_nothing_of_the_other() {
    let mut bench = Bench::node(1);
    bench.ask(why());
    let ((_, op), (_, hints)) = questions(&mut bench);
    bench.refuse(2, hints);
    bench.refuse(3, op);
    hold_nothing(&mut bench, &[2], op);
    keep_nothing(&mut bench, &[3, 4, 5], hints);
    let told = told(&mut bench);
    assert_eq!((&told.replicas[1].held, told.replicas[2].held.is_err()), (&Ok(None), true));
    assert_eq!(silent(&told), [2]);
}

#[test]
fn the_first_word_counts_and_late_ones_find_nothing() {
    let mut bench = Bench::node(1);
    bench.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    tells(&mut bench, 4, hints, &[hint(2, true, &record(0, "first"))]);
    tells(&mut bench, 4, hints, &[hint(2, true, &record(1, "second"))]);
    bench.refuse(4, hints);
    bench.tell(Input::PeerLost(NodeId(4)));
    // An answer to the other question, or by somebody who was not asked.
    tells(&mut bench, 5, op, &[hint(2, true, &record(0, "astray"))]);
    tells(&mut bench, 77, hints, &[hint(2, true, &record(0, "stranger"))]);
    bench.peer(5, Message::ReadReply { op: hints, record: Some(record(0, "astray")) });
    keep_nothing(&mut bench, &[2, 3], hints);
    hold_nothing(&mut bench, &nodes, op);
    assert_eq!(bench.replies(), [], "5 has not told yet");
    keep_nothing(&mut bench, &[5], hints);
    let first = told(&mut bench);
    assert_eq!((kept(&first), silent(&first)), (vec![(4, hint(2, true, &record(0, "first")))], vec![]));
    // The slots are used again: what is late does not fit.
    bench.ask(why());
    let ((nodes, again), (_, again_hints)) = questions(&mut bench);
    let slots = |ops: [Op; 2]| ops.map(|op| op.slot).into_iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(slots([again, again_hints]), slots([op, hints]));
    for node in &members {
        tells(&mut bench, *node, hints, &[hint(3, true, &record(0, "late"))]);
        bench.refuse(*node, hints);
    }
    assert_eq!(bench.replies(), []);
    hold_nothing(&mut bench, &nodes, again);
    keep_nothing(&mut bench, &members, again_hints);
    let second = told(&mut bench);
    assert_eq!((kept(&second), silent(&second)), (vec![], vec![]));
    bench.assert_idle();
}

#[test]
fn who_is_away_is_not_asked_unless_it_is_a_replica_and_is_named() {
    let mut bench = Bench::new(Setup { down: vec![3, 5], ..Setup::default() });
    bench.ask(why());
    let ((nodes, op), (members, hints)) = questions(&mut bench);
    assert_eq!(members, [2, 3, 4]);
    hold_nothing(&mut bench, &nodes, op);
    keep_nothing(&mut bench, &[2, 4], hints);
    bench.tell(Input::Unsent { to: NodeId(3), op: hints });
    assert_eq!(silent(&told(&mut bench)), [3, 5]);
    bench.reports();
    bench.assert_idle();
}

#[test]
fn the_likeliest_are_asked_first_and_no_more_than_there_is_a_bound_for() {
    // 9 and 7 may stand in near this node, 10 and 8 in the other centre: first those that are the first for somebody.
    let mut bench = Bench::new(Setup { layout: Some(two_centres_that_stand_in()), ..Setup::default() });
    bench.ask(why());
    let (_, (members, _)) = questions(&mut bench);
    assert_eq!(members, [2, 3, 4, 5, 6, 9, 10, 7, 8]);

    for (cluster, expected) in [(65, 0), (66, 1), (200, 135)] {
        let mut bench = Bench::new(Setup { layout: Some(large(cluster)), ..Setup::default() });
        bench.ask(why());
        let ((nodes, op), (members, hints)) = questions(&mut bench);
        let stand_in = u64::from(cluster);
        assert_eq!((nodes.len(), members.len()), (2, 64));
        assert_eq!(members[..4], [2, 3, stand_in, 4], "replicas, then who stands in for them, then the others");
        hold_nothing(&mut bench, &nodes, op);
        keep_nothing(&mut bench, &members, hints);
        let told = told(&mut bench);
        assert_eq!((told.unasked, silent(&told)), (expected, vec![]));
        bench.assert_idle();
    }
}
