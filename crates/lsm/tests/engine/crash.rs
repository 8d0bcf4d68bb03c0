//! Crashes at every call that changes the disk: what is found afterwards is what had been written up to some moment, whole batches of it,
//! and never less than what was acknowledged as durable.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kvorum_lsm::disk::sim::{Operation, SimDisk, SyncCall};
use kvorum_lsm::{Batch, Db, Durability, Result};

use crate::support::{Model, Random, everything, open};

/// Written by every step that writes: its number.
const MARK: &[u8] = b"mark";

/// One step of a workload.
#[derive(Clone, Debug)]
enum Step {
    /// Puts and deletes, as one batch.
    Write {
        ops: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        durability: Durability,
        submit: bool,
    },
    Flush,
    Sync,
    Work,
    CompactAll,
    DropRange(Vec<u8>, Vec<u8>),
    Ingest(Model),
    Checkpoint(PathBuf),
    Reopen,
}

/// Every other seed writes more at a time, to more keys, so that there are more levels.
fn steps(seed: u64, count: u64) -> Vec<Step> {
    let random = &mut Random(seed);
    let (keys, ops) = if seed.is_multiple_of(2) { (600, 40) } else { (60, 6) };
    (0..count).map(|number| step(random, number, keys, ops)).collect()
}

fn step(random: &mut Random, number: u64, keys: u64, ops: u64) -> Step {
    match random.below(100) {
        0..70 => {
            let durability = if random.one_in(5) { Durability::Always } else { Durability::Never };
            let count = 1 + random.below(ops);
            let op = |random: &mut Random| {
                let value = if random.one_in(4) { None } else { Some(random.value(300)) };
                (random.key(keys), value)
            };
            let ops = (0..count).map(|_| op(random)).collect();
            Step::Write { ops, durability, submit: random.one_in(3) }
        }
        70..74 => Step::Flush,
        74..77 => Step::Sync,
        77..90 => Step::Work,
        90..92 => Step::CompactAll,
        92..94 => {
            let (a, b) = (random.key(keys), random.key(keys));
            Step::DropRange(a.clone().min(b.clone()), a.max(b))
        }
        94..96 => Step::Ingest((0..1 + random.below(3 * ops)).map(|_| (random.key(keys), random.value(300))).collect()),
        96..98 => Step::Checkpoint(PathBuf::from(format!("copy{number}"))),
        _ => Step::Reopen,
    }
}

/// What the database has after so many steps.
fn model(steps: &[Step]) -> Model {
    let mut model = Model::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Write { ops, .. } => {
                for (key, value) in ops {
                    match value {
                        Some(value) => drop(model.insert(key.clone(), value.clone())),
                        None => drop(model.remove(key)),
                    }
                }
                model.insert(MARK.to_vec(), number.to_string().into_bytes());
            }
            Step::DropRange(from, to) => model.retain(|key, _| key < from || key >= to),
            Step::Ingest(entries) => {
                model.extend(entries.clone());
                model.insert(MARK.to_vec(), number.to_string().into_bytes());
            }
            _ => {}
        }
    }
    model
}

