use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::busy::Busy;
use super::filter::Decision;
use super::pick::{Action, Limits, Pick, debt, pick, score};
use super::*;
use crate::cache::LruCache;
use crate::cursor::Cursor;
use crate::disk::sim::{SimDisk, random::Random};
use crate::key::{self, Kind, Sequence};
use crate::memtable::Memtable;
use crate::options::{LAST_LEVEL, LEVELS, Options};
use crate::version::{Dropped, Edit, File, FileMeta, Home, Version};

fn home() -> Arc<Home> {
    Home::new(Arc::new(SimDisk::new(1)), Path::new(""), Arc::new(LruCache::new(0)))
}

fn meta(number: u64, first: u64, last: u64, size: u64) -> FileMeta {
    let internal = |key: u64| {
        let mut internal = Vec::new();
        key::encode(format!("{key:04}").as_bytes(), number, Kind::Put, &mut internal);
        internal.into_boxed_slice()
    };
    let (smallest, largest) = (internal(first), internal(last));
    FileMeta { number, size, entries: 1, tombstones: 0, oldest: number, newest: number, cleaned: 0, smallest, largest }
}

fn version(files: &[(usize, FileMeta)]) -> Version {
    let home = home();
    let edit = Edit { added: files.to_vec(), ..Edit::default() };
    Version::empty().apply(&edit, |meta| File::new(meta.clone(), &home)).unwrap()
}

fn options() -> Options {
    Options::default().level_base_bytes(10_000).level_multiplier(10).target_file_bytes(5_000).l0_compact(4)
}

fn numbers(files: &[Arc<File>]) -> Vec<u64> {
    files.iter().map(|file| file.meta.number).collect()
}

#[test]
fn nothing_is_compacted_while_all_levels_are_small() {
    let version = version(&[(0, meta(1, 0, 9, 100)), (LAST_LEVEL, meta(2, 0, 9, 9_000))]);
    let limits = Limits::new(&options(), &version);
    assert!(pick(&version, &limits, &Busy::default()).is_none());
    assert_eq!(debt(&version, &limits), 0);
}

#[test]
fn flushed_tables_go_together_into_the_first_level_in_use() {
    let flushed = (1..=4).map(|number| (0, meta(number, number, number + 2, 100)));
    let all: Vec<_> = flushed.chain([(LAST_LEVEL, meta(9, 3, 4, 100)), (LAST_LEVEL, meta(10, 7, 9, 100))]).collect();
    let version = version(&all);
    let limits = Limits::new(&options(), &version);
    let pick = pick(&version, &limits, &Busy::default()).unwrap();
    assert_eq!((pick.action, pick.level, pick.output), (Action::Merge, 0, LAST_LEVEL));
    assert_eq!(numbers(&pick.inputs), [1, 2, 3, 4]);
    assert_eq!(numbers(&pick.next), [9]);
    let mut busy = Busy::default();
    let reservation = busy.reserve(&pick);
    assert!(
        super::pick::pick(&version, &limits, &busy).is_none(),
        "there is one compaction of flushed tables at a time"
    );
    busy.release(reservation);
    assert!(super::pick::pick(&version, &limits, &busy).is_some());
}

#[test]
fn the_table_with_the_least_to_rewrite_is_taken() {
    let files = [
        (5, meta(1, 0, 9, 5_000)),
        (5, meta(2, 20, 29, 5_000)),
        (5, meta(3, 40, 49, 5_000)),
        (LAST_LEVEL, meta(11, 0, 9, 40_000)),
        (LAST_LEVEL, meta(12, 25, 26, 1_000)),
        (LAST_LEVEL, meta(13, 40, 49, 60_000)),
    ];
    let version = version(&files);
    let limits = Limits::new(&options(), &version);
    assert_eq!(limits.base, 5);
    assert!(score(&version, &limits, 5) > 1.0);
    let mut busy = Busy::default();
    let taken: Vec<_> = (0..4)
        .map_while(|_| {
            let pick = pick(&version, &limits, &busy)?;
            busy.reserve(&pick);
            Some((numbers(&pick.inputs), numbers(&pick.next)))
        })
        .collect();
    assert_eq!(taken, [(vec![2], vec![12]), (vec![1], vec![11]), (vec![3], vec![13])]);
}

