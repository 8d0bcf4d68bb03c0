//! What users can do besides reading and writing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kvorum_lsm::disk::Disk;
use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Batch, Db, Decision, Durability, Error, Options, Runner, TryGet};

use crate::support::{Model, collect, everything, open, tiny};

fn db() -> (SimDisk, Db) {
    let disk = SimDisk::new(1);
    let db = open(&disk, Path::new("db")).unwrap();
    (disk, db)
}

fn put_many(db: &Db, prefix: &str, count: usize, value: &str) {
    for at in 0..count {
        db.put(format!("{prefix}{at:04}"), value).unwrap();
    }
}

#[test]
fn a_snapshot_sees_what_was_there() {
    let (_, db) = db();
    put_many(&db, "a", 100, "old");
    let snapshot = db.snapshot();
    put_many(&db, "a", 100, "new");
    db.delete("a0007").unwrap();
    db.compact_range::<str>(..).unwrap();
    assert_eq!(snapshot.get("a0007").unwrap().unwrap(), "old");
    assert_eq!(snapshot.prefix("a").count(), 100);
    assert_eq!(db.prefix("a").count(), 99);
    let both = snapshot.multi_get(&["a0001", "b"]).unwrap();
    assert_eq!(both[0].as_deref(), Some(&b"old"[..]));
    assert!(both[1].is_none());
    let before = db.metrics().levels[6].entries;
    drop(snapshot);
    db.delete("a0008").unwrap();
    db.compact_range::<str>(..).unwrap();
    assert_eq!(db.metrics().levels[6].entries, 98, "of {before}");
}

#[test]
fn a_range_sees_one_moment() {
    let (_, db) = db();
    put_many(&db, "a", 300, "old");
    let mut range = db.range("a0010"..="a0020");
    put_many(&db, "a", 300, "new");
    db.drop_range("a".."b").unwrap();
    db.compact_range::<str>(..).unwrap();
    while db.run_one() {}
    assert_eq!(range.next_back().unwrap().unwrap(), (b"a0020".to_vec(), b"old".to_vec()));
    assert_eq!(range.by_ref().map(|entry| entry.unwrap().1).filter(|value| value == b"old").count(), 10);
    assert!(db.range::<str>(..).next().is_none());
}

#[test]
fn submitted_batches_are_written_in_their_order() {
    let (_, db) = db();
    let called = Arc::new(Mutex::new(Vec::new()));
    let tickets: Vec<_> = (0..10)
        .map(|at| {
            let mut batch = Batch::new();
            batch.put(b"key", &[at]).unwrap();
            let called = called.clone();
            db.submit_with(batch, Durability::Always, move |result| called.lock().unwrap().push(result.unwrap()))
                .unwrap()
        })
        .collect();
    assert!(tickets[0].poll().is_none());
    assert!(db.get("key").unwrap().is_none());
    assert!(db.run_one());
    assert_eq!(*called.lock().unwrap(), (1..=10).collect::<Vec<_>>());
    assert_eq!(tickets[4].poll().unwrap().unwrap(), 5);
    assert_eq!(db.get("key").unwrap().unwrap(), [9]);
    assert_eq!((db.metrics().groups, db.metrics().log_syncs), (1, 1));
    assert_eq!(tickets.into_iter().map(|ticket| ticket.wait().unwrap()).max(), Some(10));
}

#[test]
fn a_ticket_can_be_waited_for_without_a_thread() {
    let (_, db) = db();
    let mut batch = Batch::new();
    batch.put(b"a", b"1").unwrap();
    let ticket = db.submit(batch, Durability::Never).unwrap();
    assert_eq!(ticket.wait().unwrap(), 1);
}

#[test]
fn the_filter_removes_what_it_says() {
    let disk = SimDisk::new(2);
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let filter = move |_: &[u8], value: &[u8]| {
        count.fetch_add(1, Ordering::Relaxed);
        if value == b"expired" { Decision::Remove } else { Decision::Keep }
    };
    let at = || Db::at("db").disk(disk.clone()).options(tiny()).runner(Runner::Manual);
    let db = at().compaction_filter(filter).open().unwrap();
    put_many(&db, "a", 100, "lives");
    db.compact_range::<str>(..).unwrap();
    let snapshot = db.snapshot();
    put_many(&db, "a", 50, "expired");
    db.compact_range::<str>(..).unwrap();
    assert_eq!(snapshot.prefix("a").count(), 100, "no snapshot loses anything");
    drop(snapshot);
    db.compact_range::<str>(..).unwrap();
    assert_eq!(db.prefix("a").count(), 50, "and no older value comes back");
    put_many(&db, "b", 1, "expired");
    let snapshot = db.snapshot();
    db.compact_range::<str>(..).unwrap();
    assert_eq!((db.prefix("b").count(), snapshot.prefix("b").count()), (1, 1), "what a snapshot sees stays");
    drop(snapshot);
    db.compact_range::<str>(..).unwrap();
    assert_eq!(db.prefix("b").count(), 0);
    assert!(asked.load(Ordering::Relaxed) > 0 && db.metrics().filtered >= 50);
    db.close().unwrap();
    drop(db);
    assert_eq!(at().open().unwrap().prefix("a").count(), 50);
}

