//! Disks that fail without crashing, files that are missing or damaged, and what repair makes of them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kvorum_lsm::disk::Disk;
use kvorum_lsm::disk::sim::{Operation, SimDisk};
use kvorum_lsm::{Batch, Db, Durability, Error, Result, repair_on};

use crate::support::{Model, Random, collect, everything, open, tiny};

const DIR: &str = "db";

/// Writes until something fails; gives what was acknowledged.
fn fill(db: &Db, random: &mut Random, count: u64, durability: Durability) -> (Model, Result<()>) {
    let mut model = Model::new();
    for _ in 0..count {
        let (key, value) = (random.key(500), random.value(300));
        let mut batch = Batch::new();
        batch.put(&key, &value).unwrap();
        if let Err(error) = db.write(batch, durability) {
            return (model, Err(error));
        }
        model.insert(key, value);
        if random.one_in(10) {
            db.run_one();
        }
    }
    (model, Ok(()))
}

/// All that was acknowledged is there; of the one write that was not, nobody knows.
fn assert_has(found: &Model, acknowledged: &Model, what: &str) {
    let others = acknowledged.iter().filter(|(key, value)| found.get(*key) != Some(value)).count();
    assert!(others <= 1, "{what}: {others} acknowledged writes are not there");
    assert!(found.len() <= acknowledged.len() + 1, "{what}: there is what nobody wrote");
}

#[test]
fn after_a_failed_call_nothing_more_is_acknowledged_and_nothing_is_lost() {
    for (at, operation) in [
        Operation::Write,
        Operation::Sync,
        Operation::SyncDir,
        Operation::Create,
        Operation::Rename,
        Operation::Allocate,
    ]
    .into_iter()
    .enumerate()
    {
        for after in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] {
            let what = format!("{operation:?} fails after {after}");
            let random = &mut Random(after * 7 + at as u64);
            let disk = SimDisk::new(after);
            let db = open(&disk, Path::new(DIR)).unwrap();
            disk.fail(operation, after, ErrorKind::Other);
            let (acknowledged, failed) = fill(&db, random, 400, Durability::Always);
            if let Err(error) = failed {
                assert!(matches!(error, Error::Io { .. } | Error::Poisoned(_)), "{what}: {error}");
                for _ in 0..3 {
                    assert!(matches!(db.put("more", ""), Err(Error::Poisoned(_))), "{what}");
                }
                assert!(db.flush().is_err() && db.drop_range("a".."b").is_err(), "{what}");
                // What was acknowledged can still be read.
                assert_has(&everything(&db).unwrap(), &acknowledged, &what);
            }
            drop(db);
            let after = disk.crash(after);
            assert_has(&everything(&open(&after, Path::new(DIR)).unwrap()).unwrap(), &acknowledged, &what);
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_with_room_all_is_there() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let db = open(&disk, Path::new(DIR)).unwrap();
        disk.fill_after(20_000 + 7_000 * seed);
        let (acknowledged, failed) = fill(&db, &mut Random(seed), 5_000, Durability::Always);
        let error = failed.expect_err("the disk is too small for that");
        assert!(error.to_string().contains("write") || error.to_string().contains("cannot"), "{error}");
        drop(db);
        disk.make_room();
        assert_has(&everything(&open(&disk, Path::new(DIR)).unwrap()).unwrap(), &acknowledged, "full disk");
    }
}

/// All files of a database.
fn files(disk: &SimDisk) -> Vec<(PathBuf, u64)> {
    let dir = Path::new(DIR);
    let names = disk.list(dir).unwrap().into_iter().filter(|name| name != "LOCK");
    names.map(|name| dir.join(name)).map(|path| (path.clone(), disk.read(&path).unwrap().len() as u64)).collect()
}

#[test]
fn a_missing_file_is_noticed() {
    let disk = SimDisk::new(9);
    let db = open(&disk, Path::new(DIR)).unwrap();
    fill(&db, &mut Random(9), 300, Durability::Never).1.unwrap();
    db.close().unwrap();
    drop(db);
    // A log that is missing at the end is the same as one that was never begun.
    for (path, _) in files(&disk).into_iter().filter(|(path, _)| path.extension().is_none_or(|kind| kind != "log")) {
        let disk = disk.crash(1);
        disk.remove(&path).unwrap();
        let opened = open(&disk, Path::new(DIR));
        assert!(matches!(opened, Err(Error::Corruption { .. })), "{} is not missed", path.display());
    }
}

#[test]
fn a_damaged_table_does_not_hide_the_others() {
    let disk = SimDisk::new(3);
    let db = open(&disk, Path::new(DIR)).unwrap();
    let random = &mut Random(3);
    let mut noise = || (0..50).map(|_| random.next() as u8).collect::<Vec<_>>();
    for at in 0..200 {
        db.put(format!("a{at:03}"), noise()).unwrap();
    }
    db.flush().unwrap();
    for at in 0..200 {
        db.put(format!("b{at:03}"), noise()).unwrap();
    }
    db.flush().unwrap();
    db.compact_range::<[u8]>(..).unwrap();
    db.close().unwrap();
    let tables: Vec<_> =
        files(&disk).into_iter().filter(|(path, _)| path.to_string_lossy().ends_with(".table")).collect();
    assert!(tables.len() > 1, "there are several tables");
    let (path, _) = tables.last().unwrap();
    disk.flip_bit(path, 20, 3).unwrap();
    drop(db);
    let db = open(&disk, Path::new(DIR)).unwrap();
    assert!(matches!(db.verify(), Err(Error::Corruption { file, .. }) if file == *path));
    assert_eq!(collect(db.range("a000".."a050")).unwrap().len(), 50);
    assert!(everything(&db).is_err());
}

#[test]
fn repair_saves_what_can_be_read() {
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let random = &mut Random(seed);
        let db = open(&disk, Path::new(DIR)).unwrap();
        for at in 0..300 {
            db.put(format!("a{at:03}"), random.value(200)).unwrap();
        }
        db.compact_range::<str>(..).unwrap();
        for at in 0..50 {
            db.put(format!("b{at:03}"), random.value(200)).unwrap();
        }
        let before = everything(&db).unwrap();
        db.close().unwrap();
        drop(db);
        let disk = disk.crash(seed);
        let all = files(&disk);
        let (path, len) = &all[random.below(all.len() as u64) as usize];
        disk.flip_bit(path, random.below((*len).min(4096)), 1).unwrap();
        let damaged = open(&disk, Path::new(DIR)).and_then(|db| everything(&db)).is_err();
        let repaired = repair_on(Arc::new(disk.clone()), DIR, &tiny()).unwrap();
        assert_eq!(damaged, !repaired.problems.is_empty(), "seed {seed}, {}: {:?}", path.display(), repaired.problems);
        let db = open(&disk, Path::new(DIR)).unwrap();
        db.verify().unwrap();
        let found = everything(&db).unwrap();
        assert_eq!(found.len() as u64, repaired.keys);
        assert!(found.iter().all(|(key, value)| before.get(key) == Some(value)), "seed {seed}: nothing is invented");
        let name = path.to_string_lossy();
        let least = if name.ends_with(".table") {
            200
        } else if name.ends_with(".log") {
            300
        } else {
            350
        };
        assert!(found.len() >= least, "seed {seed}: of {} only {} are left, {name}", before.len(), found.len());
        db.put("more", "").unwrap();
    }
}
