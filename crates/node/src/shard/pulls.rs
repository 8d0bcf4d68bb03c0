//! Who has pulled, from this node or from others: what such a node answered for before it may have lost, and writes that are
//! not acknowledged yet must not count it.
//!
//! A write may have been durable on a replica A, which then lost its disk and pulled from B, before B held the write. Were A's
//! answer still counted, B's would complete the quorum though B alone holds the write. So B tells whom it answers who has pulled from it,
//! and the coordinator withdraws A's answer before it counts B's. One that coordinates itself withdraws when the pull begins.
//!
//! What this does not cover: answers of stand-ins, who serve no pulls and therefore know of none; the repair of a strict read or of
//! a retried write; and an answer that was sent before its node died and arrives after its withdrawal. There a coordinator
//! depends on gossip to tell it in time of the new process.

use std::collections::{BTreeMap, BTreeSet};

use kvorum_ring::PartitionId;

use super::{Effect, Shard};
use crate::{ActorId, NodeId};

/// So many processes are remembered as heeded; beyond it all are forgotten, which costs a few writes a second message.
const MAX_HEEDED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// The last process of each node that began to pull a partition from here.
    from_here: BTreeMap<(PartitionId, NodeId), ActorId>,
    /// The processes that have pulled elsewhere, whose nodes' earlier answers have been withdrawn.
    heeded: BTreeSet<ActorId>,
}

impl Pulls {
    /// Forgets nodes that are no members any more.
    pub(super) fn retain(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.from_here.retain(|(_, node), _| is_member(*node));
    }
}

impl Shard {
    /// A node pulls a partition from here. It may have answered, before it lost its disk, for what is not durable here
    /// yet and will be in none of the pages; what its new process answers it keeps.
    pub(super) fn pulled_from_here(
        &mut self,
        node: NodeId,
        process: ActorId,
        partition: PartitionId,
        out: &mut impl Extend<Effect>,
    ) {
        if self.pulls.from_here.insert((partition, node), process) != Some(process) {
            self.withdraw_answers(node, Some(partition), out);
        }
    }

    /// Who has begun to pull a partition from here.
    pub(super) fn pulled_by(&self, partition: PartitionId) -> Vec<(NodeId, ActorId)> {
        let all = (partition, NodeId(0))..=(partition, NodeId(u64::MAX));
        self.pulls.from_here.range(all).map(|((_, node), process)| (*node, *process)).collect()
    }

    /// A replica tells who has pulled from it. Of a process that the view knows the earlier answers are withdrawn already.
    pub(super) fn pulled_elsewhere(&mut self, pulled_by: &[(NodeId, ActorId)], out: &mut impl Extend<Effect>) {
        for (node, process) in pulled_by {
            let is_known = self.view.members.get(node).is_some_and(|member| member.actor == *process);
            if is_known || *node == self.me.node {
                continue;
            }
            if self.pulls.heeded.len() >= MAX_HEEDED {
                self.pulls.heeded.clear();
            }
            if self.pulls.heeded.insert(*process) {
                self.withdraw_answers(*node, None, out);
            }
        }
    }
}
