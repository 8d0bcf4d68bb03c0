//! How a group of batches is written: log, sync, memtable, and then visible to readers. It also seals the memtable when it is full,
//! and holds writers back when the background is behind. One group is written at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::engine::{Engine, lock};
use super::views::{Sealed, View};
use crate::error::Result;
use crate::jobs::Runner;
use crate::key::Sequence;
use crate::log::{Segment, Writer};
use crate::memtable::Memtable;
use crate::names;
use crate::options::{Durability, Options, Pace};
use crate::write::{Commit, Request};

/// Delays are saved up until they are worth putting a thread to sleep for.
const LEAST_SLEEP: Duration = Duration::from_millis(1);

/// The room that a log segment grows by, at most.
const SEGMENT_ROOM: u64 = 8 << 20;

/// What the leader of the writers has.
pub(crate) struct Log {
    pub(crate) writer: Writer,
    /// Where the log's batches go.
    pub(crate) memtable: Arc<Memtable>,
    /// The delay that is due.
    owed: Duration,
}

impl Log {
    pub(crate) fn new(writer: Writer, memtable: Arc<Memtable>) -> Self {
        Self { writer, memtable, owed: Duration::ZERO }
    }
}

impl Commit for Engine {
    fn commit(&self, group: &[Request]) -> Result<Sequence> {
        self.health.check()?;
        let mut log = self.lock_log();
        self.commit_group(&mut log, group).inspect_err(|error| self.poison(error))
    }

    fn tick(&self) -> Option<Duration> {
        let interval = self.options.sync_interval;
        let mut due = lock(&self.sync_due);
        let (at, now) = ((*due)?, Instant::now());
        if now < at {
            return Some(at - now);
        }
        *due = None;
        drop(due);
        // A failure is remembered, and told to the next writer.
        let _ = self.sync_log();
        Some(interval)
    }
}

impl Engine {
    fn commit_group(&self, log: &mut Log, group: &[Request]) -> Result<Sequence> {
        let bytes = group.iter().map(|request| request.batch.bytes()).sum::<usize>();
        let operations = group.iter().map(|request| request.batch.len() as u64).sum();
        self.make_room(log, bytes)?;
        let before = log.writer.last_sequence();
        let last = log.writer.append(before + 1, group.iter().map(|request| &request.batch))?;
        if group.iter().any(|request| request.durability == Durability::Always) {
            log.writer.sync()?;
            self.counters.log_syncs.add(1);
        } else if group.iter().any(|request| request.durability == Durability::Interval) {
            self.sync_later();
        }
        let (mut memtable, mut sequence) = (log.memtable.writer(), before);
        for request in group {
            for (kind, key, value) in request.batch.view().ops() {
                sequence += 1;
                memtable.insert(key, sequence, kind, value);
            }
        }
        assert_eq!(sequence, last, "the log and the memtable count alike");
        self.snapshots.publish(last);
        self.counters.batches.add(group.len() as u64);
        self.counters.operations.add(operations);
        self.counters.user_bytes.add(bytes as u64);
        self.counters.groups.add(1);
        Ok(before)
    }

    /// Seals the memtable if it is full, and waits as long as the background is too far behind.
    fn make_room(&self, log: &mut Log, bytes: usize) -> Result<()> {
        let mut stopped = false;
        loop {
            let full = log.memtable.bytes() >= self.options.memtable_bytes && !log.memtable.is_empty();
            if full && self.views.load().sealed.len() + 1 < self.options.memtables {
                self.seal(log)?;
                continue;
            }
            match self.pace(log.memtable.bytes(), bytes) {
                Pace::Free if !full => return Ok(()),
                Pace::Delay(delay) if !full => {
                    self.delay(log, delay);
                    return Ok(());
                }
                _ => {}
            }
            self.counters.stops.add(u64::from(!stopped));
            stopped = true;
            if !self.wait_for_background(log.memtable.bytes(), bytes)? {
                return Ok(());
            }
        }
    }

