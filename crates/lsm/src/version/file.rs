//! Owns one table of the database: what the manifest says of it, its reader, which is opened when first needed, and its end:
//! when no version and no reader uses a removed table any more, its file is put on the list of files to be deleted.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::cache::BlockCache;
use crate::disk::Disk;
use crate::error::Result;
use crate::key::{self, Sequence};
use crate::names;
use crate::table::Table;

/// What the manifest says of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileMeta {
    pub(crate) number: u64,
    /// Of the file, in bytes.
    pub(crate) size: u64,
    pub(crate) entries: u64,
    pub(crate) tombstones: u64,
    /// The lowest sequence in it.
    pub(crate) oldest: Sequence,
    /// The highest.
    pub(crate) newest: Sequence,
    /// The last dropped range that was respected when it was written, with all before.
    pub(crate) cleaned: u64,
    /// The first internal key.
    pub(crate) smallest: Box<[u8]>,
    /// The last internal key.
    pub(crate) largest: Box<[u8]>,
}

impl FileMeta {
    /// The first user key.
    pub(crate) fn first(&self) -> &[u8] {
        key::split(&self.smallest).0
    }

    /// The last user key.
    pub(crate) fn last(&self) -> &[u8] {
        key::split(&self.largest).0
    }

    /// Whether it may hold a user key from `first` to `last`.
    pub(crate) fn overlaps(&self, first: &[u8], last: &[u8]) -> bool {
        self.first() <= last && self.last() >= first
    }
}

/// Where tables live, and what their readers need.
pub(crate) struct Home {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) cache: Arc<dyn BlockCache>,
    /// Numbers of tables that nobody uses any more.
    garbage: Mutex<Vec<u64>>,
}

impl Home {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, cache: Arc<dyn BlockCache>) -> Arc<Self> {
        Arc::new(Self { disk, dir: dir.to_owned(), cache, garbage: Mutex::default() })
    }

    /// Takes the numbers of tables that can be deleted.
    pub(crate) fn take_garbage(&self) -> Vec<u64> {
        std::mem::take(&mut self.garbage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn has_garbage(&self) -> bool {
        !self.garbage.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// A table of the database.
pub(crate) struct File {
    pub(crate) meta: FileMeta,
    home: Arc<Home>,
    reader: OnceLock<Table>,
    removed: AtomicBool,
}

impl File {
    pub(crate) fn new(meta: FileMeta, home: &Arc<Home>) -> Arc<Self> {
        Arc::new(Self { meta, home: home.clone(), reader: OnceLock::new(), removed: AtomicBool::new(false) })
    }

    pub(crate) fn path(&self) -> PathBuf {
        names::table(&self.home.dir, self.meta.number)
    }

    /// Its reader; the first caller opens it.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub(crate) fn table(&self) -> Result<&Table> {
        if let Some(table) = self.reader.get() {
            return Ok(table);
        }
        let Home { disk, cache, .. } = &*self.home;
        let table = Table::open(&**disk, &self.path(), self.meta.number, cache.clone())?;
        Ok(self.reader.get_or_init(|| table))
    }

    /// Its reader, if somebody has opened it already.
    pub(crate) fn opened(&self) -> Option<&Table> {
        self.reader.get()
    }

    /// Its file goes once nobody uses it.
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if *self.removed.get_mut() {
            self.home.garbage.lock().unwrap_or_else(PoisonError::into_inner).push(self.meta.number);
        }
    }
}
