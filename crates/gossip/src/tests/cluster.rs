//! Whole clusters in virtual time: finding each other, noticing the dead, and not more than those.

use core::time::Duration;
use std::collections::BTreeSet;
use std::vec::Vec;
use std::{println, vec};

use super::network::Network;
use super::{ms, profile};
use crate::{Event, Evidence, Incarnation, Input, Member, State};

const SECOND: Duration = Duration::from_secs(1);

/// The changes to `target` that anybody noted, in order.
fn verdicts_on(network: &Network, target: u32) -> Vec<State> {
    let log = network.log.iter();
    let changes = log.filter_map(|(_, _, event)| match event {
        Event::StateChanged { id, to, .. } if *id == target => Some(*to),
        _ => None,
    });
    changes.collect()
}

#[test]
fn two_nodes_meet_over_one_seed() {
    let mut network = Network::new(1);
    network.start(0, &[]);
    network.start(1, &[0]);
    let taken = network.run_until_all(SECOND, "they meet", Network::all_see_all_up);
    assert!(taken <= ms(60), "in the first exchange: {taken:?}");
    let joined = |at, id| (at, Event::Joined { id });
    let noted: Vec<_> = network.log.iter().map(|it| (it.1, it.2.clone())).collect();
    assert!(noted.contains(&joined(0, 1)) && noted.contains(&joined(1, 0)));
    assert_eq!(network.log.len(), 2, "each notes the other once: {:?}", network.log);
}

#[test]
fn a_node_keeps_trying_a_seed_that_starts_late() {
    let mut network = Network::new(2);
    network.start(1, &[0]);
    network.run_for(SECOND * 60);
    network.start(0, &[]);
    network.run_until_all(SECOND, "they meet", Network::all_see_all_up);
}

#[test]
fn fifty_nodes_converge_within_twelve_rounds() {
    for seed in 0..3 {
        let mut network = Network::new(seed);
        (0..50).for_each(|id| network.start(id, &[0]));
        let taken = network.run_until_all(SECOND * 10, "all know all", Network::all_see_all_up);
        let rounds = taken.as_millis() / network.config.round_interval.as_millis() + 1;
        println!("seed {seed}: 50 nodes converge in {rounds} rounds, {} messages", network.sent);
        assert!(rounds <= 12, "seed {seed}: {rounds} rounds");
    }
}

#[test]
fn a_killed_node_is_down_everywhere_within_five_seconds() {
    for (seed, n) in [(1, 3), (2, 3), (3, 5), (4, 5), (5, 50)] {
        let mut network = Network::settled(seed, n);
        network.kill(1);
        let down = |network: &Network| network.all_others_see(1, Some(State::Down));
        let taken = network.run_until_all(SECOND * 5, "it is down", down);
        println!("seed {seed}: one of {n} is down everywhere after {taken:?}");
        assert!(taken >= ms(1500), "not before its heartbeat stalled: {taken:?}");
        network.run_for(SECOND * 3);
        assert!(down(&network), "and stays so");
        for id in network.ids() {
            for other in network.ids() {
                assert_eq!(network.state(id, other), Some(State::Up), "the living stay up");
            }
        }
    }
}

#[test]
fn in_a_cluster_of_two_the_other_is_unreachable_and_returns() {
    let mut network = Network::settled(6, 2);
    network.cut(0, 1);
    network.run_for(SECOND * 60);
    assert_eq!(network.state(0, 1), Some(State::Unreachable));
    assert_eq!(network.state(1, 0), Some(State::Unreachable));
    assert!(!verdicts_on(&network, 1).contains(&State::Down));
    network.mend();
    network.run_until_all(SECOND * 3, "they meet again", Network::all_see_all_up);
}

#[test]
fn of_three_with_two_killed_at_once_the_survivor_finds_both_unreachable() {
    for seed in 0..5 {
        let mut network = Network::settled(seed, 3);
        network.kill(1);
        network.kill(2);
        let gone = |network: &Network| {
            let unreachable = Some(State::Unreachable);
            network.state(0, 1) == unreachable && network.state(0, 2) == unreachable
        };
        network.run_until_all(SECOND * 5, "both are unreachable", gone);
        network.run_for(SECOND * 20);
        assert!(gone(&network), "and stay so");
    }
}

