use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn member<I>(id: I, weight: u32) -> Member<I> {
    Member { id, weight, dc: "dc1".into(), rack: "r1".into() }
}

fn ring<I: NodeKey + Ord + Clone + Debug>(members: impl IntoIterator<Item = (I, u32)>) -> VirtualNodeRing<I> {
    let members: Vec<_> = members.into_iter().map(|(id, weight)| member(id, weight)).collect();
    VirtualNodeRing::new(&members).unwrap()
}

/// Taken from a second implementation. If this changes, every cluster's layout changes with it.
#[test]
fn positions_never_change() {
    let numbers = ring([(1u64, 1), (2, 1)]);
    let first: Vec<_> = numbers.virtual_nodes().take(4).collect();
    let expected = [
        (0x0076_60f6_e7db_3846, 2),
        (0x0143_7429_8649_e03e, 1),
        (0x0214_6b1b_e22a_fad2, 2),
        (0x023f_5e45_2193_df73, 1),
    ];
    assert_eq!(first, expected.each_ref().map(|(at, id)| (Token(*at), id)));
    let names = ring([("node-a", 1), ("node-b", 2)]);
    let last: Vec<_> = names.virtual_nodes().skip(64 * 3 - 4).collect();
    let expected = [
        (0xf97e_b440_d5a6_81c5, "node-b"),
        (0xfae1_de52_5714_be3d, "node-b"),
        (0xfc92_878a_6585_cdd7, "node-b"),
        (0xfe75_f14c_7531_e45b, "node-a"),
    ];
    assert_eq!(last, expected.each_ref().map(|(at, id)| (Token(*at), id)));
}

/// Written without the ring's code: key, then index, hashed in one go.
#[test]
fn a_position_is_the_hash_of_key_and_index() {
    let mut expected: Vec<(Token, u64)> = Vec::new();
    for id in [5u64, 6] {
        for index in 0..64u32 {
            let bytes = [&id.to_be_bytes()[..], &index.to_be_bytes()].concat();
            let hex = blake3::hash(&bytes).to_hex();
            expected.push((Token(u64::from_str_radix(&hex[..16], 16).unwrap()), id));
        }
    }
    expected.sort();
    let ring = ring([(6u64, 1), (5, 1)]);
    let actual: Vec<(Token, u64)> = ring.virtual_nodes().map(|(at, &id)| (at, id)).collect();
    assert_eq!(actual, expected);
}

#[test]
fn every_unit_of_weight_adds_virtual_nodes_and_weight_zero_has_none() {
    let ring = ring([("a", 1), ("b", 0), ("c", 3)]);
    let mut counts = BTreeMap::new();
    for (_, &id) in ring.virtual_nodes() {
        *counts.entry(id).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([("a", VNODES_PER_WEIGHT), ("c", 3 * VNODES_PER_WEIGHT)]));
    assert_eq!(ring.walk(Token(0)).len(), 2);
}

/// A key that hashes its bytes, to ask `hashring` itself.
struct Key<'a>(&'a [u8]);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

/// Our sorted list and `hashring` must agree on every lookup, the one past the last virtual node
/// included.
#[test]
fn the_walk_agrees_with_the_lookups_of_hashring() {
    let ids = ["a", "b", "c", "d"];
    let keys = ids.map(|id| id.node_key());
    let weights = [1, 2, 1, 3];
    let theirs = hash_ring(&keys, weights.into_iter());
    let ours = ring(ids.into_iter().zip(weights));
    let last = ours.virtual_nodes().last().unwrap().0;

    let mut wrapped = 0;
    for number in 0..2000u32 {
        let key = number.to_be_bytes();
        let token = Token::of(&key);
        wrapped += usize::from(token > last);
        let walk = ours.walk(token);
        assert_eq!(walk[0], ids[theirs.get(&Key(&key)).unwrap().member]);

        if number % 50 == 0 {
            let mut distinct = Vec::new();
            for node in theirs.get_with_replicas(&Key(&key), theirs.len() - 1).unwrap() {
                if !distinct.contains(&ids[node.member]) {
                    distinct.push(ids[node.member]);
                }
            }
            assert_eq!(walk, distinct);
        }
    }
    assert!(wrapped > 0, "some key lies past the last virtual node");
}

