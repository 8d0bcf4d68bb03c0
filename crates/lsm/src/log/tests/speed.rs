//! How fast it is on this machine. Run by hand:
//! `cargo test --release -p kvorum-lsm log::tests::speed -- --ignored --nocapture --test-threads 1`.

use std::time::Instant;

use super::*;

const RECORDS: u64 = 128 * 1024 * 1024 / 192;

fn batches() -> Vec<Batch> {
    let mut random = Random::new(1, 0);
    let key = |random: &mut Random| [random.next().to_le_bytes(), random.next().to_le_bytes()].concat();
    (0..4096).map(|_| put(&key(&mut random), &[random.next() as u8; 128])).collect()
}

#[test]
#[ignore = "measures"]
fn speed_of_appending_and_recovering() {
    let dir = tempfile::tempdir_in(std::env::var("SPEED_DIR").unwrap_or_else(|_| "/tmp".to_owned())).unwrap();
    let batches = batches();
    let (old, path) = (dir.path().join("1"), dir.path().join("2"));
    let room = 64 << 20;
    let mut writer = Writer::create(&RealDisk, Segment { room, ..segment(&old, 1) }, 1).unwrap();
    for (name, group) in [("fresh", 64), ("recycled", 64), ("recycled", 1)] {
        let start = Instant::now();
        let mut next = writer.last_sequence() + 1;
        for index in 0..RECORDS as usize / group {
            let from = index * group % batches.len();
            next = writer.append(next, &batches[from..from + group]).unwrap() + 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        let (rate, bytes) = (RECORDS as f64 / seconds / 1e6, writer.bytes() >> 20);
        println!(
            "append, {group} frames to a write, {name} segment: {rate:.2} M frames/s, {bytes} MiB in {seconds:.3} s"
        );
        let start = Instant::now();
        writer.sync().unwrap();
        println!("  sync of it: {:.3} s", start.elapsed().as_secs_f64());
        let (from, number) = (writer.path().to_owned(), writer.number());
        for round in 0..3 {
            let (mut operations, mut value_bytes) = (0u64, 0);
            let start = Instant::now();
            let recovered = recover(&RealDisk, &from, number, 0, |_, batch| {
                for (_, _, value) in batch.ops() {
                    operations += 1;
                    value_bytes += value.len();
                }
                Ok(())
            });
            let seconds = start.elapsed().as_secs_f64();
            assert_eq!(recovered.unwrap().last_sequence, writer.last_sequence());
            println!(
                "  recovery {round}: {operations} operations, {} MiB of values in {seconds:.3} s",
                value_bytes >> 20
            );
        }
        let (to, number) = if from == old { (&path, number + 1) } else { (&old, number + 1) };
        writer =
            Writer::create(&RealDisk, Segment { recycle: Some(&from), room, ..segment(to, number) }, next).unwrap();
        let start = Instant::now();
        recover(&RealDisk, to, number, 0, |_, _| Ok(())).unwrap();
        println!("  search of {} MiB for later frames: {:.3} s", bytes, start.elapsed().as_secs_f64());
    }
}

#[test]
#[ignore = "measures"]
fn speed_of_a_synced_append() {
    let dir = tempfile::tempdir_in(std::env::var("SPEED_DIR").unwrap_or_else(|_| "/tmp".to_owned())).unwrap();
    let batches = batches();
    let (old, path) = (dir.path().join("1"), dir.path().join("2"));
    let room = 64 << 20;
    let mut writer = Writer::create(&RealDisk, Segment { room, ..segment(&old, 1) }, 1).unwrap();
    for name in ["fresh", "recycled"] {
        let mut next = writer.last_sequence() + 1;
        let mut times: Vec<_> = (0..500)
            .map(|index| {
                let start = Instant::now();
                next = writer.append(next, &batches[index..=index]).unwrap() + 1;
                writer.sync().unwrap();
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        println!("append and sync, {name} segment: median {:?}, p99 {:?}", times[250], times[495]);
        if name == "fresh" {
            // A segment is recycled after it was full.
            while writer.bytes() < room {
                next = writer.append(next, &batches).unwrap() + 1;
            }
            writer.sync().unwrap();
            let segment = Segment { recycle: Some(&old), room, ..segment(&path, 2) };
            writer = Writer::create(&RealDisk, segment, next).unwrap();
        }
    }
}

#[test]
#[ignore = "measures"]
fn speed_of_filling_a_batch() {
    let (key, value) = ([7; 16], [9; 128]);
    let mut batch = Batch::new();
    let rounds = 2_000_000u32;
    let start = Instant::now();
    for round in 0..rounds {
        if round % 64 == 0 {
            batch.clear();
        }
        batch.put(core::hint::black_box(&key), core::hint::black_box(&value)).unwrap();
    }
    println!("put into a batch: {:?} each", start.elapsed() / rounds);
}
