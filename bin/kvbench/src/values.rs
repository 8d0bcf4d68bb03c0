//! Owns the values: random bytes, which no compression shrinks, made once and then only sliced.

use bytes::Bytes;

use crate::random::Random;

/// Values begin anywhere in so many bytes.
const SPREAD: u64 = 1024 * 1024;

/// Where values are cut from.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    pool: Bytes,
    length: usize,
}

impl Values {
    pub(crate) fn new(length: usize, seed: u64) -> Values {
        let mut pool = vec![0; SPREAD as usize + length];
        Random::new(seed, u64::MAX).fill(&mut pool);
        Values { pool: pool.into(), length }
    }

    pub(crate) fn draw(&self, random: &mut Random) -> Bytes {
        let start = random.below(SPREAD) as usize;
        self.pool.slice(start..start + self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_length_and_differ() {
        let mut random = Random::new(1, 0);
        for length in [0, 1, 100, 2 * SPREAD as usize] {
            let values = Values::new(length, 1);
            let (a, b) = (values.draw(&mut random), values.draw(&mut random));
            assert_eq!((a.len(), b.len()), (length, length));
            assert!(length < 100 || a != b);
        }
    }

    #[test]
    fn no_byte_is_much_more_frequent_than_others() {
        let values = Values::new(256 * 1024, 3);
        let mut counts = [0u32; 256];
        values.draw(&mut Random::new(1, 0)).iter().for_each(|&byte| counts[byte as usize] += 1);
        assert!(counts.iter().all(|&count| (820..1230).contains(&count)), "{counts:?}");
    }
}
