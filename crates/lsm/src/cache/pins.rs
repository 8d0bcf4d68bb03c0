//! The budget of what is pinned.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many bytes at most.
pub(super) struct Pins {
    limit: u64,
    used: AtomicU64,
}

impl Pins {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes bytes, if that many are left.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        assert!(bytes <= before, "no more is unpinned than was pinned");
    }
}
