//! What is done in the background: finding the most urgent job, and doing it.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::cursors;
use super::engine::{Engine, lock};
use super::views::Sealed;
use crate::compaction::outputs::{Cuts, Outputs};
use crate::compaction::pick::{Action, Pick, pick};
use crate::compaction::{Rules, survivors};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::iter::MergeCursor;
use crate::jobs::{Job, Runner, State, stand_back};
use crate::key::Sequence;
use crate::names;
use crate::options::LEVELS;
use crate::table::TableBuilder;
use crate::version::{FileMeta, Version};

/// After so many entries a compaction looks up from its work.
const ENTRIES_BETWEEN_LOOKS: u32 = 128;

impl Engine {
    /// The most urgent job that nobody does yet.
    pub(crate) fn next_job(&self, state: &mut State) -> Option<Job> {
        if self.health.is_poisoned() {
            return None;
        }
        let view = self.views.load();
        if !state.flushing && !view.sealed.is_empty() {
            state.flushing = true;
            self.jobs.flush_began();
            return Some(Job::Flush);
        }
        if let Some(pick) = pick(&view.version, &self.limits(&view.version), &state.busy) {
            let reservation = state.busy.reserve(&pick);
            return Some(Job::Compact(Box::new(pick), reservation));
        }
        self.home.has_garbage().then_some(Job::Clean)
    }

    /// A worker's life.
    pub(crate) fn work(&self) {
        /// Lets nobody wait for a worker that is no more.
        struct Alarm<'a>(&'a Engine);

