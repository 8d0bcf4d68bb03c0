use std::path::Path;

use super::*;
use kvorum_lsm::disk::Disk as _;
use kvorum_node::{ActorId, KeyspaceId};
use kvorum_ring::PartitionId;
use kvorum_vclock::{Dot, Timestamp};

fn config(seed: u64) -> SimConfig {
    SimConfig { engine: Options::default().memtable_bytes(8 << 10), ..SimConfig::from_seed(seed) }
}

fn opened(config: &SimConfig) -> Store {
    let mut store = Store::new(config, 0);
    store.open().unwrap();
    store
}

fn key(number: u64) -> StoredKey {
    StoredKey::new(KeyspaceId(1), PartitionId(0), format!("key-{number}").as_bytes())
}

fn record(number: u64) -> Record {
    let dot = Dot { time: Timestamp::from_bits(number), actor: ActorId(1) };
    Record::lww(dot, Some(&[number as u8; 300]), None)
}

fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(number).as_bytes(), record(number).as_bytes()).unwrap();
    batch
}

fn put(store: &mut Store, number: u64) -> Result<(), StoreError> {
    store.write(vec![batch(number)], Durability::Always)
}

fn holds(store: &mut Store, number: u64) -> bool {
    match store.load(&key(number)).unwrap() {
        Some(found) => found == record(number),
        None => false,
    }
}

#[test]
fn what_was_written_goes_through_tables_and_outlives_every_death() {
    for seed in 0..20 {
        let mut store = opened(&config(seed));
        for number in 1..=60 {
            put(&mut store, number).unwrap();
            while number % 3 == 0 && store.work().unwrap() {}
            // What a process that dies had in memory, the next one writes to a table at once.
            if number % 30 == 0 {
                store.die(if seed % 2 == 0 { Death::Killed } else { Death::PowerLost }, Vec::new());
                store.open().unwrap();
            }
        }
        assert!((1..=60).all(|number| holds(&mut store, number)), "seed {seed}");
        let Work { flushes, compactions, .. } = store.done();
        assert!(flushes > 0 && compactions > 0, "seed {seed}: {flushes} flushes, {compactions} compactions");
        assert!(store.surprises().is_empty(), "seed {seed}: {:?}", store.surprises());
    }
}

#[test]
fn damage_is_a_surprise_and_a_planned_failure_is_none() {
    let mut store = opened(&config(1));
    store.fail(Operation::Sync);
    let failed = (1..=10).find_map(|number| put(&mut store, number).err());
    assert!(matches!(failed, Some(StoreError::Io(_))), "{failed:?}");
    assert!(matches!(put(&mut store, 11), Err(StoreError::Io(_))), "nothing more is taken in");
    assert!(store.surprises().is_empty());
    store.die(Death::PowerLost, Vec::new());
    store.open().unwrap();
    for number in 1..=20 {
        put(&mut store, number).unwrap();
    }
    store.db().flush().unwrap();
    let tables = store.medium.list(Path::new(DATABASE)).unwrap();
    let table = tables.iter().rfind(|name| name.ends_with(".table")).unwrap();
    store.medium.flip_bit(&Path::new(DATABASE).join(table), 100, 0).unwrap();
    let damaged = (1..=20).find_map(|number| store.load(&key(number)).err());
    assert!(matches!(damaged, Some(StoreError::Corruption(_))), "{damaged:?}");
    assert_eq!(store.surprises().len(), 1);
}

#[test]
fn a_failure_that_nobody_planned_is_a_surprise() {
    let mut store = opened(&config(1));
    store.medium.fail(Operation::Sync, 0, ErrorKind::Other);
    assert!(put(&mut store, 1).is_err());
    assert_eq!(store.surprises().len(), 1);
    assert!(put(&mut store, 2).is_err());
    assert_eq!(store.surprises().len(), 1, "what follows from it is none");
}

#[test]
fn failures_that_are_withdrawn_do_not_come() {
    for seed in 0..20 {
        let mut store = opened(&config(seed));
        store.fail_sync();
        store.fail_write();
        store.withdraw();
        (1..=20).for_each(|number| put(&mut store, number).unwrap());
        store.die(Death::Killed, Vec::new());
        store.open().unwrap();
        (1..=20).for_each(|number| put(&mut store, number).unwrap());
    }
}

#[test]
fn a_full_disk_fails_in_the_end_and_takes_writes_again_when_there_is_room() {
    let mut store = opened(&config(3));
    store.set_full(true);
    let work = |store: &mut Store, number| put(store, number).and_then(|()| store.work().map(drop)).err();
    let failed = (1..=1000).find_map(|number| work(&mut store, number));
    assert!(matches!(failed, Some(StoreError::Io(_))), "{failed:?}");
    store.set_full(false);
    store.die(Death::Killed, Vec::new());
    store.open().unwrap();
    (1..=100).for_each(|number| assert_eq!(work(&mut store, number), None));
    assert!(store.surprises().is_empty(), "{:?}", store.surprises());
}

#[test]
fn a_log_that_is_not_synced_loses_what_was_written_or_is_found_damaged() {
    let lies = SimConfig { sabotage: Some(Sabotage::UnsyncedLog), ..config(0) };
    let is_bad = |seed| {
        let mut store = Store::new(&SimConfig { seed, ..lies.clone() }, 0);
        store.open().unwrap();
        (1..=5).for_each(|number| put(&mut store, number).unwrap());
        store.die(Death::PowerLost, Vec::new());
        store.open().is_err() || !(1..=5).all(|number| holds(&mut store, number))
    };
    assert!((0..20).any(is_bad));
}

#[test]
fn the_same_seed_makes_the_same_calls() {
    let lives = |seed| {
        let mut store = opened(&config(seed));
        for number in 1..=40 {
            put(&mut store, number).unwrap();
            store.work().unwrap();
        }
        store.die(Death::PowerLost, (41..=50).map(batch).collect());
        store.open().unwrap();
        let survivors = (41..=50).filter(|number| holds(&mut store, *number)).count();
        (survivors, store.calls())
    };
    let all: Vec<_> = (0..20).map(lives).collect();
    assert_eq!(all, (0..20).map(lives).collect::<Vec<_>>());
    assert!(all.iter().any(|other| *other != all[0]), "another seed leaves something else");
}
