//! Lost and resurrected writes: is every acknowledged write still there, or replaced by another, once the faults are
//! over? It owns the question for keys of one value; see [`crate::causality`] for siblings. It does not ask whether
//! replicas agree: that is [`crate::convergence`].
//!
//! # The rule
//!
//! That of [`crate::quorum`], for the reads of the calm after the faults, which see what all replicas together hold.
//! What supersedes what depends on the store's [`Order`]. In [`Order::Versions`]
//!
//! * a value is lost if a write with a larger version was acknowledged before the read began, whenever the two were
//!   written; and
//! * a key may be absent unless there is a put, acknowledged before the read began, that is not itself a possible
//!   absence (expired), and that supersedes every delete and every possibly expired put.
//!
//! Open writes have no version that anyone knows; they may win, or not, at any time. But where the store tells as which
//! version it returned one ([`Operation::saw`](crate::Operation::saw)), that version counts as any other.

pub use crate::contradiction::{Contradiction as LostWrite, Impossible, Reason};
use crate::{History, Moment};

/// What decides between two acknowledged writes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A write supersedes those that were acknowledged before it was invoked; concurrent ones may win in either order.
    /// For stores whose writes overlap (W + W > N).
    RealTime,
    /// A write supersedes those of smaller [`Version`](crate::Version), whatever the times: a later write may lose to
    /// an earlier one. For last-writer-wins stores whose blind writes need not overlap (W + W <= N). A pair of writes
    /// of which one was acknowledged without a version is ordered by real time.
    Versions,
}

/// Finds every acknowledged write that is lost, and every deleted value that has come back, according to the reads
/// invoked at or after `since`; impossible values too. In the order of the reads' numbers. O(n log n).
///
/// ```
/// use kvorum_history::durability::{Order, Reason, lost_writes};
/// use kvorum_history::{Action, History, Moment, Outcome, Version};
///
/// let mut history = History::default();
/// let put = history.begin(1, "cart", Action::Put { expiry: None }, None, Moment(0));
/// history.end(put, Outcome::Written { version: Some(Version(7)) }, Moment(10));
/// let delete = history.begin(1, "cart", Action::Delete, None, Moment(20));
/// history.end(delete, Outcome::Written { version: Some(Version(8)) }, Moment(30));
/// let get = history.begin(2, "cart", Action::Get, None, Moment(90));
/// history.end(get, Outcome::Read(vec![put]), Moment(95));
///
/// let lost = lost_writes(&history, Moment(90), Order::Versions);
/// assert!(matches!(&lost[0].reason, Reason::Resurrected(by) if by.id == delete));
/// ```
#[must_use]
pub fn lost_writes<K: Ord + Clone>(history: &History<K>, since: Moment, order: Order) -> Vec<LostWrite<K>> {
    crate::contradiction::contradictions(history, order, |read| read.invoked >= since)
}

#[cfg(test)]
mod tests;
