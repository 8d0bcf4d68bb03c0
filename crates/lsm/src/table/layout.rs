//! A table's file and where everything in it is: what is read first, and what every later read goes through.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::damage::{Checked, Damage};
use super::directory::{Directory, Place};
use super::footer::{FOOTER, Footer};
use super::frame::{self, Handle};
use super::partition::Partition;
use super::properties::Properties;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};

/// The end of the file that is read at once; directory and properties are mostly in it.
const TAIL: u64 = 16 << 10;

/// A file that was opened.
pub(super) struct Source {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    number: u64,
}

impl Source {
    pub(super) fn open(disk: &dyn Disk, path: &Path, number: u64) -> Result<Self> {
        let file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
        Ok(Self { file, path: path.to_owned(), number })
    }

    /// Another handle to the same file.
    pub(super) fn again(&self) -> Self {
        Self { file: self.file.clone(), path: self.path.clone(), number: self.number }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of the file. The caller has made sure that it should have them.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::corruption(&self.path, offset, "the file ends too early"),
            _ => Error::io("read", &self.path, error),
        })?;
        Ok(bytes)
    }

    /// What a frame holds, which was read before.
    pub(super) fn unframe(&self, frame: Vec<u8>, offset: u64) -> Result<Vec<u8>> {
        self.check(offset, frame::open(frame, self.number, offset))
    }

    /// Reads what a frame holds.
    pub(super) fn read_frame(&self, handle: Handle) -> Result<Vec<u8>> {
        self.unframe(self.read(handle.offset, handle.frame_bytes())?, handle.offset)
    }

    /// Says in which file something is damaged, and where.
    pub(super) fn check<T>(&self, offset: u64, checked: Checked<T>) -> Result<T> {
        checked.map_err(|Damage(what)| Error::corruption(&self.path, offset, what))
    }
}

/// A table, but for its partitions and data.
pub(super) struct Layout {
    pub(super) source: Source,
    pub(super) data_end: u64,
    pub(super) directory: Directory,
    pub(super) properties: Properties,
    /// Where the properties stand.
    pub(super) properties_at: u64,
}

impl Layout {
    /// Reads and checks footer, directory and properties.
    pub(super) fn read(source: Source) -> Result<Self> {
        let len = source.file.len().map_err(|error| Error::io("measure", &source.path, error))?;
        let Some(footer_at) = len.checked_sub(FOOTER as u64) else {
            return Err(Error::corruption(&source.path, 0, "the file is too short for a table"));
        };
        let tail_at = len.saturating_sub(TAIL);
        let tail = source.read(tail_at, (len - tail_at) as usize)?;
        let footer = tail.last_chunk().expect("the tail is not shorter than the footer");
        let footer = source.check(footer_at, Footer::decode(footer, source.number, footer_at))?;
        let section = |handle: Handle| match handle.offset.checked_sub(tail_at) {
            Some(start) => {
                let start = start as usize;
                source.unframe(tail[start..start + handle.frame_bytes()].to_vec(), handle.offset)
            }
            None => source.read_frame(handle),
        };
        let Handle { offset, .. } = footer.directory;
        let directory = Directory::decode(&section(footer.directory)?, footer.data_end, offset);
        let directory = source.check(offset, directory)?;
        let properties = Properties::decode(&section(footer.properties)?);
        let properties = source.check(footer.properties.offset, properties)?;
        Ok(Self { data_end: footer.data_end, directory, properties, properties_at: footer.properties.offset, source })
    }

    /// Reads and checks a partition.
    pub(super) fn read_partition(&self, place: &Place) -> Result<Partition> {
        let range = place.range();
        let bytes = self.source.read(range.start, (range.end - range.start) as usize)?;
        self.decode_partition(place, &bytes)
    }

    /// The same of bytes that were read before.
    pub(super) fn decode_partition(&self, place: &Place, bytes: &[u8]) -> Result<Partition> {
        let (filter, index) = bytes.split_at(place.filter.map_or(0, Handle::frame_bytes));
        let filter = match place.filter {
            Some(handle) => Some(self.source.unframe(filter.to_vec(), handle.offset)?),
            None => None,
        };
        let index = self.source.unframe(index.to_vec(), place.index.offset)?;
        self.source.check(place.index.offset, Partition::decode(&index, filter.as_deref(), place.data.clone()))
    }

    /// Bytes of filters and indexes as they are in the file.
    pub(super) fn metadata(&self) -> core::ops::Range<u64> {
        let end = self.directory.places.last().expect("a directory has partitions").index.end();
        self.data_end..end
    }
}
