//! Owns a place in a memtable together with the memtable. It shows all that was there when it was placed; what is inserted later it
//! may show or not.

use std::sync::Arc;

use super::Memtable;
use super::node::Target;
use super::tree::{Place, Tree};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::key;

/// A cursor that keeps its memtable alive.
pub(crate) struct MemtableCursor {
    memtable: Arc<Memtable>,
    /// In `memtable`, which is never exchanged.
    place: Option<Place<'static>>,
}

impl Memtable {
    /// A cursor at no entry yet.
    pub(crate) fn cursor(self: &Arc<Self>) -> MemtableCursor {
        MemtableCursor { memtable: Arc::clone(self), place: None }
    }
}

impl MemtableCursor {
    fn go(&mut self, place: impl for<'a> FnOnce(&'a Tree, Option<Place<'a>>) -> Option<Place<'a>>) -> Result<()> {
        let place = place(&self.memtable.tree, self.place);
        // SAFETY: the tree lives as long as the memtable, which `self` keeps alive; `entry` lends nothing for longer than
        // `self` is borrowed.
        #[expect(unsafe_code, reason = "the cursor owns its place together with the tree")]
        let place = place.map(|place| unsafe { place.detached() });
        self.place = place;
        Ok(())
    }
}

impl Cursor for MemtableCursor {
    fn first(&mut self) -> Result<()> {
        self.go(|tree, _| tree.first())
    }

    fn last(&mut self) -> Result<()> {
        self.go(|tree, _| tree.last())
    }

    fn seek(&mut self, internal: &[u8]) -> Result<()> {
        let (key, trailer) = key::split(internal);
        self.go(|tree, _| tree.seek(Target { key, trailer }))
    }

    fn seek_before(&mut self, internal: &[u8]) -> Result<()> {
        let (key, trailer) = key::split(internal);
        self.go(|tree, _| tree.seek_before(Target { key, trailer }))
    }

    fn next(&mut self) -> Result<()> {
        self.go(|tree, place| tree.next(place.expect("the cursor is at an entry")))
    }

    fn prev(&mut self) -> Result<()> {
        self.go(|tree, place| tree.prev(place.expect("the cursor is at an entry")))
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.place.map(|place| place.record().parts())
    }
}
