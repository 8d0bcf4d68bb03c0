//! Owns how fast writers and compactions may go, as functions of the state and of a time that is handed in. Who waits, and how, is
//! decided elsewhere.

use std::time::Duration;

use super::Options;

/// No single delay is longer than this: what it was computed from is old by then.
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// What a token bucket lets pass at once after a pause, as the time in which it is earned.
const BURST: Duration = Duration::from_millis(100);

/// How far the background is behind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pressure {
    /// Tables in level 0.
    pub(crate) l0_tables: usize,
    /// Bytes in all memtables.
    pub(crate) memtable_bytes: usize,
    /// Bytes that compactions have yet to rewrite before all levels have their sizes.
    pub(crate) debt_bytes: u64,
}

/// What a writer has to do before its bytes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Go on.
    Free,
    /// Let so much time pass.
    Delay(Duration),
    /// Wait until the pressure falls.
    Wait,
}

impl Options {
    /// How a write of so many bytes is slowed down. `drained_per_second` is what the background has been measured to absorb, in
    /// bytes of users' writes.
    ///
    /// The time per byte is the background's own, times a factor that is 0 where delays begin, 1 half-way, and grows beyond all bounds
    /// toward the stop: so writers settle where they are as fast as the background, and meet neither a cliff nor a wall.
    pub(crate) fn pace(&self, pressure: &Pressure, drained_per_second: u64, bytes: usize) -> Pace {
        let pressure = self.pressure(pressure);
        if pressure >= 1.0 {
            return Pace::Wait;
        }
        let factor = 2.0 * pressure * pressure / (1.0 - pressure);
        let delay = factor * bytes as f64 / drained_per_second.max(1) as f64;
        match Duration::from_secs_f64(delay.min(LONGEST_DELAY.as_secs_f64())) {
            Duration::ZERO => Pace::Free,
            delay => Pace::Delay(delay),
        }
    }

    /// The largest of three: 0 where delays begin, 1 where writers stop.
    fn pressure(&self, now: &Pressure) -> f64 {
        let part = |at: f64, slow: f64, stop: f64| ((at - slow) / (stop - slow)).clamp(0.0, 1.0);
        let tables = part(now.l0_tables as f64, self.l0_slow as f64, self.l0_stop as f64);
        let debt = part(now.debt_bytes as f64, self.debt_slow_bytes as f64, self.debt_stop_bytes as f64);
        // While there is room for a whole memtable, the flushes keep up.
        let memtable = self.memtable_bytes as f64;
        let all = memtable * self.memtables as f64;
        let memtables = part(now.memtable_bytes as f64, all - memtable, all);
        tables.max(debt).max(memtables)
    }
}

/// Keeps what passes below so many bytes per second, apart from a burst after a pause. (The generic cell rate algorithm: one
/// point in time says how full the bucket is.)
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    bytes_per_second: Option<u64>,
    /// When all that has been let through will have been earned.
    earned_at: Duration,
}

impl TokenBucket {
    /// Without a rate it lets everything pass.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, earned_at: Duration::ZERO }
    }

    /// Takes bytes out at a time, which never goes back, and says how long to wait before using them.
    pub(crate) fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.earned_at = self.earned_at.max(now.saturating_sub(BURST)).saturating_add(cost);
        self.earned_at.saturating_sub(now)
    }
}
