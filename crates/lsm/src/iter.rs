//! Owns the way from many sorted sources to what a user sees: [`MergeCursor`] makes one order of several sources, [`LevelCursor`] one
//! source of a level's tables, [`SnapshotCursor`] shows of all versions those that a snapshot sees, and [`Range`] offers
//! that as an iterator. It neither chooses the sources nor keeps them from being deleted.

mod bounds;
mod level;
mod merge;
mod range;
mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use bounds::{EdgeKind, Edges};
pub(crate) use level::{Level, LevelCursor};
pub(crate) use merge::MergeCursor;
pub use range::Range;
#[cfg(test)]
pub(crate) use snapshot::SnapshotCursor;
