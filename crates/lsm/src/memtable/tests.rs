use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::cursor::Cursor;
use crate::key::{LAST_SEQUENCE, encode, trailer};

/// Under miri everything is some hundred times slower.
const SCALE: u64 = if cfg!(miri) { 100 } else { 1 };

/// splitmix64 (Steele, Lea, Flood 2014).
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn internal(key: &[u8], sequence: Sequence, kind: Kind) -> Vec<u8> {
    let mut internal = Vec::new();
    encode(key, sequence, kind, &mut internal);
    internal
}

/// Keys that are hard to tell apart: long shared beginnings, zeros, prefixes of each other, very short ones; or easy ones.
fn key(style: u64, random: &mut u64) -> Vec<u8> {
    let draw = mix(random);
    match style {
        0 => draw.to_be_bytes().to_vec(),
        1 => [b"keyspace/partition/".as_slice(), &(draw % 500).to_be_bytes()].concat(),
        2 => vec![0; draw as usize % 40 + 1],
        3 => (0..draw % 12 + 1).map(|at| (draw >> (at * 5)) as u8 & 1).collect(),
        _ => vec![b'k', (draw % 3) as u8],
    }
}

type Model = BTreeMap<(Vec<u8>, std::cmp::Reverse<u64>), Vec<u8>>;

fn check_cursor(memtable: &Arc<Memtable>, model: &Model, random: &mut u64, style: u64, seed: u64) {
    let flat: Vec<_> = model
        .iter()
        .map(|((key, trailer), value)| ([key.as_slice(), &trailer.0.to_le_bytes()].concat(), value.as_slice()))
        .collect();
    let mut cursor = memtable.cursor();
    let mut at: Option<usize>;
    for round in 0..60 / SCALE.min(20) {
        match mix(random) % 4 {
            0 => {
                cursor.first().unwrap();
                at = (!flat.is_empty()).then_some(0);
            }
            1 => {
                cursor.last().unwrap();
                at = flat.len().checked_sub(1);
            }
            choice => {
                let (key, draw) = (key(style, random), mix(random));
                let trailer = match draw % 3 {
                    0 => 0,
                    1 => u64::MAX,
                    _ => trailer(draw >> 8 & 0xfff, Kind::Put),
                };
                let target = [key.as_slice(), &trailer.to_le_bytes()].concat();
                let from = flat.partition_point(|(its, _)| key::compare(its, &target).is_lt());
                if choice == 2 {
                    cursor.seek(&target).unwrap();
                    at = (from < flat.len()).then_some(from);
                } else {
                    cursor.seek_before(&target).unwrap();
                    at = from.checked_sub(1);
                }
            }
        }
        for _ in 0..mix(random) % 40 {
            let expected = at.map(|at| (flat[at].0.as_slice(), flat[at].1));
            assert!(cursor.entry() == expected, "seed {seed}, round {round}");
            let Some(here) = at else { break };
            if round % 2 == 0 && !mix(random).is_multiple_of(4) {
                cursor.next().unwrap();
                at = (here + 1 < flat.len()).then_some(here + 1);
            } else {
                cursor.prev().unwrap();
                at = here.checked_sub(1);
            }
        }
    }
}

#[test]
fn it_agrees_with_an_ordered_map() {
    for seed in 0..400 / SCALE {
        let style = seed % 5;
        let mut random = seed;
        let memtable = Arc::new(Memtable::new());
        let mut model = Model::new();
        let count = [0, 1, 14, 15, 200, 3000][mix(&mut random) as usize % if cfg!(miri) { 5 } else { 6 }];
        for sequence in 1..=count {
            let (key, draw) = (key(style, &mut random), mix(&mut random));
            let kind = if draw.is_multiple_of(4) { Kind::Delete } else { Kind::Put };
            let value = vec![draw as u8; if kind == Kind::Put { draw as usize >> 8 & 63 } else { 0 }];
            memtable.insert(&key, sequence, kind, &value);
            model.insert((key, std::cmp::Reverse(trailer(sequence, kind))), value);
        }
        assert_eq!(memtable.len() as u64, count);
        assert_eq!(memtable.smallest_sequence(), (count > 0).then_some(1));
        assert_eq!(memtable.largest_sequence(), (count > 0).then_some(count));
        for _ in 0..200 / SCALE {
            let (key, at) = (key(style, &mut random), mix(&mut random) % (count + 2));
            let newest = (key.clone(), std::cmp::Reverse(trailer(at, Kind::Put)));
            let expected = model.range(newest..).next().filter(|((its, _), _)| *its == key);
            let expected = expected.map(|((_, trailer), value)| (trailer.0 >> 8, trailer.0 as u8, value.as_slice()));
            let found = memtable.get(&key, at).map(|(sequence, kind, value)| (sequence, kind as u8, value));
            assert_eq!(found, expected, "seed {seed}");
        }
        check_cursor(&memtable, &model, &mut random, style, seed);
    }
}

