//! What a few hundred nodes do in the time of a test; a thousand and more are measured by `examples/tables.rs`.

use kvorum_gossip::{Config, State};

use crate::network::{Network, id, ms};

#[test]
fn a_change_reaches_three_hundred_nodes_within_ten_rounds() {
    for loss in [0, 20] {
        let mut network = Network::settled(1, 300, Config::default());
        network.loss_percent = loss;
        network.run_rounds(10);
        network.node_mut(7).set("key", *b"value").unwrap();
        let all_know = |network: &Network| {
            (0..300).all(|node| network.node(node).member(&id(7)).is_some_and(|it| it.get("key") == Some(b"value")))
        };
        let taken = network.run_until(ms(2000), "all know it", all_know);
        println!("at {loss} % loss a change reaches 300 nodes in {taken:?}");
    }
}

#[test]
fn a_crash_among_three_hundred_is_noticed_within_twenty_five_rounds() {
    let mut network = Network::settled(2, 300, Config::default());
    network.kill(9);
    network.run_until(ms(5000), "it is down", |network| network.all_others_see(9, Some(State::Down)));
}

#[test]
fn at_rest_a_node_sends_less_than_twenty_kilobytes_a_second() {
    let mut network = Network::settled(3, 300, Config::default());
    network.counts_traffic = true;
    network.run_for(ms(4000));
    let per_second = network.traffic.bytes / 300 / 4;
    println!("{per_second} bytes/s, the largest message {} bytes", network.traffic.largest);
    assert!(per_second < 20_000, "{per_second} bytes/s");
    assert!(network.traffic.largest < 600, "nothing is compared while all agree");
    assert_eq!(network.log, []);
}
