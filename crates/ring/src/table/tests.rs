use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{MAX_FALLBACKS, Token};

fn member<I>(id: I, weight: u32) -> Member<I> {
    Member { id, weight, dc: "dc1".into(), rack: "r1".into() }
}

fn partitions(count: u32) -> Partitions {
    Partitions::new(count).unwrap()
}

fn compute(count: u32, replication: &str, members: &[Member<u64>]) -> PartitionTable<u64> {
    PartitionTable::compute(partitions(count), &replication.parse().unwrap(), members).unwrap()
}

/// One whole table, taken from a second implementation. If this changes, an update would move every
/// user's data.
#[test]
fn a_table_never_changes() {
    let members = [
        ("a", 1, "dc1", "r1"),
        ("b", 2, "dc1", "r1"),
        ("c", 1, "dc1", "r2"),
        ("d", 1, "dc2", "r1"),
        ("e", 1, "dc2", "r1"),
    ]
    .map(|(id, weight, dc, rack)| Member { id, weight, dc: dc.into(), rack: rack.into() });
    let table = PartitionTable::compute(partitions(16), &"dc1=2,dc2=1".parse().unwrap(), &members).unwrap();
    let shown: Vec<String> = table
        .rows()
        .map(|(partition, row)| format!("{partition} {} | {}", row.concat(), table.fallbacks(partition).concat()))
        .collect();
    let expected = [
        "0 ceb | da",
        "1 dca | eb",
        "2 ace | bd",
        "3 bcd | ae",
        "4 bdc | ea",
        "5 adc | be",
        "6 eac | bd",
        "7 ebc | ad",
        "8 cad | eb",
        "9 ace | bd",
        "10 bdc | ae",
        "11 cbd | ae",
        "12 ecb | da",
        "13 eac | db",
        "14 eac | bd",
        "15 dbc | ea",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_row_follows_the_walk_from_the_start_of_its_partition() {
    let members: Vec<_> = (0..7).map(|id| member(id, 1)).collect();
    let ring = VirtualNodeRing::new(&members).unwrap();
    let table = compute(64, "3", &members);
    for (partition, row) in table.rows() {
        let walk = ring.walk(table.partitions().start(partition));
        assert_eq!(row, &walk[..3]);
        assert_eq!(table.fallbacks(partition), &walk[3..]);
    }
}

#[test]
fn nobody_holds_a_partition_that_does_not_exist() {
    let table = compute(4, "1", &[member(1, 1)]);
    assert_eq!(table.replicas(PartitionId(3)), [1]);
    assert!(table.replicas(PartitionId(4)).is_empty());
    assert!(table.fallbacks(PartitionId(u16::MAX)).is_empty());
}

#[test]
fn a_table_needs_a_holder_and_a_replica() {
    let compute = |replication, members: &[Member<u64>]| PartitionTable::compute(partitions(4), &replication, members);
    assert_eq!(compute(Replication::PerCentre(3), &[member(1, 0)]), Err(Error::NoHolder));
    assert_eq!(compute(Replication::PerCentre(0), &[member(1, 1)]), Err(Error::NoReplica));
    assert_eq!(compute(Replication::Centres(BTreeMap::new()), &[member(1, 1)]), Err(Error::NoReplica));
}

#[test]
fn a_member_of_weight_zero_neither_holds_nor_stands_in() {
    let table = compute(64, "2", &[member(1, 1), member(2, 0), member(3, 1), member(4, 1)]);
    for (partition, row) in table.rows() {
        assert!(!row.contains(&2) && !table.fallbacks(partition).contains(&2));
        assert_eq!((row.len(), table.fallbacks(partition).len()), (2, 1));
    }
    assert_eq!(table.share(&2), 0);
    assert_eq!(table.share(&1) + table.share(&3) + table.share(&4), 2 * 64);
}

#[test]
fn rows_from_elsewhere_are_checked() {
    let from_rows = |rows, fallbacks| PartitionTable::from_rows(partitions(2), rows, fallbacks);
    let twice = |partition, id: &str| Err(Error::DuplicateNode { partition: PartitionId(partition), id: id.into() });
    assert!(from_rows(vec![vec![1u64, 2], vec![]], vec![vec![3], vec![1]]).is_ok());
    assert_eq!(from_rows(vec![vec![1, 2], vec![3, 3]], vec![vec![]; 2]), twice(1, "3"));
    assert_eq!(from_rows(vec![vec![1, 2], vec![3]], vec![vec![2], vec![]]), twice(0, "2"));
    assert_eq!(from_rows(vec![vec![1], vec![2]], vec![vec![4, 5, 4], vec![]]), twice(0, "4"));
    for (rows, fallbacks) in [(1, 2), (2, 1), (3, 2), (2, 3), (0, 0)] {
        let error = Error::RowCount { expected: 2, rows, fallbacks };
        assert_eq!(from_rows(vec![vec![]; rows], vec![vec![]; fallbacks]), Err(error));
    }
}

#[test]
fn every_rack_and_every_centre_holds_every_partition() {
    let members: Vec<_> = (0..18u64)
        .map(|id| Member {
            id,
            weight: 1 + id as u32 % 3,
            dc: format!("dc{}", id % 2),
            rack: format!("r{}", id / 2 % 3),
        })
        .collect();
    let table = compute(256, "dc0=3,dc1=2", &members);
    for (_, row) in table.rows() {
        let racks_of = |dc: &str| -> Vec<&str> {
            let mut racks: Vec<_> =
                row.iter().map(|&id| &members[id as usize]).filter(|m| m.dc == dc).map(|m| m.rack.as_str()).collect();
            racks.sort_unstable();
            racks
        };
        assert_eq!(racks_of("dc0"), ["r0", "r1", "r2"]);
        let others = racks_of("dc1");
        assert!(others.len() == 2 && others[0] != others[1]);
    }
}

/// The shares of members of weights 1, 2 and 4, over several clusters with different ids, so that
/// the luck of one does not decide.
#[test]
fn shares_follow_the_weights_1_2_4() {
    let (mut held, mut weights) = ([0; 3], [0; 3]);
    for cluster in 0..8u64 {
        let members: Vec<_> = (0..6).map(|id| member(cluster * 1000 + id, 1 << (id % 3))).collect();
        let table = compute(1024, "1", &members);
        for (class, member) in (0..3).cycle().zip(&members) {
            held[class] += table.share(&member.id);
            weights[class] += member.weight as usize;
        }
    }
    let (all_held, all_weights) = (held.iter().sum::<usize>(), weights.iter().sum::<usize>());
    for (held, weight) in held.into_iter().zip(weights) {
        let relative = (held * all_weights) as f64 / (weight * all_held) as f64;
        assert!((0.85..1.15).contains(&relative), "{relative} of the fair share");
    }
}

#[test]
fn the_fullest_of_ten_equal_nodes_holds_less_than_half_more_than_the_mean() {
    let members: Vec<_> = (0..10).map(|id| member(id, 1)).collect();
    let table = compute(256, "3", &members);
    let fullest = members.iter().map(|member| table.share(&member.id)).max().unwrap();
    let ratio = fullest as f64 / (3.0 * 256.0 / 10.0);
    assert!((1.0..1.5).contains(&ratio), "max/mean is {ratio}");
}

#[test]
fn a_newcomer_takes_its_part_of_primary_ownership_and_nothing_else_moves() {
    const CLUSTERS: u64 = 6;
    for size in [2, 3, 5, 9, 20] {
        let mut moved = 0;
        for cluster in 0..CLUSTERS {
            let ids = cluster * 1000..cluster * 1000 + size;
            let newcomer = ids.end;
            let members: Vec<_> = ids.chain([newcomer]).map(|id| member(id, 1)).collect();
            let before = compute(1024, "3", &members[..members.len() - 1]);
            let after = compute(1024, "3", &members);
            for (partition, row) in after.rows() {
                if row[0] != before.replicas(partition)[0] {
                    assert_eq!(row[0], newcomer);
                    moved += 1;
                }
                let old = before.replicas(partition);
                assert!(row.iter().all(|id| old.contains(id) || *id == newcomer), "only the newcomer is new to a row");
            }
        }
        let relative = f64::from(moved) * (size + 1) as f64 / (1024.0 * CLUSTERS as f64);
        assert!((0.8..1.2).contains(&relative), "{relative} of the fair part of {size} + 1 nodes moved");
    }
}

fn any_members() -> impl Strategy<Value = Vec<Member<u64>>> {
    let homes = prop::collection::btree_map(any::<u64>(), (0..3u32, 0..3u8, 0..3u8), 1..14);
    let members = homes.prop_map(|homes| {
        let member = |(id, (weight, dc, rack))| Member { id, weight, dc: format!("dc{dc}"), rack: format!("r{rack}") };
        homes.into_iter().map(member).collect::<Vec<_>>()
    });
    members.prop_filter("somebody has weight", |members| members.iter().any(|member| member.weight > 0))
}

fn any_replication() -> impl Strategy<Value = Replication> {
    prop_oneof![
        (1..5u8).prop_map(Replication::PerCentre),
        prop::collection::btree_map((0..4u8).prop_map(|dc| format!("dc{dc}")), 1..5u8, 1..4)
            .prop_map(Replication::Centres),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_is_as_long_as_its_centres_can_fill_and_as_spread_as_its_racks_allow(
        members in any_members(),
        replication in any_replication(),
    ) {
        let table = PartitionTable::compute(partitions(16), &replication, &members).unwrap();
        prop_assert_eq!(table.check(), Ok(()));
        let holders: BTreeMap<u64, &Member<u64>> =
            members.iter().filter(|m| m.weight > 0).map(|m| (m.id, m)).collect();
        let centres: BTreeSet<&str> = holders.values().map(|m| m.dc.as_str()).collect();
        for (partition, row) in table.rows() {
            let fallbacks = table.fallbacks(partition);
            prop_assert_eq!(fallbacks.len(), (holders.len() - row.len()).min(MAX_FALLBACKS));
            prop_assert!(row.iter().chain(fallbacks).all(|id| holders.contains_key(id)));
            let mut copies = 0;
            for &dc in &centres {
                let there = |m: &&&Member<u64>| m.dc == dc;
                let racks: BTreeSet<&str> =
                    holders.values().filter(there).map(|m| m.rack.as_str()).collect();
                let factor = usize::from(replication.factor(dc));
                let possible = holders.values().filter(there).count().min(factor);
                let chosen: Vec<_> = row.iter().map(|id| &holders[id]).filter(there).collect();
                let touched: BTreeSet<&str> = chosen.iter().map(|m| m.rack.as_str()).collect();
                prop_assert_eq!(chosen.len(), possible);
                prop_assert_eq!(touched.len(), possible.min(racks.len()));
                copies += possible;
            }
            prop_assert_eq!(row.len(), copies);
        }
    }

    #[test]
    fn the_order_of_the_members_does_not_matter(
        (members, shuffled) in any_members()
            .prop_flat_map(|members| (Just(members.clone()), Just(members).prop_shuffle())),
        replication in any_replication(),
    ) {
        let compute =
            |members: &[_]| PartitionTable::compute(partitions(16), &replication, members);
        prop_assert_eq!(compute(&members), compute(&shuffled));
    }

    #[test]
    fn a_table_survives_the_way_through_its_rows(
        members in any_members(),
        replication in any_replication(),
    ) {
        let table = PartitionTable::compute(partitions(8), &replication, &members).unwrap();
        let rows = table.rows().map(|(_, row)| row.to_vec()).collect();
        let partitions = table.partitions();
        let fallbacks = partitions.iter().map(|id| table.fallbacks(id).to_vec()).collect();
        prop_assert_eq!(PartitionTable::from_rows(partitions, rows, fallbacks), Ok(table));
    }

    #[test]
    fn every_key_has_a_holder(members in any_members(), key in any::<Vec<u8>>()) {
        let one = Replication::PerCentre(1);
        let table = PartitionTable::compute(partitions(8), &one, &members).unwrap();
        prop_assert!(!table.replicas(table.partitions().of(Token::of(&key))).is_empty());
    }
}
