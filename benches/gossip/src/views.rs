//! Owns what every node believes of every other, and how often that was wrong.

use serde::{Deserialize, Serialize};

use crate::peer::Change;

/// How often members were taken for dead that were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mistakes {
    /// A healthy member, seen as alive by everybody, was taken for gone by somebody.
    pub(crate) incidents: u64,
    /// How often a node took a healthy member for gone.
    pub(crate) views: u64,
    /// Of these, in nodes that never paused themselves.
    pub(crate) healthy_views: u64,
    /// Of the views, those of which the library says that it is not sure.
    pub(crate) unsure_views: u64,
    /// How often a node took a member for gone that pauses now and then.
    pub(crate) pausing_views: u64,
}

#[derive(Debug)]
pub(crate) struct Views {
    nodes: usize,
    /// For each node, whom it takes for alive.
    live: Vec<u8>,
    /// For each node, which version of each member's metadata it has.
    versions: Vec<u32>,
    running: Vec<bool>,
    running_count: usize,
    pausing: Vec<bool>,
    /// How many running nodes take each member for alive.
    seen_by: Vec<usize>,
    /// The same summed over those that run.
    seen: usize,
    tracked: (usize, u32),
    reached: usize,
    pub(crate) mistakes: Mistakes,
}

impl Views {
    /// Room for so many nodes, none of which runs yet. The memory is taken at once, so that what the libraries take later
    /// can be told apart.
    pub(crate) fn new(nodes: usize) -> Self {
        // Filled with ones first: zeros would be pages that do not exist yet.
        let (mut live, mut versions) = (vec![1; nodes * nodes], vec![1; nodes * nodes]);
        live.fill(0);
        versions.fill(0);
        Self {
            nodes,
            live,
            versions,
            running: vec![false; nodes],
            running_count: 0,
            pausing: vec![false; nodes],
            seen_by: vec![0; nodes],
            seen: 0,
            tracked: (0, 0),
            reached: 0,
            mistakes: Mistakes::default(),
        }
    }

    pub(crate) fn set_running(&mut self, node: usize, running: bool) {
        self.running[node] = running;
        self.running_count = self.running.iter().filter(|running| **running).count();
        self.count();
    }

    pub(crate) fn set_pausing(&mut self, node: usize) {
        self.pausing[node] = true;
    }

    pub(crate) fn running(&self) -> usize {
        self.running_count
    }

    pub(crate) fn is_running(&self, node: usize) -> bool {
        self.running[node]
    }

    /// Begins to count who has at least this version of a node's metadata.
    pub(crate) fn track(&mut self, node: usize, version: u32) {
        self.tracked = (node, version);
        self.count();
    }

    /// How many of the others have it.
    pub(crate) fn reached(&self) -> usize {
        self.reached
    }

    /// How many of the others take this node for alive.
    pub(crate) fn seen_by(&self, node: usize) -> usize {
        self.seen_by[node]
    }

    /// How many others this node takes for alive, of those that are.
    pub(crate) fn sees(&self, node: usize) -> usize {
        (0..self.nodes)
            .filter(|member| self.counts(node, *member) && self.live[node * self.nodes + member] == 1)
            .count()
    }

    /// Whom this node takes for alive, whether they are or not.
    #[cfg(test)]
    pub(crate) fn live(&self, node: usize) -> std::collections::BTreeSet<usize> {
        (0..self.nodes).filter(|member| *member != node && self.live[node * self.nodes + member] == 1).collect()
    }

    /// Whether everybody who runs takes everybody who runs for alive.
    pub(crate) fn complete(&self) -> bool {
        let running = self.running();
        self.seen == running * running.saturating_sub(1)
    }

    /// The share of pairs of nodes in which one has the other's metadata.
    pub(crate) fn metadata_known(&self) -> f64 {
        let pairs = (0..self.nodes).flat_map(|node| (0..self.nodes).map(move |member| (node, member)));
        let pairs: Vec<_> = pairs.filter(|(node, member)| self.counts(*node, *member)).collect();
        let known = pairs.iter().filter(|(node, member)| self.versions[node * self.nodes + member] > 0).count();
        known as f64 / pairs.len().max(1) as f64
    }

