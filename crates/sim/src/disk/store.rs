//! A host's records: the real storage engine on a simulated disk, opened when a process starts and gone with it. It knows
//! what the disk was made to do wrong, and keeps what the engine reported although nobody had given it cause.

use core::ops::Bound;
use std::io::ErrorKind;

use bytes::Bytes;
use kvorum_lsm::disk::sim::{Operation, SimDisk};
use kvorum_lsm::{Batch, Db, Durability, Error, Metrics, Options, Runner, Ticket};
use kvorum_node::{KeyRange, KeyspaceId, Page, Record, StoreError, StoredKey, row_weight};
use kvorum_ring::PartitionId;

use crate::config::SimConfig;
use crate::event::HostIndex;
use crate::random::{Purpose, Random};
use crate::sabotage::Sabotage;

/// The directory of the database.
const DATABASE: &str = "db";
/// Of a thousand recoveries so many are cut short by a loss of power, and begin again.
const INTERRUPTED_OPENS: u16 = 100;

mod trouble;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// It alone: the operating system keeps what was written, synced or not.
    Killed,
    /// With its machine, which loses any part of what was not synced.
    PowerLost,
}

/// What an engine did, counted over all lives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) flushes: u64,
    pub(crate) compactions: u64,
    pub(crate) torn_bytes: u64,
}

pub(crate) struct Store {
    options: Options,
    sabotage: Option<Sabotage>,
    random: Random,
    medium: SimDisk,
    /// There is one while a process runs.
    db: Option<Db>,
    is_full: bool,
    /// Something is going to fail, unless it has.
    fails_soon: bool,
    /// The engine failed, and what follows from that is no surprise.
    has_failed: bool,
    surprises: Vec<String>,
    work: Work,
}

impl Store {
    /// An empty disk, on which nothing is open.
    pub(crate) fn new(config: &SimConfig, host: HostIndex) -> Self {
        let mut random = Random::stream(config.seed.wrapping_add((host as u64) << 48), Purpose::Store);
        let mut store = Self {
            options: config.engine.clone(),
            sabotage: config.sabotage,
            medium: SimDisk::new(random.next()),
            random,
            db: None,
            is_full: false,
            fails_soon: false,
            has_failed: false,
            surprises: Vec::new(),
            work: Work::default(),
        };
        store.lose();
        store
    }

    /// Opens the engine, which recovers what it finds.
    ///
    /// # Errors
    /// If the disk is full or a call fails, and it may be tried again; or if what it finds is damaged.
    pub(crate) fn open(&mut self) -> Result<(), StoreError> {
        assert!(self.db.is_none(), "a process opens its store once");
        if self.random.permille(INTERRUPTED_OPENS) {
            self.crash_soon();
            drop(self.start());
            self.lose_power();
        }
        self.has_failed = false;
        let opened = self.start().map_err(|error| self.failure(&error));
        opened.map(|db| self.db = Some(db))
    }

    fn start(&self) -> Result<Db, Error> {
        Db::open_on(self.medium.clone(), DATABASE, self.options.clone(), Runner::Manual)
    }

    /// Writes batches as one group, as durably as that.
    ///
    /// # Errors
    /// Then nobody knows what is on the disk, and nothing more is taken in.
    pub(crate) fn write(&mut self, batches: Vec<Batch>, durability: Durability) -> Result<(), StoreError> {
        write(self.db(), batches, durability).map_err(|error| self.failure(&error))
    }