#[test]
fn sorted_runs_go_in_as_single_entries_do() {
    for seed in 0..100 / SCALE {
        let style = seed % 5;
        let mut random = seed;
        let memtable = Arc::new(Memtable::new());
        let mut model = Model::new();
        let mut sequence = 0;
        for _ in 0..mix(&mut random) % 40 {
            let mut run = Model::new();
            for _ in 0..=mix(&mut random) % 60 {
                sequence += 1;
                let put = std::cmp::Reverse(trailer(sequence, Kind::Put));
                run.insert((key(style, &mut random), put), vec![sequence as u8]);
            }
            let mut writer = memtable.writer();
            for (at, ((key, trailer), value)) in run.iter().enumerate() {
                match at {
                    0 => writer.insert(key, trailer.0 >> 8, Kind::Put, value),
                    _ => writer.insert_behind(key, trailer.0 >> 8, Kind::Put, value),
                }
            }
            model.extend(run);
        }
        assert_eq!(memtable.len() as u64, sequence);
        check_cursor(&memtable, &model, &mut random, style, seed);
    }
}

#[test]
fn ascending_and_descending_loads_come_out_in_order() {
    for descending in [false, true] {
        let memtable = Arc::new(Memtable::new());
        let count = 20_000 / SCALE;
        for at in 0..count {
            let key = if descending { count - 1 - at } else { at };
            memtable.insert(&key.to_be_bytes(), at + 1, Kind::Put, &at.to_le_bytes());
        }
        let mut cursor = memtable.cursor();
        cursor.first().unwrap();
        for key in 0..count {
            assert_eq!(key::split(cursor.entry().unwrap().0).0, key.to_be_bytes());
            cursor.next().unwrap();
        }
        assert!(cursor.entry().is_none());
    }
}

#[test]
fn an_ascending_load_fills_its_nodes() {
    let (ascending, random) = (Memtable::new(), Memtable::new());
    let mut state = 1;
    for at in 0..100_000 / SCALE {
        ascending.insert(&at.to_be_bytes(), at + 1, Kind::Put, b"");
        random.insert(&mix(&mut state).to_be_bytes(), at + 1, Kind::Put, b"");
    }
    if !cfg!(miri) {
        assert!(ascending.bytes() < random.bytes() * 9 / 10, "{} and {}", ascending.bytes(), random.bytes());
    }
}

#[test]
fn a_small_memtable_takes_little_memory_and_a_large_value_no_more_than_itself() {
    let memtable = Memtable::new();
    assert!(memtable.is_empty() && memtable.bytes() < 8 << 10);
    memtable.insert(b"large", 1, Kind::Put, &vec![1; 10 << 20]);
    memtable.insert(b"small", 2, Kind::Put, b"1");
    assert!((10 << 20..(10 << 20) + (16 << 10)).contains(&memtable.bytes()), "{}", memtable.bytes());
    assert_eq!(memtable.get(b"large", LAST_SEQUENCE).unwrap().2.len(), 10 << 20);
}

#[test]
fn limits_of_keys_are_no_limits_here() {
    let memtable = Arc::new(Memtable::new());
    let (long, longer) = (vec![7; 64 << 10], vec![7; (64 << 10) + 1]);
    for (sequence, key) in [long.as_slice(), &longer, b"", &[0], &[0, 0], &[255; 8], &[255; 9]].iter().enumerate() {
        memtable.insert(key, sequence as u64 + 1, Kind::Put, &[sequence as u8]);
    }
    for (sequence, key) in [long.as_slice(), &longer, b"", &[0], &[0, 0], &[255; 8], &[255; 9]].iter().enumerate() {
        assert_eq!(memtable.get(key, LAST_SEQUENCE).unwrap().2, [sequence as u8]);
    }
    let mut cursor = memtable.cursor();
    cursor.seek(&internal(&[255; 9], 1, Kind::Delete)).unwrap();
    assert!(cursor.entry().is_none());
}

#[test]
#[should_panic(expected = "one writer at a time")]
fn a_second_writer_is_a_bug() {
    let memtable = Memtable::new();
    let _first = memtable.writer();
    memtable.insert(b"key", 1, Kind::Put, b"value");
}

/// Whatever was inserted before a reader looks is there, whole and in order, while the writer splits nodes under it.
#[test]
fn readers_see_all_that_was_published_while_the_writer_writes() {
    let total = 200_000 / (SCALE * 4).max(1);
    for ascending in [false, true] {
        let memtable = Arc::new(Memtable::new());
        let published = Arc::new(AtomicU64::new(0));
        let key_of = move |at: u64| {
            let mut state = at;
            [b"shared prefix".as_slice(), &if ascending { at } else { mix(&mut state) }.to_be_bytes()].concat()
        };
        let readers: Vec<_> = (0..3u64)
            .map(|reader| {
                let (memtable, published) = (Arc::clone(&memtable), Arc::clone(&published));
                std::thread::spawn(move || {
                    let mut random = reader;
                    loop {
                        let visible = published.load(Ordering::Acquire);
                        for _ in 0..if visible == 0 { 0 } else { 50 / SCALE.min(10) } {
                            let at = mix(&mut random) % visible + 1;
                            let (sequence, _, value) = memtable.get(&key_of(at), visible).expect("published");
                            assert_eq!((sequence, value), (at, key_of(at).as_slice()));
                            assert!(memtable.get(&key_of(total + at), visible).is_none());
                        }
                        scan(&memtable, &key_of, visible, &mut random);
                        if visible == total {
                            return;
                        }
                    }
                })
            })
            .collect();
        for at in 1..=total {
            memtable.insert(&key_of(at), at, Kind::Put, &key_of(at));
            published.store(at, Ordering::Release);
        }
        for reader in readers {
            reader.join().unwrap();
        }
    }
}

