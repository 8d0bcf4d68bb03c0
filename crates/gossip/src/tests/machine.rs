//! One machine, message by message.

use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use super::{Effects, Node, ack2, address, events, ms, node, profile, update};
use crate::{Config, Digest, Effect, Event, Evidence, Gossip, Incarnation, Input, Member, Message, State, Update};

fn told(node: &mut Node, now_ms: u64, updates: Vec<Update<u32, u32, u32>>) -> Vec<Event<u32, u32, u32>> {
    let mut out = Vec::new();
    node.handle(ms(now_ms), Input::Message(ack2(updates)), &mut out);
    events(&out)
}

fn own(node: &Node) -> &Member<u32, u32, u32> {
    node.member(node.me()).expect("it knows itself")
}

/// Runs all rounds up to a time.
fn run_to(node: &mut Node, now_ms: u64) -> Effects {
    let mut out = Vec::new();
    while let Some(next) = node.next_timeout().filter(|next| *next <= ms(now_ms)) {
        node.handle_timeout(next, &mut out);
    }
    out
}

fn syns(effects: &Effects) -> Vec<u32> {
    let to = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message: Message::Syn { .. } } => Some(*to),
        _ => None,
    });
    to.collect()
}

#[test]
fn it_knows_itself_in_its_place_among_the_others() {
    let mut node = node(5, 7, &[], ms(0));
    told(&mut node, 0, vec![update(9, 1, 1, 1), update(2, 1, 1, 1)]);
    let ids: Vec<u32> = node.members().map(|it| *it.id()).collect();
    assert_eq!(ids, [2, 5, 9]);
    assert_eq!((node.me(), node.incarnation()), (&5, Incarnation(7)));
    let me = node.member(&5).unwrap();
    assert_eq!((me.state(), me.heartbeat_age(ms(900))), (State::Up, ms(0)));
    assert_eq!(node.member(&2).unwrap().heartbeat_age(ms(900)), ms(900));
    assert!(node.member(&3).is_none());
}

#[test]
fn a_round_contacts_as_many_live_members_as_the_fan_out_and_never_itself() {
    let mut node = node(5, 1, &[5], ms(0));
    told(&mut node, 0, (0..20).map(|id| update(id, 1, 1, 1)).collect());
    let mut contacted = BTreeSet::new();
    for round in 0..200 {
        let now = ms(10_000 * round);
        told(&mut node, 10_000 * round, (0..20).map(|id| update(id, 1, round + 2, 1)).collect());
        let mut out = Vec::new();
        node.handle_timeout(now, &mut out);
        let to = syns(&out);
        assert_eq!(to.len(), 3, "no one is lost and the only seed is itself");
        contacted.extend(to);
    }
    assert!(!contacted.contains(&address(5)));
    assert_eq!(contacted.len(), 19, "everybody gets a turn");
}

#[test]
fn rounds_are_jittered_by_a_tenth() {
    let mut node = node(1, 1, &[], ms(0));
    let mut gaps = Vec::new();
    for _ in 0..300 {
        let due = node.next_timeout().unwrap();
        let mut out = Vec::new();
        node.handle_timeout(due, &mut out);
        let heartbeat = node.member(&1).unwrap().heartbeat();
        node.handle_timeout(due, &mut out);
        assert_eq!(node.member(&1).unwrap().heartbeat(), heartbeat, "once");
        gaps.push(node.next_timeout().unwrap() - due);
    }
    let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!(*least >= ms(180) && *least < ms(185), "{least:?}");
    assert!(*most <= ms(220) && *most > ms(215), "{most:?}");
}

#[test]
fn who_is_alone_tries_seeds_and_known_addresses_for_ever() {
    let known = vec![(7, address(7)), (1, address(1))];
    let seeds = vec![address(0), address(1), address(3)];
    let config = Config::default();
    let mut node: Node = Gossip::new(config, 1, Incarnation(1), profile(1, 0), seeds, known, 0, ms(0));
    for _ in 0..50 {
        let mut out = Vec::new();
        let due = node.next_timeout().unwrap();
        node.handle_timeout(due, &mut out);
        let to = BTreeSet::from_iter(syns(&out));
        assert_eq!(to, BTreeSet::from([address(0), address(3), address(7)]));
    }
    // That the member at a known address has left ends the search for it.
    let mut left = update(7, 1, 1, 1);
    left.left = true;
    told(&mut node, 20_000, vec![left]);
    let to = syns(&run_to(&mut node, 40_000));
    assert!(!to.contains(&address(7)) && to.contains(&address(3)));
}

