//! What must hold of a disk on which the machine crashed, or the process was killed: the database opens, has a state that the ledger
//! allows, reads the same in all ways, has no files too many, survives another crash at any call of opening it, and goes on from there.

use std::path::Path;
use std::sync::{Arc, Mutex};

use kvorum_lsm::disk::Disk;
use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Db, Error, Result};

use super::ledger::{Copy, Ledger};
use super::watch::{Activity, Lie, Watched};
use super::workload::{DIR, Settings, open};
use crate::support::{Model, Random, everything};

/// One in so many images is also compacted and written to, and one in so many is also looked at for the copies made before.
const GOES_ON: u64 = 4;
const COPIES: u64 = 8;

/// Looks at disks.
pub struct Checker<'a> {
    pub settings: &'a Settings,
    pub lie: Option<Lie>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Crashes while working.
    pub crashes: u64,
    /// Crashes while opening after a crash.
    pub again: u64,
    /// Ends of the process.
    pub kills: u64,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.crashes += other.crashes;
        self.again += other.again;
        self.kills += other.kills;
    }
}

/// The same disk once more; everything on it is durable.
pub fn same(image: &SimDisk) -> SimDisk {
    image.crash(0)
}

impl Checker<'_> {
    /// What is found on a disk, or what is wrong with it.
    pub fn check(
        &self,
        image: &SimDisk,
        ledger: &Ledger,
        killed: bool,
        random: &mut Random,
        counts: &mut Counts,
    ) -> Result<Model, String> {
        let (db, again) = self.open_and_crash(image, random)?;
        let found = self.read(&db, random)?;
        ledger.allows(&found, killed)?;
        no_files_too_many(image, &db, usize::MAX)?;
        if let Some(again) = again {
            counts.again += 1;
            let read = self.open_and_crash(&again, random).and_then(|(db, _)| self.read(&db, random));
            if read.map_err(|what| format!("after a crash while opening: {what}"))? != found {
                return Err("a crash while opening has changed what is found".into());
            }
        }
        if random.one_in(GOES_ON) {
            self.go_on(image, db, found.clone(), random)?;
        }
        // The last one may be half made; and later crashes must not touch those made before.
        if let Some(copy) = ledger.copies.last().filter(|copy| !copy.made) {
            self.check_copy(image, copy, random).map_err(|what| format!("{}, begun: {what}", copy.dir.display()))?;
        } else if !ledger.copies.is_empty() && !killed && random.one_in(COPIES) {
            let copy = &ledger.copies[random.below(ledger.copies.len() as u64) as usize];
            self.check_copy(image, copy, random).map_err(|what| format!("{}, made: {what}", copy.dir.display()))?;
        }
        Ok(found)
    }

    /// Opens the database; and gives a disk that crashed at one of the calls of that.
    fn open_and_crash(&self, image: &SimDisk, random: &mut Random) -> Result<(Db, Option<SimDisk>), String> {
        let crashed = Arc::new(Mutex::new((0, None)));
        let (seed, slot) = (random.next(), crashed.clone());
        let disk = Watched::new(
            image.clone(),
            self.lie,
            Arc::new(move |disk, _| {
                let (calls, crashed) = &mut *slot.lock().unwrap();
                *calls += 1;
                // Of all calls, which are not known yet, each with the same chance.
                if Random(seed ^ *calls).one_in(*calls) {
                    *crashed = Some(disk.crash(seed ^ *calls));
                }
                Ok(())
            }),
        );
        let db = open(&disk, Path::new(DIR), &self.settings.options)
            .map_err(|error| format!("cannot be opened: {error}"))?;
        let (calls, crashed) = std::mem::take(&mut *crashed.lock().unwrap());
        // What the database does from here on is not looked at.
        assert!(calls > 0, "opening writes a manifest");
        Ok((db, crashed))
    }

    /// All of the database, which must be the same in all ways to read it.
    fn read(&self, db: &Db, random: &mut Random) -> Result<Model, String> {
        let found = everything(db).map_err(|error| format!("cannot be read: {error}"))?;
        db.verify().map_err(|error| format!("cannot be verified: {error}"))?;
        let backward: Model = db.range::<[u8]>(..).rev().collect::<Result<_>>().map_err(|error| error.to_string())?;
        if backward != found {
            return Err("the other direction shows something else".into());
        }
        for _ in 0..8 {
            let key = random.key(self.settings.keys);
            let value = db.get(&key).map_err(|error| format!("a key cannot be read: {error}"))?;
            if value.as_deref() != found.get(&key).map(Vec::as_slice) {
                return Err(format!("{} has another value when it is asked for", String::from_utf8_lossy(&key)));
            }
        }
        Ok(found)
    }

    /// Writes and compacts, and opens it again after a crash.
    fn go_on(&self, image: &SimDisk, db: Db, mut expected: Model, random: &mut Random) -> Result<(), String> {
        let work = || {
            db.put("after", "the crash")?;
            db.compact_range::<[u8]>(..)?;
            while db.run_one() {}
            db.put("after", "the compaction")
        };
        work().map_err(|error| format!("does not go on: {error}"))?;
        // The one in use, and one to be used again.
        no_files_too_many(image, &db, 2)?;
        expected.insert(b"after".to_vec(), b"the compaction".to_vec());
        let image = image.crash(random.next());
        drop(db);
        let (db, _) = self.open_and_crash(&image, random).map_err(|what| format!("after it went on: {what}"))?;
        if self.read(&db, random)? != expected {
            return Err("it has changed since the crash".into());
        }
        Ok(())
    }

    /// A copy has what it should have, if it is there.
    fn check_copy(&self, image: &SimDisk, copy: &Copy, random: &mut Random) -> Result<(), String> {
        let image = same(image);
        let named = image.read(&copy.dir.join("CURRENT")).is_ok();
        let disk = Watched::new(image.clone(), None, Arc::new(|_, _| Ok(())));
        let db = match open(&disk, &copy.dir, &self.settings.options) {
            Ok(db) => db,
            Err(Error::Corruption { .. }) if !copy.made && !named => return Ok(()),
            Err(error) => return Err(format!("cannot be opened: {error}")),
        };
        let found = self.read(&db, random)?;
        if !copy.made && !named {
            return if found.is_empty() { Ok(()) } else { Err("a half of it is shown".into()) };
        }
        if found != copy.state {
            return Err("it has something else".into());
        }
        // It shares its files with the database, which must not mind.
        db.compact_range::<[u8]>(..).and_then(|()| db.drop_range::<[u8]>(..)).map_err(|error| error.to_string())?;
        drop(db);
        let left = open(&disk, &copy.dir, &self.settings.options).and_then(|db| everything(&db));
        if !left.map_err(|error| error.to_string())?.is_empty() {
            return Err("what was dropped is still there".into());
        }
        disk.begin(Activity::Open);
        let db =
            open(&disk, Path::new(DIR), &self.settings.options).map_err(|error| format!("the original: {error}"))?;
        self.read(&db, random).map(|_| ()).map_err(|what| format!("the original: {what}"))
    }
}

/// Of tables and manifests there are those in use, and nothing half made; and at most so many logs.
fn no_files_too_many(image: &SimDisk, db: &Db, most_logs: usize) -> Result<(), String> {
    let names = image.list(Path::new(DIR)).map_err(|error| error.to_string())?;
    let tables: u64 = db.metrics().levels.iter().map(|level| level.tables).sum();
    let count = |is: fn(&str) -> bool| names.iter().filter(|name| is(name)).count();
    let there = count(|name| name.ends_with(".table")) as u64;
    let logs = count(|name| name.ends_with(".log"));
    let others = count(|name| !name.ends_with(".log") && !name.ends_with(".table"));
    let manifests = count(|name| name.starts_with("MANIFEST-"));
    if there != tables || !(1..=most_logs).contains(&logs) || (manifests, others) != (1, 3) {
        return Err(format!("of {tables} tables, logs, a manifest, CURRENT and LOCK there is left: {names:?}"));
    }
    Ok(())
}
