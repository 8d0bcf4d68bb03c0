//! How what can still be read of a damaged database becomes a database again. All tables and logs are read as far as they can be, and what they
//! have is written to new tables under a new manifest; then the old files are moved aside. Until that, nothing is changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::open::{lock_dir, our_files};
use super::tables::table_options;
use crate::cache::LruCache;
use crate::compaction::outputs::{Cuts, Outputs};
use crate::compaction::{Rules, survivors};
use crate::cursor::Cursor;
use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Result};
use crate::key::{self, Sequence};
use crate::log;
use crate::memtable::Memtable;
use crate::names::{self, FileName};
use crate::options::{LAST_LEVEL, Options};
use crate::table::{Table, TableBuilder, TableCursor};
use crate::version::manifest::{self, Manifest};
use crate::version::{Edit, File, Home, Version};

/// What a repair found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Repaired {
    /// Tables that were whole.
    pub tables: u64,
    /// Batches that were read from logs.
    pub batches: u64,
    /// Keys that the database has now.
    pub keys: u64,
    /// What was wrong, each with its file and place.
    pub problems: Vec<Error>,
    /// Damaged files, where they are now.
    pub quarantined: Vec<PathBuf>,
}

/// Makes a database of what can be read of a damaged one; it must not be open. Takes as long as reading and writing everything, and as
/// much room again. Of a damaged file what lies before and behind the damage is used. A key whose newest version is lost may have an
/// older value, or be there although it was deleted.
///
/// # Errors
/// If the database is open, or what was found cannot be written.
pub fn repair(dir: impl AsRef<Path>, options: &Options) -> Result<Repaired> {
    repair_on(Arc::new(RealDisk), dir, options)
}

/// As [`repair`], on any disk.
///
/// # Errors
/// As of [`repair`].
pub fn repair_on(disk: Arc<dyn Disk>, dir: impl AsRef<Path>, options: &Options) -> Result<Repaired> {
    options.validate()?;
    let dir = dir.as_ref();
    let _guard = lock_dir(&*disk, dir)?;
    let home = Home::new(disk, dir, Arc::new(LruCache::new(options.cache_bytes as u64)));
    let names = our_files(&*home.disk, dir)?;
    let next_file = names.iter().filter_map(|(_, name)| name.number()).max().map_or(1, |number| number + 1);
    let salvage = Salvage {
        home: &home,
        options,
        next_file,
        sources: Vec::new(),
        damaged: Vec::new(),
        last: 0,
        done: Repaired::default(),
    };
    salvage.run(&names)
}

struct Salvage<'a> {
    home: &'a Arc<Home>,
    options: &'a Options,
    next_file: u64,
    sources: Vec<Box<dyn Cursor + Send>>,
    damaged: Vec<PathBuf>,
    /// The highest sequence number that was found.
    last: Sequence,
    done: Repaired,
}

