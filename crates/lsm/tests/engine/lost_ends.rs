//! Logs that were left behind without a sync, and lost their ends in a crash: what lies behind such a gap is dropped, for good, unless
//! something says that what is missing was durable. And what is in tables before anybody asks is never synced.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvorum_lsm::disk::Disk;
use kvorum_lsm::disk::sim::{Call, Operation, SimDisk};
use kvorum_lsm::{Batch, Db, Durability, Error, Options, Result, Runner, repair_on};

use crate::support::{Model, as_programs_see, everything, tiny};

const DIR: &str = "db";
/// Puts of a database; they fill three logs and begin a fourth.
const PUTS: u64 = 400;
/// What a put takes in a log, and where the first is.
const FRAME: u64 = 40 + 112;
const FIRST: u64 = 40;

fn options() -> Options {
    tiny().memtable_bytes(16 << 10).memtables(16)
}

fn open(disk: &SimDisk) -> Result<Db> {
    Db::open_on(disk.clone(), DIR, options(), Runner::Manual)
}

fn put(db: &Db, number: u64, value: u8, durability: Durability) {
    let mut batch = Batch::new();
    batch.put(&number.to_be_bytes(), &[value; 100]).unwrap();
    db.write(batch, durability).unwrap();
}

fn logs(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new(DIR)).unwrap().into_iter().filter(|name| name.ends_with(".log"));
    names.map(|name| Path::new(DIR).join(name)).collect()
}

/// The puts up to one of them.
fn puts(count: u64) -> Model {
    (0..count).map(|number| (number.to_be_bytes().to_vec(), vec![1; 100])).collect()
}

/// A database whose logs nobody has synced, but perhaps after so many puts.
fn database(synced_after: Option<u64>) -> SimDisk {
    let disk = SimDisk::new(1);
    let db = open(&disk).unwrap();
    for number in 0..PUTS {
        put(&db, number, 1, Durability::Never);
        if synced_after == Some(number + 1) {
            db.sync().unwrap();
        }
    }
    let image = as_programs_see(&disk, &[Path::new(DIR)]);
    assert!(logs(&image).len() >= 4, "{:?}", logs(&image));
    image
}

/// Takes the second half of a log away, as a crash does.
fn lose_end(disk: &SimDisk, log: &Path) {
    let bytes = disk.read(log).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("it is used") + 1;
    lose_from(disk, log, used as u64 / 2 / 512 * 512);
}

fn lose_from(disk: &SimDisk, log: &Path, from: u64) {
    let len = disk.read(log).unwrap().len();
    disk.open(log).unwrap().write_all_at(&[&vec![0; len - from as usize]], from).unwrap();
}

/// How many of the puts are there: all up to one, and none behind it.
fn prefix(found: &Model) -> u64 {
    let count = found.len() as u64;
    assert_eq!(*found, puts(count), "not all up to a put are there, or others too");
    count
}

/// What is dropped when a database is opened is never shown again, and never in the way.
fn is_dropped_for_good(disk: &SimDisk, expected: std::ops::Range<u64>, behind: usize) {
    let stale: Vec<_> = logs(disk).into_iter().map(|log| (disk.read(&log).unwrap(), log)).collect();
    let db = open(disk).unwrap();
    let mut model = everything(&db).unwrap();
    let count = prefix(&model);
    assert!(expected.contains(&count), "{count} are left");
    assert!(db.metrics().torn_bytes > behind as u64 * 1000, "all behind is counted");
    // Other writes get the sequence numbers of those that were lost.
    for number in count..2 * PUTS {
        put(&db, number, 2, if number % 7 == 0 { Durability::Always } else { Durability::Never });
        model.insert(number.to_be_bytes().to_vec(), vec![2; 100]);
        if number % 100 == 0 {
            // That the old logs are removed need not be durable; not even if the machine crashes again.
            let image = disk.crash(number);
            for (bytes, log) in &stale {
                assert!(disk.read(log).is_err(), "{} is removed", log.display());
                if image.read(log).is_err() {
                    image.create(log).unwrap().write_all_at(&[bytes], 0).unwrap();
                }
            }
            let found = everything(&open(&image).unwrap()).unwrap();
            assert!(found.len() as u64 > number / 7 * 7, "what was synced is there");
            assert!(found.iter().all(|(key, value)| model.get(key) == Some(value)), "and nothing else");
        }
    }
}

#[test]
fn what_lies_behind_a_lost_end_is_dropped_for_good() {
    for lost in 0..3 {
        let disk = database(None);
        let old = logs(&disk);
        lose_end(&disk, &old[lost]);
        is_dropped_for_good(&disk, 10..PUTS - 30, old.len() - lost - 1);
    }
    // The same when all that is left is known to be durable, and when it is in tables.
    let disk = database(Some(20));
    let old = logs(&disk);
    lose_from(&disk, &old[0], FIRST + 20 * FRAME);
    is_dropped_for_good(&disk, 20..21, old.len() - 1);
    let disk = database(None);
    lose_from(&disk, &old[0], FIRST);
    is_dropped_for_good(&disk, 0..1, old.len() - 1);
}

