//! Owns the shape of the tree: how large each level should be, how many filter bits its keys get, and how it is compressed. All of
//! it follows from the settings and the size of the last level.

use std::f64::consts::LN_2;

use super::{Compression, Options};

/// Levels of the tree; level 0 holds the tables that memtables became, which overlap.
pub(crate) const LEVELS: usize = 7;
/// The level that holds most of the data.
pub(crate) const LAST_LEVEL: usize = LEVELS - 1;

/// More bits than this do not make a filter of cache lines noticeably better.
pub(super) const MAX_FILTER_BITS: u8 = 20;

/// A first level of up to so many times the base size is merged with new tables directly; beyond that, one more level goes between.
///
/// With `s` the size of the last level as a multiple of the base size, which is also that of a merge from level 0, a byte is rewritten
/// about `s + 1` times without a level between, and `2 + s + 1` times with one of the base size. So one level less costs less until
/// it is the merge from level 0 itself that takes too long, since new tables pile up meanwhile.
const LONGEST_MERGE: u64 = 4;

/// How large levels should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LevelTargets {
    /// The level that level 0 is merged into. Those between are not used: what may still be in them is to go on down.
    pub(crate) base: usize,
    /// The size of each level in bytes; 0 for level 0, which is counted in tables, and for unused ones.
    pub(crate) bytes: [u64; LEVELS],
}

impl Options {
    /// The sizes of levels that belong to a last level of so many bytes. They grow with it, so that all others together never
    /// hold more than a small part of the data, and with them what is overwritten or deleted but still takes room (Dong et al.:
    /// Optimizing Space Amplification in RocksDB, 2017, section 3.1).
    pub(crate) fn level_targets(&self, last_level_bytes: u64) -> LevelTargets {
        let (mut bytes, mut base) = ([0; LEVELS], LAST_LEVEL);
        bytes[base] = last_level_bytes.max(self.level_base_bytes);
        while base > 1 && bytes[base] > self.level_base_bytes.saturating_mul(LONGEST_MERGE) {
            bytes[base - 1] = (bytes[base] / self.level_multiplier).max(self.level_base_bytes);
            base -= 1;
        }
        LevelTargets { base, bytes }
    }

    /// How many filter bits per key tables of each level get, so that a search for a key that is not there reads as
    /// few blocks as the memory for filters allows.
    ///
    /// The false positives of all filters add up, the bits per key count once per key: the sum is least where a filter's rate of false
    /// positives is in proportion to its keys (Dayan, Athanassoulis, Idreos: Monkey, 2017). With a rate of exp(-bits ln(2)^2) that
    /// leaves one unknown, which is found by halving.
    pub(crate) fn level_filter_bits(&self, targets: &LevelTargets) -> [u8; LEVELS] {
        // Level 0 is as many small filters as it has tables. Sizes stand for numbers of keys; an unused level is as good as empty.
        let mut sizes = targets.bytes.map(|bytes| bytes.max(1) as f64);
        sizes[0] = self.memtable_bytes as f64;
        let keys = |level: usize| sizes[level] * if level == 0 { self.l0_compact as f64 } else { 1.0 };
        let bits = |level: usize, offset: f64| {
            let wanted = (offset - sizes[level].ln()) / (LN_2 * LN_2);
            wanted.clamp(0.0, f64::from(MAX_FILTER_BITS))
        };
        let budget = f64::from(self.filter_bits) * (0..LEVELS).map(keys).sum::<f64>();
        let (mut low, mut high) = (-100.0, 100.0);
        for _ in 0..64 {
            let middle = f64::midpoint(low, high);
            let spent: f64 = (0..LEVELS).map(|level| keys(level) * bits(level, middle)).sum();
            if spent <= budget {
                low = middle;
            } else {
                high = middle;
            }
        }
        std::array::from_fn(|level| if self.filter_bits == 0 { 0 } else { bits(level, low).round() as u8 })
    }

    /// How blocks of a level are compressed.
    pub(crate) fn level_compression(&self, level: usize, targets: &LevelTargets) -> Compression {
        let depth = if level == 0 { 0 } else { 1 + level.saturating_sub(targets.base) };
        match level {
            LAST_LEVEL => self.bottom_compression,
            _ if depth < self.uncompressed_levels => Compression::None,
            _ => self.compression,
        }
    }
}
