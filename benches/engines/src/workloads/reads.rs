//! The workloads that only read: one database is made for all of them, by a process of its own, so that neither its memory nor its caches are
//! part of what is measured.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{BETWEEN_LOOKS, Phase, Setting};
use crate::data::{self, Random};
use crate::engines::Engine;
use crate::figures::{OPS, SCANS, Workload};
use crate::measured::{Checks, Measured};
use crate::prepare::{self, End};
use crate::process;
use crate::sizes::Sizes;

/// Rows of a scan.
const ROWS: usize = 100;

pub(super) fn reads(setting: Setting<'_>, workloads: &[Workload]) -> Result<Vec<Measured>> {
    let Setting { name, dir, sizes } = setting;
    let prepared = prepare::elsewhere(setting, End::Settled)?;
    let engine = name.open(dir, sizes.memory())?;
    process::wait_until_idle(sizes.limit())?;
    let mut all = Vec::new();
    for workload in workloads {
        process::reset_peak()?;
        let mut measured = match workload {
            Workload::Get1 => hot(&*engine, sizes, *workload, 1)?,
            Workload::Get4 => hot(&*engine, sizes, *workload, 4)?,
            Workload::Scan100 => scans(&*engine, sizes)?,
            Workload::Absent => absent(&*engine, sizes)?,
            _ => gets(&*engine, sizes, *workload, 1, |random| random.below(sizes.keys))?,
        };
        measured.settled = prepared.settled;
        all.push(measured);
    }
    engine.close()?;
    Ok(all)
}

/// Reads keys of a range whose data are half of the cache, after each was read once.
fn hot(engine: &dyn Engine, sizes: &Sizes, workload: Workload, threads: u64) -> Result<Measured> {
    let hot = data::sorted(0..sizes.keys).into_iter().take(sizes.hot_keys() as usize);
    let hot: Vec<u64> = hot.map(|(_, number)| number).collect();
    let mut checks = super::read_back(engine, hot.iter().copied(), 0)?;
    let mut measured = gets(engine, sizes, workload, threads, |random| hot[random.below(hot.len() as u64) as usize])?;
    checks.add(measured.checks);
    measured.checks = checks;
    Ok(measured)
}

/// Reads numbers that are there. Making the key and checking the value are part of what is timed, the same for all engines.
fn gets(
    engine: &dyn Engine,
    sizes: &Sizes,
    workload: Workload,
    threads: u64,
    choose: impl Fn(&mut Random) -> u64 + Sync,
) -> Result<Measured> {
    repeat(sizes, workload, threads, OPS, |random, checks| checks.read(engine, choose(random), 0))
}

/// Asks for numbers that were never put: their keys lie among the others.
fn absent(engine: &dyn Engine, sizes: &Sizes) -> Result<Measured> {
    repeat(sizes, Workload::Absent, 1, OPS, |random, checks| {
        let number = sizes.keys + random.below(sizes.keys << 8);
        engine.get(&data::key(number), &mut |found| checks.absent(found))
    })
}

/// Reads rows from keys that are there, and checks that they are the ones that follow.
fn scans(engine: &dyn Engine, sizes: &Sizes) -> Result<Measured> {
    let sorted = data::sorted(0..sizes.keys);
    let starts = (sorted.len() - ROWS + 1) as u64;
    repeat(sizes, Workload::Scan100, 1, SCANS, |random, checks| {
        let from = random.below(starts) as usize;
        scan(engine, &sorted[from..from + ROWS], checks)
    })
}

/// Scans from the first of these places on, and expects all of them.
fn scan(engine: &dyn Engine, wanted: &[(u64, u64)], checks: &mut Checks) -> Result<()> {
    let mut rows = 0;
    engine.scan(&data::key_at(wanted[0].0), wanted.len(), &mut |key, value| {
        match wanted.get(rows) {
            Some((place, number)) if key == data::key_at(*place) => checks.value(Some(value), *number, 0),
            // A row too many, or another than the next.
            _ => checks.absent(Some(value)),
        }
        rows += 1;
    })?;
    for (_, number) in wanted.iter().skip(rows) {
        checks.value(None, *number, 0);
    }
    Ok(())
}

/// Does something over and over until the time is over, in some threads.
fn repeat(
    sizes: &Sizes,
    workload: Workload,
    threads: u64,
    figure: &str,
    once: impl Fn(&mut Random, &mut Checks) -> Result<()> + Sync,
) -> Result<Measured> {
    let until = Instant::now() + Duration::from_secs_f64(sizes.read_seconds);
    let between_looks = if workload == Workload::Scan100 { 1 } else { BETWEEN_LOOKS };
    let one = |thread: u64| {
        let (mut random, mut checks, mut done) = (Random::new(thread), Checks::default(), 0);
        while done % between_looks != 0 || Instant::now() < until {
            once(&mut random, &mut checks)?;
            done += 1;
        }
        Ok((done, checks))
    };
    let phase = Phase::begin();
    let done = std::thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || one(thread))).collect();
        running
            .into_iter()
            .map(|one| one.join().expect("reading does not panic"))
            .collect::<Result<Vec<(u64, Checks)>>>()
    })?;
    let taken = phase.end();
    let operations = done.iter().map(|(done, _)| done).sum();
    let mut measured = taken.measured(workload, operations, &[(figure, operations as f64 / taken.seconds)])?;
    done.into_iter().for_each(|(_, checks)| measured.checks.add(checks));
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Key, Value};
    use crate::engines::Durability;

    /// Shows these rows, whatever is asked.
    struct Rows(Vec<(Key, Value)>);

    impl Engine for Rows {
        fn put(&self, _: &[u8], _: &[u8], _: Durability) -> Result<()> {
            anyhow::bail!("these rows do not change")
        }

        fn get(&self, _: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
            found(self.0.first().map(|(_, value)| value.as_slice()));
            Ok(())
        }

        fn scan(&self, _: &[u8], _: usize, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
            self.0.iter().for_each(|(key, value)| row(key, value));
            Ok(())
        }

        fn flush(&self) -> Result<()> {
            Ok(())
        }

        fn close(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_scan_notices_rows_that_are_missing_doubled_exchanged_or_changed() {
        let sorted = data::sorted(0..10);
        let pair = |(place, number): &(u64, u64)| (data::key_at(*place), data::value(*number, 0));
        let good: Vec<_> = sorted.iter().map(pair).collect();
        let faults = |change: fn(&mut Vec<(Key, Value)>)| {
            let mut rows = Rows(good.clone());
            change(&mut rows.0);
            let mut checks = Checks::default();
            scan(&rows, &sorted, &mut checks).unwrap();
            (checks.wrong, checks.missing)
        };
        assert_eq!(faults(|_| ()), (0, 0));
        assert_eq!(faults(|rows| rows.truncate(7)), (0, 3));
        assert_eq!(faults(|rows| rows[4].1[100] ^= 1), (1, 0));
        assert_eq!(faults(|rows| rows.swap(2, 3)), (2, 0));
        assert_eq!(faults(|rows| rows.push(rows[0])), (1, 0));
        // All that follow are out of place.
        assert_eq!(
            faults(|rows| {
                rows.remove(5);
            }),
            (4, 1)
        );
    }
}
