//! Odd and hostile input, and the laws by which records merge.

use core::time::Duration;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::{Node, ack2, address, ms, node, profile, update};
use crate::{Details, Digest, Effect, Evidence, Incarnation, Input, MAX_ENTRIES, Message, State, Update};

/// Small numbers collide, large ones overflow.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..5_u64, 1 => u64::MAX - 2..=u64::MAX]
}

fn id() -> impl Strategy<Value = u32> {
    0..6_u32
}

fn any_update() -> impl Strategy<Value = Update<u32, u32, u32>> {
    let suspects = prop::collection::vec((id(), number().prop_map(Incarnation)), 0..4);
    let details = (number(), id(), id(), suspects).prop_map(|(version, at, meta, suspects)| {
        let profile = profile(at, meta);
        Details { version, profile, suspects }
    });
    let details = prop::option::weighted(0.8, details);
    (id(), number(), number(), any::<bool>(), details).prop_map(|(id, incarnation, heartbeat, left, details)| Update {
        id,
        incarnation: Incarnation(incarnation),
        heartbeat,
        left: left && heartbeat % 2 == 1,
        details,
    })
}

fn any_digest() -> impl Strategy<Value = Digest<u32>> {
    (id(), number(), number(), number()).prop_map(|(id, incarnation, heartbeat, version)| {
        let incarnation = Incarnation(incarnation);
        Digest { id, incarnation, heartbeat, version }
    })
}

fn any_input() -> impl Strategy<Value = Input<u32, u32, u32>> {
    let updates = || prop::collection::vec(any_update(), 0..5);
    let digests = prop::collection::vec(any_digest(), 0..5);
    let wanted = prop::collection::vec(id(), 0..5);
    let from = || id().prop_map(address);
    let evidence = prop_oneof![Just(Evidence::Failed), Just(Evidence::Answered)];
    let syn = (from(), digests).prop_map(|(from, digests)| Message::Syn { from, digests });
    let ack = (from(), updates(), wanted).prop_map(|(from, updates, wanted)| Message::Ack { from, updates, wanted });
    prop_oneof![
        8 => syn.prop_map(Input::Message),
        8 => ack.prop_map(Input::Message),
        8 => updates().prop_map(|updates| Input::Message(ack2(updates))),
        4 => (id(), evidence).prop_map(|(id, evidence)| Input::Evidence { id, evidence }),
        1 => Just(Input::Leave),
    ]
}

/// What a record says that the order of arrival must not decide.
fn record(node: &Node, id: u32) -> impl PartialEq + core::fmt::Debug + use<> {
    let member = node.member(&id);
    member.map(|it| (it.update(true), it.state() == State::Left))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_input_makes_it_panic_or_stand_still(
        inputs in prop::collection::vec((any_input(), 0..3000_u64), 1..40),
    ) {
        let mut node = node(1, 3, &[0, 1, 2], ms(0));
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
            prop_assert_eq!(me.profile(), &profile(1, 0));
            prop_assert!(node.members().is_sorted_by(|a, b| a.id() < b.id()));
            for effect in &out {
                if let Effect::Send { message: Message::Syn { digests, .. }, to } = effect {
                    prop_assert!(*to != address(1));
                    prop_assert_eq!(digests.len(), node.members().count());
                }
            }
        }
    }

    /// Records form a join semilattice. (A node never says two things with one version, so the
    /// contents are a function of the incarnation and the version; and a record without details
    /// does not introduce anybody, so all members are known before.)
    #[test]
    fn records_merge_in_any_order_any_number_of_times(
        updates in prop::collection::vec(any_update(), 1..12),
        order in any::<prop::sample::Index>(),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let consistent = |mut update: Update<u32, u32, u32>| {
            if let Some(details) = &mut update.details {
                details.version = details.version.max(1);
                details.profile = profile(update.id, details.version as u32);
                details.suspects = vec![(4, Incarnation(details.version))];
            }
            update
        };
        let updates: Vec<_> = updates.into_iter().map(consistent).collect();
        let merged = |updates: &[Update<u32, u32, u32>]| {
            let mut node = node(99, 1, &[], ms(0));
            let known = (0..6).map(|id| consistent(update(id, 0, 0, 1))).collect::<Vec<_>>();
            node.handle(ms(0), Input::Message(ack2(known)), &mut Vec::new());
            for update in updates {
                let message = ack2([update.clone()]);
                node.handle(ms(0), Input::Message(message), &mut Vec::new());
            }
            (0..6).map(|id| record(&node, id)).collect::<Vec<_>>()
        };
        let mut shuffled = updates.clone();
        shuffled.rotate_left(order.index(updates.len()));
        shuffled.extend(again.iter().map(|index| index.get(&updates).clone()));
        shuffled.reverse();
        prop_assert_eq!(merged(&updates), merged(&shuffled));
    }
}

