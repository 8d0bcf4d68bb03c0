//! A disk in memory that does all that a real one may do: it forgets what was not synced, a sector or a name at a time,
//! crashes in the middle of a call, fails, fills up, and lies about syncs if asked to. From one seed, so that every run
//! replays. It holds the calls and their counting; `content` says what becomes of a file's bytes, `names` what becomes of
//! directories, `faults` when something goes wrong.
//!
//! The rules, each as harsh as a real file system or harsher:
//!
//! - Until a file is synced, a crash leaves of each 512-byte sector any state it had since the last sync, and of the length
//!   likewise, each for itself.
//! - Until a directory is synced, a crash leaves any of its changes, but never the later of one name without the earlier; a
//!   rename is one change. Syncing a file does not make its name durable.
//! - After a failed sync, programs see of each unsynced sector the new state or the old one, and later syncs succeed without
//!   writing it, until it is written again ("Can Applications Recover from fsync Failures?", Rebello et al., 2020).
//! - A call in which the machine crashes has taken effect in part: like unsynced data, or, if it is a sync, perhaps whole.
//! - Reads are never short. Space is what the files are long together; that of a removed file is free once that is durable.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

mod content;
mod faults;
mod file;
mod names;
pub(crate) mod random;
#[cfg(test)]
mod tests;

use content::Content;
pub use faults::{Call, Operation, SyncCall};
use faults::{Fate, Faults};
use file::{Inode, SimFile};
use names::{DirId, Names};
use random::Random;

/// A simulated disk. Clones are handles to the same one.
///
/// ```
/// use std::path::Path;
/// use kvorum_lsm::disk::{Disk, sim::SimDisk};
///
/// let disk = SimDisk::new(7);
/// let file = disk.create(Path::new("note"))?;
/// file.write_all_at(&[b"kept"], 0)?;
/// file.sync()?;
/// disk.sync_dir(Path::new(""))?;
/// file.write_all_at(&[b"lost?"], 0)?;
/// let after = disk.crash(1).read(Path::new("note"))?;
/// assert!([&b"kept"[..], b"lost", b"lost?", b"kept\0"].contains(&&after[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SimDisk {
    machine: Arc<Mutex<Machine>>,
}

struct Machine {
    seed: u64,
    names: Names,
    faults: Faults,
    locks: BTreeSet<PathBuf>,
    last_inode: u64,
    /// What files are long together.
    used: Arc<AtomicU64>,
    /// The sync in which the machine crashed.
    interrupted: Option<Interrupted>,
}

enum Interrupted {
    Sync(Arc<Inode>),
    SyncDir(DirId),
}

