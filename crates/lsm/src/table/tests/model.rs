//! Tables of random entries in every form, searched and walked, against a sorted map.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::cursor::Cursor;

/// Versions of a user key, newest first.
type Model = BTreeMap<Vec<u8>, Vec<(Sequence, Kind, Vec<u8>)>>;

/// Keys that share long prefixes or are prefixes of each other, with one or many versions; empty values and large ones.
fn random_model(random: &mut Random) -> Model {
    let prefixes: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            let len = random.below(20);
            random.bytes(len)
        })
        .collect();
    let (few_bytes, base) = (random.below(2) == 0, random.next() >> random.pick(&[8, 20, 50, 60]));
    let mut sequences = BTreeSet::new();
    let mut model = Model::new();
    for _ in 0..1 + random.below(300) {
        let mut key = prefixes[random.below(3)].clone();
        let len = random.below(10);
        key.extend(
            random
                .bytes(len)
                .iter()
                .map(|byte| if few_bytes { [0, 1, 254, 255][usize::from(byte % 4)] } else { *byte }),
        );
        let versions = if random.below(8) == 0 { random.below(60) } else { 1 };
        for _ in 0..=versions {
            let sequence = (base + random.below(1000) as u64).min(key::LAST_SEQUENCE);
            if !sequences.insert((key.clone(), sequence)) {
                continue;
            }
            let (kind, len) = (random.pick(&[Kind::Put, Kind::Put, Kind::Delete]), random.pick(&[0, 1, 8, 100, 700]));
            let value =
                if kind == Kind::Delete { Vec::new() } else { random.bytes(len).iter().map(|byte| byte % 8).collect() };
            model.entry(key.clone()).or_default().push((sequence, kind, value));
        }
    }
    model.values_mut().for_each(|versions| versions.sort_by_key(|version| std::cmp::Reverse(version.0)));
    model
}

fn entries_of(model: &Model) -> Entries {
    let version = |key: &[u8], (sequence, kind, value): &(Sequence, Kind, Vec<u8>)| {
        (internal(key, *sequence, *kind), value.clone())
    };
    model.iter().flat_map(|(key, versions)| versions.iter().map(|each| version(key, each))).collect()
}

fn random_form(random: &mut Random) -> Form {
    Form {
        options: TableOptions {
            block_bytes: random.pick(&[64, 256, 1024, 4096]),
            restart_interval: random.pick(&[1, 2, 3, 16, 200]),
            compression: random.pick(&compressions()),
            filter_bits: random.pick(&[0, 1, 10, 20]),
        },
        partition_bytes: random.pick(&[1, 40, 200, 1 << 20]),
        number: random.next(),
    }
}

/// A key of the model, one near it, or any.
fn random_key(random: &mut Random, model: &Model) -> Vec<u8> {
    let mut key = model.keys().nth(random.below(model.len())).unwrap().clone();
    match random.below(6) {
        0 => key.push(random.next() as u8),
        1 => drop(key.pop()),
        2 if !key.is_empty() => {
            let at = random.below(key.len());
            key[at] = key[at].wrapping_add(random.pick(&[1, 255]));
        }
        3 => {
            key = {
                let len = random.below(30);
                random.bytes(len)
            }
        }
        _ => {}
    }
    key
}

fn check_gets(table: &Table, model: &Model, random: &mut Random) {
    for round in 0..60 {
        let key = random_key(random, model);
        let versions = model.get(&key).map_or(&[][..], Vec::as_slice);
        let at = match versions {
            [] => key::LAST_SEQUENCE,
            _ if round % 2 == 0 => key::LAST_SEQUENCE,
            _ => (versions[random.below(versions.len())].0 + random.below(3) as u64)
                .saturating_sub(1)
                .min(key::LAST_SEQUENCE),
        };
        let expected = versions.iter().find(|(sequence, ..)| *sequence <= at).cloned();
        let found = table.get(&key, at).unwrap().map(|(sequence, kind, value)| (sequence, kind, value.to_vec()));
        assert_eq!(found, expected, "key {key:?} at {at}");
    }
}

