//! Owns what one process measured: the JSON that it prints, and the counts of values that were right, wrong or not there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::engines::{Engine, Name};
use crate::figures::Workload;

/// What a process printed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) engine: Name,
    pub(crate) version: String,
    pub(crate) measured: Vec<Measured>,
}

/// One workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) workload: Workload,
    /// By the names that `figures` has.
    pub(crate) figures: BTreeMap<String, f64>,
    /// Of the measured phase.
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
    /// All threads, in the measured phase; after writes, until the background was done.
    pub(crate) cpu_seconds: f64,
    /// Of the whole process, or since the workload before.
    pub(crate) peak_bytes: u64,
    /// A phase that is measured by count was ended by its limit of time.
    pub(crate) cut: bool,
    /// The background was done within the limit of time.
    pub(crate) settled: bool,
    pub(crate) checks: Checks,
}

/// What came of reading values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checks {
    pub(crate) checked: u64,
    /// Another value than was written, or one where there must be none.
    pub(crate) wrong: u64,
    /// No value, where there must be one.
    pub(crate) missing: u64,
    /// No value after a crash, by an engine that did not promise it.
    pub(crate) lost: u64,
}

impl Checks {
    /// Counts a value that must be there.
    pub(crate) fn value(&mut self, found: Option<&[u8]>, number: u64, version: u32) {
        self.checked += 1;
        match found {
            Some(value) => self.wrong += u64::from(!data::is_value(value, number, version)),
            None => self.missing += 1,
        }
    }

    /// Counts a value that must not be there.
    pub(crate) fn absent(&mut self, found: Option<&[u8]>) {
        self.checked += 1;
        self.wrong += u64::from(found.is_some());
    }

    /// Reads a value that must be there.
    pub(crate) fn read(&mut self, engine: &dyn Engine, number: u64, version: u32) -> Result<()> {
        let mut shown = false;
        engine.get(&data::key(number), &mut |found| {
            shown = true;
            self.value(found, number, version);
        })?;
        shown.then_some(()).context("the engine showed nothing")
    }

    pub(crate) fn add(&mut self, other: Checks) {
        self.checked += other.checked;
        self.wrong += other.wrong;
        self.missing += other.missing;
        self.lost += other.lost;
    }

    pub(crate) fn all_right(&self) -> bool {
        self.wrong == 0 && self.missing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_is_counted() {
        let (mut checks, value) = (Checks::default(), data::value(1, 2));
        checks.value(Some(&value), 1, 2);
        checks.absent(None);
        assert!(checks.all_right() && checks.checked == 2);
        checks.value(Some(&value), 1, 3);
        checks.absent(Some(&value));
        checks.value(None, 1, 2);
        assert_eq!(checks, Checks { checked: 5, wrong: 2, missing: 1, lost: 0 });
        let mut sum = checks;
        sum.add(Checks { lost: 1, ..checks });
        assert_eq!(sum, Checks { checked: 10, wrong: 4, missing: 2, lost: 1 });
        assert!(!sum.all_right() && Checks { lost: 3, ..Checks::default() }.all_right());
    }
}
