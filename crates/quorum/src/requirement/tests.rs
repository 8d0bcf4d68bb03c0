//! What levels mean, and the laws of quorums, against brute force.

use super::*;
use crate::oracle::{any_sets, of_first, requirement, set, some_of, subsets};
use core::num::NonZeroU8;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

fn number(n: u8) -> Level {
    Level::Number(NonZeroU8::new(n).unwrap())
}

fn resolved(level: Level, centres: &[u8], local: u8) -> Vec<(Vec<usize>, u8)> {
    let requirement = Requirement::resolve(level, centres, local).unwrap();
    requirement.sets().iter().map(|set| (set.members.iter().collect(), set.need)).collect()
}

#[test]
fn a_counting_level_counts_all_replicas_wherever_they_are() {
    let centres = [7, 7, 3, 3, 9];
    for (level, need) in
        [(Level::One, 1), (Level::Two, 2), (Level::Three, 3), (number(4), 4), (Level::Quorum, 3), (Level::All, 5)]
    {
        assert_eq!(resolved(level, &centres, 7), [(vec![0, 1, 2, 3, 4], need)], "{level}");
    }
}

#[test]
fn a_quorum_is_more_than_half() {
    for n in 1..=64usize {
        let quorum = Requirement::resolve(Level::Quorum, &vec![0; n], 0).unwrap().minimum();
        assert!(2 * quorum > n && 2 * (quorum - 1) <= n, "{quorum} of {n}");
    }
}

#[test]
fn a_local_quorum_is_a_majority_of_the_local_centre() {
    let centres = [1, 2, 1, 2, 1, 2, 2];
    assert_eq!(resolved(Level::LocalQuorum, &centres, 1), [(vec![0, 2, 4], 2)]);
    assert_eq!(resolved(Level::LocalQuorum, &centres, 2), [(vec![1, 3, 5, 6], 3)]);
}

#[test]
fn a_quorum_in_each_centre_needs_a_majority_of_every_one() {
    let centres = [5, 0, 5, 255, 5, 0];
    assert_eq!(resolved(Level::EachQuorum, &centres, 0), [(vec![0, 2, 4], 2), (vec![1, 5], 2), (vec![3], 1)]);
}

#[test]
fn a_level_that_asks_for_more_replicas_than_exist_is_refused() {
    let refused = |level, centres: &[u8], need| {
        let have = centres.len();
        let error = Requirement::resolve(level, centres, 0).unwrap_err();
        assert_eq!(error, Error::TooFewReplicas { level, need, have });
    };
    refused(Level::Two, &[0], 2);
    refused(Level::Three, &[0, 0], 3);
    refused(number(4), &[0, 1, 0], 4);
    refused(number(255), &[0; 64], 255);
    for level in [Level::One, number(1), Level::Quorum, Level::All, Level::EachQuorum] {
        refused(level, &[], 1);
    }
    assert_eq!(
        Requirement::resolve(Level::Three, &[0, 0], 0).unwrap_err().to_string(),
        "level three needs 3 replicas but there are 2"
    );
}

#[test]
fn a_local_quorum_needs_a_local_replica() {
    assert_eq!(Requirement::resolve(Level::LocalQuorum, &[1, 2], 3), Err(Error::NoLocalReplica));
    assert_eq!(Requirement::resolve(Level::LocalQuorum, &[], 3), Err(Error::NoLocalReplica));
}

#[test]
fn the_limits_are_64_replicas_and_16_sets() {
    assert_eq!(Requirement::resolve(Level::All, &[0; 64], 0).unwrap().minimum(), 64);
    assert_eq!(Requirement::resolve(Level::One, &[0; 65], 0), Err(Error::TooManyReplicas { have: 65 }));

    let centres: Vec<u8> = (0..17).collect();
    assert_eq!(Requirement::resolve(Level::EachQuorum, &centres[..16], 0).unwrap().sets().len(), 16);
    assert_eq!(Requirement::resolve(Level::EachQuorum, &centres, 0), Err(Error::TooManySets));

    let one = QuorumSet { members: ReplicaSet::single(0), need: 1 };
    assert_eq!(Requirement::from_sets(&[one; 16]).unwrap().sets(), [one; 16]);
    assert_eq!(Requirement::from_sets(&[one; 17]), Err(Error::TooManySets));
}

#[test]
fn a_set_needs_one_to_all_of_its_members() {
    let of_two = |need| Requirement::from_sets(&[QuorumSet { members: ReplicaSet::first(2), need }]);
    assert_eq!(of_two(0), Err(Error::InvalidSet { need: 0, have: 2 }));
    assert!(of_two(1).is_ok() && of_two(2).is_ok());
    assert_eq!(of_two(3), Err(Error::InvalidSet { need: 3, have: 2 }));
    assert_eq!(Requirement::from_sets(&[]), Err(Error::NoSets));
}

#[test]
fn reads_and_writes_of_the_same_replicas_meet_exactly_when_r_plus_w_exceeds_n() {
    for n in 1..=5 {
        let replicas: Vec<usize> = (0..n).collect();
        for r in 1..=n {
            for w in 1..=n {
                let meet = always_meet(&requirement(&of_first(n, r)), &requirement(&of_first(n, w)), &replicas);
                assert_eq!(meet, r + w > n, "R = {r}, W = {w}, N = {n}");
            }
        }
    }
}

