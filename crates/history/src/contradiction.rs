//! When a read of a key that holds one value contradicts the writes of that key: the rule that [`crate::quorum`] and
//! [`crate::durability`] share. Which reads are judged, and in what order writes supersede each other, is theirs to
//! say. Keys that keep concurrent values side by side belong to [`crate::causality`].

mod supersession;

use core::fmt;
use std::collections::BTreeMap;

use supersession::Writes;

use crate::durability::Order;
use crate::{Action, History, Moment, OpId, Operation, Outcome};

/// A read that contradicts an acknowledgement, or that nothing can explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction<K> {
    /// The read.
    pub read: Operation<K>,
    /// What it returned, or the one impossible value among what it returned. None, if it said that the key is absent,
    /// and if no operation has the number it returned.
    pub returned: Option<Operation<K>>,
    /// Why that cannot be.
    pub reason: Reason<K>,
}

/// Why the result of a read contradicts the other operations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<K> {
    /// This write was acknowledged before the read began, it supersedes what was read, and the read missed it.
    Lost(Operation<K>),
    /// The same, and the write is a delete: a value that was deleted has come back.
    Resurrected(Operation<K>),
    /// No order of the writes explains the value.
    Impossible(Impossible),
}

/// Why a read cannot have returned a value, whatever else was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Impossible {
    /// No put of the history wrote it.
    Unknown,
    /// It was written to another key, or its put began after the read had ended.
    NotWrittenYet,
    /// Its put was said to be certainly not applied: an aborted read (G1a in Adya's terms).
    Rejected,
    /// It had certainly expired before the read began.
    Expired,
}

impl Impossible {
    /// Judges a value by its put, if there is one, and the read alone. O(1).
    pub(crate) fn of<K: Eq>(put: Option<&Operation<K>>, read: Read<'_, K>) -> Option<Self> {
        let Some(Operation { action: Action::Put { expiry }, key, invoked, outcome, .. }) = put else {
            return Some(Self::Unknown);
        };
        if *key != read.operation.key || *invoked > read.completed {
            Some(Self::NotWrittenYet)
        } else if *outcome == Outcome::Rejected {
            Some(Self::Rejected)
        } else if expiry.is_some_and(|expiry| expiry.latest < read.operation.invoked) {
            Some(Self::Expired)
        } else {
            None
        }
    }
}

/// A read that ended and returned something.
pub(crate) struct Read<'a, K> {
    pub(crate) operation: &'a Operation<K>,
    pub(crate) completed: Moment,
    /// The values, by the numbers of their puts. None, if it saw what nobody wrote.
    pub(crate) seen: Option<&'a [OpId]>,
}

impl<K> Clone for Read<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Read<'_, K> {}

impl<'a, K> Read<'a, K> {
    pub(crate) fn of(operation: &'a Operation<K>) -> Option<Self> {
        let seen = match &operation.outcome {
            Outcome::Read(seen) => Some(seen.as_slice()),
            Outcome::ReadUnknown => None,
            _ => return None,
        };
        let completed = operation.completed?;
        (!operation.is_write()).then_some(Self { operation, completed, seen })
    }
}

/// From when on a write may make its key absent: a delete as soon as it is asked for, a put once it may have expired.
/// Other puts, and what was rejected, never do.
pub(crate) fn absent_from<K>(write: &Operation<K>) -> Option<Moment> {
    match write.action {
        _ if write.outcome == Outcome::Rejected => None,
        Action::Delete => Some(write.invoked),
        Action::Put { expiry } => Some(expiry?.earliest.max(write.invoked)),
        Action::Get => None,
    }
}

/// The operations of each key, by number.
pub(crate) fn by_key<K: Ord>(history: &History<K>) -> BTreeMap<&K, Vec<&Operation<K>>> {
    let mut keys: BTreeMap<&K, Vec<&Operation<K>>> = BTreeMap::new();
    for operation in history.operations() {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys
}

/// The reads to judge among the operations of a key, by invocation.
pub(crate) fn judged_reads<'a, K>(
    operations: &[&'a Operation<K>],
    judged: &impl Fn(&Operation<K>) -> bool,
) -> Vec<Read<'a, K>> {
    let mut reads: Vec<_> = operations.iter().filter_map(|operation| Read::of(operation)).collect();
    reads.retain(|read| judged(read.operation));
    reads.sort_by_key(|read| (read.operation.invoked, read.operation.id));
    reads
}

/// All contradictions among the judged reads, by the numbers of the reads. O(n log n).
pub(crate) fn contradictions<K: Ord + Clone>(
    history: &History<K>,
    order: Order,
    judged: impl Fn(&Operation<K>) -> bool,
) -> Vec<Contradiction<K>> {
    let mut found = Vec::new();
    for operations in by_key(history).values() {
        let reads = judged_reads(operations, &judged);
        if reads.is_empty() {
            continue;
        }
        let mut writes = Writes::new(operations, order);
        for read in reads {
            writes.advance(read.operation.invoked);
            judge(history, &writes, read, &mut found);
        }
    }
    found.sort_by_key(|contradiction| contradiction.read.id);
    found
}

fn judge<K: Ord + Clone>(
    history: &History<K>,
    writes: &Writes<'_, K>,
    read: Read<'_, K>,
    found: &mut Vec<Contradiction<K>>,
) {
    let mut report = |returned: Option<&Operation<K>>, reason| {
        found.push(Contradiction { read: read.operation.clone(), returned: returned.cloned(), reason });
    };
    let seen = match read.seen {
        None => return report(None, Reason::Impossible(Impossible::Unknown)),
        Some([]) => match writes.superseding_absence(read.completed) {
            Some(by) => return report(None, Reason::Lost(by.clone())),
            None => return,
        },
        Some(seen) => seen,
    };
    for id in seen {
        let put = history.get(*id);
        if let Some(impossible) = Impossible::of(put, read) {
            report(put, Reason::Impossible(impossible));
            continue;
        }
        let by = put.filter(|_| seen.len() == 1).and_then(|put| writes.superseding(put, read.operation.saw));
        match by {
            Some(by) if by.action == Action::Delete => report(put, Reason::Resurrected(by.clone())),
            Some(by) => report(put, Reason::Lost(by.clone())),
            None => {}
        }
    }
}

impl<K> Contradiction<K> {
    /// The operations that show it: the read, what it returned, what it missed.
    #[must_use]
    pub fn witnesses(&self) -> Vec<OpId> {
        let by = match &self.reason {
            Reason::Lost(by) | Reason::Resurrected(by) => Some(by.id),
            Reason::Impossible(_) => None,
        };
        [Some(self.read.id), self.returned.as_ref().map(|put| put.id), by].into_iter().flatten().collect()
    }
}

impl<K: fmt::Display> fmt::Display for Contradiction<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the read      {}", self.read)?;
        match &self.returned {
            Some(put) => writeln!(f, "  returned    {put}")?,
            None => f.write_str("  returned    nothing that was put\n")?,
        }
        match &self.reason {
            Reason::Lost(by) => write!(f, "  and lost    {by}"),
            Reason::Resurrected(by) => write!(f, "  despite     {by}"),
            Reason::Impossible(impossible) => write!(f, "  {impossible}"),
        }
    }
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "which nobody wrote",
            Self::NotWrittenYet => "which had not been written to that key",
            Self::Rejected => "which was rejected",
            Self::Expired => "which had expired",
        })
    }
}

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
