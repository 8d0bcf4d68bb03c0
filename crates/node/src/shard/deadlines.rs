//! When operations must be looked at again. Rounded up to coarse ticks, so that the tens of thousands of deadlines
//! of a busy second share a few hundred entries; an operation that has ended is found gone and costs nothing more.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::Op;

const TICK_MS: u64 = 8;
const TICK: Duration = Duration::from_millis(TICK_MS);
/// Nothing is kept for longer than this: an operation due later is looked at early and added again if it still
/// runs. So what ended long before its deadline takes no room until then.
const HORIZON: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    ticks: BTreeMap<u64, Vec<Op>>,
}

impl Deadlines {
    /// Looks at `op` at the first tick at or after `at`; earlier if that is far away, and then whoever looks adds it
    /// again.
    pub(super) fn add(&mut self, now: Duration, at: Duration, op: Op) {
        let tick = at.min(now.saturating_add(HORIZON)).as_nanos().div_ceil(TICK.as_nanos());
        self.ticks.entry(u64::try_from(tick).unwrap_or(u64::MAX)).or_default().push(op);
    }

    /// Looks at `op` at `next`, unless that has been arranged: `wake` remembers for when.
    pub(super) fn watch(&mut self, now: Duration, next: Option<Duration>, wake: &mut Duration, op: Op) {
        if let Some(at) = next.filter(|at| at < wake) {
            *wake = at;
            self.add(now, at, op);
        }
    }

    /// The operations whose moment has come, in the order they were added to each tick.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Op> {
        let current = u64::try_from(now.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
        let mut due = Vec::new();
        while let Some(entry) = self.ticks.first_entry().filter(|entry| *entry.key() <= current) {
            due.append(&mut entry.remove());
        }
        due
    }

    pub(super) fn next(&self) -> Option<Duration> {
        let tick = *self.ticks.first_key_value()?.0;
        Some(Duration::from_millis(tick.saturating_mul(TICK_MS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_due_at_its_tick_and_never_earlier() {
        let mut deadlines = Deadlines::default();
        let op = |slot| Op { slot, generation: 0 };
        deadlines.add(Duration::ZERO, Duration::from_millis(9), op(1));
        deadlines.add(Duration::ZERO, Duration::from_millis(8), op(2));
        deadlines.add(Duration::ZERO, Duration::from_millis(16), op(3));
        assert_eq!(deadlines.next(), Some(Duration::from_millis(8)));
        assert_eq!(deadlines.due(Duration::from_millis(7)), []);
        assert_eq!(deadlines.due(Duration::from_millis(15)), [op(2)]);
        assert_eq!(deadlines.due(Duration::from_millis(16)), [op(1), op(3)]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn years_of_uptime_are_no_reason_to_be_early() {
        let mut deadlines = Deadlines::default();
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        let (now, at) = (10 * year, 10 * year + Duration::from_millis(20));
        deadlines.add(now, at, Op { slot: 1, generation: 0 });
        assert_eq!(deadlines.next(), Some(10 * year + Duration::from_millis(24)));
        assert_eq!(deadlines.due(now), []);
    }

    #[test]
    fn what_is_due_far_away_is_not_kept_until_then() {
        let mut deadlines = Deadlines::default();
        deadlines.add(Duration::ZERO, Duration::from_secs(300), Op { slot: 1, generation: 0 });
        assert!(deadlines.next() <= Some(HORIZON));
    }
}
