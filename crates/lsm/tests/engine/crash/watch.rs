//! A disk that shows each call that changes it, so that what a crash there would leave can be looked at while the work goes on, and that
//! can leave out single syncs, chosen by what is being done. It decides neither what is looked at nor what is left out.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kvorum_lsm::disk::sim::{Operation, SimDisk};
use kvorum_lsm::disk::{Disk, DiskFile};

/// What the database is asked to do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Open,
    Write,
    Sync,
    Work,
    Flush,
    Compact,
    DropRange,
    Ingest,
    Checkpoint,
    Close,
    Repair,
}

/// A sync that somebody may want to leave out.
pub struct SyncAt<'a> {
    pub activity: Activity,
    pub path: &'a str,
    /// Of a directory.
    pub dir: bool,
    /// Of a file that was never synced under this name.
    pub first: bool,
    /// The changing call before, within the same activity: what, and on which file.
    pub before: Option<(Operation, &'a str)>,
    /// The file or directory of the sync before.
    pub synced_before: &'a str,
    /// Whether a table was read since that.
    pub merging: bool,
}

/// A call that changed something.
pub struct Seen<'a> {
    pub activity: Activity,
    pub operation: Operation,
    pub path: &'a Path,
}

/// Called after each such call; if it fails, so does the call.
pub type Watch = Arc<dyn Fn(&SimDisk, &Seen<'_>) -> io::Result<()> + Send + Sync>;
/// Which syncs are left out.
pub type Lie = fn(&SyncAt<'_>) -> bool;

/// The disk; clones are handles to the same one.
#[derive(Clone)]
pub struct Watched(Arc<Shared>);

struct Shared {
    disk: SimDisk,
    watch: Watch,
    lie: Option<Lie>,
    memory: Mutex<Memory>,
    reading: AtomicBool,
    /// So many changing calls the process still makes.
    left: AtomicU64,
}

struct Memory {
    activity: Activity,
    before: Option<(Operation, String)>,
    synced_before: String,
    synced: BTreeSet<String>,
    /// Changing calls that were shown.
    seen: u64,
}

impl Watched {
    pub fn new(disk: SimDisk, lie: Option<Lie>, watch: Watch) -> Self {
        let memory = Memory {
            activity: Activity::Open,
            before: None,
            synced_before: String::new(),
            synced: BTreeSet::new(),
            seen: disk.calls(),
        };
        let (memory, reading, left) = (Mutex::new(memory), AtomicBool::new(false), AtomicU64::new(u64::MAX));
        Self(Arc::new(Shared { disk, watch, lie, memory, reading, left }))
    }

    /// The process is killed after so many calls more: then all fail, and the disk keeps what it has.
    pub fn kill_after(&self, calls: u64) {
        self.0.left.store(calls, Ordering::Relaxed);
    }

    /// Another process goes on.
    pub fn revive(&self) {
        self.0.left.store(u64::MAX, Ordering::Relaxed);
    }

    fn alive(&self) -> io::Result<()> {
        let left = &self.0.left;
        let killed = || io::Error::other("the process was killed");
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .map(|_| ())
            .map_err(|_| killed())
    }

    pub fn begin(&self, activity: Activity) {
        let mut memory = self.0.memory.lock().unwrap();
        (memory.activity, memory.before) = (activity, None);
    }

    fn done<T>(&self, operation: Operation, path: &Path, result: io::Result<T>) -> io::Result<T> {
        let Shared { disk, watch, memory, .. } = &*self.0;
        let calls = disk.calls();
        let mut memory = memory.lock().unwrap();
        memory.before = Some((operation, path.to_string_lossy().into_owned()));
        let changed = std::mem::replace(&mut memory.seen, calls) != calls;
        let activity = memory.activity;
        drop(memory);
        if changed {
            watch(disk, &Seen { activity, operation, path })?;
        }
        result
    }

    /// Whether a sync is to be left out.
    fn is_left_out(&self, path: &Path, dir: bool) -> bool {
        let Some(lie) = self.0.lie else { return false };
        let memory = &mut *self.0.memory.lock().unwrap();
        let path = path.to_string_lossy();
        let left_out = lie(&SyncAt {
            activity: memory.activity,
            path: &path,
            dir,
            first: !memory.synced.contains(&*path),
            before: memory.before.as_ref().map(|(operation, path)| (*operation, path.as_str())),
            synced_before: &memory.synced_before,
            merging: self.0.reading.swap(false, Ordering::Relaxed),
        });
        memory.synced.insert(path.to_string());
        memory.synced_before = path.into_owned();
        left_out
    }

    fn sync(&self, path: &Path, dir: bool, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.alive()?;
        let result = if self.is_left_out(path, dir) { Ok(()) } else { sync() };
        self.done(if dir { Operation::SyncDir } else { Operation::Sync }, path, result)
    }

    fn file(&self, path: &Path, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(WatchedFile { disk: self.clone(), path: path.to_owned(), file: file? }))
    }
}

impl Disk for Watched {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.alive()?;
        self.file(path, self.done(Operation::Create, path, self.0.disk.create(path)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.file(path, self.0.disk.open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive()?;
        self.done(Operation::Rename, to, self.0.disk.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive()?;
        self.done(Operation::Link, to, self.0.disk.link(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        self.done(Operation::Remove, path, self.0.disk.remove(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        self.done(Operation::CreateDir, path, self.0.disk.create_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.disk.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync(dir, true, || self.0.disk.sync_dir(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.alive()?;
        self.done(Operation::Create, path, self.0.disk.lock(path))
    }
}

struct WatchedFile {
    disk: Watched,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl DiskFile for WatchedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.0.reading.store(true, Ordering::Relaxed);
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        self.disk.alive()?;
        self.disk.done(Operation::Write, &self.path, self.file.write_all_at(parts, offset))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.alive()?;
        self.disk.done(Operation::Allocate, &self.path, self.file.allocate(len))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.alive()?;
        self.disk.done(Operation::Truncate, &self.path, self.file.truncate(len))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync(&self.path, false, || self.file.sync())
    }
}
