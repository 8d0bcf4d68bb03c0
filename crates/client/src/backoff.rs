//! Owns pauses between attempts: growing and jittered, so that many clients do not return at once.

use core::time::Duration;
use std::hash::{BuildHasher, RandomState};

/// Pauses that double up to a bound, each drawn from its upper half.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { next: first, longest, random: RandomState::new().hash_one(first) }
    }

    /// How long to wait now.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.longest);
        whole / 2 + (whole / 2).mul_f64(self.draw())
    }

    /// From 0 to 1 (SplitMix64: Steele, Lea and Flood, 2014).
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_are_jittered_by_half() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(60));
        for whole in [10, 20, 40, 60, 60] {
            let whole = Duration::from_millis(whole);
            let pause = backoff.pause();
            assert!(whole / 2 <= pause && pause <= whole, "{pause:?} of {whole:?}");
        }
    }
}
