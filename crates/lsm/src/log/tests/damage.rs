//! Every bit flipped, every length cut, and frames that only a bug or an enemy could write.

use super::*;

const PATH: &str = "log";

struct Sample {
    disk: SimDisk,
    batches: Vec<(Sequence, Ops)>,
    /// Where each frame begins, and its header.
    frames: Vec<(u64, FrameHeader)>,
    end: u64,
}

/// A small log in a recycled segment, synced now and then.
fn sample(seed: u64, sealed: bool) -> Sample {
    let (disk, path) = (SimDisk::new(seed), Path::new(PATH));
    let mut random = Random::new(seed, 0);
    let room = 512;
    let mut writer = Writer::create(&disk, Segment { room, ..segment(Path::new("old"), 1) }, 1).unwrap();
    let stale: Vec<Batch> = (0..20).map(|_| random_batch(&mut random, 30)).collect();
    writer.append(1, &stale).unwrap();
    let first =
        writer.rotate(&disk, Segment { room, ..segment(Path::new("other"), 2) }).map(|()| writer.last_sequence() + 1);
    let first = first.unwrap();
    let recycle = Some(Path::new("old"));
    writer.rotate(&disk, Segment { recycle, room, ..segment(path, 3) }).unwrap();
    let batches: Vec<Batch> = (0..8).map(|_| random_batch(&mut random, 30)).collect();
    let mut next = first;
    for (index, batch) in batches.iter().enumerate() {
        next = writer.append(next, [batch]).unwrap() + 1;
        if index % 3 == 1 {
            writer.sync().unwrap();
        }
    }
    if sealed {
        writer.seal().unwrap();
    }
    let bytes = disk.read(path).unwrap();
    let (mut frames, mut at) = (Vec::new(), HEADER);
    while at as u64 != writer.bytes() {
        let header = bytes[at..at + FRAME_HEADER].try_into().unwrap();
        let frame = FrameHeader::decode(header, at as u64, 3).unwrap();
        frames.push((at as u64, frame));
        at += FRAME_HEADER + frame.padded_len();
    }
    assert!(bytes.len() > at + 100, "there is something stale behind it");
    Sample { disk, batches: numbered(first, &batches), frames, end: at as u64 }
}

#[test]
fn every_flipped_bit_is_an_error_or_costs_only_what_was_never_called_durable() {
    for sealed in [false, true] {
        let sample = sample(5, sealed);
        let len = sample.disk.read(Path::new(PATH)).unwrap().len() as u64;
        let (mut errors, mut torn) = (0, 0);
        for offset in 0..len {
            for bit in 0..8 {
                sample.disk.flip_bit(Path::new(PATH), offset, bit).unwrap();
                let result = read(&sample.disk, Path::new(PATH), 3, 0);
                sample.disk.flip_bit(Path::new(PATH), offset, bit).unwrap();
                let hit = sample.frames.iter().rposition(|(at, _)| *at <= offset && offset < sample.end);
                let durable = hit.is_some_and(|hit| {
                    let others = sample.frames.iter().enumerate().filter(|(index, _)| *index != hit);
                    others.map(|(_, (_, frame))| frame.synced_upto).max().unwrap() >= sample.frames[hit].1.first
                });
                match (result, hit) {
                    (Err(Error::Corruption { file, offset: named, .. }), Some(hit)) => {
                        assert!(durable, "bit {bit} of byte {offset}");
                        assert_eq!((file, named), (PathBuf::from(PATH), sample.frames[hit].0));
                        errors += 1;
                    }
                    (Ok((found, recovered)), Some(hit)) => {
                        assert!(!durable, "bit {bit} of byte {offset}");
                        assert_eq!(found, sample.batches[..hit.min(sample.batches.len())]);
                        assert_eq!(recovered.last_sequence, sample.frames[hit].1.first - 1);
                        torn += 1;
                    }
                    (Err(Error::Corruption { offset: named, .. }), None) => {
                        let version = (8..12).contains(&offset) && named == 8;
                        assert!(offset < HEADER as u64 && (named == 0 || version), "bit {bit} of byte {offset}");
                    }
                    (Ok((found, recovered)), None) => {
                        assert!(offset >= sample.end, "bit {bit} of byte {offset}");
                        assert_eq!((found, recovered.end), (sample.batches.clone(), End::Clean));
                    }
                    (Err(error), _) => panic!("{error}"),
                }
            }
        }
        assert!(errors > 1000 && torn > 0, "{errors} errors, {torn} torn tails");
    }
}

#[test]
fn every_length_is_an_error_or_leaves_the_frames_before_it() {
    let sample = sample(6, false);
    let bytes = sample.disk.read(Path::new(PATH)).unwrap();
    for len in 0..bytes.len() {
        let disk = SimDisk::new(1);
        disk.create(Path::new(PATH)).unwrap().write_all_at(&[&bytes[..len]], 0).unwrap();
        let (found, recovered) = read(&disk, Path::new(PATH), 3, 0).unwrap();
        let whole = sample.frames.iter().filter(|(at, frame)| *at as usize + FRAME_HEADER + frame.padded_len() <= len);
        assert_eq!(found, sample.batches[..whole.count()]);
        assert_eq!(recovered.first_sequence.is_some(), len >= HEADER);
        // The segment that follows knows that something is missing.
        let last = sample.frames.last().unwrap().1.next() - 1;
        assert_eq!(read(&disk, Path::new(PATH), 3, last).is_err(), found.len() < sample.batches.len());
    }
}

