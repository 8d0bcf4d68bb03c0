use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use super::bounds::prefix_end;
use super::*;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::key::{self, Kind, Sequence};

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % limit as u64) as usize
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// A sorted list as a cursor. It counts moves, and can fail at one of them.
#[derive(Default)]
struct ListCursor {
    entries: Rc<Entries>,
    at: Option<usize>,
    moves: Rc<Cell<usize>>,
    fail_at: Option<usize>,
}

impl ListCursor {
    fn new(mut entries: Entries) -> Self {
        entries.sort_by(|(a, _), (b, _)| key::compare(a, b));
        Self { entries: Rc::new(entries), ..Self::default() }
    }

    fn go(&mut self, at: Option<usize>) -> Result<()> {
        self.moves.set(self.moves.get() + 1);
        self.at = at.filter(|at| *at < self.entries.len());
        if self.fail_at == Some(self.moves.get()) { Err(Error::Invalid("as asked")) } else { Ok(()) }
    }

    fn before(&self, internal: &[u8]) -> usize {
        self.entries.partition_point(|(its, _)| key::compare(its, internal).is_lt())
    }
}

impl Cursor for ListCursor {
    fn first(&mut self) -> Result<()> {
        self.go(Some(0))
    }

    fn last(&mut self) -> Result<()> {
        self.go(self.entries.len().checked_sub(1))
    }

    fn seek(&mut self, internal: &[u8]) -> Result<()> {
        self.go(Some(self.before(internal)))
    }

    fn seek_before(&mut self, internal: &[u8]) -> Result<()> {
        self.go(self.before(internal).checked_sub(1))
    }

    fn next(&mut self) -> Result<()> {
        let at = self.at.expect("at an entry");
        self.go(Some(at + 1))
    }

    fn prev(&mut self) -> Result<()> {
        let at = self.at.expect("at an entry");
        self.go(at.checked_sub(1))
    }

    fn entry(&self) -> Option<(&[u8], &[u8])> {
        self.at.map(|at| (self.entries[at].0.as_slice(), self.entries[at].1.as_slice()))
    }
}

/// A list cut into tables.
struct ListLevel {
    tables: Vec<Rc<Entries>>,
    opened: Rc<Cell<usize>>,
}

impl ListLevel {
    fn new(mut entries: Entries, random: &mut Random) -> Self {
        entries.sort_by(|(a, _), (b, _)| key::compare(a, b));
        let mut tables = Vec::new();
        while !entries.is_empty() {
            let rest = entries.split_off((random.below(8) + 1).min(entries.len()));
            tables.push(Rc::new(std::mem::replace(&mut entries, rest)));
        }
        Self { tables, opened: Rc::default() }
    }
}

impl Level for ListLevel {
    type Cursor = ListCursor;

    fn tables(&self) -> usize {
        self.tables.len()
    }

    fn smallest(&self, table: usize) -> &[u8] {
        &self.tables[table].first().unwrap().0
    }

    fn largest(&self, table: usize) -> &[u8] {
        &self.tables[table].last().unwrap().0
    }

    fn open(&self, table: usize) -> Result<ListCursor> {
        self.opened.set(self.opened.get() + 1);
        Ok(ListCursor { entries: Rc::clone(&self.tables[table]), ..ListCursor::default() })
    }
}

fn internal(key: &[u8], sequence: Sequence, kind: Kind) -> Vec<u8> {
    let mut internal = Vec::new();
    key::encode(key, sequence, kind, &mut internal);
    internal
}

fn put(key: &[u8], sequence: Sequence, value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (internal(key, sequence, Kind::Put), value.to_vec())
}

fn delete(key: &[u8], sequence: Sequence) -> (Vec<u8>, Vec<u8>) {
    (internal(key, sequence, Kind::Delete), Vec::new())
}

/// The versions of a key, oldest first; deletions have no value.
type History = Vec<(Sequence, Option<Vec<u8>>)>;
type Versions = BTreeMap<Vec<u8>, History>;

/// Random writes: few keys with many versions, many keys with few, short and prefixes of each other.
fn random_writes(random: &mut Random) -> (Versions, Entries) {
    let (count, keys) = (random.below(300), random.below(60) + 1);
    let deleted = random.below(4) + 1;
    let (mut versions, mut entries) = (Versions::new(), Entries::new());
    for sequence in 1..=count as Sequence {
        let key = random_key(random, keys);
        let value = (!random.one_in(deleted)).then(|| sequence.to_le_bytes().to_vec());
        entries.push(match &value {
            Some(value) => put(&key, sequence, value),
            None => delete(&key, sequence),
        });
        versions.entry(key).or_default().push((sequence, value));
    }
    (versions, entries)
}

