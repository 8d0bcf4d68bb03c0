//! How many entries come in at once, past log and memtable: they are written to tables, which become part of the database by one edit.

use core::fmt;
use std::sync::Arc;

use super::cursors;
use super::engine::{Engine, lock};
use crate::compaction::outputs::{Cuts, Outputs, file_meta};
use crate::compaction::pick::rewrite;
use crate::error::{Error, Result};
use crate::key::{self, Kind, Sequence};
use crate::log::Segment;
use crate::names;
use crate::options::{LAST_LEVEL, LEVELS};
use crate::table::TableBuilder;
use crate::version::{File, FileMeta};

/// Entries that are written to be ingested. Dropped without [`finish`](Self::finish), it was in vain.
pub struct IngestWriter {
    engine: Arc<Engine>,
    /// A table of what was added, without the sequence number that it will have.
    staged: Option<(u64, TableBuilder)>,
    last: Vec<u8>,
    internal: Vec<u8>,
}

impl IngestWriter {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self { engine: engine.clone(), staged: None, last: Vec::new(), internal: Vec::new() }
    }

    /// Adds an entry. Keys come in ascending order, each once.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the key is not behind the one before, or too long, or the value is.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        if key <= self.last.as_slice() {
            return Err(Error::Invalid("keys to be ingested come in ascending order, and are not empty"));
        }
        if key.len() > crate::MAX_KEY || value.len() > crate::MAX_VALUE {
            return Err(Error::Invalid("a key is at most 64 KiB long, a value 1 GiB"));
        }
        let (_, table) = match &mut self.staged {
            Some(staged) => staged,
            none => {
                let (engine, number) = (&self.engine, self.engine.new_number());
                let options = engine.table_options(&engine.views.load().version, 0);
                let path = names::table(&engine.dir, number);
                none.insert((number, TableBuilder::new(&*engine.disk, &path, number, options)?))
            }
        };
        self.internal.clear();
        key::encode(key, 0, Kind::Put, &mut self.internal);
        table.add(&self.internal, value)?;
        self.last.clear();
        self.last.extend_from_slice(key);
        Ok(())
    }

    /// Makes all entries part of the database, at once and durably. They replace what the keys had. Other writers wait meanwhile.
    /// Gives the sequence number that they have.
    ///
    /// # Errors
    /// As of [`Db::write`](crate::Db::write).
    pub fn finish(mut self) -> Result<Sequence> {
        let engine = &self.engine;
        engine.check()?;
        let Some((number, table)) = self.staged.take() else { return Ok(engine.snapshots.visible()) };
        let staged = File::new(file_meta(number, table.finish()?, 0), &engine.home);
        // It is deleted once its entries are in tables of the database.
        staged.remove();
        engine.take_in(&staged)
    }
}

impl fmt::Debug for IngestWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngestWriter").finish_non_exhaustive()
    }
}

impl Engine {
    fn take_in(&self, staged: &Arc<File>) -> Result<Sequence> {
        let mut log = self.lock_log();
        self.health.check()?;
        self.seal(&mut log).inspect_err(|error| self.poison(error))?;
        let sequence = log.writer.last_sequence() + 1;
        self.flush_upto(sequence)?;

        let pick = rewrite(LAST_LEVEL, staged.clone());
        let (level, reservation) = {
            let (mut state, view) = (self.jobs.state(), self.views.load());
            let (first, last) = pick.hull();
            let alone = (0..LEVELS).all(|level| view.version.overlapping(level, first, last).next().is_none());
            let free = alone && !(0..LEVELS).any(|level| state.busy.meets([level; 2], first, last));
            let reservation = free.then(|| state.busy.reserve(&pick));
            (if free { LAST_LEVEL } else { 0 }, reservation)
        };
        let taken = self.write_staged(staged, level, sequence).and_then(|tables| {
            self.install(
                |_, edit| {
                    edit.added.extend(tables.into_iter().map(|meta| (level, meta)));
                    edit.flushed = sequence;
                },
                None,
            )
        });
        self.jobs.finish(|state| reservation.into_iter().for_each(|reservation| state.busy.release(reservation)));
        taken?;

        // The log goes on behind the number that was used; with a new segment, since within one numbers have no gaps. That all before is
        // durable, the edit has said.
        let number = self.new_number();
        let path = names::log(&self.dir, number);
        let segment = Segment { path: &path, number, recycle: None, room: Self::segment_room(&self.options) };
        log.writer.restart(&*self.disk, segment, sequence + 1).inspect_err(|error| self.poison(error))?;
        lock(&self.logs).push(number);
        self.snapshots.publish(sequence);
        self.jobs.wake();
        Ok(sequence)
    }

    /// Writes staged entries anew, with their sequence number.
    fn write_staged(&self, staged: &Arc<File>, level: usize, sequence: Sequence) -> Result<Vec<FileMeta>> {
        let version = self.views.load().version.clone();
        let options = self.table_options(&version, level);
        let cuts = Cuts { table_bytes: self.options.target_file_bytes, below: &[], overlap: u64::MAX, cleaned: 0 };
        let mut outputs = Outputs::new(cuts, || {
            let number = self.new_number();
            let path = names::table(&self.dir, number);
            Ok((number, TableBuilder::new(&*self.disk, &path, number, options)?))
        });
        let (mut cursor, mut internal) = (cursors::bulk([staged.clone()].into()), Vec::new());
        cursor.first()?;
        while let Some((staged_key, value)) = cursor.entry() {
            internal.clear();
            key::encode(key::split(staged_key).0, sequence, Kind::Put, &mut internal);
            outputs.add(&internal, value)?;
            cursor.next()?;
        }
        let tables = outputs.finish()?;
        self.counters.written[level].add(tables.iter().map(|meta| meta.size).sum());
        Ok(tables)
    }
}
