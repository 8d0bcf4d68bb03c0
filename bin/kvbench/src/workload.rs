//! Owns what the clients do: YCSB's core workloads (Cooper et al., "Benchmarking cloud serving systems with YCSB", 2010,
//! table 2), and single operations.

use clap::ValueEnum;
use serde::Serialize;

use crate::random::Random;

/// A mix of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// YCSB A: half reads, half updates
    A,
    /// YCSB B: 95 % reads, 5 % updates
    B,
    /// YCSB C: reads
    C,
    /// Updates
    Put,
    /// Reads
    Get,
}

/// One kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Update,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::A => "a",
            Workload::B => "b",
            Workload::C => "c",
            Workload::Put => "put",
            Workload::Get => "get",
        }
    }

    pub(crate) fn draw(self, random: &mut Random) -> Operation {
        let reads_percent = match self {
            Workload::C | Workload::Get => return Operation::Read,
            Workload::Put => return Operation::Update,
            Workload::A => 50,
            Workload::B => 95,
        };
        if random.below(100) < reads_percent { Operation::Read } else { Operation::Update }
    }
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Read => "read",
            Operation::Update => "update",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_have_their_shares() {
        let mut random = Random::new(1, 0);
        for (workload, percent) in
            [(Workload::A, 50), (Workload::B, 95), (Workload::C, 100), (Workload::Get, 100), (Workload::Put, 0)]
        {
            let reads = (0..10_000).filter(|_| workload.draw(&mut random) == Operation::Read).count();
            assert!(reads.abs_diff(percent * 100) < 200, "{workload:?}: {reads}");
        }
    }
}
