//! Reads during a fill: one thread reads keys that were loaded, while another overwrites some of them and puts new ones.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

use super::{BETWEEN_LOOKS, Phase, Setting, settle};
use crate::data::{self, Random, VALUE};
use crate::engines::{Durability, Engine};
use crate::figures::{MAX, P50, P99, P999, PUTS, READS_PER_SECOND, Workload};
use crate::measured::{Checks, Measured};
use crate::prepare::{self, End};
use crate::process;
use crate::sizes::Sizes;

/// Puts per second of a writer that is held back.
pub(crate) const PACE: u32 = 50_000;

/// Which versions of the loaded keys there can be.
struct Versions {
    /// The last that was acknowledged.
    done: Vec<AtomicU32>,
    /// The last that was begun.
    begun: Vec<AtomicU32>,
}

/// What the writer did.
struct Written {
    puts: u64,
    new: u64,
    seconds: f64,
}

pub(super) fn mixed(setting: Setting<'_>, workload: Workload, pace: Option<u32>) -> Result<Measured> {
    let Setting { name, dir, sizes } = setting;
    prepare::elsewhere(setting, End::Settled)?;
    let engine = name.open(dir, sizes.memory())?;
    process::wait_until_idle(sizes.limit())?;
    let zeros = || (0..sizes.keys).map(|_| AtomicU32::new(0)).collect();
    let versions = Versions { done: zeros(), begun: zeros() };
    let until = Instant::now() + Duration::from_secs_f64(sizes.mixed_seconds);
    let phase = Phase::begin();
    let (written, read) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&*engine, &versions, until, pace));
        let read = read(&*engine, &versions, until);
        (writer.join().expect("putting does not panic"), read)
    });
    let ((latencies, mut checks), written, mut taken) = (read?, written?, phase.end());
    let settled = settle(&*engine, sizes)?;
    taken.cpu = phase.cpu();
    let of = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    let figures = [
        (P50, of(0.5)),
        (P99, of(0.99)),
        (P999, of(0.999)),
        (MAX, latencies.max() as f64 / 1e3),
        (READS_PER_SECOND, latencies.len() as f64 / taken.seconds),
        (PUTS, written.puts as f64 / written.seconds),
    ];
    let mut measured = taken.measured(workload, latencies.len() + written.puts, &figures)?;
    checks.add(read_back(&*engine, &versions, written.new, sizes)?);
    (measured.checks, measured.settled) = (checks, settled);
    engine.close()?;
    Ok(measured)
}

/// By turns a new version of a loaded key and a new key, as fast as the engine takes them or at a pace.
fn write(engine: &dyn Engine, versions: &Versions, until: Instant, pace: Option<u32>) -> Result<Written> {
    let (begun, keys, mut random) = (Instant::now(), versions.done.len() as u64, Random::new(1));
    let mut written = Written { puts: 0, new: 0, seconds: 0.0 };
    loop {
        if written.puts.is_multiple_of(BETWEEN_LOOKS) {
            let now = Instant::now();
            let due = pace.map(|pace| begun + Duration::from_secs_f64(written.puts as f64 / f64::from(pace)));
            // Time and not a condition is what a writer waits for that is held to a pace.
            if let Some(wait) = due.and_then(|due| due.min(until).checked_duration_since(now)) {
                std::thread::sleep(wait);
            }
            if Instant::now() >= until {
                written.seconds = begun.elapsed().as_secs_f64();
                return Ok(written);
            }
        }
        let (number, version) = if written.puts.is_multiple_of(2) {
            let number = random.below(keys);
            (number, versions.begun[number as usize].fetch_add(1, Ordering::Release) + 1)
        } else {
            written.new += 1;
            (keys + written.new - 1, 0)
        };
        engine.put(&data::key(number), &data::value(number, version), Durability::Buffered)?;
        if number < keys {
            versions.done[number as usize].store(version, Ordering::Release);
        }
        written.puts += 1;
    }
}

/// Reads loaded keys, one after another, and records how long each took. The value may be the last one acknowledged before the read, or any that
/// was begun before its end.
fn read(engine: &dyn Engine, versions: &Versions, until: Instant) -> Result<(Histogram<u64>, Checks)> {
    let mut latencies = Histogram::new_with_bounds(1, 600_000_000_000, 3)?;
    let (mut checks, mut random) = (Checks::default(), Random::new(2));
    let mut copy = [0; VALUE];
    loop {
        let number = random.below(versions.done.len() as u64);
        let key = data::key(number);
        let oldest = versions.done[number as usize].load(Ordering::Acquire);
        let mut length = None;
        let begun = Instant::now();
        engine.get(&key, &mut |found| {
            length = found.map(<[u8]>::len);
            if let Some(found) = found {
                let same = found.len().min(VALUE);
                copy[..same].copy_from_slice(&found[..same]);
            }
        })?;
        let ended = Instant::now();
        latencies.saturating_record((ended - begun).as_nanos() as u64);
        let newest = versions.begun[number as usize].load(Ordering::Acquire);
        // A value that is longer than any counts as wrong.
        let value = length.map(|length| copy.get(..length).unwrap_or_default());
        let version = value.and_then(data::version_of).filter(|version| (oldest..=newest).contains(version));
        checks.value(value, number, version.unwrap_or(oldest));
        if ended >= until {
            return Ok((latencies, checks));
        }
    }
}

fn read_back(engine: &dyn Engine, versions: &Versions, new: u64, sizes: &Sizes) -> Result<Checks> {
    let mut checks = Checks::default();
    let every = sizes.check_every as usize;
    for number in (0..sizes.keys).step_by(every) {
        checks.read(engine, number, versions.done[number as usize].load(Ordering::Acquire))?;
    }
    for number in (sizes.keys..sizes.keys + new).step_by(every) {
        checks.read(engine, number, 0)?;
    }
    Ok(checks)
}