/// Which syncs the disk only pretends to do.
type Lie = Box<dyn Fn(&SyncCall<'_>) -> bool + Send + Sync>;
type Lies = fn() -> Lie;

/// How far a workload came.
#[derive(Default)]
struct Done {
    /// So many steps were begun.
    begun: usize,
    /// The first so many are durable.
    durable: usize,
    /// Copies that were acknowledged, and what they have.
    copies: Vec<(PathBuf, usize)>,
}

/// Does all steps until one fails.
fn run(disk: &SimDisk, steps: &[Step], done: &mut Done) -> Result<()> {
    let dir = Path::new("db");
    let mut db = open(disk, dir)?;
    for (number, step) in steps.iter().enumerate() {
        done.begun = number + 1;
        let durable = perform(&db, number, step)?;
        if let Step::Reopen = step {
            db.close()?;
            done.durable = done.begun;
            db = open(disk, dir)?;
        }
        if let Step::Checkpoint(to) = step {
            done.copies.push((to.clone(), done.begun));
        }
        if durable {
            done.durable = done.begun;
        }
    }
    Ok(())
}

/// Gives whether all up to now is durable then.
fn perform(db: &Db, number: usize, step: &Step) -> Result<bool> {
    match step {
        Step::Write { ops, durability, submit } => {
            let mut batch = Batch::new();
            for (key, value) in ops {
                match value {
                    Some(value) => batch.put(key, value)?,
                    None => batch.delete(key)?,
                }
            }
            batch.put(MARK, number.to_string().as_bytes())?;
            if *submit {
                db.submit(batch, *durability)?.wait()?;
            } else {
                db.write(batch, *durability)?;
            }
            return Ok(*durability == Durability::Always);
        }
        Step::Flush => db.flush()?,
        Step::Sync => db.sync()?,
        Step::Work => {
            db.run_one();
            return Ok(false);
        }
        Step::CompactAll => db.compact_range::<[u8]>(..)?,
        Step::DropRange(from, to) => db.drop_range(from.as_slice()..to.as_slice())?,
        Step::Ingest(entries) => {
            let mut ingest = db.ingest()?;
            let mut entries = entries.clone();
            entries.insert(MARK.to_vec(), number.to_string().into_bytes());
            for (key, value) in entries {
                ingest.put(key, value)?;
            }
            ingest.finish()?;
        }
        Step::Checkpoint(to) => db.checkpoint(to)?,
        Step::Reopen => {}
    }
    Ok(true)
}

/// What is wrong with the disk after a crash.
fn check(disk: &SimDisk, steps: &[Step], done: &Done) -> Result<(), String> {
    let db = open(disk, Path::new("db")).map_err(|error| format!("cannot be opened: {error}"))?;
    let found = everything(&db).map_err(|error| format!("cannot be read: {error}"))?;
    db.verify().map_err(|error| format!("cannot be verified: {error}"))?;
    let backward: Model = db.range::<[u8]>(..).rev().collect::<Result<_>>().map_err(|error| error.to_string())?;
    if backward != found {
        return Err("the other direction shows something else".into());
    }
    // Steps that write nothing, and drops, leave the mark as it was: so several moments are possible.
    let fits = |upto: &usize| model(&steps[..*upto]) == found;
    let Some(upto) = (done.durable..=done.begun).find(fits) else {
        let mark = found.get(MARK).map(|mark| String::from_utf8_lossy(mark).into_owned());
        return Err(format!(
            "nothing between step {} and {} has this state; its mark is {mark:?}",
            done.durable, done.begun
        ));
    };
    // It goes on from there.
    db.put("after", "the crash").map_err(|error| format!("takes no write: {error}"))?;
    db.compact_range::<[u8]>(..).map_err(|error| format!("cannot be compacted: {error}"))?;
    drop(db);
    let db = open(disk, Path::new("db")).map_err(|error| format!("cannot be opened again: {error}"))?;
    let mut expected = model(&steps[..upto]);
    expected.insert(b"after".to_vec(), b"the crash".to_vec());
    if everything(&db).map_err(|error| error.to_string())? != expected {
        return Err("it has changed since the crash".into());
    }
    for (dir, upto) in &done.copies {
        let copy = open(disk, dir).map_err(|error| format!("copy {} cannot be opened: {error}", dir.display()))?;
        if everything(&copy).map_err(|error| error.to_string())? != model(&steps[..*upto]) {
            return Err(format!("copy {} has something else", dir.display()));
        }
    }
    Ok(())
}

fn disk(seed: u64, lies: Option<Lies>) -> SimDisk {
    let disk = SimDisk::new(seed);
    if let Some(lies) = lies {
        disk.ignore_syncs(lies());
    }
    disk
}

/// Crashes at every call of a workload. Gives how many there are, or what went wrong.
fn crash_everywhere(seed: u64, count: u64, lies: Option<Lies>) -> Result<u64, String> {
    let steps = steps(seed, count);
    let whole = disk(seed, lies);
    run(&whole, &steps, &mut Done::default()).map_err(|error| format!("seed {seed}, without a crash: {error}"))?;
    for call in 1..=whole.calls() {
        let disk = disk(seed, lies);
        disk.crash_at(call);
        let mut done = Done::default();
        let _ = run(&disk, &steps, &mut done);
        check(&disk.crash(seed ^ call), &steps, &done)
            .map_err(|what| format!("seed {seed}, {count} steps, crash at call {call}, step {}: {what}", done.begun))?;
    }
    Ok(whole.calls())
}

/// Tries workloads until there were so many crashes, in two threads.
fn crashes(points: u64) {
    let (seed, tried) = (AtomicU64::new(1), AtomicU64::new(0));
    let work = || {
        while tried.load(Ordering::Relaxed) < points {
            match crash_everywhere(seed.fetch_add(1, Ordering::Relaxed), 120, None) {
                Ok(calls) => tried.fetch_add(calls, Ordering::Relaxed),
                Err(what) => panic!("{what}"),
            };
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        work();
        other.join().expect("no crash loses anything");
    });
}

#[test]
fn a_crash_anywhere_loses_nothing_that_was_durable() {
    crashes(5_000);
}

#[test]
#[ignore = "takes many minutes"]
fn a_hundred_thousand_crashes_lose_nothing_that_was_durable() {
    crashes(100_000);
}

/// A check that cannot fail is none: with one kind of sync left out, it must find something.
fn is_found_out(what: &str, lies: Lies) {
    let found = (1..=40).any(|seed| crash_everywhere(seed, 120, Some(lies)).is_err());
    assert!(found, "nobody noticed that {what} were not synced");
}

/// Whether a file's sync is ignored, but never the first one: that is a mutation of its own.
fn later_syncs(of: fn(&str) -> bool) -> Lie {
    let seen = Mutex::new(BTreeSet::new());
    Box::new(move |call| {
        let path = call.path.to_string_lossy();
        call.operation == Operation::Sync && of(&path) && !seen.lock().unwrap().insert(path.to_string())
    })
}

fn first_syncs(of: fn(&str) -> bool) -> Lie {
    let seen = Mutex::new(BTreeSet::new());
    Box::new(move |call| {
        let path = call.path.to_string_lossy();
        call.operation == Operation::Sync && of(&path) && seen.lock().unwrap().insert(path.to_string())
    })
}

fn dir_syncs(of: fn(&str) -> bool) -> Lie {
    Box::new(move |call| call.operation == Operation::SyncDir && of(&call.path.to_string_lossy()))
}

#[test]
fn logs_that_are_not_synced_are_found_out() {
    is_found_out("writes in logs", || later_syncs(|path| path.ends_with(".log")));
    is_found_out("headers of logs", || first_syncs(|path| path.ends_with(".log")));
}

#[test]
fn tables_that_are_not_synced_are_found_out() {
    is_found_out("tables", || first_syncs(|path| path.ends_with(".table")));
}

#[test]
fn manifests_that_are_not_synced_are_found_out() {
    is_found_out("edits in manifests", || later_syncs(|path| path.contains("MANIFEST")));
    is_found_out("new manifests", || first_syncs(|path| path.contains("MANIFEST")));
    is_found_out("CURRENT files", || first_syncs(|path| path.contains("CURRENT")));
}

#[test]
fn directories_that_are_not_synced_are_found_out() {
    is_found_out("names of files", || dir_syncs(|path| path == "db"));
    is_found_out("the name of the directory", || dir_syncs(str::is_empty));
    is_found_out("names in copies", || dir_syncs(|path| path.starts_with("copy")));
}
