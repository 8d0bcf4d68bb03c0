//! Odd and hostile input, and the laws by which records merge.

use super::*;
use crate::{Evidence, MAX_MEMBERS, Range};
use proptest::prelude::*;

/// Small numbers collide, large ones overflow.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..5_u64, 1 => u64::MAX - 2..=u64::MAX]
}

fn id() -> impl Strategy<Value = u32> {
    0..6_u32
}

fn content() -> impl Strategy<Value = Content<u32>> {
    let meta = (0..3_u8, any::<u8>())
        .prop_map(|(key, value)| Content::Meta { key: std::format!("{key}").into(), value: vec![value].into() });
    let suspicion = (id(), number(), number()).prop_map(|(target, incarnation, heartbeat)| {
        Content::Suspicion(Suspicion { target, incarnation: Incarnation(incarnation), heartbeat })
    });
    prop_oneof![Just(Content::Empty), meta, suspicion]
}

fn any_delta() -> impl Strategy<Value = Delta<u32, u32>> {
    let slots = prop::collection::vec((0..6_usize, number(), content()), 0..5);
    (id(), number(), number(), number(), number(), any::<bool>(), slots, id()).prop_map(
        |(id, incarnation, heartbeat, after, upto, left, slots, at)| {
            let upto = after.max(upto);
            let mut record = Record::new(Incarnation(incarnation), address(at));
            for (number, version, content) in slots {
                record.place(number, crate::record::Slot { version: version.min(upto), content });
            }
            (record.version, record.left) = (upto, left && heartbeat % 2 == 1);
            Delta { id, heartbeat, after, upto, record: Arc::new(record), whole: after == 0 }
        },
    )
}

fn any_digest() -> impl Strategy<Value = Digest<u32>> {
    (id(), number(), number(), number())
        .prop_map(|(id, incarnation, heartbeat, version)| digest(id, incarnation, heartbeat, version))
}

fn any_message() -> impl Strategy<Value = Packet> {
    let kind = prop_oneof![Just(MessageKind::Syn), Just(MessageKind::Ack), Just(MessageKind::Ack2)];
    let digests = || prop::collection::vec(any_digest(), 0..5);
    let range = (prop::option::of(id()), digests(), any::<bool>());
    let range = prop::option::of(range.prop_map(|(after, digests, to_end)| Range { after, digests, to_end }));
    let deltas = prop::collection::vec(any_delta(), 0..5);
    (kind, any_digest(), id(), any::<(u32, u64)>(), deltas, digests(), range, digests()).prop_map(
        |(kind, sender, at, (members, list), deltas, digests, range, wanted)| {
            let address = address(at);
            Message { kind, sender, address, members, list, deltas, digests, range, wanted }
        },
    )
}

