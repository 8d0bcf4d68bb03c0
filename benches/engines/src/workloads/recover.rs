//! `recover`: a process puts pairs, buffered, into memtables that take all of them, and kills itself. Another opens the database.

use std::time::Instant;

use anyhow::Result;

use super::{Phase, Setting, read_back};
use crate::figures::{FIRST_GET, Workload};
use crate::measured::{Checks, Measured};
use crate::prepare::{self, End};

pub(super) fn recover(setting: Setting<'_>) -> Result<Measured> {
    let Setting { name, dir, sizes } = setting;
    let prepared = prepare::elsewhere(setting, End::Killed)?;
    let phase = Phase::begin();
    let begun = Instant::now();
    let engine = name.open(dir, sizes.log_memory())?;
    let mut checks = Checks::default();
    checks.read(&*engine, 0, 0)?;
    let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
    let taken = phase.end();
    let mut measured = taken.measured(Workload::Recover, prepared.acknowledged, &[(FIRST_GET, milliseconds)])?;
    measured.cut = prepared.acknowledged < sizes.log_keys();
    // A killed process takes nothing with it that the operating system had, so all of it is read.
    measured.checks = read_back(&*engine, 0..prepared.acknowledged, 0)?;
    if name.less().is_some() {
        measured.checks.lost = std::mem::take(&mut measured.checks.missing);
    }
    engine.close()?;
    Ok(measured)
}
