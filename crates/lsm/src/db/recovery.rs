//! How what the logs hold gets back into memory: into memtables, and the logs stay until these are in tables. Nothing is appended to an old
//! log.
//!
//! That goes only for what is known to be durable, which after a clean close is all. What was read behind that may be in the operating system's
//! memory only, and no sync will tell: if one has failed before, the system may believe that there is nothing left to write (Rebello et al.: Can
//! Applications Recover from fsync Failures?, 2020). So then everything is written anew, to tables.
//!
//! The same is done if a log begins behind a gap, because a crash took the end of one before it that nobody had synced. Then it is dropped,
//! with all that follow. The sequence numbers in them are given again, so no log from before may count any more when that happens.

use std::sync::Arc;

use super::gather::Gathered;
use super::views::Sealed;
use crate::batch::BatchView;
use crate::compaction::outputs::file_meta;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::key::Sequence;
use crate::log::{self, Beginning, End, Traces};
use crate::memtable::Memtable;
use crate::names::{self, FileName};
use crate::options::Options;
use crate::table::TableBuilder;
use crate::version::{FileMeta, Home, Version};

/// Reads logs into memtables, and into tables what there is no room for.
pub(super) struct Recovery<'a> {
    home: &'a Home,
    options: &'a Options,
    version: &'a Version,
    next_file: &'a mut u64,
    /// The newest, and what is on its way into it.
    memtable: Arc<Memtable>,
    gathered: Gathered,
    /// Full memtables, oldest first, and with each the log that holds what follows it.
    full: Vec<Sealed>,
    tables: Vec<FileMeta>,
    /// Up to there everything is in tables.
    flushed: Sequence,
    /// Up to there everything is known to be durable.
    durable: Sequence,
    /// Logs that hold anything that is not in tables.
    logs: Vec<u64>,
    /// The last sequence number that was found.
    last: Sequence,
    /// The log that was read last, and where it ends.
    end: Option<(u64, u64)>,
    /// Whether logs were dropped.
    dropped: bool,
    /// Bytes of logs behind their ends, and behind a gap.
    torn: u64,
}

/// What the logs held; see [`Recovery`].
pub(super) struct Recovered {
    memtable: Arc<Memtable>,
    full: Vec<Sealed>,
    pub(super) tables: Vec<FileMeta>,
    pub(super) flushed: Sequence,
    pub(super) logs: Vec<u64>,
    pub(super) last: Sequence,
    pub(super) torn: u64,
}

impl Recovered {
    /// The memtable to go on with, and those to be written to tables, newest first. Whoever crashes again and again and writes little in
    /// between shall not gather ever more logs: beyond as many as memtables there may be, the one to go on with is a new one.
    pub(super) fn memtables(&self, log: u64, memtables: usize) -> (Arc<Memtable>, Vec<Sealed>) {
        let (mut memtable, mut sealed) = (self.memtable.clone(), self.full.clone());
        if self.logs.len() >= memtables && !memtable.is_empty() {
            sealed.push(Sealed { memtable, last: self.last, next_log: log });
            memtable = Arc::new(Memtable::new());
        }
        sealed.reverse();
        (memtable, sealed)
    }
}

impl<'a> Recovery<'a> {
    pub(super) fn new(home: &'a Home, options: &'a Options, version: &'a Version, next_file: &'a mut u64) -> Self {
        let (memtable, last) = (Arc::new(Memtable::new()), version.flushed);
        let (gathered, flushed) = (Gathered::new(options.memtable_bytes / 8), last);
        let (full, tables, logs) = Default::default();
        Self {
            home,
            options,
            version,
            next_file,
            memtable,
            gathered,
            full,
            tables,
            flushed,
            durable: last,
            logs,
            last,
            end: None,
            dropped: false,
            torn: 0,
        }
    }

    /// Replays all logs that the version has need of, in their order, and sees to it that what was read is durable.
    pub(super) fn run(mut self, names: &[(String, FileName)]) -> Result<Recovered> {
        let mut numbers: Vec<u64> = names
            .iter()
            .filter_map(|(_, name)| match name {
                FileName::Log(number) => Some(*number),
                _ => None,
            })
            .filter(|number| *number >= self.version.log_number)
            .collect();
        numbers.sort_unstable();
        self.replay(&numbers)?;
        if self.last > self.durable || self.dropped {
            let memtable = std::mem::replace(&mut self.memtable, Arc::new(Memtable::new()));
            if !memtable.is_empty() {
                self.full.push(Sealed { memtable, last: self.last, next_log: u64::MAX });
            }
            while !self.full.is_empty() {
                self.write_table()?;
            }
            assert!(self.logs.is_empty() && self.flushed == self.last, "all that was read is in tables");
        }
        let Self { memtable, full, tables, flushed, logs, last, torn, .. } = self;
        Ok(Recovered { memtable, full, tables, flushed, logs, last, torn })
    }