    /// Does one piece of background work; whether there was any.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub(crate) fn work(&mut self) -> Result<bool, StoreError> {
        let worked = self.db().run_one();
        match health(self.db()) {
            Ok(()) => Ok(worked),
            Err(error) => Err(self.failure(&error)),
        }
    }

    pub(crate) fn load(&mut self, key: &StoredKey) -> Result<Option<Record>, StoreError> {
        match self.db().get(key.as_bytes()) {
            Ok(value) => value.map(|value| self.record(key.as_bytes(), &value)).transpose(),
            Err(error) => Err(self.failure(&error)),
        }
    }

    pub(crate) fn scan(&mut self, range: &KeyRange, limit_bytes: u32) -> Result<Page, StoreError> {
        let start: &[u8] = &range.start;
        let start = if range.after_start { Bound::Excluded(start) } else { Bound::Included(start) };
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let (mut page, mut bytes) = (Page::default(), 0);
        for row in self.db().range::<[u8]>((start, end)) {
            let (key, value) = row.map_err(|error| self.failure(&error))?;
            if bytes >= limit_bytes as usize {
                page.more = true;
                break;
            }
            let record = self.record(&key, &value)?;
            let key = StoredKey::parse(key.into()).map_err(|bad| self.damage(bad.to_string()))?;
            bytes += row_weight(&key, &record);
            page.rows.push((key, record));
        }
        Ok(page)
    }

    /// How many rows it holds in a keyspace.
    pub(crate) fn count_rows(&mut self, keyspace: KeyspaceId, partitions: u32) -> usize {
        let ranges =
            (0..partitions as u16).map(|partition| KeyRange::of_partition(keyspace, PartitionId(partition), &[], None));
        // What cannot be read is for others to complain of.
        ranges.map(|range| self.scan(&range, u32::MAX).map_or(0, |page| page.rows.len())).sum()
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<Record, StoreError> {
        let parsed = Record::parse(Bytes::copy_from_slice(value));
        parsed.map_err(|bad| self.damage(format!("{}: {bad}", key.escape_ascii())))
    }

    /// The process is gone, perhaps in the midst of background work or of writing these batches; unless none was running,
    /// and only the power goes.
    pub(crate) fn die(&mut self, death: Death, in_flight: Vec<Batch>) {
        let db = self.db.take();
        if let Some(db) = &db {
            self.count(&db.metrics());
            if self.random.permille(500) {
                match death {
                    Death::Killed => self.fail(Operation::Write),
                    Death::PowerLost => self.crash_soon(),
                }
                if self.random.permille(500) {
                    db.run_one();
                }
                drop(write(db, in_flight, Durability::Always));
            }
        }
        match death {
            Death::Killed => {
                // A database that is dropped closes itself, which a killed one does not: the last thing it does is a write that
                // does not succeed.
                self.medium.fail(Operation::Write, 0, ErrorKind::Interrupted);
                drop(db);
                self.withdraw();
            }
            Death::PowerLost => {
                self.lose_power();
                drop(db);
            }
        }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("a process that runs has opened its store")
    }

    /// What the node is told of a failure. That nothing was made to fail, or to rot, is kept for the verdict.
    fn failure(&mut self, error: &Error) -> StoreError {
        match error {
            Error::Corruption { .. } => self.damage(error.to_string()),
            _ => {
                if !(self.is_full || self.fails_soon || self.has_failed) {
                    self.surprises.push(error.to_string());
                }
                self.has_failed = true;
                StoreError::Io(error.to_string())
            }
        }
    }

    fn damage(&mut self, what: String) -> StoreError {
        self.surprises.push(what.clone());
        StoreError::Corruption(what)
    }

    /// What the engine reported without cause.
    pub(crate) fn surprises(&self) -> &[String] {
        &self.surprises
    }

    /// What the engine did.
    pub(crate) fn done(&mut self) -> Work {
        if let Some(metrics) = self.db.as_ref().map(Db::metrics) {
            self.count(&metrics);
        }
        core::mem::take(&mut self.work)
    }

    /// How many calls were made to the disk, and how many bytes written: by these, two runs of an engine are compared.
    pub(crate) fn calls(&self) -> (u64, u64) {
        (self.medium.calls(), self.medium.bytes_written())
    }

    fn count(&mut self, metrics: &Metrics) {
        self.work.flushes += metrics.flushes;
        self.work.compactions += metrics.compactions;
        self.work.torn_bytes += metrics.torn_bytes;
    }
}

/// Hands all batches over and has them written.
fn write(db: &Db, batches: Vec<Batch>, durability: Durability) -> Result<(), Error> {
    let submitted: Result<Vec<Ticket>, Error> = batches.into_iter().map(|batch| db.submit(batch, durability)).collect();
    let tickets = submitted?;
    db.run_one();
    let outcome = |ticket: &Ticket| ticket.poll().expect("all that was submitted is written as one group");
    tickets.iter().try_for_each(|ticket| outcome(ticket).map(drop))
}

/// Whether a database takes writes: to begin something that does nothing is the only way to ask.
fn health(db: &Db) -> Result<(), Error> {
    db.ingest().map(drop)
}

#[cfg(test)]
mod tests;