#[test]
fn a_token_on_a_virtual_node_belongs_to_it_and_the_next_one_does_not() {
    let ring = ring([("a", 1), ("b", 1)]);
    let nodes: Vec<_> = ring.virtual_nodes().collect();
    for pair in nodes.windows(2) {
        assert_eq!(ring.walk(pair[0].0)[0], *pair[0].1);
        assert_eq!(ring.walk(Token(pair[0].0.0 + 1))[0], *pair[1].1);
    }
    let (last, first) = (nodes[nodes.len() - 1].0, nodes[0].1);
    assert_eq!(ring.walk(Token(last.0 + 1))[0], *first);
    assert_eq!(ring.walk(Token(u64::MAX))[0], *first);
}

/// The scatter that [`VNODES_PER_WEIGHT`] and the README tell.
#[test]
fn parts_of_the_circle_scatter_as_documented() {
    for (weight, documented) in [(1, 1.0 / 8.0), (4, 1.0 / 16.0)] {
        let ring = ring((0..60u64).map(|id| (id, weight)));
        let mut parts = [0.0; 60];
        let mut previous = ring.virtual_nodes().last().unwrap().0;
        for (at, &id) in ring.virtual_nodes() {
            parts[id as usize] += at.0.wrapping_sub(previous.0) as f64 / 2f64.powi(64) * 60.0;
            previous = at;
        }
        let variance = parts.iter().map(|part| (part - 1.0) * (part - 1.0)).sum::<f64>() / 60.0;
        let scatter = variance.sqrt();
        assert!((scatter / documented - 1.0).abs() < 0.25, "weight {weight} scatters by {scatter}");
    }
}

fn any_members() -> impl Strategy<Value = Vec<(u64, u32)>> {
    prop::collection::btree_map(any::<u64>(), 0..4u32, 1..9)
        .prop_map(|members| members.into_iter().collect::<Vec<_>>())
        .prop_filter("somebody has weight", |members| members.iter().any(|&(_, weight)| weight > 0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_walk_meets_every_member_with_weight_once(members in any_members(), from in any::<u64>()) {
        let mut met = ring(members.clone()).walk(Token(from));
        met.sort_unstable();
        let with_weight: Vec<u64> =
            members.iter().filter(|member| member.1 > 0).map(|member| member.0).collect();
        prop_assert_eq!(met, with_weight);
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        (members, shuffled) in any_members()
            .prop_flat_map(|members| (Just(members.clone()), Just(members).prop_shuffle())),
    ) {
        prop_assert_eq!(ring(members), ring(shuffled));
    }

    /// Read backwards: a member that leaves changes nothing between the others.
    #[test]
    fn a_newcomer_enters_every_walk_and_changes_nothing_else(
        members in any_members(),
        newcomer in any::<u64>(),
        weight in 1..4u32,
        tokens in prop::collection::vec(any::<u64>(), 20),
    ) {
        prop_assume!(members.iter().all(|member| member.0 != newcomer));
        let before = ring(members.clone());
        let after = ring(members.into_iter().chain([(newcomer, weight)]));
        for token in tokens {
            let mut walk = after.walk(Token(token));
            walk.retain(|&id| id != newcomer);
            prop_assert_eq!(walk, before.walk(Token(token)));
        }
    }

    #[test]
    fn more_weight_only_moves_a_member_forward(
        members in any_members(),
        more in 1..4u32,
        token in any::<u64>(),
    ) {
        let (id, _) = members[0];
        let members: BTreeMap<u64, u32> = members.into_iter().chain([(!id, 1)]).collect();
        let mut heavier = members.clone();
        *heavier.get_mut(&id).unwrap() += more;
        let (before, after) = (ring(members).walk(Token(token)), ring(heavier).walk(Token(token)));
        let place = |walk: &[u64]| walk.iter().position(|&met| met == id).unwrap_or(usize::MAX);
        prop_assert!(place(&after) <= place(&before));
    }
}
