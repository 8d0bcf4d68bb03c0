//! The durability checker: no acknowledged write is lost. It looks at a history and at nothing else.
//!
//! # The rule
//!
//! A read of a key at a level that overlaps every write's (R + W > N) returns the value of some put, or nothing.
//! Nothing is returned by the key's initial state, which counts as acknowledged before everything, or by a delete.
//! The write `w` it returns is *legal* if
//!
//! 1. `w` was invoked before the read completed, on the same key, and was not rejected; and
//! 2. `w` is *open* (indeterminate, or still under way: it may take effect at any later time, even after it was
//!    given up), or there is no acknowledged write `x` of the key such that `w` completed before `x` was invoked and
//!    `x` completed before the read was invoked.
//!
//! An absent key is legal if any of the writes that could have made it absent is legal. Comparisons are strict, so
//! what touches counts as concurrent.
//!
//! Reads of open writes bind nobody: nothing repairs replicas yet, so one read may see a write that is open and a
//! later read may not. For the same reason the rule is weaker than linearizability.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use crate::history::{Action, History, Operation, Outcome};

/// A read that contradicts an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostWrite {
    /// The read.
    pub read: Operation,
    /// What it returned: the put, or nothing.
    pub returned: Option<Operation>,
    /// Why that is impossible.
    pub reason: Reason,
}

/// Why a read's result is impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This write was acknowledged before the read began, and began after what was read had been acknowledged.
    Superseded(Operation),
    /// The put is one of another key, or began after the read had ended.
    NotWrittenYet,
    /// The put was said to be certainly not applied.
    Rejected,
    /// Nobody ever wrote that.
    Unknown,
}

impl fmt::Display for LostWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the read      {}", self.read)?;
        match &self.returned {
            Some(put) => writeln!(f, "  returned    {put}")?,
            None => writeln!(f, "  returned    nothing")?,
        }
        match &self.reason {
            Reason::Superseded(by) => write!(f, "  and lost    {by}"),
            Reason::NotWrittenYet => f.write_str("  which had not been written to that key"),
            Reason::Rejected => f.write_str("  which was rejected"),
            Reason::Unknown => f.write_str("  which nobody wrote"),
        }
    }
}

/// Judges every read of a history, those during the faults as well as the last ones.
#[must_use]
pub fn durability(history: &History) -> Vec<LostWrite> {
    let mut keys: BTreeMap<usize, Key> = BTreeMap::new();
    for operation in history.operations() {
        keys.entry(operation.key).or_default().add(operation);
    }
    for key in keys.values_mut() {
        key.prepare();
    }
    let mut lost = Vec::new();
    for read in history.operations() {
        let Some(completed) = read.completed else { continue };
        let returned = match read.outcome {
            Outcome::Read(Some(id)) => history.operations().get(id.0),
            Outcome::Read(None) | Outcome::ReadUnknown => None,
            _ => continue,
        };
        let key = &keys[&read.key];
        let reason = match (read.outcome, returned) {
            (Outcome::Read(None), _) => key.why_not_absent(read, completed),
            (_, Some(put)) => key.why_not(put, read, completed),
            (_, None) => Some(Reason::Unknown),
        };
        if let Some(reason) = reason {
            lost.push(LostWrite { read: *read, returned: returned.copied(), reason });
        }
    }
    lost
}

/// The writes of one key.
#[derive(Default)]
struct Key {
    /// The acknowledged ones by completion, each with the one invoked last among those up to it.
    acknowledged: Vec<(Duration, Operation)>,
    deletes: Vec<Operation>,
}

impl Key {
    fn add(&mut self, operation: &Operation) {
        if operation.action == Action::Delete {
            self.deletes.push(*operation);
        }
        if let (Outcome::Written, Some(completed)) = (operation.outcome, operation.completed) {
            self.acknowledged.push((completed, *operation));
        }
    }

    fn prepare(&mut self) {
        self.acknowledged.sort_by_key(|(completed, operation)| (*completed, operation.id));
        for at in 1..self.acknowledged.len() {
            let before = self.acknowledged[at - 1].1;
            if before.invoked > self.acknowledged[at].1.invoked {
                self.acknowledged[at].1 = before;
            }
        }
    }

    /// Of the writes acknowledged before a read began, the one that was invoked last: if any of them supersedes
    /// a version, this one does.
    fn last_before(&self, read: &Operation) -> Option<&Operation> {
        let count = self.acknowledged.partition_point(|(completed, _)| *completed < read.invoked);
        Some(&self.acknowledged[..count].last()?.1)
    }

    fn why_not(&self, write: &Operation, read: &Operation, completed: Duration) -> Option<Reason> {
        if write.action == Action::Get || write.key != read.key || write.invoked > completed {
            return Some(Reason::NotWrittenYet);
        }
        if write.outcome == Outcome::Rejected {
            return Some(Reason::Rejected);
        }
        let acknowledged = if write.is_open_write() { return None } else { write.completed? };
        let last = self.last_before(read)?;
        (acknowledged < last.invoked).then_some(Reason::Superseded(*last))
    }

    fn why_not_absent(&self, read: &Operation, completed: Duration) -> Option<Reason> {
        let last = self.last_before(read)?;
        let deleted = self.deletes.iter().any(|delete| self.why_not(delete, read, completed).is_none());
        (!deleted).then_some(Reason::Superseded(*last))
    }
}

#[cfg(test)]
mod tests;