#[test]
fn a_table_that_overlaps_nothing_is_moved_unless_something_in_it_is_hidden() {
    let files = [(5, meta(1, 0, 9, 11_000)), (LAST_LEVEL, meta(11, 20, 29, 50_000))];
    let mut version = version(&files);
    let limits = Limits::new(&options(), &version);
    let moved = pick(&version, &limits, &Busy::default()).unwrap();
    assert_eq!((moved.action, numbers(&moved.inputs)), (Action::Move, vec![1]));
    version.dropped = [Dropped { id: 1, start: Box::from(*b"0005"), end: None, upto: 7 }].into();
    assert_eq!(pick(&version, &limits, &Busy::default()).unwrap().action, Action::Merge);
}

#[test]
fn what_a_dropped_range_hides_is_rewritten_when_there_is_time() {
    let mut version = version(&[(LAST_LEVEL, meta(1, 0, 9, 100)), (LAST_LEVEL, meta(20, 20, 29, 100))]);
    version.dropped = [Dropped { id: 1, start: Box::from(*b"0005"), end: None, upto: 7 }].into();
    let limits = Limits::new(&options(), &version);
    let mut busy = Busy::default();
    let rewrite = pick(&version, &limits, &busy).unwrap();
    assert_eq!((rewrite.action, numbers(&rewrite.inputs)), (Action::Rewrite, vec![1]));
    busy.reserve(&rewrite);
    assert!(pick(&version, &limits, &busy).is_none(), "the other is newer than the range");
}

/// Carries picks out on the metadata alone, several at once, until there is nothing to do; at each step all must be in order.
#[test]
fn compactions_that_run_at_once_never_meet_and_come_to_an_end() {
    for seed in 0..200 {
        let mut random = Random::new(seed, 1);
        let home = home();
        let file = |meta: &FileMeta| File::new(meta.clone(), &home);
        let (mut version, mut number) = (Version::empty(), 0);
        let (mut busy, mut running): (Busy, Vec<(u64, Pick)>) = Default::default();
        let mut steps = 0;
        while steps < 400 || !running.is_empty() {
            steps += 1;
            assert!(steps < 5_000, "seed {seed}: it does not end");
            let limits = Limits::new(&options(), &version);
            if steps < 200 && random.below(3) == 0 {
                number += 1;
                let first = random.below(900);
                let added = vec![(0, meta(number, first, first + random.below(100), 1_000 + random.below(3_000)))];
                version = version.apply(&Edit { added, ..Edit::default() }, file).unwrap();
            }
            if let Some(next) = pick(&version, &limits, &busy) {
                let used: BTreeSet<u64> =
                    running.iter().flat_map(|(_, pick)| pick.files()).map(|file| file.meta.number).collect();
                assert!(
                    next.files().all(|file| !used.contains(&file.meta.number)),
                    "seed {seed}: a table is in two compactions"
                );
                running.push((busy.reserve(&next), next));
            }
            if !running.is_empty() && random.below(2) == 0 {
                let (reservation, done) = running.swap_remove(random.below(running.len() as u64) as usize);
                let mut edit = Edit::default();
                edit.removed.extend(done.inputs.iter().map(|file| (done.level, file.meta.number)));
                edit.removed.extend(done.next.iter().map(|file| (done.output, file.meta.number)));
                number += 1;
                let mut whole = match done.action {
                    Action::Move => done.inputs[0].meta.clone(),
                    Action::Merge | Action::Rewrite => {
                        meta(number, 0, 0, done.files().map(|file| file.meta.size).sum())
                    }
                };
                if done.action != Action::Move {
                    let (first, last) = done.hull();
                    whole.smallest = [first, &[0; 8]].concat().into();
                    whole.largest = [last, &[0; 8]].concat().into();
                }
                edit.added.push((done.output, whole));
                // That no two tables of a level overlap, `apply` checks.
                version = version.apply(&edit, file).unwrap();
                busy.release(reservation);
            }
        }
        let limits = Limits::new(&options(), &version);
        assert!(pick(&version, &limits, &busy).is_none() && version.levels[0].len() < 4, "seed {seed}");
    }
}

