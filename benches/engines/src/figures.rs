//! Owns the workloads, the figures that each gives, and the bars: what kvorum-lsm aims at beside two other engines. All of it is in two tables.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::engines::Name;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// All keys in random order, buffered, from one thread
    Fill1,
    /// The same from four threads
    Fill4,
    /// Synced puts from 16 threads
    Sync16,
    /// Reads of data that the cache holds, from one thread
    Get1,
    /// The same from four threads
    Get4,
    /// Reads of all data, from one thread
    Getall1,
    /// Reads of keys that are not there, from one thread
    Absent,
    /// 100 rows from a random key, from one thread
    Scan100,
    /// All keys three times: what is on disk then, and what was written to it
    Overwrite,
    /// From a killed process to the first value
    Recover,
    /// One thread reads while another writes as fast as it can
    ReadsDuringFill,
    /// The same with 50000 puts a second
    ReadsDuringPacedFill,
}

/// Workloads that one process runs on one database, one after another.
pub(crate) const GROUPS: [&[Workload]; 8] = [
    &[Workload::Fill1],
    &[Workload::Fill4],
    &[Workload::Sync16],
    READS,
    &[Workload::Overwrite],
    &[Workload::Recover],
    &[Workload::ReadsDuringFill],
    &[Workload::ReadsDuringPacedFill],
];

/// Those that change nothing.
pub(crate) const READS: &[Workload] =
    &[Workload::Get1, Workload::Get4, Workload::Getall1, Workload::Absent, Workload::Scan100];

/// A figure of a workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) workload: Workload,
    /// With its unit.
    pub(crate) name: &'static str,
    /// Digits behind the point.
    pub(crate) digits: usize,
    pub(crate) bar: Option<Bar>,
}

/// What is aimed at: the figure of kvorum-lsm as a multiple of another engine's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    /// At least so many times that of fjall, and of RocksDB.
    Least(f64, f64),
    /// At most.
    Most(f64, f64),
}

pub(crate) const OPS: &str = "ops/s";
pub(crate) const SCANS: &str = "scans/s";
pub(crate) const DISK: &str = "disk bytes/live byte";
pub(crate) const DEVICE: &str = "device bytes/user byte";
pub(crate) const FIRST_GET: &str = "first get, ms";
pub(crate) const P50: &str = "p50, us";
pub(crate) const P99: &str = "p99, us";
pub(crate) const P999: &str = "p99.9, us";
pub(crate) const MAX: &str = "max, us";
pub(crate) const READS_PER_SECOND: &str = "reads/s";
pub(crate) const PUTS: &str = "puts/s beside";

/// All figures, in the order of the report.
#[rustfmt::skip]
pub(crate) const FIGURES: [Figure; 23] = [
    Figure { workload: Workload::Fill1,                name: OPS,              digits: 0, bar: Some(Bar::Least(1.2, 0.9)) },
    Figure { workload: Workload::Fill4,                name: OPS,              digits: 0, bar: Some(Bar::Least(1.5, 1.0)) },
    Figure { workload: Workload::Sync16,               name: OPS,              digits: 0, bar: Some(Bar::Least(4.0, 1.0)) },
    Figure { workload: Workload::Get1,                 name: OPS,              digits: 0, bar: Some(Bar::Least(1.1, 1.3)) },
    Figure { workload: Workload::Get4,                 name: OPS,              digits: 0, bar: Some(Bar::Least(1.1, 1.3)) },
    Figure { workload: Workload::Getall1,              name: OPS,              digits: 0, bar: None },
    Figure { workload: Workload::Absent,               name: OPS,              digits: 0, bar: Some(Bar::Least(1.5, 1.2)) },
    Figure { workload: Workload::Scan100,              name: SCANS,            digits: 0, bar: Some(Bar::Least(1.2, 1.0)) },
    Figure { workload: Workload::Overwrite,            name: DISK,             digits: 3, bar: Some(Bar::Most(1.0, 1.05)) },
    Figure { workload: Workload::Overwrite,            name: DEVICE,           digits: 2, bar: Some(Bar::Most(1.1, 1.0)) },
    Figure { workload: Workload::Overwrite,            name: OPS,              digits: 0, bar: None },
    Figure { workload: Workload::Recover,              name: FIRST_GET,        digits: 1, bar: Some(Bar::Most(0.7, 1.0)) },
    Figure { workload: Workload::ReadsDuringFill,      name: P50,              digits: 1, bar: None },
    Figure { workload: Workload::ReadsDuringFill,      name: P99,              digits: 1, bar: None },
    Figure { workload: Workload::ReadsDuringFill,      name: P999,             digits: 1, bar: Some(Bar::Most(0.5, 1.0)) },
    Figure { workload: Workload::ReadsDuringFill,      name: MAX,              digits: 1, bar: None },
    Figure { workload: Workload::ReadsDuringFill,      name: PUTS,             digits: 0, bar: None },
    Figure { workload: Workload::ReadsDuringPacedFill, name: P50,              digits: 1, bar: None },
    Figure { workload: Workload::ReadsDuringPacedFill, name: P99,              digits: 1, bar: None },
    Figure { workload: Workload::ReadsDuringPacedFill, name: P999,             digits: 1, bar: None },
    Figure { workload: Workload::ReadsDuringPacedFill, name: MAX,              digits: 1, bar: None },
    Figure { workload: Workload::ReadsDuringPacedFill, name: READS_PER_SECOND, digits: 0, bar: None },
    Figure { workload: Workload::ReadsDuringPacedFill, name: PUTS,             digits: 0, bar: None },
];