fn random_key(random: &mut Random, keys: usize) -> Vec<u8> {
    let number = random.below(keys);
    match number % 3 {
        0 => vec![b'a'; number / 3 + 1],
        1 => format!("long shared beginning {number:03}").into_bytes(),
        _ => vec![number as u8],
    }
}

/// Deals entries out to sources, levels among them, some of them empty.
fn sources(entries: &Entries, random: &mut Random) -> Vec<Box<dyn Cursor>> {
    let mut dealt = vec![Entries::new(); random.below(6) + 1];
    for entry in entries {
        let to = random.below(dealt.len());
        dealt[to].push(entry.clone());
    }
    let source = |entries| -> Box<dyn Cursor> {
        if random.one_in(2) {
            Box::new(LevelCursor::new(ListLevel::new(entries, random)))
        } else {
            Box::new(ListCursor::new(entries))
        }
    };
    dealt.into_iter().map(source).collect()
}

#[test]
fn a_merge_of_levels_and_lists_moves_as_one_list() {
    for seed in 0..2000 {
        let mut random = Random(seed);
        let (_, entries) = random_writes(&mut random);
        let mut merged = MergeCursor::new(sources(&entries, &mut random));
        let mut list = ListCursor::new(entries);
        for step in 0..60 {
            match random.below(12) {
                0 => (merged.first().unwrap(), list.first().unwrap()),
                1 => (merged.last().unwrap(), list.last().unwrap()),
                choice @ 2..5 => {
                    let (sequence, kind) =
                        [(0, Kind::Delete), (100, Kind::Put), (key::LAST_SEQUENCE, Kind::Put)][random.below(3)];
                    let target = internal(&random_key(&mut random, 70), sequence, kind);
                    if choice == 2 {
                        (merged.seek(&target).unwrap(), list.seek(&target).unwrap())
                    } else {
                        (merged.seek_before(&target).unwrap(), list.seek_before(&target).unwrap())
                    }
                }
                _ if list.entry().is_none() => continue,
                5..9 => (merged.next().unwrap(), list.next().unwrap()),
                _ => (merged.prev().unwrap(), list.prev().unwrap()),
            };
            assert_eq!(merged.entry(), list.entry(), "seed {seed}, step {step}");
        }
    }
}

#[test]
fn a_level_opens_only_tables_it_needs() {
    let mut random = Random(1);
    let entries: Entries = (0..100u8).map(|at| put(&[at], 1, &[at])).collect();
    let level = ListLevel::new(entries, &mut random);
    let opened = Rc::clone(&level.opened);
    let mut cursor = LevelCursor::new(level);
    assert_eq!(opened.get(), 0);
    cursor.seek(&internal(&[50], 1, Kind::Put)).unwrap();
    cursor.seek(&internal(&[50], 1, Kind::Put)).unwrap();
    assert_eq!((opened.get(), cursor.entry().unwrap().1), (1, [50].as_slice()));
    cursor.seek(&internal(&[200], 1, Kind::Put)).unwrap();
    assert_eq!((opened.get(), cursor.entry()), (1, None));
}

fn random_edges(random: &mut Random) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut bound = || {
        let key = random_key(random, 70);
        match random.below(4) {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        }
    };
    (bound(), bound())
}

/// What the model says is seen.
fn seen(
    versions: &Versions,
    snapshot: Sequence,
    edges: &(Bound<Vec<u8>>, Bound<Vec<u8>>),
    skipped: impl Fn(&[u8], Sequence) -> bool,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let newest = |(key, versions): (&Vec<u8>, &History)| {
        let (sequence, value) = versions.iter().rfind(|(sequence, _)| *sequence <= snapshot)?;
        (!skipped(key, *sequence)).then(|| Some((key.clone(), value.clone()?)))?
    };
    let within = |(key, _): &(&Vec<u8>, _)| std::ops::RangeBounds::<Vec<u8>>::contains(edges, *key);
    versions.iter().filter(within).filter_map(newest).collect()
}

