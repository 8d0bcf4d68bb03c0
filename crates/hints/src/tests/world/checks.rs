//! What holds at every step: the rate, the sums, that something goes on, and that nothing is lost; and in the end,
//! that nothing is left behind.

use core::time::Duration;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::{Fate, World};
use crate::Kind;

impl World {
    /// In any time up to now, no more was sent than the rate allows, a burst, and the last hint.
    pub(super) fn check_rate(&self) {
        let mut bytes = 0;
        let mut later = 0;
        for (at, of_this) in self.sent.iter().rev() {
            bytes += later;
            later = *of_this;
            let span = self.now - *at + Duration::from_millis(100);
            let allowed = u128::from(self.config.bytes_per_second) * span.as_nanos() / 1_000_000_000;
            // `bytes` and the earliest of them, without the last.
            let last = self.sent.last().map_or(0, |sent| sent.1);
            assert!(u128::from(bytes + later - last) <= allowed, "{bytes} bytes since {at:?}");
        }
    }

    pub(super) fn check(&mut self) {
        self.hints.assert_consistent();
        self.dirty.extend(self.hints.take_dirty());
        let mut summaries = BTreeMap::new();
        for ((target, _, seq), row) in &self.rows {
            let sums = summaries.entry(*target).or_insert((0, 0, 0, *seq));
            *sums = (
                sums.0 + 1,
                sums.1 + u64::from(row.bytes),
                sums.2 + u64::from(row.kind == Kind::Owed),
                sums.3.min(*seq),
            );
        }
        for (target, (count, bytes, owed, oldest)) in &summaries {
            let summary = self.hints.summaries().find(|it| it.target == *target).expect("it has hints");
            assert_eq!(summary.count, *count, "hints for {target}");
            assert!(summary.oldest.is_some_and(|it| it <= *oldest), "{summary:?} has {oldest:?}");
            if self.at_once {
                assert_eq!((summary.bytes, summary.owed), (*bytes, *owed), "hints for {target}");
            }
            let going_on = self.reads.iter().any(|read| read.0 == *target)
                || self.flights.keys().any(|place| place.0 == *target)
                || self.hints.next_timeout().is_some();
            assert!(going_on || !self.up.contains(target), "nothing goes on for {target}");
        }
        assert_eq!(self.hints.len(), self.rows.len() as u64);
        self.check_kept();
    }

    /// What is neither stored nor held by its target is known to be missing, or was never promised.
    pub(super) fn check_kept(&self) {
        let promised = |kind: Kind| {
            let of_kind = if kind == Kind::Owed { &self.owed } else { &self.spare };
            of_kind.iter().map(move |(place, version)| (kind, *place, *version))
        };
        let stored: BTreeMap<_, _> =
            self.rows.iter().map(|(place, row)| ((place.0, place.1, row.key), row.version)).collect();
        for (kind, place, version) in promised(Kind::Owed).chain(promised(Kind::Spare)) {
            let safe = stored.get(&place).max(self.received.get(&place)).is_some_and(|it| *it >= version);
            let dirty = kind == Kind::Spare && self.dirty.contains(&(place.0, place.1));
            assert!(safe || dirty, "version {version} of {place:?} is lost, which is {kind:?}");
        }
    }

    /// Everybody is up and nothing fails any more: all is delivered, in so many rounds.
    pub(in crate::tests) fn settle(&mut self, targets: u8) {
        (0..targets).for_each(|target| self.up(target));
        let mut rounds = 0;
        while !self.rows.is_empty() {
            rounds += 1;
            assert!(rounds < 2000, "{} hints are left behind: {self:?}", self.rows.len());
            self.flush(usize::MAX);
            while !self.reads.is_empty() || !self.flights.is_empty() {
                while !self.reads.is_empty() {
                    self.page(0, false);
                }
                for place in self.flights.keys().copied().collect::<Vec<_>>() {
                    self.arrive(place, Fate::Arrives);
                }
                self.flush(usize::MAX);
            }
            if let Some(next) = self.hints.next_timeout() {
                self.advance(next.saturating_sub(self.now));
            }
        }
        assert!(self.hints.is_empty() && self.hints.summaries().next().is_none());
        self.check_kept();
    }
}
