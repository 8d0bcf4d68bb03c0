//! Owns pauses between attempts: growing and jittered, so that many clients do not return at once. Jitter is *full*, over the
//! whole pause: of the common ways it makes the least work (Brooker, "Exponential Backoff And Jitter", 2015).

use core::time::Duration;
use std::hash::{BuildHasher, RandomState};

/// Pauses, each drawn from nothing to a bound that doubles up to the longest.
#[derive(Debug)]
pub(crate) struct Backoff {
    bound: Duration,
    longest: Duration,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { bound: first, longest, random: RandomState::new().hash_one(first) }
    }

    /// How long to wait now.
    pub(crate) fn pause(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(self.longest);
        bound.mul_f64(self.draw())
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
    fn the_bound_of_a_pause_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(60));
        for bound in [10, 20, 40, 60, 60] {
            assert_eq!(backoff.bound, Duration::from_millis(bound));
            let pause = backoff.pause();
            assert!(pause < Duration::from_millis(bound), "{pause:?} of {bound} ms");
        }
    }

    #[test]
    fn jitter_is_over_the_whole_pause_and_another_for_each_client() {
        let longest = Duration::from_millis(1000);
        let clients: Vec<Vec<Duration>> = (0..50)
            .map(|_| {
                let mut backoff = Backoff::new(longest, longest);
                (0..20).map(|_| backoff.pause()).collect()
            })
            .collect();
        for (index, one) in clients.iter().enumerate() {
            assert!(clients[..index].iter().all(|other| one != other), "{one:?}");
        }
        // 100 of 1000 on average in each tenth; 50 is five standard deviations away.
        for tenth in 0..10 {
            let within = |pause: &&Duration| pause.as_millis() / 100 == tenth;
            let count = clients.iter().flatten().filter(within).count();
            assert!((50..=150).contains(&count), "{count} pauses in tenth {tenth}");
        }
    }
}
