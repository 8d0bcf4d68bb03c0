//! How a database is opened: the manifest says which tables there are, the logs what else was written (see [`recovery`](super::recovery)).
//! Nothing old is ever written to, so a crash on the way changes nothing; and what is left over from before is deleted only when a new
//! manifest does without it in a durable way.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::commit::Log;
use super::engine::Engine;
use super::recovery::Recovery;
use super::views::{View, Views};
use crate::batch::BatchView;
use crate::cache::{BlockCache, LruCache, QuickCache};
use crate::compaction::filter::CompactionFilter;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::jobs::Runner;
use crate::log::{self, Segment, Writer};
use crate::names::{self, FileName};
use crate::options::{Options, TokenBucket};
use crate::snapshot::Snapshots;
use crate::version::manifest::{self, Manifest};
use crate::version::{Edit, File, Home, Version};

/// What is needed to open a database.
pub(crate) struct Opening {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) runner: Runner,
    pub(crate) filter: Option<Arc<dyn CompactionFilter>>,
}

/// What was found.
struct Found {
    version: Version,
    /// No file has this number or a higher one.
    next_file: u64,
    names: Vec<(String, FileName)>,
}

impl Engine {
    /// Opens a database, or makes a new one.
    pub(crate) fn open(opening: Opening) -> Result<Arc<Self>> {
        let Opening { disk, dir, options, runner, filter } = opening;
        options.validate()?;
        let guard = lock_dir(&*disk, &dir)?;
        let cache: Arc<dyn BlockCache> = match runner {
            Runner::Threads => Arc::new(QuickCache::new(options.cache_bytes as u64)),
            Runner::Manual => Arc::new(LruCache::new(options.cache_bytes as u64)),
        };
        let home = Home::new(disk.clone(), &dir, cache);
        let Found { version, mut next_file, names } = find(&home)?;
        let recovered = Recovery::new(&home, &options, &version, &mut next_file).run(&names)?;

        // The tables are durable, and what is only in logs is too; the new log's directory sync makes the tables' names so, and the log is
        // there before the manifest names it. Until then it is not used.
        let (log_number, manifest_number) = (next_file, next_file + 1);
        next_file += 2;
        let (path, room) = (names::log(&dir, log_number), Self::segment_room(&options));
        let segment = Segment { path: &path, number: log_number, recycle: None, room };
        let writer = Writer::create(&*disk, segment, recovered.last + 1)?;
        let (memtable, sealed) = recovered.memtables(log_number, options.memtables);
        let first_log = recovered.logs.first().copied().unwrap_or(log_number);
        let mut edit = Edit { next_file, log_number: first_log, flushed: recovered.flushed, ..Edit::default() };
        edit.added.extend(recovered.tables.into_iter().map(|meta| (0, meta)));
        let version = version.apply(&edit, |meta| File::new(meta.clone(), &home)).expect("recovered tables fit");
        let whole = version.whole(next_file);
        let manifest = Manifest::create(&*disk, &dir, manifest_number, &whole, Self::manifest_room(&options))?;
        delete_leftovers(&*disk, &dir, &names, &version, &recovered.logs)?;

        let view = View { memtable: memtable.clone(), sealed: sealed.into(), version: Arc::new(version) };
        let mut logs = recovered.logs;
        logs.push(log_number);
        let engine = Self {
            disk,
            dir,
            runner,
            filter,
            started: (runner == Runner::Threads).then(Instant::now),
            home,
            queue: Default::default(),
            older: writer.older(),
            log: Log::new(writer, memtable).into(),
            manifest: manifest.into(),
            views: Views::new(view.clone()),
            snapshots: Snapshots::new(recovered.last),
            jobs: Default::default(),
            health: Default::default(),
            pressures: Default::default(),
            bucket: TokenBucket::new(options.compaction_bytes_per_second).into(),
            counters: Default::default(),
            sync_due: Default::default(),
            unsynced: Default::default(),
            logs: logs.into(),
            spare: Default::default(),
            next_file: next_file.into(),
            closed: Default::default(),
            guard: Some(guard).into(),
            options,
        };
        engine.counters.torn_bytes.add(recovered.torn);
        engine.note_pressure(&view);
        Ok(Arc::new(engine))
    }
}

