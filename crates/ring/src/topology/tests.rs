use super::*;

const CENTRES: [&str; 2] = ["paris", "oslo"];
const RACKS: [&str; 3] = ["r1", "r2", "r3"];

fn member(id: usize, dc: &str, rack: &str) -> Member<usize> {
    Member { id, weight: 1, dc: dc.into(), rack: rack.into() }
}

fn place(members: &[Member<usize>], replication: &Replication) -> Placed {
    let members: Vec<_> = members.iter().collect();
    Topology::new(&members, replication).place(0..members.len())
}

/// The naive oracle: for each data centre by itself, the first member of every rack, then the
/// earliest others; all of them sorted as they stand in the walk.
fn oracle(members: &[Member<usize>], replication: &Replication) -> Placed {
    let mut replicas = Vec::new();
    for dc in CENTRES {
        let here: Vec<_> = members.iter().filter(|member| member.dc == dc).collect();
        let (mut firsts, mut others) = (Vec::new(), Vec::new());
        for (place, member) in here.iter().enumerate() {
            let first = here[..place].iter().all(|earlier| earlier.rack != member.rack);
            if first {
                firsts.push(member.id);
            } else {
                others.push(member.id);
            }
        }
        firsts.extend(others);
        firsts.truncate(replication.factor(dc).into());
        replicas.extend(firsts);
    }
    replicas.sort_unstable();
    let fallbacks = (0..members.len()).filter(|id| !replicas.contains(id)).take(MAX_FALLBACKS).collect();
    Placed { replicas, fallbacks }
}

/// All ways to spread up to five members over two data centres of three racks, under all factors up
/// to four.
#[test]
fn every_small_topology_is_placed_as_the_oracle_says() {
    let homes: Vec<(&str, &str)> = CENTRES.iter().flat_map(|&dc| RACKS.map(|rack| (dc, rack))).collect();
    let mut cases = 0;
    for size in 0..=5u32 {
        for spread in 0..homes.len().pow(size) {
            let members: Vec<_> = (0..size)
                .map(|id| homes[spread / homes.len().pow(id) % homes.len()])
                .enumerate()
                .map(|(id, (dc, rack))| member(id, dc, rack))
                .collect();
            for (first, second) in (0..5).flat_map(|first| (0..5).map(move |second| (first, second))) {
                let factors = BTreeMap::from([(CENTRES[0].into(), first), (CENTRES[1].into(), second)]);
                let replication = Replication::Centres(factors);
                assert_eq!(place(&members, &replication), oracle(&members, &replication), "{members:?} {replication}");
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 25 * (1 + 6 + 36 + 216 + 1296 + 7776));
}

#[test]
fn copies_go_to_different_racks_while_there_are_any() {
    let members = [("r1", 0), ("r1", 1), ("r2", 2), ("r2", 3), ("r3", 4)].map(|(rack, id)| member(id, "paris", rack));
    let expected = Placed { replicas: vec![0, 2, 4], fallbacks: vec![1, 3] };
    assert_eq!(place(&members, &Replication::PerCentre(3)), expected);
}

#[test]
fn with_fewer_racks_than_copies_the_first_others_are_taken_in_the_order_of_the_walk() {
    let members = [("r1", 0), ("r1", 1), ("r1", 2), ("r2", 3)].map(|(rack, id)| member(id, "paris", rack));
    let expected = Placed { replicas: vec![0, 1, 3], fallbacks: vec![2] };
    assert_eq!(place(&members, &Replication::PerCentre(3)), expected);
}

#[test]
fn racks_of_one_name_in_two_centres_are_two_racks() {
    let members = [("paris", 0), ("oslo", 1)].map(|(dc, id)| member(id, dc, "r1"));
    assert_eq!(place(&members, &Replication::PerCentre(1)).replicas, [0, 1]);
}

#[test]
fn a_centre_with_fewer_members_than_its_factor_gives_all_it_has() {
    let members = [("paris", 0), ("oslo", 1), ("oslo", 2)].map(|(dc, id)| member(id, dc, "r1"));
    assert_eq!(place(&members, &Replication::PerCentre(2)).replicas, [0, 1, 2]);
    assert_eq!(place(&members, &"paris=3,rome=3".parse().unwrap()).replicas, [0]);
    let expected = Placed { replicas: vec![], fallbacks: vec![0, 1, 2] };
    assert_eq!(place(&members, &"rome=3".parse().unwrap()), expected);
}

#[test]
fn there_are_at_most_eight_fallbacks_and_the_walk_then_stops() {
    let members: Vec<_> = (0..20).map(|id| member(id, "paris", "r1")).collect();
    let members: Vec<_> = members.iter().collect();
    let mut met = 0;
    let walk = (0..20).inspect(|_| met += 1);
    let placed = Topology::new(&members, &Replication::PerCentre(3)).place(walk);
    assert_eq!(placed, Placed { replicas: vec![0, 1, 2], fallbacks: (3..11).collect() });
    assert_eq!(met, 11);
}

#[test]
fn there_are_at_most_eight_fallbacks_even_if_a_replica_comes_late() {
    let mut members: Vec<_> = (0..12).map(|id| member(id, "paris", "r1")).collect();
    members.extend([member(12, "oslo", "r1"), member(13, "oslo", "r1")]);
    let expected = Placed { replicas: vec![0, 12], fallbacks: (1..9).collect() };
    assert_eq!(place(&members, &Replication::PerCentre(1)), expected);
}
