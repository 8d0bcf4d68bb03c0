//! Owns the newest writes, sorted, in memory, until they are written to a table. One writer at a time, any number of readers, who
//! take no lock and never see half an entry. It does not decide which sequence numbers readers may see: an entry can be found as
//! soon as it is in, so a reader must ask for a sequence number that has been published to it.

mod arena;
mod cursor;
mod node;
mod record;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use node::Target;
use tree::{Insert, Tree};

use crate::key::{self, Kind, Sequence};

/// A sorted set of writes.
pub(crate) struct Memtable {
    tree: Tree,
    // Only the writer changes these, so they need no read-modify-write.
    bytes: AtomicUsize,
    len: AtomicUsize,
    smallest: AtomicU64,
    largest: AtomicU64,
}

/// The right to insert.
pub(crate) struct MemtableWriter<'a> {
    memtable: &'a Memtable,
    insert: Insert<'a>,
}

impl Memtable {
    pub(crate) fn new() -> Self {
        let tree = Tree::new();
        let bytes = AtomicUsize::new(tree.insert().bytes());
        let (len, smallest, largest) = (AtomicUsize::new(0), AtomicU64::new(Sequence::MAX), AtomicU64::new(0));
        Self { tree, bytes, len, smallest, largest }
    }

    /// Takes the right to insert, for several entries.
    ///
    /// # Panics
    /// If another has it: the database's writers take turns.
    pub(crate) fn writer(&self) -> MemtableWriter<'_> {
        MemtableWriter { memtable: self, insert: self.tree.insert() }
    }

    /// Inserts one entry; see [`MemtableWriter::insert`].
    pub(crate) fn insert(&self, user_key: &[u8], sequence: Sequence, kind: Kind, value: &[u8]) {
        self.writer().insert(user_key, sequence, kind, value);
    }

    /// The newest version of a key at or below a sequence number, which is at most `LAST_SEQUENCE`. O(log n), no lock, no copy.
    pub(crate) fn get(&self, user_key: &[u8], at_or_below: Sequence) -> Option<(Sequence, Kind, &[u8])> {
        let record = self.tree.find(Target { key: user_key, trailer: key::trailer(at_or_below, Kind::Put) })?;
        let (key, trailer) = record.key();
        if key != user_key {
            return None;
        }
        let kind = Kind::from_byte(trailer as u8).expect("the memtable has encoded the kind itself");
        Some((trailer >> 8, kind, record.parts().1))
    }

    /// What it holds of the system's memory, in bytes: chunks are counted as a whole.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.load(Ordering::Relaxed)
    }

    /// How many entries it has; each version of a key is one.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The smallest sequence number in it.
    #[cfg(test)]
    pub(crate) fn smallest_sequence(&self) -> Option<Sequence> {
        (!self.is_empty()).then(|| self.smallest.load(Ordering::Relaxed))
    }

    /// The largest sequence number in it.
    pub(crate) fn largest_sequence(&self) -> Option<Sequence> {
        (!self.is_empty()).then(|| self.largest.load(Ordering::Relaxed))
    }
}

impl MemtableWriter<'_> {
    /// Inserts an entry; a deletion has an empty value. The sequence number must be new to the key. Expected O(log n), and O(1) when
    /// entries come in ascending order.
    pub(crate) fn insert(&mut self, user_key: &[u8], sequence: Sequence, kind: Kind, value: &[u8]) {
        self.insert.entry(user_key, key::trailer(sequence, kind), value);
        self.count(sequence);
    }

    /// As [`insert`](Self::insert), of an entry that is behind the last one inserted: faster, the less there is in between.
    pub(crate) fn insert_behind(&mut self, user_key: &[u8], sequence: Sequence, kind: Kind, value: &[u8]) {
        self.insert.entry_behind(user_key, key::trailer(sequence, kind), value);
        self.count(sequence);
    }

    fn count(&self, sequence: Sequence) {
        let Memtable { bytes, len, smallest, largest, .. } = self.memtable;
        bytes.store(self.insert.bytes(), Ordering::Relaxed);
        smallest.store(smallest.load(Ordering::Relaxed).min(sequence), Ordering::Relaxed);
        largest.store(largest.load(Ordering::Relaxed).max(sequence), Ordering::Relaxed);
        // Last, and paired with nothing: who sees the entry by its sequence number sees all of this too.
        len.store(len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}
