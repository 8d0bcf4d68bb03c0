//! Forgetting the dead, and not taking old news of them for life.

use core::time::Duration;
use std::collections::BTreeSet;

use kvorum_gossip::{Config, Event, Input, State};

use crate::network::{Network, id, ms};

/// A settled cluster in which the dead are forgotten after ten seconds.
fn forgetful(seed: u64, n: usize) -> Network {
    let config = Config { forget_after: Duration::from_secs(10), ..Config::default() };
    Network::settled(seed, n, config)
}

fn down(network: &Network) -> bool {
    network.all_others_see(1, Some(State::Down))
}

fn forgotten(network: &Network) -> bool {
    network.all_others_see(1, None)
}

/// How often `event` was noted, by anybody.
fn count(network: &Network, event: &Event<u64, core::net::SocketAddr>) -> usize {
    network.log.iter().filter(|it| it.2 == *event).count()
}

#[test]
fn the_dead_are_forgotten_everywhere_once_and_for_all() {
    for (seed, n) in [(1, 3), (2, 3), (3, 10), (4, 50)] {
        let mut network = forgetful(seed, n);
        network.kill(1);
        network.run_until(ms(5000), "it is down", down);
        network.run_for(ms(9000));
        assert!(down(&network), "remembered for its time");
        network.run_until(ms(4000), "it is forgotten", forgotten);
        network.run_for(ms(40_000));
        assert!(forgotten(&network));
        assert_eq!(count(&network, &Event::Forgotten { id: id(1) }), n - 1);
        assert_eq!(count(&network, &Event::Joined { id: id(1) }), 0, "no zombie");
        network.start(1, &[0]);
        network.run_until(ms(2000), "it is back", Network::all_see_all_up);
    }
}

#[test]
fn who_left_is_forgotten() {
    let mut network = forgetful(5, 4);
    network.input(1, Input::Leave);
    network.run_for(ms(1000));
    network.kill(1);
    network.run_for(ms(8000));
    assert!(network.all_others_see(1, Some(State::Left)));
    network.run_for(ms(4000));
    assert!(forgotten(&network));
}

#[test]
fn members_that_are_kept_are_never_forgotten() {
    let mut network = forgetful(6, 4);
    network.node_mut(0).keep(BTreeSet::from([id(1)]));
    network.kill(1);
    network.run_for(ms(60_000));
    assert_eq!(network.state(0, 1), Some(State::Down), "although the others have forgotten it");
    assert_eq!(network.state(2, 1), None);
    network.node_mut(0).keep(BTreeSet::new());
    network.run_for(ms(1000));
    assert!(forgotten(&network));
}

#[test]
fn a_newcomer_that_hears_of_the_dead_learns_that_they_are() {
    let mut network = forgetful(7, 5);
    // One never forgets, and tells everybody who asks.
    network.node_mut(0).keep(BTreeSet::from([id(1)]));
    network.kill(1);
    network.run_for(ms(16_000));
    assert_eq!(network.state(2, 1), None);
    network.start(5, &[0]);
    network.run_until(ms(5000), "it hears of it", |network| network.state(5, 1).is_some());
    network.run_until(ms(8000), "and that it is dead", |network| network.state(5, 1) == Some(State::Down));
    network.run_for(ms(20_000));
    assert_eq!(network.state(2, 1), None, "who has forgotten it does not learn it again");
    assert_eq!(count(&network, &Event::Joined { id: id(1) }), 1);
}

#[test]
fn a_live_member_that_was_forgotten_comes_back_with_a_higher_incarnation() {
    let mut network = forgetful(8, 4);
    network.sides[3] = 1;
    network.run_for(ms(18_000));
    assert!(network.all_others_see(3, Some(State::Unreachable)) || (0..3).all(|node| network.state(node, 3).is_none()));
    assert_eq!(network.state(3, 0), Some(State::Unreachable));
    network.mend();
    network.run_until(ms(5000), "it is back", Network::all_see_all_up);
    assert!(network.node(3).incarnation().0 > 1);
}

#[test]
fn two_halves_that_have_forgotten_each_other_meet_again_over_their_seeds() {
    for (seed, n) in [(9, 6), (10, 40)] {
        let mut network = forgetful(seed, n);
        (n / 2..n).for_each(|node| network.sides[node] = 1);
        let apart = |network: &Network| (0..n).all(|node| network.node(node).members().count() == n / 2);
        network.run_until(ms(40_000), "each half forgets the other", apart);
        network.mend();
        let taken = network.run_until(ms(40_000), "one cluster", Network::all_see_all_up);
        println!("two halves of {n} that had forgotten each other are one after {taken:?}");
        assert!((0..n).all(|node| network.node(node).incarnation().0 > 1), "all had to come back");
        network.run_for(ms(3000));
        network.log.clear();
        network.run_for(ms(20_000));
        assert_eq!(network.log.first(), None, "and that was it");
    }
}
