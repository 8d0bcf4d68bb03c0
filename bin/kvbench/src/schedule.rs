//! Owns when operations of an open loop are to begin. It reads no clock.

use std::time::{Duration, Instant};

const SECOND: u128 = 1_000_000_000;

/// Operations at a constant rate. Each time is computed from the first, so that nothing drifts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    first: Instant,
    /// Operations per second.
    rate: u64,
}

impl Schedule {
    pub(crate) fn new(first: Instant, rate: u64) -> Schedule {
        assert!(rate > 0, "a schedule has operations");
        Schedule { first, rate }
    }

    /// When the operation of this number, from 0, is to begin.
    pub(crate) fn intended(&self, number: u64) -> Instant {
        let nanos = u128::from(number) * SECOND / u128::from(self.rate);
        self.first + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }

    /// How many operations are to have begun: those with `intended` at or before `now`.
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let Some(elapsed) = now.checked_duration_since(self.first) else { return 0 };
        let due = ((elapsed.as_nanos() + 1) * u128::from(self.rate)).div_ceil(SECOND);
        u64::try_from(due).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_begin_at_the_rate_without_drift() {
        let first = Instant::now();
        for rate in [1, 3, 7, 1000, 99_999, 100_000_000] {
            let schedule = Schedule::new(first, rate);
            assert_eq!(schedule.intended(0), first);
            assert_eq!(schedule.intended(rate), first + Duration::from_secs(1), "{rate}");
            assert_eq!(schedule.intended(rate * 3600), first + Duration::from_secs(3600), "{rate}");
        }
    }

    #[test]
    fn an_operation_is_due_from_its_own_time_on() {
        let first = Instant::now() + Duration::from_secs(1);
        let nano = Duration::from_nanos(1);
        for rate in [1, 3, 7, 1000, 99_999, 100_000_000] {
            let schedule = Schedule::new(first, rate);
            assert_eq!(schedule.due(first - nano), 0);
            for number in [0, 1, 2, 3, 1000, 12_345_678] {
                let intended = schedule.intended(number);
                assert_eq!(schedule.due(intended), number + 1, "{rate} {number}");
                assert_eq!(schedule.due(intended - nano), number, "{rate} {number}");
            }
        }
    }
}
