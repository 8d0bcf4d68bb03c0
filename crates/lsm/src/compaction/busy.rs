//! Owns which keys of which levels are being compacted, so that two compactions that run at once never meet.

use super::pick::Pick;

/// The ranges that running compactions read from and write to.
#[derive(Default)]
pub(crate) struct Busy {
    ranges: Vec<Reserved>,
    last: u64,
}

struct Reserved {
    id: u64,
    levels: [usize; 2],
    first: Box<[u8]>,
    last: Box<[u8]>,
}

impl Busy {
    /// Whether a compaction between these levels, of user keys from `first` to `last`, would meet a running one.
    pub(crate) fn meets(&self, levels: [usize; 2], first: &[u8], last: &[u8]) -> bool {
        self.ranges.iter().any(|reserved| {
            let same_level = reserved.levels.iter().any(|level| levels.contains(level));
            // Flushed tables come and go as a whole, so level 0 has one compaction at a time.
            let both_top = reserved.levels[0] == 0 && levels[0] == 0;
            both_top || same_level && *reserved.first <= *last && *reserved.last >= *first
        })
    }

    /// Reserves what a compaction needs, and says under which name.
    pub(crate) fn reserve(&mut self, pick: &Pick) -> u64 {
        let (first, last) = pick.hull();
        debug_assert!(
            !self.meets([pick.level, pick.output], first, last),
            "a compaction is picked where none is running"
        );
        self.reserve_together(pick)
    }

    /// The same for one of several that are one compaction, so that it does not matter whether they meet each other.
    pub(crate) fn reserve_together(&mut self, pick: &Pick) -> u64 {
        let (levels, (first, last)) = ([pick.level, pick.output], pick.hull());
        self.last += 1;
        self.ranges.push(Reserved { id: self.last, levels, first: first.into(), last: last.into() });
        self.last
    }

    pub(crate) fn release(&mut self, id: u64) {
        self.ranges.retain(|reserved| reserved.id != id);
    }
}
