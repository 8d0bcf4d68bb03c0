//! [`Partition`]: the counters of one (target, partition), and how far its rows were read. It does not
//! know which of the hints are in memory, only how many.

use core::time::Duration;

use crate::{Kind, Seq};

/// Sums over some hints. Every change saturates: what a caller says twice, or a number that is out of
/// all proportion, makes a sum wrong and not the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Hints.
    pub(crate) count: u64,
    /// How large they are.
    pub(crate) bytes: u64,
    /// How many of them are owed.
    pub(crate) owed: u64,
    /// How many of them are held in memory: read, and not delivered or dropped yet.
    pub(crate) held: u64,
    /// Partitions with more rows behind the last one read than `count` says.
    pub(crate) uncounted: u64,
}

impl Sums {
    pub(crate) fn spare(&self) -> u64 {
        self.count.saturating_sub(self.owed)
    }

    /// Whether some of the hints are only in the store.
    pub(crate) fn unread(&self) -> bool {
        self.count > self.held || self.uncounted > 0
    }

    /// These sums after a part of them changed.
    pub(crate) fn replace(&mut self, before: Sums, after: Sums) {
        let replaced = |sum: u64, before: u64, after: u64| sum.saturating_sub(before).saturating_add(after);
        self.count = replaced(self.count, before.count, after.count);
        self.bytes = replaced(self.bytes, before.bytes, after.bytes);
        self.owed = replaced(self.owed, before.owed, after.owed);
        self.held = replaced(self.held, before.held, after.held);
        self.uncounted = replaced(self.uncounted, before.uncounted, after.uncounted);
    }

    /// One more hint, which is held in memory.
    pub(crate) fn hold(&mut self, bytes: u32, kind: Kind) {
        self.add(bytes, kind);
        self.held = self.held.saturating_add(1);
    }

    fn add(&mut self, bytes: u32, kind: Kind) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::from(bytes));
        self.owed = self.owed.saturating_add(u64::from(kind == Kind::Owed));
    }
}

/// When counted hints were first not found.
#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Duration,
    again_at: Duration,
}

/// How long hints that this process took may be invisible to reads before they are taken to be lost.
const VISIBLE_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) sums: Sums,
    /// Every row at or before this was read for delivery: it is held in memory, or gone for good.
    pub(crate) cursor: Option<Seq>,
    /// Every row at or before this that is spare is held in memory, or gone for good.
    pub(crate) swept: Option<Seq>,
    /// At or before this, the sweep that is under way has nothing more to do.
    pub(crate) looked: Option<Seq>,
    /// Whether this process took one of the hints. Its rows may not be visible yet.
    taken: bool,
    missing: Option<Missing>,
}

impl Partition {
    /// A partition about to get `first`, which is its only hint. Rows before it, which may still be seen
    /// on their way out, are none of its.
    pub(crate) fn new(first: Seq) -> Self {
        let cursor = first.before();
        Self { sums: Sums::default(), cursor, swept: cursor, looked: cursor, taken: false, missing: None }
    }

    pub(crate) fn take(&mut self, now: Duration, bytes: u32, kind: Kind) {
        self.sums.add(bytes, kind);
        self.taken = true;
        if let Some(missing) = &mut self.missing {
            missing.since = now;
        }
    }

    pub(crate) fn recover(&mut self, seq: Seq, bytes: u32, kind: Kind) {
        self.sums.add(bytes, kind);
        self.missing = None;
        self.cursor = self.cursor.min(seq.before());
        self.swept = self.swept.min(seq.before());
        self.looked = self.looked.min(seq.before());
    }

    pub(crate) fn grew(&mut self, before: (u32, Kind), after: (u32, Kind)) {
        let sums = &mut self.sums;
        sums.bytes = sums.bytes.saturating_sub(u64::from(before.0)).saturating_add(u64::from(after.0));
        if before.1 == Kind::Spare && after.1 == Kind::Owed {
            sums.owed = sums.owed.saturating_add(1).min(sums.count);
        }
    }

    /// A hint is held in memory from now on; one that nobody had counted is counted.
    pub(crate) fn hold(&mut self, bytes: u32, kind: Kind) {
        if self.sums.held == self.sums.count {
            self.sums.add(bytes, kind);
        }
        self.sums.held += 1;
    }

    /// A hint that was held in memory is gone for good.
    pub(crate) fn gone(&mut self, bytes: u32, kind: Kind) {
        let sums = &mut self.sums;
        sums.held = sums.held.saturating_sub(1);
        sums.count = sums.count.saturating_sub(1);
        sums.bytes = sums.bytes.saturating_sub(u64::from(bytes));
        sums.owed = sums.owed.saturating_sub(u64::from(kind == Kind::Owed)).min(sums.count);
    }

    /// The last row is read. What is counted and was not found either is not visible yet, and is read
    /// for once more after a while, or does not exist: then the counters become `held`, the sums over
    /// what is in memory.
    pub(crate) fn ended(&mut self, now: Duration, again_after: Duration, held: impl FnOnce() -> Sums) {
        self.sums.uncounted = 0;
        if !self.sums.unread() {
            self.missing = None;
            return;
        }
        let since = self.missing.map_or(now, |missing| missing.since);
        if self.taken && now < since.saturating_add(VISIBLE_WITHIN) {
            self.missing = Some(Missing { since, again_at: now.saturating_add(again_after) });
        } else {
            self.sums = held();
            self.missing = None;
        }
    }

    /// When its rows can be read, if it has any that were not: at once, unless they were not found.
    pub(crate) fn readable_at(&self) -> Option<Duration> {
        self.sums.unread().then(|| self.missing.map_or(Duration::ZERO, |missing| missing.again_at))
    }
}
