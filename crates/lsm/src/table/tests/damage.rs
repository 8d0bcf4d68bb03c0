//! What readers say of files that are not as they were written: that, and where, and never something else.

use super::*;
use crate::cursor::Cursor;
use crate::error::Error;

/// Some entries that make several partitions, filters, blocks with restarts and buckets, and versions across blocks.
fn entries() -> Entries {
    let mut random = Random(3);
    let mut entries: Entries = (0..40_u64)
        .map(|number| (internal(format!("user{:05}", number * 7).as_bytes(), 100 + number, Kind::Put), random.bytes(6)))
        .collect();
    let versions = (0..20).rev().map(|sequence| (internal(b"user99999", sequence, Kind::Delete), Vec::new()));
    entries.extend(versions);
    entries
}

fn written(form: Form) -> Vec<u8> {
    let disk = MemoryDisk::default();
    write(&disk, &entries(), form);
    disk.read(PATH)
}

/// All that readers can find out of a file; the first error of each way to read.
struct Seen {
    errors: Vec<Error>,
    verified: bool,
}

/// Reads a file in all ways. Whatever is found must be right.
fn look(bytes: Vec<u8>, entries: &Entries, number: u64, cache: Arc<dyn BlockCache>) -> Seen {
    let disk = MemoryDisk::default();
    disk.put(PATH, bytes);
    let mut seen = Seen { errors: Vec::new(), verified: false };
    let table = match open(&disk, number, cache) {
        Ok(table) => table,
        Err(error) => {
            seen.errors.push(error);
            return seen;
        }
    };
    let mut forward = table.cursor();
    let mut walked = forward.first();
    for (internal, value) in entries {
        if walked.is_err() {
            assert!(forward.entry().is_none(), "after an error a cursor is nowhere");
            break;
        }
        assert_eq!(forward.entry(), Some((&internal[..], &value[..])));
        walked = forward.next();
    }
    seen.errors.extend(walked.err());
    let mut backward = table.bulk_cursor();
    let mut walked = backward.last();
    for (internal, value) in entries.iter().rev() {
        if walked.is_err() {
            break;
        }
        assert_eq!(backward.entry(), Some((&internal[..], &value[..])));
        walked = backward.prev();
    }
    seen.errors.extend(walked.err());
    for (internal, value) in entries.iter().step_by(7) {
        let (user_key, trailer) = key::split(internal);
        match table.get(user_key, trailer >> 8) {
            Ok(found) => {
                let found = found.map(|(sequence, kind, found)| (key::trailer(sequence, kind), found.to_vec()));
                assert_eq!(found, Some((trailer, value.clone())));
            }
            Err(error) => seen.errors.push(error),
        }
    }
    let verified = table.verify();
    seen.verified = verified.is_ok();
    seen.errors.extend(verified.err());
    seen
}

/// Each error names the file, and a place that is not behind the given one.
fn assert_named(seen: &Seen, last: usize) {
    assert!(!seen.errors.is_empty());
    for error in &seen.errors {
        match error {
            Error::Corruption { file, offset, .. } => {
                assert_eq!(file, Path::new(PATH));
                assert!(*offset <= last as u64, "{error}");
            }
            other => panic!("not a corruption: {other}"),
        }
    }
}

fn forms() -> Vec<Form> {
    let form = |compression| Form { options: TableOptions { compression, ..SMALL.options }, ..SMALL };
    compressions().into_iter().map(form).collect()
}

#[test]
fn every_damaged_byte_is_reported() {
    let entries = entries();
    for form in forms() {
        let bytes = written(form);
        let seen = look(bytes.clone(), &entries, form.number, pinning_cache());
        assert!(seen.errors.is_empty() && seen.verified, "{:?}", seen.errors);
        for at in 0..bytes.len() {
            for flip in [1 << (at % 8), 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let cache = if at % 2 == 0 { pinning_cache() } else { no_cache() };
                let seen = look(damaged, &entries, form.number, cache);
                assert!(!seen.verified, "byte {at} is covered by no check");
                assert_named(&seen, at);
            }
        }
    }
}

#[test]
fn every_truncation_and_extension_is_reported() {
    let (entries, bytes) = (entries(), written(SMALL));
    for len in 0..bytes.len() {
        assert_named(&look(bytes[..len].to_vec(), &entries, SMALL.number, pinning_cache()), bytes.len());
    }
    for more in 1..100 {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, more as u8);
        assert_named(&look(longer, &entries, SMALL.number, pinning_cache()), bytes.len() + more);
    }
}

#[test]
fn a_file_that_shrinks_while_open_is_reported() {
    let (entries, bytes) = (entries(), written(SMALL));
    let disk = MemoryDisk::default();
    disk.put(PATH, bytes);
    let table = open(&disk, SMALL.number, no_cache()).unwrap();
    disk.cut(PATH, 100);
    let last = key::split(&entries[entries.len() - 1].0).0;
    assert!(matches!(table.get(last, key::LAST_SEQUENCE), Err(Error::Corruption { .. })));
    assert!(matches!(table.verify(), Err(Error::Corruption { .. })));
}