#[test]
fn the_filter_gives_other_values() {
    let disk = SimDisk::new(2);
    let at = || Db::at("db").disk(disk.clone()).options(tiny()).runner(Runner::Manual);
    let shorten = |_: &[u8], value: &[u8]| match value {
        b"long and past" => Decision::Replace(b"past".to_vec()),
        _ => Decision::Keep,
    };
    let db = at().compaction_filter(shorten).open().unwrap();
    put_many(&db, "a", 50, "long and past");
    put_many(&db, "b", 50, "lives");
    let snapshot = db.snapshot();
    db.compact_range::<str>(..).unwrap();
    assert_eq!(db.get("a0001").unwrap().unwrap(), "long and past", "a snapshot sees it");
    drop(snapshot);
    db.compact_range::<str>(..).unwrap();
    db.compact_range::<str>(..).unwrap();
    assert_eq!(db.metrics().replaced, 50, "once each");
    for (key, value) in everything(&db).unwrap() {
        assert_eq!(value, if key[0] == b'a' { &b"past"[..] } else { b"lives" });
    }
    assert_eq!(db.prefix("a").count(), 50);
    db.verify().unwrap();
}

#[test]
fn what_is_in_memory_is_told_without_the_disk() {
    let disk = SimDisk::new(3);
    let db = open(&disk, Path::new("db")).unwrap();
    let value = |key: &str| match db.try_get(key).unwrap() {
        TryGet::Found(value) => Some(value.to_vec()),
        TryGet::Absent => None,
        TryGet::WouldRead => panic!("{key} would be read"),
    };
    put_many(&db, "a", 100, "first");
    db.delete("a0003").unwrap();
    assert_eq!((value("a0002").as_deref(), value("a0003")), (Some(&b"first"[..]), None), "from the memtable");
    db.compact_range::<str>(..).unwrap();
    drop(db);
    let db = open(&disk, Path::new("db")).unwrap();
    assert_eq!(db.try_get("a0002").unwrap(), TryGet::WouldRead, "the table is not open");
    db.put("a0002", "second").unwrap();
    db.delete("a0004").unwrap();
    assert!(matches!(db.try_get("a0002").unwrap(), TryGet::Found(value) if value == "second"));
    assert_eq!(db.try_get("a0004").unwrap(), TryGet::Absent, "newer than what would be read");
    assert_eq!(db.get("a0005").unwrap().unwrap(), "first");
    assert!(matches!(db.try_get("a0005").unwrap(), TryGet::Found(value) if value == "first"), "the cache has it now");
    assert_eq!(db.try_get("b").unwrap(), TryGet::Absent, "beyond all tables");
    let reads = db.metrics().block_reads;
    for at in 0..100 {
        let _ = db.try_get(format!("a{at:04}")).unwrap();
    }
    assert_eq!(db.metrics().block_reads, reads);
}

#[test]
fn a_dropped_range_is_gone_at_once_and_its_room_later() {
    let (disk, db) = db();
    put_many(&db, "a", 300, "value");
    put_many(&db, "b", 300, "value");
    db.compact_range::<str>(..).unwrap();
    put_many(&db, "b", 10, "newer");
    db.drop_range("a0100".."b0200").unwrap();
    assert_eq!((db.prefix("a").count(), db.prefix("b").count()), (100, 100));
    assert!(db.get("a0100").unwrap().is_none() && db.get("b0005").unwrap().is_none());
    db.put("b0005", "after").unwrap();
    assert_eq!(db.get("b0005").unwrap().unwrap(), "after");
    db.close().unwrap();
    drop(db);
    let db = open(&disk, Path::new("db")).unwrap();
    assert_eq!((db.prefix("a").count(), db.prefix("b").count()), (100, 101));
    db.flush().unwrap();
    while db.run_one() {}
    assert_eq!(db.metrics().dropped_ranges, 0, "when nothing of it is left, it is forgotten");
    assert_eq!(db.metrics().levels.iter().map(|level| level.entries).sum::<u64>(), 201);
    db.drop_range::<str>(..).unwrap();
    assert!(everything(&db).unwrap().is_empty());
    assert_eq!(db.metrics().table_bytes(), 0);
    db.drop_range("z".."a").unwrap();
}