fn any_input() -> impl Strategy<Value = Input<u32, u32>> {
    let evidence = prop_oneof![Just(Evidence::Failed), Just(Evidence::Answered)];
    prop_oneof![
        20 => any_message().prop_map(Input::Message),
        4 => (id(), evidence).prop_map(|(id, evidence)| Input::Evidence { id, evidence }),
        1 => id().prop_map(|id| Input::Contact(address(id))),
        1 => Just(Input::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_input_makes_it_panic_or_stand_still(
        inputs in prop::collection::vec((any_input(), 0..3000_u64), 1..40),
    ) {
        let mut node = node(1, 3, &[0, 1, 2]);
        let mut now = Duration::ZERO;
        let mut left = false;
        for (input, wait) in inputs {
            now += ms(wait);
            left |= input == Input::Leave;
            let mut out = Vec::new();
            let before = node.incarnation();
            node.handle(now, input, &mut out);
            let due = node.next_timeout().unwrap();
            node.handle_timeout(now, &mut out);
            prop_assert!(node.next_timeout().unwrap() > now || due > now);
            prop_assert!(node.incarnation() >= before);
            let me = node.member(&1).unwrap();
            prop_assert_eq!(me.state(), if left { State::Left } else { State::Up });
            prop_assert_eq!(*me.address(), address(1));
            prop_assert!(node.members().is_sorted_by(|a, b| a.id() < b.id()));
            prop_assert!(node.roster.sums_are_right());
            for effect in &out {
                if let Effect::Send { to, message } = effect {
                    prop_assert!(*to != address(1));
                    prop_assert!(message.encoded_len() <= node.body_bytes());
                    let mut bytes = Vec::new();
                    message.encode(&mut bytes);
                    prop_assert_eq!(Packet::decode(&bytes), Ok(message.clone()));
                }
            }
        }
    }

    /// Records form a join semilattice. (A node never says two things with one version, so what a record holds is a
    /// function of its incarnation and version.)
    #[test]
    fn records_merge_in_any_order_any_number_of_times(
        parts in prop::collection::vec((id(), 1..4_u64, 0..5_u64, 1..9_u64, 0..9_u64, any::<bool>()), 1..12),
        order in any::<prop::sample::Index>(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let deltas: Vec<_> = parts.into_iter().map(|(id, incarnation, heartbeat, upto, after, whole)| {
            let after = if whole { 0 } else { after.min(upto) };
            // One that says no more than it spans, as if it had been read from bytes.
            let record = record(id, incarnation, upto);
            Delta { id: id + 20, heartbeat, after, upto, record: Arc::new(record), whole: after == 0 }
        }).collect();
        let merged = |deltas: &[Delta<u32, u32>]| {
            let mut node = node(1, 1, &[]);
            // What would leave a gap is asked for, and arrives sooner or later: here the whole order is repeated.
            for delta in deltas.iter().cycle().take(deltas.len() * 4) {
                told(&mut node, 0, vec![delta.clone()]);
            }
            let records = node.members().map(|it| (*it.id(), it.heartbeat(), (**it.record()).clone()));
            (records.collect::<Vec<_>>(), node.roster.sum())
        };
        let mut shuffled = deltas.clone();
        shuffled.rotate_left(order.index(deltas.len()));
        shuffled.extend(again.iter().map(|index| index.get(&deltas).clone()));
        shuffled.reverse();
        prop_assert_eq!(merged(&deltas), merged(&shuffled));
    }
}

#[test]
fn what_exceeds_the_limits_is_ignored() {
    let mut node = node(0, 1, &[]);
    let crowd = MAX_MEMBERS as u32 + 1000;
    told(&mut node, 0, (1..=crowd).map(|id| delta(id, 1, 1, 1)).collect());
    assert_eq!(node.members().count(), MAX_MEMBERS, "no more are known");
    assert!(node.member(&crowd).is_none() && node.member(&1000).is_some());
    let mut out = Vec::new();
    let range = Some(Range { after: None, digests: vec![], to_end: true });
    let wanted = (0..crowd).map(|id| digest(id, 0, 0, 0)).collect();
    let syn = Message { range, wanted, ..message(MessageKind::Syn, vec![]) };
    node.handle(ms(0), Input::Message(syn), &mut out);
    let [(99, reply)] = &sent(&out)[..] else { panic!("one answer") };
    assert!(reply.encoded_len() <= node.body_bytes());
    assert!(reply.deltas.len() > 10, "as much as fits");
}

#[test]
fn the_largest_counters_do_not_wedge_it() {
    let max = u64::MAX;
    let mut node = node(1, 3, &[]);
    let mut largest = Record::new(Incarnation(max), address(2));
    largest.version = max;
    let forged = |id| Delta { id, heartbeat: max, after: 0, upto: max, record: Arc::new(largest.clone()), whole: true };
    let mut now = 0;
    for _ in 0..20 {
        told(&mut node, now, vec![forged(1), forged(2)]);
        now += 200;
        run_to(&mut node, now);
    }
    assert_eq!(node.incarnation(), Incarnation(max));
    assert_eq!(state(&node, 1), Some(State::Up));
    // A heartbeat at its end is not the end of a node: it outranks who claims it.
    let mut other = super::node(3, 3, &[]);
    told(&mut other, 0, vec![delta(3, 3, max, 1)]);
    assert_eq!(other.incarnation(), Incarnation(4));
    run_to(&mut other, 0);
    assert_eq!(other.member(&3).unwrap().heartbeat(), 1);
}

#[test]
fn a_thousand_suspicions_of_one_node_are_told_in_part_and_do_no_harm() {
    let mut node = node(1, 1, &[]);
    told(&mut node, 0, (2..1002).map(|id| delta(id, 1, 1, 1)).collect());
    for id in 2..1002 {
        node.handle(ms(0), Input::Evidence { id, evidence: Evidence::Failed }, &mut Vec::new());
    }
    assert!(node.watched().count() <= 64 + 8, "no more are watched at once");
    for at in (0..4000).step_by(200) {
        told(&mut node, at, vec![]);
        run_to(&mut node, at);
    }
    assert!(!suspects(&node).is_empty() && suspects(&node).len() <= crate::record::MAX_SUSPICIONS);
    assert!((2..1002).all(|id| state(&node, id) != Some(State::Down)), "one node's word convicts nobody");
}