impl Workload {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Workload::Fill1 => "fill1",
            Workload::Fill4 => "fill4",
            Workload::Sync16 => "sync16",
            Workload::Get1 => "get1",
            Workload::Get4 => "get4",
            Workload::Getall1 => "getall1",
            Workload::Absent => "absent",
            Workload::Scan100 => "scan100",
            Workload::Overwrite => "overwrite",
            Workload::Recover => "recover",
            Workload::ReadsDuringFill => "reads-during-fill",
            Workload::ReadsDuringPacedFill => "reads-during-paced-fill",
        }
    }

    /// Whether an engine whose buffered puts promise less has it easier here.
    pub(crate) fn puts_buffered(self) -> bool {
        use Workload::{Fill1, Fill4, Overwrite, ReadsDuringFill, ReadsDuringPacedFill, Recover};

        matches!(self, Fill1 | Fill4 | Overwrite | Recover | ReadsDuringFill | ReadsDuringPacedFill)
    }
}

impl Figure {
    /// Whether it depends on how much is in the database.
    pub(crate) fn of_contents(&self) -> bool {
        [DISK, DEVICE, FIRST_GET].contains(&self.name)
    }
}

impl Bar {
    /// What the ratio to an engine is held against, if anything.
    pub(crate) fn for_engine(self, engine: Name) -> Option<f64> {
        let (Bar::Least(fjall, rocksdb) | Bar::Most(fjall, rocksdb)) = self;
        match engine {
            Name::Fjall => Some(fjall),
            Name::Rocksdb => Some(rocksdb),
            Name::Lsm | Name::Sled | Name::Redb => None,
        }
    }

    /// Whether a ratio reaches it.
    pub(crate) fn is_met(self, limit: f64, ratio: f64) -> bool {
        match self {
            Bar::Least(..) => ratio >= limit,
            Bar::Most(..) => ratio <= limit,
        }
    }

    pub(crate) fn sign(self) -> &'static str {
        match self {
            Bar::Least(..) => ">=",
            Bar::Most(..) => "<=",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_in_one_group_and_has_figures() {
        for workload in Workload::value_variants() {
            assert_eq!(GROUPS.iter().filter(|group| group.contains(workload)).count(), 1, "{workload:?}");
            assert!(FIGURES.iter().any(|figure| figure.workload == *workload), "{workload:?}");
            let name = workload.to_possible_value().unwrap();
            assert_eq!(name.get_name(), workload.text());
            assert_eq!(serde_json::to_string(workload).unwrap(), format!("\"{}\"", workload.text()));
        }
    }

    #[test]
    fn no_figure_is_named_twice_and_the_report_keeps_workloads_together() {
        for (at, figure) in FIGURES.iter().enumerate() {
            let twins = FIGURES.iter().filter(|other| (other.workload, other.name) == (figure.workload, figure.name));
            assert_eq!(twins.count(), 1, "{figure:?}");
            assert!(at == 0 || FIGURES[at - 1].workload <= figure.workload, "{figure:?}");
        }
    }

    #[test]
    fn more_is_better_where_the_bar_is_a_least_and_worse_where_it_is_a_most() {
        let (least, most) = (Bar::Least(1.2, 0.9), Bar::Most(1.0, 1.05));
        assert_eq!((least.for_engine(Name::Fjall), least.for_engine(Name::Rocksdb)), (Some(1.2), Some(0.9)));
        assert_eq!(
            (most.for_engine(Name::Sled), most.for_engine(Name::Redb), most.for_engine(Name::Lsm)),
            (None, None, None)
        );
        assert!(least.is_met(1.2, 1.2) && least.is_met(1.2, 3.0) && !least.is_met(1.2, 1.19));
        assert!(most.is_met(1.0, 1.0) && most.is_met(1.0, 0.5) && !most.is_met(1.0, 1.01));
        let rates = FIGURES.iter().filter(|figure| figure.name == OPS || figure.name == SCANS);
        assert!(rates.clone().all(|figure| !matches!(figure.bar, Some(Bar::Most(..)))));
        assert_eq!(FIGURES.iter().filter(|figure| figure.bar.is_some()).count(), 11);
    }
}
