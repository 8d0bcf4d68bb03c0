//! Owns a file in the making: `FILE.partial`, which takes its name only when whole, and beside it
//! `FILE.partial.cursor`, which tells where to go on. What is written into it is `export.rs`'s matter.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use kvorum_client::Cursor;
use serde::{Deserialize, Serialize};

use crate::format::Format;

/// A file in the making. Two cannot be made under one name at a time.
#[derive(Debug)]
pub(crate) struct Partial {
    name: PathBuf,
    path: PathBuf,
    file: File,
    written: u64,
}

/// Where an export stands: the partial file's first `bytes` bytes are whole, durable, and hold all
/// that comes before the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) cursor: String,
    pub(crate) bytes: u64,
    /// What these bytes carry: pairs, and the bytes of their keys and values.
    pub(crate) pairs: u64,
    pub(crate) carried: u64,
    /// The same export only goes on with these.
    pub(crate) keyspace: String,
    pub(crate) format: String,
}

impl Mark {
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.cursor.parse().ok()
    }

    pub(crate) fn fits(&self, keyspace: &str, format: Format) -> bool {
        self.keyspace == keyspace && self.format == format.to_string()
    }
}

impl Partial {
    /// A new one, or the one that `resume` finds, with its mark. Where there is nothing to go on with
    /// it is new.
    pub(crate) fn open(name: &Path, resume: bool) -> io::Result<(Partial, Option<Mark>)> {
        // A link stays a link: its target is replaced.
        let name = if name.exists() { fs::canonicalize(name)? } else { name.to_owned() };
        let path = with_suffix(&name, ".partial");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another export to it is under way")
            }
            TryLockError::Error(error) => error,
        })?;
        let mut partial = Partial { name, path, file, written: 0 };
        let mark = if resume { partial.read_mark()? } else { None };
        if mark.is_none() {
            // Before the content goes, so that a mark never stands without what it tells of.
            remove(&partial.mark_path())?;
        }
        partial.written = mark.as_ref().map_or(0, |mark| mark.bytes);
        partial.file.set_len(partial.written)?;
        partial.file.seek(SeekFrom::Start(partial.written))?;
        Ok((partial, mark))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it holds.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Makes what is written durable, then remembers where to go on after it.
    pub(crate) fn mark(&self, mark: &Mark) -> io::Result<()> {
        assert_eq!(mark.bytes, self.written, "a mark tells of all that is written");
        self.file.sync_data()?;
        let path = self.mark_path();
        let new = with_suffix(&path, ".new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(mark)?)?;
        file.sync_data()?;
        fs::rename(&new, &path)
    }

    /// It is whole: gives it its name, durably.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.name)?;
        remove(&self.mark_path())?;
        let parent = self.name.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// The mark, if there is one and the file has what it tells of.
    fn read_mark(&self) -> io::Result<Option<Mark>> {
        let text = match fs::read(self.mark_path()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mark: Option<Mark> = serde_json::from_slice(&text).ok();
        let length = self.file.metadata()?.len();
        Ok(mark.filter(|mark| mark.bytes <= length && mark.cursor().is_some()))
    }

    fn mark_path(&self) -> PathBuf {
        with_suffix(&self.path, ".cursor")
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(bytes: u64) -> Mark {
        let (cursor, keyspace, format) = ("3.6b".into(), "default".into(), "tsv".into());
        Mark { cursor, bytes, pairs: 1, carried: bytes, keyspace, format }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("dump.tsv");
        fs::write(&name, "old").unwrap();
        let (mut partial, _) = Partial::open(&name, false).unwrap();
        partial.write(b"new").unwrap();
        partial.mark(&mark(3)).unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["dump.tsv", "dump.tsv.partial", "dump.tsv.partial.cursor"]);
        partial.finish().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["dump.tsv"]);
    }

    #[test]
    fn a_broken_one_goes_on_at_its_mark_without_what_came_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("dump.tsv");
        let (mut partial, _) = Partial::open(&name, true).unwrap();
        partial.write(b"marked,").unwrap();
        partial.mark(&mark(7)).unwrap();
        partial.write(b"torn").unwrap();
        drop(partial);
        let (mut partial, found) = Partial::open(&name, true).unwrap();
        assert_eq!(found, Some(mark(7)));
        partial.write(b"again").unwrap();
        partial.finish().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"marked,again");
    }

    #[test]
    fn a_mark_that_does_not_fit_the_file_is_no_mark_and_a_new_export_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("dump.tsv");
        let (mut partial, _) = Partial::open(&name, false).unwrap();
        partial.write(b"marked,").unwrap();
        partial.mark(&mark(7)).unwrap();
        partial.file.set_len(6).unwrap();
        drop(partial);
        let (mut partial, found) = Partial::open(&name, true).unwrap();
        assert_eq!(found, None);
        partial.write(b"12345678").unwrap();
        partial.mark(&mark(8)).unwrap();
        drop(partial);
        let (partial, found) = Partial::open(&name, false).unwrap();
        assert_eq!((found, partial.written()), (None, 0));
        assert_eq!(names(directory.path()), ["dump.tsv.partial"]);
    }

    #[test]
    fn two_cannot_be_made_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().join("dump.tsv");
        let (mut first, _) = Partial::open(&name, false).unwrap();
        first.write(b"first").unwrap();
        assert_eq!(Partial::open(&name, false).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        first.finish().unwrap();
        assert_eq!(fs::read(&name).unwrap(), b"first");
    }
}
