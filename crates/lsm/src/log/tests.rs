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
        let upto = writer.bytes();
        assert_eq!(
            recovered,
            Recovered { first_sequence: Some(100), last_sequence: next - 1, durable, upto, end: End::Clean }
        );
        let begins = Beginning { first: 100, synced_upto: 99, is_used: true };
        assert_eq!(beginning(disk, &path, 9).unwrap(), Some(begins));
        assert_eq!(traces(disk, &path, 9).unwrap(), Traces { durable, bytes: upto - HEADER as u64 });
        assert!(upto <= disk.open(&path).unwrap().len().unwrap());
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
fn a_segment_is_synced_when_the_next_one_is_and_before_it() {
    let disk = SimDisk::new(1);
    let paths = [Path::new("1"), Path::new("2"), Path::new("3")];
    let mut writer = Writer::create(&disk, segment(paths[0], 1), 1).unwrap();
    writer.append(1, [&put(b"k", b"v")]).unwrap();
    for (number, path) in [(2, paths[1]), (3, paths[2])] {
        let syncs = disk.syncs();
        writer.rotate(&disk, segment(path, number)).unwrap();
        assert_eq!(disk.syncs(), syncs + 2, "the header and the name");
        writer.append(number, [&put(b"k", b"w")]).unwrap();
        assert_eq!((writer.synced_upto(), writer.last_sequence()), (0, number));
    }
    let (mut lost, mut held) = (0, 0);
    for seed in 0..50 {
        let disk = disk.crash(seed);
        for (number, path) in (1..).zip(paths) {
            // The header is durable, the frame may be.
            let begins = beginning(&disk, path, number).unwrap().unwrap();
            assert_eq!((begins.first, begins.synced_upto), (number, 0));
            let last = read(&disk, path, number, 0).unwrap().1.last_sequence;
            assert_eq!(last, number - u64::from(!begins.is_used));
            *if begins.is_used { &mut held } else { &mut lost } += 1;
        }
    }
    assert!(lost > 10 && held > 10, "{lost} frames are lost, {held} are not");
    // The third is obsolete already and the second is not.
    let syncs = disk.syncs();
    assert!(writer.older().take_out(1) && !writer.older().take_out(1));
    assert_eq!((writer.sync().unwrap(), writer.synced_upto()), (3, 3));
    assert_eq!(disk.syncs(), syncs + 2);
    assert!(!writer.older().take_out(2), "it is synced");
    for seed in 0..50 {
        assert_eq!(read(&disk.crash(seed), paths[1], 2, 2).unwrap().1.last_sequence, 2);
        assert_eq!(read(&disk.crash(seed), paths[2], 3, 3).unwrap().1.last_sequence, 3);
    }
    writer.append(4, [&put(b"k", b"x")]).unwrap();
    assert_eq!(traces(&disk, paths[2], 3).unwrap().durable, 3);
}

#[test]
fn what_is_known_to_be_durable_is_missed() {
    let (disk, path) = (SimDisk::new(1), Path::new("log"));
    let mut writer = Writer::create(&disk, segment(path, 1), 1).unwrap();
    writer.append(1, [&put(b"k", b"v")]).unwrap();
    let header = disk.read(path).unwrap()[..HEADER].to_vec();
    disk.open(path).unwrap().write_all_at(&[&header, &[0; 1000]], 0).unwrap();
    assert_eq!(read(&disk, path, 1, 0).unwrap().1.end, End::Clean);
    let error = read(&disk, path, 1, 1).unwrap_err();
    assert!(matches!(
        error,
        Error::Corruption { offset: 40, what: "the log ends before what is known to be durable", .. }
    ));
}

#[test]
fn a_lost_first_frame_does_not_hide_those_behind_it() {
    let (disk, path) = (SimDisk::new(1), Path::new("log"));
    let mut writer = Writer::create(&disk, segment(path, 1), 5).unwrap();
    let unused = beginning(&disk, path, 1).unwrap();
    assert_eq!(unused, Some(Beginning { first: 5, synced_upto: 4, is_used: false }));
    assert_eq!(traces(&disk, path, 1).unwrap(), Traces::default(), "a header alone claims nothing");
    assert_eq!(read(&disk, path, 1, 0).unwrap().1.durable, 0);
    let first = writer.bytes();
    writer.append(5, [&put(b"k", b"v"), &put(b"k", b"w")]).unwrap();
    disk.flip_bit(path, first, 0).unwrap();
    assert!(beginning(&disk, path, 1).unwrap().unwrap().is_used);
    let found = traces(&disk, path, 1).unwrap();
    assert_eq!(found, Traces { durable: 4, bytes: writer.bytes() - HEADER as u64 });
    assert_eq!(read(&disk, path, 1, 0).unwrap().1.durable, 4);
    // With a damaged header nobody knows what it claims.
    disk.flip_bit(path, 20, 0).unwrap();
    assert!(traces(&disk, path, 1).is_err());
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
        Recovered { first_sequence: Some(6), last_sequence: 5, durable: 0, upto: HEADER as u64, end: End::Clean }
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
    let empty = Recovered { first_sequence: None, last_sequence: 0, durable: 0, upto: 0, end: End::Clean };
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