#[test]
fn who_lost_its_only_peer_tries_it_in_every_round() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 0, vec![update(2, 1, 1, 1)]);
    run_to(&mut node, 5000);
    assert_eq!(node.member(&2).unwrap().state(), State::Unreachable);
    for _ in 0..50 {
        let mut out = Vec::new();
        let due = node.next_timeout().unwrap();
        node.handle_timeout(due, &mut out);
        assert_eq!(syns(&out), [address(2)]);
    }
}

#[test]
fn the_lost_and_the_seeds_are_tried_now_and_then() {
    let mut node = node(1, 1, &[0], ms(0));
    let mut to = Vec::new();
    for i in 0..500 {
        let now = 200 * i;
        let mut alive = vec![update(2, 1, i + 1, 1), update(3, 1, i + 1, i + 1)];
        if i == 0 {
            alive.push(update(9, 1, 1, 1));
        }
        alive[1].details.as_mut().unwrap().suspects = vec![(9, Incarnation(1))];
        told(&mut node, now, alive);
        to.extend(syns(&run_to(&mut node, now)));
    }
    assert_eq!(node.member(&9).unwrap().state(), State::Down);
    let count = |id| to.iter().filter(|to| **to == address(id)).count();
    assert!((50..150).contains(&count(9)), "one in 5 of 490 rounds: {}", count(9));
    assert!((5..40).contains(&count(0)), "one in 25 of 500 rounds: {}", count(0));
}

#[test]
fn an_exchange_brings_both_sides_up_to_date() {
    let (mut a, mut b) = (node(1, 1, &[2], ms(0)), node(2, 1, &[], ms(0)));
    told(&mut a, 0, vec![update(3, 5, 50, 2), update(4, 1, 10, 1)]);
    told(&mut b, 0, vec![update(3, 4, 90, 9), update(4, 1, 20, 1), update(5, 1, 1, 1)]);
    let known_to_a: Vec<_> = a.members().map(Member::digest).collect();
    let mut out = Vec::new();
    let syn = Message::Syn { from: address(1), digests: known_to_a };
    b.handle(ms(1), Input::Message(syn), &mut out);
    let Effect::Send { to, message: ack } = out.remove(0) else { panic!("{out:?}") };
    assert_eq!((to, out.as_slice()), (address(1), [].as_slice()));
    let Message::Ack { from, updates, wanted } = &ack else { panic!("{ack:?}") };
    let told: Vec<_> = updates.iter().map(|it| (it.id, it.details.is_some())).collect();
    assert_eq!(told, [(2, true), (4, false), (5, true)], "no details that a has");
    assert_eq!((*from, wanted.as_slice()), (address(2), [1, 3].as_slice()));
    a.handle(ms(2), Input::Message(ack), &mut out);
    let Some(Effect::Send { to: 10_002, message: ack2 }) = out.pop() else { panic!("{out:?}") };
    b.handle(ms(3), Input::Message(ack2), &mut out);
    let known = |node: &Node| -> Vec<_> { node.members().map(Member::digest).collect() };
    assert_eq!(known(&a), known(&b));
    assert_eq!(known(&a).len(), 5);
}

#[test]
fn a_digest_is_enough_to_raise_a_heartbeat_and_not_to_start_a_life() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 0, vec![update(2, 1, 10, 1)]);
    let digest = |incarnation, heartbeat, version| {
        let incarnation = Incarnation(incarnation);
        let digests = vec![Digest { id: 2, incarnation, heartbeat, version }];
        Input::Message(Message::Syn { from: address(2), digests })
    };
    let mut out = Vec::new();
    node.handle(ms(500), digest(1, 11, 1), &mut out);
    let member = node.member(&2).unwrap();
    assert_eq!((member.heartbeat(), member.heartbeat_age(ms(600))), (11, ms(100)));
    node.handle(ms(600), digest(2, 1, 1), &mut out);
    assert_eq!(node.member(&2).unwrap().incarnation(), Incarnation(1), "it asks first");
    let Some(Effect::Send { message: Message::Ack { wanted, .. }, .. }) = out.pop() else { panic!("{out:?}") };
    assert_eq!(wanted, [2]);
}