        impl Drop for Alarm<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.poison(&Error::Poisoned("a background thread panicked".into()));
                }
            }
        }

        let _alarm = Alarm(self);
        stand_back();
        self.jobs.serve(|state| self.next_job(state), |job| self.perform(job));
    }

    /// Does one piece of work of any kind, if there is one: a group of writes, a job, a sync that is due.
    pub(crate) fn run_one(&self) -> bool {
        if self.queue.serve_once(self) || self.run_background() {
            return true;
        }
        // A failure is remembered, and told to the next writer.
        self.unsynced.swap(false, Ordering::Relaxed) && self.sync_log().is_ok()
    }

    /// Writes all that is in memory to tables.
    pub(crate) fn flush_all(&self) -> Result<()> {
        let last = {
            let mut log = self.lock_log();
            self.health.check()?;
            self.seal(&mut log).inspect_err(|error| self.poison(error))?;
            log.writer.last_sequence()
        };
        self.flush_upto(last)
    }

    /// Writes sealed memtables to tables, or waits until others have, until there are none up to a sequence.
    pub(crate) fn flush_upto(&self, last: Sequence) -> Result<()> {
        let pending = || self.views.load().sealed.last().is_some_and(|sealed| sealed.last <= last);
        while pending() {
            self.health.check()?;
            let mut state = self.jobs.state();
            if state.flushing {
                drop(state);
                self.jobs.wait_until(|| !pending() || self.health.is_poisoned());
                if self.jobs.is_closing() {
                    return Err(Error::Invalid("the database is closed"));
                }
            } else if pending() {
                state.flushing = true;
                self.jobs.flush_began();
                drop(state);
                self.flush_oldest().inspect_err(|error| self.poison(error))?;
            }
        }
        self.health.check()
    }

    /// Does one job, if there is one. Gives whether there was.
    pub(crate) fn run_background(&self) -> bool {
        let job = self.next_job(&mut self.jobs.state());
        job.map(|job| self.perform(job)).is_some()
    }

    /// Does a job. A failure poisons the database.
    pub(crate) fn perform(&self, job: Job) {
        let done = match job {
            Job::Flush => self.flush_oldest(),
            Job::Compact(pick, reservation) => self.compact(&pick, reservation),
            Job::Clean => self.clean().map(|_| ()),
        };
        if let Err(error) = done
            && !self.jobs.is_closing()
        {
            self.poison(&error);
        }
    }

    /// Writes the oldest sealed memtable to a table. The caller has set `flushing`.
    pub(crate) fn flush_oldest(&self) -> Result<()> {
        let sealed = self.views.load().sealed.last().cloned();
        let flushed = sealed.map_or(Ok(()), |sealed| self.flush(&sealed));
        self.jobs.finish(|state| state.flushing = false);
        flushed
    }

    fn flush(&self, sealed: &Sealed) -> Result<()> {
        let (began, bytes) = (self.now(), sealed.memtable.bytes() as u64);
        let version = self.views.load().version.clone();
        let mut cursor = sealed.memtable.cursor();
        let cuts = Cuts { table_bytes: u64::MAX, below: &[], overlap: u64::MAX, cleaned: 0 };
        let tables = self.write_tables(&mut cursor, &version, 0, cuts, |_| false, |_| Ok(()))?;
        self.counters.flushes.add(1);
        self.install(
            |_, edit| {
                edit.added.extend(tables.into_iter().map(|meta| (0, meta)));
                (edit.log_number, edit.flushed) = (sealed.next_log, sealed.last);
            },
            Some(sealed),
        )?;
        self.note_drained(began, bytes);
        self.retire_logs(sealed.next_log)
    }

    /// Does a compaction, and gives the reservation back.
    pub(crate) fn compact(&self, pick: &Pick, reservation: u64) -> Result<()> {
        let began = self.now();
        let compacted = match pick.action {
            Action::Move => self.move_down(pick),
            Action::Merge | Action::Rewrite => self.merge(pick),
        };
        self.jobs.finish(|state| state.busy.release(reservation));
        if pick.level == 0 && compacted.is_ok() {
            self.note_drained(began, pick.inputs.iter().map(|file| file.meta.size).sum());
        }
        compacted
    }

    fn move_down(&self, pick: &Pick) -> Result<()> {
        self.counters.moves.add(1);
        self.install(
            |_, edit| {
                for file in &pick.inputs {
                    edit.removed.push((pick.level, file.meta.number));
                    edit.added.push((pick.output, file.meta.clone()));
                }
            },
            None,
        )
    }

    fn merge(&self, pick: &Pick) -> Result<()> {
        // Whatever else changes meanwhile: nothing that this compaction reads, writes, or asks about below.
        let version = self.views.load().version.clone();
        let mut sources: Vec<_> = match pick.level {
            0 => pick.inputs.iter().map(|file| cursors::bulk([file.clone()].into())).collect(),
            _ => vec![cursors::bulk(pick.inputs.as_slice().into())],
        };
        sources.push(cursors::bulk(pick.next.as_slice().into()));
        let mut cursor = MergeCursor::new(sources);
        let limits = self.limits(&version);
        let below: &[_] = &pick.grandparents;
        let cleaned = version.dropped.iter().map(|range| range.id).max().unwrap_or(0);
        let cuts = Cuts { table_bytes: limits.table_bytes, below, overlap: limits.overlap(), cleaned };
        let lowest = |key: &[u8]| {
            // Other flushed tables may be older than one that is rewritten among them.
            let beside = pick.level == 0 && pick.action == Action::Rewrite;
            !beside && (pick.output + 1..LEVELS).all(|level| version.holding(level, key).is_none())
        };
        let pause = |bytes| self.pause(bytes);
        let tables = self.write_tables(&mut cursor, &version, pick.output, cuts, lowest, pause)?;
        let counters = &self.counters;
        counters.compactions.add(1);
        counters.read[pick.level].add(pick.inputs.iter().map(|file| file.meta.size).sum());
        counters.read[pick.output].add(pick.next.iter().map(|file| file.meta.size).sum());
        self.install(
            |_, edit| {
                edit.removed.extend(pick.inputs.iter().map(|file| (pick.level, file.meta.number)));
                edit.removed.extend(pick.next.iter().map(|file| (pick.output, file.meta.number)));
                edit.added.extend(tables.into_iter().map(|meta| (pick.output, meta)));
            },
            None,
        )
    }

    /// Writes what survives of a source to tables for a level. They are durable, but not yet part of the database.
    pub(crate) fn write_tables(
        &self,
        cursor: &mut dyn Cursor,
        version: &Version,
        level: usize,
        cuts: Cuts<'_>,
        lowest: impl FnMut(&[u8]) -> bool,
        mut pause: impl FnMut(u64) -> Result<()>,
    ) -> Result<Vec<FileMeta>> {
        let (snapshots, held) = self.snapshots.list();
        let rules = Rules { snapshots: &snapshots, held, dropped: &version.dropped, filter: self.filter.as_deref() };
        let options = self.table_options(version, level);
        let mut outputs = Outputs::new(cuts, || {
            let number = self.new_number();
            let path = names::table(&self.dir, number);
            Ok((number, TableBuilder::new(&*self.disk, &path, number, options)?))
        });
        let (mut entries, mut bytes) = (0, 0);
        cursor.first()?;
        let gone = survivors(cursor, &rules, lowest, |internal, value| {
            entries += 1;
            bytes += (internal.len() + value.len()) as u64;
            if entries == ENTRIES_BETWEEN_LOOKS {
                pause(bytes)?;
                (entries, bytes) = (0, 0);
            }
            outputs.add(internal, value)
        })?;
        self.counters.add_gone(gone);
        let tables = outputs.finish()?;
        self.counters.written[level].add(tables.iter().map(|meta| meta.size).sum());
        Ok(tables)
    }

    /// Lets the time pass that so many compacted bytes should take, and a flush that waits go first.
    fn pause(&self, bytes: u64) -> Result<()> {
        if self.jobs.is_closing() {
            return Err(Error::Invalid("the database is closed"));
        }
        if self.jobs.flush_waits() {
            let mut state = self.jobs.state();
            if !state.flushing && !self.views.load().sealed.is_empty() {
                state.flushing = true;
                self.jobs.flush_began();
                drop(state);
                self.flush_oldest()?;
            }
        }
        let Some(started) = self.started else { return Ok(()) };
        if self.options.compaction_bytes_per_second.is_some() {
            let wait = lock(&self.bucket).take(started.elapsed(), bytes);
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
        }
        Ok(())
    }

    fn now(&self) -> Option<Instant> {
        (self.runner == Runner::Threads).then(Instant::now)
    }

    fn note_drained(&self, began: Option<Instant>, bytes: u64) {
        if let Some(began) = began {
            self.pressures.drained(bytes, began.elapsed());
        }
    }
}
