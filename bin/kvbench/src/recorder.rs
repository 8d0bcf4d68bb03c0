//! Owns what is recorded of operations: latencies in histograms, and errors.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::workload::Operation;

/// Latencies are told apart to three digits, from a tenth of a microsecond to an hour.
const DIGITS: u8 = 3;
const SHORTEST_NS: u64 = 100;
const LONGEST_NS: u64 = 3_600_000_000_000;
/// So many different errors are shown.
const SHOWN: usize = 5;

/// Everything of one run, or of one interval of it.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) reads: Latencies,
    pub(crate) updates: Latencies,
    pub(crate) errors: u64,
    /// How long it took until an operation was refused because there was too much to do, from when it really began.
    pub(crate) refusals: Latencies,
    /// Reads that found nothing.
    pub(crate) misses: u64,
    /// When the last operation ended, well or not.
    pub(crate) last_end: Option<Instant>,
    /// The first few different errors; of refusals only the first, which would else hide the others.
    pub(crate) shown: Vec<String>,
    refusal_is_shown: bool,
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        let (reads, updates) = (Latencies::new(), Latencies::new());
        let refusals = Latencies::new();
        let (shown, refusal_is_shown) = (Vec::new(), false);
        Recorder { reads, updates, refusals, errors: 0, misses: 0, last_end: None, shown, refusal_is_shown }
    }

    /// An operation that was to begin at `start` has succeeded.
    pub(crate) fn succeeded(&mut self, operation: Operation, start: Instant, end: Instant) {
        let latencies = match operation {
            Operation::Read => &mut self.reads,
            Operation::Update => &mut self.updates,
        };
        latencies.record(end.saturating_duration_since(start));
        self.last_end = self.last_end.max(Some(end));
    }

    /// An operation has failed. Its latency is in no histogram: it would be that of the timeout.
    pub(crate) fn failed(&mut self, end: Instant, message: impl FnOnce() -> String) {
        self.errors += 1;
        self.last_end = self.last_end.max(Some(end));
        if self.shown.len() < SHOWN {
            let message = message();
            if !self.shown.contains(&message) {
                self.shown.push(message);
            }
        }
    }

    /// An operation has failed: it was refused for overload, so long after it had begun.
    pub(crate) fn refused(&mut self, end: Instant, after: Duration, message: impl FnOnce() -> String) {
        self.refusals.record(after);
        if self.refusal_is_shown {
            self.errors += 1;
            self.last_end = self.last_end.max(Some(end));
        } else {
            self.refusal_is_shown = true;
            self.failed(end, message);
        }
    }

    /// Operations that succeeded.
    pub(crate) fn ops(&self) -> u64 {
        self.reads.count() + self.updates.count()
    }

    /// Moves what `interval` holds into this one; `interval` keeps only the errors it has shown.
    pub(crate) fn absorb(&mut self, interval: &mut Recorder) {
        self.reads.absorb(&mut interval.reads);
        self.updates.absorb(&mut interval.updates);
        self.refusals.absorb(&mut interval.refusals);
        self.errors += std::mem::take(&mut interval.errors);
        self.misses += std::mem::take(&mut interval.misses);
        self.last_end = self.last_end.max(interval.last_end.take());
    }

    /// Reads and updates together.
    pub(crate) fn all(&self) -> Latencies {
        let mut all = Latencies::new();
        all.add(&self.reads);
        all.add(&self.updates);
        all
    }
}

/// The latencies of one kind of operation.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

/// What is reported of them, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

impl Latencies {
    fn new() -> Latencies {
        Latencies(Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS).expect("the bounds are in order"))
    }

    fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    fn add(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }

    fn absorb(&mut self, other: &mut Latencies) {
        if other.count() > 0 {
            self.add(other);
            other.0.reset();
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let micros = |nanos: f64| (nanos / 100.0).round() / 10.0;
        let quantile = |quantile| micros(self.0.value_at_quantile(quantile) as f64);
        Percentiles {
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: micros(self.0.max() as f64),
            mean: micros(self.0.mean()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(recorder: &mut Recorder, operation: Operation, micros: impl Iterator<Item = u64>) {
        let start = Instant::now();
        micros.for_each(|micros| recorder.succeeded(operation, start, start + Duration::from_micros(micros)));
    }

    fn near(measured: f64, expected: f64) -> bool {
        (measured / expected - 1.0).abs() < 0.002
    }

    #[test]
    fn percentiles_are_exact_to_three_digits() {
        let mut recorder = Recorder::new();
        record(&mut recorder, Operation::Read, 1..=100_000);
        let percentiles = recorder.reads.percentiles();
        let Percentiles { p50, p95, p99, p999, max, mean } = percentiles;
        for (measured, expected) in
            [(p50, 50_000.0), (p95, 95_000.0), (p99, 99_000.0), (p999, 99_900.0), (max, 100_000.0), (mean, 50_000.5)]
        {
            assert!(near(measured, expected), "{percentiles:?}");
        }
        assert_eq!((recorder.ops(), recorder.updates.count()), (100_000, 0));
    }

    #[test]
    fn intervals_add_up_to_what_one_histogram_would_hold() {
        let (mut whole, mut total, mut interval) = (Recorder::new(), Recorder::new(), Recorder::new());
        for part in 0..10 {
            let latencies = (0..1000).map(|i| 10 + (i * 7919 + part * 104_729) % 50_000);
            let operation = if part % 2 == 0 { Operation::Read } else { Operation::Update };
            record(&mut whole, operation, latencies.clone());
            record(&mut interval, operation, latencies);
            interval.misses += part;
            interval.failed(Instant::now(), || "refused".into());
            total.absorb(&mut interval);
            assert_eq!((interval.ops(), interval.errors, interval.misses), (0, 0, 0));
        }
        assert_eq!((total.ops(), total.errors, total.misses), (10_000, 10, 45));
        assert_eq!(total.reads.percentiles(), whole.reads.percentiles());
        assert_eq!(total.updates.percentiles(), whole.updates.percentiles());
        assert_eq!(total.all().count(), 10_000);
        assert!(total.last_end.is_some());
    }

    #[test]
    fn latencies_out_of_bounds_are_kept_at_the_bound() {
        let mut recorder = Recorder::new();
        record(&mut recorder, Operation::Update, [0, 10_000_000_000].into_iter());
        assert!(near(recorder.updates.percentiles().max, 3_600_000_000.0), "{:?}", recorder.updates.percentiles());
    }

    #[test]
    fn refusals_do_not_hide_other_errors() {
        let mut recorder = Recorder::new();
        for number in 0..100 {
            recorder.refused(Instant::now(), Duration::from_millis(5), || format!("overload {number}"));
        }
        recorder.failed(Instant::now(), || "another".into());
        assert_eq!((recorder.errors, recorder.refusals.count()), (101, 100));
        assert_eq!(recorder.shown, ["overload 0", "another"]);
    }

    #[test]
    fn only_the_first_few_different_errors_are_shown_and_all_are_counted() {
        let mut recorder = Recorder::new();
        for number in 0..100 {
            recorder.failed(Instant::now(), || format!("error {}", number / 3));
        }
        assert_eq!(recorder.errors, 100);
        assert_eq!(recorder.shown, ["error 0", "error 1", "error 2", "error 3", "error 4"]);
    }
}
