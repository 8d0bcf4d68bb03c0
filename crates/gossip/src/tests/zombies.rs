//! What a machine does with old news of a member that it has forgotten, and what it would do without the memory of those.

use super::*;

/// A node that has just forgotten member 2, which had left, and how late it is.
fn forgetting() -> (Node, u64) {
    let config = Config { forget_after: Duration::from_secs(30), ..Config::default() };
    let setup = Setup { random_seed: 1, ..Setup::new(1, address(1)) };
    let mut node: Node = Gossip::new(config, setup, ms(0)).unwrap();
    told(&mut node, 0, vec![delta(2, 1, 10, 4)]);
    let gone = Record { left: true, version: 5, ..record(2, 1, 4) };
    told(&mut node, 100, vec![delta_of(2, 11, gone)]);
    assert_eq!(state(&node, 2), Some(State::Left));
    let late = 31_000;
    let forgot = events(&run_to(&mut node, late));
    assert!(forgot.contains(&Event::Forgotten { id: 2 }), "{forgot:?}");
    (node, late)
}

/// Somebody who never heard that it left goes on telling what it was.
fn old_news() -> Vec<Delta<u32, u32>> {
    vec![delta(2, 1, 12, 4)]
}

#[test]
fn old_news_brings_no_forgotten_member_back_however_long_it_is_told() {
    let (mut node, late) = forgetting();
    for second in 0..120 {
        let now = late + second * 1000;
        run_to(&mut node, now);
        let events = told(&mut node, now, old_news());
        assert_eq!((events, state(&node, 2)), (vec![], None), "after {second} s");
    }
}

#[test]
fn without_the_memory_of_forgotten_members_old_news_makes_a_zombie() {
    let (mut node, late) = forgetting();
    node.remember_no_forgotten();
    let events = told(&mut node, late, old_news());
    assert!(events.contains(&Event::Joined { id: 2 }), "{events:?}");
    assert_eq!(state(&node, 2), Some(State::Up), "although it has left");
}

#[test]
fn a_new_life_of_a_forgotten_member_is_welcome() {
    let (mut node, late) = forgetting();
    let events = told(&mut node, late, vec![delta(2, 2, 1, 1)]);
    assert!(events.contains(&Event::Joined { id: 2 }), "{events:?}");
    assert_eq!(state(&node, 2), Some(State::Up));
}
