//! [`Target`]: the hints of one target: what is counted, what is held in memory, and what is in flight.
//! Reading rows is in `read`, whose turn it is and when the target is left alone in `turn`, dropping what is
//! too old while it cannot be sent to in `sweep`. It does not know the other targets, nor how fast they may
//! be sent to together.

mod read;
mod sweep;
mod turn;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::time::Duration;

use crate::partition::{Partition, Sums};
use crate::{Config, Kind, Seq};

pub(crate) use read::Wanted;
pub(crate) use turn::Act;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Sent under this attempt, and not answered.
    Sent(u64),
    /// To be dropped, and not answered.
    Dropping,
    /// Failed or changed, or found to be too old: its turn comes before that of any row not read.
    Waiting,
}

/// A hint held in memory that has left the page.
#[derive(Clone, Copy, Debug)]
struct Open {
    bytes: u32,
    kind: Kind,
    state: State,
}

/// Rows of one partition that were read, and whose turn has not come.
#[derive(Clone, Debug)]
struct Page<P> {
    partition: P,
    rows: VecDeque<(Seq, u32, Kind)>,
    /// Up to where the partition was read.
    end: Seq,
}

/// A read that is not answered.
#[derive(Clone, Debug)]
struct Reading<P> {
    partition: P,
    after: Option<Seq>,
    limit: usize,
    /// Whether the rows are to be delivered, or only looked at for their age.
    sweep: bool,
    /// Whether a hint before `after` came to light meanwhile.
    void: bool,
    /// Hints that the rows may show as they were before a write merged in.
    grown: BTreeMap<Seq, (u32, Kind)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Target<P> {
    up: bool,
    sums: Sums,
    partitions: BTreeMap<P, Partition>,
    open: BTreeMap<(P, Seq), Open>,
    /// How many of `open` are waiting.
    waiting: usize,
    /// Hints that a sweep held, that turned out to be owed, and that were delivered before reading came to
    /// where they stood: their rows may still be seen there.
    ahead: BTreeSet<(P, Seq)>,
    page: Option<Page<P>>,
    reading: Option<Reading<P>>,
    /// Spare hints before this are to be dropped, although the target cannot be sent to.
    sweep: Option<Seq>,
    /// Until when it is left alone.
    paused_until: Duration,
    /// Failures in a row, of different attempts.
    failures: u32,
    /// Tells failures of hints that were in flight together, which count once, from later ones.
    attempt: u64,
}

impl<P: Ord + Clone> Target<P> {
    pub(crate) fn new() -> Self {
        Self {
            up: false,
            sums: Sums::default(),
            partitions: BTreeMap::new(),
            open: BTreeMap::new(),
            waiting: 0,
            ahead: BTreeSet::new(),
            page: None,
            reading: None,
            sweep: None,
            paused_until: Duration::ZERO,
            failures: 0,
            attempt: 0,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// The oldest hint as far as it is known.
    pub(crate) fn oldest(&self) -> Option<Seq> {
        let open = self.open.keys().map(|(_, seq)| *seq).min();
        let page = self.page.as_ref().and_then(|page| page.rows.front()).map(|row| row.0);
        let unread = self.partitions.values().filter(|partition| partition.sums.unread());
        let unread = unread.map(|partition| Seq::after(partition.cursor)).min();
        [open, page, unread].into_iter().flatten().min()
    }

    pub(crate) fn take(&mut self, now: Duration, partition: P, seq: Seq, bytes: u32, kind: Kind) {
        self.partitions.entry(partition.clone()).or_insert_with(|| Partition::new(seq));
        self.change(&partition, |it| it.take(now, bytes, kind));
    }

    pub(crate) fn recover(&mut self, partition: P, seq: Seq, bytes: u32, kind: Kind) {
        let cursor = self.partitions.entry(partition.clone()).or_insert_with(|| Partition::new(seq)).cursor;
        if cursor >= Some(seq) {
            // It lies before what was read: reading goes back to it.
            self.void_reads(&partition, seq);
        }
        self.change(&partition, |it| it.recover(seq, bytes, kind));
    }

    pub(crate) fn grew(&mut self, partition: &P, seq: Seq, before: (u32, Kind), after: (u32, Kind)) {
        self.change(partition, |it| it.grew(before, after));
        let merge = |bytes: &mut u32, kind: &mut Kind| {
            *bytes = after.0;
            if after.1 == Kind::Owed {
                *kind = Kind::Owed;
            }
        };
        if let Some(open) = self.open.get_mut(&(partition.clone(), seq)) {
            merge(&mut open.bytes, &mut open.kind);
        }
        if let Some(page) = self.page.as_mut().filter(|page| page.partition == *partition)
            && let Ok(at) = page.rows.binary_search_by_key(&seq, |row| row.0)
        {
            let (_, bytes, kind) = &mut page.rows[at];
            merge(bytes, kind);
        }
        if let Some(reading) = self.reading.as_mut().filter(|reading| reading.partition == *partition) {
            reading.grew(seq, after);
        }
    }

    pub(crate) fn up(&mut self) {
        self.up = true;
        self.resume();
        self.failures = 0;
    }

    pub(crate) fn down(&mut self) {
        self.up = false;
        self.drop_page();
    }

    pub(crate) fn delivered(&mut self, config: &Config, partition: &P, seq: Seq) {
        let Some(open) = self.open.remove(&(partition.clone(), seq)) else { return };
        self.waiting -= usize::from(open.state == State::Waiting);
        if open.state != State::Dropping {
            self.failures = 0;
        }
        let ahead = open.kind == Kind::Owed && self.partitions.get(partition).is_some_and(|it| Some(seq) > it.cursor);
        if ahead && self.ahead.len() < config.in_flight.saturating_add(config.page) {
            self.ahead.insert((partition.clone(), seq));
        }
        self.change(partition, |it| it.gone(open.bytes, open.kind));
    }

    pub(crate) fn changed(&mut self, partition: &P, seq: Seq) {
        match self.land(partition, seq) {
            Some((State::Dropping, open)) => open.kind = Kind::Owed,
            Some(_) => self.failures = 0,
            None => {}
        }
    }

    pub(crate) fn failed(&mut self, now: Duration, config: &Config, partition: &P, seq: Seq) {
        match self.land(partition, seq).map(|(state, _)| state) {
            Some(State::Sent(attempt)) if attempt != self.attempt => {}
            Some(State::Dropping) => self.own_failure(now, config),
            Some(_) => self.pause(now, config),
            None => {}
        }
    }

    /// An answer came, and the hint waits. The state it had; `None` if there was nothing to answer.
    fn land(&mut self, partition: &P, seq: Seq) -> Option<(State, &mut Open)> {
        let open = self.open.get_mut(&(partition.clone(), seq)).filter(|open| open.state != State::Waiting)?;
        let state = core::mem::replace(&mut open.state, State::Waiting);
        self.waiting += 1;
        Some((state, open))
    }

    /// Forgets the rows whose turn has not come; they will be read again.
    fn drop_page(&mut self) {
        if let Some(page) = self.page.take() {
            let rows = page.rows.len() as u64;
            self.change(&page.partition, |it| it.sums.held = it.sums.held.saturating_sub(rows));
        }
    }

    fn void_reads(&mut self, partition: &P, seq: Seq) {
        if self.page.as_ref().is_some_and(|page| page.partition == *partition) {
            self.drop_page();
        }
        if let Some(reading) = self.reading.as_mut().filter(|reading| reading.partition == *partition) {
            reading.void |= reading.after >= Some(seq);
        }
    }

    /// Changes a partition, if there is one, and with it the sums. A partition without hints is removed.
    fn change(&mut self, partition: &P, change: impl FnOnce(&mut Partition)) {
        let Some(it) = self.partitions.get_mut(partition) else { return };
        let before = it.sums;
        change(it);
        let mut after = it.sums;
        if after.count == 0 && after.uncounted == 0 {
            self.partitions.remove(partition);
            self.ahead.retain(|(of, _)| of != partition);
            after = Sums::default();
        }
        self.sums.replace(before, after);
    }
}

#[cfg(test)]
impl<P: Ord + Clone + core::fmt::Debug> Target<P> {
    pub(crate) fn assert_consistent(&self, config: &Config) {
        let mut sums = Sums::default();
        for (partition, it) in &self.partitions {
            let open = self.open.keys().filter(|(of, _)| of == partition).count();
            let page = self.page.as_ref().filter(|page| page.partition == *partition).map_or(0, |page| page.rows.len());
            assert_eq!(it.sums.held, (open + page) as u64, "{partition:?} of {self:?}");
            assert!(it.sums.held <= it.sums.count && it.sums.owed <= it.sums.count, "{partition:?} of {self:?}");
            sums.replace(Sums::default(), it.sums);
        }
        assert_eq!(sums, self.sums);
        let waiting = self.open.values().filter(|open| open.state == State::Waiting).count();
        assert_eq!(waiting, self.waiting);
        let page = self.page.as_ref().map_or(0, |page| page.rows.len());
        assert!(self.open.len() + page <= config.in_flight + config.page);
        assert!(self.ahead.len() <= config.in_flight + config.page);
        assert!(self.reading.as_ref().is_none_or(|reading| reading.grown.len() <= config.page));
    }
}
