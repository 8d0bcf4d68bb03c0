//! The operating system's file system. It turns each call of the seam into one system call or a few, and knows what to do
//! when one is interrupted, stops half way, or is not supported; it retries nothing that failed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::{Disk, DiskFile};

/// How many parts go to the system in one call; what it may refuse lies at 1024 everywhere.
const PARTS_PER_CALL: usize = 64;

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(RealFile { file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile { file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    /// Names that are not UTF-8 are left out: no engine gave them.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(here_if_empty(dir))? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(here_if_empty(dir))?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            // The lock belongs to the open file and goes with it, also when the process is killed.
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// The parent of a plain file name is the empty path, which stands for the current directory.
fn here_if_empty(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        match parts {
            // Most calls; for so small a write it matters that the system need not copy and check a list of parts.
            [part] => self.file.write_all_at(part, offset),
            _ => write_all(parts, offset, |slices, offset| Ok(rustix::io::pwritev(&self.file, slices, offset)?)),
        }
    }

    /// Where the file system cannot set room aside, the file only grows: then the disk can still turn out to be full when
    /// the room is used, which is an error like any other.
    fn allocate(&self, len: u64) -> io::Result<()> {
        if self.len()? >= len { Ok(()) } else { set_aside(&self.file, len) }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        // The length is part of what `fdatasync` makes durable, since the data could not be read without it.
        self.file.sync_data()
    }
}

/// Writes all parts in as few calls as possible, and goes on where a call stopped half way.
fn write_all(
    parts: &[&[u8]],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    // The first part that is not written whole, and how much of it is.
    let (mut part, mut written) = (0, 0);
    loop {
        while part < parts.len() && written == parts[part].len() {
            (part, written) = (part + 1, 0);
        }
        if part == parts.len() {
            return Ok(());
        }
        let mut slices = [IoSlice::new(&[]); PARTS_PER_CALL];
        let count = (parts.len() - part).min(PARTS_PER_CALL);
        slices[0] = IoSlice::new(&parts[part][written..]);
        for (slice, bytes) in slices[1..count].iter_mut().zip(&parts[part + 1..]) {
            *slice = IoSlice::new(bytes);
        }
        let mut done = match write(&slices[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(done) => done,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        offset += done as u64;
        while done > 0 {
            let step = done.min(parts[part].len() - written);
            (done, written) = (done - step, written + step);
            if done > 0 {
                (part, written) = (part + 1, 0);
            }
        }
    }
}

/// Makes a file as long as that, with the blocks behind it if the file system can.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn set_aside(file: &File, len: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    use rustix::io::Errno;

    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return file.set_len(len),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes a file as long as that.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn set_aside(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

#[cfg(test)]
mod tests;
