//! How a range of keys is dropped at once: what is in memory goes into tables first, then one edit of the manifest hides all that the
//! tables have of the range. Tables that have nothing else leave with the same edit.

use super::engine::Engine;
use crate::compaction::pick::rewrite;
use crate::error::Result;
use crate::iter::{EdgeKind, Edges};
use crate::version::Dropped;

impl Engine {
    /// Drops all keys of a range, as of now.
    pub(crate) fn drop_range(&self, edges: &Edges) -> Result<()> {
        // No write comes in between, so all that is dropped is in tables, and nothing else has those sequence numbers.
        let mut log = self.lock_log();
        self.health.check()?;
        self.seal(&mut log).inspect_err(|error| self.poison(error))?;
        let upto = log.writer.last_sequence();
        self.flush_upto(upto)?;
        let Some(range) = dropped(edges, self.new_number(), upto) else { return Ok(()) };

        // Tables that are being compacted stay; what becomes of them is compacted again.
        let mut state = self.jobs.state();
        let mut picks = Vec::new();
        for (level, file) in self.views.load().version.files() {
            let (first, last) = (file.meta.first(), file.meta.last());
            if range.contains(first) && range.contains(last) && !state.busy.meets([level; 2], first, last) {
                picks.push(rewrite(level, file.clone()));
            }
        }
        // They may be neighbours on one level, so they are reserved together.
        let reservations: Vec<u64> = picks.iter().map(|pick| state.busy.reserve_together(pick)).collect();
        drop(state);
        let installed = self.install(
            |version, edit| {
                edit.removed.extend(picks.iter().map(|pick| (pick.level, pick.inputs[0].meta.number)));
                let mut dropped = version.dropped.to_vec();
                // A range inside the new one has nothing more to say.
                dropped.retain(|old| !range.includes(old));
                dropped.push(range);
                edit.dropped = Some(dropped);
            },
            None,
        );
        self.jobs.finish(|state| reservations.iter().for_each(|reservation| state.busy.release(*reservation)));
        installed
    }
}

/// The range as it is remembered: from its first key to before its end. None if there can be no key in it.
fn dropped(edges: &Edges, id: u64, upto: u64) -> Option<Dropped> {
    let mut start = edges.lower.key.clone();
    if edges.lower.kind == EdgeKind::Excluded {
        start.push(0);
    }
    let mut end = edges.upper.key.clone();
    if edges.upper.kind == EdgeKind::Included {
        end.push(0);
    }
    let end = (edges.upper.kind != EdgeKind::Open).then(|| end.into_boxed_slice());
    let empty = end.as_deref().is_some_and(|end| end <= start.as_slice());
    (!empty).then(|| Dropped { id, start: start.into(), end, upto })
}
