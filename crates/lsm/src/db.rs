//! Owns what users hold: the database, and what can be done with it. Each thing is done in a file of its own: `commit` writes,
//! `read` reads, `background` flushes and compacts, `install` changes the set of tables, `open` recovers, and so on.

use core::fmt;
use core::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::batch::Batch;
use crate::compaction::filter::CompactionFilter;
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Result};
use crate::iter::{Edges, Range};
use crate::jobs::{Runner, Threads};
use crate::key::Sequence;
use crate::metrics::Metrics;
use crate::options::{Durability, Options};

mod background;
mod checkpoint;
mod commit;
mod compact;
mod cursors;
mod drop_range;
mod engine;
mod gather;
mod health;
mod ingest;
mod install;
mod open;
mod pressure;
mod read;
mod recovery;
mod repair;
mod tables;
mod ticket;
mod verify;
mod views;

pub use self::ingest::IngestWriter;
pub use self::read::{Snapshot, TryGet, Value};
pub use self::repair::{Repaired, repair, repair_on};
pub use self::ticket::Ticket;
pub use self::verify::Verified;

use self::engine::Engine;
use self::open::Opening;

/// An open database. Clones are handles to the same one; it is closed by [`close`](Self::close), or with its last handle.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// use kvorum_lsm::{Batch, Db, Durability, Options};
///
/// let db = Db::open(dir.path().join("db"), Options::default())?;
/// db.put("fruit/apple", "red")?;
/// let mut batch = Batch::new();
/// batch.put(b"fruit/lemon", b"yellow")?;
/// batch.delete(b"fruit/apple")?;
/// db.write(batch, Durability::Always)?;
/// assert_eq!(db.get("fruit/apple")?, None);
/// assert_eq!(db.prefix("fruit/").count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Db {
    owner: Arc<Owner>,
}

/// What ends with the last handle.
struct Owner {
    engine: Arc<Engine>,
    threads: Threads,
}

/// A database that is about to be opened. Made by [`Db::at`].
#[must_use = "nothing is opened before `open`"]
pub struct Builder {
    opening: Opening,
}

impl Builder {
    /// With these settings, instead of the defaults.
    pub fn options(mut self, options: Options) -> Self {
        self.opening.options = options;
        self
    }

    /// On this disk, instead of the operating system's file system.
    pub fn disk(mut self, disk: impl Disk) -> Self {
        self.opening.disk = Arc::new(disk);
        self
    }

    /// With background work done by these, instead of threads.
    pub fn runner(mut self, runner: Runner) -> Self {
        self.opening.runner = runner;
        self
    }

    /// With a filter that removes entries when they are compacted.
    pub fn compaction_filter(mut self, filter: impl CompactionFilter) -> Self {
        self.opening.filter = Some(Arc::new(filter));
        self
    }

    /// Opens it, or makes a new one where there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] if it is open already, [`Error::Corruption`] if it is damaged, [`Error::Option`] for an impossible setting.
    pub fn open(self) -> Result<Db> {
        Db::start(Engine::open(self.opening)?)
    }
}

impl Db {
    /// Opens a database in a directory, or makes a new one there. What is in the logs, and not in tables yet, is read into memory first: at
    /// most as much as [`Options::memtables`] hold. After a crash it is also written to tables, so this can take as long as that.
    ///
    /// # Errors
    /// [`Error::Locked`] if it is open already, [`Error::Corruption`] if it is damaged, [`Error::Option`] for an impossible setting.
    pub fn open(dir: impl Into<PathBuf>, options: Options) -> Result<Self> {
        Self::at(dir).options(options).open()
    }

