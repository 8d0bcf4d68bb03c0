//! Owns the data: which key and which value belong to a number. Everything follows from the number of the key and the version of its value, so
//! that every byte that an engine gives back can be checked without a second copy of the data.

use std::ops::Range;

/// Length of a key in bytes.
pub(crate) const KEY: usize = 16;
/// Length of a value in bytes.
pub(crate) const VALUE: usize = 128;
/// What one pair counts as, before any engine's overhead.
pub(crate) const PAIR: u64 = (KEY + VALUE) as u64;

pub(crate) type Key = [u8; KEY];
pub(crate) type Value = [u8; VALUE];

/// The step of the sequence whose mix is a random number (Steele et al., Fast Splittable Pseudorandom Number Generators, 2014).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64-bit numbers whose outputs look random: the finalizer of splitmix64.
pub(crate) fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Where the keys of consecutive numbers lie is random, and no two numbers have the same key, since its first half is a bijection of the number.
pub(crate) fn key(number: u64) -> Key {
    key_at(mix(number.wrapping_add(GOLDEN)))
}

/// The key whose first half, big-endian, is this: keys are in the order of these.
pub(crate) fn key_at(place: u64) -> Key {
    let mut key = [0; KEY];
    key[..8].copy_from_slice(&place.to_be_bytes());
    key[8..].copy_from_slice(&mix(place ^ GOLDEN).to_be_bytes());
    key
}

/// The places of the keys of these numbers, with their numbers, in the order of the keys.
pub(crate) fn sorted(numbers: Range<u64>) -> Vec<(u64, u64)> {
    let mut places: Vec<(u64, u64)> = numbers.map(|number| (mix(number.wrapping_add(GOLDEN)), number)).collect();
    places.sort_unstable();
    places
}

/// Begins with its version; then half of it is random and half repeats itself, so that compression has something to do.
pub(crate) fn value(number: u64, version: u32) -> Value {
    let mut value = [0; VALUE];
    let (head, rest) = value.split_at_mut(8);
    head[..4].copy_from_slice(&version.to_le_bytes());
    head[4..].copy_from_slice(&(number as u32).to_le_bytes());
    let (random, repeating) = rest.split_at_mut(VALUE / 2);
    let seed = mix(number ^ (u64::from(version) << 40));
    for (at, word) in random.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&mix(seed.wrapping_add(GOLDEN.wrapping_mul(at as u64 + 1))).to_le_bytes());
    }
    repeating.fill(b'a' + (number % 26) as u8);
    value
}

/// The version that a value says it has.
pub(crate) fn version_of(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|version| u32::from_le_bytes(*version))
}

/// Whether this is the value of a number in a version, byte for byte.
pub(crate) fn is_value(bytes: &[u8], number: u64, version: u32) -> bool {
    bytes == value(number, version)
}

/// The number at each place of a pass over `count` numbers: each once, and in another order in each pass. A stride that has no divisor in common
/// with the count visits all.
pub(crate) fn in_pass(pass: u32, count: u64) -> impl Fn(u64) -> u64 {
    let common = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let wanted = mix(u64::from(pass).wrapping_mul(GOLDEN)) % count.max(1);
    let stride = (wanted.max(1)..).find(|stride| common(*stride, count) == 1).unwrap_or(1);
    move |place| ((u128::from(place) * u128::from(stride) + u128::from(pass)) % u128::from(count)) as u64
}

/// Random numbers that are the same in each run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(1)))
    }

    /// Evenly below a limit, to within what 64 bits can tell.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        ((u128::from(mix(self.0)) * u128::from(limit)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_numbers_share_a_key() {
        // The finalizer can be undone step by step, so it is a bijection; the steps are undone for numbers of all sizes.
        let undo_shift = |number: u64, by: u32| {
            let mut known = number;
            for _ in 0..64 / by {
                known = number ^ (known >> by);
            }
            known
        };
        let inverse = |odd: u64| (0..6).fold(odd, |x, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x))));
        for number in (0..100_000).chain((0..64).map(|bit| 1 << bit)).chain([u64::MAX]) {
            let mut back = undo_shift(mix(number), 31).wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
            back = undo_shift(back, 27).wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
            assert_eq!(undo_shift(back, 30), number);
        }
        let keys: HashSet<Key> = (0..100_000).map(key).collect();
        assert_eq!(keys.len(), 100_000);
    }

    #[test]
    fn keys_are_in_the_order_of_their_places() {
        let sorted = sorted(0..1000);
        assert!(sorted.windows(2).all(|two| key(two[0].1) < key(two[1].1)));
        assert!(sorted.iter().all(|(place, number)| key(*number) == key_at(*place)));
        assert_eq!(sorted.iter().map(|(_, number)| number).collect::<HashSet<_>>().len(), 1000);
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let good = value(7, 3);
        assert!(is_value(&good, 7, 3));
        for at in 0..VALUE {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(!is_value(&bad, 7, 3), "byte {at}");
        }
        assert!(!is_value(&good[..VALUE - 1], 7, 3) && !is_value(&[], 7, 3));
        assert!(!is_value(&good, 8, 3) && !is_value(&good, 7, 4) && !is_value(&value(7 + 26, 3), 7, 3));
        assert_eq!((version_of(&good), version_of(&good[..3])), (Some(3), None));
    }

    #[test]
    fn half_of_a_value_repeats_itself() {
        let value = value(1, 0);
        let repeating = value.iter().rev().take_while(|byte| **byte == value[VALUE - 1]).count();
        assert!((VALUE / 2 - 8..=VALUE / 2).contains(&repeating), "{repeating}");
    }

    #[test]
    fn a_pass_visits_each_number_once_in_an_order_of_its_own() {
        for count in [1, 2, 3, 10, 1000, 1024, 250_000] {
            let passes: Vec<Vec<u64>> = (0..3).map(|pass| (0..count).map(in_pass(pass, count)).collect()).collect();
            for pass in &passes {
                assert_eq!(pass.iter().collect::<HashSet<_>>().len() as u64, count);
                assert!(pass.iter().all(|number| *number < count));
            }
            assert!(count < 10 || passes[0] != passes[1] && passes[1] != passes[2], "{count}");
        }
    }

    #[test]
    fn random_numbers_stay_below_their_limit_and_reach_all_of_it() {
        let mut random = Random::new(1);
        let seen: HashSet<u64> = (0..1000).map(|_| random.below(10)).collect();
        assert_eq!(seen, (0..10).collect());
    }
}
