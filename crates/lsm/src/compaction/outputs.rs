//! Writes what survives a compaction into new tables, and decides where one ends and the next begins: at a size, and where going on would
//! make a table that overlaps too much of the level below. All versions of a key stay in one table.

use std::sync::Arc;

use crate::error::Result;
use crate::key;
use crate::table::{TableBuilder, TableMeta};
use crate::version::{File, FileMeta};

/// Where tables are cut.
pub(crate) struct Cuts<'a> {
    /// A table of this size is closed.
    pub(crate) table_bytes: u64,
    /// The tables of the level below, in order, and how many bytes of them a table may overlap.
    pub(crate) below: &'a [Arc<File>],
    pub(crate) overlap: u64,
    /// The last dropped range that is respected.
    pub(crate) cleaned: u64,
}

/// Tables that are being written one after the other.
pub(crate) struct Outputs<'a, B: FnMut() -> Result<(u64, TableBuilder)>> {
    cuts: Cuts<'a>,
    /// Begins a table with a new number.
    begin: B,
    current: Option<(u64, TableBuilder)>,
    /// The user key added last.
    last: Vec<u8>,
    /// How many of the tables below lie before the current key, and how much the current table overlaps.
    passed: usize,
    overlapped: u64,
    done: Vec<FileMeta>,
}

impl<'a, B: FnMut() -> Result<(u64, TableBuilder)>> Outputs<'a, B> {
    pub(crate) fn new(cuts: Cuts<'a>, begin: B) -> Self {
        Self { cuts, begin, current: None, last: Vec::new(), passed: 0, overlapped: 0, done: Vec::new() }
    }

    /// Adds the next entry. Gives how many bytes it has.
    pub(crate) fn add(&mut self, internal: &[u8], value: &[u8]) -> Result<()> {
        let (user_key, _) = key::split(internal);
        if self.last != user_key {
            while let Some(file) = self.cuts.below.get(self.passed).filter(|file| file.meta.last() < user_key) {
                self.overlapped += file.meta.size;
                self.passed += 1;
            }
            let full = |table: &TableBuilder| table.size() >= self.cuts.table_bytes;
            if self.current.as_ref().is_some_and(|(_, table)| full(table)) || self.overlapped > self.cuts.overlap {
                self.close()?;
            }
            self.last.clear();
            self.last.extend_from_slice(user_key);
        }
        if self.current.is_none() {
            self.overlapped = 0;
            self.current = Some((self.begin)()?);
        }
        let (_, table) = self.current.as_mut().expect("begun above");
        table.add(internal, value)
    }

    /// All tables, durable but for their names.
    pub(crate) fn finish(mut self) -> Result<Vec<FileMeta>> {
        self.close()?;
        Ok(self.done)
    }

    fn close(&mut self) -> Result<()> {
        if let Some((number, table)) = self.current.take() {
            self.done.push(file_meta(number, table.finish()?, self.cuts.cleaned));
        }
        Ok(())
    }
}

/// What the manifest says of a new table.
pub(crate) fn file_meta(number: u64, meta: TableMeta, cleaned: u64) -> FileMeta {
    FileMeta {
        number,
        size: meta.size,
        entries: meta.entries,
        tombstones: meta.tombstones,
        oldest: meta.smallest_sequence,
        newest: meta.largest_sequence,
        cleaned,
        smallest: meta.smallest.into(),
        largest: meta.largest.into(),
    }
}
