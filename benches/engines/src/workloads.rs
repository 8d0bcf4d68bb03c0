//! Owns what the workloads have in common: where they happen, how puts are bounded, and how a measured phase is timed.

mod fill;
mod mixed;
mod overwrite;
mod reads;
mod recover;
mod sync;

pub(crate) use mixed::PACE;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::data;
use crate::engines::{Durability, Engine, Name};
use crate::figures::{READS, Workload};
use crate::measured::{Checks, Measured, Run};
use crate::process;
use crate::sizes::Sizes;

/// The clock is looked at after so many short operations.
const BETWEEN_LOOKS: u64 = 16;

/// Where a workload happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) name: Name,
    pub(crate) dir: &'a Path,
    pub(crate) sizes: &'a Sizes,
}

/// Runs one workload, or several that only read, in this process.
pub(crate) fn run(workloads: &[Workload], setting: Setting<'_>) -> Result<Run> {
    let measured = match workloads {
        [Workload::Fill1] => vec![fill::fill(setting, Workload::Fill1, 1)?],
        [Workload::Fill4] => vec![fill::fill(setting, Workload::Fill4, 4)?],
        [Workload::Sync16] => vec![sync::sync(setting)?],
        [Workload::Overwrite] => vec![overwrite::overwrite(setting)?],
        [Workload::Recover] => vec![recover::recover(setting)?],
        [Workload::ReadsDuringFill] => vec![mixed::mixed(setting, Workload::ReadsDuringFill, None)?],
        [Workload::ReadsDuringPacedFill] => {
            vec![mixed::mixed(setting, Workload::ReadsDuringPacedFill, Some(PACE))?]
        }
        reads if !reads.is_empty() && reads.iter().all(|workload| READS.contains(workload)) => {
            reads::reads(setting, reads)?
        }
        _ => bail!("one process runs one workload, or some of get1, get4, getall1, absent and scan100"),
    };
    Ok(Run { engine: setting.name, version: setting.name.version(), measured })
}

/// Puts numbers in one version until there are no more or the time has come. Gives how many.
pub(crate) fn put_all(
    engine: &dyn Engine,
    numbers: impl Iterator<Item = u64>,
    version: u32,
    durability: Durability,
    until: Instant,
) -> Result<u64> {
    let between_looks = if durability == Durability::Synced { 1 } else { BETWEEN_LOOKS };
    let mut done = 0;
    for number in numbers {
        if done % between_looks == 0 && Instant::now() >= until {
            break;
        }
        engine.put(&data::key(number), &data::value(number, version), durability)?;
        done += 1;
    }
    Ok(done)
}

/// Reads back numbers that were all put in one version.
pub(crate) fn read_back(engine: &dyn Engine, numbers: impl Iterator<Item = u64>, version: u32) -> Result<Checks> {
    let mut checks = Checks::default();
    for number in numbers {
        checks.read(engine, number, version)?;
    }
    Ok(checks)
}

/// Lets the engine do what it does by itself after writes. Gives whether it was done in time.
pub(crate) fn settle(engine: &dyn Engine, sizes: &Sizes) -> Result<bool> {
    engine.flush()?;
    process::wait_until_idle(sizes.limit())
}

/// A measured phase.
struct Phase {
    begun: Instant,
    cpu: Duration,
}

/// What a phase took.
struct Taken {
    seconds: f64,
    cpu: Duration,
}

impl Phase {
    fn begin() -> Self {
        Self { cpu: process::cpu(), begun: Instant::now() }
    }

    fn end(&self) -> Taken {
        Taken { seconds: self.begun.elapsed().as_secs_f64(), cpu: self.cpu() }
    }

    /// Processor time since it began.
    fn cpu(&self) -> Duration {
        process::cpu() - self.cpu
    }
}

impl Taken {
    /// A report without doubts; the caller adds what it has.
    fn measured(&self, workload: Workload, operations: u64, figures: &[(&str, f64)]) -> Result<Measured> {
        Ok(Measured {
            workload,
            figures: figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect::<BTreeMap<_, _>>(),
            operations,
            seconds: self.seconds,
            cpu_seconds: self.cpu.as_secs_f64(),
            peak_bytes: process::peak_bytes()?,
            cut: false,
            settled: true,
            checks: Checks::default(),
        })
    }
}
