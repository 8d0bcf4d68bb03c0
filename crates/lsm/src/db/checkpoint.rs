//! How a copy of the database is made: its tables get a second name in another directory, and that directory a manifest of its own.

use std::path::Path;

use super::engine::Engine;
use crate::error::{Error, Result};
use crate::names::{self, FileName};
use crate::version::manifest::Manifest;

impl Engine {
    /// Makes a database in another directory that has what this one has now.
    pub(crate) fn checkpoint(&self, dir: &Path) -> Result<()> {
        self.flush_all()?;
        let disk = &*self.disk;
        disk.create_dir(dir).map_err(|error| Error::io("create", dir, error))?;
        let names = disk.list(dir).map_err(|error| Error::io("list", dir, error))?;
        if names.iter().any(|name| FileName::parse(name).is_some()) {
            return Err(Error::Invalid("a checkpoint is made in a directory without a database"));
        }
        // A version is what was written up to some moment, and as long as it is held, no file of it is deleted.
        let version = self.views.load().version.clone();
        for (_, file) in version.files() {
            let to = names::table(dir, file.meta.number);
            disk.link(&file.path(), &to).map_err(|error| Error::io("link", &to, error))?;
        }
        let number = self.new_number();
        let mut whole = version.whole(number + 1);
        // Everything is in the tables, so there is no log.
        whole.log_number = 0;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(|error| Error::io("sync", parent, error))?;
        }
        Manifest::create(disk, dir, number, &whole, Self::manifest_room(&self.options)).map(|_| ())
    }
}
