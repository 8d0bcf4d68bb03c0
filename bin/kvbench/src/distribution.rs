//! Owns which record an operation is about.

use clap::ValueEnum;
use serde::Serialize;

use crate::random::Random;

/// How records are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// All alike
    Uniform,
    /// Few are chosen often, as in YCSB: constant 0.99, the popular ones scattered over the records
    Zipfian,
}

/// The same, ready to draw from.
#[derive(Debug, Clone)]
pub(crate) enum Distribution {
    Uniform { records: u64 },
    Zipfian(Zipfian),
}

impl Distribution {
    pub(crate) fn new(kind: Kind, records: u64) -> Distribution {
        match kind {
            Kind::Uniform => Distribution::Uniform { records },
            Kind::Zipfian => Distribution::Zipfian(Zipfian::new(records)),
        }
    }

    /// The number of a record.
    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        match self {
            Distribution::Uniform { records } => random.below(*records),
            Distribution::Zipfian(zipfian) => scramble(zipfian.rank(random.unit())) % zipfian.items as u64,
        }
    }
}

/// How much more popular the first is than the others.
const THETA: f64 = 0.99;

/// Ranks with probabilities in proportion to 1 / rank^0.99, in constant time (Gray et al., "Quickly generating
/// billion-record synthetic databases", 1994, section 3.2), as YCSB draws them.
#[derive(Debug, Clone)]
pub(crate) struct Zipfian {
    items: f64,
    zeta: f64,
    eta: f64,
    alpha: f64,
}

impl Zipfian {
    fn new(items: u64) -> Zipfian {
        let zeta_of = zeta(items);
        let items = items as f64;
        let eta = (1.0 - (2.0 / items).powf(1.0 - THETA)) / (1.0 - zeta(2) / zeta_of);
        Zipfian { items, zeta: zeta_of, eta, alpha: 1.0 / (1.0 - THETA) }
    }

    /// The rank, from 0, of a number from 0 to just below 1.
    fn rank(&self, unit: f64) -> u64 {
        let scaled = unit * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(THETA) {
            return 1.min(self.items as u64 - 1);
        }
        let rank = self.items * (self.eta * (unit - 1.0) + 1.0).powf(self.alpha);
        (rank as u64).min(self.items as u64 - 1)
    }
}

/// The sum of 1 / i^0.99 for i from 1 to `items`; past a million by the Euler-Maclaurin formula, to ten digits.
fn zeta(items: u64) -> f64 {
    const EXACT: u64 = 1 << 20;
    let exact: f64 = (1..=items.min(EXACT)).map(|i| (i as f64).powf(-THETA)).sum();
    if items <= EXACT {
        return exact;
    }
    let (from, to) = (EXACT as f64, items as f64);
    let integral = (to.powf(1.0 - THETA) - from.powf(1.0 - THETA)) / (1.0 - THETA);
    exact + integral + (to.powf(-THETA) - from.powf(-THETA)) / 2.0
}

/// Scatters ranks, so that the popular records are no neighbours: 64-bit FNV-1a of the rank's bytes, as YCSB does.
fn scramble(rank: u64) -> u64 {
    rank.to_le_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zeta_function_is_right_on_both_sides_of_the_approximation() {
        assert!((zeta(2) - (1.0 + 0.5f64.powf(0.99))).abs() < 1e-12);
        let exact: f64 = (1..=3_000_000u64).map(|i| (i as f64).powf(-THETA)).sum();
        assert!((zeta(3_000_000) - exact).abs() < 1e-8, "{} {exact}", zeta(3_000_000));
        // YCSB's own constant for its ten billion items.
        assert!((zeta(10_000_000_000) - 26.469_028_201_783_02).abs() < 1e-6, "{}", zeta(10_000_000_000));
    }

    #[test]
    fn ranks_have_zipfian_frequencies() {
        const DRAWS: usize = 1_000_000;
        let zipfian = Zipfian::new(1000);
        let mut random = Random::new(7, 0);
        let mut counts = vec![0u32; 1000];
        for _ in 0..DRAWS {
            counts[zipfian.rank(random.unit()) as usize] += 1;
        }
        let share = |ranks: core::ops::Range<usize>| {
            let drawn: u32 = counts[ranks.clone()].iter().sum();
            let expected: f64 = ranks.map(|rank| (rank as f64 + 1.0).powf(-THETA) / zipfian.zeta).sum();
            f64::from(drawn) / DRAWS as f64 / expected
        };
        // Exact for the first two; an approximation past them, which YCSB shares.
        for (ranks, tolerance) in [(0..1, 0.02), (1..2, 0.02), (0..10, 0.1), (10..100, 0.1), (100..1000, 0.1)] {
            assert!((share(ranks.clone()) - 1.0).abs() < tolerance, "{ranks:?}: {}", share(ranks.clone()));
        }
        assert!(counts[0] > 5 * counts[9] && counts[9] > 5 * counts[99], "{:?}", &counts[..10]);
    }

    #[test]
    fn popular_records_are_scattered_and_stable() {
        let mut random = Random::new(1, 0);
        let distribution = Distribution::new(Kind::Zipfian, 100_000);
        let mut drawn: Vec<u64> = (0..100_000).map(|_| distribution.draw(&mut random)).collect();
        drawn.sort_unstable();
        let mut runs: Vec<(usize, u64)> = drawn.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])).collect();
        runs.sort_unstable_by(|a, b| b.cmp(a));
        // FNV-1a of eight bytes, the first 0 and 1.
        assert_eq!(runs[0].1, 0xa8c7_f832_281a_39c5 % 100_000);
        assert_eq!(runs[1].1, scramble(1) % 100_000);
        assert!(drawn.iter().all(|&record| record < 100_000));
    }

    #[test]
    fn few_records_are_no_trouble() {
        let mut random = Random::new(1, 0);
        for kind in [Kind::Uniform, Kind::Zipfian] {
            for records in 1..=4 {
                let distribution = Distribution::new(kind, records);
                let mut seen = vec![false; records as usize];
                (0..1000).for_each(|_| seen[distribution.draw(&mut random) as usize] = true);
                assert!(kind == Kind::Zipfian || seen.iter().all(|&seen| seen), "{records}");
            }
        }
    }
}