impl SimDisk {
    /// An empty disk with a root directory. The seed decides what failing calls do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Names::default(), Arc::default(), 0)
    }

    fn with(seed: u64, names: Names, used: Arc<AtomicU64>, last_inode: u64) -> Self {
        let machine = Machine {
            seed,
            names,
            faults: Faults::none(seed),
            locks: BTreeSet::new(),
            last_inode,
            used,
            interrupted: None,
        };
        Self { machine: Arc::new(Mutex::new(machine)) }
    }

    /// How many calls that change something were made; the first has number 1. Others have no number, see
    /// [`Operation::changes_something`].
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.machine().faults.calls
    }

    /// How many bytes programs wrote, those of failed calls included.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.machine().faults.bytes_written
    }

    /// How many syncs there were, of files and directories.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.machine().faults.syncs
    }

    /// What the files are long together, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.machine().used.load(Ordering::Relaxed)
    }

    /// The machine crashes in the midst of the call with this number, or of the next if that is past. That call and all
    /// later ones fail.
    pub fn crash_at(&self, number: u64) {
        self.machine().faults.crash_at = Some(number);
    }

    /// Whether the machine has crashed.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.machine().faults.crashed
    }

    /// A disk as it may be found if the machine crashed there, or crashes now. Different seeds find different things, the
    /// same seed always the same. The new disk has no faults, and everything on it is durable; the old one stays as it is.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        let machine = self.machine();
        let seed = machine.seed ^ seed.rotate_left(32);
        let mut random = Random::new(seed, 0);
        // A sync may have done all its work, only the answer was lost.
        let interrupted = machine.interrupted.as_ref().filter(|_| random.coin());
        let mut names = machine.names.clone();
        if let Some(Interrupted::SyncDir(dir)) = interrupted {
            names.sync(*dir);
        }
        let used = Arc::default();
        let names = names.survivors(&mut random, |inode| {
            let mut content = inode.body().content.clone();
            if matches!(interrupted, Some(Interrupted::Sync(synced)) if synced.id == inode.id) {
                content.sync();
            }
            // Each file has its own stream, so that what becomes of one does not depend on the others. They count from 1.
            let survivor = content.survivor(&mut Random::new(seed, inode.id));
            Inode::new(inode.id, survivor, inode.body().path.clone(), &used)
        });
        Self::with(seed, names, used, machine.last_inode)
    }

    /// After so many more calls of that kind have succeeded, the next one fails, once. A failing write has written a part;
    /// a failing sync loses data as described above.
    pub fn fail(&self, operation: Operation, after: u64, kind: io::ErrorKind) {
        self.machine().faults.failures.push((operation, after, kind));
    }

    /// Files may grow by so many bytes more, then the disk is full ([`io::ErrorKind::StorageFull`]). Writing where a file
    /// already is, also where it was only allocated, needs no room.
    pub fn fill_after(&self, bytes: u64) {
        let mut machine = self.machine();
        machine.faults.capacity = machine.used.load(Ordering::Relaxed).saturating_add(bytes);
    }

    /// The disk has room again, without end.
    pub fn make_room(&self) {
        self.machine().faults.capacity = u64::MAX;
    }

    /// From now on the syncs that the filter picks say that they succeeded and do nothing. To see that a test notices.
    pub fn ignore_syncs(&self, filter: impl Fn(&SyncCall<'_>) -> bool + Send + Sync + 'static) {
        self.machine().faults.ignored = Some(Box::new(filter));
    }

    /// Turns over one bit of a file, on the medium and for readers.
    ///
    /// # Errors
    /// If there is no such file.
    ///
    /// # Panics
    /// If the bit does not lie in the file.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        self.machine().names.file(path)?.body().content.flip(offset, bit);
        Ok(())
    }

    /// The whole content of a file, whatever faults are planned.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let machine = self.machine();
        let body = machine.names.file(path)?.body();
        let mut bytes = vec![0; usize::try_from(body.content.len()).map_err(|_| io::ErrorKind::FileTooLarge)?];
        body.content.read(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Keeps a list of all calls from now on.
    pub fn record_calls(&self) {
        self.machine().faults.log.get_or_insert_default();
    }

    /// The calls since [`Self::record_calls`].
    #[must_use]
    pub fn recorded_calls(&self) -> Vec<Call> {
        self.machine().faults.log.clone().unwrap_or_default()
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, inode: Arc<Inode>) -> Arc<dyn DiskFile> {
        Arc::new(SimFile::new(self.clone(), inode))
    }

    /// A call that changes names: whole, not at all, or torn, which is as unsynced as if it were whole.
    fn name_call<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce(&mut Machine) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut machine = self.machine();
        match machine.faults.judge(operation, path, 0, 0)? {
            Fate::Done | Fate::Ignored => act(&mut machine),
            Fate::Failed(kind) => Err(kind.into()),
            Fate::Torn => {
                act(&mut machine)?;
                Err(faults::crashed())
            }
        }
    }
}

impl Machine {
    fn create(&mut self, path: &Path) -> io::Result<Arc<Inode>> {
        self.last_inode += 1;
        let inode = Inode::new(self.last_inode, Content::default(), path.to_owned(), &self.used);
        self.names.add(path, inode.clone())?;
        Ok(inode)
    }

    /// How far a file may grow towards a length.
    fn room_for(&self, content: &Content, len: u64) -> u64 {
        let free = self.faults.capacity.saturating_sub(self.used.load(Ordering::Relaxed));
        len.min(content.len().saturating_add(free))
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.name_call(Operation::Create, path, |machine| machine.create(path)).map(|inode| self.handle(inode))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.name_call(Operation::Open, path, |machine| machine.names.file(path).cloned())
            .map(|inode| self.handle(inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.name_call(Operation::Rename, from, |machine| {
            machine.names.rename(from, to)?;
            if let Ok(inode) = machine.names.file(to) {
                inode.body().path = to.to_owned();
            }
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.name_call(Operation::Link, from, |machine| {
            let inode = machine.names.file(from)?.clone();
            machine.names.add(to, inode.clone())?;
            inode.body().path = to.to_owned();
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.name_call(Operation::Remove, path, |machine| machine.names.remove(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.name_call(Operation::CreateDir, path, |machine| machine.names.create_dir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.name_call(Operation::List, dir, |machine| machine.names.list(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut machine = self.machine();
        let id = machine.names.dir(dir)?;
        match machine.faults.judge(Operation::SyncDir, dir, 0, 0)? {
            Fate::Done => machine.names.sync(id),
            Fate::Ignored => {}
            Fate::Failed(kind) => return Err(kind.into()),
            Fate::Torn => {
                machine.interrupted = Some(Interrupted::SyncDir(id));
                return Err(faults::crashed());
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        if self.open(path).is_err() {
            self.create(path)?;
        }
        if !self.machine().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock { disk: self.clone(), path: path.to_owned() }))
    }
}

struct Lock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.machine().locks.remove(&self.path);
    }
}
