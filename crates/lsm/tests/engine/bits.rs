//! Every bit of every file of a small database turned over, one at a time: either that changes nothing, or it is an error that names the
//! file and a place at or before the bit, and all that is still shown is right.
//!
//! Of each byte one bit is turned over; with `LSM_ALL_BITS=1` in the environment all eight are.

use std::path::{Path, PathBuf};

use kvorum_lsm::disk::Disk;
use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Batch, Db, Durability, Error, Options, Result, Runner};

use crate::support::{Model, Random, as_programs_see, everything, tiny};

const DIR: &str = "db";
const COPY: &str = "copy";

fn options() -> Options {
    tiny().memtable_bytes(5 << 10).cache_bytes(16 << 10)
}

fn open(disk: &SimDisk, dir: &Path) -> Result<Db> {
    Db::open_on(disk.clone(), dir, options(), Runner::Manual)
}

/// The files of a database.
fn files(disk: &SimDisk, dir: &Path) -> Vec<PathBuf> {
    disk.list(dir).unwrap().iter().map(|name| dir.join(name)).collect()
}

/// Writes batches; gives the states before and after each.
fn put(db: &Db, model: &mut Model, random: &mut Random, count: u64) -> Vec<Model> {
    let mut states = vec![model.clone()];
    for _ in 0..count {
        let mut batch = Batch::new();
        for _ in 0..1 + random.below(3) {
            let (key, value) = (random.key(60), random.value(40));
            if random.one_in(5) {
                batch.delete(&key).unwrap();
                model.remove(&key);
            } else {
                batch.put(&key, &value).unwrap();
                model.insert(key, value);
            }
        }
        db.write(batch, if random.one_in(4) { Durability::Always } else { Durability::Never }).unwrap();
        states.push(model.clone());
    }
    states
}

/// A database with tables on several levels, one of them ingested, a range dropped, a log, a manifest of several edits; and a copy of it.
/// The states are those since the log was begun; the last is the present one.
fn database(closed: bool) -> (SimDisk, Vec<Model>) {
    let (disk, random, mut model) = (SimDisk::new(5), &mut Random(5), Model::new());
    let db = open(&disk, Path::new(DIR)).unwrap();
    put(&db, &mut model, random, 25);
    db.compact_range::<[u8]>(..).unwrap();
    put(&db, &mut model, random, 10);
    db.flush().unwrap();
    let mut ingest = db.ingest().unwrap();
    for key in ["ingested/a", "ingested/b"] {
        ingest.put(key, "value").unwrap();
        model.insert(key.into(), b"value".to_vec());
    }
    ingest.finish().unwrap();
    db.drop_range("key/0010".."key/0015").unwrap();
    model.retain(|key, _| key < &b"key/0010".to_vec() || key >= &b"key/0015".to_vec());
    db.checkpoint(COPY).unwrap();
    let copied = model.clone();
    let states = put(&db, &mut model, random, 6);
    if closed {
        db.close().unwrap();
    } else {
        db.sync().unwrap();
    }
    let image = as_programs_see(&disk, &[Path::new(DIR), Path::new(COPY)]);
    assert_eq!(everything(&open(&image.crash(0), Path::new(COPY)).unwrap()).unwrap(), copied);
    (image, states)
}

/// What is shown of a database, and the first error.
struct Shown {
    forward: Model,
    /// Of some keys that were asked for alone.
    single: Model,
    error: Option<Error>,
}

fn look(disk: &SimDisk, dir: &Path, random: &mut Random) -> Shown {
    let mut shown = Shown { forward: Model::new(), single: Model::new(), error: None };
    let db = match open(disk, dir) {
        Ok(db) => db,
        Err(error) => return Shown { error: Some(error), ..shown },
    };
    let mut errors = Vec::new();
    for entry in db.range::<[u8]>(..) {
        match entry {
            Ok((key, value)) => drop(shown.forward.insert(key, value)),
            Err(error) => errors.push(error),
        }
    }
    for _ in 0..4 {
        let key = random.key(60);
        match db.get(&key) {
            Ok(Some(value)) => drop(shown.single.insert(key, value.to_vec())),
            Ok(None) => assert!(!errors.is_empty() || !shown.forward.contains_key(&key), "a key is there or not"),
            Err(error) => errors.push(error),
        }
    }
    errors.extend(db.verify().err());
    shown.error = errors.into_iter().next();
    shown
}