/// A version of a key as it is after compaction: what is visible at each snapshot must be the same as before.
#[test]
fn what_survives_looks_the_same_to_every_snapshot() {
    for seed in 0..500 {
        let mut random = Random::new(seed, 2);
        let memtable = Arc::new(Memtable::new());
        let mut versions: BTreeMap<(Vec<u8>, Sequence), Option<Vec<u8>>> = BTreeMap::new();
        for sequence in 1..=60 {
            let key = vec![b'a' + random.below(6) as u8];
            let (kind, value) = match random.below(3) {
                0 => (Kind::Delete, vec![]),
                _ => (Kind::Put, vec![random.below(4) as u8]),
            };
            memtable.insert(&key, sequence, kind, &value);
            versions.insert((key, sequence), (kind == Kind::Put).then_some(value));
        }
        let mut snapshots: Vec<Sequence> = (0..random.below(4)).map(|_| 1 + random.below(59)).collect();
        snapshots.push(60);
        snapshots.sort_unstable();
        snapshots.dedup();
        let dropped = [Dropped { id: 1, start: Box::from(*b"b"), end: Some(Box::from(*b"c")), upto: random.below(60) }];
        let filter = |_: &[u8], value: &[u8]| if value == [0] { Decision::Remove } else { Decision::Keep };
        let filtered = random.below(2) == 0;
        let lowest = random.below(2) == 0;
        let held = snapshots.iter().rev().nth(1).copied();
        let rules = Rules { snapshots: &snapshots, held, dropped: &dropped, filter: filtered.then_some(&filter) };
        let mut cursor = memtable.cursor();
        cursor.first().unwrap();
        let mut left: BTreeMap<(Vec<u8>, Sequence), Option<Vec<u8>>> = BTreeMap::new();
        let each = |internal: &[u8], value: &[u8]| {
            let (key, trailer) = key::split(internal);
            let put = Kind::from_byte(trailer as u8) == Some(Kind::Put);
            left.insert((key.to_vec(), trailer >> 8), put.then(|| value.to_vec()));
            Ok(())
        };
        let gone = survivors(&mut cursor, &rules, |_| lowest, each).unwrap();
        // What the filter removed may still be there as a deletion.
        let others = gone.hidden + gone.dropped + gone.tombstones + left.len() as u64;
        assert!(others <= 60 && others + gone.filtered >= 60, "seed {seed}: {gone:?}, {} are left", left.len());
        type Versions = BTreeMap<(Vec<u8>, Sequence), Option<Vec<u8>>>;
        let look = |versions: &Versions, key: &[u8], at: Sequence| {
            let newest = versions.range((key.to_vec(), 0)..=(key.to_vec(), at)).next_back();
            newest
                .filter(|((key, sequence), _)| !dropped[0].covers(key, *sequence))
                .and_then(|(_, value)| value.clone())
        };
        for (at, key) in snapshots.iter().flat_map(|at| (b'a'..b'g').map(move |key| (at, [key]))) {
            let before = look(&versions, &key, *at);
            // The filter may remove only what none of those sees that are held; the last one is not.
            let removed = filtered && before == Some(vec![0]) && *at == 60;
            let after = look(&left, &key, *at);
            assert!(after == before || removed && after.is_none(), "seed {seed}: {key:?} at {at}");
        }
        assert!(left.len() <= snapshots.len() * 6, "seed {seed}: a version per key and snapshot is enough");
    }
}

#[test]
fn levels_are_counted_from_where_there_is_something() {
    let version = version(&[(2, meta(1, 0, 9, 100))]);
    let limits = Limits::new(&options(), &version);
    assert_eq!(limits.base, 2, "nothing new may come below what is older");
    let pick = pick(&version, &limits, &Busy::default()).unwrap();
    assert_eq!((pick.action, pick.level, pick.output), (Action::Move, 2, 3));
    assert!(pick.output < LEVELS);
}
