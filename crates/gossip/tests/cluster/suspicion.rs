//! Noticing the dead, and not more than those.

use kvorum_gossip::{Config, Event, Evidence, Input, State};

use crate::network::{Network, id, ms};

fn down(network: &Network) -> bool {
    network.all_others_see(1, Some(State::Down))
}

#[test]
fn a_crash_is_noticed_everywhere() {
    for (seed, n, loss) in [(1, 3, 0), (2, 5, 0), (3, 5, 20), (4, 10, 0), (5, 50, 0), (6, 50, 20), (7, 200, 0)] {
        let mut network = Network::settled(seed, n, Config::default());
        network.loss_percent = loss;
        network.run_rounds(50);
        network.kill(1);
        let taken = network.run_until(ms(8000), "it is down", down);
        let rounds = taken.as_millis() / 200;
        println!("one of {n} at {loss} % loss is down everywhere after {rounds} rounds");
        assert!(rounds >= 7, "not before its silence is long: {rounds}");
        assert!(loss > 0 || rounds <= 15, "{rounds}");
        network.run_for(ms(10_000));
        assert!(down(&network), "and stays so");
        let others = network.verdicts(State::Down).into_iter().find(|(_, target)| *target != 1);
        assert_eq!(others, None);
    }
}

#[test]
fn without_watchers_a_crash_goes_unnoticed() {
    let mut network = Network::settled(3, 20, Config { watchers: 0, ..Config::default() });
    network.kill(1);
    network.run_for(ms(20_000));
    assert_eq!(network.verdicts(State::Down), []);
}

#[test]
fn a_third_of_all_dying_at_once_is_noticed() {
    let mut network = Network::settled(4, 60, Config::default());
    (40..60).for_each(|node| network.kill(node));
    let all_down = |network: &Network| (40..60).all(|node| network.all_others_see(node, Some(State::Down)));
    let taken = network.run_until(ms(20_000), "they are down", all_down);
    println!("twenty of sixty are down everywhere after {taken:?}");
    network.run_for(ms(10_000));
    assert!(all_down(&network));
    assert!(network.verdicts(State::Down).iter().all(|(_, target)| *target >= 40));
}

#[test]
fn of_three_with_two_killed_at_once_the_survivor_finds_both_unreachable() {
    for seed in 0..5 {
        let mut network = Network::settled(seed, 3, Config::default());
        network.kill(1);
        network.kill(2);
        let gone = |network: &Network| [1, 2].iter().all(|it| network.state(0, *it) == Some(State::Unreachable));
        network.run_until(ms(5000), "both are unreachable", gone);
        network.run_for(ms(20_000));
        assert!(gone(&network), "and stay so");
    }
}

#[test]
fn a_fifth_of_all_messages_lost_convicts_nobody() {
    let mut network = Network::settled(15, 60, Config::default());
    (network.loss_percent, network.duplicate_percent, network.max_delay_ms) = (20, 10, 300);
    network.run_rounds(1000);
    assert_eq!(network.verdicts(State::Down), []);
    assert_eq!(network.verdicts(State::Unreachable), []);
}

/// False verdicts on members that never stopped, while a tenth of all others do for seconds.
fn wrong_verdicts(config: Config) -> usize {
    let mut network = Network::settled(16, 60, config);
    let mut script = network.random.clone();
    for _ in 0..120 {
        for node in 0..6 {
            if script.below(8) == 0 {
                network.pause(node, ms(1000 + script.below(7000)));
            }
        }
        network.run_for(ms(1000));
    }
    network.verdicts(State::Down).iter().filter(|(_, target)| *target >= 6).count()
}

#[test]
fn nodes_that_stop_now_and_then_convict_nobody() {
    assert_eq!(wrong_verdicts(Config::default()), 0);
}

#[test]
fn without_witnesses_and_self_doubt_they_do() {
    let wrong = wrong_verdicts(Config { witnesses: 1, lifeguard: false, ..Config::default() });
    println!("{wrong} wrong verdicts");
    assert!(wrong > 0, "otherwise the test beside this one shows nothing");
}

#[test]
fn a_node_cut_off_from_one_peer_only_stays_up() {
    for (seed, n, one_way) in [(7, 3, false), (8, 5, false), (9, 5, true), (10, 40, false), (11, 40, true)] {
        let mut network = Network::settled(seed, n, Config::default());
        // Some peer that watches it.
        let watcher = (0..n).find(|node| *node != 1 && network.node(*node).watched().any(|it| *it == id(1))).unwrap();
        network.cut(watcher, 1);
        if one_way {
            network.cuts.remove(&(watcher, 1));
        }
        network.run_for(ms(300_000));
        assert_eq!(network.verdicts(State::Down), [], "{n} nodes");
        assert_eq!(network.verdicts(State::Unreachable), []);
        let suspicions = network
            .log
            .iter()
            .filter(|(_, at, event)| *at == watcher && matches!(event, Event::StateChanged { to: State::Suspect, .. }));
        let suspicions = suspicions.count();
        println!("{n} nodes: its watcher suspected it {suspicions} times in 1500 rounds");
        assert!(suspicions <= 12, "a witness that was wrong learns from it");
    }
}

/// Who is found down when one node can reach another neither by gossip nor by requests, while all others can.
fn found_down_by_one(witnesses: u32) -> Vec<(usize, usize)> {
    let mut network = Network::settled(10, 40, Config { witnesses, ..Config::default() });
    network.cut(0, 1);
    for _ in 0..100 {
        network.input(0, Input::Evidence { id: id(1), evidence: Evidence::Failed });
        network.run_for(ms(200));
    }
    network.verdicts(State::Down)
}

#[test]
fn one_node_that_is_cut_off_does_not_convict_in_the_name_of_all() {
    assert_eq!(found_down_by_one(2), []);
    assert!(!found_down_by_one(1).is_empty(), "otherwise two witnesses would be good for nothing");
}

#[test]
fn failed_requests_hasten_the_verdict() {
    for n in [5, 100] {
        let mut network = Network::settled(21, n, Config::default());
        network.kill(1);
        for node in [0, 2, 3] {
            network.input(node, Input::Evidence { id: id(1), evidence: Evidence::Failed });
        }
        let taken = network.run_until(ms(5000), "it is down", down);
        println!("with failed requests one of {n} is down after {taken:?}");
        assert!(taken < ms(1400), "{taken:?}");
    }
}

#[test]
fn failed_requests_to_a_node_that_still_gossips_convict_nobody() {
    let mut network = Network::settled(22, 20, Config::default());
    for _ in 0..50 {
        for node in [0, 2, 3, 4] {
            network.input(node, Input::Evidence { id: id(1), evidence: Evidence::Failed });
        }
        network.run_for(ms(200));
    }
    assert_eq!(network.verdicts(State::Down), []);
}

#[test]
fn a_node_that_was_frozen_blames_nobody_and_is_up_again_soon() {
    for n in [5, 60] {
        let mut network = Network::settled(23, n, Config::default());
        network.pause(1, ms(30_000));
        network.run_for(ms(29_900));
        for node in (0..n).filter(|node| *node != 1) {
            assert_eq!(network.state(node, 1), Some(State::Down));
        }
        network.log.clear();
        network.run_for(ms(100));
        network.run_until(ms(2000), "it is up", Network::all_see_all_up);
        network.run_for(ms(10_000));
        for state in [State::Suspect, State::Unreachable, State::Down] {
            assert!(network.verdicts(state).iter().all(|(_, target)| *target == 1));
        }
    }
}
