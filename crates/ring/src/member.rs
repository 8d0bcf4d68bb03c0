//! Owns what placement needs to know about a node, and the checks a list of members must pass. It
//! does not place.

use core::fmt::Debug;
use std::collections::BTreeSet;

use crate::Error;

/// The largest [`weight`](Member::weight).
pub const MAX_WEIGHT: u32 = 1000;

/// A node as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member<I> {
    /// The node's id; it must stay with the node, since the virtual nodes are derived from it.
    pub id: I,
    /// Capacity relative to the other members, `0..=1000`: a node of weight 4 holds about twice
    /// what one of weight 2 holds. A node of weight 0 holds nothing and is no fallback; so a node
    /// that is only to coordinate, or to be emptied, is listed.
    ///
    /// Take 1 for the smallest machine: each unit costs
    /// [`VNODES_PER_WEIGHT`](crate::VNODES_PER_WEIGHT) virtual nodes whenever a table is computed.
    pub weight: u32,
    /// The data centre. Factors are given and counted per data centre.
    pub dc: String,
    /// The rack, or whatever fails as one. Its name counts within its data centre only; nodes that
    /// leave it empty share one rack.
    pub rack: String,
}

/// A node id that can be hashed the same way for ever.
///
/// `std::hash::Hash` cannot serve for this: what a type feeds to a hasher may change between Rust
/// versions (the standard library's address types did), and every such change would move data.
pub trait NodeKey {
    /// The bytes that stand for this id: different for different ids, and the same on every
    /// platform and in every version to come.
    fn node_key(&self) -> Vec<u8>;
}

/// Eight bytes, big endian.
impl NodeKey for u64 {
    fn node_key(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
}

/// The text's UTF-8 bytes.
impl NodeKey for &str {
    fn node_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

/// The text's UTF-8 bytes.
impl NodeKey for String {
    fn node_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

/// The members that can hold data, checked, and sorted by id so that the order of the input cannot
/// matter.
pub(crate) fn holders<I: NodeKey + Ord + Debug>(members: &[Member<I>]) -> Result<Vec<&Member<I>>, Error> {
    let mut sorted: Vec<&Member<I>> = members.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));

    let mut keys = BTreeSet::new();
    for member in &sorted {
        if member.weight > MAX_WEIGHT {
            return Err(Error::Weight { id: format!("{:?}", member.id), weight: member.weight });
        }
        // Equal ids have equal keys, so this finds both a member listed twice and a key that is not
        // unique.
        if !keys.insert(member.id.node_key()) {
            return Err(Error::DuplicateMember { id: format!("{:?}", member.id) });
        }
    }
    sorted.retain(|member| member.weight > 0);
    if sorted.is_empty() { Err(Error::NoHolder) } else { Ok(sorted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member<I>(id: I, weight: u32) -> Member<I> {
        Member { id, weight, dc: String::new(), rack: String::new() }
    }

    #[test]
    fn holders_are_sorted_and_have_weight() {
        let members = [member(3u64, 1), member(1, 0), member(2, MAX_WEIGHT)];
        let ids: Vec<u64> = holders(&members).unwrap().iter().map(|member| member.id).collect();
        assert_eq!(ids, [2, 3]);
    }

    #[test]
    fn a_weight_above_the_largest_is_refused() {
        let members = [member("a", 1), member("b", 1001)];
        assert_eq!(holders(&members), Err(Error::Weight { id: "\"b\"".into(), weight: 1001 }));
    }

    #[test]
    fn a_member_listed_twice_is_refused_even_without_weight() {
        let members = [member(7u64, 1), member(8, 1), member(7, 0)];
        assert_eq!(holders(&members), Err(Error::DuplicateMember { id: "7".into() }));
    }

    #[test]
    fn different_ids_with_one_node_key_are_refused() {
        #[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
        struct Careless(u8);
        impl NodeKey for Careless {
            fn node_key(&self) -> Vec<u8> {
                Vec::new()
            }
        }
        let members = [member(Careless(1), 1), member(Careless(2), 1)];
        assert_eq!(holders(&members), Err(Error::DuplicateMember { id: "Careless(2)".into() }));
    }

    #[test]
    fn nobody_with_weight_is_an_error() {
        assert_eq!(holders::<u64>(&[]), Err(Error::NoHolder));
        assert_eq!(holders(&[member(1u64, 0)]), Err(Error::NoHolder));
    }

    #[test]
    fn texts_have_one_key_whoever_owns_them() {
        assert_eq!("n1".node_key(), String::from("n1").node_key());
        assert_eq!(258u64.node_key(), [0, 0, 0, 0, 0, 0, 1, 2]);
    }
}
