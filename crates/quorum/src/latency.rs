//! [`Latency`]: how long one peer takes to answer, at its 95th percentile.
//!
//! It owns the estimate. What it is used for, above all the moment of an early hedge, is for the
//! caller, and so is the clock.

use core::time::Duration;

#[cfg(test)]
mod tests;

/// An estimate of the 95th percentile of one peer's answers, for [`Hedge::early`](crate::Hedge::early)
/// (Dean and Barroso, "The Tail at Scale", 2013: defer a hedged request until the first has been
/// outstanding for more than the 95th percentile).
///
/// Each sample moves the estimate by a small share of itself: 19 steps up if it is above, one step
/// down if not, which balances where one sample in 20 is above (after Ma, Muthukrishnan and Sandler,
/// "Frugal Streaming for Estimating Quantiles", 2013). When many samples in a row lie on one side, which
/// chance alone hardly does, the level has shifted and the estimate goes over to it at once. It costs
/// 40 bytes, and a few integer operations for each sample.
///
/// ```
/// use core::time::Duration;
/// use kvorum_quorum::Latency;
///
/// let ms = Duration::from_millis;
/// let mut latency = Latency::new(ms(50));
/// for _ in 0..200 {
///     latency.sample(ms(2));
/// }
/// assert!(latency.p95() >= ms(1) && latency.p95() <= ms(4));
/// latency.waited(ms(300)); // Asked 300 ms ago, and no answer yet.
/// assert_eq!(latency.p95(), ms(300));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// The estimate in nanoseconds, never 0.
    p95: u64,
    /// Of the samples in a row on one side of the estimate, the one that is nearest to it; when they are
    /// not above it, of those since the last half row.
    nearest: u64,
    /// The highest of the half row before; none before the first.
    half: Option<u64>,
    /// How many samples in a row were not above the estimate, or how many were.
    below: u8,
    above: u8,
}

/// A step is this part of the estimate, for one sample that is not above it. Smaller steps follow more
/// slowly and are less unsteady.
const STEP: u64 = 256;

/// So many steps up for one down: 0.95 / 0.05.
const UP: u64 = 19;

/// Rows of samples that are not above the estimate are looked at in halves of so many. Two halves in a
/// row come by chance once in 0.95^-128 = 700 times, and then the highest sample is mostly near the 95th
/// percentile. The level may have shifted within a half, so that two whole ones follow within 192 samples.
const HALF: u8 = 64;

/// So many in a row above the 95th percentile come by chance once in 20^8 = 2.6e10 times. Fewer
/// would do, but answers that wait for the same pause of a peer are slow together.
const SHIFTED_UP: u8 = 8;

impl Latency {
    /// An estimate without any sample: `initial` until there are some.
    pub fn new(initial: Duration) -> Latency {
        Latency { p95: nanos(initial), nearest: 0, half: None, below: 0, above: 0 }
    }

    /// An answer took so long. Answers to hedges ([`Read::hedged`](crate::Read::hedged)) are no
    /// samples.
    pub fn sample(&mut self, took: Duration) {
        let took = nanos(took);
        let step = (self.p95 / STEP).max(1);
        if took > self.p95 {
            self.nearest = if self.above == 0 { took } else { self.nearest.min(took) };
            self.above += 1;
            (self.below, self.half) = (0, None);
            self.p95 = self.p95.saturating_add(UP * step);
            if self.above == SHIFTED_UP {
                self.shift(self.nearest.max(self.p95));
            }
        } else {
            self.nearest = if self.below == 0 { took } else { self.nearest.max(took) };
            self.below += 1;
            self.above = 0;
            self.p95 = (self.p95 - step).max(1);
            if self.below == HALF {
                self.p95 = self.half.map_or(self.p95, |half| self.p95.min(half.max(self.nearest)));
                (self.below, self.half) = (0, Some(self.nearest));
            }
        }
    }

    /// No answer after so long: raises the estimate if it is above, and never lowers it.
    ///
    /// This is how a peer that has gone silent is noticed, of which there are no samples.
    pub fn waited(&mut self, so_far: Duration) {
        let so_far = nanos(so_far);
        if so_far > self.p95 {
            self.shift(so_far);
        }
    }

    /// The estimate. Constant time.
    pub fn p95(&self) -> Duration {
        Duration::from_nanos(self.p95)
    }

    fn shift(&mut self, level: u64) {
        *self = Latency { p95: level, nearest: 0, half: None, below: 0, above: 0 };
    }
}

/// From 1 ns to 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}
