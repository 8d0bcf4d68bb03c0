//! What can be wrong with the arguments of a placement. Nothing here is ever half done: every
//! function that returns an [`Error`] has built nothing and changed nothing.

use crate::PartitionId;

/// Why a placement could not be described or computed.
///
/// Node ids appear in their `Debug` form, so that the error does not carry the id's type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configured number of partitions is not a power of two in `1..=65_536`. The operator's
    /// mistake.
    #[error("the number of partitions must be a power of two from 1 to 65536, not {count}")]
    PartitionCount {
        /// The number that was asked for.
        count: u32,
    },

    /// A member's weight is above [`MAX_WEIGHT`](crate::MAX_WEIGHT). The operator's mistake.
    #[error("member {id} has weight {weight}; the largest is {}", crate::MAX_WEIGHT)]
    Weight {
        /// The member.
        id: String,
        /// Its weight.
        weight: u32,
    },

    /// Two members have the same id, or ids with the same [`NodeKey`](crate::NodeKey). The caller's
    /// mistake.
    #[error("member {id} is listed twice, or shares its node key with another member")]
    DuplicateMember {
        /// The member that came second in the order of ids.
        id: String,
    },

    /// There is no member with a weight above zero, so there is nobody to hold anything. The
    /// operator's mistake.
    #[error("no member has a weight above zero")]
    NoHolder,

    /// The replication asks for no copy in any data centre. The operator's mistake.
    #[error("the replication asks for no copy at all")]
    NoReplica,

    /// A replication factor is not a decimal number in `0..=255`. The operator's mistake.
    #[error("`{text}` is not a replication factor: expected a number from 0 to 255")]
    Factor {
        /// What stood where the factor was expected.
        text: String,
    },

    /// An entry of a replication such as `dc1=3,dc2=2` names no data centre. The operator's
    /// mistake.
    #[error("`{text}` names no data centre: expected `name=factor`")]
    CentreName {
        /// The entry.
        text: String,
    },

    /// A replication names one data centre twice. The operator's mistake.
    #[error("data centre `{name}` is listed twice")]
    DuplicateCentre {
        /// The data centre.
        name: String,
    },

    /// A table was given with too few or too many rows. The fault of whoever wrote or sent the
    /// table.
    #[error("{expected} partitions need as many rows and fallback lists, not {rows} and {fallbacks}")]
    RowCount {
        /// The number of partitions, and so of rows and of lists of fallbacks.
        expected: u32,
        /// The number of rows given.
        rows: usize,
        /// The number of lists of fallbacks given.
        fallbacks: usize,
    },

    /// A node stands twice among the replicas and fallbacks of one partition; copies on one node
    /// are one copy. The fault of whoever wrote or sent the table.
    #[error("node {id} stands twice among the replicas and fallbacks of partition {partition}")]
    DuplicateNode {
        /// The partition.
        partition: PartitionId,
        /// The node.
        id: String,
    },
}
