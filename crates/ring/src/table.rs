//! Owns the table that says who holds each partition, and its validity. How a row is chosen is the
//! business of `topology` and `virtual_node`; a table read from elsewhere is as good as one
//! computed here.

use core::fmt::Debug;
use std::collections::BTreeSet;

use crate::member::holders;
use crate::topology::Topology;
use crate::{Error, Member, NodeKey, PartitionId, Partitions, Replication, VirtualNodeRing};

/// For each partition its replicas, and the fallbacks that stand in for absent ones, both in order:
/// Dynamo's preference list (2007, section 4.3), computed once for each of Q fixed partitions.
///
/// ```
/// # use kvorum_ring::{Member, PartitionTable, Partitions, Token};
/// # let member = |id| Member { id, weight: 1, dc: "dc1".into(), rack: "r1".into() };
/// # let members = [1u64, 2, 3, 4].map(member);
/// let table = PartitionTable::compute(Partitions::new(64)?, &"3".parse()?, &members)?;
/// let partition = table.partitions().of(Token::of(b"some key"));
/// assert_eq!(table.replicas(partition).len(), 3);
/// assert_eq!(table.fallbacks(partition).len(), 1);
/// # Ok::<(), kvorum_ring::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTable<I> {
    partitions: Partitions,
    /// By partition.
    rows: Vec<Vec<I>>,
    /// By partition.
    fallbacks: Vec<Vec<I>>,
}

impl<I: NodeKey + Ord + Clone + Debug> PartitionTable<I> {
    /// The table of a cluster of these members, in whatever order they are listed.
    ///
    /// For each partition the walk goes clockwise around the [`VirtualNodeRing`] from the
    /// partition's first token (Dynamo, 2007, section 6.2, strategy 2). In each data centre the
    /// first members met become replicas, as many as its factor says; a second member of one rack
    /// only when there are fewer racks than copies (Cassandra's `NetworkTopologyStrategy`). A data
    /// centre with fewer members than its factor makes rows shorter, down to empty ones if
    /// `replication` names only data centres without members. The replicas stand in the order in
    /// which they were met, the data centres mixed. The members passed over become fallbacks, at
    /// most [`MAX_FALLBACKS`](crate::MAX_FALLBACKS), whatever their data centre.
    ///
    /// Rows follow the ring alone, so shares are as even as chance makes them: see
    /// [`VNODES_PER_WEIGHT`](crate::VNODES_PER_WEIGHT).
    ///
    /// # Errors
    /// [`Error::NoReplica`] if the replication asks for no copy at all; [`Error::Weight`],
    /// [`Error::DuplicateMember`]; [`Error::NoHolder`] if no member has weight.
    pub fn compute(partitions: Partitions, replication: &Replication, members: &[Member<I>]) -> Result<Self, Error> {
        replication.check()?;
        let holders = holders(members)?;
        let ring = VirtualNodeRing::of_holders(&holders);
        let topology = Topology::new(&holders, replication);

        let ids = |chosen: Vec<usize>| chosen.into_iter().map(|member| holders[member].id.clone()).collect();
        let (rows, fallbacks) = partitions
            .iter()
            .map(|partition| topology.place(ring.walk_indexes(partitions.start(partition))))
            .map(|placed| (ids(placed.replicas), ids(placed.fallbacks)))
            .unzip();
        let table = PartitionTable { partitions, rows, fallbacks };
        debug_assert_eq!(table.check(), Ok(()), "a computed table is valid");
        Ok(table)
    }
}

impl<I: Ord + Debug> PartitionTable<I> {
    /// A table that was computed elsewhere or before: for each partition in order its replicas and
    /// its fallbacks. Rows of any length are valid.
    ///
    /// # Errors
    /// [`Error::RowCount`] unless there is one row and one list of fallbacks for each partition;
    /// [`Error::DuplicateNode`] if a node stands twice among the replicas and fallbacks of one
    /// partition.
    pub fn from_rows(partitions: Partitions, rows: Vec<Vec<I>>, fallbacks: Vec<Vec<I>>) -> Result<Self, Error> {
        let table = PartitionTable { partitions, rows, fallbacks };
        table.check()?;
        Ok(table)
    }

    fn check(&self) -> Result<(), Error> {
        let expected = self.partitions.count();
        let (rows, fallbacks) = (self.rows.len(), self.fallbacks.len());
        if [rows, fallbacks] != [expected as usize; 2] {
            return Err(Error::RowCount { expected, rows, fallbacks });
        }
        for partition in self.partitions.iter() {
            let mut nodes = BTreeSet::new();
            for id in self.replicas(partition).iter().chain(self.fallbacks(partition)) {
                if !nodes.insert(id) {
                    return Err(Error::DuplicateNode { partition, id: format!("{id:?}") });
                }
            }
        }
        Ok(())
    }
}

impl<I> PartitionTable<I> {
    /// The partitions of which this is the table.
    #[must_use]
    pub fn partitions(&self) -> Partitions {
        self.partitions
    }

    /// The nodes that hold a partition, first the one clockwise next to its start; N is their
    /// number. Nobody holds a partition that does not exist. Takes constant time.
    #[must_use]
    pub fn replicas(&self, partition: PartitionId) -> &[I] {
        self.rows.get(usize::from(partition.0)).map_or(&[], Vec::as_slice)
    }

    /// The nodes that stand in for absent replicas of a partition (Dynamo, 2007, section 4.6), the
    /// first choice first. None of them is one of its replicas. Takes constant time.
    #[must_use]
    pub fn fallbacks(&self, partition: PartitionId) -> &[I] {
        self.fallbacks.get(usize::from(partition.0)).map_or(&[], Vec::as_slice)
    }

    /// Every partition in order, with the nodes that hold it.
    pub fn rows(&self) -> impl Iterator<Item = (PartitionId, &[I])> {
        self.partitions.iter().zip(self.rows.iter().map(Vec::as_slice))
    }

    /// The number of partitions that a node holds. Goes through the whole table.
    #[must_use]
    pub fn share(&self, id: &I) -> usize
    where
        I: PartialEq,
    {
        self.rows.iter().filter(|row| row.contains(id)).count()
    }
}

#[cfg(test)]
mod tests;