#[test]
fn no_damage_panics_or_shows_what_was_never_written() {
    for seed in 0..3000 {
        let mut random = Random::new(seed, 1);
        let sample = sample(random.below(20), random.coin());
        let mut bytes = sample.disk.read(Path::new(PATH)).unwrap();
        for _ in 0..=random.below(4) {
            let (at, len) = (random.index(bytes.len()), random.index(100));
            let end = (at + len).min(bytes.len());
            match random.below(4) {
                0 => bytes[at..end].fill(random.next() as u8),
                1 => bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8),
                2 => {
                    let to = random.index(bytes.len() - (end - at));
                    bytes.copy_within(at..end, to);
                }
                _ => bytes[at] ^= 1 << random.below(8),
            }
        }
        let disk = SimDisk::new(1);
        disk.create(Path::new(PATH)).unwrap().write_all_at(&[&bytes], 0).unwrap();
        match read(&disk, Path::new(PATH), 3, 0) {
            Ok((found, _)) => assert!(sample.batches.starts_with(&found), "seed {seed}"),
            Err(Error::Corruption { offset, .. }) => assert!(offset <= bytes.len() as u64, "seed {seed}"),
            Err(error) => panic!("{error} with seed {seed}"),
        }
    }
}

/// A log of these frames, each with its operations, whatever they say.
fn crafted(frames: &[(FrameHeader, &[u8])]) -> Result<(Vec<(Sequence, Ops)>, Recovered)> {
    let disk = SimDisk::new(1);
    let mut bytes = Header { number: 1, first: 1, synced_upto: 0 }.encode().to_vec();
    for (frame, operations) in frames {
        let mut padded = operations.to_vec();
        padded.resize(operations.len().next_multiple_of(8), 0);
        let header = FrameHeader { checksum: crc32fast::hash(&padded), ..*frame };
        bytes.extend(header.encode(bytes.len() as u64));
        bytes.extend(padded);
    }
    disk.create(Path::new(PATH)).unwrap().write_all_at(&[&bytes], 0).unwrap();
    read(&disk, Path::new(PATH), 1, 0)
}

#[test]
fn whole_frames_that_make_no_sense_are_corruption() {
    let frame = FrameHeader { number: 1, first: 1, synced_upto: 0, len: 3, count: 1, checksum: 0 };
    let good: (FrameHeader, &[u8]) = (frame, &[0, 1, b'k']);
    let second = FrameHeader { first: 2, ..frame };
    let what = |frames: &[(FrameHeader, &[u8])]| match crafted(frames) {
        Err(Error::Corruption { offset, what, .. }) => Err((offset, what)),
        Ok((_, recovered)) => Ok(recovered.last_sequence),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(what(&[good, (second, &[0, 1, b'l'])]), Ok(2));
    for first in [1, 3] {
        let result = what(&[good, (FrameHeader { first, ..frame }, &[0, 1, b'l'])]);
        assert_eq!(result, Err((88, "a frame's sequence number does not follow the one before")));
    }
    let third = FrameHeader { first: 3, ..frame };
    let claims = FrameHeader { synced_upto: 1, ..second };
    let result = what(&[good, (claims, &[0, 1, b'l']), (third, &[0, 1, b'm'])]);
    assert_eq!(result, Err((136, "a frame calls less durable than the one before")));
    assert_eq!(what(&[good, (second, &[7, 1, b'l'])]), Err((128, "an operation is of no known kind")));
    let result = what(&[good, (FrameHeader { len: 6, ..second }, &[0, 1, b'l', 0, 1, b'm'])]);
    assert_eq!(result, Err((131, "a batch goes on behind its last operation")));
}

#[test]
fn a_length_beyond_the_file_takes_no_memory() {
    let len = crate::batch::MAX_BATCH as u32;
    let frame = FrameHeader { number: 1, first: 1, synced_upto: 0, len, count: 1, checksum: 0 };
    let (found, recovered) = crafted(&[(frame, b"short")]).unwrap();
    assert_eq!((found.len(), recovered.end), (0, End::TornTail { offset: 40, dropped_bytes: 48 }));
}

#[test]
fn a_log_of_another_version_is_refused() {
    let (disk, path) = (SimDisk::new(1), Path::new(PATH));
    let mut bytes = Header { number: 1, first: 1, synced_upto: 0 }.encode();
    bytes[8] = 1;
    disk.create(path).unwrap().write_all_at(&[&bytes], 0).unwrap();
    let error = read(&disk, path, 1, 0).unwrap_err().to_string();
    assert_eq!(error, "log is damaged at byte 8: the log is of an unknown version");
}

#[test]
fn a_claim_is_found_wherever_it_lies() {
    // A search reads 256 KiB at a time; the claim lies around where the first piece ends.
    for shift in (0..=96).step_by(8) {
        let (disk, path) = (SimDisk::new(1), Path::new(PATH));
        let mut writer = Writer::create(&disk, segment(path, 1), 1).unwrap();
        // Kind, lengths and key take 6 bytes.
        writer.append(1, [&put(b"k", &vec![7; (256 << 10) - 2 * FRAME_HEADER - 8 + shift - 6])]).unwrap();
        writer.sync().unwrap();
        writer.append(2, [&put(b"k", b"v")]).unwrap();
        disk.flip_bit(path, HEADER as u64, 0).unwrap();
        assert!(matches!(read(&disk, path, 1, 0), Err(Error::Corruption { offset: 40, .. })), "shifted by {shift}");
    }
}
