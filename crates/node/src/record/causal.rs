//! Records of `causal` keyspaces: concurrent versions are kept as siblings, until a write with a context that covers
//! them replaces them (design of `kvorum_vclock::Siblings`).
//!
//! What a record remembers of discarded versions is bounded: when a version is minted and when records are merged, the oldest
//! discards beyond [`CONTEXT_ENTRIES`] are pruned. (Were it done only while minting, replicas that others write through
//! would remember without bound.) The price: a replica that still holds a version which was overwritten long ago may
//! bring it back, as a sibling. No write is lost by it.

use core::cmp::Reverse;
use core::convert::Infallible;

use bytes::{BufMut, Bytes};
use kvorum_vclock::{Context, Dot, Siblings, SiblingsView};

use super::cell::{Cell, EXPIRES, TOMBSTONE};
use super::{BadRecord, CAUSAL, Record, Version};
use crate::ActorId;

/// How many concurrent versions a key may have before another one is refused. Merging replicas may exceed it.
pub const MAX_SIBLINGS: usize = 100;
/// How many discards a record keeps. With its siblings' own actors that bounds its context: it has at most this many
/// entries and one for each sibling.
pub const CONTEXT_ENTRIES: usize = 32;

/// Why no version can be added to a causal record. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// It would have more concurrent versions than a key may have.
    #[error(
        "the key has {count} concurrent versions ({bytes} bytes) and takes no more without a context: read it, and write with the context of that read, which replaces them"
    )]
    TooManySiblings {
        /// How many it has.
        count: usize,
        /// The size of its record.
        bytes: usize,
    },
    /// The dot is not newer than what its actor is said to have written: the record or the context was made up, for an
    /// actor's clock never goes back.
    #[error("the key's record cannot be written to: {0}")]
    Dot(#[from] kvorum_vclock::Error),
}

/// The siblings of a record, each with the bytes of its cell.
pub(super) fn siblings(record: &Record) -> Siblings<u64, &[u8]> {
    Siblings::decode(&record.body()[1..]).expect("checked when the record was made")
}

pub(super) fn check(encoded: &[u8]) -> Result<(), BadRecord> {
    let siblings = SiblingsView::parse(encoded).map_err(BadRecord::Siblings)?;
    siblings.values().try_for_each(|(_, cell)| parse_cell(cell).map(drop))
}

fn parse_cell(bytes: &[u8]) -> Result<Cell<'_>, BadRecord> {
    let (flags, content) = bytes.split_first().ok_or(BadRecord::Truncated { len: 0 })?;
    Cell::parse(*flags, content)
}

fn cell(bytes: &[u8]) -> Cell<'_> {
    parse_cell(bytes).expect("checked when the record was made")
}

fn encode_cell(cell: Cell<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cell.len());
    bytes.put_u8(cell.flags());
    cell.put_content(&mut bytes);
    bytes
}

fn encode<V: AsRef<[u8]>>(siblings: &Siblings<u64, V>, room: usize) -> Record {
    let mut bytes = Vec::with_capacity(room);
    bytes.push(CAUSAL);
    siblings.encode(&mut bytes);
    Record(Bytes::from(bytes))
}

pub(super) fn newest(record: &Record) -> Dot<ActorId> {
    let siblings = siblings(record);
    let live = siblings.values().map(|(dot, _)| dot);
    let discarded = siblings.discards().map(|(actor, time)| Dot { time, actor: *actor });
    let Dot { time, actor } =
        live.chain(discarded).max().unwrap_or(Dot { time: kvorum_vclock::Timestamp::MIN, actor: 0 });
    Dot { time, actor: ActorId(actor) }
}

pub(super) fn versions(record: &Record) -> Vec<Version> {
    let siblings = siblings(record);
    let version = |(Dot { time, actor }, bytes): (Dot<u64>, &&[u8])| {
        cell(bytes).version(Dot { time, actor: ActorId(actor) }, &record.0)
    };
    let mut versions: Vec<Version> = siblings.values().map(version).collect();
    versions.sort_unstable_by_key(|version| Reverse(version.dot));
    versions
}

/// The merged record, and how many discards were pruned.
pub(super) fn merge(a: &Record, b: &Record) -> (Record, usize) {
    if a == b {
        return (a.clone(), 0);
    }
    let theirs = siblings(b);
    let mut merged = siblings(a);
    merged.merge(&theirs);
    // A replica may have taken an expired value away already, and the other not: the tombstone wins, as in `lww`
    // records, so that all agree whomever they hear first.
    let stripped: Vec<(Dot<u64>, &[u8])> = theirs
        .values()
        .filter(|(_, bytes)| bytes[0] == TOMBSTONE | EXPIRES)
        .map(|(dot, bytes)| (dot, *bytes))
        .collect();
    if !stripped.is_empty() {
        let choose = |dot: Dot<u64>, mine: &&[u8]| {
            let found = stripped.iter().find(|(stripped, _)| *stripped == dot);
            Ok::<_, Infallible>(found.map_or(*mine, |(_, bytes)| (*bytes).max(mine)).to_vec())
        };
        let Ok(mut chosen) = merged.try_map(choose);
        let pruned = chosen.prune(CONTEXT_ENTRIES);
        return (encode(&chosen, a.0.len() + b.0.len()), pruned);
    }
    let pruned = merged.prune(CONTEXT_ENTRIES);
    (encode(&merged, a.0.len() + b.0.len()), pruned)
}

pub(super) fn map_cells<'a>(record: &'a Record, mut change: impl FnMut(Cell<'a>) -> Cell<'a>) -> Record {
    let Ok(changed) = siblings(record).try_map(|_, bytes| Ok::<_, Infallible>(encode_cell(change(cell(bytes)))));
    encode(&changed, record.0.len())
}

impl Record {
    /// The record after a write: the versions that `context` covers are replaced by a new one, `None` being a tombstone;
    /// the others stay as its siblings. Also how many discards were pruned.
    ///
    /// `dot` must be newer than anything of its actor in the stored record and the context: the caller's clock never
    /// goes back, and its actor is its own.
    ///
    /// # Errors
    /// [`Unwritable::TooManySiblings`] if that left more than [`MAX_SIBLINGS`] versions or more than `max_bytes`, and more
    /// than there are now; [`Unwritable::Dot`] if the dot is not newer.
    pub fn causal(
        stored: Option<&Record>,
        context: &Context<u64>,
        dot: Dot<ActorId>,
        value: Option<&[u8]>,
        expires_at_ms: Option<u64>,
        max_bytes: usize,
    ) -> Result<(Self, usize), Unwritable> {
        let mut after = stored.filter(|stored| stored.is_causal()).map_or_else(Siblings::new, siblings);
        let (count, bytes) = (after.len(), stored.map_or(0, |stored| stored.0.len()));
        let cell = encode_cell(Cell { value, expires_at_ms });
        let dot = Dot { time: dot.time, actor: dot.actor.0 };
        after.put(context, dot, &cell[..])?;
        let pruned = after.prune(CONTEXT_ENTRIES);
        let record = encode(&after, bytes + cell.len() + 32);
        let is_too_much = after.len() > MAX_SIBLINGS || record.0.len() > max_bytes;
        if is_too_much && after.len() > count {
            return Err(Unwritable::TooManySiblings { count, bytes });
        }
        Ok((record, pruned))
    }
}
