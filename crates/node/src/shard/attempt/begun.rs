//! The writes with an id that this process has begun, itself or through another node: whoever asks for one of them again must
//! not have it begun a second time. A bounded memory, so it also tells how far back it reaches.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// How many ids are remembered.
pub(super) const REMEMBERED: usize = 1 << 16;

#[derive(Debug, Default)]
pub(in crate::shard) struct Begun {
    /// Each with the number under which it was noted.
    noted: BTreeMap<u64, u64>,
    order: VecDeque<Note>,
    numbered: u64,
    /// Whatever began later, and is not noted, was not begun here.
    complete_since: Duration,
}

#[derive(Debug)]
struct Note {
    id: u64,
    number: u64,
    at: Duration,
}

impl Begun {
    /// Whether the write may be begun: it has not been, as far as is remembered. If so that is noted.
    pub(super) fn begin(&mut self, id: u64, now: Duration) -> bool {
        if self.noted.contains_key(&id) {
            return false;
        }
        self.numbered += 1;
        self.noted.insert(id, self.numbered);
        self.order.push_back(Note { id, number: self.numbered, at: now });
        while self.order.len() > REMEMBERED {
            let Some(Note { id, number, at }) = self.order.pop_front() else { break };
            if self.noted.get(&id) == Some(&number) {
                self.noted.remove(&id);
                self.complete_since = self.complete_since.max(at);
            }
        }
        true
    }

    /// It came to nothing for certain, and may be begun again.
    pub(super) fn undo(&mut self, id: u64) {
        self.noted.remove(&id);
    }

    /// Whether a write that its client first asked for at `since` or later was certainly not begun here.
    pub(super) fn certainly_not(&self, id: u64, since: Duration) -> bool {
        !self.noted.contains_key(&id) && since > self.complete_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_write_is_begun_once_unless_it_came_to_nothing() {
        let mut begun = Begun::default();
        assert!(begun.certainly_not(1, at(1)));
        assert!(begun.begin(1, at(1)) && !begun.begin(1, at(2)));
        assert!(!begun.certainly_not(1, at(3)) && begun.certainly_not(2, at(3)));
        begun.undo(1);
        assert!(begun.certainly_not(1, at(3)) && begun.begin(1, at(4)));
    }

    #[test]
    fn what_is_not_remembered_any_more_is_not_certain() {
        let mut begun = Begun::default();
        assert!(begun.begin(0, at(1)));
        begun.undo(0);
        assert!(begun.begin(0, at(2)));
        for id in 1..REMEMBERED as u64 - 1 {
            assert!(begun.begin(id, at(3)));
        }
        assert!(begun.begin(u64::MAX, at(4)), "the place of a note that was undone is given up first");
        assert!(!begun.certainly_not(0, at(5)) && begun.certainly_not(7 << 32, at(1)));
        assert!(begun.begin(u64::MAX - 1, at(4)), "this takes the place of 0");
        assert!(!begun.certainly_not(0, at(2)) && begun.certainly_not(0, at(3)));
        assert!(begun.noted.len() <= REMEMBERED && begun.order.len() <= REMEMBERED);
    }
}
