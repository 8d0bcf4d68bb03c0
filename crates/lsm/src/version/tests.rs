use std::path::Path;
use std::sync::Arc;

use super::manifest::{self, Manifest};
use super::*;
use crate::cache::LruCache;
use crate::disk::Disk;
use crate::disk::sim::{SimDisk, random::Random};
use crate::error::Error;
use crate::key::{self, Kind};

fn meta(number: u64, first: &str, last: &str, newest: Sequence) -> FileMeta {
    let internal = |key: &str| {
        let mut internal = Vec::new();
        key::encode(key.as_bytes(), newest, Kind::Put, &mut internal);
        internal.into_boxed_slice()
    };
    let (smallest, largest) = (internal(first), internal(last));
    FileMeta {
        number,
        size: 100,
        entries: 10,
        tombstones: 1,
        oldest: newest / 2,
        newest,
        cleaned: 0,
        smallest,
        largest,
    }
}

fn home() -> Arc<Home> {
    Home::new(Arc::new(SimDisk::new(1)), Path::new(""), Arc::new(LruCache::new(0)))
}

fn edit(number: u64) -> Edit {
    let range = Dropped {
        id: number,
        start: Box::from(*b"a"),
        end: number.is_multiple_of(2).then(|| Box::from(*b"c")),
        upto: number,
    };
    Edit {
        next_file: number + 1,
        log_number: number,
        flushed: number,
        removed: if number > 1 { vec![(0, number - 1)] } else { vec![] },
        added: vec![(0, meta(number, "b", "d", number))],
        dropped: number.is_multiple_of(3).then(|| vec![range]),
    }
}

fn write(disk: &SimDisk, edits: u64) -> Manifest {
    let mut manifest = Manifest::create(disk, Path::new(""), 7, &edit(1), 4_000).unwrap();
    for number in 2..=edits {
        manifest.append(&edit(number)).unwrap();
    }
    manifest
}

fn read(disk: &SimDisk) -> crate::error::Result<Vec<Edit>> {
    manifest::read(disk, Path::new(""))
        .map(|edits| edits.map_or(Vec::new(), |edits| edits.edits.into_iter().map(|(_, edit)| edit).collect()))
}

#[test]
fn an_edit_is_read_as_it_was_written() {
    for number in 1..20 {
        let bytes = edit(number).encode();
        assert_eq!(Edit::decode(&bytes), Some(edit(number)));
        for len in 0..bytes.len() {
            assert_eq!(Edit::decode(&bytes[..len]), None, "cut to {len} bytes");
        }
        assert_eq!(Edit::decode(&[&bytes[..], &[0]].concat()), None);
    }
}

#[test]
fn arbitrary_bytes_are_no_edit_and_no_panic() {
    let mut random = Random::new(3, 0);
    let mut bytes = edit(6).encode();
    for _ in 0..20_000 {
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] = random.below(256) as u8;
        let _ = Edit::decode(&bytes);
    }
}

#[test]
fn a_manifest_is_the_sum_of_its_edits() {
    let disk = SimDisk::new(1);
    assert_eq!(read(&disk).unwrap(), []);
    let manifest = write(&disk, 9);
    assert_eq!(read(&disk).unwrap(), (1..=9).map(edit).collect::<Vec<_>>());
    assert!(!manifest.is_large());
    let manifest = write_more(manifest, 60);
    assert!(manifest.is_large());
    Manifest::create(&disk, Path::new(""), 8, &edit(30), 1000).unwrap();
    assert_eq!(read(&disk).unwrap(), [edit(30)]);
}

fn write_more(mut manifest: Manifest, edits: u64) -> Manifest {
    (10..edits).for_each(|number| manifest.append(&edit(number)).unwrap());
    manifest
}

#[test]
fn every_flipped_bit_in_a_manifest_is_noticed_or_harmless() {
    let disk = SimDisk::new(1);
    write(&disk, 5);
    for name in disk.list(Path::new("")).unwrap() {
        let path = Path::new(&name);
        let len = disk.read(path).unwrap().len() as u64;
        for (offset, bit) in (0..len).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
            disk.flip_bit(path, offset, bit).unwrap();
            match read(&disk) {
                Ok(edits) => assert_eq!(edits, (1..=5).map(edit).collect::<Vec<_>>(), "{name} at {offset}"),
                Err(Error::Corruption { .. }) => {}
                Err(error) => panic!("{name} at {offset}: {error}"),
            }
            disk.flip_bit(path, offset, bit).unwrap();
        }
    }
}

