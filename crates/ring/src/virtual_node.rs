//! Owns the ring of weighted virtual nodes and the walk around it. It knows no partition, rack or
//! factor.

use core::fmt::Debug;
use core::hash::{BuildHasher, Hash, Hasher};
use core::mem;

use hashring::HashRing;

use crate::member::holders;
use crate::{Error, Member, NodeKey, Token};

/// Virtual nodes for each unit of a member's weight.
///
/// A member's part of the circle is a sum of this many random arcs for each unit, so it scatters
/// around its fair share by about one part in the square root of their number: by an eighth for
/// weight 1, by a sixteenth for weight 4.
pub const VNODES_PER_WEIGHT: u32 = 64;

/// A consistent-hash ring on which every member stands at many points, in proportion to its weight
/// (Karger et al., 1997; virtual nodes: Dynamo, 2007, section 4.2).
///
/// The points are derived from the member's [`NodeKey`] alone. Hence a member that comes takes its
/// part from all the others and nothing moves between those; one that leaves gives its part to all
/// the others in the same way.
///
/// The ring is sorted by the `hashring` crate, under a hasher whose results are fixed for ever, and
/// then kept as a plain sorted list, which can be walked without being copied and skips a member
/// already met. It takes 16 bytes for each virtual node.
///
/// ```
/// # use kvorum_ring::{Member, Token, VirtualNodeRing};
/// let member = |id| Member { id, weight: 1, dc: "dc1".into(), rack: "r1".into() };
/// let members = ["a", "b", "c"].map(member);
/// let ring = VirtualNodeRing::new(&members)?;
/// let order = ring.walk(Token::of(b"some key"));
/// assert_eq!(order.len(), 3);
/// # Ok::<(), kvorum_ring::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualNodeRing<I> {
    /// The members that have weight, by id.
    members: Vec<I>,
    /// Every virtual node, clockwise.
    points: Vec<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    position: Token,
    /// Index into the ring's members.
    member: usize,
}

impl<I> VirtualNodeRing<I> {
    /// Every virtual node clockwise from token 0, with the member it belongs to.
    pub fn virtual_nodes(&self) -> impl Iterator<Item = (Token, &I)> {
        self.points.iter().map(|point| (point.position, &self.members[point.member]))
    }

    /// The distinct members clockwise from a token as indexes into the members that have weight, by
    /// id. The walk goes only as far as it is asked to.
    pub(crate) fn walk_indexes(&self, from: Token) -> impl Iterator<Item = usize> {
        let first = self.points.partition_point(|point| point.position < from);
        let (before, after) = self.points.split_at(first);
        let mut met = vec![false; self.members.len()];
        after
            .iter()
            .chain(before)
            .map(|point| point.member)
            .filter(move |&member| !mem::replace(&mut met[member], true))
            .take(self.members.len())
    }
}

impl<I: NodeKey + Ord + Clone + Debug> VirtualNodeRing<I> {
    /// The ring of these members, in whatever order they are listed. Members of weight 0 are left
    /// out.
    ///
    /// With V virtual nodes this takes 2 V short hashes and a sort.
    ///
    /// # Errors
    /// [`Error::Weight`], [`Error::DuplicateMember`], or [`Error::NoHolder`] if no member has
    /// weight.
    pub fn new(members: &[Member<I>]) -> Result<Self, Error> {
        Ok(Self::of_holders(&holders(members)?))
    }

    /// The ring of members that are already checked and sorted.
    pub(crate) fn of_holders(holders: &[&Member<I>]) -> Self {
        let keys: Vec<Vec<u8>> = holders.iter().map(|member| member.id.node_key()).collect();
        let weights = holders.iter().map(|member| member.weight);

        // `hashring` does not tell positions, so they are hashed a second time. With a hasher of
        // our own it lists its nodes only from a given key on, here an arbitrary one, so the list
        // is then turned to begin at token 0.
        let ring = hash_ring(&keys, weights);
        let mut points: Vec<Point> = ring
            .get_with_replicas(&(), usize::MAX)
            .unwrap_or_default()
            .into_iter()
            .map(|node| Point { position: Token(Blake3.hash_one(node)), member: node.member })
            .collect();
        if let Some(&start) = points.first() {
            let wrap = points.partition_point(|point| point.position >= start.position);
            points.rotate_left(wrap);
        }
        assert_eq!(points.len(), ring.len(), "the hash ring lists every virtual node once");
        assert!(
            points.is_sorted_by_key(|point| point.position),
            "the hash ring orders virtual nodes by the very hash that gives their positions"
        );
        VirtualNodeRing { members: holders.iter().map(|member| member.id.clone()).collect(), points }
    }

    /// Every distinct member clockwise from a token, each once, where its first virtual node at or
    /// after the token stands.
    #[must_use]
    pub fn walk(&self, from: Token) -> Vec<I> {
        self.walk_indexes(from).map(|member| self.members[member].clone()).collect()
    }
}

/// The virtual nodes of members with these keys and weights. Should two fall on one point, the one
/// added first, that is of the smaller id, goes first.
fn hash_ring(keys: &[Vec<u8>], weights: impl Iterator<Item = u32>) -> HashRing<VirtualNode<'_>, Blake3> {
    let nodes = keys.iter().zip(weights).enumerate().flat_map(|(member, (key, weight))| {
        (0..weight * VNODES_PER_WEIGHT).map(move |index| VirtualNode { key, index, member })
    });
    let mut ring = HashRing::with_hasher(Blake3);
    ring.batch_add(nodes.collect());
    ring
}

#[derive(Debug, Clone, Copy)]
struct VirtualNode<'a> {
    /// The member's node key.
    key: &'a [u8],
    /// Which of the member's virtual nodes this is.
    index: u32,
    /// The member's index; not hashed, since it depends on the other members.
    member: usize,
}

/// Feeds fixed bytes: the key, then the index as four bytes, big endian. No two virtual nodes feed
/// the same.
impl Hash for VirtualNode<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.key);
        state.write(&self.index.to_be_bytes());
    }
}

/// Builds the hasher that places virtual nodes: the first 64 bits, big endian, of blake3 over the
/// bytes written, as for [`Token::of`].
#[derive(Debug, Clone, Copy)]
struct Blake3;

impl BuildHasher for Blake3 {
    type Hasher = Blake3Hasher;

    fn build_hasher(&self) -> Blake3Hasher {
        Blake3Hasher(blake3::Hasher::new())
    }
}

struct Blake3Hasher(blake3::Hasher);

impl Hasher for Blake3Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        Token::from_digest(&self.0.finalize()).0
    }
}

#[cfg(test)]
mod tests;
