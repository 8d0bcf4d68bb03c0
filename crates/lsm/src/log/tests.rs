//! What is written is read back, and what is damaged is told from what is torn.

mod crash;
mod damage;
mod speed;

use std::path::{Path, PathBuf};

use super::frame::{FRAME_HEADER, FrameHeader};
use super::*;
use crate::Error;
use crate::batch::{Batch, BatchView};
use crate::disk::sim::SimDisk;
use crate::disk::sim::random::Random;
use crate::disk::{Disk, RealDisk};
use crate::error::Result;
use crate::key::Kind;

/// One batch: kind, key and value of each operation.
type Ops = Vec<(Kind, Vec<u8>, Vec<u8>)>;

fn ops_of(batch: BatchView<'_>) -> Ops {
    batch.ops().map(|(kind, key, value)| (kind, key.to_vec(), value.to_vec())).collect()
}

fn segment(path: &Path, number: u64) -> Segment<'_> {
    Segment { path, number, recycle: None, room: 4096 }
}

fn random_batch(random: &mut Random, most_bytes: u64) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..=random.below(3) {
        let key: Vec<u8> = (0..=random.below(20)).map(|_| random.next() as u8).collect();
        if random.below(4) == 0 {
            batch.delete(&key).unwrap();
        } else {
            batch.put(&key, &vec![random.next() as u8; random.below(most_bytes) as usize]).unwrap();
        }
    }
    batch
}

/// All batches of a log, with their first sequence numbers.
fn read(disk: &dyn Disk, path: &Path, number: u64, synced: Sequence) -> Result<(Vec<(Sequence, Ops)>, Recovered)> {
    let mut batches = Vec::new();
    let recovered = recover(disk, path, number, synced, |first, batch| {
        batches.push((first, ops_of(batch)));
        Ok(())
    })?;
    Ok((batches, recovered))
}

/// Batches with the sequence numbers they get.
fn numbered(first: Sequence, batches: &[Batch]) -> Vec<(Sequence, Ops)> {
    let mut next = first;
    let numbered = batches.iter().map(|batch| {
        let first = next;
        next += batch.len() as u64;
        (first, ops_of(batch.view()))
    });
    numbered.collect()
}

fn put(key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value).unwrap();
    batch
}

#[test]
fn batches_of_every_size_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimDisk::new(1);
    let disks: [(&dyn Disk, PathBuf); 2] = [(&RealDisk, dir.path().join("log")), (&sim, PathBuf::from("log"))];
    for (disk, path) in disks {
        let mut random = Random::new(1, 0);
        let mut writer = Writer::create(disk, segment(&path, 9), 100).unwrap();
        let (mut batches, mut next, mut durable) = (Vec::new(), 100, 99);
        for round in 0..30 {
            let most = [100, 5000, 100_000, 1_500_000][round % 4];
            let group: Vec<Batch> = (0..random.below(5)).map(|_| random_batch(&mut random, most)).collect();
            if group.iter().any(|batch| !batch.is_empty()) {
                durable = writer.synced_upto();
            }
            let last = writer.append(next, &group).unwrap();
            next += group.iter().map(|batch| batch.len() as u64).sum::<u64>();
            assert_eq!((last, writer.last_sequence()), (next - 1, next - 1));
            if random.coin() {
                assert_eq!(writer.sync().unwrap(), last);
            }
            batches.extend(group);
        }
        let (found, recovered) = read(disk, &path, 9, 0).unwrap();
        assert!(found == numbered(100, &batches), "on {}", path.display());
        assert_eq!(
            recovered,
            Recovered { first_sequence: Some(100), last_sequence: next - 1, durable, end: End::Clean }
        );
        assert_eq!(beginning(disk, &path, 9).unwrap().map(|begins| begins.first), Some(100));
        assert!(writer.bytes() <= disk.open(&path).unwrap().len().unwrap());
        assert_eq!((writer.number(), writer.path()), (9, &*path));
    }
}

#[test]
fn an_empty_batch_leaves_no_trace() {
    let (disk, path) = (SimDisk::new(1), Path::new("log"));
    let mut writer = Writer::create(&disk, segment(path, 1), 1).unwrap();
    let bytes = writer.bytes();
    assert_eq!(writer.append(1, [&Batch::new()]).unwrap(), 0);
    assert_eq!(writer.append(1, []).unwrap(), 0);
    assert_eq!((writer.bytes(), writer.synced_upto()), (bytes, 0));
    writer.append(1, [&put(b"k", b"v"), &Batch::new(), &put(b"k", b"w")]).unwrap();
    assert_eq!(read(&disk, path, 1, 0).unwrap().1.last_sequence, 2);
}

#[test]
fn a_sync_is_made_only_if_there_is_something_to_sync() {
    let (disk, path) = (SimDisk::new(1), Path::new("log"));
    let mut writer = Writer::create(&disk, segment(path, 1), 1).unwrap();
    let syncs = disk.syncs();
    assert_eq!(writer.sync().unwrap(), 0);
    assert_eq!(disk.syncs(), syncs);
    writer.append(1, [&put(b"k", b"v")]).unwrap();
    assert_eq!((writer.synced_upto(), writer.sync().unwrap(), writer.sync().unwrap()), (0, 1, 1));
    assert_eq!(disk.syncs(), syncs + 1);
}

#[test]
fn a_group_of_small_batches_is_one_write() {
    let (disk, path) = (SimDisk::new(1), Path::new("log"));
    let mut writer = Writer::create(&disk, Segment { room: 1 << 20, ..segment(path, 1) }, 1).unwrap();
    let calls = disk.calls();
    let batches: Vec<Batch> = (0..64u8).map(|number| put(&[number], &[number; 128])).collect();
    writer.append(1, &batches).unwrap();
    assert_eq!(disk.calls(), calls + 1);
}

