//! What the simulation must do with every library.

use crate::cluster::Cluster;
use crate::network::Traffic;
use crate::peer::{Micros, Peer, SECOND};
use crate::peers::{chitchat, foca, kvorum};
use crate::variants::Variant;

/// A cluster of ten with a mass start behind it, at a fifth of all messages lost.
fn ten<P: Peer>(settings: P::Settings, seed: u64) -> Cluster<P> {
    let mut cluster = Cluster::<P>::new(settings, 10, 11, 0.2, seed);
    (0..10).for_each(|node| cluster.start_after(node, node as Micros * 1000));
    cluster.run(20 * SECOND).unwrap();
    cluster
}

/// What is counted must be what the library says of itself: through pauses, a crash, and a newcomer.
fn views_agree<P: Peer>(settings: P::Settings) {
    let mut cluster = ten::<P>(settings, 7);
    let mut seconds = 0;
    let mut agree = |cluster: &mut Cluster<P>, time: u64| {
        for _ in 0..time {
            cluster.run(SECOND).unwrap();
            seconds += 1;
            for (node, there) in cluster.nodes.iter().enumerate() {
                if let Some(there) = there {
                    assert_eq!(there.peer.live(), cluster.views.live(node), "node {node} after {seconds} s");
                }
            }
        }
    };
    agree(&mut cluster, 20);
    cluster.crash(5);
    cluster.start(10).unwrap();
    agree(&mut cluster, 30);
    [3, 8].into_iter().for_each(|node| cluster.let_pause(node));
    agree(&mut cluster, 60);
    assert!(cluster.views.sees(0) > 2 && cluster.network.traffic.messages > 1000);
}

#[test]
fn the_views_of_kvorum_are_its_own() {
    views_agree::<kvorum::Kvorum>(Variant::Kvorum.kvorum());
}

#[test]
fn the_views_of_foca_are_its_own() {
    for variant in [Variant::Foca, Variant::FocaIdentity, Variant::Foca200ms] {
        views_agree::<foca::FocaPeer>(variant.foca(10).unwrap());
    }
}

#[test]
fn the_views_of_chitchat_are_its_own() {
    views_agree::<chitchat::Chitchat>(Variant::Chitchat200ms.chitchat());
}

#[test]
fn equal_seeds_give_equal_runs() {
    fn traffic<P: Peer>(settings: P::Settings, seed: u64) -> Traffic {
        ten::<P>(settings, seed).network.traffic
    }
    let kvorum = |seed| traffic::<kvorum::Kvorum>(Variant::Kvorum.kvorum(), seed);
    let foca = |seed| traffic::<foca::FocaPeer>(Variant::Foca.foca(10).unwrap(), seed);
    assert!(kvorum(1) == kvorum(1) && kvorum(1) != kvorum(2));
    assert!(foca(1) == foca(1) && foca(1) != foca(2));
}

#[test]
fn chitchat_gossips_as_often_as_it_was_told() {
    let mut cluster = Cluster::<chitchat::Chitchat>::new(Variant::Chitchat.chitchat(), 2, 2, 1.0, 1);
    cluster.start(0).unwrap();
    cluster.start(1).unwrap();
    // Nobody hears of the other: each contacts the other as a seed, in the round at its start and in ten more.
    cluster.run(10 * SECOND).unwrap();
    assert_eq!(cluster.network.traffic.messages, 22);
}
