//! [`Bucket`]: the token bucket that bounds how many bytes are sent a second. It does not know to whom.

use core::time::Duration;

/// How long the bucket takes to fill: so much of the rate may be sent at once.
pub(crate) const BURST: Duration = Duration::from_millis(100);

/// A token bucket, kept as the time at which it is full again (the "theoretical arrival time" of the
/// generic cell rate algorithm): nothing has to be filled as time goes by.
///
/// It gives while it is not empty and may go into debt by what it gave last, so that a hint larger
/// than the bucket passes as well, and is paid for afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    bytes_per_second: u64,
    full_at: Duration,
}

impl Bucket {
    pub(crate) fn full(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, full_at: Duration::ZERO }
    }

    pub(crate) fn gives(&self, now: Duration) -> bool {
        self.gives_at() <= now
    }

    /// When it gives again.
    pub(crate) fn gives_at(&self) -> Duration {
        self.full_at.saturating_sub(BURST)
    }

    pub(crate) fn take(&mut self, now: Duration, bytes: u32) {
        // A u32 times 10^9 fits a u64.
        let cost = (u64::from(bytes) * 1_000_000_000).div_ceil(self.bytes_per_second);
        self.full_at = self.full_at.max(now).saturating_add(Duration::from_nanos(cost));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut bucket = Bucket::full(1000);
        let mut taken = 0;
        for now in 0..10_000 {
            while bucket.gives(MS(now)) {
                bucket.take(MS(now), 7);
                taken += 7;
            }
            let allowed = 1000 * (now + 100) / 1000;
            assert!(taken > allowed && taken <= allowed + 7, "{taken} bytes after {now} ms");
        }
    }

    #[test]
    fn what_is_larger_than_the_bucket_passes_and_is_paid_for() {
        let mut bucket = Bucket::full(1000);
        bucket.take(MS(0), 5000);
        assert_eq!(bucket.gives_at(), MS(4900));
        assert!(!bucket.gives(MS(4899)) && bucket.gives(MS(4900)));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let mut bucket = Bucket::full(1);
        bucket.take(Duration::MAX, u32::MAX);
        bucket.take(Duration::MAX, u32::MAX);
        assert_eq!(bucket.gives_at(), Duration::MAX - BURST);
        let mut bucket = Bucket::full(u64::MAX);
        bucket.take(MS(0), u32::MAX);
        assert!(bucket.gives(MS(0)));
    }
}
