//! In doubt: this node may have lost writes that it had acknowledged. It takes writes and answers no reads, until its
//! shards have pulled from others what it lacks (`shard/pull.rs`). The mark is kept over restarts.
//!
//! A node with no other replica of what it holds has nobody to ask, and doubt would help nobody: it goes on with what is
//! there, and says so.
//!
//! When all are in doubt each pulls from all others, and then knows all that is left.

use std::sync::Arc;

use super::{Control, ControlEffect, Note, emit, note};
use crate::{PullProgress, ShardIndex};

impl Control {
    /// This node may have lost something.
    pub(super) fn doubt(&mut self, why: &str, out: &mut impl Extend<ControlEffect>) {
        if self.meta.in_doubt.is_none() {
            self.meta.in_doubt = Some(why.into());
            self.pulls.clear();
            self.identity_changed();
            self.tell_meta();
            note(out, Note::InDoubt { why: why.to_owned() });
        }
    }

    /// It has what it lacked, or nobody has.
    pub(super) fn end_doubt(&mut self, how: DoubtEnd, out: &mut impl Extend<ControlEffect>) {
        if self.meta.in_doubt.take().is_some() {
            self.pulls.clear();
            (self.meta.pulled, self.meta.to_pull) = (0, 0);
            self.identity_changed();
            self.tell_meta();
            note(out, Note::DoubtEnded { how });
        }
    }

    /// A shard tells how far it is with pulling; when all of them have pulled all, the doubt is over.
    pub(super) fn pulled(&mut self, shard: ShardIndex, progress: PullProgress, out: &mut impl Extend<ControlEffect>) {
        if self.meta.in_doubt.is_none() || usize::from(shard.0) >= self.shards {
            return;
        }
        self.pulls.insert(shard, progress);
        let is_complete = self.pulls.values().all(PullProgress::is_complete);
        if is_complete && self.pulls.len() == self.shards {
            return self.end_doubt(DoubtEnd::Pulled, out);
        }
        let sum = |of: fn(&PullProgress) -> u32| self.pulls.values().map(of).sum::<u32>();
        let (pulled, to_pull) = (sum(|progress| progress.pulled), sum(|progress| progress.of));
        if (self.meta.pulled, self.meta.to_pull) != (pulled, to_pull) {
            (self.meta.pulled, self.meta.to_pull) = (pulled, to_pull);
            self.tell_meta();
        }
    }

    /// What follows from what is known of the others.
    pub(super) fn settle_doubt(&mut self, out: &mut impl Extend<ControlEffect>) {
        if self.meta.in_doubt.is_none() || self.fitness().bar.is_some() {
            return;
        }
        let Some(layout) = &self.layout else { return };
        let shares = |row: &[u16]| row.len() > 1 && layout.index_of(self.me).is_some_and(|me| row.contains(&me));
        if !layout.table().rows().any(|(_, row)| shares(row)) {
            self.end_doubt(DoubtEnd::Alone, out);
        }
    }

    /// The identity on disk must be written again.
    pub(super) fn identity_changed(&mut self) {
        self.identity_unsaved = true;
        self.view_is_stale = true;
    }

    pub(super) fn save_identity(&mut self, out: &mut impl Extend<ControlEffect>) {
        if self.identity_unsaved && !self.identity_saving {
            (self.identity_unsaved, self.identity_saving) = (false, true);
            let in_doubt: Option<Arc<str>> = self.meta.in_doubt.clone();
            emit(out, ControlEffect::SaveIdentity { boot: self.boot, in_doubt });
        }
    }
}

/// Why a doubt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoubtEnd {
    /// The node has pulled what it lacked.
    Pulled,
    /// No other node holds what this one holds.
    Alone,
}