fn check_walk(mut cursor: impl Cursor, model: &Model, random: &mut Random) {
    let entries = entries_of(model);
    let mut here: Option<usize> = None;
    assert!(cursor.entry().is_none());
    for _ in 0..200 {
        match (random.below(12), here) {
            (0, _) => {
                cursor.first().unwrap();
                here = Some(0);
            }
            (1, _) => {
                cursor.last().unwrap();
                here = Some(entries.len() - 1);
            }
            (choice @ (2 | 3), _) => {
                let any = random.next() >> 8;
                let at = random.pick(&[0, key::LAST_SEQUENCE, any]);
                let target = internal(&random_key(random, model), at, random.pick(&[Kind::Put, Kind::Delete]));
                let behind = entries.partition_point(|(entry, _)| key::compare(entry, &target).is_lt());
                if choice == 2 {
                    cursor.seek(&target).unwrap();
                    here = (behind < entries.len()).then_some(behind);
                } else {
                    cursor.seek_before(&target).unwrap();
                    here = behind.checked_sub(1);
                }
            }
            // Several steps one way, so that runs cross blocks and partitions.
            (choice, Some(_)) => {
                for _ in 0..random.below(40) {
                    let Some(at) = here else { break };
                    if choice % 2 == 0 {
                        cursor.next().unwrap();
                        here = (at + 1 < entries.len()).then_some(at + 1);
                    } else {
                        cursor.prev().unwrap();
                        here = at.checked_sub(1);
                    }
                }
            }
            (_, None) => {}
        }
        let expected = here.map(|at| (entries[at].0.as_slice(), entries[at].1.as_slice()));
        assert_eq!(cursor.entry(), expected);
    }
}

fn check_all(mut cursor: impl Cursor, entries: &Entries) {
    cursor.first().unwrap();
    for (internal, value) in entries {
        assert_eq!(cursor.entry(), Some((&internal[..], &value[..])));
        cursor.next().unwrap();
    }
    assert!(cursor.entry().is_none());
    cursor.last().unwrap();
    for (internal, value) in entries.iter().rev() {
        assert_eq!(cursor.entry(), Some((&internal[..], &value[..])));
        cursor.prev().unwrap();
    }
    assert!(cursor.entry().is_none());
}

fn check_offsets(table: &Table, model: &Model, meta: &TableMeta) {
    let offsets: Vec<u64> = model.keys().map(|key| table.approximate_offset(key).unwrap()).collect();
    assert!(offsets.is_sorted());
    assert_eq!(offsets[0], 0);
    assert!(offsets[offsets.len() - 1] < meta.size);
}

#[test]
fn a_table_is_what_a_sorted_map_is() {
    for seed in 0..150 {
        let _print = Seed(seed);
        let mut random = Random(seed);
        let model = random_model(&mut random);
        let (form, disk, entries) = (random_form(&mut random), MemoryDisk::default(), entries_of(&model));
        let meta = write(&disk, &entries, form);
        assert_eq!(meta.size, disk.read(PATH).len() as u64);
        assert_eq!((&meta.smallest, &meta.largest), (&entries[0].0, &entries[entries.len() - 1].0));
        let all = || model.values().flatten();
        assert_eq!(meta.entries, all().count() as u64);
        assert_eq!(meta.tombstones, all().filter(|version| version.1 == Kind::Delete).count() as u64);
        assert_eq!(Some(meta.smallest_sequence), all().map(|version| version.0).min());
        assert_eq!(Some(meta.largest_sequence), all().map(|version| version.0).max());

        let kind = random.below(4);
        let cache: Arc<dyn BlockCache> = match kind {
            0 => no_cache(),
            1 => pinning_cache(),
            2 => Arc::new(LruCache::new(random.next() % 40_000)),
            _ => Arc::new(crate::cache::QuickCache::new(random.next() % 100_000)),
        };
        let table = open(&disk, form.number, cache.clone()).unwrap();
        assert!(table.pinned_bytes() <= cache.weight());
        table.verify().unwrap();
        for _ in 0..2 {
            check_gets(&table, &model, &mut random);
            check_walk(table.cursor(), &model, &mut random);
            check_walk(table.bulk_cursor(), &model, &mut random);
        }
        check_all(table.cursor(), &entries);
        check_all(table.bulk_cursor(), &entries);
        check_offsets(&table, &model, &meta);
        let properties = table.properties();
        assert_eq!(
            properties.key_bytes + properties.value_bytes,
            entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() as u64
        );
        let pinned = table.pinned_bytes() > 0;
        drop(table);
        if pinned && kind < 3 {
            assert_eq!(cache.weight(), 0, "a table that is closed leaves nothing in the cache");
        }
    }
}

