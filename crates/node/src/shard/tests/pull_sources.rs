//! From whom a node in doubt pulls which partitions.

use std::collections::BTreeSet;

use super::bench::*;
use super::pull::{answer_all, doubtful, page, progress, with_default};
use crate::Message;
use crate::shard::PullProgress;

fn nodes(asked: &BTreeSet<(u64, u16)>) -> Vec<u64> {
    asked.iter().map(|(node, _)| *node).collect()
}

#[test]
fn it_pulls_from_so_many_others_that_one_holds_whatever_was_acknowledged() {
    for (min_write, in_doubt, expected) in [
        (0, vec![], vec![2, 3]),
        (1, vec![], vec![2, 3]),
        (2, vec![], vec![2, 3]),
        (3, vec![], vec![2]),
        (3, vec![2], vec![3]),
        // Nobody is sound: what all together have is all there is.
        (3, vec![2, 3], vec![2, 3]),
        (2, vec![3], vec![2, 3]),
    ] {
        let mut bench = doubtful(Setup { in_doubt: in_doubt.clone(), ..with_default(min_write) });
        assert_eq!(nodes(&answer_all(&mut bench)), expected, "at least {min_write}, {in_doubt:?} in doubt");
        assert_eq!(progress(&mut bench).last(), Some(&(1, 1)));
    }
}

#[test]
fn a_node_that_is_down_is_not_taken_for_sound() {
    let mut bench = doubtful(Setup { down: vec![2], ..with_default(3) });
    assert_eq!(nodes(&answer_all(&mut bench)), [3]);
    assert_eq!(progress(&mut bench).last(), Some(&(1, 1)));
}

#[test]
fn while_a_source_is_down_other_partitions_are_pulled_and_then_it_is_asked_again() {
    let setup = || Setup { layout: Some(four_partitions()), ..with_default(0) };
    let mut bench = doubtful(Setup { down: vec![2], ..setup() });
    let asked = answer_all(&mut bench);
    assert_eq!(asked, BTreeSet::from([(4, 1), (5, 1)]), "of the two others node 2 is missing");
    assert_eq!(progress(&mut bench).last(), Some(&(0, 3)), "told at the start; what came since is told in a second");
    bench.wait(ms(3000));
    assert_eq!(bench.sent(), []);
    assert_eq!(progress(&mut bench).last(), Some(&(1, 3)));
    bench.down(&[]);
    bench.wait(ms(1010));
    assert_eq!(answer_all(&mut bench), BTreeSet::from([(2, 0), (3, 0), (2, 2), (3, 2)]));
    assert_eq!(progress(&mut bench).last(), Some(&(3, 3)));
    assert!(bench.shard.next_timeout().is_some(), "it is told again");
}

#[test]
fn two_shards_share_the_partitions() {
    for (shard, expected) in [(0, [(2, 0), (3, 0), (2, 2), (3, 2)].to_vec()), (1, [(4, 1), (5, 1)].to_vec())] {
        let setup = Setup { layout: Some(four_partitions()), shard: (shard, 2), ..with_default(0) };
        let mut bench = doubtful(setup);
        assert_eq!(answer_all(&mut bench), BTreeSet::from_iter(expected.clone()));
        let of = expected.len() as u32 / 2;
        assert_eq!(progress(&mut bench).last(), Some(&(of, of)));
    }
}

#[test]
fn a_node_that_holds_its_data_alone_has_nothing_to_pull() {
    let mut bench = doubtful(Setup { replicas: 1, ..with_default(0) });
    assert_eq!((bench.sent(), progress(&mut bench)), (vec![], vec![(0, 0)]));
    assert!(PullProgress { pulled: 0, of: 0, bytes: 0 }.is_complete());
}

#[test]
fn a_source_that_came_to_be_in_doubt_is_not_pulled_from_as_if_it_were_sound() {
    let mut bench = doubtful(with_default(3));
    assert!(matches!(bench.sent()[..], [(2, Message::Scan { .. })]), "2 is sound, and enough");
    bench.down(&[2]);
    bench.sees(|sight| {
        sight.down = vec![];
        sight.in_doubt = vec![1, 2];
    });
    bench.wait(ms(1010));
    assert_eq!(page(&mut bench).0, 3);
}

#[test]
fn when_a_source_goes_down_another_sound_one_is_pulled_from() {
    let mut bench = doubtful(with_default(3));
    assert!(matches!(bench.sent()[..], [(2, Message::Scan { .. })]));
    bench.down(&[2]);
    bench.wait(ms(5000));
    assert_eq!(page(&mut bench).0, 3, "it alone is enough");
}
