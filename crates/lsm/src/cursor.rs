//! What every source of sorted entries offers: a position that moves both ways. Memtables, blocks, tables, levels and their
//! merge are cursors over *internal* keys; what users see is made of one by `iter`.

use crate::error::Result;

/// A position among entries that are sorted by internal key (`key::compare`).
pub(crate) trait Cursor {
    /// Goes to the first entry.
    fn first(&mut self) -> Result<()>;
    /// Goes to the last entry.
    fn last(&mut self) -> Result<()>;
    /// Goes to the first entry at or after an encoded internal key.
    fn seek(&mut self, internal: &[u8]) -> Result<()>;
    /// Goes to the last entry strictly before an encoded internal key.
    fn seek_before(&mut self, internal: &[u8]) -> Result<()>;
    /// Goes on to the next entry. The cursor must be at one.
    fn next(&mut self) -> Result<()>;
    /// Goes back to the entry before. The cursor must be at one.
    fn prev(&mut self) -> Result<()>;
    /// The encoded internal key and the value here; none before the first, behind the last, and at the start.
    fn entry(&self) -> Option<(&[u8], &[u8])>;
}

impl<C: Cursor + ?Sized> Cursor for Box<C> {
    fn first(&mut self) -> Result<()> {
        (**self).first()
    }

    fn last(&mut self) -> Result<()> {
        (**self).last()
    }

    fn seek(&mut self, internal: &[u8]) -> Result<()> {
        (**self).seek(internal)
    }

    fn seek_before(&mut self, internal: &[u8]) -> Result<()> {
        (**self).seek_before(internal)
    }

    fn next(&mut self) -> Result<()> {
        (**self).next()
    }

    fn prev(&mut self) -> Result<()> {
        (**self).prev()
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        (**self).entry()
    }
}
