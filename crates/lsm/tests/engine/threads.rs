//! Many threads at once, on a real disk.

use std::sync::atomic::{AtomicBool, Ordering};

use kvorum_lsm::{Batch, Db, Durability, Options, Runner};

use crate::support::{Random, tiny};

#[test]
fn readers_see_whole_batches_while_all_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("db"), tiny().durability(Durability::Never)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let db = &db;
                scope.spawn(move || {
                    let random = &mut Random(writer);
                    for round in 0..3_000_u64 {
                        let mut batch = Batch::new();
                        for key in ["left", "right"] {
                            batch.put(format!("{writer}/{key}").as_bytes(), &round.to_be_bytes()).unwrap();
                        }
                        batch.put(&random.key(5_000), &random.value(200)).unwrap();
                        let durability = if random.one_in(200) { Durability::Always } else { Durability::Never };
                        db.write(batch, durability).unwrap();
                    }
                })
            })
            .collect();
        for reader in 0..2 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let mut last = [0; 3];
                while !done.load(Ordering::Relaxed) {
                    for (writer, last) in last.iter_mut().enumerate() {
                        let keys = [format!("{writer}/left"), format!("{writer}/right")];
                        let both = db.multi_get(&keys).unwrap();
                        assert_eq!(both[0], both[1]);
                        let value =
                            both[0].as_ref().map_or(0, |value| u64::from_be_bytes((**value).try_into().unwrap()));
                        assert!(value >= *last, "time goes forward");
                        *last = value;
                    }
                    if reader == 0 {
                        let snapshot = db.snapshot();
                        let forward: Vec<_> = snapshot.range::<str>(..).map(Result::unwrap).collect();
                        let mut backward: Vec<_> = snapshot.range::<str>(..).rev().map(Result::unwrap).collect();
                        backward.reverse();
                        assert!(forward == backward, "a snapshot does not change");
                    }
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    db.compact_range::<str>(..).unwrap();
    db.verify().unwrap();
    let before: Vec<_> = db.range::<str>(..).map(Result::unwrap).collect();
    db.close().unwrap();
    drop(db);
    let db = Db::open(dir.path().join("db"), tiny()).unwrap();
    assert_eq!(db.range::<str>(..).map(Result::unwrap).collect::<Vec<_>>(), before);
}

#[test]
fn many_writers_share_their_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("db"), Options::default()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let db = &db;
            scope.spawn(move || (0..20).for_each(|at| db.put(format!("{writer}/{at}"), "value").unwrap()));
        }
    });
    let metrics = db.metrics();
    assert_eq!((metrics.batches, db.range::<str>(..).count()), (320, 320));
    assert!(metrics.log_syncs < 320, "{} syncs for 320 writes", metrics.log_syncs);
}

#[test]
fn submitted_batches_need_no_waiting_thread() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path().join("db"), Options::default().workers(1)).unwrap();
    let (told, outcomes) = std::sync::mpsc::channel();
    for at in 0..1_000_u32 {
        let mut batch = Batch::new();
        batch.put(&at.to_be_bytes(), b"value").unwrap();
        let told = told.clone();
        let durability = if at % 100 == 0 { Durability::Always } else { Durability::Interval };
        db.submit_with(batch, durability, move |outcome| told.send(outcome.unwrap()).unwrap()).unwrap();
    }
    let sequences: Vec<_> = outcomes.iter().take(1_000).collect();
    assert!(sequences.is_sorted());
    assert_eq!(sequences.last(), Some(&1_000));
}

#[test]
fn what_is_to_be_synced_within_an_interval_is() {
    let dir = tempfile::tempdir().unwrap();
    let interval = std::time::Duration::from_millis(2);
    let db = Db::open(dir.path().join("db"), Options::default().sync_interval(interval)).unwrap();
    let mut batch = Batch::new();
    batch.put(b"a", b"b").unwrap();
    db.write(batch, Durability::Interval).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while db.metrics().log_syncs == 0 {
        assert!(std::time::Instant::now() < deadline, "nobody has synced");
        std::thread::yield_now();
    }
}

#[test]
fn closing_waits_for_nothing_that_will_not_come() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::at(dir.path().join("db")).options(tiny().workers(1)).runner(Runner::Threads).open().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4_u64 {
                let db = &db;
                scope.spawn(move || {
                    let random = &mut Random(writer);
                    let mut batch = Batch::new();
                    batch.put(&random.key(500), &random.value(500)).unwrap();
                    while db.write(batch.clone(), Durability::Never).is_ok() {}
                });
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
            db.close().unwrap();
        });
    }
}
