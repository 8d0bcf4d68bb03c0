//! Finding each other, telling each other what is new, leaving, restarting.

use kvorum_gossip::{Config, Event, Incarnation, Input, State};

use crate::network::{Network, address, id, ms};

#[test]
fn two_nodes_meet_over_one_seed() {
    let mut network = Network::new(1, Config::default());
    network.start(0, &[]);
    network.start(1, &[0]);
    network.run_until(ms(400), "they meet", Network::all_see_all_up);
    let noted: Vec<_> = network.log.iter().map(|(_, at, event)| (*at, event.clone())).collect();
    assert!(noted.contains(&(0, Event::Joined { id: id(1) })) && noted.contains(&(1, Event::Joined { id: id(0) })));
    assert_eq!(network.log.len(), 2, "each notes the other once: {:?}", network.log);
}

#[test]
fn a_node_keeps_trying_a_seed_that_starts_late() {
    let mut network = Network::new(2, Config::default());
    network.start(1, &[0]);
    network.run_for(ms(60_000));
    network.start(0, &[]);
    network.run_until(ms(1000), "they meet", Network::all_see_all_up);
}

#[test]
fn clusters_of_any_size_form_from_one_seed() {
    for (n, limit) in [(3, 5), (10, 8), (50, 12), (200, 20)] {
        let mut network = Network::new(n as u64, Config::default());
        network.counts_traffic = true;
        (0..n).for_each(|node| network.start(node, &[0]));
        let taken = network.run_until(ms(20_000), "all know all", Network::all_see_all_up);
        let rounds = taken.as_millis() / 200 + 1;
        println!("{n} nodes know each other after {rounds} rounds");
        assert!(rounds <= limit, "{n} nodes: {rounds} rounds");
    }
}

#[test]
fn a_change_reaches_everybody_once() {
    let mut network = Network::settled(3, 100, Config::default());
    network.loss_percent = 20;
    network.duplicate_percent = 20;
    network.max_delay_ms = 100;
    network.node_mut(3).set("load", *b"77").unwrap();
    let knows =
        |network: &Network, node| network.node(node).member(&id(3)).and_then(|it| it.get("load")) == Some(b"77");
    let all_know = |network: &Network| (0..100).all(|node| knows(network, node));
    let taken = network.run_until(ms(2000), "all know it", all_know);
    println!("a change reaches 100 nodes in {taken:?}");
    network.node_mut(3).remove("load");
    network.run_until(ms(2000), "all have forgotten it", |network| (0..100).all(|node| !knows(network, node)));
}

#[test]
fn a_record_longer_than_a_message_travels_in_pieces() {
    let mut network = Network::settled(4, 20, Config::default());
    network.counts_traffic = true;
    network.loss_percent = 20;
    for key in 0..40_u8 {
        network.node_mut(3).set(format!("key {key}"), vec![key; 500]).unwrap();
    }
    let complete = |network: &Network| {
        let of_3 = |node| network.node(node).member(&id(3)).map(|it| it.metadata().count());
        (0..20).all(|node| of_3(node) == Some(40))
    };
    network.run_until(ms(30_000), "all know all of it", complete);
    network.start(20, &[0]);
    network.run_until(ms(20_000), "so does a newcomer", |network| {
        complete(network) && network.node(20).member(&id(3)).is_some_and(|it| it.metadata().count() == 40)
    });
}

#[test]
fn who_leaves_has_left_everywhere_and_did_not_fail() {
    for (seed, n, loss) in [(12, 3, 0), (13, 20, 0), (14, 20, 20), (15, 200, 20)] {
        let mut network = Network::settled(seed, n, Config::default());
        network.loss_percent = loss;
        network.input(1, Input::Leave);
        network.run_for(ms(1000));
        network.kill(1);
        let left = |network: &Network| network.all_others_see(1, Some(State::Left));
        network.run_until(ms(2000), "it has left", left);
        network.run_for(ms(10_000));
        assert!(left(&network));
        for state in [State::Suspect, State::Unreachable, State::Down] {
            assert!(network.verdicts(state).iter().all(|(_, target)| *target != 1));
        }
        network.start(1, &[0]);
        network.run_until(ms(3000), "it is back", Network::all_see_all_up);
    }
}