#[test]
fn a_snapshot_is_seen_alike_from_both_ends() {
    for seed in 0..6000 {
        let mut random = Random(seed);
        let (versions, entries) = random_writes(&mut random);
        let snapshot = random.below(entries.len() + 2) as Sequence;
        let edges = random_edges(&mut random);
        // A dropped range: everything from some key up to a sequence number.
        let (from, up_to) = (random_key(&mut random, 70), if random.one_in(2) { 0 } else { snapshot / 2 });
        let skipped = |key: &[u8], sequence| key >= from.as_slice() && sequence <= up_to;
        let all = seen(&versions, snapshot, &edges, skipped);
        let merged = MergeCursor::new(sources(&entries, &mut random));
        let mut cursor = SnapshotCursor::new(merged, snapshot, Edges::new(&edges), skipped);
        let (mut front, mut back) = (0, all.len());
        let bias = random.below(5);
        for step in 0..all.len() * 2 + 10 {
            if random.one_in(15) {
                let key = random_key(&mut random, 70);
                if random.one_in(2) {
                    cursor.seek(&key);
                    front = all.partition_point(|(its, _)| *its < key);
                } else {
                    cursor.seek_back(&key);
                    back = all.partition_point(|(its, _)| *its <= key);
                }
            }
            let from_front = random.below(5) < bias;
            let given = if from_front { cursor.next() } else { cursor.next_back() }.unwrap();
            let expected = (front < back).then(|| if from_front { &all[front] } else { &all[back - 1] });
            assert_eq!(
                given,
                expected.map(|(key, value)| (key.as_slice(), value.as_slice())),
                "seed {seed}, step {step}"
            );
            match from_front {
                _ if expected.is_none() => {}
                true => front += 1,
                false => back -= 1,
            }
        }
    }
}

/// Moves made by a whole scan from each end.
fn moves(entries: Entries, snapshot: Sequence) -> [usize; 2] {
    [true, false].map(|forward| {
        let list = ListCursor::new(entries.clone());
        let moves = Rc::clone(&list.moves);
        let mut cursor = SnapshotCursor::new(list, snapshot, Edges::new::<[u8]>(&..), |_, _| false);
        while if forward { cursor.next() } else { cursor.next_back() }.unwrap().is_some() {}
        moves.get()
    })
}

#[test]
fn many_versions_of_a_key_cost_a_seek_not_a_walk() {
    let versions = |key: &'static [u8]| (1..=10_000).map(move |sequence| put(key, sequence, b"value"));
    let entries: Entries = versions(b"a").chain(versions(b"b")).collect();
    for snapshot in [1, 5_000, 10_000] {
        for moves in moves(entries.clone(), snapshot) {
            assert!(moves < 150, "{moves} moves");
        }
    }
}

#[test]
fn many_tombstones_cost_a_step_each() {
    let entries: Entries =
        (0..20_000u64).map(|at| delete(&at.to_be_bytes(), at + 1)).chain([put(b"", 1, b"")]).collect();
    for moves in moves(entries, 30_000) {
        assert!(moves < 41_000, "{moves} moves");
    }
}

#[test]
fn a_range_of_any_kind_has_edges() {
    let keys = |edges: Edges| {
        let entries = [b"".as_slice(), b"a", b"ab", b"b", b"\xff", b"\xff\xff"].map(|key| put(key, 1, key)).to_vec();
        let mut cursor = SnapshotCursor::new(ListCursor::new(entries), 1, edges, |_, _| false);
        let mut keys = Vec::new();
        while let Some((key, _)) = cursor.next().unwrap() {
            keys.push(key.to_vec());
        }
        keys
    };
    assert_eq!(keys(Edges::new::<[u8]>(&..)).len(), 6);
    assert_eq!(keys(Edges::new(&("a".."b"))), [b"a".as_slice(), b"ab"]);
    assert_eq!(keys(Edges::new(&("a"..="b"))), [b"a".as_slice(), b"ab", b"b"]);
    assert_eq!(keys(Edges::new(&(b"b".to_vec()..))), [b"b".as_slice(), b"\xff", b"\xff\xff"]);
    assert_eq!(keys(Edges::new(&("b".."a"))), [b""; 0]);
    assert_eq!(keys(Edges::new::<str>(&(Bound::Excluded("a"), Bound::Excluded("a")))), [b""; 0]);
    assert_eq!(keys(Edges::prefix(b"a")), [b"a".as_slice(), b"ab"]);
    assert_eq!(keys(Edges::prefix(b"\xff")), [b"\xff".as_slice(), b"\xff\xff"]);
    assert_eq!(keys(Edges::prefix(b"")).len(), 6);
    assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
    assert_eq!(prefix_end(b"\xff"), None);
}

#[test]
fn no_sources_are_an_empty_range() {
    let mut merged = MergeCursor::new(Vec::<ListCursor>::new());
    merged.first().unwrap();
    assert_eq!(merged.entry(), None);
    let mut level = LevelCursor::new(ListLevel { tables: Vec::new(), opened: Rc::default() });
    level.last().unwrap();
    level.seek_before(&internal(b"a", 1, Kind::Put)).unwrap();
    assert_eq!(level.entry(), None);
    let mut cursor = SnapshotCursor::new(merged, 1, Edges::prefix(b"a"), |_, _| false);
    assert!(cursor.next().unwrap().is_none() && cursor.next_back().unwrap().is_none());
}

