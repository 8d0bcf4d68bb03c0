//! Measures a database: random fill, synced puts, point reads, scans.
//!
//! ```sh
//! cargo run --release -p kvorum-lsm --example fill -- [directory] [million entries] [MiB of cache]
//! ```

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kvorum_lsm::{Batch, Db, Durability, Options, Result};

const KEY: usize = 16;
const VALUE: usize = 128;

/// A key for a number; numbers in order give keys in no order.
fn key(number: u64) -> [u8; KEY] {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    let mut key = [0; KEY];
    key[..8].copy_from_slice(&x.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Half random, so that it can be compressed to about half.
fn value(number: u64) -> [u8; VALUE] {
    let mut value = [b'v'; VALUE];
    for (at, chunk) in value[..VALUE / 2].chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&key(number ^ (at as u64) << 40)[..8]);
    }
    value
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map_or_else(|| std::env::temp_dir().join("kvorum-lsm-fill"), PathBuf::from);
    let entries = arguments.next().map_or(Ok(2.0), |millions| millions.parse::<f64>())?;
    let entries = (entries * 1e6) as u64;
    let cache = arguments.next().map_or(Ok(64), |mebibytes| mebibytes.parse::<usize>())? << 20;
    println!("{entries} entries of {KEY} + {VALUE} bytes in {}", dir.display());
    for threads in [1, 4] {
        let _ = std::fs::remove_dir_all(&dir);
        let db = Db::open(&dir, Options::default().cache_bytes(cache))?;
        report(&format!("random fill, {threads} threads"), entries, fill(&db, entries, threads, Durability::Never)?);
        report("  all flushed", entries, timed(|| db.flush())?);
        println!("  {}", written(&db));
        if threads == 4 {
            continue;
        }
        reads(&db, entries)?;
        let began = Instant::now();
        db.compact_range::<[u8]>(..)?;
        println!("whole compaction: {:.1} s; {}", began.elapsed().as_secs_f64(), written(&db));
        reads(&db, entries)?;
    }
    let _ = std::fs::remove_dir_all(&dir);
    let db = Db::open(&dir, Options::default())?;
    let synced = 16 * 500;
    report("synced puts, 16 threads", synced, fill(&db, synced, 16, Durability::Always)?);
    report("synced puts, 1 thread", 500, fill(&db, 500, 1, Durability::Always)?);
    db.close()?;
    drop(db);

    let _ = std::fs::remove_dir_all(&dir);
    let options = Options::default().memtable_bytes(256 << 20);
    let db = Db::open(&dir, options.clone())?;
    fill(&db, 800_000, 1, Durability::Never)?;
    db.close()?;
    drop(db);
    let began = Instant::now();
    let db = Db::open(&dir, options)?;
    assert!(db.get(key(1))?.is_some());
    println!(
        "open with {} MiB of log, to the first get: {:.0} ms",
        (800_000 * (KEY + VALUE + 44)) >> 20,
        1e3 * began.elapsed().as_secs_f64()
    );
    Ok(())
}

fn reads(db: &Db, entries: u64) -> Result<()> {
    let reads = entries.min(500_000);
    for threads in [1, 4] {
        for (what, offset) in [("point reads", 0), ("absent keys", entries)] {
            let read = |thread: u64| -> Result<()> {
                for number in 0..reads / threads {
                    let number = offset + (number * 7_919 + thread * 104_729) % entries;
                    assert_eq!(db.get(key(number))?.is_some(), offset == 0);
                }
                Ok(())
            };
            read(0)?;
            report(&format!("{what}, {threads} threads"), reads, timed(|| in_threads(threads, &read))?);
        }
    }
    let scans = 5_000;
    let scan = || -> Result<()> {
        for number in 0..scans {
            let mut range = db.range(&key(number * 31)[..]..);
            let mut rows = 0;
            while rows < 100 && range.next_entry()?.is_some() {
                rows += 1;
            }
        }
        Ok(())
    };
    report("scans of 100 entries", scans, timed(scan)?);
    let mut all = db.range::<[u8]>(..);
    report(
        "entries of one long scan",
        entries,
        timed(|| {
            while all.next_entry()?.is_some() {}
            Ok(())
        })?,
    );
    Ok(())
}

fn fill(db: &Db, entries: u64, threads: u64, durability: Durability) -> Result<Duration> {
    timed(|| {
        in_threads(threads, &|thread| {
            for number in (thread..entries).step_by(threads as usize) {
                let mut batch = Batch::with_capacity(KEY + VALUE + 11);
                batch.put(&key(number), &value(number))?;
                db.write(batch, durability)?;
            }
            Ok(())
        })
    })
}

fn in_threads(threads: u64, work: &(impl Fn(u64) -> Result<()> + Sync)) -> Result<()> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}

fn report(what: &str, count: u64, time: Duration) {
    let seconds = time.as_secs_f64();
    println!("{what:<34} {:>12.0} /s {:>10.0} ns each", count as f64 / seconds, seconds * 1e9 / count as f64);
}

fn written(db: &Db) -> String {
    let metrics = db.metrics();
    format!(
        "tables {} MiB, write amplification {:.2}, {} delays ({:.1} s), {} stops",
        metrics.table_bytes() >> 20,
        metrics.write_amplification(),
        metrics.delays,
        metrics.delayed.as_secs_f64(),
        metrics.stops
    )
}