#[test]
fn a_node_cut_off_from_one_peer_only_stays_up() {
    for (seed, n) in [(7, 3), (8, 5)] {
        let mut network = Network::settled(seed, n);
        network.cut(0, 1);
        network.run_for(SECOND * 60);
        assert!(network.all_see_all_up());
        let worst = network.log.iter().find(|(_, _, event)| match event {
            Event::StateChanged { to, .. } => !to.is_live(),
            _ => false,
        });
        assert_eq!(worst, None, "the heartbeat comes by way of the others");
    }
}

#[test]
fn a_restarted_node_is_up_at_once() {
    let mut network = Network::settled(9, 5);
    network.kill(1);
    let down = |network: &Network| network.all_others_see(1, Some(State::Down));
    network.run_until_all(SECOND * 5, "it is down", down);
    network.log.clear();
    network.start(1, &[0]);
    let taken = network.run_until_all(SECOND * 2, "it is up", Network::all_see_all_up);
    println!("up everywhere {taken:?} after its restart");
    for id in [0, 2, 3, 4] {
        let of_id = network.log.iter().filter(|(_, at, _)| *at == id);
        let about: Vec<_> = of_id.map(|(_, _, event)| event.clone()).collect();
        let (from, to) = (State::Down, State::Up);
        let up = Event::StateChanged { id: 1, from, to };
        assert_eq!(about, [Event::Restarted { id: 1 }, up]);
    }
}

#[test]
fn a_restart_too_quick_to_be_missed_is_noticed_without_any_suspicion() {
    let mut network = Network::settled(10, 5);
    network.kill(1);
    network.run_for(ms(100));
    network.start(1, &[0]);
    network.run_for(SECOND * 10);
    assert!(network.all_see_all_up());
    assert_eq!(verdicts_on(&network, 1), []);
    let restarts = network.log.iter().filter(|it| it.2 == Event::Restarted { id: 1 });
    assert_eq!(restarts.count(), 4);
}

#[test]
fn a_new_profile_reaches_everybody() {
    let mut network = Network::settled(11, 20);
    network.node_mut(3).set_profile(profile(3, 77));
    let known = |network: &Network| {
        let ids = network.ids();
        let of_3 = |id: &u32| network.node(*id).member(&3).map(Member::profile).cloned();
        ids.iter().all(|id| of_3(id) == Some(profile(3, 77)))
    };
    let taken = network.run_until_all(SECOND * 2, "all know it", known);
    println!("a profile reaches 20 nodes in {taken:?}");
    let changes = network.log.iter().filter(|it| it.2 == Event::ProfileChanged { id: 3 });
    assert_eq!(changes.count(), 19, "each notes it once");
}

#[test]
fn who_leaves_has_left_everywhere_and_did_not_fail() {
    for (seed, n, loss) in [(12, 3, 0), (13, 20, 0), (14, 20, 20)] {
        let mut network = Network::settled(seed, n);
        network.loss_percent = loss;
        network.input(1, Input::Leave);
        network.run_for(SECOND);
        network.kill(1);
        let left = |network: &Network| network.all_others_see(1, Some(State::Left));
        network.run_until_all(SECOND * 2, "it has left", left);
        network.run_for(SECOND * 10);
        assert!(left(&network));
        assert!(verdicts_on(&network, 1).iter().all(|state| *state == State::Left));

        network.start(1, &[0]);
        network.run_until_all(SECOND * 3, "it is back", Network::all_see_all_up);
    }
}

