//! The layout: which nodes hold which partition, as agreed by the whole cluster and known to every node.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_ring::{Member, PartitionId, PartitionTable, Partitions, Replication};

use crate::{EpochPhase, NodeId, Phase};

/// A node's place in [`Layout::members`].
pub type MemberIndex = u16;

/// One version of the placement. Immutable: a change is a new epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    epoch: u64,
    replication: Replication,
    members: Vec<LayoutMember>,
    table: PartitionTable<MemberIndex>,
    pair_bytes: u32,
}

/// The largest key and value together that a cluster takes unless its founder decides otherwise, in bytes.
pub const DEFAULT_PAIR_BYTES: u32 = 10 << 10;
/// What its founder may decide on, in bytes.
pub const PAIR_BYTES_RANGE: core::ops::RangeInclusive<u32> = 1 << 10..=1 << 20;

/// A node as the layout was computed from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutMember {
    /// The node.
    pub id: NodeId,
    /// Its name: unique in the cluster.
    pub name: Arc<str>,
    /// Its data centre.
    pub dc: Arc<str>,
    /// Its rack.
    pub rack: Arc<str>,
    /// Its share relative to the others'.
    pub weight: u32,
}

/// Why there is no such layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The partition table does not fit together, or cannot be computed.
    #[error(transparent)]
    Ring(#[from] kvorum_ring::Error),
    /// The members are not sorted by id, or one appears twice.
    #[error("the members are not in strictly ascending order of their ids")]
    Unsorted,
    /// A row names a member that does not exist.
    #[error("a row names member {index} of {count}")]
    UnknownMember {
        /// The index it names.
        index: MemberIndex,
        /// How many there are.
        count: usize,
    },
    /// A partition that nobody would hold.
    #[error("no member holds partition {partition}: do the replication factors name the members' data centres?")]
    NoReplica {
        /// The partition.
        partition: PartitionId,
    },
    /// The limit of pairs lies outside [`PAIR_BYTES_RANGE`].
    #[error("the limit of a pair is {} to {} bytes, not {pair_bytes}", PAIR_BYTES_RANGE.start(), PAIR_BYTES_RANGE.end())]
    PairBytes {
        /// What it was.
        pair_bytes: u32,
    },
    /// More members than a row can name.
    #[error("a layout has at most 65535 members, not {count}")]
    TooManyMembers {
        /// How many there were.
        count: usize,
    },
}

impl Layout {
    /// Computes the first layout from the members that found the cluster.
    ///
    /// # Errors
    /// When no member takes a share.
    pub fn found(
        partitions: Partitions,
        replication: &Replication,
        mut members: Vec<LayoutMember>,
    ) -> Result<Self, LayoutError> {
        members.sort_by_key(|member| member.id);
        let ring_members: Vec<_> = members
            .iter()
            .map(|member| Member {
                id: member.id,
                weight: member.weight,
                dc: member.dc.to_string(),
                rack: member.rack.to_string(),
            })
            .collect();
        let computed = PartitionTable::compute(partitions, replication, &ring_members)?;
        let index: BTreeMap<NodeId, MemberIndex> =
            (0..).zip(&members).map(|(index, member)| (member.id, index)).collect();
        let by_index = |ids: &[NodeId]| ids.iter().map(|id| index[id]).collect::<Vec<_>>();
        let rows = partitions.iter().map(|partition| by_index(computed.replicas(partition))).collect();
        let fallbacks = partitions.iter().map(|partition| by_index(computed.fallbacks(partition))).collect();
        Self::from_parts(1, replication.clone(), members, partitions, rows, fallbacks)
    }

    /// Puts a layout together from its stored or received parts.
    ///
    /// # Errors
    /// When they do not fit together.
    pub fn from_parts(
        epoch: u64,
        replication: Replication,
        members: Vec<LayoutMember>,
        partitions: Partitions,
        rows: Vec<Vec<MemberIndex>>,
        fallbacks: Vec<Vec<MemberIndex>>,
    ) -> Result<Self, LayoutError> {
        if members.len() > usize::from(MemberIndex::MAX) {
            return Err(LayoutError::TooManyMembers { count: members.len() });
        }
        if !members.is_sorted_by(|a, b| a.id < b.id) {
            return Err(LayoutError::Unsorted);
        }
        let count = members.len();
        if let Some(index) = rows.iter().chain(&fallbacks).flatten().find(|index| usize::from(**index) >= count) {
            return Err(LayoutError::UnknownMember { index: *index, count });
        }
        let table = PartitionTable::from_rows(partitions, rows, fallbacks)?;
        if let Some((partition, _)) = table.rows().find(|(_, row)| row.is_empty()) {
            return Err(LayoutError::NoReplica { partition });
        }
        Ok(Self { epoch, replication, members, table, pair_bytes: DEFAULT_PAIR_BYTES })
    }

