//! How long things take, in release: `cargo test --release -p kvorum-lsm table::tests::speed -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use super::*;
use crate::cache::QuickCache;
use crate::cursor::Cursor;

const ENTRIES: u64 = 1_000_000;

/// Keys of 16 bytes in an order that no writer would choose.
fn key_of(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn form(compression: Compression) -> Form {
    let options = TableOptions { block_bytes: 4096, restart_interval: 16, compression, filter_bits: 10 };
    Form { options, partition_bytes: 16 << 10, number: 7 }
}

/// Prints the time of the processor, and what a clock on the wall says; others may be using the machine.
fn measure(what: &str, count: u64, run: impl FnOnce()) {
    let (start, wall) = (processor_nanos(), Instant::now());
    run();
    let (nanos, wall) = (processor_nanos() - start, wall.elapsed().as_nanos() as u64);
    println!("{what:35} {:9.1} ns, on the wall {:9.1} ns", nanos as f64 / count as f64, wall as f64 / count as f64);
}

/// What this thread has used so far; 0 where Linux does not say.
fn processor_nanos() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

fn entries() -> Entries {
    let mut numbers: Vec<u64> = (0..ENTRIES).collect();
    numbers.sort_by_key(|number| key_of(*number));
    let mut random = Random(1);
    // Half of each value is of few different bytes, so that it can be compressed to about half.
    let mut value = move || {
        let mut value = random.bytes(128);
        value[64..].fill(0);
        value
    };
    numbers.iter().map(|number| (internal(&key_of(*number), *number + 1, Kind::Put), value())).collect()
}

#[test]
#[ignore = "measures; run it in release"]
fn reads_from_a_hot_cache() {
    let (disk, entries) = (MemoryDisk::default(), entries());
    measure("write, per entry", ENTRIES, || drop(write(&disk, &entries, form(Compression::None))));
    println!("file: {:.1} bytes per entry", disk.read(PATH).len() as f64 / ENTRIES as f64);
    let table = open(&disk, 7, Arc::new(QuickCache::new(1 << 30))).unwrap();
    println!("pinned: {:.2} bytes per entry", table.pinned_bytes() as f64 / ENTRIES as f64);
    let mut order: Vec<u64> = (0..ENTRIES).collect();
    let mut random = Random(2);
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    let keys: Vec<[u8; 16]> = order.iter().map(|number| key_of(*number)).collect();
    let absent: Vec<[u8; 16]> = keys.iter().map(|key| (u128::from_be_bytes(*key) ^ 1 << 40).to_be_bytes()).collect();
    let get_all = |table: &Table, keys: &[[u8; 16]]| {
        for key in keys {
            black_box(table.get(key, key::LAST_SEQUENCE).unwrap());
        }
    };
    measure("get, cold", ENTRIES, || get_all(&table, &keys));
    measure("get, present, random over all", ENTRIES, || get_all(&table, &keys));
    measure("get, present, random over all", ENTRIES, || get_all(&table, &keys));
    measure("get, present, 20 000 keys", ENTRIES, || (0..50).for_each(|_| get_all(&table, &keys[..20_000])));
    measure("get, absent", ENTRIES, || get_all(&table, &absent));
    measure("get, absent, 20 000 keys", ENTRIES, || (0..50).for_each(|_| get_all(&table, &absent[..20_000])));
    measure("get, present, 500 keys", ENTRIES, || (0..2000).for_each(|_| get_all(&table, &keys[..500])));
    measure("get, absent, 500 keys", ENTRIES, || (0..2000).for_each(|_| get_all(&table, &absent[..500])));
    println!("{:?}", table.reads());
    let walk = |mut cursor: super::super::TableCursor, forward: bool| {
        let mut count = 0;
        if forward {
            cursor.first().unwrap()
        } else {
            cursor.last().unwrap()
        }
        while let Some(entry) = cursor.entry() {
            black_box(entry);
            count += 1;
            if forward { cursor.next().unwrap() } else { cursor.prev().unwrap() }
        }
        assert_eq!(count, ENTRIES);
    };
    measure("next", ENTRIES, || walk(table.cursor(), true));
    measure("next", ENTRIES, || walk(table.cursor(), true));
    measure("prev", ENTRIES, || walk(table.cursor(), false));
    measure("next, bulk, hot", ENTRIES, || walk(table.bulk_cursor(), true));
    let mut cursor = table.cursor();
    measure("seek", ENTRIES, || {
        for key in &keys {
            cursor.seek(&internal(key, key::LAST_SEQUENCE, Kind::Put)).unwrap();
            black_box(cursor.entry());
        }
    });
    let cold = open(&disk, 7, no_cache()).unwrap();
    measure("next, bulk, without cache", ENTRIES, || walk(cold.bulk_cursor(), true));
    measure("verify", ENTRIES, || cold.verify().unwrap());
    measure("open, per call", 10, || {
        (0..10).for_each(|_| drop(open(&disk, 7, Arc::new(QuickCache::new(1 << 30))).unwrap()));
    });
}

#[test]
#[ignore = "measures; run it in release"]
fn compression() {
    let entries = entries();
    for compression in compressions() {
        let disk = MemoryDisk::default();
        println!("{compression:?}");
        measure("write, per entry", ENTRIES, || drop(write(&disk, &entries, form(compression))));
        println!("file: {:.1} bytes per entry", disk.read(PATH).len() as f64 / ENTRIES as f64);
        let table = open(&disk, 7, no_cache()).unwrap();
        measure("next, bulk, without cache", ENTRIES, || {
            let mut cursor = table.bulk_cursor();
            cursor.first().unwrap();
            while let Some(entry) = cursor.entry() {
                black_box(entry);
                cursor.next().unwrap();
            }
        });
    }
}

/// How often caches for a quarter of the data miss, when some keys are read more often than others.
#[test]
#[ignore = "measures; run it in release"]
fn misses() {
    let (disk, entries) = (MemoryDisk::default(), entries());
    write(&disk, &entries, form(Compression::None));
    drop(entries);
    for skew in [0.99, 0.8] {
        let mut sum = 0.0;
        let sums = (1..=ENTRIES).map(|rank| {
            sum += (rank as f64).powf(-skew);
            sum
        });
        let sums: Vec<f64> = sums.collect();
        let caches: [(&str, Arc<dyn BlockCache>); 2] =
            [("quick", Arc::new(QuickCache::new(44 << 20))), ("lru", Arc::new(LruCache::new(44 << 20)))];
        for (name, cache) in caches {
            let (table, mut random) = (open(&disk, 7, cache).unwrap(), Random(4));
            let mut read = |count: u64| {
                let before = table.reads().blocks;
                for _ in 0..count {
                    let drawn = random.next() as f64 / u64::MAX as f64 * sums[sums.len() - 1];
                    let rank = sums.partition_point(|sum| *sum < drawn) as u64;
                    black_box(table.get(&key_of(rank), key::LAST_SEQUENCE).unwrap());
                }
                (table.reads().blocks - before) as f64 / count as f64
            };
            read(1_500_000);
            println!("skew {skew}, {name}: {:.2} % of reads miss", 100.0 * read(1_500_000));
        }
    }
}
