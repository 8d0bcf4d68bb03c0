//! Counters of reads. Each thread counts in a stripe of its own, or nearly, so that readers do not pass a cache line around.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const STRIPES: usize = 16;
const COUNTERS: usize = 4;

/// What point reads of tables came to.
#[derive(Default)]
pub(crate) struct Reads([Stripe; STRIPES]);

/// Two cache lines, since processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; COUNTERS]);

/// A counter of [`Reads`].
#[derive(Clone, Copy)]
pub(crate) struct Counted(usize);

/// The sums of [`Reads`] at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadTotals {
    /// Searches that a filter ended: the key is not in the table.
    pub(crate) filtered: u64,
    /// Searches that a filter let pass, or that had no filter, and that found a version of the key.
    pub(crate) found: u64,
    /// Searches that a filter let pass in vain, of keys that the table has only in newer versions too.
    pub(crate) false_positives: u64,
    /// Blocks that were read from disk, for searches and scans.
    pub(crate) blocks: u64,
}

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Reads {
    pub(crate) const FILTERED: Counted = Counted(0);
    pub(crate) const FOUND: Counted = Counted(1);
    pub(crate) const FALSE_POSITIVE: Counted = Counted(2);
    pub(crate) const READ: Counted = Counted(3);

    /// Counts one.
    #[inline]
    pub(crate) fn count(&self, Counted(counter): Counted) {
        let stripe = STRIPE.get();
        let stripe = if stripe < STRIPES { stripe } else { new_stripe() };
        self.0[stripe].0[counter].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn totals(&self) -> ReadTotals {
        let sum = |Counted(counter)| self.0.iter().map(|stripe| stripe.0[counter].load(Ordering::Relaxed)).sum();
        ReadTotals {
            filtered: sum(Self::FILTERED),
            found: sum(Self::FOUND),
            false_positives: sum(Self::FALSE_POSITIVE),
            blocks: sum(Self::READ),
        }
    }
}

#[cold]
fn new_stripe() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    let stripe = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
    STRIPE.set(stripe);
    stripe
}