#[test]
fn levels_meet_across_centres_as_they_promise() {
    let centres = [0, 0, 0, 1, 1, 1];
    let replicas: Vec<usize> = (0..6).collect();
    let meet = |read, reader, write, writer| {
        let resolve = |level, local| Requirement::resolve(level, &centres, local).unwrap();
        always_meet(&resolve(read, reader), &resolve(write, writer), &replicas)
    };
    assert!(meet(Level::Quorum, 0, Level::Quorum, 1));
    assert!(meet(Level::LocalQuorum, 0, Level::LocalQuorum, 0));
    assert!(!meet(Level::LocalQuorum, 0, Level::LocalQuorum, 1));
    assert!(meet(Level::LocalQuorum, 1, Level::EachQuorum, 0));
    assert!(meet(Level::EachQuorum, 0, Level::LocalQuorum, 1));
    assert!(meet(Level::EachQuorum, 0, Level::EachQuorum, 1));
    assert!(meet(Level::One, 0, Level::All, 1));
    assert!(!meet(Level::One, 0, Level::EachQuorum, 1));
    assert!(!meet(Level::LocalQuorum, 0, Level::Quorum, 1));
}

/// Whether any answers that meet one requirement share a replica with any that meet the other.
fn always_meet(read: &Requirement, write: &Requirement, replicas: &[usize]) -> bool {
    let meeting = |requirement: &Requirement| -> Vec<ReplicaSet> {
        subsets(replicas).iter().map(|s| set(s)).filter(|s| requirement.is_met(*s)).collect()
    };
    let writes = meeting(write);
    meeting(read).iter().all(|r| writes.iter().all(|w| !r.intersection(*w).is_empty()))
}

/// Up to `most` sets over positions `0..n`.
fn requirements(n: usize, most: usize) -> impl Strategy<Value = Requirement> {
    any_sets(n, most).prop_map(|sets| requirement(&sets))
}

fn replica_sets(n: usize) -> impl Strategy<Value = ReplicaSet> {
    some_of(n, 0..=n).prop_map(|positions| set(&positions))
}

/// The fewest further answers, by trying all of them.
fn fewest_missing(requirement: &Requirement, answered: ReplicaSet, n: usize) -> usize {
    let all: Vec<usize> = (0..n).collect();
    subsets(&all)
        .iter()
        .filter(|more| requirement.is_met(answered.union(set(more))))
        .map(|more| set(more).difference(answered).len())
        .min()
        .unwrap()
}

proptest! {
    #[test]
    fn per_centre_reads_and_writes_meet_when_r_plus_w_exceeds_n_in_a_shared_centre(
        sizes in proptest::collection::vec(1usize..=20, 1..=3),
        shared in any::<proptest::sample::Index>(),
        picks in proptest::collection::vec(any::<u64>(), 12),
    ) {
        // Needs and answers drawn at random in every centre; in the shared one, R + W = N + 1 and
        // the answers are barely enough.
        let shared = shared.index(sizes.len());
        let (mut reads, mut writes, mut first) = (Vec::new(), Vec::new(), 0);
        let (mut read, mut written) = (ReplicaSet::EMPTY, ReplicaSet::EMPTY);
        for (centre, &n) in sizes.iter().enumerate() {
            let members: ReplicaSet = (first..first + n).collect();
            let r = 1 + picks[4 * centre] as usize % n;
            let other = 1 + picks[4 * centre + 1] as usize % n;
            let w = if centre == shared { n + 1 - r } else { other };
            reads.push(QuorumSet { members, need: r as u8 });
            writes.push(QuorumSet { members, need: w as u8 });
            let rotated = |by: u64, take: usize| {
                (0..take).map(move |i| first + (i + by as usize % n) % n)
            };
            read = read.union(rotated(picks[4 * centre + 2], r).collect());
            written = written.union(rotated(picks[4 * centre + 3], w).collect());
            first += n;
        }
        prop_assert!(Requirement::from_sets(&reads).unwrap().is_met(read));
        prop_assert!(Requirement::from_sets(&writes).unwrap().is_met(written));
        prop_assert!(!read.intersection(written).is_empty());
    }

    #[test]
    fn met_and_possible_follow_from_counting(
        requirement in requirements(8, 4),
        answered in replica_sets(8),
        open in replica_sets(8),
    ) {
        let enough = |counts: &dyn Fn(usize) -> bool| {
            let met = |s: &QuorumSet| s.members.iter().filter(|p| counts(*p)).count() >= s.need.into();
            requirement.sets().iter().all(met)
        };
        let met = enough(&|p| answered.contains(p));
        let possible = enough(&|p| answered.contains(p) || open.contains(p));
        prop_assert_eq!(requirement.is_met(answered), met);
        prop_assert_eq!(requirement.is_possible(answered, open), possible);
    }

    #[test]
    fn missing_is_never_more_than_the_fewest_further_answers(
        requirement in requirements(7, 5),
        answered in replica_sets(7),
    ) {
        let missing = requirement.missing(answered);
        prop_assert!(missing <= fewest_missing(&requirement, answered, 7));
        prop_assert_eq!(missing == 0, requirement.is_met(answered));
        prop_assert!(requirement.minimum() >= 1);
    }

    #[test]
    fn missing_is_exact_for_two_sets(requirement in requirements(7, 2), answered in replica_sets(7)) {
        prop_assert_eq!(requirement.missing(answered), fewest_missing(&requirement, answered, 7));
    }

    #[test]
    fn missing_is_exact_for_a_quorum_in_each_centre(
        centres in proptest::collection::vec(0u8..4, 1..=8),
        answered in replica_sets(8),
    ) {
        let each = Requirement::resolve(Level::EachQuorum, &centres, 0).unwrap();
        prop_assert_eq!(each.missing(answered), fewest_missing(&each, answered, centres.len()));
    }
}