#[test]
fn a_restarted_node_is_up_at_once() {
    for pause in [100, 10_000] {
        let mut network = Network::settled(9, 30, Config::default());
        network.kill(1);
        network.run_for(ms(pause));
        let was_down = network.all_others_see(1, Some(State::Down));
        assert_eq!(was_down, pause > 5000);
        network.log.clear();
        network.start(1, &[0]);
        let taken = network.run_until(ms(2000), "it is up", |network| {
            let is_new = |node| network.node(node).member(&id(1)).is_some_and(|it| it.incarnation() == Incarnation(2));
            (0..30).all(is_new) && network.all_see_all_up()
        });
        println!("up everywhere {taken:?} after its restart");
        let restarts = network.log.iter().filter(|it| it.2 == Event::Restarted { id: id(1) });
        assert_eq!(restarts.count(), 29, "each notes it once");
        network.run_for(ms(10_000));
        assert_eq!(network.verdicts(State::Down), []);
    }
}

#[test]
fn a_mass_restart_with_stale_incarnations_settles() {
    let mut network = Network::settled(10, 40, Config::default());
    // Everybody but the first ten restarts, and those of odd number have lost the counter on their disks.
    for node in 10..40 {
        network.kill(node);
        if node % 2 == 1 {
            network.lives[node] = 0;
        }
    }
    network.run_for(ms(1000));
    (10..40).for_each(|node| network.start(node, &[0, 1]));
    network.run_until(ms(20_000), "all know all", Network::all_see_all_up);
    let superseded = network.log.iter().filter(|(_, _, event)| matches!(event, Event::Superseded { .. }));
    assert!(superseded.count() >= 10, "who lost its counter is told");
    network.run_for(ms(3000));
    network.log.clear();
    network.run_for(ms(10_000));
    assert_eq!(network.log.first(), None, "and that was it");
    for node in 10..40 {
        let held = network.node(0).member(&id(node)).map(|it| it.incarnation());
        assert_eq!(held, Some(network.node(node).incarnation()));
    }
}

#[test]
fn two_processes_with_one_id_are_both_told() {
    let mut network = Network::settled(24, 3, Config::default());
    // Another process of node 1 at another address, which node 0 hears of.
    let mut twin = kvorum_gossip::Setup::new(id(1), address(7));
    twin.incarnation = Incarnation(500);
    let mut twin = kvorum_gossip::Gossip::new(Config::default(), twin, network.now).unwrap();
    twin.set("name", *b"twin").unwrap();
    let mut out = Vec::new();
    twin.handle(network.now, Input::Contact(address(0)), &mut out);
    let Some(kvorum_gossip::Effect::Send { message, .. }) = out.pop() else { panic!("a message") };
    // Nothing listens where the twin wants its answer; so it is sent as an answer itself.
    let message = kvorum_gossip::Message { kind: kvorum_gossip::MessageKind::Ack2, ..message };
    network.input(0, Input::Message(message));
    network.run_for(ms(1000));
    let told = network.log.iter().find_map(|(_, at, event)| match event {
        Event::Superseded { incarnation, record } if *at == 1 => Some((*incarnation, record.clone())),
        _ => None,
    });
    let (incarnation, record) = told.expect("it is told");
    assert_eq!(incarnation, Incarnation(500));
    assert_eq!(record.and_then(|it| it.get("name").cloned()).as_deref(), Some(&b"twin"[..]));
    assert!(network.node(1).incarnation() > Incarnation(500));
    let theirs = network.node(0).member(&id(1)).map(|it| it.incarnation());
    assert_eq!(theirs, Some(network.node(1).incarnation()));
}

#[test]
fn the_same_seed_gives_the_same_course_and_another_a_different_one() {
    let course = |seed| {
        let mut network = Network::new(seed, Config::default());
        network.loss_percent = 10;
        (0..12).for_each(|node| network.start(node, &[0]));
        network.run_for(ms(2000));
        network.kill(2);
        network.pause(3, ms(1500));
        network.counts_traffic = true;
        network.run_for(ms(4000));
        (network.log, network.traffic)
    };
    let first = course(16);
    assert!(first.0.len() > 100);
    assert_eq!(first, course(16));
    assert_ne!(first, course(17));
}
