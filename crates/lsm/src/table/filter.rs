//! Bloom filters whose bits for one key are all in one cache line, so that asking costs one cache miss at most (Putze, Sanders, Singler:
//! Cache-, Hash- and Space-Efficient Bloom Filters, 2007). It knows hashes only.

use super::damage::{Checked, Damage};
use super::hash;
use super::prefetch::prefetch;

/// Bits of a line.
const LINE: usize = 512;
/// More probes than this gain nothing at any size.
const MAX_PROBES: u32 = 16;
/// Bytes before the lines: the number of probes.
const HEADER: usize = 1;

/// A cache line of bits.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; LINE / 64]);

/// A set of keys that may say yes for others, seldom.
pub(super) struct Filter {
    probes: u32,
    lines: Box<[Line]>,
}

impl Filter {
    /// The filter of some keys' hashes, with about so many bits for each.
    pub(super) fn build(hashes: &[u64], bits_per_key: u8) -> Self {
        let lines = (hashes.len() * usize::from(bits_per_key)).div_ceil(LINE).max(1);
        let mut filter = Self {
            probes: best_probes(f64::from(bits_per_key)),
            lines: vec![Line([0; LINE / 64]); lines].into_boxed_slice(),
        };
        for hash in hashes {
            let line = filter.line(*hash);
            for bit in probes(*hash, filter.probes) {
                filter.lines[line].0[bit / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    /// Whether a key may be in the set; false is certain.
    #[inline]
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        let line = &self.lines[self.line(hash)].0;
        // Half of all bits are set, so absent keys seldom need a third probe.
        probes(hash, self.probes).all(|bit| line[bit / 64] >> (bit % 64) & 1 == 1)
    }

    /// Has the line fetched that [`may_contain`](Self::may_contain) will look at.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(core::ptr::from_ref(&self.lines[self.line(hash)]).addr());
    }

    /// Bytes of memory that it takes.
    pub(super) fn weight(&self) -> usize {
        size_of_val::<[Line]>(&self.lines)
    }

    /// The number of probes (u8), then the lines.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.weight());
        bytes.push(self.probes as u8);
        for word in self.lines.iter().flat_map(|line| &line.0) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Checked<Self> {
        let damage = Damage("a filter is malformed");
        let ([probes], lines) = bytes.split_first_chunk::<HEADER>().ok_or(damage)?;
        let (lines, rest) = lines.as_chunks::<{ LINE / 8 }>();
        let whole = rest.is_empty() && !lines.is_empty() && u32::try_from(lines.len()).is_ok();
        if !whole || !(1..=MAX_PROBES).contains(&u32::from(*probes)) {
            return Err(damage);
        }
        let line = |bytes: &[u8; LINE / 8]| {
            let (words, _) = bytes.as_chunks::<8>();
            Line(std::array::from_fn(|word| u64::from_le_bytes(words[word])))
        };
        Ok(Self { probes: u32::from(*probes), lines: lines.iter().map(line).collect() })
    }

    #[inline]
    fn line(&self, hash: u64) -> usize {
        hash::reduce((hash >> 32) as u32, self.lines.len() as u32) as usize
    }
}

/// The bits of a line that belong to a hash: 9 bits of a product for each, 7 from one.
#[inline]
fn probes(hash: u64, count: u32) -> impl Iterator<Item = usize> {
    // The upper half chose the line, so keys of one line differ in the lower half only; the multiplication spreads it upward.
    let mut state = (hash ^ hash << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut left = 0;
    let mut bits = 0;
    (0..count).map(move |_| {
        if left == 0 {
            (bits, left) = (state, 7);
            state = (state ^ state >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        let bit = (bits >> 55) as usize;
        bits <<= 9;
        left -= 1;
        bit
    })
}

/// How many probes make the fewest false positives.
fn best_probes(bits_per_key: f64) -> u32 {
    let rate = |probes: &u32| false_positive_rate(bits_per_key, *probes);
    (1..=MAX_PROBES).min_by(|a, b| rate(a).total_cmp(&rate(b))).expect("there are candidates")
}

/// The share of absent keys that a filter says yes for. The keys of a line are Poisson-distributed; in a line of `n` keys a bit is
/// not set with probability (1 - 1/512)^(n probes).
pub(super) fn false_positive_rate(bits_per_key: f64, probes: u32) -> f64 {
    let mean = LINE as f64 / bits_per_key.max(0.01);
    let (mut rate, mut log_chance) = (0.0, -mean);
    // Beyond this many keys, a line is next to impossible.
    let most = (mean + 12.0 * mean.sqrt() + 12.0) as u32;
    for keys in 0..=most {
        let empty = (1.0 - 1.0 / LINE as f64).powi((keys * probes) as i32);
        rate += log_chance.exp() * (1.0 - empty).powi(probes as i32);
        log_chance += mean.ln() - f64::from(keys + 1).ln();
    }
    rate
}
