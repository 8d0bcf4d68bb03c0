//! Random work on a database, one thing after the other, each entered into the ledger before it begins and when it is done.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kvorum_lsm::{Batch, Compression, Db, Durability, Error, Options, Result, Runner, Snapshot};

use super::ledger::{Change, Copy, Ledger, Ops};
use super::watch::{Activity, Watched};
use crate::support::{Random, everything, tiny};

pub const DIR: &str = "db";

/// What a workload is like, by its seed.
#[derive(Clone)]
pub struct Settings {
    pub options: Options,
    /// How many keys there are.
    pub keys: u64,
    /// The most operations of a batch.
    ops: u64,
}

impl Settings {
    pub fn draw(random: &mut Random) -> Self {
        // With more keys and operations there are more levels.
        let (keys, ops) = if random.one_in(2) { (300, 30) } else { (40, 6) };
        Self { options: options(random), keys, ops }
    }
}

/// Options that may be others each time. With the least memory each write is flushed.
fn options(random: &mut Random) -> Options {
    tiny()
        .memtable_bytes([4 << 10, 5 << 10, 16 << 10][random.below(3) as usize])
        .memtables(2 + random.below(3) as usize)
        .cache_bytes(if random.one_in(3) { 0 } else { 64 << 10 })
        .filter_bits(if random.one_in(4) { 0 } else { 10 })
        .uncompressed_levels(random.below(3) as usize)
        .bottom_compression(if random.one_in(3) { Compression::None } else { Compression::Lz4 })
}

/// A database at work.
struct Work<'a> {
    db: Db,
    disk: &'a Watched,
    settings: &'a Settings,
    random: &'a mut Random,
    ledger: &'a Mutex<Ledger>,
    /// Keeps what it sees, and tables that nobody else needs.
    snapshot: Option<Snapshot>,
}

pub fn open(disk: &Watched, dir: &Path, options: &Options) -> Result<Db> {
    disk.begin(Activity::Open);
    Db::open_on(disk.clone(), dir, options.clone(), Runner::Manual)
}

/// Opens the database and does so many things with it, until one fails. What it was asked for last may have happened.
pub fn work(
    disk: &Watched,
    settings: &Settings,
    random: &mut Random,
    ledger: &Mutex<Ledger>,
    things: u64,
) -> Result<()> {
    let db = open(disk, Path::new(DIR), &settings.options)?;
    let mut work = Work { db, disk, settings, random, ledger, snapshot: None };
    (0..things).try_for_each(|_| work.thing())
}

