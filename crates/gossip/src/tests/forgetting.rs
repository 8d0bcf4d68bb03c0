//! Forgetting the dead, and not taking old news of them for life.

use core::time::Duration;
use std::collections::BTreeSet;
use std::vec::Vec;

use super::network::Network;
use super::{ack2, address, update};
use crate::{Config, Digest, Effect, Event, Incarnation, Input, Message, State};

const SECOND: Duration = Duration::from_secs(1);

/// A settled cluster in which the dead are forgotten after ten seconds.
fn forgetful(seed: u64, n: u32, seeds: &[u32]) -> Network {
    let mut network = Network::new(seed);
    network.config = Config { forget_after: SECOND * 10, ..Config::default() };
    (0..n).for_each(|id| network.start(id, seeds));
    network.run_until_all(SECOND * 10, "the cluster forms", Network::all_see_all_up);
    network.log.clear();
    network
}

/// How often `event` was noted, by anybody.
fn count(network: &Network, event: &Event<u32, u32, u32>) -> usize {
    network.log.iter().filter(|it| it.2 == *event).count()
}

/// Whom a node says it suspects.
fn suspects(network: &Network, id: u32) -> Vec<(u32, Incarnation)> {
    let me = network.node(id).member(&id).expect("it knows itself");
    me.update(true).details.expect("its own").suspects
}

/// What a node would ask for if it were sent this digest.
fn wanted(network: &Network, id: u32, digest: Digest<u32>) -> Vec<u32> {
    let (mut node, mut out) = (network.node(id).clone(), Vec::new());
    let syn = Message::Syn { from: address(9), digests: [digest].into() };
    node.handle(network.now, Input::Message(syn), &mut out);
    match out.pop() {
        Some(Effect::Send { message: Message::Ack { wanted, .. }, .. }) => wanted,
        other => panic!("an answer to a Syn: {other:?}"),
    }
}

#[test]
fn the_dead_are_forgotten_everywhere_once_and_for_all() {
    for (seed, n) in [(1, 3), (2, 3), (3, 10)] {
        let mut network = forgetful(seed, n, &[0]);
        network.kill(1);
        let down = |network: &Network| network.all_others_see(1, Some(State::Down));
        network.run_until_all(SECOND * 5, "it is down", down);
        network.run_for(SECOND * 9);
        assert!(down(&network), "remembered for its time");
        let forgotten = |network: &Network| network.all_others_see(1, None);
        network.run_until_all(SECOND * 4, "it is forgotten", forgotten);
        network.run_for(SECOND * 40);
        assert!(forgotten(&network));
        assert_eq!(count(&network, &Event::Forgotten { id: 1 }), n as usize - 1);
        assert_eq!(count(&network, &Event::Joined { id: 1 }), 0);
        assert_eq!(suspects(&network, 0), [], "nobody speaks of it any more");

        network.start(1, &[0]);
        network.run_until_all(SECOND * 2, "it is back", Network::all_see_all_up);
    }
}

#[test]
fn a_newcomer_that_hears_of_the_dead_forgets_them_too() {
    let mut network = forgetful(4, 3, &[0]);
    network.kill(1);
    let one_has_forgotten = |network: &Network| network.state(0, 1).is_none() || network.state(2, 1).is_none();
    network.run_until_all(SECOND * 20, "one has forgotten", one_has_forgotten);
    // Whoever still remembers tells the newcomer, who must not be left alone with the news.
    network.start(3, &[0, 2]);
    let heard = update(1, 1, 5, 1);
    network.input(3, Input::Message(ack2([heard])));
    network.run_for(SECOND * 5);
    assert_eq!(network.state(3, 1), Some(State::Down));
    network.run_for(SECOND * 15);
    assert!(network.all_others_see(1, None));
}

#[test]
fn who_left_is_forgotten() {
    let mut network = forgetful(5, 4, &[0]);
    network.input(1, Input::Leave);
    network.run_for(SECOND);
    network.kill(1);
    network.run_for(SECOND * 8);
    assert!(network.all_others_see(1, Some(State::Left)));
    assert_eq!(suspects(&network, 0), [], "its silence is no failure");
    network.run_for(SECOND * 4);
    assert!(network.all_others_see(1, None));
    assert_eq!(suspects(&network, 0), []);
}

#[test]
fn members_of_a_live_layout_are_never_forgotten() {
    let mut network = forgetful(6, 4, &[0]);
    network.node_mut(0).keep(BTreeSet::from([1]));
    network.kill(1);
    network.run_for(SECOND * 60);
    assert_eq!(network.state(0, 1), Some(State::Down), "although the others have forgotten it");
    assert_eq!(network.state(2, 1), None);
    network.node_mut(0).keep(BTreeSet::new());
    network.run_for(SECOND);
    assert!(network.all_others_see(1, None));
}

#[test]
fn an_old_record_does_not_bring_a_forgotten_member_back_but_a_new_life_does() {
    let mut network = forgetful(7, 3, &[0]);
    network.kill(1);
    network.run_for(SECOND * 17);
    assert!(network.all_others_see(1, None));
    network.log.clear();
    assert_eq!(suspects(&network, 0), [(1, Incarnation(1))]);
    let digest =
        |incarnation| Digest { id: 1, incarnation: Incarnation(incarnation), heartbeat: 1_000_000, version: 9 };
    assert_eq!(wanted(&network, 0, digest(1)), [], "nobody asks for it");
    assert_eq!(wanted(&network, 0, digest(2)), [1]);
    network.input(0, Input::Message(ack2([update(1, 1, 1_000_000, 9)])));
    network.run_for(SECOND);
    assert!(network.all_others_see(1, None));
    network.input(0, Input::Message(ack2([update(1, 2, 0, 1)])));
    assert_eq!(network.state(0, 1), Some(State::Up));
    assert_eq!(count(&network, &Event::Joined { id: 1 }), 1);
    assert_eq!(suspects(&network, 0), [], "the old charge is void");
}

#[test]
fn a_live_member_that_was_forgotten_comes_back_with_a_higher_incarnation() {
    let mut network = forgetful(8, 4, &[0]);
    network.split_at(3);
    network.run_for(SECOND * 18);
    assert!(network.all_others_see(3, None));
    assert_eq!(network.state(3, 0), Some(State::Unreachable));
    network.mend();
    network.run_until_all(SECOND * 5, "it is back", Network::all_see_all_up);
    assert!(network.node(3).incarnation().0 > 1);
}

#[test]
fn two_halves_that_have_forgotten_each_other_meet_again_over_their_seeds() {
    let mut network = forgetful(9, 6, &[0, 3]);
    network.split_at(3);
    network.run_for(SECOND * 18);
    let members = |id| -> Vec<u32> { network.node(id).members().map(|it| *it.id()).collect() };
    assert_eq!(members(0), [0, 1, 2]);
    assert_eq!(members(5), [3, 4, 5]);
    network.mend();
    network.run_until_all(SECOND * 20, "one cluster", Network::all_see_all_up);
    assert!((0..6).all(|id| network.node(id).incarnation().0 > 1), "all had to come back");
}
