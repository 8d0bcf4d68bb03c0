//! Owns the machine's randomness: SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom
//! Number Generators*, OOPSLA 2014). Good enough to choose peers; not for secrets.

use alloc::vec::Vec;

/// A generator whose whole future is its seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`. Multiplying instead of dividing leaves a bias of at most
    /// `bound / 2^64`, which choosing peers does not notice.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        let product = u128::from(self.next()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// True once in `n` on average.
    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.below(u64::from(n)) == 0
    }

    /// Up to `count` different elements of `pool` in random order (a Fisher-Yates shuffle that
    /// stops when it has enough).
    pub(crate) fn sample<T>(&mut self, mut pool: Vec<T>, count: usize) -> Vec<T> {
        let count = count.min(pool.len());
        for chosen in 0..count {
            let rest = (pool.len() - chosen) as u64;
            pool.swap(chosen, chosen + self.below(rest) as usize);
        }
        pool.truncate(count);
        pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn it_is_splitmix64() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_sample_has_no_repetition_and_reaches_every_element() {
        let mut random = Random::new(7);
        let mut seen = vec![0; 10];
        for _ in 0..300 {
            let mut sample = random.sample((0..10_usize).collect(), 3);
            sample.sort_unstable();
            sample.dedup();
            assert_eq!(sample.len(), 3);
            sample.into_iter().for_each(|i| seen[i] += 1);
        }
        // 90 on average each, with a standard deviation below 8.
        assert!(seen.iter().all(|n| (50..130).contains(n)), "{seen:?}");
        assert_eq!(random.sample(vec![1, 2], 9).len(), 2);
        assert!(random.sample(Vec::<u8>::new(), 3).is_empty());
    }
}
