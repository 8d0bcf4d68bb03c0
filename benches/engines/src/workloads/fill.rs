//! `fill1` and `fill4`: all keys, buffered, each once. The order of their numbers is a random order of the keys.

use std::time::Instant;

use anyhow::Result;

use super::{Phase, Setting, put_all, read_back, settle};
use crate::engines::Durability;
use crate::figures::{OPS, Workload};
use crate::measured::Measured;

pub(super) fn fill(setting: Setting<'_>, workload: Workload, threads: u64) -> Result<Measured> {
    let Setting { name, dir, sizes } = setting;
    let engine = name.open(dir, sizes.memory())?;
    let until = Instant::now() + sizes.limit();
    let numbers = |thread: u64| (thread..sizes.keys).step_by(threads as usize);
    let phase = Phase::begin();
    let done = std::thread::scope(|scope| {
        let engine = &*engine;
        let put = |thread| move || put_all(engine, numbers(thread), 0, Durability::Buffered, until);
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(put(thread))).collect();
        running.into_iter().map(|one| one.join().expect("putting does not panic")).collect::<Result<Vec<u64>>>()
    })?;
    let mut taken = phase.end();
    let settled = settle(&*engine, sizes)?;
    taken.cpu = phase.cpu();
    let operations = done.iter().sum();
    let mut measured = taken.measured(workload, operations, &[(OPS, operations as f64 / taken.seconds)])?;
    (measured.cut, measured.settled) = (operations < sizes.keys, settled);
    for (thread, done) in (0..threads).zip(done) {
        let put = numbers(thread).take(done as usize).step_by(sizes.check_every as usize);
        measured.checks.add(read_back(&*engine, put, 0)?);
    }
    engine.close()?;
    Ok(measured)
}
