//! Randomness: small streams that all derive from one 64-bit seed, one for each purpose, so that drawing more for
//! one purpose does not change what another sees. It knows nothing of what is drawn.

use core::time::Duration;

/// A SplitMix64 generator (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The shape of the run: sizes, levels, skews.
    Shape,
    /// Identities and the seeds of the machines.
    Identity,
    /// Delays and losses of messages.
    Network,
    /// Latencies of disks, and what becomes of state files.
    Disk,
    /// What clients do.
    Client,
    /// The fault schedule.
    Fault,
    /// What crashes and failures leave of a store.
    Store,
    /// Names of writes, and of whom they are asked again.
    Names,
}

impl Random {
    /// The stream of a run for one purpose.
    pub(crate) fn stream(seed: u64, purpose: Purpose) -> Self {
        let mut base = Self(seed ^ (purpose as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(base.next())
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero. The bias is far below what a simulation could notice.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// An index into something that has `len` elements.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(crate) fn permille(&mut self, chance: u16) -> bool {
        self.below(1000) < u64::from(chance)
    }

    /// One of several things, by their weights; none if all weigh nothing.
    pub(crate) fn weighted<T: Copy>(&mut self, things: &[(T, u16)]) -> Option<T> {
        let total: u64 = things.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if total == 0 {
            return None;
        }
        let mut ticket = self.below(total);
        for (thing, weight) in things {
            match ticket.checked_sub(u64::from(*weight)) {
                Some(rest) => ticket = rest,
                None => return Some(*thing),
            }
        }
        unreachable!("the ticket is below the sum of the weights")
    }

    /// A duration between two numbers of microseconds, both included.
    pub(crate) fn micros(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(least + self.below(most - least + 1))
    }

    /// A duration between two numbers of milliseconds, with microseconds drawn too so that ties stay rare.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        self.micros(least * 1000, most * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random(1_234_567);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first = |purpose| Random::stream(7, purpose).next();
        assert_ne!(first(Purpose::Network), first(Purpose::Disk));
        assert_eq!(first(Purpose::Network), first(Purpose::Network));
        assert_ne!(first(Purpose::Network), Random::stream(8, Purpose::Network).next());
    }

    #[test]
    fn what_is_drawn_lies_within_its_bounds() {
        let mut random = Random::stream(1, Purpose::Client);
        let drawn: Vec<u64> = (0..1000).map(|_| random.below(3)).collect();
        assert!((0..3).all(|number| drawn.contains(&number)) && drawn.iter().all(|number| *number < 3));
        assert!((0..1000).all(|_| (2..=4).contains(&random.millis(2, 4).as_micros().div_ceil(1000))));
        assert!((0..1000).all(|_| random.permille(1000) && !random.permille(0)));
        let drawn: Vec<char> = (0..1000).filter_map(|_| random.weighted(&[('a', 1), ('b', 0), ('c', 9)])).collect();
        let count = |wanted| drawn.iter().filter(|thing| **thing == wanted).count();
        assert!(drawn.len() == 1000 && count('b') == 0 && (50..200).contains(&count('a')));
        assert_eq!(random.weighted(&[('a', 0)]), None);
    }
}
