//! `sync16`: sixteen threads put one pair at a time, each acknowledged when it is on disk.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Phase, Setting, put_all, read_back};
use crate::engines::Durability;
use crate::figures::{OPS, Workload};
use crate::measured::Measured;

const THREADS: u64 = 16;

pub(super) fn sync(setting: Setting<'_>) -> Result<Measured> {
    let Setting { name, dir, sizes } = setting;
    let engine = name.open(dir, sizes.memory())?;
    let until = Instant::now() + Duration::from_secs_f64(sizes.sync_seconds);
    let numbers = |thread: u64| (thread..).step_by(THREADS as usize);
    let phase = Phase::begin();
    let done = std::thread::scope(|scope| {
        let engine = &*engine;
        let put = |thread| move || put_all(engine, numbers(thread), 0, Durability::Synced, until);
        let running: Vec<_> = (0..THREADS).map(|thread| scope.spawn(put(thread))).collect();
        running.into_iter().map(|one| one.join().expect("putting does not panic")).collect::<Result<Vec<u64>>>()
    })?;
    let taken = phase.end();
    let operations = done.iter().sum();
    let mut measured = taken.measured(Workload::Sync16, operations, &[(OPS, operations as f64 / taken.seconds)])?;
    for (thread, done) in (0..THREADS).zip(done) {
        let put = numbers(thread).take(done as usize).step_by(sizes.check_every as usize);
        measured.checks.add(read_back(&*engine, put, 0)?);
    }
    engine.close()?;
    Ok(measured)
}
