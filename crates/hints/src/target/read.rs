//! Reading a target's rows for delivery: which partition is next, and what a page of it says.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Page, Reading, Target};
use crate::partition::Sums;
use crate::{Config, Kind, Seq};

/// A read to be done.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<P> {
    pub(crate) partition: P,
    pub(crate) after: Option<Seq>,
    pub(crate) limit: usize,
}

impl<P> Reading<P> {
    pub(super) fn grew(&mut self, seq: Seq, after: (u32, Kind)) {
        if Some(seq) > self.after {
            self.grown.insert(seq, after);
            // The page has the first rows: more of them than its limit cannot all be in it.
            if self.grown.len() > self.limit {
                self.grown.pop_last();
            }
        }
    }

    /// What can be an answer: ascending rows after where it began, no more than asked for. And whether
    /// there are more behind the last: only if there is a last, so that reading goes on.
    fn sensible(&self, rows: Vec<(Seq, u32, Kind)>, more: bool) -> (Vec<(Seq, u32, Kind)>, bool) {
        let (mut last, mut kept, asked) = (self.after, Vec::new(), rows.len());
        for row in rows.into_iter().take(self.limit) {
            if Some(row.0) > last {
                last = Some(row.0);
                kept.push(row);
            }
        }
        let more = (more || asked > self.limit) && !kept.is_empty();
        (kept, more)
    }
}

impl<P: Ord + Clone> Target<P> {
    /// The next read, which is outstanding from now on: of the partition with the oldest hint that was
    /// not read, once the last page is used up.
    pub(crate) fn next_read(&mut self, now: Duration, config: &Config) -> Option<Wanted<P>> {
        if !self.is_ready(now) {
            return self.next_sweep(config);
        }
        // Delivery meets what is too old.
        self.sweep = None;
        let room = self.page.is_none() && self.open.len() < config.in_flight;
        if self.reading.is_some() || !room || !self.sums.unread() {
            return None;
        }
        let readable = self.partitions.iter().filter(|(_, it)| it.readable_at().is_some_and(|at| at <= now));
        let (partition, it) = readable.min_by_key(|(_, it)| it.cursor)?;
        let wanted = Wanted { partition: partition.clone(), after: it.cursor, limit: config.page };
        self.reads(&wanted, false);
        Some(wanted)
    }

    pub(crate) fn page(
        &mut self,
        now: Duration,
        config: &Config,
        partition: &P,
        rows: Vec<(Seq, u32, Kind)>,
        more: bool,
    ) {
        let Some(reading) = self.answered(partition) else { return };
        if reading.void || !self.partitions.contains_key(partition) {
            return;
        }
        let (rows, more) = reading.sensible(rows, more);
        if reading.sweep {
            self.swept(&reading, rows, more);
        } else if self.up {
            self.deliver(now, config, &reading, rows, more);
        }
    }

    pub(crate) fn page_failed(&mut self, now: Duration, config: &Config, partition: &P) {
        if self.answered(partition).is_some() {
            self.own_failure(now, config);
        }
    }

    pub(super) fn reads(&mut self, wanted: &Wanted<P>, sweep: bool) {
        let Wanted { partition, after, limit } = wanted.clone();
        self.reading = Some(Reading { partition, after, limit, sweep, void: false, grown: Default::default() });
    }

    fn answered(&mut self, partition: &P) -> Option<Reading<P>> {
        self.reading.take_if(|reading| reading.partition == *partition)
    }

    fn deliver(
        &mut self,
        now: Duration,
        config: &Config,
        reading: &Reading<P>,
        rows: Vec<(Seq, u32, Kind)>,
        more: bool,
    ) {
        let partition = &reading.partition;
        let swept = self.partitions.get(partition).and_then(|it| it.swept);
        let end = rows.last().map(|row| row.0);
        let mut queue = VecDeque::with_capacity(rows.len());
        for (seq, bytes, kind) in rows {
            let (bytes, kind) = reading.newest(seq, bytes, kind);
            // A spare row where a sweep has been was dropped, and is on its way out.
            let dropped = kind == Kind::Spare && Some(seq) <= swept;
            let place = (partition.clone(), seq);
            if !dropped && !self.open.contains_key(&place) && !self.ahead.contains(&place) {
                self.change(partition, |it| it.hold(bytes, kind));
                queue.push_back((seq, bytes, kind));
            }
        }
        self.ahead.retain(|(of, seq)| of != partition || Some(*seq) > end);
        let held = queue.iter().map(|row| (row.1, row.2));
        let open = self.open.range((partition.clone(), Seq(0))..=(partition.clone(), Seq(u64::MAX)));
        let held = held.chain(open.map(|(_, open)| (open.bytes, open.kind)));
        let mut sums = Sums::default();
        for (bytes, kind) in held {
            sums.hold(bytes, kind);
        }
        self.change(partition, |it| {
            if queue.is_empty() {
                it.cursor = it.cursor.max(end);
            }
            if more {
                it.sums.uncounted = u64::from(it.sums.count == it.sums.held);
            } else {
                it.ended(now, config.retry_after, || sums);
            }
        });
        if let Some(end) = end.filter(|_| !queue.is_empty()) {
            self.page = Some(Page { partition: partition.clone(), rows: queue, end });
        }
    }
}

impl<P> Reading<P> {
    /// A row as it is by now. What is owed stays owed.
    pub(super) fn newest(&self, seq: Seq, bytes: u32, kind: Kind) -> (u32, Kind) {
        let (bytes, grown) = self.grown.get(&seq).copied().unwrap_or((bytes, kind));
        (bytes, if kind == Kind::Owed { kind } else { grown })
    }
}
