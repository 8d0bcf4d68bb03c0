//! Which sources a read or a compaction looks at: memtables, flushed tables one by one, and levels as a whole.

use std::sync::Arc;

use super::views::View;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::iter::{self, LevelCursor};
use crate::table::TableCursor;
use crate::version::Level;

/// Any source of entries.
pub(crate) type Source = Box<dyn Cursor + Send>;

/// Tables that do not overlap, in order.
pub(crate) struct Tables {
    files: Level,
    /// Who asks reads all of them once, and leaves the cache to others.
    bulk: bool,
}

impl iter::Level for Tables {
    type Cursor = TableCursor;

    fn tables(&self) -> usize {
        self.files.len()
    }

    fn smallest(&self, table: usize) -> &[u8] {
        &self.files[table].meta.smallest
    }

    fn largest(&self, table: usize) -> &[u8] {
        &self.files[table].meta.largest
    }

    fn open(&self, table: usize) -> Result<TableCursor> {
        let table = self.files[table].table()?;
        Ok(if self.bulk { table.bulk_cursor() } else { table.cursor() })
    }
}

/// All entries of tables that do not overlap, for somebody who reads all of them once.
pub(crate) fn bulk(files: Level) -> Source {
    Box::new(LevelCursor::new(Tables { files, bulk: true }))
}

/// All entries of tables that do not overlap; each is opened when first looked at.
fn level(files: Level) -> Source {
    Box::new(LevelCursor::new(Tables { files, bulk: false }))
}

/// All sources of a view that may have keys which `overlaps` says something of, by their first and last user key.
pub(crate) fn sources(view: &View, overlaps: impl Fn(&[u8], &[u8]) -> bool) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::with_capacity(2 + view.sealed.len() + view.version.levels[0].len() + 4);
    sources.push(Box::new(view.memtable.cursor()));
    sources.extend(view.sealed.iter().map(|sealed| Box::new(sealed.memtable.cursor()) as Source));
    let (flushed, sorted) = view.version.levels.split_first().expect("there are levels");
    let wanted = flushed.iter().filter(|file| overlaps(file.meta.first(), file.meta.last()));
    sources.extend(wanted.map(|file| level(Arc::from([file.clone()]))));
    for files in sorted {
        if let (Some(first), Some(last)) = (files.first(), files.last())
            && overlaps(first.meta.first(), last.meta.last())
        {
            sources.push(level(files.clone()));
        }
    }
    sources
}