#[test]
fn a_torn_edit_at_the_end_was_never_acknowledged() {
    let disk = SimDisk::new(1);
    let calls = disk.calls();
    write(&disk, 5);
    for crash in calls + 1..=disk.calls() {
        for seed in 0..20 {
            let disk = SimDisk::new(1);
            disk.crash_at(crash);
            let mut acknowledged = 0;
            if let Ok(mut manifest) = Manifest::create(&disk, Path::new(""), 7, &edit(1), 1000) {
                acknowledged = 1;
                while acknowledged < 5 && manifest.append(&edit(acknowledged + 1)).is_ok() {
                    acknowledged += 1;
                }
            }
            let found = read(&disk.crash(seed)).unwrap();
            let count = found.len() as u64;
            assert!(count == acknowledged || count == acknowledged + 1, "{count} of {acknowledged} edits");
            assert_eq!(found, (1..=count).map(edit).collect::<Vec<_>>());
        }
    }
}

#[test]
fn edits_that_contradict_a_version_are_refused() {
    let home = home();
    let file = |meta: &FileMeta| File::new(meta.clone(), &home);
    let first = Edit { added: vec![(1, meta(1, "b", "d", 5)), (1, meta(2, "e", "g", 5))], ..Edit::default() };
    let version = Version::empty().apply(&first, file).unwrap();
    let overlap = Edit { added: vec![(1, meta(3, "d", "d", 6))], ..Edit::default() };
    assert!(version.apply(&overlap, file).is_err());
    let absent = Edit { removed: vec![(2, 1)], ..Edit::default() };
    assert!(version.apply(&absent, file).is_err());
    let moved = Edit { removed: vec![(1, 1)], added: vec![(2, meta(1, "b", "d", 5))], ..Edit::default() };
    let moved = version.apply(&moved, file).unwrap();
    assert_eq!((moved.levels[1].len(), moved.levels[2].len()), (1, 1));
    assert!(moved.apply(&Edit { flushed: 3, ..Edit::default() }, file).unwrap().apply(&Edit::default(), file).is_err());
    assert_eq!(Version::empty().apply(&version.whole(9), file).unwrap().whole(9), version.whole(9));
}

#[test]
fn a_key_is_looked_for_where_it_can_be() {
    let home = home();
    let file = |meta: &FileMeta| File::new(meta.clone(), &home);
    let added = vec![
        (1, meta(1, "b", "d", 5)),
        (1, meta(2, "f", "h", 5)),
        (0, meta(3, "a", "z", 9)),
        (0, meta(4, "c", "e", 8)),
    ];
    let version = Version::empty().apply(&Edit { added, ..Edit::default() }, file).unwrap();
    let holding = |key: &str| version.holding(1, key.as_bytes()).map(|file| file.meta.number);
    let found = ["a", "b", "d", "e", "f", "h", "i"].map(holding);
    assert_eq!(found, [None, Some(1), Some(1), None, Some(2), Some(2), None]);
    let overlapping = |level, first: &str, last: &str| -> Vec<u64> {
        version.overlapping(level, first.as_bytes(), last.as_bytes()).map(|file| file.meta.number).collect()
    };
    assert_eq!(overlapping(1, "d", "f"), [1, 2]);
    assert_eq!(overlapping(1, "e", "e"), []);
    assert_eq!(overlapping(1, "a", "z"), [1, 2]);
    assert_eq!(overlapping(0, "f", "g"), [3]);
    assert_eq!(version.levels[0][0].meta.number, 3, "the newest comes first");
}

#[test]
fn a_removed_table_is_garbage_when_nobody_uses_it() {
    let home = home();
    let (kept, removed) = (File::new(meta(1, "a", "b", 1), &home), File::new(meta(2, "a", "b", 1), &home));
    let reader = removed.clone();
    removed.remove();
    drop((kept, removed));
    assert!(!home.has_garbage());
    drop(reader);
    assert_eq!(home.take_garbage(), [2]);
}

#[test]
fn dropped_ranges_cover_what_is_in_them() {
    let range = |start: &str, end: Option<&str>, upto| Dropped {
        id: 1,
        start: start.as_bytes().into(),
        end: end.map(|end| end.as_bytes().into()),
        upto,
    };
    let (closed, open) = (range("b", Some("d"), 5), range("c", None, 5));
    assert!(closed.covers(b"b", 5) && closed.covers(b"cz", 1));
    assert!(!closed.covers(b"b", 6) && !closed.covers(b"d", 5) && !closed.covers(b"a", 5));
    assert!(open.covers(b"zzz", 5) && !open.covers(b"b", 5));
    assert!(closed.overlaps(b"a", b"b") && !closed.overlaps(b"d", b"e") && open.overlaps(b"d", b"e"));
    assert!(range("a", None, 6).includes(&open) && !open.includes(&range("a", None, 5)) && !closed.includes(&open));
}
