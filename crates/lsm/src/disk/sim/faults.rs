//! What goes wrong and when: which call crashes the machine, which fails, how much room there is, which syncs lie. It also
//! counts the calls, since that is how they are named. What a fault does to the bytes is not its business.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::random::Random;

/// What a program asks of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Make a file.
    Create,
    /// Open one.
    Open,
    /// Give a file another name.
    Rename,
    /// Give it a second name.
    Link,
    /// Take a name away.
    Remove,
    /// Make a directory.
    CreateDir,
    /// Read a directory.
    List,
    /// Make names durable.
    SyncDir,
    /// Read from a file, or its length.
    Read,
    /// Write to it.
    Write,
    /// Make room.
    Allocate,
    /// Cut it.
    Truncate,
    /// Make its bytes durable.
    Sync,
}

impl Operation {
    /// Whether the disk may be another afterwards. Only such calls have numbers: a crash at any other leaves what a crash
    /// at the next of them leaves.
    #[must_use]
    pub fn changes_something(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Read)
    }

    fn is_sync(self) -> bool {
        matches!(self, Self::Sync | Self::SyncDir)
    }
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number if it changes something, else that of the last one that did.
    pub number: u64,
    /// What was asked.
    pub operation: Operation,
    /// On what.
    pub path: PathBuf,
    /// From where, or the new length.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, operation, path, offset, len } = self;
        write!(f, "{number} {operation:?} {} at {offset}, {len} bytes", path.display())
    }
}

/// A sync that somebody may want to ignore.
#[derive(Clone, Copy, Debug)]
pub struct SyncCall<'a> {
    /// How many there were before.
    pub number: u64,
    /// [`Operation::Sync`] or [`Operation::SyncDir`].
    pub operation: Operation,
    /// Of which file, by its newest name, or of which directory.
    pub path: &'a Path,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does what it should.
    Done,
    /// It says so, and does nothing.
    Ignored,
    /// It fails.
    Failed(io::ErrorKind),
    /// The machine crashes in its midst.
    Torn,
}

type SyncFilter = Box<dyn Fn(&SyncCall<'_>) -> bool + Send + Sync>;

pub(super) struct Faults {
    pub(super) calls: u64,
    pub(super) syncs: u64,
    pub(super) bytes_written: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) crashed: bool,
    /// How many such calls are still good, and how the next one fails.
    pub(super) failures: Vec<(Operation, u64, io::ErrorKind)>,
    /// What files may be long together, in bytes.
    pub(super) capacity: u64,
    pub(super) ignored: Option<SyncFilter>,
    pub(super) log: Option<Vec<Call>>,
    /// Decides what failed calls do.
    pub(super) random: Random,
}

impl Faults {
    pub(super) fn none(seed: u64) -> Self {
        Self {
            calls: 0,
            syncs: 0,
            bytes_written: 0,
            crash_at: None,
            crashed: false,
            failures: Vec::new(),
            capacity: u64::MAX,
            ignored: None,
            log: None,
            random: Random::new(seed, u64::MAX),
        }
    }

    /// Counts a call and says what becomes of it.
    pub(super) fn judge(&mut self, operation: Operation, path: &Path, offset: u64, len: u64) -> io::Result<Fate> {
        if self.crashed {
            return Err(crashed());
        }
        self.calls += u64::from(operation.changes_something());
        if let Some(log) = &mut self.log {
            log.push(Call { number: self.calls, operation, path: path.to_owned(), offset, len });
        }
        let sync = SyncCall { number: self.syncs, operation, path };
        self.syncs += u64::from(operation.is_sync());
        if operation.changes_something() && self.crash_at.is_some_and(|number| self.calls >= number) {
            self.crashed = true;
            return Ok(Fate::Torn);
        }
        if let Some(kind) = self.failure(operation) {
            return Ok(Fate::Failed(kind));
        }
        let ignored = operation.is_sync() && self.ignored.as_ref().is_some_and(|ignores| ignores(&sync));
        Ok(if ignored { Fate::Ignored } else { Fate::Done })
    }

    /// Whether one of the planned failures is due.
    fn failure(&mut self, operation: Operation) -> Option<io::ErrorKind> {
        let mut due = None;
        self.failures.retain_mut(|(of, good, kind)| {
            if *of != operation {
                return true;
            }
            if *good > 0 {
                *good -= 1;
                return true;
            }
            due = due.or(Some(*kind));
            false
        });
        due
    }
}

/// What every call gives once the machine has crashed.
pub(super) fn crashed() -> io::Error {
    io::Error::other("the simulated machine has crashed")
}