/// Damage to the last edit of a manifest looks like an edit that a crash interrupted, unless it is known to have been durable.
#[test]
fn after_a_close_no_damage_undoes_a_drop() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let db = open(&disk, Path::new("db")).unwrap();
        put_many(&db, "a", 50, "value");
        db.drop_range("a0010".."b").unwrap();
        db.close().unwrap();
        drop(db);
        let after = disk.crash(seed);
        let names = after.list(Path::new("db")).unwrap();
        let manifest = Path::new("db").join(names.iter().find(|name| name.starts_with("MANIFEST")).unwrap());
        let bytes = after.read(&manifest).unwrap();
        let key = bytes.windows(5).rposition(|window| window == b"a0010").unwrap();
        after.flip_bit(&manifest, key as u64, 1).unwrap();
        assert!(matches!(open(&after, Path::new("db")), Err(Error::Corruption { .. })), "seed {seed}");
    }
}

#[test]
fn a_checkpoint_is_a_database_of_its_own() {
    let (disk, db) = db();
    put_many(&db, "a", 200, "then");
    db.checkpoint("copy").unwrap();
    assert!(matches!(db.checkpoint("copy"), Err(Error::Invalid(_))));
    put_many(&db, "a", 200, "now");
    db.compact_range::<str>(..).unwrap();
    while db.run_one() {}
    let copy = open(&disk, Path::new("copy")).unwrap();
    let then = everything(&copy).unwrap();
    assert_eq!(then.len(), 200);
    assert!(then.values().all(|value| value == b"then"));
    put_many(&copy, "b", 200, "elsewhere");
    copy.compact_range::<str>(..).unwrap();
    assert_eq!(db.prefix("b").count(), 0);
    db.verify().unwrap();
}

#[test]
fn ingested_entries_appear_at_once() {
    let (disk, db) = db();
    put_many(&db, "a", 100, "written");
    let snapshot = db.snapshot();
    let mut ingest = db.ingest().unwrap();
    for at in 50..150 {
        ingest.put(format!("a{at:04}"), "ingested").unwrap();
    }
    assert!(matches!(ingest.put("a0000", ""), Err(Error::Invalid(_))));
    assert_eq!(db.prefix("a").count(), 100);
    let sequence = ingest.finish().unwrap();
    assert_eq!(sequence, 101);
    assert_eq!(db.get("a0060").unwrap().unwrap(), "ingested");
    assert_eq!(snapshot.get("a0060").unwrap().unwrap(), "written");
    db.put("a0060", "again").unwrap();
    assert_eq!(db.prefix("a").count(), 150);
    assert_eq!(snapshot.prefix("a").count(), 100);
    let mut ingest = db.ingest().unwrap();
    ingest.put("z", "alone").unwrap();
    ingest.finish().unwrap();
    assert_eq!(db.metrics().levels[6].tables, 1, "what overlaps nothing goes to the last level");
    drop(snapshot);
    let before = everything(&db).unwrap();
    db.close().unwrap();
    drop(db);
    let db = open(&disk, Path::new("db")).unwrap();
    assert_eq!(everything(&db).unwrap(), before);
    assert_eq!(db.get("a0060").unwrap().unwrap(), "again");
    db.ingest().unwrap().finish().unwrap();
}

#[test]
fn a_database_is_opened_once() {
    let (disk, db) = db();
    assert!(matches!(open(&disk, Path::new("db")), Err(Error::Locked { .. })));
    let clone = db.clone();
    drop(db);
    assert!(matches!(open(&disk, Path::new("db")), Err(Error::Locked { .. })));
    clone.close().unwrap();
    let again = open(&disk, Path::new("db")).unwrap();
    assert!(matches!(clone.put("a", "b"), Err(Error::Invalid(_))));
    assert!(matches!(clone.flush(), Err(Error::Invalid(_))));
    again.put("a", "b").unwrap();
}

#[test]
fn impossible_requests_change_nothing() {
    let (disk, db) = db();
    assert!(matches!(db.put("", "value"), Err(Error::Invalid(_))));
    assert_eq!(db.write(Batch::new(), Durability::Always).unwrap(), 0);
    assert!(db.get("").unwrap().is_none());
    assert!(db.range("z".."a").next().is_none());
    let impossible = Options::default().memtables(0);
    let opened = Db::open_on(disk, "other", impossible, Runner::Manual);
    assert!(matches!(opened, Err(Error::Option { name: "memtables", .. })));
}

#[test]
fn a_range_that_is_held_keeps_its_tables() {
    let (_, db) = db();
    put_many(&db, "a", 500, "value");
    db.flush().unwrap();
    let mut range = db.range::<str>(..);
    range.next().unwrap().unwrap();
    db.drop_range::<str>(..).unwrap();
    while db.run_one() {}
    let rest: Model = collect(range).unwrap();
    assert_eq!(rest.len(), 499);
}