#[test]
fn the_next_segment_is_begun_only_when_the_one_before_is_durable() {
    let disk = SimDisk::new(1);
    let (one, two) = (Path::new("1"), Path::new("2"));
    let mut writer = Writer::create(&disk, segment(one, 1), 1).unwrap();
    writer.append(1, [&put(b"k", b"v")]).unwrap();
    writer.rotate(&disk, segment(two, 2)).unwrap();
    writer.append(2, [&put(b"k", b"w")]).unwrap();
    for seed in 0..50 {
        let disk = disk.crash(seed);
        assert_eq!(beginning(&disk, two, 2).unwrap().map(|begins| begins.first), Some(2));
        assert_eq!(read(&disk, one, 1, 1).unwrap().1.last_sequence, 1);
    }
    // Without the frame, the segment behind it is the only one to say that it is missing.
    let header = disk.read(one).unwrap()[..HEADER].to_vec();
    disk.open(one).unwrap().write_all_at(&[&header, &[0; 1000]], 0).unwrap();
    assert_eq!(read(&disk, one, 1, 0).unwrap().1.end, End::Clean);
    let error = read(&disk, one, 1, 1).unwrap_err();
    assert!(matches!(
        error,
        Error::Corruption { offset: 32, what: "the log ends before what is known to be durable", .. }
    ));
}

#[test]
fn a_recycled_segment_holds_only_what_was_written_since() {
    let disk = SimDisk::new(1);
    let (old, new) = (Path::new("old"), Path::new("new"));
    // Both logs write frames of the same lengths, so that the old ones lie exactly behind the new ones.
    let batches: Vec<Batch> = (0..20u8).map(|number| put(&[number], &[number; 50])).collect();
    let mut writer = Writer::create(&disk, segment(old, 1), 1).unwrap();
    writer.append(1, &batches).unwrap();
    writer.sync().unwrap();
    let mut writer = Writer::create(&disk, Segment { recycle: Some(old), ..segment(new, 2) }, 6).unwrap();
    assert!(disk.read(old).is_err());
    assert_eq!(
        read(&disk, new, 2, 0).unwrap().1,
        Recovered { first_sequence: Some(6), last_sequence: 5, durable: 5, end: End::Clean }
    );
    for count in 1..=15 {
        writer.append(5 + count, &batches[4 + count as usize..][..1]).unwrap();
        let (found, recovered) = read(&disk, new, 2, 0).unwrap();
        assert_eq!(found, numbered(6, &batches[5..][..count as usize]));
        assert_eq!((recovered.last_sequence, recovered.end), (5 + count, End::Clean));
    }
    assert!(read(&disk, new, 1, 0).unwrap_err().to_string().contains("header of the log is damaged"));
}

#[test]
fn a_log_that_was_not_ready_is_empty() {
    let disk = SimDisk::new(1);
    let path = Path::new("log");
    disk.create(path).unwrap();
    let empty = Recovered { first_sequence: None, last_sequence: 0, durable: 0, end: End::Clean };
    assert_eq!(read(&disk, path, 1, 0).unwrap().1, empty);
    disk.open(path).unwrap().allocate(5000).unwrap();
    assert_eq!(read(&disk, path, 1, 0).unwrap().1, empty);
    assert_eq!(beginning(&disk, path, 1).unwrap(), None);
    assert!(read(&disk, path, 1, 1).is_err(), "unless something is known to have been in it");
    assert!(matches!(read(&disk, Path::new("none"), 1, 0), Err(Error::Io { action: "open", .. })));
}

#[test]
fn a_sealed_log_notices_damage_to_its_last_batch() {
    let (disk, path) = (SimDisk::new(1), Path::new("log"));
    let mut writer = Writer::create(&disk, segment(path, 1), 1).unwrap();
    let last = writer.bytes();
    writer.append(1, [&put(b"k", b"v")]).unwrap();
    writer.sync().unwrap();
    disk.flip_bit(path, last + 42, 0).unwrap();
    assert_eq!(read(&disk, path, 1, 0).unwrap().1.end, End::TornTail { offset: last, dropped_bytes: 48 });
    disk.flip_bit(path, last + 42, 0).unwrap();
    writer.seal().unwrap();
    assert_eq!(read(&disk.crash(1), path, 1, 1).unwrap().1.last_sequence, 1);
    disk.flip_bit(path, last + 43, 0).unwrap();
    assert!(matches!(read(&disk, path, 1, 0), Err(Error::Corruption { offset, .. }) if offset == last));
}

#[test]
fn a_frame_in_a_value_is_not_taken_for_one() {
    let (disk, path) = (SimDisk::new(1), Path::new("log"));
    let mut writer = Writer::create(&disk, segment(path, 1), 1).unwrap();
    writer.append(1, [&put(b"k", b"v")]).unwrap();
    // A frame as it would be at another place, which claims that everything is durable.
    let forged = FrameHeader { number: 1, first: 3, synced_upto: 2, len: 0, count: 0, checksum: 0 }.encode(0);
    let at = writer.bytes();
    writer.append(2, [&put(b"12345", &forged)]).unwrap();
    assert_eq!((at + FRAME_HEADER as u64 + 3 + 5) % 8, 0, "it lies where frames can lie");
    disk.flip_bit(path, at, 0).unwrap();
    assert_eq!(read(&disk, path, 1, 0).unwrap().1.last_sequence, 1);
}
