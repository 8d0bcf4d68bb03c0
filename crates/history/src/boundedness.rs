//! Boundedness: do queues, hints, contexts and memory stay within their limits at every moment of a run? It measures
//! nothing itself: it is told each value with its limit and remembers the worst.

use core::fmt;
use std::collections::BTreeMap;

use crate::Moment;

/// Remembers, for each place and each quantity there, the peak and the first time that it was over its limit. The
/// place is a node, a shard or whatever has limits. Its size is that of the set of places and quantities.
///
/// ```
/// use kvorum_history::{Moment, boundedness::Meter};
///
/// let mut meter = Meter::default();
/// meter.observe(Moment(1), &"node 1", "hints", 80, 100);
/// assert!(meter.exceeded().is_empty());
/// meter.observe(Moment(2), &"node 1", "hints", 101, 100);
/// assert_eq!(meter.exceeded()[0].first.now, Moment(2));
/// ```
#[derive(Clone, Debug)]
pub struct Meter<P> {
    places: BTreeMap<P, BTreeMap<&'static str, Record>>,
}

/// A value seen at some moment, and the limit that held then: both in the unit of the quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it was seen.
    pub now: Moment,
    /// The value.
    pub value: u64,
    /// The largest value allowed.
    pub limit: u64,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    peak: Reading,
    exceeded: Option<Reading>,
}

/// The largest value of a quantity at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peak<P> {
    /// Where.
    pub place: P,
    /// Of what.
    pub what: &'static str,
    /// The largest value, when it was first seen.
    pub peak: Reading,
}

/// A quantity that was over its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded<P> {
    /// Where.
    pub place: P,
    /// What.
    pub what: &'static str,
    /// The first value over its limit.
    pub first: Reading,
    /// The largest value of all, which need not be over its own limit if the limits change.
    pub peak: Reading,
}

impl<P> Default for Meter<P> {
    fn default() -> Self {
        Self { places: BTreeMap::new() }
    }
}

impl<P: Ord + Clone> Meter<P> {
    /// Takes note of a value: up to `limit` it is fine. O(log(places) + log(quantities)), without an allocation once
    /// the place and the quantity are known.
    pub fn observe(&mut self, now: Moment, place: &P, what: &'static str, value: u64, limit: u64) {
        let reading = Reading { now, value, limit };
        if !self.places.contains_key(place) {
            self.places.insert(place.clone(), BTreeMap::new());
        }
        let place = self.places.get_mut(place).expect("it was put there just now");
        let record = place.entry(what).or_insert(Record { peak: reading, exceeded: None });
        if value > record.peak.value {
            record.peak = reading;
        }
        if value > limit && record.exceeded.is_none() {
            record.exceeded = Some(reading);
        }
    }

    /// The peak of everything that was ever observed, by place, then by name.
    #[must_use]
    pub fn peaks(&self) -> Vec<Peak<P>> {
        self.records().map(|(place, what, record)| Peak { place: place.clone(), what, peak: record.peak }).collect()
    }

    /// What was ever over its limit, by place, then by name.
    #[must_use]
    pub fn exceeded(&self) -> Vec<Exceeded<P>> {
        let exceeded = |(place, what, record): (&P, _, &Record)| {
            Some(Exceeded { place: place.clone(), what, first: record.exceeded?, peak: record.peak })
        };
        self.records().filter_map(exceeded).collect()
    }

    fn records(&self) -> impl Iterator<Item = (&P, &'static str, &Record)> {
        self.places.iter().flat_map(|(place, records)| records.iter().map(move |(what, record)| (place, *what, record)))
    }
}

impl<P: fmt::Debug> fmt::Display for Exceeded<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {:?} over the limit", self.what, self.place)?;
        let Reading { now, value, limit } = self.first;
        writeln!(f, "  first       {value} of {limit} at {}", now.0)?;
        let Reading { now, value, limit } = self.peak;
        write!(f, "  peak        {value} of {limit} at {}", now.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(now: u64, value: u64, limit: u64) -> Reading {
        Reading { now: Moment(now), value, limit }
    }

    fn meter(readings: &[(&'static str, Reading)]) -> Meter<u8> {
        let mut meter = Meter::default();
        for (what, Reading { now, value, limit }) in readings {
            meter.observe(*now, &1, what, *value, *limit);
        }
        meter
    }

    #[test]
    fn a_value_at_its_limit_is_within_it() {
        let meter = meter(&[("hints", reading(1, 0, 0)), ("hints", reading(2, 9, 9))]);
        assert_eq!(meter.exceeded(), []);
        assert_eq!(meter.peaks(), [Peak { place: 1, what: "hints", peak: reading(2, 9, 9) }]);
    }

    #[test]
    fn the_first_excess_and_the_first_moment_of_the_peak_are_kept() {
        let readings = [reading(1, 5, 9), reading(2, 10, 9), reading(3, 20, 9), reading(4, 20, 9), reading(5, 1, 9)];
        let found = meter(&readings.map(|reading| ("queue", reading))).exceeded();
        assert_eq!(found, [Exceeded { place: 1, what: "queue", first: reading(2, 10, 9), peak: reading(3, 20, 9) }]);
        assert_eq!(
            found[0].to_string(),
            "queue of 1 over the limit\n  first       10 of 9 at 2\n  peak        20 of 9 at 3"
        );
    }

    #[test]
    fn the_limit_may_change_and_the_excess_need_not_be_the_peak() {
        let found = meter(&[("memory", reading(1, 50, 100)), ("memory", reading(2, 30, 20))]).exceeded();
        assert_eq!(
            found,
            [Exceeded { place: 1, what: "memory", first: reading(2, 30, 20), peak: reading(1, 50, 100) }]
        );
    }

    #[test]
    fn places_and_quantities_are_kept_apart() {
        let mut meter = meter(&[("queue", reading(1, 2, 1)), ("hints", reading(1, 1, 1))]);
        meter.observe(Moment(1), &0, "queue", 1, 1);
        let peaks: Vec<_> = meter.peaks().iter().map(|peak| (peak.place, peak.what, peak.peak.value)).collect();
        assert_eq!(peaks, [(0, "queue", 1), (1, "hints", 1), (1, "queue", 2)]);
        assert_eq!(meter.exceeded().len(), 1);
    }
}
