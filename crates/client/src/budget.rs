//! Owns the retry budget of a client: how many tries beyond the first it may make. When those it asks are in trouble, calls
//! that fail are few retries each, but many together, and would keep them there; so the client as a whole makes at most a
//! tenth more requests than it has calls, after a small reserve. The idea is Finagle's `RetryBudget` and gRPC's retry
//! throttling (proposal A6).
//!
//! Which tries cost something is decided in `perform.rs`.

use std::sync::atomic::{AtomicU32, Ordering};

/// What a retry costs. A token is counted in tenths.
const RETRY: u32 = 10;
/// What each call earns by its first try: a tenth of a retry.
const FIRST_TRY: u32 = 1;
/// A bucket of tokens, shared by all calls of a client.
#[derive(Debug)]
pub(crate) struct Budget {
    tenths: AtomicU32,
    /// What the bucket holds, and has in it at the start, so that a client with few calls can ride over a disturbance.
    full: u32,
}

impl Budget {
    /// A bucket that holds so many retries.
    pub(crate) fn full(retries: u16) -> Budget {
        let full = u32::from(retries) * RETRY;
        Budget { tenths: AtomicU32::new(full), full }
    }

    /// A call makes its first try.
    pub(crate) fn earn(&self) {
        // As long as nothing fails nothing is written, and calls on many threads share the line.
        if self.tenths.load(Ordering::Relaxed) < self.full {
            let earned = |tenths: u32| Some((tenths + FIRST_TRY).min(self.full));
            // The closure always gives a value.
            let _ = self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned);
        }
    }

    /// Takes out the cost of one retry. False, and nothing is taken, if that much is not there.
    pub(crate) fn pay(&self) -> bool {
        let paid = |tenths: u32| tenths.checked_sub(RETRY);
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(budget: &Budget) -> usize {
        core::iter::repeat_with(|| budget.pay()).take_while(|paid| *paid).count()
    }

    #[test]
    fn ten_retries_are_there_at_first_and_then_one_for_every_ten_calls() {
        let budget = Budget::full(10);
        assert_eq!(retries(&budget), 10);
        for _ in 0..3 {
            (0..9).for_each(|_| budget.earn());
            assert_eq!(retries(&budget), 0);
            budget.earn();
            assert_eq!(retries(&budget), 1);
        }
    }

    #[test]
    fn no_more_than_ten_retries_are_ever_saved() {
        let budget = Budget::full(10);
        assert!(budget.pay());
        (0..1000).for_each(|_| budget.earn());
        assert_eq!(retries(&budget), 10);
    }
}