#[test]
fn an_error_is_given_once_and_ends_everything() {
    let entries: Entries = (0..50u8).map(|at| put(&[at], 1, &[at])).collect();
    for fail_at in 1..200 {
        for forward in [true, false] {
            let mut random = Random(fail_at as u64);
            let mut lists: Vec<Entries> = vec![Vec::new(); 3];
            for entry in &entries {
                lists[random.below(3)].push(entry.clone());
            }
            let mut lists: Vec<_> = lists.into_iter().map(ListCursor::new).collect();
            lists[1].fail_at = Some(fail_at);
            let mut cursor = SnapshotCursor::new(MergeCursor::new(lists), 1, Edges::new::<[u8]>(&..), |_, _| false);
            let mut shown = Vec::new();
            let mut failed = false;
            for turn in 0..70 {
                // Now and then from the other end, so that the merge fails while it turns, too.
                let from_front = forward != (turn % 7 == 6);
                match if from_front { cursor.next() } else { cursor.next_back() } {
                    Ok(Some((key, _))) => shown.push(key[0]),
                    Ok(None) => break,
                    Err(_) => {
                        failed = true;
                        cursor.seek(&[0]);
                        assert!(cursor.next().unwrap().is_none() && cursor.next_back().unwrap().is_none());
                        break;
                    }
                }
            }
            shown.sort_unstable();
            assert!(shown.windows(2).all(|pair| pair[0] < pair[1]), "an entry was given twice");
            assert!(failed || shown.len() == 50, "an entry was lost without an error");
        }
    }
}

#[test]
fn a_range_is_an_iterator_from_both_ends() {
    let memtable = std::sync::Arc::new(crate::memtable::Memtable::new());
    for at in 0..10u8 {
        memtable.insert(&[at], u64::from(at) + 1, Kind::Put, &[at, at]);
    }
    memtable.insert(&[3], 11, Kind::Delete, b"");
    let range = || Range::new(Box::new(memtable.cursor()), 11, Edges::new(&([1]..=[8])), Box::new(|_, _| false));
    let keys: Vec<u8> = range().map(|entry| entry.unwrap().0[0]).collect();
    assert_eq!(keys, [1, 2, 4, 5, 6, 7, 8]);
    let keys: Vec<u8> = range().rev().map(|entry| entry.unwrap().1[1]).collect();
    assert_eq!(keys, [8, 7, 6, 5, 4, 2, 1]);
    let mut range = range();
    range.seek([5]);
    range.seek_back([7, 0]);
    assert_eq!(range.next_entry().unwrap(), Some(([5].as_slice(), [5, 5].as_slice())));
    assert_eq!(range.next_back_entry().unwrap(), Some(([7].as_slice(), [7, 7].as_slice())));
    assert_eq!((range.count(), format!("{:?}", self::range_of_nothing())), (1, "Range { .. }".to_owned()));
}

fn range_of_nothing() -> Range {
    let memtable = std::sync::Arc::new(crate::memtable::Memtable::new());
    Range::new(Box::new(memtable.cursor()), 0, Edges::prefix(b""), Box::new(|_, _| false))
}

/// `cargo test --release -p kvorum-lsm -- --ignored --nocapture iter_speed`
#[test]
#[ignore = "measures"]
fn iter_speed() {
    let cpu_time = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("measured on Linux");
        stat.split(' ').next().and_then(|ran| ran.parse::<u64>().ok()).expect("the first number is the time on a CPU")
    };
    let (count, rounds): (Sequence, u64) = (4_000, 1000);
    for sources in [1, 4, 10] {
        let mut random = Random(1);
        let mut lists = vec![Entries::new(); sources];
        for sequence in 1..=count {
            let key = [random.below(usize::MAX).to_be_bytes(), sequence.to_be_bytes()].concat();
            let to = random.below(sources);
            lists[to].push(put(&key, sequence, &[7; 128]));
        }
        let lists: Vec<_> = lists.into_iter().map(ListCursor::new).collect();
        let mut cursor = SnapshotCursor::new(MergeCursor::new(lists), count, Edges::new::<[u8]>(&..), |_, _| false);
        for forward in [true, false] {
            let (start, mut seen) = (cpu_time(), 0);
            for _ in 0..rounds {
                cursor.seek(b"");
                cursor.seek_back(&[u8::MAX; 9]);
                while if forward { cursor.next() } else { cursor.next_back() }.unwrap().is_some() {
                    seen += 1;
                }
            }
            let each = (cpu_time() - start) as f64 / seen as f64;
            assert_eq!(seen, count * rounds);
            println!("{sources} sources, {}: {each:.0} ns an entry", if forward { "forward" } else { "backward" });
        }
    }
}
