//! What can be wrong with a read of siblings, in the field's words, and how it is told. It finds nothing itself.

use core::fmt;

use crate::contradiction::Impossible;
use crate::{OpId, Operation};

/// A read that breaks causality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly<K> {
    /// The read.
    pub read: Operation<K>,
    /// What is wrong with it.
    pub kind: Kind<K>,
}

/// How a read breaks causality.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind<K> {
    /// It returned a value that no order of the writes explains.
    Impossible {
        /// What has the number that was returned, if anything has.
        value: Option<Operation<K>>,
        /// Why it cannot be.
        why: Impossible,
    },
    /// It returned this put twice.
    Duplicate(Operation<K>),
    /// It returned a value beside one that replaced it: the two are not concurrent. (The one that replaced it was not
    /// acknowledged when the read began.)
    Overwritten {
        /// What was replaced.
        value: Operation<K>,
        /// What has it in its past, and was returned as well.
        by: Operation<K>,
    },
    /// It returned a value that had been replaced or deleted before it began.
    Resurrected {
        /// What was replaced.
        value: Operation<K>,
        /// The acknowledged write that has it in its past.
        by: Operation<K>,
    },
    /// It missed this acknowledged write, and nothing that replaced the write is there instead.
    Lost(Operation<K>),
    /// The same, for a write of the reading process: *read your writes* is broken.
    ReadYourWrites(Operation<K>),
    /// The same, for a write that the reading process had seen: *monotonic reads* is broken.
    MonotonicReads {
        /// What is missing.
        write: Operation<K>,
        /// The read of the same process that saw it.
        seen: Operation<K>,
    },
}

impl<K> Anomaly<K> {
    /// Whether it shows a replaced value again, which a store that prunes its contexts may do.
    #[must_use]
    pub fn is_replaced_value(&self) -> bool {
        matches!(self.kind, Kind::Overwritten { .. } | Kind::Resurrected { .. })
    }

    /// The operations that show it, the read first.
    #[must_use]
    pub fn witnesses(&self) -> Vec<OpId> {
        let others = match &self.kind {
            Kind::Impossible { value, .. } => [value.as_ref(), None],
            Kind::Duplicate(write) | Kind::Lost(write) | Kind::ReadYourWrites(write) => [Some(write), None],
            Kind::Overwritten { value, by } | Kind::Resurrected { value, by } => [Some(value), Some(by)],
            Kind::MonotonicReads { write, seen } => [Some(write), Some(seen)],
        };
        [Some(&self.read)].into_iter().chain(others).flatten().map(|operation| operation.id).collect()
    }
}

impl<K: fmt::Display> fmt::Display for Anomaly<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the read      {}", self.read)?;
        match &self.kind {
            Kind::Impossible { value: Some(value), why } => write!(f, "  returned    {value}\n  {why}"),
            Kind::Impossible { value: None, why } => write!(f, "  returned    a value\n  {why}"),
            Kind::Duplicate(value) => write!(f, "  twice has   {value}"),
            Kind::Overwritten { value, by } => {
                write!(f, "  returned    {value}\n  beside      {by}\n  that knew of it")
            }
            Kind::Resurrected { value, by } => {
                write!(f, "  returned    {value}\n  despite     {by}\n  that knew of it")
            }
            Kind::Lost(write) => write!(f, "  and lost    {write}"),
            Kind::ReadYourWrites(write) => write!(f, "  and lost    {write}\n  of the same process"),
            Kind::MonotonicReads { write, seen } => write!(f, "  and lost    {write}\n  seen by     {seen}"),
        }
    }
}