impl Work<'_> {
    fn thing(&mut self) -> Result<()> {
        match self.random.below(100) {
            0..56 => self.write(),
            56..68 => self.group(),
            68..72 => self.durable(Activity::Flush, |db| db.flush()),
            72..75 => self.durable(Activity::Sync, |db| db.sync()),
            75..86 => self.background(),
            86..89 => self.compact(),
            89..91 => self.drop_range(),
            91..94 => self.ingest(),
            94..96 => self.checkpoint(),
            96..97 => {
                self.snapshot = Some(self.db.snapshot());
                Ok(())
            }
            97..98 => self.kill(),
            98..99 => self.reopen(),
            _ => self.background(),
        }
    }

    /// Kills the process in the midst of something; the machine goes on, and so does another process.
    fn kill(&mut self) -> Result<()> {
        self.disk.kill_after(self.random.below(25));
        let _ = match self.random.below(4) {
            0 => self.write(),
            1 => self.group(),
            2 => self.compact(),
            _ => self.durable(Activity::Flush, |db| db.flush()),
        };
        self.disk.kill_after(0);
        self.snapshot = None;
        let _ = self.db.close();
        self.disk.revive();
        self.db = open(self.disk, Path::new(DIR), &options(self.random))?;
        let found = everything(&self.db)?;
        let allowed = self.ledger.lock().unwrap().go_on_after_kill(&found);
        allowed.map_err(|_| Error::Invalid("a killed process has lost what was acknowledged"))
    }

    /// A batch, which is entered as begun.
    fn batch(&mut self) -> Result<Batch> {
        let mut ops: Ops = (0..1 + self.random.below(self.settings.ops)).map(|_| self.op()).collect();
        let mut ledger = self.ledger.lock().unwrap();
        ops.push(ledger.mark());
        let mut batch = Batch::new();
        for (key, value) in &ops {
            match value {
                Some(value) => batch.put(key, value)?,
                None => batch.delete(key)?,
            }
        }
        ledger.begin(Change::Write(ops));
        Ok(batch)
    }

    fn op(&mut self) -> (Vec<u8>, Option<Vec<u8>>) {
        let key = self.random.key(self.settings.keys);
        let value = (!self.random.one_in(4)).then(|| self.random.value(300));
        (key, value)
    }

    fn durability(&mut self) -> Durability {
        match self.random.below(5) {
            0 => Durability::Always,
            1 => Durability::Interval,
            _ => Durability::Never,
        }
    }

    fn acknowledge(&self, durable: bool) {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.acknowledge();
        if durable {
            ledger.durable();
        }
    }

    fn write(&mut self) -> Result<()> {
        let (batch, durability) = (self.batch()?, self.durability());
        self.disk.begin(Activity::Write);
        self.db.write(batch, durability)?;
        self.acknowledge(durability == Durability::Always);
        Ok(())
    }

    /// Several batches that are written together, and synced if one of them is to be.
    fn group(&mut self) -> Result<()> {
        let mut synced = false;
        self.disk.begin(Activity::Write);
        let mut tickets = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let (batch, durability) = (self.batch()?, self.durability());
            synced |= durability == Durability::Always;
            tickets.push(self.db.submit(batch, durability)?);
        }
        if self.random.one_in(2) {
            assert!(self.db.run_one(), "there is a group to be written");
        }
        // The last one first, so that whoever waits writes them all.
        tickets.into_iter().rev().try_for_each(|ticket| ticket.wait().map(|_| ()))?;
        self.acknowledge(synced);
        Ok(())
    }

    fn durable(&mut self, activity: Activity, act: impl FnOnce(&Db) -> Result<()>) -> Result<()> {
        self.disk.begin(activity);
        act(&self.db)?;
        self.acknowledge(true);
        Ok(())
    }

    /// One piece of background work. If that was to sync what was written some time ago, all of it is durable.
    fn background(&mut self) -> Result<()> {
        self.disk.begin(Activity::Work);
        let syncs = self.db.metrics().log_syncs;
        self.db.run_one();
        self.acknowledge(self.db.metrics().log_syncs > syncs);
        Ok(())
    }

    fn range(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (a, b) = (self.random.key(self.settings.keys), self.random.key(self.settings.keys));
        (a.clone().min(b.clone()), a.max(b))
    }

    fn compact(&mut self) -> Result<()> {
        let (from, to) = self.range();
        let whole = self.random.one_in(2);
        self.durable(Activity::Compact, |db| match whole {
            true => db.compact_range::<[u8]>(..),
            false => db.compact_range(from.as_slice()..=to.as_slice()),
        })
    }

    fn drop_range(&mut self) -> Result<()> {
        let (from, to) = self.range();
        let to = (!self.random.one_in(4)).then_some(to);
        self.ledger.lock().unwrap().begin(Change::Drop(from.clone(), to.clone()));
        self.durable(Activity::DropRange, |db| match &to {
            Some(to) => db.drop_range(from.as_slice()..to.as_slice()),
            None => db.drop_range(from.as_slice()..),
        })
    }

    fn ingest(&mut self) -> Result<()> {
        self.disk.begin(Activity::Ingest);
        let count = 1 + self.random.below(3 * self.settings.ops);
        let mut entries: std::collections::BTreeMap<_, _> =
            (0..count).map(|_| (self.random.key(self.settings.keys), Some(self.random.value(300)))).collect();
        entries.extend([self.ledger.lock().unwrap().mark()]);
        let mut ingest = self.db.ingest()?;
        for (key, value) in &entries {
            ingest.put(key, value.as_deref().unwrap_or_default())?;
        }
        // One that is not finished was in vain.
        if self.random.one_in(5) {
            return Ok(());
        }
        self.ledger.lock().unwrap().begin(Change::Write(entries.into_iter().collect()));
        ingest.finish()?;
        self.acknowledge(true);
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<()> {
        let dir = {
            let mut ledger = self.ledger.lock().unwrap();
            let dir = PathBuf::from(format!("copy{}", ledger.number()));
            let state = ledger.newest();
            ledger.copies.push(Copy { dir: dir.clone(), state, made: false });
            dir
        };
        self.durable(Activity::Checkpoint, |db| db.checkpoint(&dir))?;
        self.ledger.lock().unwrap().copies.last_mut().expect("it was entered above").made = true;
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        self.snapshot = None;
        self.durable(Activity::Close, |db| db.close())?;
        self.db = open(self.disk, Path::new(DIR), &options(self.random))?;
        Ok(())
    }
}
