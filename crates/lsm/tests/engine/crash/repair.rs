//! Crashes while a damaged database is repaired: a second repair finds all that the first one would have found, and nothing that was never
//! written. It may find more, in logs that the first one had no need of.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kvorum_lsm::disk::Disk;
use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Db, Result, Runner, repair_on};

use super::watch::{Activity, Lie, Seen, Watched};
use super::workload::DIR;
use crate::support::{Model, Random, as_programs_see, everything, open, tiny};

/// What was ever written.
type Written = BTreeSet<(Vec<u8>, Vec<u8>)>;

/// A closed database in which a bit of one of its tables is turned over.
fn damaged(seed: u64) -> (SimDisk, Written) {
    let (disk, random, mut written) = (SimDisk::new(seed), &mut Random(seed), Written::new());
    let db = open(&disk, Path::new(DIR)).unwrap();
    for round in 0..4 {
        for _ in 0..60 {
            let (key, value) = (random.key(300), random.value(200));
            db.put(&key, &value).unwrap();
            written.insert((key, value));
        }
        if round == 1 {
            db.compact_range::<str>(..).unwrap();
        } else {
            db.flush().unwrap();
        }
    }
    db.put("last", "in the log").unwrap();
    written.insert((b"last".to_vec(), b"in the log".to_vec()));
    db.close().unwrap();
    drop(db);
    let disk = as_programs_see(&disk, &[Path::new(DIR)]);
    let names = disk.list(Path::new(DIR)).unwrap();
    let table = names.iter().rfind(|name| name.ends_with(".table")).expect("there are tables");
    disk.flip_bit(&Path::new(DIR).join(table), 20, 3).unwrap();
    (disk, written)
}

fn found(disk: &SimDisk) -> Result<Model> {
    let db = Db::open_on(disk.clone(), DIR, tiny(), Runner::Manual)?;
    db.verify()?;
    everything(&db)
}

/// Crashes at every call of a repair. Gives what is wrong.
fn crash_everywhere(seed: u64, lie: Option<Lie>) -> Result<u64, String> {
    let (start, written) = damaged(seed);
    let whole = start.crash(0);
    repair_on(Arc::new(whole.clone()), DIR, &tiny()).map_err(|error| error.to_string())?;
    let expected = found(&whole).map_err(|error| error.to_string())?;

    let (repaired, crashed) = (start.crash(0), Arc::new(Mutex::new(Vec::new())));
    let disk = {
        let crashed = crashed.clone();
        let watch = move |disk: &SimDisk, _: &Seen<'_>| {
            let mut crashed = crashed.lock().unwrap();
            for again in 0..3 {
                let image = disk.crash(seed ^ (crashed.len() as u64) << 8 ^ again);
                crashed.push(image);
            }
            Ok(())
        };
        Watched::new(repaired.clone(), lie, Arc::new(watch))
    };
    disk.begin(Activity::Repair);
    repair_on(Arc::new(disk), DIR, &tiny()).map_err(|error| error.to_string())?;
    // What it has done is durable when it says so.
    for again in 0..8 {
        match found(&repaired.crash(again)) {
            Ok(found) if found == expected => {}
            Ok(_) => return Err(format!("seed {seed}: a crash after the repair has changed what is found")),
            Err(error) => return Err(format!("seed {seed}, a crash after the repair: {error}")),
        }
    }
    let crashed = std::mem::take(&mut *crashed.lock().unwrap());
    for (number, image) in crashed.iter().enumerate() {
        let checked = repair_on(Arc::new(image.clone()), DIR, &tiny()).and_then(|_| found(image));
        let what = match checked {
            Ok(found) => match expected.keys().find(|key| !found.contains_key(*key)) {
                Some(key) => format!("{} is missing", String::from_utf8_lossy(key)),
                None if found.into_iter().all(|entry| written.contains(&entry)) => continue,
                None => "it has what was never written".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        return Err(format!("seed {seed}, crash at call {}: {what}", number / 3 + 1));
    }
    Ok(crashed.len() as u64)
}

#[test]
fn a_repair_that_crashes_is_done_again() {
    for seed in 1..=6 {
        crash_everywhere(seed, None).unwrap_or_else(|what| panic!("{what}"));
    }
}

/// The names of tables are durable with that of the manifest, so the sync of the directory before is not among them.
#[test]
fn syncs_of_a_repair_are_needed() {
    let syncs: [(&str, Lie); 3] = [
        ("tables", |at| at.path.ends_with(".table")),
        ("the manifest", |at| at.path.contains("/MANIFEST-")),
        ("CURRENT", |at| at.path.ends_with("/CURRENT.new")),
    ];
    for (what, lie) in syncs {
        let noticed = (1..=20).find_map(|seed| crash_everywhere(seed, Some(lie)).err());
        println!("{what}: {}", noticed.unwrap_or_else(|| panic!("nobody noticed that {what} are not synced")));
    }
}
