//! Random operations against a sorted map.

use std::path::Path;

use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Batch, Db, Durability, Snapshot};

use crate::support::{Model, Random, collect, everything, open};

fn compare(db: &Db, model: &Model, random: &mut Random, keys: u64) {
    let key = random.key(keys);
    assert_eq!(db.get(&key).unwrap().map(Vec::from), model.get(&key).cloned());
    let (a, b) = (random.key(keys), random.key(keys));
    let (from, to) = (a.clone().min(b.clone()), a.max(b));
    let mut range = db.range(from.as_slice()..to.as_slice());
    let mut expected = model.range(from..to);
    for _ in 0..random.below(30) {
        let (found, wanted) = match random.one_in(2) {
            true => (range.next(), expected.next()),
            false => (range.next_back(), expected.next_back()),
        };
        assert_eq!(found.transpose().unwrap(), wanted.map(|(key, value)| (key.clone(), value.clone())));
    }
}

fn run(seed: u64, operations: u64, keys: u64) {
    let random = &mut Random(seed);
    let disk = SimDisk::new(seed);
    let dir = Path::new("db");
    let mut db = open(&disk, dir).unwrap();
    let mut model = Model::new();
    let mut snapshots: Vec<(Snapshot, Model)> = Vec::new();
    let mut done = 0;
    while done < operations {
        done += 1;
        match random.below(1000) {
            0..800 => {
                let mut batch = Batch::new();
                for _ in 0..1 + random.below(4) {
                    let key = random.key(keys);
                    if random.one_in(3) {
                        batch.delete(&key).unwrap();
                        model.remove(&key);
                    } else {
                        let value = random.value(200);
                        batch.put(&key, &value).unwrap();
                        model.insert(key, value);
                    }
                    done += 1;
                }
                db.write(batch, Durability::Never).unwrap();
            }
            800..900 => compare(&db, &model, random, keys),
            900..940 => {
                db.run_one();
            }
            940..960 => snapshots.push((db.snapshot(), model.clone())),
            960..980 if !snapshots.is_empty() => {
                let (snapshot, then) = snapshots.swap_remove(random.below(snapshots.len() as u64) as usize);
                assert_eq!(collect(snapshot.range::<[u8]>(..)).unwrap(), then);
                let key = random.key(keys);
                assert_eq!(snapshot.get(&key).unwrap().map(Vec::from), then.get(&key).cloned());
            }
            980..985 => db.flush().unwrap(),
            985..987 => db.compact_range::<[u8]>(..).unwrap(),
            987..990 => {
                let from = random.key(keys);
                let to = [&from[..], b"~"].concat();
                db.drop_range(from.as_slice()..to.as_slice()).unwrap();
                model.retain(|key, _| *key < from || *key >= to);
                for (_, then) in &mut snapshots {
                    then.retain(|key, _| *key < from || *key >= to);
                }
            }
            990..994 => {
                let mut ingest = db.ingest().unwrap();
                let entries: Model = (0..random.below(40)).map(|_| (random.key(keys), random.value(200))).collect();
                for (key, value) in &entries {
                    ingest.put(key, value).unwrap();
                }
                ingest.finish().unwrap();
                model.extend(entries);
            }
            994..996 => {
                assert_eq!(everything(&db).unwrap(), model);
                db.verify().unwrap();
            }
            996..998 => {
                snapshots.clear();
                db.close().unwrap();
                db = open(&disk, dir).unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(everything(&db).unwrap(), model);
    let backward: Model = db.range::<[u8]>(..).rev().map(Result::unwrap).collect();
    assert_eq!(backward, model);
}

fn seeds(first: u64, last: u64, operations: u64, keys: u64) {
    for seed in first..=last {
        let run = std::panic::catch_unwind(|| run(seed, operations, keys));
        assert!(run.is_ok(), "seed {seed} fails with {operations} operations on {keys} keys");
    }
}

#[test]
fn few_keys_with_many_versions_are_as_in_a_map() {
    seeds(1, 10, 4_000, 20);
}

#[test]
fn many_keys_are_as_in_a_map() {
    seeds(100, 104, 8_000, 2_000);
}

#[test]
#[ignore = "takes minutes"]
fn a_million_operations_are_as_in_a_map() {
    seeds(1_000, 1_009, 100_000, 5_000);
}
