//! Writing the log: frames go out a group at a time in one write, and a sync makes all of them durable, those of earlier
//! segments first. It keeps the promise that frames make about others, `synced_upto`, and after any failure it writes nothing more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{ALIGNMENT, FRAME_HEADER, FrameHeader};
use super::{HEADER, Header, Older};
use crate::batch::{Batch, BatchView};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::key::{LAST_SEQUENCE, Sequence};

/// Operations shorter than this are copied next to their headers, since a longer list of parts costs more than that.
const COPY_BELOW: usize = 4 << 10;
/// More room than this is given back after a group.
const KEPT_ROOM: usize = 1 << 20;

/// Where a log segment lies and what it is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment<'a> {
    /// The file; its directory is synced.
    pub(crate) path: &'a Path,
    /// The number of the log: not zero, and never that of another log, past or present, of the same directory.
    pub(crate) number: u64,
    /// An old segment that becomes this one. Nothing in it may be needed any more, even after a crash: that it is obsolete
    /// must itself be durable. It should be synced, or else the header of the new one has to wait for that.
    pub(crate) recycle: Option<&'a Path>,
    /// How many bytes are set aside at once, at the beginning and whenever more are needed.
    pub(crate) room: u64,
}

/// A log segment that is being written.
pub(crate) struct Writer {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    number: u64,
    /// Where the next frame goes.
    offset: u64,
    /// How long the file is, and in what steps it grows.
    allocated: u64,
    room: u64,
    /// The sequence number of the next operation.
    next: Sequence,
    /// Everything up to this one is durable, in this log or before it.
    synced: Sequence,
    /// Whether anything was written to this segment since the last sync.
    dirty: bool,
    /// Segments before this one that were not synced.
    older: Arc<Older>,
    failed: Option<Arc<str>>,
    /// Headers and small frames of a group; empty between groups.
    staged: Vec<u8>,
}

impl Writer {
    /// Begins the first log; its first operation will have the sequence number `first`. Everything before that must be
    /// durable. When this returns, the segment is durable, name and all.
    pub(crate) fn create(disk: &dyn Disk, segment: Segment<'_>, first: Sequence) -> Result<Self> {
        Self::begin(disk, segment, first, first.saturating_sub(1), Arc::default())
    }