#[test]
fn a_lost_end_of_the_last_log_loses_nothing_before() {
    let disk = database(None);
    let old = logs(&disk);
    let whole = prefix(&everything(&open(&disk.crash(0)).unwrap()).unwrap());
    assert_eq!(whole, PUTS);
    lose_end(&disk, old.last().unwrap());
    assert!(prefix(&everything(&open(&disk).unwrap()).unwrap()) > PUTS / 2);
}

#[test]
fn what_was_durable_is_missed_in_the_log_that_had_it() {
    let mut claimed_by_frames = 0;
    for synced_after in [PUTS / 2, PUTS - 1] {
        for lost in 0..3 {
            let disk = database(Some(synced_after));
            let old = logs(&disk);
            let before = open(&disk.crash(0)).and_then(|db| everything(&db)).unwrap();
            assert_eq!(prefix(&before), PUTS);
            lose_end(&disk, &old[lost]);
            match open(&disk) {
                Err(Error::Corruption { file, offset, .. }) => {
                    assert_eq!(file, old[lost], "synced after {synced_after}");
                    assert!(offset > 40);
                    claimed_by_frames += u64::from(synced_after == PUTS - 1);
                }
                Err(error) => panic!("{error}"),
                // What was lost is what came after the sync.
                Ok(db) => assert!(prefix(&everything(&db).unwrap()) >= synced_after),
            }
        }
    }
    assert_eq!(claimed_by_frames, 3, "the last frame of the last log says that all before was durable");
}

#[test]
fn a_repair_takes_what_was_durable_and_nothing_from_behind_a_lost_end() {
    let disk = database(None);
    lose_end(&disk, &logs(&disk)[1]);
    let opened = prefix(&everything(&open(&disk.crash(0)).unwrap()).unwrap());
    let repaired = repair_on(Arc::new(disk.clone()), DIR, &options()).unwrap();
    assert!(repaired.problems.is_empty(), "{:?}", repaired.problems);
    assert_eq!(prefix(&everything(&open(&disk).unwrap()).unwrap()), opened);

    let disk = database(Some(PUTS - 1));
    lose_end(&disk, &logs(&disk)[1]);
    assert!(open(&disk.crash(0)).is_err());
    repair_on(Arc::new(disk.clone()), DIR, &options()).unwrap();
    let found = everything(&open(&disk).unwrap()).unwrap();
    assert!(found.len() as u64 > opened && found.contains_key(&(PUTS - 1).to_be_bytes()[..]), "{}", found.len());
    assert!(found.iter().all(|(key, value)| puts(PUTS).get(key) == Some(value)));
}

#[test]
fn a_log_whose_batches_are_in_tables_is_never_synced() {
    let disk = SimDisk::new(1);
    let db = open(&disk).unwrap();
    disk.record_calls();
    for number in 0..PUTS {
        put(&db, number, 1, Durability::Never);
        while db.run_one() {}
    }
    let calls = disk.recorded_calls();
    let of_logs = |operation| calls.iter().filter(move |call| call.operation == operation && is_log(&call.path));
    assert!(of_logs(Operation::Remove).count() >= 2, "logs are removed");
    for removed in of_logs(Operation::Remove) {
        let syncs = of_logs(Operation::Sync).filter(|call| call.path == removed.path).count();
        assert!(syncs <= 1, "{} is synced for its header alone", removed.path.display());
    }
    assert_eq!(of_logs(Operation::Rename).count(), 0, "none is used again");
    // Those that are synced are.
    for number in 0..PUTS {
        put(&db, number, 1, Durability::Always);
        while db.run_one() {}
    }
    let again = |call: &&Call| call.operation == Operation::Rename && is_log(&call.path);
    assert!(disk.recorded_calls().iter().filter(again).count() >= 2, "logs are used again");
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "log")
}

/// The log that such an opening begins says that all before it is durable; but nothing is until its manifest is in force.
#[test]
fn what_is_read_after_an_opening_that_failed_is_durable() {
    let disk = SimDisk::new(1);
    let db = open(&disk).unwrap();
    (0..20).for_each(|number| put(&db, number, 1, Durability::Never));
    // The process ends without a sync.
    disk.fail(Operation::Write, 0, ErrorKind::Other);
    assert!(db.put("one more", "").is_err() && db.close().is_err());
    drop(db);
    disk.fail(Operation::Rename, 0, ErrorKind::Other);
    assert!(matches!(open(&disk), Err(Error::Io { action: "rename", .. })));
    let before = logs(&disk).len();
    let db = open(&disk).unwrap();
    assert!(before > logs(&disk).len(), "the first opening had begun a log");
    assert_eq!(prefix(&everything(&db).unwrap()), 20);
    for seed in 0..50 {
        assert_eq!(prefix(&everything(&open(&disk.crash(seed)).unwrap()).unwrap()), 20);
    }
}
