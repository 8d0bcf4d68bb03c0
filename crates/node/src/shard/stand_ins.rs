//! Who was asked to stand in for absent replicas in one operation: each node once, for one place.

use crate::NodeId;

#[derive(Debug, Default)]
pub(super) struct StandIns {
    asked: Vec<(NodeId, usize)>,
    /// Those among them that have not answered.
    open: Vec<NodeId>,
}

impl StandIns {
    pub(super) fn ask(&mut self, node: NodeId, replica: usize) {
        self.asked.push((node, replica));
        self.open.push(node);
    }

    pub(super) fn was_asked(&self, node: NodeId) -> bool {
        self.asked.iter().any(|(asked, _)| *asked == node)
    }

    pub(super) fn is_open(&self, node: NodeId) -> bool {
        self.open.contains(&node)
    }

    /// Takes a node's word, its only one: the place it was asked for.
    pub(super) fn close(&mut self, node: NodeId) -> Option<usize> {
        let at = self.open.iter().position(|open| *open == node)?;
        self.open.swap_remove(at);
        self.asked.iter().find(|(asked, _)| *asked == node).map(|(_, replica)| *replica)
    }

    /// A new try asks anew.
    pub(super) fn clear(&mut self) {
        self.asked.clear();
        self.open.clear();
    }
}