    pub(crate) fn apply(&mut self, node: usize, change: Change) {
        match change {
            Change::Live(member) => self.set_live(node, member, true),
            Change::Gone { member, sure } => {
                if node != member && self.live[node * self.nodes + member] == 1 {
                    self.judge(node, member, sure);
                    self.set_live(node, member, false);
                }
            }
            Change::Version { member, version } => {
                let known = &mut self.versions[node * self.nodes + member];
                let wanted =
                    self.tracked.0 == member && (*known..version).contains(&(self.tracked.1.saturating_sub(1)));
                *known = version.max(*known);
                if wanted && self.counts(node, member) {
                    self.reached += 1;
                }
            }
        }
    }

    fn judge(&mut self, node: usize, member: usize, sure: bool) {
        if !self.counts(node, member) {
            return;
        }
        let mistakes = &mut self.mistakes;
        if self.pausing[member] {
            mistakes.pausing_views += 1;
            return;
        }
        mistakes.views += 1;
        mistakes.healthy_views += u64::from(!self.pausing[node]);
        mistakes.unsure_views += u64::from(!sure);
        if self.seen_by[member] + 1 == self.running() {
            self.mistakes.incidents += 1;
        }
    }

    fn set_live(&mut self, node: usize, member: usize, live: bool) {
        let place = node * self.nodes + member;
        if node == member || (self.live[place] == 1) == live {
            return;
        }
        self.live[place] = u8::from(live);
        if self.running[node] {
            let counted = usize::from(self.running[member]);
            if live {
                self.seen_by[member] += 1;
                self.seen += counted;
            } else {
                self.seen_by[member] -= 1;
                self.seen -= counted;
            }
        }
    }

    fn counts(&self, node: usize, member: usize) -> bool {
        node != member && self.running[node] && self.running[member]
    }

    /// Counts anew, after somebody started or stopped.
    fn count(&mut self) {
        let (tracked, version) = self.tracked;
        self.seen_by.fill(0);
        self.reached = 0;
        for node in (0..self.nodes).filter(|node| self.running[*node]) {
            let row = node * self.nodes;
            for (member, seen_by) in self.seen_by.iter_mut().enumerate().filter(|(member, _)| *member != node) {
                *seen_by += usize::from(self.live[row + member]);
            }
            self.reached += usize::from(node != tracked && self.versions[row + tracked] >= version);
        }
        let running = self.seen_by.iter().zip(&self.running).filter(|(_, running)| **running);
        self.seen = running.map(|(seen_by, _)| seen_by).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Views {
        let mut views = Views::new(3);
        (0..3).for_each(|node| views.set_running(node, true));
        for (node, member) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            assert!(!views.complete());
            views.apply(node, Change::Live(member));
        }
        views
    }

    #[test]
    fn views_are_complete_when_all_see_all() {
        let mut views = three();
        assert!(views.complete() && views.seen_by(2) == 2 && views.sees(0) == 2);
        views.set_running(2, false);
        assert!(views.complete() && views.seen_by(2) == 2 && views.sees(0) == 1);
        views.apply(0, Change::Gone { member: 2, sure: true });
        assert_eq!((views.seen_by(2), views.mistakes), (1, Mistakes::default()));
    }

    #[test]
    fn a_mistake_is_counted_once_for_each_who_makes_it() {
        let mut views = three();
        for (node, sure) in [(0, true), (0, true), (1, false)] {
            views.apply(node, Change::Gone { member: 2, sure });
        }
        let expected = Mistakes { incidents: 1, views: 2, healthy_views: 2, unsure_views: 1, pausing_views: 0 };
        assert_eq!(views.mistakes, expected);
        views.set_pausing(0);
        views.apply(2, Change::Gone { member: 0, sure: true });
        views.apply(0, Change::Gone { member: 1, sure: true });
        let expected = Mistakes { incidents: 2, views: 3, healthy_views: 2, unsure_views: 1, pausing_views: 1 };
        assert_eq!(views.mistakes, expected);
    }

    #[test]
    fn a_tracked_version_is_counted_where_it_or_a_later_one_arrives() {
        let mut views = three();
        views.apply(0, Change::Version { member: 2, version: 1 });
        assert!((views.metadata_known() - 1.0 / 6.0).abs() < 1e-9);
        views.track(2, 2);
        assert_eq!(views.reached(), 0);
        views.apply(0, Change::Version { member: 2, version: 2 });
        views.apply(0, Change::Version { member: 2, version: 2 });
        assert_eq!(views.reached(), 1);
        views.apply(1, Change::Version { member: 2, version: 3 });
        assert_eq!(views.reached(), 2);
    }
}