#[test]
fn one_liar_repeating_itself_is_still_one_witness() {
    let mut node = node(1, 1, &[], ms(0));
    let mut liar = update(2, 1, 1, 1);
    let charge = (3, Incarnation(1));
    liar.details.as_mut().unwrap().suspects = vec![charge, charge, (3, Incarnation(2)), charge];
    let message = ack2([update(3, 1, 1, 1), liar]);
    node.handle(ms(0), Input::Message(message), &mut Vec::new());
    assert_eq!(node.member(&3).unwrap().state(), State::Suspect);
}

#[test]
fn asking_many_times_for_one_member_gets_one_answer() {
    let mut node = node(1, 1, &[], ms(0));
    let mut out = Vec::new();
    let (from, updates, wanted) = (address(2), vec![], vec![1; 1000]);
    let message = Message::Ack { from, updates, wanted };
    node.handle(ms(0), Input::Message(message), &mut out);
    let [Effect::Send { message: Message::Ack2 { updates }, .. }] = &out[..] else { panic!("{out:?}") };
    assert_eq!(updates.len(), 1);
}

#[test]
fn what_exceeds_the_limits_is_ignored() {
    let mut node = node(0, 1, &[], ms(0));
    let crowd = 70_000_u32;
    let updates: Vec<_> = (1..=crowd).map(|id| update(id, 1, 1, 1)).collect();
    node.handle(ms(0), Input::Message(ack2(updates)), &mut Vec::new());
    assert_eq!(node.members().count(), MAX_ENTRIES, "no more are known");
    let late = [update(crowd, 1, 1, 1)];
    node.handle(ms(0), Input::Message(ack2(late)), &mut Vec::new());
    assert!(node.member(&crowd).is_none());
    assert!(node.member(&1000).is_some());
    let mut out = Vec::new();
    let (from, wanted, updates) = (address(1), (0..crowd).collect(), vec![]);
    let message = Message::Ack { from, updates, wanted };
    node.handle(ms(0), Input::Message(message), &mut out);
    let [Effect::Send { message: Message::Ack2 { updates }, .. }] = &out[..] else { panic!("an answer") };
    assert!(updates.len() <= MAX_ENTRIES);
}

#[test]
fn the_largest_counters_do_not_wedge_it() {
    let max = u64::MAX;
    let mut node = node(1, 3, &[], ms(0));
    let largest = [update(1, max, max, max), update(2, max, max, max)];
    let mut now = ms(0);
    for _ in 0..20 {
        node.handle(now, Input::Message(ack2(largest.clone())), &mut Vec::new());
        node.handle_timeout(now, &mut Vec::new());
        now = node.next_timeout().unwrap();
    }
    assert_eq!(node.incarnation(), Incarnation(max));
    assert_eq!(node.member(&1).unwrap().state(), State::Up);
    // A heartbeat at its end is not the end of a node: its next incarnation counts anew.
    let mut other = super::node(3, 3, &[], ms(0));
    let forged = ack2([update(3, 3, max, 1)]);
    other.handle(ms(0), Input::Message(forged), &mut Vec::new());
    assert_eq!(other.incarnation(), Incarnation(4));
    other.handle_timeout(ms(0), &mut Vec::new());
    assert_eq!(other.member(&3).unwrap().heartbeat(), 1);
}