    /// As [`open`](Self::open), on any disk, with any runner.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_on(disk: impl Disk, dir: impl Into<PathBuf>, options: Options, runner: Runner) -> Result<Self> {
        Self::at(dir).disk(disk).options(options).runner(runner).open()
    }

    /// Begins to open a database in a directory, for what else can be chosen.
    pub fn at(dir: impl Into<PathBuf>) -> Builder {
        let (disk, options) = (Arc::new(RealDisk), Options::default());
        Builder { opening: Opening { disk, dir: dir.into(), options, runner: Runner::Threads, filter: None } }
    }

    fn start(engine: Arc<Engine>) -> Result<Self> {
        let db = Self { owner: Arc::new(Owner { engine, threads: Threads::default() }) };
        let engine = &db.owner.engine;
        if engine.runner == Runner::Threads {
            let spawn = |name: &str, life: Box<dyn FnOnce() + Send>| {
                let spawned = db.owner.threads.spawn(name, life);
                spawned.map_err(|error| Error::io("start a thread for", &engine.dir, error))
            };
            let writer = engine.clone();
            spawn("lsm-log", Box::new(move || writer.queue.serve_all(&*writer)))?;
            for number in 0..engine.options.workers {
                let worker = engine.clone();
                spawn(&format!("lsm-{number}"), Box::new(move || worker.work()))?;
            }
        }
        Ok(db)
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.owner.engine
    }

    /// The value of a key. O(log n) in memory, and at most one block is read from each level.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        self.engine().get(key.as_ref(), None)
    }

    /// The value of a key, as far as it can be told from memory: no file is read, so a thread that serves others can ask, and leave
    /// the rest to a thread that may wait.
    ///
    /// # Errors
    /// When something in memory turns out to be damaged.
    pub fn try_get(&self, key: impl AsRef<[u8]>) -> Result<TryGet> {
        self.engine().try_get(key.as_ref())
    }

    /// The values of several keys, all as of one moment.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn multi_get<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Value>>> {
        self.engine().multi_get(keys, None)
    }

    /// The entries of a range of keys as of now, from both ends: `db.range("a".."b")`, `db.range::<str>(..)`.
    pub fn range<K: AsRef<[u8]> + ?Sized>(&self, range: impl RangeBounds<K>) -> Range {
        self.engine().range(Edges::new(&range), None)
    }

    /// The entries of all keys that begin with this, as of now, from both ends.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Range {
        self.engine().range(Edges::prefix(prefix.as_ref()), None)
    }

    /// Keeps the database as it is now, to be read later.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.engine())
    }

    /// Writes a batch, and waits until it is as durable as asked. Gives the number of its last operation. Batches happen in the order of
    /// their numbers; after a crash, none is there without all before it. Readers see a batch as a whole, once this has returned
    /// or shortly before. May be delayed while compaction is behind.
    ///
    /// # Errors
    /// Then nobody knows whether the batch will be there after reopening, but nothing that was acknowledged is lost. From then on all
    /// writes fail.
    pub fn write(&self, batch: Batch, durability: Durability) -> Result<Sequence> {
        let engine = self.engine();
        engine.check()?;
        engine.queue.write(&**engine, batch, durability)
    }

    /// Gives a key a value, as durably as [`Options::durability`] says.
    ///
    /// # Errors
    /// As of [`write`](Self::write); [`Error::Invalid`] if the key is empty, or either is too long.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key.as_ref(), value.as_ref())?;
        self.write(batch, self.engine().options.durability).map(|_| ())
    }

    /// Takes a key's value away, as durably as [`Options::durability`] says.
    ///
    /// # Errors
    /// As of [`put`](Self::put).
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(key.as_ref())?;
        self.write(batch, self.engine().options.durability).map(|_| ())
    }

    /// Hands a batch over to be written, and returns at once: the ticket says how it went. Batches happen in the order in which they
    /// are handed over.
    ///
    /// # Errors
    /// If the database takes no writes.
    pub fn submit(&self, batch: Batch, durability: Durability) -> Result<Ticket> {
        self.engine().check()?;
        Ticket::submit(self.engine(), batch, durability, None)
    }

    /// As [`submit`](Self::submit), and calls a function with the outcome: on the thread that wrote the batch, so it should do little and
    /// must not write to the database itself.
    ///
    /// # Errors
    /// If the database takes no writes; then nothing is called.
    pub fn submit_with(
        &self,
        batch: Batch,
        durability: Durability,
        done: impl FnOnce(Result<Sequence>) + Send + 'static,
    ) -> Result<Ticket> {
        self.engine().check()?;
        Ticket::submit(self.engine(), batch, durability, Some(Box::new(done)))
    }

    /// Makes all that was written so far durable.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub fn sync(&self) -> Result<()> {
        self.engine().check()?;
        self.engine().sync_log()
    }

    /// Writes all that is in memory to tables. All that was written before is durable then.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub fn flush(&self) -> Result<()> {
        self.engine().check()?;
        self.engine().flush_all()
    }

    /// Compacts all tables that overlap a range of keys down to the last level in use, after a [`flush`](Self::flush). What was
    /// overwritten or deleted there gives its room back.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub fn compact_range<K: AsRef<[u8]> + ?Sized>(&self, range: impl RangeBounds<K>) -> Result<()> {
        self.engine().check()?;
        self.engine().compact_range(&Edges::new(&range))
    }

    /// Drops a whole range of keys at once, durably: takes as long as a [`flush`](Self::flush), however much is in the range. Files
    /// that have nothing else are deleted, the rest goes when it is compacted. Snapshots do not see it any more either.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub fn drop_range<K: AsRef<[u8]> + ?Sized>(&self, range: impl RangeBounds<K>) -> Result<()> {
        self.engine().check()?;
        self.engine().drop_range(&Edges::new(&range))
    }

    /// Makes a copy of the database as it is now in a directory that does not exist yet, on the same file system. Tables never change, so they
    /// are shared by hard links. The copy is durable, and can be opened as a database of its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is a database in the directory.
    pub fn checkpoint(&self, dir: impl AsRef<Path>) -> Result<()> {
        self.engine().check()?;
        self.engine().checkpoint(dir.as_ref())
    }

    /// Begins to write entries in ascending order of their keys that become part of the database all at once, by
    /// [`IngestWriter::finish`], without going through log and memtable.
    ///
    /// # Errors
    /// If the database takes no writes.
    pub fn ingest(&self) -> Result<IngestWriter> {
        self.engine().check()?;
        Ok(IngestWriter::new(self.engine()))
    }

    /// Reads every byte of every table, and says how much that was. Takes as long as that.
    ///
    /// # Errors
    /// The first damage: [`Error::Corruption`] with file and place.
    pub fn verify(&self) -> Result<Verified> {
        self.engine().verify()
    }

    /// Figures: what was written and read, how large everything is, how far compaction is behind.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.engine().metrics()
    }

    /// Does one piece of background work, if there is any, and says whether there was. For [`Runner::Manual`]; with threads there is
    /// no need for it, and no harm in it.
    pub fn run_one(&self) -> bool {
        self.engine().run_one()
    }

    /// Closes the database: what was submitted is written, and all is made durable; nothing is taken in any more. Waits for the background to end.
    /// Ranges and snapshots that are still held can be read on.
    ///
    /// # Errors
    /// If something could not be made durable, now or before.
    pub fn close(&self) -> Result<()> {
        self.owner.close()
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("dir", &self.engine().dir).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("dir", &self.opening.dir).finish_non_exhaustive()
    }
}

impl Owner {
    fn close(&self) -> Result<()> {
        let engine = &self.engine;
        if engine.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        engine.queue.close();
        while engine.queue.serve_once(&**engine) {}
        // Workers go on until here, since writers may wait for them.
        let sealed = engine.seal_log();
        engine.jobs.close();
        self.threads.join();
        let sealed = sealed.and_then(|()| engine.lock_manifest().seal());
        // Nobody deletes files any more, so another process may have them.
        engine.guard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        sealed
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Who wants to know calls `close`.
        let _ = self.close();
    }
}