#[test]
fn large_values_have_blocks_of_their_own() {
    let mut random = Random(1);
    let entries: Entries = (0..6_u64)
        .map(|key| {
            let value = if key % 2 == 0 { random.bytes(300_000) } else { vec![key as u8; 1_000_000] };
            (internal(&key.to_be_bytes(), key, Kind::Put), value)
        })
        .collect();
    for compression in compressions() {
        let disk = MemoryDisk::default();
        let form = Form { options: TableOptions { compression, ..SMALL.options }, ..SMALL };
        write(&disk, &entries, form);
        let table = open(&disk, form.number, pinning_cache()).unwrap();
        assert_eq!(table.properties().blocks, 6);
        table.verify().unwrap();
        check_all(table.cursor(), &entries);
        check_all(table.bulk_cursor(), &entries);
        for (internal, value) in &entries {
            let (_, _, found) = table.get(key::split(internal).0, key::LAST_SEQUENCE).unwrap().unwrap();
            assert_eq!(*found, value[..]);
        }
    }
}

#[test]
#[should_panic(expected = "strictly ascending order")]
fn entries_out_of_order_are_refused() {
    let entries = vec![(internal(b"b", 1, Kind::Put), vec![]), (internal(b"b", 2, Kind::Put), vec![])];
    write(&MemoryDisk::default(), &entries, SMALL);
}

#[test]
fn values_outlive_their_table() {
    let disk = MemoryDisk::default();
    write(&disk, &vec![(internal(b"key", 3, Kind::Put), b"value".to_vec())], SMALL);
    let table = open(&disk, SMALL.number, no_cache()).unwrap();
    let (sequence, kind, value) = table.get(b"key", 9).unwrap().unwrap();
    drop(table);
    assert_eq!((sequence, kind, &*value), (3, Kind::Put, &b"value"[..]));
}

#[test]
fn many_threads_read_right_while_blocks_come_and_go() {
    let disk = MemoryDisk::default();
    let key = |number: u64| (number * 3).to_be_bytes();
    let value = |number: u64| number.to_le_bytes().repeat(9);
    let entries: Entries = (0..20_000).map(|number| (internal(&key(number), 1, Kind::Put), value(number))).collect();
    write(&disk, &entries, Form { partition_bytes: 512, ..SMALL });
    let caches: [Arc<dyn BlockCache>; 2] =
        [Arc::new(crate::cache::QuickCache::new(500_000)), Arc::new(LruCache::new(500_000))];
    for cache in caches {
        let table = open(&disk, SMALL.number, cache).unwrap();
        std::thread::scope(|threads| {
            for seed in 0..4 {
                let table = &table;
                threads.spawn(move || {
                    let mut random = Random(seed);
                    for _ in 0..5000 {
                        // Few of the keys often, so that threads meet.
                        let among = random.pick(&[10, 20_000]);
                        let number = random.below(among) as u64;
                        let (_, _, found) = table.get(&key(number), 1).unwrap().unwrap();
                        assert_eq!(*found, value(number)[..]);
                    }
                });
            }
        });
    }
}