impl Salvage<'_> {
    fn run(mut self, names: &[(String, FileName)]) -> Result<Repaired> {
        let version = self.version();
        let in_use = |number: u64| {
            version.as_ref().is_none_or(|version| version.files().any(|(_, file)| file.meta.number == number))
        };
        let (first_log, flushed) = version.as_ref().map_or((0, 0), |version| (version.log_number, version.flushed));
        // A version that names no log needs none: a repair made it, and a crash kept the logs from being removed.
        let needed_from = if first_log == 0 { flushed + 1 } else { 0 };
        let mut logs: Vec<u64> = Vec::new();
        for (_, name) in names {
            match name {
                FileName::Table(number) if in_use(*number) => self.read_table(*number),
                FileName::Log(number) if *number >= first_log => logs.push(*number),
                _ => {}
            }
        }
        if let Some(version) = &version {
            self.last = self.last.max(version.flushed);
            for (_, file) in version.files() {
                if !names.iter().any(|(_, name)| *name == FileName::Table(file.meta.number)) {
                    self.done.problems.push(Error::corruption(&file.path(), 0, "the table is missing"));
                }
            }
        }
        logs.sort_unstable();
        let memtable = Arc::new(Memtable::new());
        let mut whole = version.is_some();
        for (at, number) in logs.iter().enumerate() {
            if whole && self.is_behind_lost_end(&logs[at..]) {
                break;
            }
            whole &= self.read_log(*number, needed_from, &memtable);
        }
        self.sources.push(Box::new(memtable.cursor()));
        self.write(version)?;
        self.move_aside(names)?;
        Ok(self.done)
    }

    /// What the manifest says, as far as it can be read; none if that is not known to be all.
    fn version(&mut self) -> Option<Version> {
        let disk = &*self.home.disk;
        let edits = match manifest::read(disk, &self.home.dir) {
            Ok(edits) => edits?,
            Err(error) => {
                self.done.problems.push(error);
                return None;
            }
        };
        let mut version = Version::empty();
        for (offset, edit) in &edits.edits {
            self.next_file = self.next_file.max(edit.next_file);
            match version.apply(edit, |meta| File::new(meta.clone(), self.home)) {
                Ok(next) => version = next,
                Err(what) => {
                    self.done.problems.push(Error::corruption(&edits.path, *offset, what));
                    return None;
                }
            }
        }
        Some(version)
    }

    /// Takes what a table has; of a damaged one what lies before the first damage and behind the last.
    fn read_table(&mut self, number: u64) {
        let path = names::table(&self.home.dir, number);
        let table = match Table::open(&*self.home.disk, &path, number, self.home.cache.clone()) {
            Ok(table) => table,
            Err(error) => return self.give_up(path, error),
        };
        match table.verify() {
            Ok(()) => self.done.tables += 1,
            Err(error) => {
                let behind = read_backward(table.cursor());
                self.sources.push(Box::new(behind.cursor()));
                self.give_up(path, error);
            }
        }
        self.sources.push(Box::new(UntilDamage { cursor: table.bulk_cursor(), ended: false }));
    }

    /// Takes what a log has from a sequence number on, up to its end or the first damage. Gives whether there is none.
    fn read_log(&mut self, number: u64, from: Sequence, memtable: &Memtable) -> bool {
        let path = names::log(&self.home.dir, number);
        let read = log::recover(&*self.home.disk, &path, number, 0, |first, batch| {
            for (sequence, (kind, key, value)) in (first..).zip(batch.ops()) {
                // A log that was recovered before may overlap with the next.
                if sequence >= from && memtable.get(key, sequence).is_none_or(|(found, _, _)| found != sequence) {
                    memtable.insert(key, sequence, kind, value);
                }
                self.last = self.last.max(sequence);
            }
            self.done.batches += 1;
            Ok(())
        });
        let whole = read.is_ok();
        if let Err(error) = read {
            self.give_up(path, error);
        }
        whole
    }

    /// Whether a log begins behind a gap because a crash took the end of one before that was never durable, as opening the database sees it.
    /// Behind a log that is damaged everything is wanted.
    fn is_behind_lost_end(&self, logs: &[u64]) -> bool {
        let (disk, path) = (&*self.home.disk, |number| names::log(&self.home.dir, number));
        let Ok(Some(begins)) = log::beginning(disk, &path(logs[0]), logs[0]) else { return false };
        let nothing_durable =
            |number: &u64| log::traces(disk, &path(*number), *number).is_ok_and(|traces| traces.durable <= self.last);
        begins.is_used && begins.first > self.last + 1 && logs.iter().all(nothing_durable)
    }

    fn give_up(&mut self, path: PathBuf, error: Error) {
        self.done.problems.push(error);
        self.damaged.push(path);
    }

    fn new_number(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file - 1
    }

    /// Writes everything to tables of the last level, and puts a manifest of them in force.
    fn write(&mut self, version: Option<Version>) -> Result<()> {
        let version = version.unwrap_or_else(Version::empty);
        let options = table_options(self.options, &version, LAST_LEVEL);
        let (home, mut next_file) = (self.home.clone(), self.next_file);
        let cuts = Cuts { table_bytes: self.options.target_file_bytes, below: &[], overlap: u64::MAX, cleaned: 0 };
        let mut outputs = Outputs::new(cuts, || {
            next_file += 1;
            let number = next_file - 1;
            let path = names::table(&home.dir, number);
            Ok((number, TableBuilder::new(&*home.disk, &path, number, options)?))
        });
        let mut union = Union { sources: std::mem::take(&mut self.sources), current: None };
        union.first()?;
        let rules = Rules { snapshots: &[key::LAST_SEQUENCE], held: None, dropped: &version.dropped, filter: None };
        let (keys, last) = (&mut self.done.keys, &mut self.last);
        survivors(
            &mut union,
            &rules,
            |_| true,
            |internal, value| {
                *keys += 1;
                *last = (*last).max(key::split(internal).1 >> 8);
                outputs.add(internal, value)
            },
        )?;
        let tables = outputs.finish()?;
        self.next_file = next_file;
        let number = self.new_number();
        let mut whole = Edit { next_file: number + 1, log_number: 0, flushed: self.last, ..Edit::default() };
        whole.added = tables.into_iter().map(|meta| (LAST_LEVEL, meta)).collect();
        let (disk, dir) = (&*self.home.disk, &*self.home.dir);
        Manifest::create(disk, dir, number, &whole, self.options.memtable_bytes as u64).map(|_| ())
    }

    /// Moves damaged files into a directory of their own, and deletes the others, which nobody needs any more.
    fn move_aside(&mut self, names: &[(String, FileName)]) -> Result<()> {
        let (disk, dir) = (&*self.home.disk, &*self.home.dir);
        let aside = dir.join("damaged");
        if !self.damaged.is_empty() {
            disk.create_dir(&aside).map_err(|error| Error::io("create", &aside, error))?;
        }
        for (name, parsed) in names {
            let path = dir.join(name);
            if self.damaged.contains(&path) {
                let to = aside.join(name);
                disk.rename(&path, &to).map_err(|error| Error::io("rename", &path, error))?;
                self.done.quarantined.push(to);
            } else if matches!(parsed, FileName::Log(_) | FileName::Table(_) | FileName::Manifest(_)) {
                disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            }
        }
        disk.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))
    }
}

