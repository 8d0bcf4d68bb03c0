//! Chooses what to compact next. It looks at a version and says which tables are to be merged and where the result goes; it
//! reads no table and changes nothing.
//!
//! - The level that is most above its target comes first; level 0 counts tables, the others bytes.
//! - From level 0 the oldest tables are taken together, into the uppermost level that is in use (`base`).
//! - From any other level one table is taken: the one with the least to rewrite below it, in proportion to its own size. That is
//!   what makes random writes cheap, since a table that overlaps little lets the others ripen.
//! - A table that overlaps nothing on the level below, and not too much on the one below that, is moved by changing the manifest alone.
//! - When nothing else is to be done, tables of which a dropped range hides something are rewritten where they are.

use std::sync::Arc;

use super::busy::Busy;
use crate::options::{LAST_LEVEL, LEVELS, LevelTargets, Options};
use crate::version::{File, Version, hides};

/// What decides whether, and how much, to compact.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// So many flushed tables call for a compaction.
    pub(crate) flushed_tables: usize,
    /// How large levels should be.
    pub(crate) targets: LevelTargets,
    /// Into which level level 0 is compacted: none that has tables lies above it.
    pub(crate) base: usize,
    /// How large a table should be.
    pub(crate) table_bytes: u64,
}

impl Limits {
    /// What the settings say of a version.
    pub(crate) fn new(options: &Options, version: &Version) -> Self {
        let targets = options.level_targets(version.bytes(LAST_LEVEL));
        let used = (1..LEVELS).find(|level| !version.levels[*level].is_empty()).unwrap_or(LAST_LEVEL);
        let (flushed_tables, table_bytes) = (options.l0_compact, options.target_file_bytes);
        Self { flushed_tables, targets, base: targets.base.min(used), table_bytes }
    }

    /// How much a table may overlap on the level two below it: what compacting it will cost one day.
    pub(crate) fn overlap(&self) -> u64 {
        10 * self.table_bytes
    }

    /// How much is taken from level 0 at once.
    fn batch(&self) -> u64 {
        // Fewer would compact the level below several times over; all of them could be more than the disk has room for.
        64 * self.table_bytes
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Merge the tables and write new ones.
    Merge,
    /// Let the tables belong to the next level, as they are.
    Move,
    /// Write the tables anew, on the same level.
    Rewrite,
}

/// Tables to be compacted.
#[derive(Clone)]
pub(crate) struct Pick {
    pub(crate) action: Action,
    pub(crate) level: usize,
    /// The level of the result.
    pub(crate) output: usize,
    /// Tables of `level`.
    pub(crate) inputs: Vec<Arc<File>>,
    /// Those of `output` that overlap them.
    pub(crate) next: Vec<Arc<File>>,
    /// Those below that which overlap either, in order.
    pub(crate) grandparents: Vec<Arc<File>>,
}

impl Pick {
    /// All tables that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<File>> {
        self.inputs.iter().chain(&self.next)
    }

    /// The first and the last user key.
    pub(crate) fn hull(&self) -> (&[u8], &[u8]) {
        hull(self.files()).expect("a compaction has tables")
    }
}

