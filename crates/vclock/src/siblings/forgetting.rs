//! Owns how a record gets smaller again: what may be forgotten without any harm, and what is dropped when it has grown past a
//! limit. Does not own the stable time: who knows all replicas does.

use alloc::vec::Vec;

use super::Siblings;
use super::entry::Entry;
use crate::prune::oldest;
use crate::{Dot, Timestamp};

impl<A: Ord + Clone, V> Siblings<A, V> {
    /// Forgets what no longer matters once everything up to `stable` has reached every replica (causal stability): the live
    /// dots there for which `is_absent` holds, such as tombstones, and, **if no live dot above `stable` is left**, the
    /// discards there. Returns how many dots and discards went. O(n).
    ///
    /// `stable` must be a time such that every replica has absorbed all dots of this key up to it, that none can be minted
    /// there any more, and that no copy of the record which still holds one of them, be it in a message, a hint or a
    /// backup, is merged again before its holder has caught up. Then nothing comes back. Forgetting with a later time
    /// lets overwritten and deleted values return from wherever they are still held; nothing is lost even then.
    ///
    /// A discard is knowledge of the write that raised it, and as old as that write, not as the dots it covers: right after
    /// an old, stable value was overwritten, other replicas still hold it, and only the discard tells them that it is
    /// gone. When all that is alive is stable, the writes that raised the discards are as well, because each of them is
    /// alive, or was discarded by a later one whose context it belongs to.
    pub fn forget(&mut self, stable: Timestamp, mut is_absent: impl FnMut(Dot<A>, &V) -> bool) -> usize {
        let mut forgotten = 0;
        let mut is_settled = true;
        for Entry { actor, live, .. } in &mut self.entries {
            let before = live.len();
            live.retain(|(time, value)| *time > stable || !is_absent(Dot { time: *time, actor: actor.clone() }, value));
            forgotten += before - live.len();
            is_settled &= live.last().is_none_or(|(time, _)| *time <= stable);
        }
        if is_settled {
            for Entry { discard, .. } in &mut self.entries {
                if *discard > Timestamp::MIN && *discard <= stable {
                    *discard = Timestamp::MIN;
                    forgotten += 1;
                }
            }
        }
        self.entries.retain(|entry| !entry.is_vacant());
        forgotten
    }

    /// Drops the oldest discards, by (time, actor), until at most `keep` are left; returns how many went. Never drops a
    /// live value. O(n log n).
    ///
    /// This bounds a record whatever happens (Dynamo, section 4.4) at a price: an overwritten value may return from a
    /// replica that still has it, as a sibling. No write is lost: a record that knows fewer discards discards less, and a
    /// context made of it covers less.
    pub fn prune(&mut self, keep: usize) -> usize {
        let holders: Vec<usize> =
            (0..self.entries.len()).filter(|place| self.entries[*place].discard > Timestamp::MIN).collect();
        let doomed = oldest(holders.iter().map(|place| self.entries[*place].discard), keep);
        for holder in &doomed {
            self.entries[holders[*holder]].discard = Timestamp::MIN;
        }
        self.entries.retain(|entry| !entry.is_vacant());
        doomed.len()
    }
}
