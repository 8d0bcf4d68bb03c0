//! Clusters that are cut in parts, and find together again by themselves.

use kvorum_gossip::{Config, State};

use crate::network::{Network, ms};

/// Cuts the nodes below `border` off from the others.
fn split(network: &mut Network, border: usize) {
    for (node, side) in network.sides.iter_mut().enumerate() {
        *side = u8::from(node >= border);
    }
}

/// Whether everybody takes its own side for up, and the other for down.
fn apart(network: &Network) -> bool {
    let n = network.sides.len();
    let pairs = (0..n).flat_map(|a| (0..n).map(move |b| (a, b)));
    pairs.into_iter().all(|(a, b)| {
        let expected = if network.sides[a] == network.sides[b] { State::Up } else { State::Down };
        network.state(a, b) == Some(expected)
    })
}

#[test]
fn a_cluster_split_in_half_rejoins_by_itself() {
    for (seed, n) in [(18, 6), (19, 30), (20, 100)] {
        let mut network = Network::settled(seed, n, Config::default());
        split(&mut network, n / 2);
        let taken = network.run_until(ms(40_000), "each half condemns the other", apart);
        println!("the halves of {n} have condemned each other after {taken:?}");
        network.run_for(ms(20_000));
        assert!(apart(&network), "and go on doing so");
        network.mend();
        let taken = network.run_until(ms(10_000), "one cluster", Network::all_see_all_up);
        println!("two halves of {n} are one cluster {taken:?} after the cut is mended");
    }
}

#[test]
fn a_few_that_are_cut_off_from_many_find_out() {
    let mut network = Network::settled(21, 60, Config::default());
    split(&mut network, 3);
    network.run_until(ms(120_000), "each side condemns the other", apart);
    network.mend();
    network.run_until(ms(10_000), "one cluster", Network::all_see_all_up);
}

#[test]
fn two_nodes_that_lose_each_other_are_unreachable_and_return() {
    let mut network = Network::settled(6, 2, Config::default());
    network.cut(0, 1);
    network.run_for(ms(60_000));
    assert_eq!(network.state(0, 1), Some(State::Unreachable));
    assert_eq!(network.state(1, 0), Some(State::Unreachable));
    assert_eq!(network.verdicts(State::Down), []);
    network.mend();
    network.run_until(ms(3000), "they meet again", Network::all_see_all_up);
}

#[test]
fn a_node_that_loses_everybody_returns() {
    for n in [5, 60] {
        let mut network = Network::settled(7, n, Config::default());
        split(&mut network, 1);
        network.run_for(ms(60_000));
        let isolated = network.node(0).is_isolated();
        assert!(isolated && (1..n).all(|node| network.state(0, node) == Some(State::Unreachable)));
        assert!((1..n).all(|node| network.state(node, 0) == Some(State::Down)));
        network.log.clear();
        network.mend();
        network.run_until(ms(3000), "it is back", Network::all_see_all_up);
        network.run_for(ms(10_000));
        for state in [State::Suspect, State::Down] {
            assert_eq!(network.verdicts(state), [], "nobody is blamed for what the network did");
        }
    }
}

#[test]
fn a_node_that_is_heard_and_hears_nothing_convicts_nobody() {
    let mut network = Network::settled(8, 20, Config::default());
    (0..20).filter(|node| *node != 1).for_each(|node| network.cuts.extend([(node, 1)]));
    network.run_for(ms(60_000));
    assert!(network.node(1).is_isolated());
    assert_eq!(network.verdicts(State::Down), [], "it is heard, and says nothing worth hearing");
    network.mend();
    network.run_until(ms(3000), "all is well", Network::all_see_all_up);
}

#[test]
fn a_node_that_hears_and_is_not_heard_is_down_and_returns() {
    let mut network = Network::settled(9, 20, Config::default());
    (0..20).filter(|node| *node != 1).for_each(|node| network.cuts.extend([(1, node)]));
    network.run_until(ms(6000), "it is down", |network| network.all_others_see(1, Some(State::Down)));
    network.run_for(ms(20_000));
    assert!(network.verdicts(State::Down).iter().all(|(_, target)| *target == 1));
    network.mend();
    network.run_until(ms(3000), "all is well", Network::all_see_all_up);
}

#[test]
fn all_seeds_may_die_and_return() {
    let mut network = Network::settled(10, 30, Config::default());
    let seeds = [0, 15];
    seeds.iter().for_each(|seed| network.kill(*seed));
    let dead = |network: &Network| seeds.iter().all(|seed| network.all_others_see(*seed, Some(State::Down)));
    network.run_until(ms(6000), "the seeds are down", dead);
    network.run_for(ms(20_000));
    // A newcomer that knows only the seeds waits for them.
    network.start(30, &seeds);
    network.run_for(ms(5000));
    assert_eq!(network.node(30).members().count(), 1);
    // They come back, knowing nobody but each other; the members look for those they have lost.
    network.start(0, &seeds);
    network.start(15, &seeds);
    network.run_until(ms(10_000), "one cluster", Network::all_see_all_up);
}

#[test]
fn islands_founded_from_overlapping_seeds_become_one_cluster() {
    let mut network = Network::new(20, Config::default());
    (0..6).for_each(|node| network.start(node, &[node / 3 * 3, 3]));
    split(&mut network, 3);
    network.run_for(ms(20_000));
    assert!((0..6).all(|node| network.node(node).members().count() == 3));
    network.mend();
    network.run_until(ms(30_000), "one cluster", Network::all_see_all_up);
}
