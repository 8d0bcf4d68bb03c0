//! [`HedgeBudget`]: how many hedges the reads together may make.
//!
//! It owns one number. When a read would hedge is decided by the read.

/// A share of all reads that may be hedged early, so that hedging does not double the load just when
/// everything is slow. Dean and Barroso ("The Tail at Scale", 2013) report that deferring a hedged
/// request until the 95th percentile adds about 5 % of load; the budget makes that a bound.
///
/// Each read earns its share of a hedge, and saved up are at most `burst` of them, which are there at
/// the beginning too. So of any `reads` in a row at most `burst + reads * percent / 100` are hedged.
/// One budget serves all reads of a thread.
///
/// ```
/// use kvorum_quorum::HedgeBudget;
///
/// let mut budget = HedgeBudget::new(50, 1);
/// assert!(budget.take());
/// budget.earn();
/// assert!(!budget.take());
/// budget.earn();
/// assert!(budget.take());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgeBudget {
    percent: u8,
    /// The most that is saved up, in hundredths of a hedge.
    most: u16,
    /// What is saved up, in hundredths of a hedge.
    saved: u16,
}

/// One hedge in the unit of the budget.
const HEDGE: u16 = 100;

impl HedgeBudget {
    /// A budget of `percent` hedges in 100 reads, of which at most `burst` are saved up. Without a
    /// burst nothing can be saved up and no read is hedged early.
    pub fn new(percent: u8, burst: u8) -> HedgeBudget {
        let most = u16::from(burst) * HEDGE;
        HedgeBudget { percent, most, saved: most }
    }

    /// One read was started.
    pub fn earn(&mut self) {
        self.saved = (self.saved + u16::from(self.percent)).min(self.most);
    }

    /// Whether a hedge may be made now; then it is paid for.
    pub fn take(&mut self) -> bool {
        let enough = self.saved >= HEDGE;
        if enough {
            self.saved -= HEDGE;
        }
        enough
    }
}

impl Default for HedgeBudget {
    /// 5 % of the reads, with a burst of 16.
    fn default() -> HedgeBudget {
        HedgeBudget::new(5, 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(budget: &mut HedgeBudget) -> usize {
        core::iter::from_fn(|| budget.take().then_some(())).count()
    }

    #[test]
    fn the_default_lets_16_go_at_once_and_then_one_read_in_20() {
        let mut budget = HedgeBudget::default();
        assert_eq!(taken(&mut budget), 16);
        let mut made = 0;
        for _ in 0..2000 {
            budget.earn();
            made += taken(&mut budget);
        }
        assert_eq!(made, 100);
    }

    #[test]
    fn no_more_is_saved_up_than_the_burst() {
        for (percent, burst) in [(5, 16), (100, 1), (255, 255), (0, 3), (5, 0)] {
            let mut budget = HedgeBudget::new(percent, burst);
            for _ in 0..10_000 {
                budget.earn();
            }
            assert_eq!(taken(&mut budget), usize::from(burst));
        }
    }

    proptest! {
        #[test]
        fn of_any_reads_in_a_row_no_more_than_the_share_and_the_burst_are_hedged(
            (percent, burst) in (0u8..=100, 0u8..=20),
            wants in proptest::collection::vec(any::<bool>(), 1..300),
            from in any::<proptest::sample::Index>(),
        ) {
            let mut budget = HedgeBudget::new(percent, burst);
            let hedged: std::vec::Vec<bool> = wants.iter().map(|&wants| {
                budget.earn();
                wants && budget.take()
            }).collect();
            let row = &hedged[from.index(hedged.len())..];
            let made = row.iter().filter(|&&hedged| hedged).count();
            prop_assert!(made * 100 <= usize::from(burst) * 100 + row.len() * usize::from(percent));
        }
    }
}