#[test]
fn a_suspicion_falls_due_in_time_and_ends_with_the_next_heartbeat() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 1000, vec![update(2, 1, 10, 1), update(3, 1, 10, 1)]);
    assert_eq!(events(&run_to(&mut node, 2990)), []);
    told(&mut node, 2995, vec![update(3, 1, 11, 1)]);
    let version = own(&node).version;
    let (from, to) = (State::Up, State::Suspect);
    let suspected = [Event::StateChanged { id: 2, from, to }];
    assert_eq!(events(&run_to(&mut node, 3220)), suspected);
    assert_eq!(own(&node).suspects, [(2, Incarnation(1))], "it says so");
    assert_eq!(own(&node).version, version + 1);
    let cleared = [Event::StateChanged { id: 2, from: to, to: from }];
    assert_eq!(told(&mut node, 3300, vec![update(2, 1, 11, 1)]), cleared);
    assert_eq!((own(&node).suspects.len(), own(&node).version), (0, version + 2));
}

#[test]
fn a_failure_cuts_the_wait_to_a_quarter_and_an_answer_restores_it() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 1000, vec![update(2, 1, 10, 1)]);
    let mut out = Vec::new();
    let mut failed = |node: &mut Node, at, evidence| {
        node.handle(ms(at), Input::Evidence { id: 2, evidence }, &mut out);
        node.member(&2).unwrap().state()
    };
    failed(&mut node, 1200, Evidence::Failed);
    failed(&mut node, 1400, Evidence::Failed); // The first one counts.
    run_to(&mut node, 1699);
    assert_eq!(node.member(&2).unwrap().state(), State::Up);
    run_to(&mut node, 1920);
    assert_eq!(node.member(&2).unwrap().state(), State::Unreachable);
    assert_eq!(failed(&mut node, 1950, Evidence::Answered), State::Up);
    failed(&mut node, 2000, Evidence::Failed);
    told(&mut node, 2100, vec![update(2, 1, 11, 1)]);
    run_to(&mut node, 4099);
    assert_eq!(node.member(&2).unwrap().state(), State::Up, "a heartbeat clears it too");
    run_to(&mut node, 4400);
    let state = failed(&mut node, 4450, Evidence::Answered);
    assert_eq!(state, State::Unreachable, "an answer is no heartbeat");
}

#[test]
fn a_suspected_node_refutes_once_in_a_round() {
    let mut node = node(1, 5, &[], ms(0));
    run_to(&mut node, 1000);
    let accusing = |version, incarnation| {
        let mut update = update(2, 1, version, version);
        let details = update.details.as_mut().unwrap();
        details.suspects = vec![(1, Incarnation(incarnation))];
        vec![update]
    };
    let refuted = |incarnation| Event::Refuted { incarnation: Incarnation(incarnation) };
    let heartbeat = node.member(&1).unwrap().heartbeat();
    assert_eq!(told(&mut node, 1000, accusing(1, 4)), [Event::Joined { id: 2 }]);
    assert_eq!(told(&mut node, 1000, accusing(2, 5)), [refuted(6)]);
    assert_eq!(told(&mut node, 1000, accusing(3, 5)), [], "answered already");
    assert_eq!(told(&mut node, 1000, accusing(4, 6)), [], "not twice in one round");
    assert_eq!(node.member(&1).unwrap().heartbeat(), heartbeat, "the heartbeat goes on");
    assert_eq!(events(&run_to(&mut node, 1300)), [refuted(7)]);
    assert_eq!(node.member(&1).unwrap().state(), State::Up);
}

