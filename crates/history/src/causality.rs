//! Causality of keys that keep concurrent values: does a read return the siblings that it must, and nothing that was
//! replaced? It owns histories of siblings and contexts, and [`ExplicitRegister`], the oracle of such a store. It
//! does not check in which order versions win (see [`crate::durability`]).
//!
//! # The rule
//!
//! The *past* of a write is what the read whose context it carried had returned, and the pasts of those. (A context
//! may stand for more, tombstones for example, which no client sees; so this is the least that it stands for. Values of
//! other keys, and puts that come after the write itself by (invocation, number), are not in its past.) A read returns
//! the maximal writes, those that lie in no other's past, except tombstones:
//!
//! 1. every value was put to that key before the read completed, was not rejected and had not expired before the read
//!    was invoked; none is returned twice;
//! 2. no value lies in the past of another that is returned;
//! 3. no value lies in the past of a write that was acknowledged before the read was invoked;
//! 4. every write `x` that was acknowledged before the read was invoked is returned, or is a tombstone, or lies in the
//!    past of a write `y`, not rejected, that is returned or is a tombstone. Here a tombstone is a delete invoked, or a
//!    put that may have expired, before the read completed.
//!
//! Comparisons are strict: what touches counts as concurrent. The rules hold for reads and writes at levels that
//! overlap (R + W > N). The session guarantees follow from them: the last rule, for a write of the reading process, is
//! *read your writes*, and for a write that the process has seen, *monotonic reads*. A write that was seen but never
//! acknowledged binds nobody, until one that carried the context of that read is acknowledged: then it is in the past
//! of that one, which rules 3 and 4 hold fast.
//!
//! A store that keeps its contexts short by pruning may show a replaced value again, never lose one: so a number of
//! breaches of rules 2 and 3 can be excused.
//!
//! Sources: Schwarz and Mattern, "Detecting Causal Relationships in Distributed Computations" (1994) for causal
//! histories; Terry et al., "Session Guarantees for Weakly Consistent Replicated Data" (1994); DeCandia et al.,
//! "Dynamo" (2007), section 4.4, for siblings and pruned clocks.

mod anomaly;
mod explicit;
mod past;
mod sweep;

pub use anomaly::{Anomaly, Kind};
pub use explicit::{CausalHistory, ExplicitRegister, ExplicitVersion};

pub use crate::contradiction::Impossible;
use crate::contradiction::{by_key, judged_reads};
use crate::{History, Operation};

/// What a history shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings<K> {
    /// What nothing excuses, by the numbers of the reads.
    pub anomalies: Vec<Anomaly<K>>,
    /// Replaced values that were seen again, as often as pruned contexts excuse it, by the numbers of the reads.
    pub excused: Vec<Anomaly<K>>,
}

/// Finds every anomaly among the reads to be judged that nothing excuses: [`examine`] without what is excused.
///
/// ```
/// use kvorum_history::causality::{Kind, anomalies};
/// use kvorum_history::{Action, History, Moment, Outcome};
///
/// let mut history = History::default();
/// let old = history.begin(1, "cart", Action::Put { expiry: None }, None, Moment(0));
/// history.end(old, Outcome::Written { version: None }, Moment(10));
/// let get = history.begin(2, "cart", Action::Get, None, Moment(20));
/// history.end(get, Outcome::Read(vec![old]), Moment(30));
/// let new = history.begin(2, "cart", Action::Put { expiry: None }, Some(get), Moment(40));
/// history.end(new, Outcome::Written { version: None }, Moment(50));
/// let get = history.begin(1, "cart", Action::Get, None, Moment(60));
/// history.end(get, Outcome::Read(vec![new, old]), Moment(70));
///
/// let found = anomalies(&history, |_| true, 0);
/// assert!(matches!(&found[0].kind, Kind::Resurrected { value, by } if value.id == old && by.id == new));
/// assert!(anomalies(&history, |_| true, 1).is_empty(), "one pruned context may cause it");
/// ```
#[must_use]
pub fn anomalies<K: Ord + Clone>(
    history: &History<K>,
    judged: impl Fn(&Operation<K>) -> bool,
    pruned: u64,
) -> Vec<Anomaly<K>> {
    examine(history, judged, pruned).anomalies
}

/// Finds every anomaly among the reads to be judged: those at a level that overlaps all acknowledged writes. A write
/// that is missing, and a replaced value that is back, are each found once, in the first read that shows it.
///
/// `pruned` counts what the store dropped from contexts to keep them short, in entries that can each bring one
/// replaced value back. So many replaced values, in the order of the reads, are excused.
///
/// O(n log n) for n operations and values returned, and for each read the siblings that must be there and the open
/// and concurrent writes of the key from the oldest of these on.
#[must_use]
pub fn examine<K: Ord + Clone>(
    history: &History<K>,
    judged: impl Fn(&Operation<K>) -> bool,
    pruned: u64,
) -> Findings<K> {
    let mut found = Vec::new();
    for operations in by_key(history).values() {
        let reads = judged_reads(operations, &judged);
        if !reads.is_empty() {
            sweep::sweep(history, operations, &reads, &mut found);
        }
    }
    found.sort_by_key(|anomaly| anomaly.read.id);
    let mut left = pruned;
    let excused = |anomaly: &mut Anomaly<K>| {
        let excused = left > 0 && anomaly.is_replaced_value();
        left -= u64::from(excused);
        excused
    };
    let excused = found.extract_if(.., excused).collect();
    Findings { anomalies: found, excused }
}

#[cfg(test)]
mod tests;