    /// Makes all that was written durable.
    pub(crate) fn sync_log(&self) -> Result<()> {
        let mut log = self.lock_log();
        self.health.check()?;
        log.writer.sync().inspect_err(|error| self.poison(error))?;
        self.counters.log_syncs.add(1);
        Ok(())
    }

    /// Lets the log thread sync when it is time.
    fn sync_later(&self) {
        if self.runner == Runner::Manual {
            self.unsynced.store(true, Ordering::Relaxed);
            return;
        }
        let mut due = lock(&self.sync_due);
        if due.is_none() {
            *due = Some(Instant::now() + self.options.sync_interval);
            drop(due);
            self.queue.rouse();
        }
    }

    /// Lets a short time pass, or remembers to.
    fn delay(&self, log: &mut Log, delay: Duration) {
        log.owed += delay;
        if self.runner == Runner::Threads && log.owed >= LEAST_SLEEP {
            self.counters.delays.add(1);
            self.counters.delayed_nanos.add(log.owed.as_nanos() as u64);
            std::thread::sleep(log.owed);
            log.owed = Duration::ZERO;
        }
    }

    /// Waits until something was flushed or compacted. Gives whether that can have helped.
    fn wait_for_background(&self, memtable_bytes: usize, bytes: usize) -> Result<bool> {
        let helped = match self.runner {
            Runner::Manual => self.run_background(),
            Runner::Threads => {
                let sealed = self.views.load().sealed.len();
                let moved = || self.views.load().sealed.len() < sealed;
                let goes_on = || self.pace(memtable_bytes, bytes) != Pace::Wait;
                // Whatever the pace says: a full memtable waits for one of those before it.
                let full = memtable_bytes >= self.options.memtable_bytes;
                self.jobs.wait_until(|| self.health.is_poisoned() || moved() || !full && goes_on());
                !self.jobs.is_closing()
            }
        };
        self.health.check()?;
        Ok(helped)
    }

    /// Begins a new log segment and a new memtable; the old one is to be written to a table. Does nothing if it is empty.
    pub(crate) fn seal(&self, log: &mut Log) -> Result<()> {
        if log.memtable.is_empty() {
            return Ok(());
        }
        self.begin_segment(log)?;
        let memtable = Arc::new(Memtable::new());
        let full = std::mem::replace(&mut log.memtable, memtable.clone());
        let (last, next_log) = (log.writer.last_sequence(), log.writer.number());
        assert_eq!(full.largest_sequence(), Some(last), "what is in the log is in the memtable");
        let sealed = Sealed { memtable: full, last, next_log };
        self.publish(|view| {
            let sealed = std::iter::once(sealed).chain(view.sealed.iter().cloned()).collect();
            View { memtable, sealed, version: view.version.clone() }
        });
        self.jobs.want_flush();
        Ok(())
    }

    /// Seals the log: what is in it is durable, and nothing will be appended.
    pub(crate) fn seal_log(&self) -> Result<()> {
        let mut log = self.lock_log();
        self.health.check()?;
        log.writer.seal().inspect_err(|error| self.poison(error))
    }

    /// Goes on in a new log segment.
    fn begin_segment(&self, log: &mut Log) -> Result<()> {
        let number = self.new_number();
        let (path, spare) = (names::log(&self.dir, number), lock(&self.spare).take());
        let segment =
            Segment { path: &path, number, recycle: spare.as_deref(), room: Self::segment_room(&self.options) };
        log.writer.rotate(&*self.disk, segment)?;
        lock(&self.logs).push(number);
        Ok(())
    }

    /// How much room a log segment has from the beginning, and gets whenever it needs more. It is read to its end when the database is
    /// opened, so it should not have much more than is needed.
    pub(crate) fn segment_room(options: &Options) -> u64 {
        (options.memtable_bytes as u64).min(SEGMENT_ROOM)
    }

    /// Exchanges the view for the next.
    pub(crate) fn publish(&self, next: impl FnOnce(&View) -> View) {
        self.views.update(|view| {
            let next = next(view);
            self.note_pressure(&next);
            next
        });
    }
}