#[test]
fn a_late_farewell_ends_a_suspicion() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 0, vec![update(2, 1, 1, 1)]);
    run_to(&mut node, 3000);
    assert_eq!(own(&node).suspects, [(2, Incarnation(1))]);
    let mut farewell = update(2, 1, 1, 2);
    farewell.left = true;
    let (from, to) = (State::Unreachable, State::Left);
    let left = [Event::StateChanged { id: 2, from, to }];
    assert_eq!(told(&mut node, 3000, vec![farewell]), left);
    assert_eq!(own(&node).suspects, []);
}

#[test]
fn a_higher_incarnation_voids_every_suspicion() {
    let mut node = node(1, 1, &[], ms(0));
    let mut witness = update(2, 1, 1, 1);
    witness.details.as_mut().unwrap().suspects = vec![(3, Incarnation(1))];
    told(&mut node, 0, vec![update(3, 1, 1, 1)]);
    run_to(&mut node, 1900);
    told(&mut node, 1900, vec![witness]);
    run_to(&mut node, 2300);
    assert_eq!(node.member(&3).unwrap().state(), State::Down);
    let (from, to) = (State::Down, State::Up);
    let back = [Event::Restarted { id: 3 }, Event::StateChanged { id: 3, from, to }];
    assert_eq!(told(&mut node, 2400, vec![update(3, 2, 0, 1)]), back);
    assert!(own(&node).suspects.is_empty());
}

#[test]
fn a_life_without_details_is_asked_for_them() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 0, vec![update(2, 1, 10, 4)]);
    let bare = Update { details: None, ..update(2, 2, 1, 0) };
    assert_eq!(told(&mut node, 10, vec![bare]), [Event::Restarted { id: 2 }]);
    let member = node.member(&2).unwrap();
    assert_eq!(member.digest().version, 0);
    assert_eq!(*member.profile(), profile(2, 0), "until then the old one serves");
    let unknown = Update { details: None, ..update(8, 2, 1, 0) };
    assert_eq!(told(&mut node, 20, vec![unknown]), []);
    assert!(node.member(&8).is_none(), "without an address it is of no use");
}

#[test]
fn a_profile_changes_only_with_a_higher_version() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 0, vec![update(2, 1, 10, 4)]);
    let with_meta = |version, meta| {
        let mut update = update(2, 1, 10, version);
        update.details.as_mut().unwrap().profile = profile(2, meta);
        vec![update]
    };
    assert_eq!(told(&mut node, 0, with_meta(4, 1)), []);
    assert_eq!(told(&mut node, 0, with_meta(5, 2)), [Event::ProfileChanged { id: 2 }]);
    assert_eq!(told(&mut node, 0, with_meta(6, 2)), [], "nothing new in it");
    assert_eq!(node.member(&2).unwrap().profile().meta, 2);
    let version = own(&node).version;
    node.set_profile(profile(1, 0));
    assert_eq!(own(&node).version, version, "nothing new in it");
    node.set_profile(profile(1, 3));
    assert_eq!(own(&node).version, version + 1);
}

#[test]
fn whoever_speaks_in_its_name_is_outranked() {
    let foreign: [(Update<u32, u32, u32>, u64); 4] = [
        (update(1, 9, 0, 1), 10),
        (update(1, 4, 1000, 1), 5),
        (update(1, 4, 0, 1000), 5),
        (Update { left: true, ..update(1, 4, 0, 1) }, 5),
    ];
    for (update, above) in foreign {
        let mut node = node(1, 4, &[], ms(0));
        run_to(&mut node, 1000);
        let incarnation = update.incarnation;
        assert_eq!(
            told(&mut node, 1000, vec![update]),
            [Event::Superseded { incarnation, profile: Some(profile(1, 0)) }]
        );
        assert_eq!(node.incarnation(), Incarnation(above));
    }
    let mut node = node(1, 4, &[], ms(0));
    run_to(&mut node, 1000);
    assert_eq!(told(&mut node, 1000, vec![update(1, 4, 0, 1), update(1, 3, 900, 9)]), []);
}

