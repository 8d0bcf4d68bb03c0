//! Stale reads: does a read at a level that overlaps every acknowledged write see the last of them? It owns the
//! question for keys of one value; what concurrent values may stand side by side is asked in [`crate::causality`],
//! and whether all operations together fit one order in [`crate::linearizability`].
//!
//! # The rule
//!
//! A key is absent by its initial state, which counts as acknowledged before everything, by a delete, or by a put that
//! may have expired when the read completed. A read returns the value of some put, or nothing. The write `w` it
//! returns is *legal* if
//!
//! 1. `w` was invoked before the read completed, on the same key, was not rejected, and, if it is read as a value, had
//!    not certainly expired before the read was invoked; and
//! 2. `w` is *open* (indeterminate, or still under way: it may take effect at any later time, even after it was given
//!    up), or there is no acknowledged write `x` of the key such that `w` completed before `x` was invoked and `x`
//!    completed before the read was invoked.
//!
//! An absent key is legal if any of the writes that could have made it absent is. Comparisons are strict, so what
//! touches counts as concurrent. If a read returns several values, each is judged by the first part alone.
//!
//! Reads of open writes bind nobody: one read may see a write that is open and a later read may not. So the rule is
//! weaker than linearizability. It is what a quorum system promises with R + W > N and W + W > N (Gifford, "Weighted
//! Voting for Replicated Data", 1979), and what it breaks with R + W <= N.

pub use crate::contradiction::{Contradiction as StaleRead, Impossible, Reason};
use crate::durability::Order;
use crate::{History, Operation};

/// Finds every stale or impossible read among those to be judged, which are the reads at a level that overlaps all
/// acknowledged writes. In the order of their numbers; one finding for each value that has no explanation. O(n log n).
///
/// ```
/// use kvorum_history::{Action, History, Moment, Outcome, quorum};
///
/// let mut history = History::default();
/// let put = history.begin(1, "cart", Action::Put { expiry: None }, None, Moment(0));
/// history.end(put, Outcome::Written { version: None }, Moment(10));
/// let get = history.begin(2, "cart", Action::Get, None, Moment(20));
/// history.end(get, Outcome::Read(vec![]), Moment(30));
///
/// let stale = quorum::stale_reads(&history, |_| true);
/// assert_eq!(stale[0].witnesses(), [get, put]);
/// ```
#[must_use]
pub fn stale_reads<K: Ord + Clone>(history: &History<K>, judged: impl Fn(&Operation<K>) -> bool) -> Vec<StaleRead<K>> {
    crate::contradiction::contradictions(history, Order::RealTime, judged)
}

#[cfg(test)]
mod tests;