    /// Begins a segment. Everything up to `synced` is durable; what comes behind that is in the older ones.
    fn begin(
        disk: &dyn Disk,
        segment: Segment<'_>,
        first: Sequence,
        synced: Sequence,
        older: Arc<Older>,
    ) -> Result<Self> {
        let Segment { path, number, recycle, room } = segment;
        assert!(number > 0, "the number of a log differs from zeros");
        assert!((1..=LAST_SEQUENCE).contains(&first), "sequence numbers begin at 1 and have 56 bits");
        let file = match recycle {
            Some(old) => {
                disk.rename(old, path).map_err(|error| Error::io("rename", old, error))?;
                disk.open(path).map_err(|error| Error::io("open", path, error))?
            }
            None => disk.create(path).map_err(|error| Error::io("create", path, error))?,
        };
        let mut writer = Self {
            allocated: file.len().map_err(|error| Error::io("open", path, error))?,
            file,
            path: path.to_owned(),
            number,
            offset: HEADER as u64,
            room: room.max(1),
            next: first,
            synced,
            dirty: false,
            older,
            failed: None,
            staged: Vec::new(),
        };
        writer.allocate_for(room.max(HEADER as u64)).map_err(|error| Error::io("allocate", path, error))?;
        let header = Header { number, first, synced_upto: synced }.encode();
        writer.file.write_all_at(&[&header], 0).map_err(|error| Error::io("write", path, error))?;
        writer.file.sync().map_err(|error| Error::io("sync", path, error))?;
        let dir = path.parent().unwrap_or(Path::new(""));
        disk.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))?;
        Ok(writer)
    }

    /// Goes on in another segment. The old one stays where it is, and if it was not synced, it is among the older ones from now on.
    pub(crate) fn rotate(&mut self, disk: &dyn Disk, segment: Segment<'_>) -> Result<()> {
        self.check()?;
        if self.dirty {
            self.older.add(self.number, &self.path, self.file.clone());
        }
        self.go_on(disk, segment, self.next, self.synced)
    }

    /// Goes on in another segment, with a sequence number that may be higher than that of the next operation. Everything before that
    /// must be durable, in tables.
    pub(crate) fn restart(&mut self, disk: &dyn Disk, segment: Segment<'_>, first: Sequence) -> Result<()> {
        self.check()?;
        assert!(first >= self.next, "a sequence number is not given twice");
        self.go_on(disk, segment, first, first - 1)
    }

    fn go_on(&mut self, disk: &dyn Disk, segment: Segment<'_>, first: Sequence, synced: Sequence) -> Result<()> {
        match Self::begin(disk, segment, first, synced, self.older.clone()) {
            Ok(mut next) => {
                next.staged = core::mem::take(&mut self.staged);
                *self = next;
                Ok(())
            }
            // The new segment may be there, and it says that this one ends here.
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Writes one frame for each batch that is not empty, all in one write, and gives the sequence number of the last
    /// operation. They are not durable yet, but in their order: none is without those before. `first` is the number of the
    /// first operation, one more than was returned last time.
    pub(crate) fn append<'a>(
        &mut self,
        first: Sequence,
        batches: impl IntoIterator<Item = &'a Batch>,
    ) -> Result<Sequence> {
        self.check()?;
        assert_eq!(first, self.next, "sequence numbers follow each other");
        let mut group = Group { staged: core::mem::take(&mut self.staged), large: Vec::new(), large_bytes: 0 };
        let mut next = first;
        for batch in batches.into_iter().filter(|batch| !batch.is_empty()) {
            next = self.stage(&mut group, next, batch.view());
        }
        self.write(group)?;
        self.next = next;
        Ok(next - 1)
    }

    /// Makes everything that was appended durable, the oldest first, and gives the sequence number of the last of it.
    pub(crate) fn sync(&mut self) -> Result<Sequence> {
        self.check()?;
        self.older.sync().map_err(|error| self.fail(error))?;
        if self.dirty {
            self.file.sync().map_err(|error| self.fail(Error::io("sync", &self.path, error)))?;
            self.dirty = false;
        }
        self.synced = self.next - 1;
        Ok(self.synced)
    }

    /// Makes everything durable, and then that it was: damage to any batch is noticed from now on. For a log that nothing
    /// will be appended to.
    pub(crate) fn seal(&mut self) -> Result<()> {
        self.sync()?;
        let mut group = Group { staged: core::mem::take(&mut self.staged), large: Vec::new(), large_bytes: 0 };
        self.stage(&mut group, self.next, BatchView::default());
        self.write(group)?;
        self.sync()?;
        Ok(())
    }

    /// The segments before this one that were not synced.
    pub(crate) fn older(&self) -> Arc<Older> {
        self.older.clone()
    }

    /// The number of this log.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The file.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes the log has, without what is only set aside.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.offset
    }

    /// The sequence number of the last operation that was appended; that before the log if there is none.
    pub(crate) fn last_sequence(&self) -> Sequence {
        self.next - 1
    }

    /// Everything up to this sequence number is durable.
    #[cfg(test)]
    pub(crate) fn synced_upto(&self) -> Sequence {
        self.synced
    }

    /// Adds a frame to a group; gives the sequence number behind it.
    fn stage<'a>(&self, group: &mut Group<'a>, first: Sequence, batch: BatchView<'a>) -> Sequence {
        let (ops, count) = (batch.bytes(), batch.len() as u32);
        assert!(LAST_SEQUENCE - first >= u64::from(count), "56 bits of sequence numbers are enough");
        let padding = &[0; ALIGNMENT][..ops.len().next_multiple_of(ALIGNMENT) - ops.len()];
        let offset = self.offset + group.staged.len() as u64 + group.large_bytes;
        let header = |checksum| {
            let (number, synced_upto, len) = (self.number, self.synced, ops.len() as u32);
            FrameHeader { number, first, synced_upto, len, count, checksum }.encode(offset)
        };
        if ops.len() < COPY_BELOW {
            let at = group.staged.len();
            group.staged.extend_from_slice(&[0; FRAME_HEADER]);
            group.staged.extend_from_slice(ops);
            group.staged.extend_from_slice(padding);
            let (place, copied) = group.staged[at..].split_at_mut(FRAME_HEADER);
            place.copy_from_slice(&header(crc32fast::hash(copied)));
        } else {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(ops);
            hasher.update(padding);
            group.staged.extend_from_slice(&header(hasher.finalize()));
            group.large.push((group.staged.len(), ops));
            group.large_bytes += ops.len() as u64;
            group.staged.extend_from_slice(padding);
        }
        first + u64::from(count)
    }

    /// Writes a group.
    fn write(&mut self, group: Group<'_>) -> Result<()> {
        let bytes = group.staged.len() as u64 + group.large_bytes;
        if bytes > 0 {
            self.dirty = true;
            let end = self.offset + bytes;
            self.allocate_for(end).map_err(|error| self.fail(Error::io("allocate", &self.path, error)))?;
            let written = match &group.large[..] {
                [] => self.file.write_all_at(&[&group.staged], self.offset),
                _ => self.file.write_all_at(&group.parts(), self.offset),
            };
            written.map_err(|error| self.fail(Error::io("write", &self.path, error)))?;
            self.offset = end;
        }
        self.staged = group.staged;
        self.staged.clear();
        self.staged.shrink_to(KEPT_ROOM);
        Ok(())
    }

    /// Has room for a log of this length. Growing the file with every write would make every sync write the length too.
    fn allocate_for(&mut self, len: u64) -> io::Result<()> {
        if len > self.allocated {
            let len = len.next_multiple_of(self.room);
            self.file.allocate(len)?;
            self.allocated = len;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.failed.as_ref().map_or(Ok(()), |why| Err(Error::Poisoned(why.clone())))
    }

    /// Nobody knows what the file holds now, so nothing more is written to it.
    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.to_string().into());
        error
    }
}

/// Frames on their way to the file.
struct Group<'a> {
    staged: Vec<u8>,
    /// Operations that are not copied, and how much of `staged` comes before.
    large: Vec<(usize, &'a [u8])>,
    large_bytes: u64,
}

impl Group<'_> {
    fn parts(&self) -> Vec<&[u8]> {
        let mut parts = Vec::with_capacity(2 * self.large.len() + 1);
        let mut from = 0;
        for (before, ops) in &self.large {
            parts.extend([&self.staged[from..*before], ops]);
            from = *before;
        }
        parts.push(&self.staged[from..]);
        parts
    }
}
