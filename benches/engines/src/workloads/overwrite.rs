//! `overwrite`: all keys three times, each time in another order; then what is on disk, and what was written to it on the way there.

use std::time::Instant;

use anyhow::Result;

use super::{Phase, Setting, put_all, settle};
use crate::data::{self, PAIR};
use crate::engines::Durability;
use crate::figures::{DEVICE, DISK, OPS, Workload};
use crate::measured::{Checks, Measured};
use crate::process;

const PASSES: u32 = 3;

pub(super) fn overwrite(setting: Setting<'_>) -> Result<Measured> {
    let Setting { name, dir, sizes } = setting;
    let written_before = process::written_bytes()?;
    let engine = name.open(dir, sizes.memory())?;
    let until = Instant::now() + sizes.limit() * PASSES;
    let phase = Phase::begin();
    let mut done = Vec::new();
    for pass in 0..PASSES {
        let numbers = (0..sizes.keys).map(data::in_pass(pass, sizes.keys));
        done.push(put_all(&*engine, numbers, pass, Durability::Buffered, until)?);
    }
    let mut taken = phase.end();
    let settled = settle(&*engine, sizes)?;
    taken.cpu = phase.cpu();
    engine.close()?;
    // What is dirty still is part of what was written.
    process::sync_files(dir)?;
    let operations: u64 = done.iter().sum();
    let figures = [
        (DISK, process::disk_bytes(dir)? as f64 / (done[0] * PAIR) as f64),
        (DEVICE, (process::written_bytes()? - written_before) as f64 / (operations * PAIR) as f64),
        (OPS, operations as f64 / taken.seconds),
    ];
    let mut measured = taken.measured(Workload::Overwrite, operations, &figures)?;
    (measured.cut, measured.settled) = (operations < sizes.keys * u64::from(PASSES), settled);

    let engine = name.open(dir, sizes.memory())?;
    let versions = versions(&done, sizes.keys);
    let every = sizes.check_every as usize;
    let there = versions.iter().enumerate().filter_map(|(number, version)| version.map(|version| (number, version)));
    let mut checks = Checks::default();
    for (number, version) in there.step_by(every) {
        checks.read(&*engine, number as u64, version)?;
    }
    engine.close()?;
    measured.checks = checks;
    Ok(measured)
}

/// Which version each number has after so many puts of each pass.
fn versions(done: &[u64], keys: u64) -> Vec<Option<u32>> {
    let mut versions = vec![None; keys as usize];
    for (pass, done) in (0..).zip(done) {
        let number = data::in_pass(pass, keys);
        for place in 0..*done {
            versions[number(place) as usize] = Some(pass);
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_version_of_the_last_pass_that_reached_it() {
        let versions = versions(&[10, 10, 4], 10);
        assert_eq!(versions.iter().filter(|version| **version == Some(2)).count(), 4);
        assert_eq!(versions.iter().filter(|version| **version == Some(1)).count(), 6);
        let cut = super::versions(&[3, 0, 0], 10);
        assert_eq!(cut.iter().flatten().count(), 3);
        assert!((0..3).map(data::in_pass(0, 10)).all(|number| cut[number as usize] == Some(0)));
    }
}