/// Turns over bits of all files of a directory. Gives for each file how many were noticed, and how many there were. `allowed` says what else
/// may be shown if nobody notices.
fn turn_over(disk: &SimDisk, dir: &str, allowed: impl Fn(&Path, &Model) -> bool) -> Vec<(String, u64, u64)> {
    let (dir, random) = (Path::new(dir), &mut Random(9));
    let all = std::env::var_os("LSM_ALL_BITS").is_some();
    let expected = everything(&open(&disk.crash(0), dir).unwrap()).unwrap();
    let mut noticed_of = Vec::new();
    for path in files(disk, dir) {
        let (mut noticed, mut turned) = (0, 0);
        let bytes = disk.read(&path).unwrap();
        // Of the room that a log has set aside some places are enough, unless all are wanted.
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let places = (0..bytes.len()).filter(|place| all || *place < used || place % 64 == 0);
        for (offset, bit) in places.flat_map(|place| (0..8).map(move |bit| (place as u64, bit))) {
            if !all && bit != (offset.wrapping_mul(0x9e37_79b9) >> 7) as u8 % 8 {
                continue;
            }
            let disk = disk.crash(0);
            disk.flip_bit(&path, offset, bit).unwrap();
            turned += 1;
            let what = format!("bit {bit} of byte {offset} of {}", path.display());
            let shown = look(&disk, dir, random);
            match shown.error {
                None => {
                    let right = shown.forward == expected || allowed(&path, &shown.forward);
                    assert!(right, "{what} changes what is shown, and nobody says so");
                }
                Some(Error::Corruption { file, offset: place, what: why }) => {
                    noticed += 1;
                    assert_eq!(file, path, "{what}: {why}");
                    assert!(place <= offset, "{what} is said to be at {place}: {why}");
                    let right = |(key, value): (&Vec<u8>, &Vec<u8>)| expected.get(key) == Some(value);
                    assert!(shown.forward.iter().chain(&shown.single).all(right), "{what}: something wrong is shown");
                }
                Some(error) => panic!("{what} is no corruption: {error}"),
            }
        }
        noticed_of.push((path.to_string_lossy().into_owned(), noticed, turned));
    }
    println!("noticed: {noticed_of:?}");
    noticed_of
}

/// No bit of a table that is in use goes unnoticed, none of `CURRENT`, and few of the manifest: those that fill it up.
fn assert_most_are_noticed(noticed_of: &[(String, u64, u64)]) {
    let mut tables = 0;
    for (path, noticed, turned) in noticed_of {
        if path.ends_with(".table") {
            assert!(*noticed == 0 || noticed == turned, "of {path} {noticed} of {turned} are noticed");
            tables += u64::from(*noticed > 0);
        } else if path.ends_with("CURRENT") {
            assert_eq!(noticed, turned);
        } else if path.contains("MANIFEST") {
            assert!(*noticed > turned * 8 / 10, "of {path} {noticed} of {turned} are noticed");
        }
    }
    assert!(tables >= 3, "there are tables in use");
}

#[test]
fn a_bit_of_a_closed_database_is_noticed_or_matters_to_nobody() {
    let (disk, _) = database(true);
    let noticed = turn_over(&disk, DIR, |_, _| false);
    assert_most_are_noticed(&noticed);
    let of_logs = noticed.iter().filter(|(path, ..)| path.ends_with(".log"));
    assert!(of_logs.map(|(_, noticed, _)| noticed).sum::<u64>() > 500, "the log has batches");
}

#[test]
fn a_bit_of_a_copy_is_noticed_or_matters_to_nobody() {
    let (disk, _) = database(true);
    assert_most_are_noticed(&turn_over(&disk, COPY, |_, _| false));
}

/// The last batches may be durable, but nothing that was written later says so; so a damaged one cannot be told from one that a crash tore.
#[test]
fn a_bit_of_a_database_that_was_not_closed_takes_at_most_the_last_batches() {
    let (disk, states) = database(false);
    let of_log = |path: &Path| path.extension().is_some_and(|kind| kind == "log");
    assert_most_are_noticed(&turn_over(&disk, DIR, |path, shown| of_log(path) && states.contains(shown)));
}

#[test]
fn whatever_is_in_the_lock_file_matters_to_nobody() {
    let (disk, states) = database(true);
    let lock = disk.open(&Path::new(DIR).join("LOCK")).unwrap();
    lock.write_all_at(&[&[0x5a; 1000]], 0).unwrap();
    assert_eq!(everything(&open(&disk, Path::new(DIR)).unwrap()).ok(), states.last().cloned());
}
