//! Owns the segments that were left behind without a sync, until somebody asks for one or their batches are in tables. When to begin the
//! next segment, and when one is obsolete, is decided by others.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::DiskFile;
use crate::error::{Error, Result};

/// Segments that are not synced, oldest first. The writer of the log adds to them and syncs them; others take out what nobody needs.
#[derive(Default)]
pub(crate) struct Older(Mutex<Vec<Unsynced>>);

/// One of them.
#[derive(Clone)]
struct Unsynced {
    number: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
}

impl Older {
    /// Adds one that follows all others.
    pub(super) fn add(&self, number: u64, path: &Path, file: Arc<dyn DiskFile>) {
        self.list().push(Unsynced { number, path: path.to_owned(), file });
    }

    /// Syncs all of them in their order, so that none is durable without those before.
    pub(super) fn sync(&self) -> Result<()> {
        loop {
            // Nobody waits for a sync to take one out: what is in tables by now need not be synced, but may be.
            let Some(Unsynced { number, path, file }) = self.list().first().cloned() else { return Ok(()) };
            file.sync().map_err(|error| Error::io("sync", &path, error))?;
            self.take_out(number);
        }
    }

    /// Takes one out whose batches are in tables. Gives whether it was there: whether it has not been synced.
    pub(crate) fn take_out(&self, number: u64) -> bool {
        let mut list = self.list();
        let place = list.iter().position(|unsynced| unsynced.number == number);
        place.map(|place| list.remove(place)).is_some()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Unsynced>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