/// What lies behind the last damage of a table. It fits in memory, since tables are small.
fn read_backward(mut cursor: TableCursor) -> Arc<Memtable> {
    let memtable = Arc::new(Memtable::new());
    let mut placed = cursor.last();
    while let (Ok(()), Some((internal, value))) = (&placed, cursor.entry()) {
        let (user_key, trailer) = key::split(internal);
        let Some(kind) = key::Kind::from_byte(trailer as u8) else { break };
        memtable.insert(user_key, trailer >> 8, kind, value);
        placed = cursor.prev();
    }
    memtable
}

/// A table up to its first damage, going forward.
struct UntilDamage {
    cursor: TableCursor,
    ended: bool,
}

impl UntilDamage {
    fn go(&mut self, step: impl FnOnce(&mut TableCursor) -> Result<()>) -> Result<()> {
        // What the damage is has been reported by who checked the table.
        self.ended = step(&mut self.cursor).is_err();
        Ok(())
    }
}

impl Cursor for UntilDamage {
    fn first(&mut self) -> Result<()> {
        self.go(Cursor::first)
    }

    fn last(&mut self) -> Result<()> {
        self.go(Cursor::last)
    }

    fn seek(&mut self, internal: &[u8]) -> Result<()> {
        self.go(|cursor| cursor.seek(internal))
    }

    fn seek_before(&mut self, internal: &[u8]) -> Result<()> {
        self.go(|cursor| cursor.seek_before(internal))
    }

    fn next(&mut self) -> Result<()> {
        self.go(Cursor::next)
    }

    fn prev(&mut self) -> Result<()> {
        self.go(Cursor::prev)
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.cursor.entry().filter(|_| !self.ended)
    }
}

/// Sources that may have the same entries, merged forward; each entry is shown once. Their number is small, so the least is searched for.
struct Union {
    sources: Vec<Box<dyn Cursor + Send>>,
    current: Option<usize>,
}

impl Union {
    fn find(&mut self) {
        let key = |source: &usize| self.sources[*source].entry().map(|(internal, _)| internal);
        let alive = (0..self.sources.len()).filter(|source| key(source).is_some());
        self.current = alive.min_by(|a, b| key::compare(key(a).unwrap_or(&[]), key(b).unwrap_or(&[])));
    }
}

impl Cursor for Union {
    fn first(&mut self) -> Result<()> {
        for source in &mut self.sources {
            source.first()?;
        }
        self.find();
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        let (here, _) = self.entry().expect("the cursor is at an entry");
        let here = here.to_vec();
        for source in &mut self.sources {
            if source.entry().is_some_and(|(internal, _)| internal == here) {
                source.next()?;
            }
        }
        self.find();
        Ok(())
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.sources[self.current?].entry()
    }

    fn last(&mut self) -> Result<()> {
        Err(Error::Invalid("a repair reads forward"))
    }

    fn seek(&mut self, _: &[u8]) -> Result<()> {
        Err(Error::Invalid("a repair reads forward"))
    }

    fn seek_before(&mut self, _: &[u8]) -> Result<()> {
        Err(Error::Invalid("a repair reads forward"))
    }

    fn prev(&mut self) -> Result<()> {
        Err(Error::Invalid("a repair reads forward"))
    }
}