#[test]
fn a_digest_in_its_name_is_asked_about_before_it_is_outranked() {
    let mut node = node(1, 4, &[], ms(0));
    let syn = |digest| Input::Message(Message::Syn { from: address(2), digests: vec![digest] });
    let foreign = Digest { id: 1, incarnation: Incarnation(9), heartbeat: 3, version: 2 };
    let mut out = Vec::new();
    node.handle(ms(0), syn(foreign), &mut out);
    let asked = Message::Ack { from: address(1), updates: vec![], wanted: vec![1] };
    assert_eq!(out, [Effect::Send { to: address(2), message: asked }]);
    assert_eq!(node.incarnation(), Incarnation(4));
    assert_eq!(
        told(&mut node, 0, vec![update(1, 9, 3, 2)]),
        [Event::Superseded { incarnation: Incarnation(9), profile: Some(profile(1, 0)) }]
    );
    assert_eq!(node.incarnation(), Incarnation(10));
    // Nobody knows more of it.
    out.clear();
    node.handle(ms(0), syn(Digest { incarnation: Incarnation(20), version: 0, ..foreign }), &mut out);
    assert_eq!(events(&out), [Event::Superseded { incarnation: Incarnation(20), profile: None }]);
    assert_eq!(node.incarnation(), Incarnation(21));
}

#[test]
fn an_incarnation_is_raised_and_never_lowered() {
    let mut node = node(1, 4, &[], ms(0));
    node.raise(Incarnation(1000));
    assert_eq!(node.incarnation(), Incarnation(1000));
    node.raise(Incarnation(7));
    assert_eq!(node.incarnation(), Incarnation(1000));
}

#[test]
fn a_farewell_is_said_at_once_and_final() {
    let mut node = node(1, 1, &[], ms(0));
    told(&mut node, 0, (2..30).map(|id| update(id, 1, 1, 1)).collect());
    let mut out = Vec::new();
    node.handle(ms(0), Input::Leave, &mut out);
    let (from, to) = (State::Up, State::Left);
    assert_eq!(events(&out), [Event::StateChanged { id: 1, from, to }]);
    let farewells = out.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Ack2 { updates }, .. } => Some(&updates[..]),
        _ => None,
    });
    let farewells: Vec<_> = farewells.collect();
    assert_eq!(farewells.len(), 9);
    assert!(farewells.iter().all(|it| it.len() == 1 && it[0].left && it[0].id == 1));
    let heartbeat = node.member(&1).unwrap().heartbeat();
    assert!(!syns(&run_to(&mut node, 1000)).is_empty(), "it goes on spreading the word");
    assert_eq!(node.member(&1).unwrap().heartbeat(), heartbeat);
    out.clear();
    node.handle(ms(1000), Input::Leave, &mut out);
    assert_eq!(out, []);
    let mut of_successor = vec![update(1, 2, 1, 1), update(2, 2, 1, 1)];
    of_successor[1].details.as_mut().unwrap().suspects = vec![(1, Incarnation(1))];
    assert_eq!(
        told(&mut node, 1000, of_successor),
        [Event::Restarted { id: 2 }],
        "it contradicts neither its successor nor who suspects it"
    );
}

#[test]
fn a_late_round_gives_everybody_the_time_it_missed() {
    let mut node = node(1, 1, &[], ms(0));
    run_to(&mut node, 1000);
    told(&mut node, 1000, vec![update(2, 1, 10, 1)]);
    let mut out = Vec::new();
    told(&mut node, 61_000, vec![update(3, 1, 10, 1)]);
    node.handle_timeout(ms(61_000), &mut out);
    assert_eq!(events(&out), []);
    let age = |id, now| node.member(&id).unwrap().heartbeat_age(ms(now));
    assert!(age(2, 61_000) < ms(250), "it was not listening: {:?}", age(2, 61_000));
    assert_eq!(age(3, 62_000), ms(1000), "nobody is given more than that");
    run_to(&mut node, 62_500);
    assert_eq!(node.member(&2).unwrap().state(), State::Up);
    run_to(&mut node, 63_300);
    assert_eq!(node.member(&2).unwrap().state(), State::Unreachable, "but not for ever");
}

#[test]
#[should_panic(expected = "the fan-out must be at least 1")]
fn an_invalid_configuration_is_refused() {
    let config = Config { fan_out: 0, ..Config::default() };
    let profile = profile(1, 0);
    let _: Node = Gossip::new(config, 1, Incarnation(1), profile, vec![], vec![], 0, ms(0));
}
