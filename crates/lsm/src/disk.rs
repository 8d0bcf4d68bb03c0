//! The disk, as the engine sees it: a seam, so that the same engine runs on a real file system and on a simulated one that crashes
//! at every call, tears writes and forgets what was not synced. It knows nothing of what is stored.

use std::io;
use std::path::Path;
use std::sync::Arc;

mod real;
#[cfg(any(test, feature = "sim"))]
pub mod sim;

pub use real::RealDisk;

/// A file system. All paths are the caller's; nothing is created on the way.
pub trait Disk: Send + Sync + 'static {
    /// Creates an empty file for reading and writing.
    ///
    /// # Errors
    /// Also if it exists.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// Also if there is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what has it. Durable once the directory is synced; after a crash either
    /// the old or the new state is there.
    ///
    /// # Errors
    /// Of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name.
    ///
    /// # Errors
    /// Also if the name is taken, or lies on another file system.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory; nothing happens if it exists.
    ///
    /// # Errors
    /// Of the file system.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// Of the file system.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes what was created, renamed and removed in a directory durable.
    ///
    /// # Errors
    /// Of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Keeps others out of a directory for as long as the guard lives, by a lock on a file in it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file. Positions are explicit, so it can be shared.
#[expect(
    clippy::len_without_is_empty,
    reason = "to ask for the length is a call that can fail, and nobody asks only that"
)]
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Of the file system.
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer from there.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of these one after the other, from there, growing the file if need be.
    ///
    /// # Errors
    /// Then any part of it may have been written.
    fn write_all_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()>;
    /// Makes room for the file to grow to this length, which it has from then on; the new part reads as zeros. A file that
    /// is longer stays as it is.
    ///
    /// # Errors
    /// Of the file system.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cuts it to this length.
    ///
    /// # Errors
    /// Of the file system.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes its content and length durable. If it fails, nothing is known of anything written since the last sync
    /// that succeeded, and a later success says nothing about it.
    ///
    /// # Errors
    /// Of the file system.
    fn sync(&self) -> io::Result<()>;
}