/// The first and the last user key of tables.
fn hull<'a>(files: impl Iterator<Item = &'a Arc<File>>) -> Option<(&'a [u8], &'a [u8])> {
    files.map(|file| (file.meta.first(), file.meta.last())).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// What to compact next; none if all levels are as they should be, or what is to be done meets what is being done.
pub(crate) fn pick(version: &Version, limits: &Limits, busy: &Busy) -> Option<Pick> {
    let mut levels: Vec<(f64, usize)> = (0..LEVELS - 1).map(|level| (score(version, limits, level), level)).collect();
    levels.retain(|(score, _)| *score >= 1.0);
    levels.sort_by(|a, b| b.0.total_cmp(&a.0));
    let chosen = levels.iter().find_map(|(_, level)| match level {
        0 => pick_flushed(version, limits, busy),
        level => pick_cheapest(version, limits, busy, *level),
    });
    chosen.or_else(|| pick_hidden(version, busy))
}

/// How full a level is: from 1 on it calls for a compaction.
pub(crate) fn score(version: &Version, limits: &Limits, level: usize) -> f64 {
    match level {
        0 => version.levels[0].len() as f64 / limits.flushed_tables as f64,
        // What lies above the levels in use is there from a time when there was more; it goes down, without haste.
        _ if level < limits.targets.base => {
            if version.levels[level].is_empty() {
                0.0
            } else {
                1.0
            }
        }
        _ => version.bytes(level) as f64 / limits.targets.bytes[level] as f64,
    }
}

/// By how many bytes the levels together exceed their targets: what compaction is behind.
pub(crate) fn debt(version: &Version, limits: &Limits) -> u64 {
    let flushed = version.levels[0].len().saturating_sub(limits.flushed_tables);
    let above: u64 =
        (1..LEVELS - 1).map(|level| version.bytes(level).saturating_sub(limits.targets.bytes[level])).sum();
    above + version.levels[0].iter().take(flushed).map(|file| file.meta.size).sum::<u64>()
}

/// The oldest flushed tables. Newer ones may stay above: they hide what is older, wherever that is.
fn pick_flushed(version: &Version, limits: &Limits, busy: &Busy) -> Option<Pick> {
    let mut bytes = 0;
    let oldest = version.levels[0].iter().rev().take_while(|file| {
        let fits = bytes == 0 || bytes + file.meta.size <= limits.batch();
        bytes += file.meta.size;
        fits
    });
    downward(version, limits, busy, 0, limits.base, oldest.cloned().collect())
}

/// The table that has the least to rewrite below.
fn pick_cheapest(version: &Version, limits: &Limits, busy: &Busy, level: usize) -> Option<Pick> {
    let cost = |file: &Arc<File>| {
        let below = version.overlapping(level + 1, file.meta.first(), file.meta.last());
        below.map(|file| file.meta.size).sum::<u64>() as f64 / file.meta.size.max(1) as f64
    };
    let mut files: Vec<(f64, &Arc<File>)> = version.levels[level].iter().map(|file| (cost(file), file)).collect();
    files.sort_by(|a, b| a.0.total_cmp(&b.0));
    files.iter().find_map(|(_, file)| downward(version, limits, busy, level, level + 1, vec![(*file).clone()]))
}

/// A compaction of these tables into a level below, unless it would meet another.
fn downward(
    version: &Version,
    limits: &Limits,
    busy: &Busy,
    level: usize,
    output: usize,
    inputs: Vec<Arc<File>>,
) -> Option<Pick> {
    let (first, last) = hull(inputs.iter())?;
    let next: Vec<_> = version.overlapping(output, first, last).cloned().collect();
    let (first, last) = hull(inputs.iter().chain(&next)).expect("there are inputs");
    if busy.meets([level, output], first, last) {
        return None;
    }
    let grandparents: Vec<_> = match output + 1 {
        LEVELS => Vec::new(),
        below => version.overlapping(below, first, last).cloned().collect(),
    };
    let overlap: u64 = grandparents.iter().map(|file| file.meta.size).sum();
    let hidden = inputs.iter().any(|file| version.dropped.iter().any(|range| hides(range, &file.meta)));
    let moves = next.is_empty() && inputs.len() == 1 && overlap <= limits.overlap() && !hidden;
    let action = if moves { Action::Move } else { Action::Merge };
    Some(Pick { action, level, output, inputs, next, grandparents })
}

/// A table of which a dropped range hides something.
fn pick_hidden(version: &Version, busy: &Busy) -> Option<Pick> {
    if version.dropped.is_empty() {
        return None;
    }
    let hidden = |file: &File| version.dropped.iter().any(|range| hides(range, &file.meta));
    let free = |(level, file): &(usize, &Arc<File>)| !busy.meets([*level; 2], file.meta.first(), file.meta.last());
    let (level, file) = version.files().filter(|(_, file)| hidden(file)).find(free)?;
    Some(rewrite(level, file.clone()))
}

/// A compaction of one table on its own level.
pub(crate) fn rewrite(level: usize, file: Arc<File>) -> Pick {
    let (next, grandparents) = (Vec::new(), Vec::new());
    Pick { action: Action::Rewrite, level, output: level, inputs: vec![file], next, grandparents }
}

/// A compaction of all tables of a level that overlap a range of user keys, into the next level in use. None if there
/// are none; `Err` if it would meet a running one.
pub(crate) fn pick_range(
    version: &Version,
    limits: &Limits,
    busy: &Busy,
    level: usize,
    first: &[u8],
    last: Option<&[u8]>,
) -> Option<Result<Pick, Meets>> {
    let wanted = |file: &&Arc<File>| file.meta.last() >= first && last.is_none_or(|last| file.meta.first() <= last);
    let mut inputs: Vec<_> = version.levels[level].iter().filter(wanted).cloned().collect();
    if inputs.is_empty() {
        return None;
    }
    if level == 0 {
        inputs = version.levels[0].to_vec();
    }
    let output = (level + 1).max(limits.base);
    let pick = downward(version, limits, busy, level, output, inputs);
    Some(pick.ok_or(Meets))
}

/// A running compaction is in the way.
#[derive(Debug)]
pub(crate) struct Meets;
