//! Owns the merge of several cursors into one, by a binary heap of their heads. Two sources never have the same internal key, since a
//! sequence number is given once; so there is nothing to decide but the order.

use core::cmp::Ordering;

use crate::cursor::Cursor;
use crate::error::Result;
use crate::key;

/// A source that is at an entry.
#[derive(Clone, Copy)]
struct Head {
    /// The first 8 bytes of the user key there, with zeros behind a shorter one: most comparisons need no more.
    prefix: u64,
    source: usize,
}

/// Which way the sources stand: all at or behind the current entry, or all at or before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// All entries of its sources in one order.
///
/// After an error it is at no entry; [`first`](Cursor::first), [`last`](Cursor::last) and the seeks make it usable again.
pub(crate) struct MergeCursor<C> {
    sources: Vec<C>,
    /// A heap: the entry that is next in the direction stands first, and each before its two children.
    heap: Vec<Head>,
    direction: Direction,
    /// Holds the current key while sources are moved around it.
    key: Vec<u8>,
}

impl<C: Cursor> MergeCursor<C> {
    pub(crate) fn new(sources: Vec<C>) -> Self {
        let heap = Vec::with_capacity(sources.len());
        Self { sources, heap, direction: Direction::Forward, key: Vec::new() }
    }

    /// Moves all sources and makes the heap anew, in O(sources) besides the moves.
    fn place(&mut self, direction: Direction, mut move_: impl FnMut(usize, &mut C) -> Result<()>) -> Result<()> {
        self.heap.clear();
        self.direction = direction;
        for (source, cursor) in self.sources.iter_mut().enumerate() {
            if let Err(error) = move_(source, cursor) {
                self.heap.clear();
                return Err(error);
            }
            self.heap.extend(head(source, cursor));
        }
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
        Ok(())
    }

    /// Lets all sources stand on the other side of the current entry.
    fn turn(&mut self, direction: Direction) -> Result<()> {
        let current = self.heap[0].source;
        let mut key = core::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(entry_key(&self.sources[current]));
        let turned = self.place(direction, |source, cursor| match direction {
            _ if source == current => Ok(()),
            Direction::Forward => cursor.seek(&key),
            Direction::Backward => cursor.seek_before(&key),
        });
        self.key = key;
        turned
    }

    /// Moves the source that is at the current entry, and finds what is current then.
    fn step(&mut self, move_: impl FnOnce(&mut C) -> Result<()>) -> Result<()> {
        let source = self.heap[0].source;
        if let Err(error) = move_(&mut self.sources[source]) {
            self.heap.clear();
            return Err(error);
        }
        match head(source, &self.sources[source]) {
            Some(head) => self.heap[0] = head,
            None => drop(self.heap.swap_remove(0)),
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut child = 2 * at + 1;
            if child + 1 < self.heap.len() && self.is_sooner(child + 1, child) {
                child += 1;
            }
            if child >= self.heap.len() || !self.is_sooner(child, at) {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }

    fn is_sooner(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.heap[a], self.heap[b]);
        let order = a
            .prefix
            .cmp(&b.prefix)
            .then_with(|| key::compare(entry_key(&self.sources[a.source]), entry_key(&self.sources[b.source])));
        debug_assert!(order != Ordering::Equal, "an internal key is in one source");
        (order == Ordering::Less) == (self.direction == Direction::Forward)
    }
}

impl<C: Cursor> Cursor for MergeCursor<C> {
    fn first(&mut self) -> Result<()> {
        self.place(Direction::Forward, |_, cursor| cursor.first())
    }

    fn last(&mut self) -> Result<()> {
        self.place(Direction::Backward, |_, cursor| cursor.last())
    }

    fn seek(&mut self, internal: &[u8]) -> Result<()> {
        self.place(Direction::Forward, |_, cursor| cursor.seek(internal))
    }

    fn seek_before(&mut self, internal: &[u8]) -> Result<()> {
        self.place(Direction::Backward, |_, cursor| cursor.seek_before(internal))
    }

    fn next(&mut self) -> Result<()> {
        if self.direction == Direction::Backward {
            self.turn(Direction::Forward)?;
        }
        self.step(C::next)
    }

    fn prev(&mut self) -> Result<()> {
        if self.direction == Direction::Forward {
            self.turn(Direction::Backward)?;
        }
        self.step(C::prev)
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.sources[self.heap.first()?.source].entry()
    }
}

fn head(source: usize, cursor: &impl Cursor) -> Option<Head> {
    let (user_key, _) = key::split(cursor.entry()?.0);
    let prefix = user_key.first_chunk().map_or_else(
        || user_key.iter().rev().fold(0, |rest, byte| (rest >> 8) | u64::from(*byte) << 56),
        |first| u64::from_be_bytes(*first),
    );
    Some(Head { prefix, source })
}

fn entry_key(cursor: &impl Cursor) -> &[u8] {
    cursor.entry().expect("a source in the heap is at an entry").0
}
