//! How the set of tables changes. The order is always the same: the new tables are durable, then the names of their files, then
//! the edit in the manifest, then readers see the change, and only then what was replaced is deleted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engine::{Engine, lock};
use super::views::{Sealed, View};
use crate::error::{Error, Result};
use crate::names;
use crate::version::manifest::Manifest;
use crate::version::{Edit, File, FileMeta, Version};

impl Engine {
    /// Makes a change durable and then visible; `flushed` is the memtable that is in a table from then on. If that fails the
    /// database is poisoned.
    pub(crate) fn install(&self, change: impl FnOnce(&Version, &mut Edit), flushed: Option<&Sealed>) -> Result<()> {
        let mut manifest = self.lock_manifest();
        self.install_locked(&mut manifest, change, flushed).inspect_err(|error| self.poison(error))
    }

    fn install_locked(
        &self,
        manifest: &mut Manifest,
        change: impl FnOnce(&Version, &mut Edit),
        flushed: Option<&Sealed>,
    ) -> Result<()> {
        self.health.check()?;
        // Only the holder of the manifest changes the version, so this one stays the newest.
        let version = self.views.load().version.clone();
        let mut edit = version.edit(0);
        change(&version, &mut edit);
        let mut next = self.apply(&version, &edit);
        let in_use = next.dropped_in_use();
        if in_use.len() < next.dropped.len() {
            edit.dropped = Some(in_use);
            next = self.apply(&version, &edit);
        }
        let is_new = |meta: &FileMeta| edit.removed.iter().all(|(_, number)| *number != meta.number);
        if edit.added.iter().any(|(_, meta)| is_new(meta)) {
            self.disk.sync_dir(&self.dir).map_err(|error| Error::io("sync", &self.dir, error))?;
        }
        if manifest.is_large() {
            self.rewrite(manifest, &next)?;
        } else {
            edit.next_file = self.next_file.load(Ordering::Relaxed);
            manifest.append(&edit)?;
        }
        self.counters.edits.add(1);
        let next = Arc::new(next);
        let kept = |sealed: &&Sealed| flushed.is_none_or(|flushed| !Arc::ptr_eq(&flushed.memtable, &sealed.memtable));
        self.publish(|view| View {
            memtable: view.memtable.clone(),
            sealed: view.sealed.iter().filter(kept).cloned().collect(),
            version: next.clone(),
        });
        for (_, number) in &edit.removed {
            // One that was moved is still there, on another level.
            if !edit.added.iter().any(|(_, meta)| meta.number == *number)
                && let Some((_, file)) = version.files().find(|(_, file)| file.meta.number == *number)
            {
                file.remove();
            }
        }
        Ok(())
    }

    fn apply(&self, version: &Version, edit: &Edit) -> Version {
        let file = |meta: &FileMeta| {
            let moved = edit.removed.iter().any(|(_, number)| *number == meta.number);
            let same = version.files().find(|(_, file)| moved && file.meta.number == meta.number);
            same.map_or_else(|| File::new(meta.clone(), &self.home), |(_, file)| file.clone())
        };
        version.apply(edit, file).expect("our own edits fit the version they are made for")
    }

    /// Begins a new manifest with the whole of a version.
    fn rewrite(&self, manifest: &mut Manifest, version: &Version) -> Result<()> {
        let number = self.new_number();
        let whole = version.whole(self.next_file.load(Ordering::Relaxed));
        let next = Manifest::create(&*self.disk, &self.dir, number, &whole, Self::manifest_room(&self.options))?;
        let old = std::mem::replace(manifest, next);
        self.delete(&names::manifest(&self.dir, old.number()))
    }

    /// Deletes a file that nobody needs any more. If the machine crashes before that is durable, it is deleted when the
    /// database is opened.
    pub(crate) fn delete(&self, path: &std::path::Path) -> Result<()> {
        self.disk.remove(path).map_err(|error| Error::io("remove", path, error))
    }

    /// Deletes the tables that nobody uses any more. Gives whether there were any.
    pub(crate) fn clean(&self) -> Result<bool> {
        let garbage = self.home.take_garbage();
        for number in &garbage {
            self.delete(&names::table(&self.dir, *number))?;
        }
        Ok(!garbage.is_empty())
    }

    /// Keeps one of the logs below a number to be used again, and deletes the others. One that is not synced is deleted, so that the
    /// system need not write it.
    pub(crate) fn retire_logs(&self, below: u64) -> Result<()> {
        let mut logs = lock(&self.logs);
        while logs.first().is_some_and(|number| *number < below) {
            let number = logs.remove(0);
            let path = names::log(&self.dir, number);
            let is_synced = !self.older.take_out(number);
            match &mut *lock(&self.spare) {
                spare @ None if is_synced => *spare = Some(path),
                _ => self.delete(&path)?,
            }
        }
        Ok(())
    }
}