/// Makes the directory if need be, and keeps others out of it.
pub(super) fn lock_dir(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Send + Sync>> {
    disk.create_dir(dir).map_err(|error| Error::io("create", dir, error))?;
    if let Some(parent) = dir.parent() {
        disk.sync_dir(parent).map_err(|error| Error::io("sync", parent, error))?;
    }
    disk.lock(&names::lock(dir)).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Error::Locked { path: dir.to_owned() },
        _ => Error::io("lock", dir, error),
    })
}

/// The names in a directory that are ours.
pub(super) fn our_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<(String, FileName)>> {
    let names = disk.list(dir).map_err(|error| Error::io("list", dir, error))?;
    Ok(names.into_iter().filter_map(|name| FileName::parse(&name).map(|parsed| (name, parsed))).collect())
}

/// Reads the manifest, and looks whether all files it names are there.
fn find(home: &Arc<Home>) -> Result<Found> {
    let (disk, dir) = (&*home.disk, &*home.dir);
    let names = our_files(disk, dir)?;
    let mut next_file = names.iter().filter_map(|(_, name)| name.number()).max().map_or(1, |number| number + 1);
    let Some(edits) = manifest::read(disk, dir)? else {
        // A new database gets its first table, and its first batch, only after its manifest.
        let data = |name: FileName| matches!(name, FileName::Table(_));
        if names.iter().any(|(_, name)| data(*name)) || has_batches(home, &names)? {
            return Err(Error::corruption(&names::current(dir), 0, "it is missing, although there are data"));
        }
        return Ok(Found { version: Version::empty(), next_file, names });
    };
    let mut version = Version::empty();
    for (offset, edit) in &edits.edits {
        let next = version.apply(edit, |meta| File::new(meta.clone(), home));
        version = next.map_err(|what| Error::corruption(&edits.path, *offset, what))?;
        next_file = next_file.max(edit.next_file);
    }
    let there: BTreeSet<FileName> = names.iter().map(|(_, name)| *name).collect();
    for (_, file) in version.files() {
        if !there.contains(&FileName::Table(file.meta.number)) {
            return Err(Error::corruption(&file.path(), 0, "the table is missing"));
        }
    }
    if version.log_number > 0 && !there.contains(&FileName::Log(version.log_number)) {
        return Err(Error::corruption(&names::log(dir, version.log_number), 0, "the log is missing"));
    }
    Ok(Found { version, next_file, names })
}

/// Whether a log has a batch.
fn has_batches(home: &Home, names: &[(String, FileName)]) -> Result<bool> {
    for (_, name) in names {
        if let FileName::Log(number) = name {
            let path = names::log(&home.dir, *number);
            let mut batches = 0_u64;
            let count = |_, _: BatchView<'_>| {
                batches += 1;
                Ok(())
            };
            log::recover(&*home.disk, &path, *number, 0, count)?;
            if batches > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Deletes what the version has no use for, but for the logs whose batches are in memory.
fn delete_leftovers(
    disk: &dyn Disk,
    dir: &Path,
    names: &[(String, FileName)],
    version: &Version,
    logs: &[u64],
) -> Result<()> {
    let used: BTreeSet<u64> = version.files().map(|(_, file)| file.meta.number).collect();
    for (name, parsed) in names {
        let obsolete = match parsed {
            FileName::Current | FileName::Lock => false,
            // These are as they were found before the new ones were made.
            FileName::Manifest(_) => true,
            FileName::Log(number) => !logs.contains(number),
            FileName::Table(number) => !used.contains(number),
            // The one that could be there has become CURRENT meanwhile.
            FileName::Unfinished => name != "CURRENT.new",
        };
        if obsolete {
            let path = dir.join(name);
            disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
    }
    Ok(())
}