#[test]
fn blocks_in_the_wrong_place_are_reported() {
    // Equal entries but for one byte of the key, so that blocks have the same length.
    let entries: Entries = (0..200_u8).map(|number| (internal(&[number; 4], 5, Kind::Put), vec![1; 20])).collect();
    let disk = MemoryDisk::default();
    write(&disk, &entries, SMALL);
    let (bytes, table) = (disk.read(PATH), open(&disk, SMALL.number, pinning_cache()).unwrap());
    let partition = table.0.partition(1).unwrap();
    let places: Vec<_> = (0..partition.blocks()).map(|block| partition.handle(block)).collect();
    let [first, second, ..] = places[..] else { panic!("the partition has several blocks") };
    assert_eq!(first.len, second.len);
    let range = |handle: crate::table::frame::Handle| handle.offset as usize..handle.end() as usize;
    let mut swapped = bytes.clone();
    swapped.copy_within(range(second), range(first).start);
    swapped[range(second)].copy_from_slice(&bytes[range(first)]);
    let seen = look(swapped, &entries, SMALL.number, pinning_cache());
    assert!(!seen.verified);
    assert_named(&seen, bytes.len());

    let mut misdirected = bytes.clone();
    misdirected.copy_within(range(second), range(first).start);
    assert!(!look(misdirected, &entries, SMALL.number, no_cache()).verified);

    // The same entries in another file have other checksums, so that a block, or all of it, from there is noticed.
    let other = MemoryDisk::default();
    write(&other, &entries, Form { number: 8, ..SMALL });
    assert_named(&look(other.read(PATH), &entries, SMALL.number, no_cache()), bytes.len());
    let mut mixed = bytes.clone();
    mixed[range(first)].copy_from_slice(&other.read(PATH)[range(first)]);
    assert!(!look(mixed, &entries, SMALL.number, no_cache()).verified);
}

/// Frames whose checksum is right and whose content is not: what a reader makes of it does not matter, but that it ends, in an
/// error or not.
#[test]
fn forged_content_never_panics() {
    let entries = entries();
    for seed in 0..4000 {
        let _print = Seed(seed);
        let mut random = Random(seed);
        let form =
            Form { options: TableOptions { compression: random.pick(&compressions()), ..SMALL.options }, ..SMALL };
        let disk = MemoryDisk::default();
        write(&disk, &entries, form);
        let (mut bytes, table) = (disk.read(PATH), open(&disk, form.number, pinning_cache()).unwrap());
        let layout = &table.0.layout;
        let mut frames: Vec<_> =
            layout.directory.places.iter().flat_map(|place| [place.filter.unwrap(), place.index]).collect();
        let end = layout.metadata().end;
        frames.push(crate::table::frame::Handle { offset: end, len: (layout.properties_at - end) as u32 - 9 });
        let properties = layout.properties_at;
        frames.push(crate::table::frame::Handle {
            offset: properties,
            len: (bytes.len() as u64 - 48 - properties) as u32 - 9,
        });
        for place in &layout.directory.places {
            let partition = layout.read_partition(place).unwrap();
            frames.extend((0..partition.blocks()).map(|block| partition.handle(block)));
        }
        let frame = frames[random.below(frames.len())];
        let (start, end) = (frame.offset as usize, frame.end() as usize);
        for _ in 0..1 + random.below(3) {
            let at = start + random.below(end - start - 4);
            bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)]);
        }
        let checksum = crate::table::frame::checksum(&bytes[start..end - 4], form.number, frame.offset);
        bytes[end - 4..end].copy_from_slice(&checksum.to_le_bytes());
        disk.put(PATH, bytes);
        let Ok(table) = open(&disk, form.number, pinning_cache()) else { continue };
        let mut cursor = table.cursor();
        let mut target = entries[random.below(entries.len())].0.clone();
        let _ = table.get(key::split(&target).0, key::LAST_SEQUENCE);
        let _ = table.approximate_offset(key::split(&target).0);
        let _ = cursor.seek(&target);
        target[0] ^= 1;
        let _ = cursor.seek_before(&target);
        let mut steps = 0;
        let mut walked = cursor.first();
        while walked.is_ok() && cursor.entry().is_some() && steps < 1000 {
            steps += 1;
            walked = cursor.next();
        }
        let mut walked = cursor.last();
        while walked.is_ok() && cursor.entry().is_some() && steps < 2000 {
            steps += 1;
            walked = cursor.prev();
        }
        assert!(steps < 1000, "a table has no more entries than bytes");
        let _ = table.verify();
    }
}