    /// The same layout for a cluster with another limit of pairs: it travels with the layout, so that every node has
    /// the same.
    ///
    /// # Errors
    /// When the limit lies outside [`PAIR_BYTES_RANGE`].
    pub fn with_pair_bytes(self, pair_bytes: u32) -> Result<Self, LayoutError> {
        if PAIR_BYTES_RANGE.contains(&pair_bytes) {
            Ok(Self { pair_bytes, ..self })
        } else {
            Err(LayoutError::PairBytes { pair_bytes })
        }
    }

    /// The largest key and value together, in bytes.
    #[must_use]
    pub fn pair_bytes(&self) -> u32 {
        self.pair_bytes
    }

    /// The largest record that a write to a `causal` keyspace may leave, all siblings together, in bytes: two pairs, but
    /// at least 128 KiB. Merging replicas may exceed it; a message has room for that.
    #[must_use]
    pub fn sibling_bytes(&self) -> usize {
        (2 * self.pair_bytes as usize).max(128 << 10)
    }

    /// Its version: 1 for the founding one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What data messages under this layout are tagged with.
    #[must_use]
    pub fn tag(&self) -> EpochPhase {
        EpochPhase { epoch: self.epoch, phase: Phase::Stable }
    }

    /// How many replicas each data centre keeps.
    #[must_use]
    pub fn replication(&self) -> &Replication {
        &self.replication
    }

    /// The members, in ascending order of their ids.
    #[must_use]
    pub fn members(&self) -> &[LayoutMember] {
        &self.members
    }

    /// The rows of replicas and fallbacks.
    #[must_use]
    pub fn table(&self) -> &PartitionTable<MemberIndex> {
        &self.table
    }

    /// The number of partitions.
    #[must_use]
    pub fn partitions(&self) -> Partitions {
        self.table.partitions()
    }

    /// The place of a node among the members.
    #[must_use]
    pub fn index_of(&self, id: NodeId) -> Option<MemberIndex> {
        let found = self.members.binary_search_by_key(&id, |member| member.id).ok()?;
        MemberIndex::try_from(found).ok()
    }

    /// In how many partitions' rows a node stands.
    #[must_use]
    pub fn share(&self, id: NodeId) -> usize {
        self.index_of(id).map_or(0, |index| self.table.share(&index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64) -> LayoutMember {
        LayoutMember {
            id: NodeId(id),
            name: format!("n{id}").into(),
            dc: "dc1".into(),
            rack: "rack1".into(),
            weight: 1,
        }
    }

    #[test]
    fn the_founding_layout_puts_three_nodes_in_every_row() {
        let layout = Layout::found(
            Partitions::new(64).unwrap(),
            &Replication::PerCentre(3),
            vec![member(3), member(1), member(2)],
        )
        .unwrap();
        assert_eq!(layout.epoch(), 1);
        assert_eq!(layout.members().iter().map(|member| member.id.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(layout.table().rows().all(|(_, row)| row.len() == 3));
        assert_eq!(layout.share(NodeId(2)), 64);
        assert_eq!(layout.share(NodeId(9)), 0);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let build = |members, rows| {
            Layout::from_parts(1, Replication::PerCentre(1), members, Partitions::new(1).unwrap(), rows, vec![vec![]])
        };
        assert!(build(vec![member(1)], vec![vec![0]]).is_ok());
        assert_eq!(build(vec![member(1)], vec![vec![1]]), Err(LayoutError::UnknownMember { index: 1, count: 1 }));
        assert_eq!(build(vec![member(2), member(1)], vec![vec![0]]), Err(LayoutError::Unsorted));
        assert_eq!(build(vec![member(1), member(1)], vec![vec![0]]), Err(LayoutError::Unsorted));
        assert!(matches!(build(vec![member(1)], vec![]), Err(LayoutError::Ring(_))));
        let nobody = LayoutError::NoReplica { partition: PartitionId(0) };
        assert_eq!(build(vec![member(1)], vec![vec![]]), Err(nobody));
    }
}
