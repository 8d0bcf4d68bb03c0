//! Valid bytes for each target, for fuzzers to begin with.

use std::path::Path;

use super::{NUMBER, forge};
use crate::batch::Batch;
use crate::disk::sim::SimDisk;
use crate::key::{self, Kind};
use crate::log::{Segment, Writer};
use crate::names;
use crate::options::Compression;
use crate::table::{TableBuilder, TableOptions};
use crate::version::manifest::Manifest;
use crate::version::{Dropped, Edit, FileMeta};

const WORKS: &str = "the simulated disk has room";

/// Some valid bytes for each target, by its name.
#[must_use]
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut samples = vec![
        ("batch", [&[3], batch(3).view().bytes()].concat()),
        ("log", log()),
        ("current", current()),
        ("manifest", manifest()),
    ];
    samples.push(("log_frames", log_frames(0)));
    // The second goes on behind the first, or begins behind a gap; that this was durable it does not say.
    samples.extend([3, 5].map(|first| {
        let one = log_frames(0);
        ("recovery", [&[one.len() as u8], &one[..], &log_frames(first)].concat())
    }));
    samples.extend([0, 1, 5].map(|number| ("edit", edit(number).encode())));
    let edits = [edit(1).encode(), edit(2).encode()];
    let framed = edits.iter().flat_map(|edit| [&(edit.len() as u16).to_le_bytes(), &edit[..]].concat());
    samples.push(("manifest_frames", framed.collect()));
    let forms = [(Compression::None, 400, 0), (Compression::None, 40, 10), (Compression::Lz4, 120, 10)];
    for (compression, entries, filter_bits) in forms {
        for held in 0..2 {
            samples.push(("table", [&[held], &table(compression, entries, filter_bits, 512)[..]].concat()));
        }
        samples.push(("block", block(&table(compression, entries, filter_bits, 1 << 20))));
    }
    let parts = forge::Parts::small();
    let file = parts.table(NUMBER);
    let (sections, footer) = file.split_at(file.len() - 48);
    samples.push(("footer", [&[0], sections, &footer[..32]].concat()));
    samples.extend([("directory", parts.directory()), ("index", parts.index())]);
    samples.extend([("properties", parts.properties), ("filter", parts.filter)]);
    samples
}

fn batch(count: u8) -> Batch {
    let mut batch = Batch::new();
    for number in 0..count {
        let put = if number % 3 == 1 { batch.delete(&[b'k', number]) } else { batch.put(&[number], &[b'v'; 20]) };
        put.expect("keys and values are short");
    }
    batch
}

fn log() -> Vec<u8> {
    let (disk, path) = (SimDisk::new(1), names::log(Path::new(""), NUMBER));
    let segment = Segment { path: &path, number: NUMBER, recycle: None, room: 64 };
    let mut writer = Writer::create(&disk, segment, 1).expect(WORKS);
    for count in 1..6 {
        let last = writer.last_sequence();
        writer.append(last + 1, [&batch(count)]).expect(WORKS);
        if count % 2 == 0 {
            writer.sync().expect(WORKS);
        }
    }
    writer.seal().expect(WORKS);
    disk.read(&path).expect(WORKS)
}

/// Frames of a delete, of nothing, and of two puts, behind so many operations.
fn log_frames(behind: u8) -> Vec<u8> {
    let (first, second) = (behind + 1, behind + 2);
    let puts = [&[1, 1, 1][..], b"ab", &[1, 1, 2], b"bcd"].concat();
    let frames = [&[first, 0, 1, 3, 0, 1, b'k'][..], &[second, 1, 0, 0], &[second, 1, 2, puts.len() as u8], &puts];
    [&[behind, 0][..], &frames.concat()].concat()
}

fn edit(number: u64) -> Edit {
    let meta = |number: u64| {
        let mut keys = [Vec::new(), Vec::new()];
        for (at, internal) in keys.iter_mut().enumerate() {
            key::encode(&[b'a' + 2 * number as u8 + at as u8], number, Kind::Put, internal);
        }
        let [smallest, largest] = keys.map(Vec::into_boxed_slice);
        let (size, entries, tombstones, cleaned) = (100, 2, 0, 0);
        FileMeta { number, size, entries, tombstones, oldest: 0, newest: number, cleaned, smallest, largest }
    };
    let dropped = Dropped { id: number, start: Box::from(*b"a"), end: Some(Box::from(*b"c")), upto: number };
    Edit {
        next_file: number + 1,
        log_number: number,
        flushed: number,
        removed: if number == 2 { vec![(1, 1)] } else { Vec::new() },
        added: vec![(1, meta(number))],
        dropped: (number == 5).then(|| vec![Dropped { end: None, ..dropped.clone() }, dropped]),
    }
}

pub(super) fn current() -> Vec<u8> {
    let name = names::manifest_name(NUMBER);
    format!("{name} {:08x}\n", crc32fast::hash(name.as_bytes())).into_bytes()
}

pub(super) fn manifest() -> Vec<u8> {
    let (disk, dir) = (SimDisk::new(1), Path::new(""));
    let mut manifest = Manifest::create(&disk, dir, NUMBER, &edit(1), 0).expect(WORKS);
    manifest.append(&edit(2)).expect(WORKS);
    disk.read(&names::manifest(dir, NUMBER)).expect(WORKS)
}

/// A table of some entries, some of them of the same key.
fn table(compression: Compression, entries: u64, filter_bits: u8, block_bytes: usize) -> Vec<u8> {
    let (disk, path) = (SimDisk::new(1), names::table(Path::new(""), NUMBER));
    let options = TableOptions { block_bytes, restart_interval: 4, compression, filter_bits };
    let mut builder = TableBuilder::new(&disk, &path, NUMBER, options).expect(WORKS);
    for number in 0..entries {
        let (user_key, kind) =
            (format!("key{:04}", number / 3), if number % 7 == 2 { Kind::Delete } else { Kind::Put });
        let mut internal = Vec::new();
        key::encode(user_key.as_bytes(), 1000 - number, kind, &mut internal);
        let value = if kind == Kind::Put { vec![b'v'; number as usize % 10] } else { Vec::new() };
        builder.add(&internal, &value).expect(WORKS);
    }
    builder.finish().expect(WORKS);
    disk.read(&path).expect(WORKS)
}

/// The first and only block of a table.
fn block(table: &[u8]) -> Vec<u8> {
    let footer = &table[table.len() - 48..];
    let data_end = u64::from_le_bytes(footer[..8].try_into().expect("eight bytes are eight bytes")) as usize;
    let (stored, trailer) = table[..data_end].split_at(data_end - 9);
    [&[trailer[4], trailer[0], trailer[1]], stored].concat()
}
