//! What may go wrong in a small world, by chance, and how nodes come and go in it.

use kvorum_vclock::Timestamp;

use super::super::super::*;
use super::world::{Call, World};

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What may go wrong in a run.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) loss: bool,
    pub(super) repetition: bool,
    /// Up to two nodes cannot be reached for a while. A fifth node helps the fourth to stand in.
    pub(super) absence: bool,
    /// Some of these have crashed.
    pub(super) crashes: bool,
}

impl World {
    /// A node cannot be reached any more, or comes back.
    pub(super) fn come_or_go(&mut self) {
        let node = self.random.below(self.nodes.len());
        if self.nodes[node].is_away {
            self.nodes[node].is_away = false;
        } else if self.nodes.iter().filter(|node| node.is_away).count() < 2 {
            self.nodes[node].is_away = true;
            if self.faults.crashes && self.random.one_in(2) {
                self.crash(node);
            }
        }
    }

    /// A node loses all but what its disk holds, and starts again.
    fn crash(&mut self, node: usize) {
        let some = self.random.below(self.nodes[node].log.len() + 1);
        self.store(node, some);
        let floor = Timestamp::from_parts(self.now(node).unix_ms + 1000, 0);
        let sight = self.nodes[node].sight.clone();
        self.nodes[node].shard = self.process(&sight, floor);
        self.nodes[node].log.clear();
        self.nodes[node].loads.clear();
        self.nodes[node].scans.clear();
        let lost = |call: &&mut Call| call.node == node && call.completed.is_none();
        self.calls.iter_mut().filter(lost).for_each(|call| call.is_lost = true);
        self.tell(node, Input::Started);
    }

    /// A node learns who can be reached by now.
    pub(super) fn look(&mut self, node: usize) {
        let away = (1..).zip(&self.nodes).filter(|(_, node)| node.is_away).map(|(id, _)| id);
        let down: Vec<u64> = away.filter(|id| *id != node as u64 + 1).collect();
        let sight = &mut self.nodes[node].sight;
        if sight.down != down {
            sight.down = down;
            let view = sight.view();
            self.tell(node, Input::View(view));
        }
    }
}