    fn replay(&mut self, numbers: &[u64]) -> Result<()> {
        let mut beginnings = Vec::new();
        for number in numbers {
            beginnings.push(log::beginning(&*self.home.disk, &names::log(&self.home.dir, *number), *number)?);
        }
        for (at, number) in numbers.iter().enumerate() {
            // Before its batches: a gap must not be jumped.
            if beginnings[at].is_some_and(|begins| begins.is_used && begins.first > self.last + 1) {
                return self.drop_logs(&numbers[at..]);
            }
            self.replay_log(*number, beginnings[at], &beginnings[at + 1..])?;
        }
        self.gathered.insert_into(&self.memtable);
        Ok(())
    }

    /// Replays a log; these follow.
    fn replay_log(&mut self, number: u64, begins: Option<Beginning>, later: &[Option<Beginning>]) -> Result<()> {
        let path = names::log(&self.home.dir, number);
        let disk = self.home.disk.clone();
        if begins.is_none() && number == self.version.log_number {
            return Err(Error::corruption(&path, 0, "the log has no valid header"));
        }
        let before = self.last;
        let mut used = later.iter().flatten().filter(|later| later.is_used);
        let claimed = used.clone().map(|later| later.synced_upto).max().unwrap_or(0);
        // What is durable before the beginning of the next log is here. If all of that has been found, this one need not have anything: a
        // crash interrupted its making, and the next one was begun in its place. What is in tables already is of no interest.
        let before_next = later.iter().flatten().next().map_or(0, |next| next.first - 1);
        let missing = Some(claimed.min(before_next)).filter(|missing| *missing > before).unwrap_or(0);
        let each = |first, batch: BatchView<'_>| self.insert(number, first, batch);
        let recovered = log::recover(&*disk, &path, number, missing, each)?;
        if let End::TornTail { dropped_bytes, .. } = recovered.end {
            self.torn += dropped_bytes;
        }
        let next = used.next().map(|next| next.first).filter(|next| next - 1 > self.version.flushed);
        if next.is_some_and(|next| recovered.last_sequence >= next) {
            return Err(Error::corruption(&path, 0, "the log goes on behind the beginning of the next"));
        }
        if self.last > before {
            self.logs.push(number);
        }
        if begins.is_some_and(|begins| begins.is_used) {
            self.end = Some((number, recovered.upto));
        }
        self.durable = self.durable.max(recovered.durable).max(claimed);
        Ok(())
    }

    /// Drops logs that begin behind a gap, unless what is missing was durable.
    fn drop_logs(&mut self, numbers: &[u64]) -> Result<()> {
        for number in numbers {
            let Traces { durable, bytes } =
                log::traces(&*self.home.disk, &names::log(&self.home.dir, *number), *number)?;
            if durable > self.last {
                let (before, end) = self.end.unwrap_or((*number, 0));
                let path = names::log(&self.home.dir, before);
                return Err(Error::corruption(&path, end, "writes that were durable are missing here"));
            }
            self.torn += bytes;
        }
        self.dropped = true;
        self.gathered.insert_into(&self.memtable);
        Ok(())
    }

    /// Takes a batch of a log in, unless it is in a table already.
    fn insert(&mut self, log: u64, first: Sequence, batch: BatchView<'_>) -> Result<()> {
        let Some(last) = (first + batch.len() as u64).checked_sub(1).filter(|last| *last > self.last) else {
            return Ok(());
        };
        if !self.gathered.has_room_for(batch) {
            self.gathered.insert_into(&self.memtable);
            if self.memtable.bytes() >= self.options.memtable_bytes {
                let memtable = std::mem::replace(&mut self.memtable, Arc::new(Memtable::new()));
                self.full.push(Sealed { memtable, last: self.last, next_log: log });
                if self.full.len() >= self.options.memtables {
                    self.write_table()?;
                }
            }
        }
        self.gathered.add(first, batch, self.last);
        self.last = last;
        Ok(())
    }

    /// Writes the oldest memtable to a table.
    fn write_table(&mut self) -> Result<()> {
        let Sealed { memtable, last, next_log } = self.full.remove(0);
        let number = *self.next_file;
        *self.next_file += 1;
        let path = names::table(&self.home.dir, number);
        let options = super::tables::table_options(self.options, self.version, 0);
        let mut table = TableBuilder::new(&*self.home.disk, &path, number, options)?;
        let mut cursor = memtable.cursor();
        cursor.first()?;
        while let Some((internal, value)) = cursor.entry() {
            table.add(internal, value)?;
            cursor.next()?;
        }
        self.tables.push(file_meta(number, table.finish()?, 0));
        self.flushed = last;
        self.logs.retain(|log| *log >= next_log);
        Ok(())
    }
}
