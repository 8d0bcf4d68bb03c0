//! A file of the simulated disk and a handle to it: each call is judged, then done to the content as far as its fate lets it.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::content::Content;
use super::faults::{self, Fate, Operation};
use super::random::Random;
use super::{Interrupted, SimDisk};
use crate::disk::DiskFile;

/// A file, whatever its names. It lives as long as a name, a handle, or a change that a crash may undo.
pub(super) struct Inode {
    pub(super) id: u64,
    body: Mutex<Body>,
    used: Arc<AtomicU64>,
}

pub(super) struct Body {
    pub(super) content: Content,
    /// The newest name.
    pub(super) path: PathBuf,
}

impl Inode {
    pub(super) fn new(id: u64, content: Content, path: PathBuf, used: &Arc<AtomicU64>) -> Arc<Self> {
        used.fetch_add(content.len(), Ordering::Relaxed);
        Arc::new(Self { id, body: Mutex::new(Body { content, path }), used: used.clone() })
    }

    pub(super) fn body(&self) -> MutexGuard<'_, Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        let len = self.body().content.len();
        self.used.fetch_sub(len, Ordering::Relaxed);
    }
}

/// An open file.
pub(super) struct SimFile {
    disk: SimDisk,
    inode: Arc<Inode>,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inode: Arc<Inode>) -> Self {
        Self { disk, inode }
    }

    /// Changes the file's length along with its content, as far as there is room: up to `len`, then `act` does what can be
    /// done within the length it is given.
    fn change(
        &self,
        operation: Operation,
        (offset, bytes): (u64, u64),
        len: u64,
        act: impl FnOnce(&mut Content, u64, &mut Random, Fate),
    ) -> io::Result<()> {
        let mut machine = self.disk.machine();
        let mut body = self.inode.body();
        let fate = machine.faults.judge(operation, &body.path, offset, bytes)?;
        if operation == Operation::Write {
            machine.faults.bytes_written += bytes;
        }
        let room = machine.room_for(&body.content, len);
        let before = body.content.len();
        act(&mut body.content, room, &mut machine.faults.random, fate);
        let after = body.content.len();
        machine.used.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        machine.used.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
        match fate {
            Fate::Failed(kind) => Err(kind.into()),
            Fate::Torn => Err(faults::crashed()),
            _ if room < len => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut machine = self.disk.machine();
        let body = self.inode.body();
        match machine.faults.judge(Operation::Read, &body.path, 0, 0)? {
            Fate::Failed(kind) => Err(kind.into()),
            _ => Ok(body.content.len()),
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut machine = self.disk.machine();
        let body = self.inode.body();
        match machine.faults.judge(Operation::Read, &body.path, offset, buffer.len() as u64)? {
            Fate::Failed(kind) => Err(kind.into()),
            _ => body.content.read(buffer, offset),
        }
    }

    fn write_all_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let bytes = parts.concat();
        let len = bytes.len() as u64;
        let end = offset.checked_add(len).ok_or(io::ErrorKind::FileTooLarge)?;
        self.change(Operation::Write, (offset, len), end, |content, room, random, fate| {
            let mut whole = len.min(room.saturating_sub(offset));
            if matches!(fate, Fate::Failed(_)) {
                whole = random.below(whole + 1);
            }
            content.write(&bytes[..whole as usize], offset);
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.change(Operation::Allocate, (len, 0), len, |content, room, _, fate| {
            if room == len && !matches!(fate, Fate::Failed(_)) {
                content.grow(len);
            }
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.change(Operation::Truncate, (len, 0), len, |content, room, _, fate| {
            if room == len && !matches!(fate, Fate::Failed(_)) {
                content.truncate(len);
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = self.disk.machine();
        let mut body = self.inode.body();
        match machine.faults.judge(Operation::Sync, &body.path, 0, 0)? {
            Fate::Done => body.content.sync(),
            Fate::Ignored => {}
            Fate::Failed(kind) => {
                body.content.fail_sync(&mut machine.faults.random);
                return Err(kind.into());
            }
            Fate::Torn => {
                machine.interrupted = Some(Interrupted::Sync(self.inode.clone()));
                return Err(faults::crashed());
            }
        }
        Ok(())
    }
}
