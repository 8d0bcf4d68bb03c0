//! How a range is compacted because somebody asks for it, in that caller's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use crate::compaction::busy::Busy;
use crate::compaction::pick::{Meets, Pick, pick_range, rewrite};
use crate::error::{Error, Result};
use crate::iter::{EdgeKind, Edges};
use crate::options::LEVELS;
use crate::version::{File, Version, hides};

impl Engine {
    /// Compacts what overlaps a range, level by level, and then rewrites what could still become smaller.
    pub(crate) fn compact_range(&self, edges: &Edges) -> Result<()> {
        self.flush_all()?;
        let (first, last) = bounds(edges);
        // Tables from here on are results of this.
        let newest = self.next_file.load(Ordering::Relaxed);
        for level in 0..LEVELS - 1 {
            self.compact_when_free(|version, busy| {
                pick_range(version, &self.limits(version), busy, level, first, last)
            })?;
        }
        let shrinks = |version: &Version, file: &File| {
            let hidden = version.dropped.iter().any(|range| hides(range, &file.meta));
            hidden || file.meta.tombstones > 0 || self.filter.is_some()
        };
        let overlaps = |file: &File| file.meta.last() >= first && last.is_none_or(|last| file.meta.first() <= last);
        let rewrite_one = |version: &Version, busy: &Busy| {
            let wanted = |file: &File| file.meta.number < newest && overlaps(file) && shrinks(version, file);
            let (level, file) = version.files().find(|(_, file)| wanted(file))?;
            let meets = busy.meets([level; 2], file.meta.first(), file.meta.last());
            Some(if meets { Err(Meets) } else { Ok(rewrite(level, Arc::clone(file))) })
        };
        while self.compact_when_free(rewrite_one)? {}
        Ok(())
    }

    /// Does a compaction, waiting for those that are in the way. Gives whether there was one to do.
    fn compact_when_free(&self, choose: impl Fn(&Version, &Busy) -> Option<Result<Pick, Meets>>) -> Result<bool> {
        loop {
            self.health.check()?;
            let mut state = self.jobs.state();
            let finished = state.finished();
            match choose(&self.views.load().version, &state.busy) {
                None => return Ok(false),
                Some(Ok(pick)) => {
                    let reservation = state.busy.reserve(&pick);
                    drop(state);
                    self.compact(&pick, reservation).inspect_err(|error| {
                        if !self.jobs.is_closing() {
                            self.poison(error);
                        }
                    })?;
                    return Ok(true);
                }
                Some(Err(Meets)) => {
                    drop(state);
                    self.jobs.wait_for_more(finished);
                    if self.jobs.is_closing() {
                        return Err(Error::Invalid("the database is closed"));
                    }
                }
            }
        }
    }
}

/// The first key of a range, and the last; or one before and one behind, which compacts a little more than asked.
pub(super) fn bounds(edges: &Edges) -> (&[u8], Option<&[u8]>) {
    let last = (edges.upper.kind != EdgeKind::Open).then_some(edges.upper.key.as_slice());
    (&edges.lower.key, last)
}
