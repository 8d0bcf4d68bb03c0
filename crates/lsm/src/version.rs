//! Owns the durable part of the database at one moment: which tables lie on which level, which ranges were dropped, and from
//! which log on there is more. A version never changes; readers hold on to theirs while newer ones are made by [`Edit`]s.
//! What is in memory only is not part of it.
//!
//! Level 0 has what was flushed, newest first; its tables overlap. On every other level tables are sorted and have no user key in
//! common, not even different versions of one, and all versions of a key there are older than on the levels above.

use std::sync::Arc;

use crate::key::Sequence;
use crate::options::LEVELS;

pub(crate) mod dropped;
pub(crate) mod edit;
pub(crate) mod file;
pub(crate) mod manifest;
#[cfg(test)]
mod tests;

pub(crate) use dropped::Dropped;
pub(crate) use edit::Edit;
pub(crate) use file::{File, FileMeta, Home};

/// Tables of one level.
pub(crate) type Level = Arc<[Arc<File>]>;

/// What lies on the disk at one moment.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) levels: [Level; LEVELS],
    pub(crate) dropped: Arc<[Dropped]>,
    /// What logs with lower numbers held is in the tables.
    pub(crate) log_number: u64,
    /// All up to this sequence is in the tables, or was superseded.
    pub(crate) flushed: Sequence,
}

impl Version {
    /// A database without anything in it.
    pub(crate) fn empty() -> Self {
        Self { levels: std::array::from_fn(|_| Level::from([])), dropped: Arc::from([]), log_number: 0, flushed: 0 }
    }

    /// The version after an edit.
    ///
    /// # Errors
    /// What in the edit contradicts this version; from a manifest that means corruption.
    pub(crate) fn apply(
        &self,
        edit: &Edit,
        mut file: impl FnMut(&FileMeta) -> Arc<File>,
    ) -> Result<Self, &'static str> {
        if edit.log_number < self.log_number || edit.flushed < self.flushed {
            return Err("an edit goes back behind an earlier one");
        }
        let mut next = Self { log_number: edit.log_number, flushed: edit.flushed, ..self.clone() };
        for (level, now) in next.levels.iter_mut().enumerate() {
            let removed: Vec<u64> =
                edit.removed.iter().filter(|(at, _)| *at == level).map(|(_, number)| *number).collect();
            let mut added = edit.added.iter().filter(|(at, _)| *at == level).peekable();
            if removed.is_empty() && added.peek().is_none() {
                continue;
            }
            let mut files: Vec<Arc<File>> = now.to_vec();
            files.retain(|file| !removed.contains(&file.meta.number));
            if files.len() + removed.len() != now.len() {
                return Err("an edit removes a table that is not there");
            }
            files.extend(added.map(|(_, meta)| file(meta)));
            if level == 0 {
                files.sort_by_key(|file| std::cmp::Reverse((file.meta.newest, file.meta.number)));
            } else {
                files.sort_by(|a, b| a.meta.first().cmp(b.meta.first()));
                if !files.is_sorted_by(|a, b| a.meta.last() < b.meta.first()) {
                    return Err("two tables of a level overlap");
                }
            }
            *now = files.into();
        }
        if let Some(dropped) = &edit.dropped {
            next.dropped = dropped.as_slice().into();
        }
        Ok(next)
    }

    /// An edit that changes nothing yet.
    pub(crate) fn edit(&self, next_file: u64) -> Edit {
        Edit { next_file, log_number: self.log_number, flushed: self.flushed, ..Edit::default() }
    }

    /// The edit that makes this version of an empty one.
    pub(crate) fn whole(&self, next_file: u64) -> Edit {
        let mut edit = self.edit(next_file);
        edit.added = self.files().map(|(level, file)| (level, file.meta.clone())).collect();
        edit.dropped = Some(self.dropped.to_vec());
        edit
    }

    /// All tables with their levels.
    pub(crate) fn files(&self) -> impl Iterator<Item = (usize, &Arc<File>)> {
        self.levels.iter().enumerate().flat_map(|(level, files)| files.iter().map(move |file| (level, file)))
    }

    /// What the tables of a level are long together, in bytes.
    pub(crate) fn bytes(&self, level: usize) -> u64 {
        self.levels[level].iter().map(|file| file.meta.size).sum()
    }

    /// The tables of a level that may hold a user key from `first` to `last`.
    pub(crate) fn overlapping<'a>(
        &'a self,
        level: usize,
        first: &'a [u8],
        last: &'a [u8],
    ) -> impl Iterator<Item = &'a Arc<File>> {
        let files = &self.levels[level];
        // On level 0 all are looked at, on the others those in between are found by halving.
        let (from, to) = match level {
            0 => (0, files.len()),
            _ => {
                let from = files.partition_point(|file| file.meta.last() < first);
                (from, from + files[from..].partition_point(|file| file.meta.first() <= last))
            }
        };
        files[from..to].iter().filter(move |file| file.meta.overlaps(first, last))
    }

    /// The one table of a level below 0 that may hold a key.
    pub(crate) fn holding(&self, level: usize, key: &[u8]) -> Option<&File> {
        let files = &self.levels[level];
        let file = files.get(files.partition_point(|file| file.meta.last() < key))?;
        (file.meta.first() <= key).then_some(&**file)
    }

    /// The dropped ranges that still hide something in a table.
    pub(crate) fn dropped_in_use(&self) -> Vec<Dropped> {
        let hides = |range: &&Dropped| self.files().any(|(_, file)| hides(range, &file.meta));
        self.dropped.iter().filter(hides).cloned().collect()
    }
}

/// Whether a dropped range may hide something in a table.
pub(crate) fn hides(range: &Dropped, meta: &FileMeta) -> bool {
    meta.cleaned < range.id && meta.oldest <= range.upto && range.overlaps(meta.first(), meta.last())
}
