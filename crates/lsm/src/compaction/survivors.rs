//! Decides what of merged tables is written again: versions that nobody can see any more go, and so do deletions with
//! nothing left to hide, dropped ranges, and what the user's filter removes.

use super::filter::{CompactionFilter, Decision};
use crate::batch::MAX_VALUE;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::key::{self, Kind, Sequence};
use crate::version::Dropped;
use crate::version::dropped::covered;

/// By what it is decided.
pub(crate) struct Rules<'a> {
    /// Sequence numbers at which somebody reads, ascending; the last one is that of readers who come now.
    pub(crate) snapshots: &'a [Sequence],
    /// The newest of them that somebody holds: what it sees the filter may not remove.
    pub(crate) held: Option<Sequence>,
    pub(crate) dropped: &'a [Dropped],
    pub(crate) filter: Option<&'a dyn CompactionFilter>,
}

/// Why entries were not written again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) hidden: u64,
    pub(crate) tombstones: u64,
    pub(crate) dropped: u64,
    pub(crate) filtered: u64,
    /// These stay, with another value.
    pub(crate) replaced: u64,
}

/// Hands on what survives, from where the cursor stands to its end. `lowest` says whether no table below may hold an older version of a key;
/// it is asked with ascending keys.
pub(crate) fn survivors(
    cursor: &mut dyn Cursor,
    rules: &Rules<'_>,
    mut lowest: impl FnMut(&[u8]) -> bool,
    mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<Gone> {
    let mut gone = Gone::default();
    let mut current: Vec<u8> = Vec::new();
    let mut tombstone: Vec<u8> = Vec::new();
    // Which snapshot, counted from the oldest, was the oldest to see the last version of the current key.
    let mut seen = None;
    while let Some((internal, value)) = cursor.entry() {
        let (user_key, trailer) = key::split(internal);
        let sequence = trailer >> 8;
        let kind = Kind::from_byte(trailer as u8)
            .ok_or(Error::Invalid("an entry is of a kind that this version does not know"))?;
        if current != user_key || current.is_empty() {
            current.clear();
            current.extend_from_slice(user_key);
            seen = None;
        }
        let viewer = rules.snapshots.partition_point(|snapshot| *snapshot < sequence);
        let oldest = viewer == 0;
        if seen == Some(viewer) && viewer < rules.snapshots.len() {
            gone.hidden += 1;
        } else if covered(rules.dropped, user_key, sequence) {
            gone.dropped += 1;
        } else {
            seen = Some(viewer);
            let decision = match rules.filter {
                Some(filter) if kind == Kind::Put && rules.held.is_none_or(|held| sequence > held) => {
                    filter.decide(user_key, value)
                }
                _ => Decision::Keep,
            };
            match decision {
                Decision::Keep if kind == Kind::Delete && oldest && lowest(user_key) => gone.tombstones += 1,
                Decision::Keep => each(internal, value)?,
                Decision::Remove => {
                    gone.filtered += 1;
                    if !(oldest && lowest(user_key)) {
                        tombstone.clear();
                        key::encode(user_key, sequence, Kind::Delete, &mut tombstone);
                        each(&tombstone, &[])?;
                    }
                }
                Decision::Replace(value) if value.len() > MAX_VALUE => {
                    return Err(Error::Invalid("the compaction filter made a value that is too long"));
                }
                Decision::Replace(value) => {
                    gone.replaced += 1;
                    each(internal, &value)?;
                }
            }
        }
        cursor.next()?;
    }
    Ok(gone)
}