#[test]
fn a_fifth_of_all_messages_lost_convicts_nobody() {
    let mut network = Network::settled(15, 20);
    network.loss_percent = 20;
    network.max_delay_ms = 100;
    network.run_for(network.config.round_interval * 500); // 10^4 node-rounds.
    assert_eq!(network.log, [], "not even a suspicion");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_a_different_one() {
    let trace = |seed| {
        let mut network = Network::new(seed);
        network.trace = Some(vec![]);
        network.loss_percent = 10;
        (0..5).for_each(|id| network.start(id, &[0]));
        network.run_for(SECOND * 2);
        network.kill(2);
        network.run_for(SECOND * 4);
        network.trace.unwrap()
    };
    let first = trace(16);
    assert!(first.len() > 500);
    assert_eq!(first, trace(16));
    assert_ne!(first, trace(17));
}

#[test]
fn a_cluster_split_in_half_rejoins_by_itself() {
    for (seed, n) in [(18, 6), (19, 30)] {
        let mut network = Network::settled(seed, n);
        network.split_at(n / 2);
        let apart = |network: &Network| {
            let ids = network.ids();
            let pairs = ids.iter().flat_map(|a| ids.iter().map(move |b| (*a, *b)));
            let expected = |a: u32, b: u32| match (a < n / 2) == (b < n / 2) {
                true => State::Up,
                false => State::Down,
            };
            pairs.into_iter().all(|(a, b)| network.state(a, b) == Some(expected(a, b)))
        };
        network.run_until_all(SECOND * 10, "each half condemns the other", apart);
        network.run_for(SECOND * 60);
        assert!(apart(&network));
        network.mend();
        let taken = network.run_until_all(SECOND * 10, "one cluster", Network::all_see_all_up);
        println!("two halves of {n} are one cluster {taken:?} after the cut is mended");
    }
}

#[test]
fn islands_founded_from_overlapping_seeds_become_one_cluster() {
    let mut network = Network::new(20);
    (0..6).for_each(|id| network.start(id, &[id / 3 * 3, 3]));
    network.split_at(3);
    network.run_for(SECOND * 20);
    assert!((0..6).all(|id| network.node(id).members().count() == 3));
    network.mend();
    network.run_until_all(SECOND * 30, "one cluster", Network::all_see_all_up);
}

#[test]
fn failed_requests_hasten_the_verdict() {
    let mut network = Network::settled(21, 5);
    network.kill(1);
    for id in network.ids() {
        let evidence = Evidence::Failed;
        network.input(id, Input::Evidence { id: 1, evidence });
    }
    let down = |network: &Network| network.all_others_see(1, Some(State::Down));
    let taken = network.run_until_all(SECOND * 5, "it is down", down);
    assert!(taken < ms(1500), "{taken:?}");
}

#[test]
fn failed_requests_to_a_node_that_still_gossips_convict_nobody() {
    let mut network = Network::settled(22, 5);
    for _ in 0..50 {
        for id in [0, 2, 3, 4] {
            let evidence = Evidence::Failed;
            network.input(id, Input::Evidence { id: 1, evidence });
        }
        network.run_for(ms(200));
    }
    let convicted = verdicts_on(&network, 1);
    assert!(!convicted.contains(&State::Down), "{convicted:?}");
}

#[test]
fn a_node_that_was_frozen_blames_nobody_and_is_up_again_soon() {
    let mut network = Network::settled(23, 5);
    let frozen = network.node(1).clone();
    network.kill(1);
    network.run_for(SECOND * 30);
    assert!(network.all_others_see(1, Some(State::Down)));
    network.log.clear();
    network.thaw(frozen);
    network.run_until_all(SECOND * 2, "it is up", Network::all_see_all_up);
    network.run_for(SECOND * 10);
    let blamed: BTreeSet<u32> = (network.log.iter())
        .filter_map(|(_, _, event)| match event {
            Event::StateChanged { id, .. } if *id != 1 => Some(*id),
            _ => None,
        })
        .collect();
    assert_eq!(blamed, BTreeSet::new());
}

#[test]
fn two_processes_with_one_id_are_both_told() {
    let mut network = Network::settled(24, 3);
    let foreign = super::update(1, 500, 3, 1);
    network.input(0, Input::Message(super::ack2([foreign])));
    network.run_for(SECOND);
    let superseded = Event::Superseded { incarnation: Incarnation(500), profile: Some(super::profile(1, 0)) };
    assert!(network.log.iter().any(|it| it.1 == 1 && it.2 == superseded));
    assert!(network.node(1).incarnation() > Incarnation(500));
    let theirs = network.node(0).member(&1).map(Member::incarnation);
    assert_eq!(theirs, Some(network.node(1).incarnation()));
}
