//! Owns the parts of an open database and what several of its tasks need. Locks are taken in this order, and none of them by
//! readers: the log, the manifest, the state of the jobs, the next view.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::commit::Log;
use super::health::Health;
use super::pressure::Pressures;
use super::views::Views;
use crate::compaction::filter::CompactionFilter;
use crate::compaction::pick::Limits;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::jobs::{Jobs, Runner};
use crate::log::Older;
use crate::metrics::Counters;
use crate::options::{Options, TokenBucket};
use crate::snapshot::Snapshots;
use crate::version::manifest::Manifest;
use crate::version::{Home, Version};
use crate::write::Queue;

/// Everything an open database has.
pub(crate) struct Engine {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) runner: Runner,
    pub(crate) filter: Option<Arc<dyn CompactionFilter>>,
    /// When it was opened; none if no clock is to be read.
    pub(crate) started: Option<Instant>,
    pub(crate) home: Arc<Home>,
    pub(crate) queue: Queue,
    pub(crate) log: Mutex<Log>,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) views: Views,
    pub(crate) snapshots: Snapshots,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) health: Health,
    pub(crate) pressures: Pressures,
    pub(crate) bucket: Mutex<TokenBucket>,
    pub(crate) counters: Counters,
    /// When what was written with [`Durability::Interval`](crate::Durability::Interval) is to be synced.
    pub(crate) sync_due: Mutex<Option<Instant>>,
    /// The same as `sync_due`, where there is no clock.
    pub(crate) unsynced: AtomicBool,
    /// Log segments that have not been retired, oldest first.
    pub(crate) logs: Mutex<Vec<u64>>,
    /// Those of them, before the newest, that are not synced.
    pub(crate) older: Arc<Older>,
    /// A log segment that nobody needs any more, and that is synced, for the next one to be made of.
    pub(crate) spare: Mutex<Option<PathBuf>>,
    /// The number of the next file.
    pub(crate) next_file: AtomicU64,
    pub(crate) closed: AtomicBool,
    /// Keeps other processes out.
    pub(crate) guard: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl Engine {
    /// A number that no file has had.
    pub(crate) fn new_number(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }

    /// How many bytes of edits a manifest has room for before it is rewritten.
    pub(crate) fn manifest_room(options: &Options) -> u64 {
        (options.memtable_bytes as u64).min(1 << 20)
    }

    pub(crate) fn limits(&self, version: &Version) -> Limits {
        Limits::new(&self.options, version)
    }

    pub(crate) fn lock_log(&self) -> MutexGuard<'_, Log> {
        lock(&self.log)
    }

    pub(crate) fn lock_manifest(&self) -> MutexGuard<'_, Manifest> {
        lock(&self.manifest)
    }

    /// Fails if the database was closed, or takes no writes any more.
    pub(crate) fn check(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Invalid("the database is closed"));
        }
        self.health.check()
    }

    /// Remembers a failure, so that nothing more is acknowledged, and lets nobody wait for what will not come.
    pub(crate) fn poison(&self, error: &Error) {
        self.health.poison(error);
        self.jobs.finish(|_| {});
    }
}

/// What a panicking thread held is not believed to be broken: it poisons the database besides.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
