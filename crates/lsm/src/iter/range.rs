//! Owns the iterator that users hold. What it shows is [`snapshot`](super::snapshot)'s business.

use core::fmt;
use core::iter::FusedIterator;

use super::bounds::Edges;
use super::snapshot::SnapshotCursor;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::key::Sequence;

type Skip = Box<dyn Fn(&[u8], Sequence) -> bool + Send>;

/// The entries of a range of keys as they were at one moment, in ascending order, from both ends.
///
/// As an [`Iterator`] it gives pairs of key and value that are the caller's own, [`next_entry`](Self::next_entry) and
/// [`next_back_entry`](Self::next_back_entry) lend them without copying into new memory. Both may be mixed; each entry is
/// given once, wherever the two ends meet. As long as the range lives, what it may still show is kept on disk and in memory.
///
/// After an error there are no more entries.
pub struct Range {
    cursor: SnapshotCursor<Box<dyn Cursor + Send>, Skip>,
}

impl Range {
    pub(crate) fn new(cursor: Box<dyn Cursor + Send>, snapshot: Sequence, range: Edges, skip: Skip) -> Self {
        Self { cursor: SnapshotCursor::new(cursor, snapshot, range, skip) }
    }

    /// The next key and value from the front.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.cursor.next()
    }

    /// The next key and value from the back.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn next_back_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.cursor.next_back()
    }

    /// Lets the front go on with the first key of the range at or behind this one, also if that means going back. What
    /// was given at the back is not given again. Costs nothing; the next entry costs a search.
    pub fn seek(&mut self, key: impl AsRef<[u8]>) {
        self.cursor.seek(key.as_ref());
    }

    /// Lets the back go on with the last key of the range at or before this one, also if that means going forward. What
    /// was given at the front is not given again. Costs nothing; the next entry costs a search.
    pub fn seek_back(&mut self, key: impl AsRef<[u8]>) {
        self.cursor.seek_back(key.as_ref());
    }
}

impl Iterator for Range {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        owned(self.next_entry())
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        owned(self.next_back_entry())
    }
}

impl FusedIterator for Range {}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").finish_non_exhaustive()
    }
}

fn owned(entry: Result<Option<(&[u8], &[u8])>>) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
    entry.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
}
