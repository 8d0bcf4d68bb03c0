//! Owns the operations that are measured, each for every crate that has it, on the same data. Does not own how they are
//! measured: `main.rs` takes turns and prints a table, `benches/clocks.rs` hands them to criterion.

use std::time::Duration;

mod clocks;
mod data;
mod encodings;
mod records;
mod repeat;

/// A crate whose operations are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// This project's.
    Kvorum,
    /// `vclock` 0.4: a hash map from keys to counters.
    Vclock,
    /// `crdts` 7.3: a B-tree from actors to counters, and registers of many values over it.
    Crdts,
}

impl Subject {
    /// All, in the order of the table's columns.
    pub const ALL: [Self; 3] = [Self::Kvorum, Self::Vclock, Self::Crdts];

    /// The crate's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvorum => "kvorum-vclock",
            Self::Vclock => "vclock 0.4",
            Self::Crdts => "crdts 7.3",
        }
    }
}

/// Does the operation that often, and says how long that took, preparations not counted.
pub type Run = fn(u64) -> Duration;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What is done, to what.
    pub name: &'static str,
    /// The most nanoseconds that kvorum-vclock aims at.
    pub bar_ns: Option<f64>,
    /// The crates that have it, kvorum-vclock first.
    pub runs: Vec<(Subject, Run)>,
}

/// All that is measured, in the order of the table.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [clocks::operations(), records::operations(), encodings::operations()].concat()
}

pub use encodings::context_bytes;

fn operation(name: &'static str, bar_ns: Option<f64>, runs: &[(Subject, Run)]) -> Operation {
    Operation { name, bar_ns, runs: runs.to_vec() }
}
