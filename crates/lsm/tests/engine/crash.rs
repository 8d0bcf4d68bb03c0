//! Crashes at every call that changes the disk, while the database works and while it opens after a crash: what is found afterwards is
//! what had been written up to some moment, whole batches of it, and never less than what was acknowledged as durable.
//!
//! Two variables of the environment change what the test does:
//!
//! - `LSM_CRASHES`: so many crashes while working, at least, instead of 5 000;
//! - `LSM_CRASH_SEED`: only this trial, and what it comes to; a failure names its seed.
//!
//! Long runs are faster with `--release`.

mod check;
mod ledger;
mod repair;
mod syncs;
mod trial;
mod watch;
mod workload;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use kvorum_lsm::disk::sim::Operation;

use check::Counts;
use trial::trial;
use watch::{Activity, Seen};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
}

#[test]
fn a_crash_anywhere_loses_nothing_that_was_durable() {
    let only = variable("LSM_CRASH_SEED");
    let wanted = if only.is_some() { 1 } else { variable("LSM_CRASHES").unwrap_or(5_000) };
    let (seed, counts, begun) = (AtomicU64::new(only.unwrap_or(1)), Mutex::new(Counts::default()), Instant::now());
    let silent: trial::Observer = Arc::new(|_| {});
    let work = || {
        while counts.lock().unwrap().crashes < wanted {
            let done = trial(seed.fetch_add(1, Ordering::Relaxed), None, &silent);
            let done = done.unwrap_or_else(|what| panic!("{what}"));
            counts.lock().unwrap().add(done);
        }
    };
    std::thread::scope(|scope| {
        let other = (only.is_none()).then(|| scope.spawn(work));
        work();
        if let Some(other) = other {
            other.join().expect("no crash loses anything");
        }
    });
    println!("{:?} in {:.1?}", counts.lock().unwrap(), begun.elapsed());
}

/// A test of what never happens shows nothing.
#[test]
fn everything_happens_in_the_workloads() {
    let seen: Arc<Mutex<BTreeMap<&str, u64>>> = Arc::default();
    let observer = {
        let seen = seen.clone();
        move |call: &Seen<'_>| {
            let path = call.path.to_string_lossy();
            let in_copy = path.starts_with("copy");
            let what = match (call.operation, call.activity) {
                (Operation::Rename, _) if path.ends_with(".log") => "a log is used again",
                (Operation::Create, Activity::Ingest) if path.ends_with(".log") => "a log is begun by an ingestion",
                (Operation::Create, Activity::Open) if path.ends_with(".table") => "a log is recovered into a table",
                (Operation::Create, Activity::Open | Activity::Checkpoint) => return,
                (Operation::Create, _) if path.contains("MANIFEST") => "a manifest is begun anew",
                (Operation::Create, Activity::Work) if path.ends_with(".table") => "a table in the background",
                (Operation::Create, Activity::Write) if path.ends_with(".table") => "a table while writing",
                (Operation::Link, Activity::Checkpoint) if in_copy => "a table is copied",
                (Operation::Remove, _) if path.ends_with(".table") => "a table is removed",
                (Operation::Remove, Activity::Open) if path.ends_with(".log") => "a log is removed",
                (Operation::Write, Activity::DropRange) if path.contains("MANIFEST") => "a range is dropped",
                (Operation::Sync, Activity::Work) if path.ends_with(".log") => "a log is synced later",
                _ => return,
            };
            *seen.lock().unwrap().entry(what).or_default() += 1;
        }
    };
    let observer: trial::Observer = Arc::new(observer);
    let mut seed = 1;
    while seen.lock().unwrap().len() < 11 {
        assert!(seed < 12, "this alone happens: {:?}", seen.lock().unwrap());
        trial(seed, None, &observer).unwrap_or_else(|what| panic!("{what}"));
        seed += 1;
    }
}