/// Many small trees, so that readers often pass a node while it splits. Without the second look at the order in `Tree::leaf`, or with the
/// left part put in place before the right one is in, this fails.
#[test]
fn a_read_finds_what_was_published_while_nodes_split() {
    for round in 0..300 / SCALE {
        let memtable = Arc::new(Memtable::new());
        let published = Arc::new(AtomicU64::new(0));
        let total = 3000 / SCALE.min(20);
        let key_of = move |at: u64| {
            let mut state = at ^ round << 32;
            mix(&mut state).to_be_bytes()
        };
        let readers: Vec<_> = (0..2u64)
            .map(|mut random| {
                let (memtable, published) = (Arc::clone(&memtable), Arc::clone(&published));
                std::thread::spawn(move || {
                    loop {
                        let visible = published.load(Ordering::Acquire);
                        if visible > 0 {
                            let at = mix(&mut random) % visible + 1;
                            assert!(memtable.get(&key_of(at), visible).is_some(), "{at} of {visible} was missed");
                        }
                        if visible == total {
                            return;
                        }
                    }
                })
            })
            .collect();
        for at in 1..=total {
            memtable.insert(&key_of(at), at, Kind::Put, b"");
            published.store(at, Ordering::Release);
        }
        for reader in readers {
            reader.join().unwrap();
        }
    }
}

/// Walks some way in one direction: keys in order, values whole, and none published missing.
fn scan(memtable: &Arc<Memtable>, key_of: &impl Fn(u64) -> Vec<u8>, visible: u64, random: &mut u64) {
    let mut cursor = memtable.cursor();
    let forward = mix(random).is_multiple_of(2);
    let start = key_of(mix(random) % (visible + 1));
    if forward {
        cursor.seek(&internal(&start, LAST_SEQUENCE, Kind::Put)).unwrap();
    } else {
        cursor.seek_before(&internal(&start, 0, Kind::Delete)).unwrap();
    }
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let steps = if visible < 500 { visible * 2 } else { 200 / SCALE.min(10) };
    while let Some((internal, value)) = cursor.entry()
        && (seen.len() as u64) < steps
    {
        let (key, _) = key::split(internal);
        assert_eq!(key, value);
        assert!(seen.last().is_none_or(|last| if forward { last.as_slice() < key } else { last.as_slice() > key }));
        seen.push(key.to_vec());
        if forward { cursor.next() } else { cursor.prev() }.unwrap();
    }
    if visible < 500 && (seen.len() as u64) < steps {
        let expected = |at: &u64| if forward { key_of(*at) >= start } else { key_of(*at) <= start };
        for at in (1..=visible).filter(expected) {
            assert!(seen.contains(&key_of(at)), "{at} of {visible} was missed");
        }
    }
}

/// Nanoseconds this thread has run, so that what else the machine does matters less.
fn cpu_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("measured on Linux");
    stat.split(' ').next().and_then(|ran| ran.parse().ok()).expect("the first number is the time on a CPU")
}

/// `cargo test --release -p kvorum-lsm -- --ignored --nocapture memtable_speed`
#[test]
#[ignore = "measures"]
fn memtable_speed() {
    let value = [7; 128];
    let key_of = |at: u64| {
        let (mut first, mut second) = (at, !at);
        [mix(&mut first).to_be_bytes(), mix(&mut second).to_be_bytes()].concat()
    };
    let memtable = Arc::new(Memtable::new());
    let start = cpu_time();
    let mut count = 0;
    while memtable.bytes() < 64 << 20 {
        count += 1;
        memtable.insert(&key_of(count), count, Kind::Put, &value);
    }
    let inserted = cpu_time() - start;
    let mut random = 1;
    let start = cpu_time();
    for _ in 0..count {
        let at = mix(&mut random) % count + 1;
        assert_eq!(memtable.get(&key_of(at), LAST_SEQUENCE).unwrap().0, at);
    }
    let got = cpu_time() - start;
    let start = cpu_time();
    let mut cursor = memtable.cursor();
    cursor.first().unwrap();
    let mut sum = 0;
    while let Some((_, value)) = cursor.entry() {
        sum += u64::from(value[0]);
        cursor.next().unwrap();
    }
    let scanned = cpu_time() - start;
    assert_eq!(sum, count * 7);
    let each = |time: u64| time as f64 / count as f64;
    println!("{count} entries, {:.1} bytes each", memtable.bytes() as f64 / count as f64);
    println!("insert {:.0} ns, get {:.0} ns, next {:.1} ns", each(inserted), each(got), each(scanned));
}
