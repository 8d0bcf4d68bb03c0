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
        mix(self.0)
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

    /// Up to `count` different elements of `pool`, in random order.
    pub(crate) fn sample<T: Copy + PartialEq>(&mut self, pool: &[T], count: usize) -> Vec<T> {
        let count = count.min(pool.len());
        if count * 4 <= pool.len() {
            // Few of many: those drawn twice are drawn again.
            let mut chosen: Vec<T> = Vec::with_capacity(count);
            while chosen.len() < count {
                let one = pool[self.below(pool.len() as u64) as usize];
                if !chosen.contains(&one) {
                    chosen.push(one);
                }
            }
            return chosen;
        }
        // A Fisher-Yates shuffle that stops when it has enough.
        let mut pool = pool.to_vec();
        for chosen in 0..count {
            let rest = (pool.len() - chosen) as u64;
            pool.swap(chosen, chosen + self.below(rest) as usize);
        }
        pool.truncate(count);
        pool
    }
}

/// Scatters the bits of a number (the finalizer of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of some bytes that is the same everywhere: FNV-1a, scattered. It need not resist anybody.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
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
        for size in [10, 40] {
            let pool: Vec<usize> = (0..size).collect();
            let mut seen = vec![0; size];
            for _ in 0..30 * size {
                let mut sample = random.sample(&pool, 3);
                sample.sort_unstable();
                sample.dedup();
                assert_eq!(sample.len(), 3);
                sample.into_iter().for_each(|i| seen[i] += 1);
            }
            // 90 on average each, with a standard deviation below 10.
            assert!(seen.iter().all(|n| (50..130).contains(n)), "{seen:?}");
        }
        assert_eq!(random.sample(&[1, 2], 9).len(), 2);
        assert!(random.sample::<u8>(&[], 3).is_empty());
    }

    #[test]
    fn hashes_are_the_same_everywhere() {
        assert_eq!(hash(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(hash(b"a"), mix(0xaf63_dc4c_8601_ec8c));
        assert_ne!(hash(b"ab"), hash(b"ba"));
    }
}
