//! What goes wrong with a store's disk, and what becomes of what is on it. When, is drawn elsewhere.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;

use kvorum_lsm::disk::Disk as _;
use kvorum_lsm::disk::sim::{Operation, SimDisk, SyncCall};

use super::Store;
use crate::sabotage::Sabotage;

/// A file beside the database, see [`Store::withdraw`].
const SCRATCH: &str = "scratch";
/// A planned failure meets one of the next so many calls of its kind.
const FAILS_WITHIN: u64 = 4;

impl Store {
    /// The machine crashes in the midst of one of the next calls: the first few more often than later ones, since a write of a
    /// group is two and a recovery is many.
    pub(super) fn crash_soon(&mut self) {
        let most = 2 << self.random.below(5);
        self.medium.crash_at(self.medium.calls() + 1 + self.random.below(most));
    }

    pub(super) fn lose_power(&mut self) {
        let seed = self.random.next();
        self.adopt(self.medium.crash(seed));
    }

    /// Goes on with another medium, which has no faults yet.
    fn adopt(&mut self, medium: SimDisk) {
        self.medium = medium;
        self.fails_soon = false;
        if self.is_full {
            self.fill();
        }
        if self.sabotage == Some(Sabotage::UnsyncedLog) {
            // A log's first sync is that of its header; without that it would be missed at once.
            let begun = Mutex::new(BTreeSet::new());
            let is_log = |call: &SyncCall<'_>| call.path.extension().is_some_and(|kind| kind == "log");
            let is_first =
                move |call: &SyncCall<'_>| begun.lock().is_ok_and(|mut begun| begun.insert(call.path.to_owned()));
            self.medium.ignore_syncs(move |call| call.operation == Operation::Sync && is_log(call) && !is_first(call));
        }
    }

    /// All data is gone, while no process runs.
    pub(crate) fn lose(&mut self) {
        let medium = SimDisk::new(self.random.next());
        let made = medium.create(Path::new(SCRATCH)).and_then(|_| medium.sync_dir(Path::new("")));
        made.expect("a new disk does nothing wrong");
        self.adopt(medium);
    }

    /// A copy of the disk, as it would be found if the power went now.
    pub(crate) fn copy(&mut self) -> SimDisk {
        self.medium.crash(self.random.next())
    }

    /// Puts an earlier copy in place of the disk, while no process runs.
    pub(crate) fn restore(&mut self, copy: SimDisk) {
        assert!(self.db.is_none(), "a disk is exchanged while nothing uses it");
        self.adopt(copy);
    }

    /// There is little room left, or none; or as much as anybody wants.
    pub(crate) fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
        if is_full {
            self.fill();
        } else {
            self.medium.make_room();
        }
    }

    fn fill(&mut self) {
        let most = [1, 1 << 10, 16 << 10][self.random.index(3)];
        self.medium.fill_after(self.random.below(most));
    }

    /// One of the next syncs fails.
    pub(crate) fn fail_sync(&mut self) {
        let operation = if self.random.permille(800) { Operation::Sync } else { Operation::SyncDir };
        self.fail(operation);
    }

    /// One of the next writes fails.
    pub(crate) fn fail_write(&mut self) {
        self.fail(Operation::Write);
    }

    pub(super) fn fail(&mut self, operation: Operation) {
        self.medium.fail(operation, self.random.below(FAILS_WITHIN), ErrorKind::Other);
        self.fails_soon = true;
    }

    /// What was to fail and has not been asked for need not. The simulated disk forgets no plan, so all of it fails here,
    /// where nobody cares.
    pub(crate) fn withdraw(&mut self) {
        let scratch = self.medium.open(Path::new(SCRATCH)).expect("no opening is made to fail");
        for _ in 0..FAILS_WITHIN {
            drop(scratch.write_all_at(&[b"?"], 0));
            drop(scratch.sync());
            drop(self.medium.sync_dir(Path::new("")));
        }
        self.fails_soon = false;
    }
}
