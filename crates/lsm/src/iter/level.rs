//! Owns the concatenation of a level's tables, which do not overlap, into one cursor that opens a table when it gets there. It does
//! not know what a table is.

use crate::cursor::Cursor;
use crate::error::Result;
use crate::key;

/// What a level cursor needs of a level: tables in order, each not empty.
pub(crate) trait Level {
    /// A table's cursor.
    type Cursor: Cursor;

    /// How many tables it has.
    fn tables(&self) -> usize;
    /// A table's smallest internal key.
    fn smallest(&self, table: usize) -> &[u8];
    /// A table's largest internal key.
    fn largest(&self, table: usize) -> &[u8];
    /// A cursor over a table.
    fn open(&self, table: usize) -> Result<Self::Cursor>;
}

/// All entries of a level in order. One table is open at a time.
///
/// After an error it is at no entry.
pub(crate) struct LevelCursor<L: Level> {
    level: L,
    /// The table it is in, and its number; kept for the next seek when the cursor is at no entry.
    open: Option<(usize, L::Cursor)>,
    /// Whether the cursor is at the open table's entry.
    at_entry: bool,
}

impl<L: Level> LevelCursor<L> {
    pub(crate) fn new(level: L) -> Self {
        Self { level, open: None, at_entry: false }
    }

    /// Goes to a place in a table, if there is such a table.
    fn go(&mut self, table: Option<usize>, place: impl FnOnce(&mut L::Cursor) -> Result<()>) -> Result<()> {
        self.at_entry = false;
        let Some(table) = table.filter(|table| *table < self.level.tables()) else { return Ok(()) };
        if self.open.as_ref().is_none_or(|(open, _)| *open != table) {
            self.open = None;
            self.open = Some((table, self.level.open(table)?));
        }
        let (_, cursor) = self.open.as_mut().expect("opened above");
        place(cursor)?;
        self.at_entry = cursor.entry().is_some();
        Ok(())
    }

    /// How many tables lie before the first whose bound is not before the target.
    fn tables_before<'a>(&'a self, bound: impl Fn(&'a L, usize) -> &'a [u8], internal: &[u8]) -> usize {
        let (mut from, mut to) = (0, self.level.tables());
        while from < to {
            let middle = from.midpoint(to);
            if key::compare(bound(&self.level, middle), internal).is_lt() {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    fn here(&self) -> usize {
        self.open.as_ref().expect("the cursor is at an entry").0
    }
}

impl<L: Level> Cursor for LevelCursor<L> {
    fn first(&mut self) -> Result<()> {
        self.go(Some(0), Cursor::first)
    }

    fn last(&mut self) -> Result<()> {
        self.go(self.level.tables().checked_sub(1), Cursor::last)
    }

    fn seek(&mut self, internal: &[u8]) -> Result<()> {
        let table = self.tables_before(L::largest, internal);
        self.go(Some(table), |cursor| cursor.seek(internal))
    }

    fn seek_before(&mut self, internal: &[u8]) -> Result<()> {
        let table = self.tables_before(L::smallest, internal).checked_sub(1);
        self.go(table, |cursor| cursor.seek_before(internal))
    }

    fn next(&mut self) -> Result<()> {
        let here = self.here();
        self.go(Some(here), Cursor::next)?;
        if !self.at_entry {
            self.go(Some(here + 1), Cursor::first)?;
        }
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        let here = self.here();
        self.go(Some(here), Cursor::prev)?;
        if !self.at_entry {
            self.go(here.checked_sub(1), Cursor::last)?;
        }
        Ok(())
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.open.as_ref().filter(|_| self.at_entry)?.1.entry()
    }
}
