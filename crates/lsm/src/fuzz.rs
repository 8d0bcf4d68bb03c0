//! Every decoder of bytes from disk, for fuzzing: each function takes any bytes and must neither panic, nor loop, nor ask for much more memory
//! than they call for. What it decodes them to does not matter; it says whether they were taken, so that a test can tell that valid ones
//! are. Where a checksum stands before a decoder, `forge` puts it right, since no fuzzer would guess it. Only with the feature `fuzzing`;
//! no part of the interface.

use std::path::Path;
use std::sync::Arc;

use crate::batch::BatchView;
use crate::cache::LruCache;
use crate::cursor::Cursor;
use crate::disk::Disk;
use crate::disk::sim::SimDisk;
use crate::key::{self, Kind};
use crate::log;
use crate::table::{self, Reach, Table};
use crate::version::manifest::{self, Manifest};
use crate::version::{Edit, File, Home, Version};
use crate::{Db, Options, Runner, names};

mod forge;
mod samples;

pub use samples::samples;

/// A target: what it is called, and its function.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All targets.
pub const TARGETS: [Target; 15] = [
    ("batch", batch),
    ("log", log_segment),
    ("log_frames", log_frames),
    ("recovery", recovery),
    ("edit", edit),
    ("current", current),
    ("manifest", manifest_file),
    ("manifest_frames", manifest_frames),
    ("table", whole_table),
    ("footer", footer),
    ("directory", directory),
    ("properties", properties),
    ("index", index),
    ("filter", filter),
    ("block", block),
];

const NUMBER: u64 = 7;

fn disk_with(files: &[(&Path, &[u8])]) -> SimDisk {
    let disk = SimDisk::new(1);
    for (path, bytes) in files {
        let file = disk.create(path).expect("the simulated disk is empty");
        file.write_all_at(&[bytes], 0).expect("the simulated disk has room");
    }
    disk
}

/// The operations of a batch; the first byte says how many there should be.
pub fn batch(bytes: &[u8]) -> bool {
    let Some((count, ops)) = bytes.split_first() else { return false };
    let Ok(batch) = BatchView::decode(ops, u32::from(*count)) else { return false };
    let length: usize = batch.ops().map(|(_, key, value)| key.len() + value.len()).sum();
    assert!(length <= ops.len(), "what is decoded was there");
    assert_eq!(batch.ops().count(), usize::from(*count), "there are as many operations as it says");
    true
}

/// A segment of a log.
pub fn log_segment(bytes: &[u8]) -> bool {
    let path = names::log(Path::new(""), NUMBER);
    let disk = disk_with(&[(&path, bytes)]);
    let mut length = 0;
    let mut recover = |synced| {
        let each = |_, batch: BatchView<'_>| {
            length += batch.bytes().len();
            Ok(())
        };
        log::recover(&disk, &path, NUMBER, synced, each).is_ok()
    };
    let (taken, _) = (recover(0), recover(5));
    assert!(length <= 2 * bytes.len(), "what is recovered was there");
    let begins = log::beginning(&disk, &path, NUMBER);
    if let (Ok(traces), Ok(Some(begins))) = (log::traces(&disk, &path, NUMBER), begins) {
        assert_eq!(traces.bytes > 0, begins.is_used, "there are frames or not");
        assert!(traces.bytes <= bytes.len() as u64, "they are in the file");
    }
    taken
}

/// Frames of a log with valid checksums.
pub fn log_frames(bytes: &[u8]) -> bool {
    log_segment(&forge::log(NUMBER, bytes))
}

/// A database of which only two logs are arbitrary, but for their checksums.
pub fn recovery(bytes: &[u8]) -> bool {
    let (dir, numbers) = (Path::new("db"), [NUMBER, NUMBER + 2]);
    let disk = SimDisk::new(1);
    let edit = Edit { next_file: NUMBER + 3, log_number: NUMBER, ..Edit::default() };
    disk.create_dir(dir).expect("the simulated disk is empty");
    Manifest::create(&disk, dir, NUMBER + 1, &edit, 0).expect("the simulated disk has room");
    for (number, log) in numbers.into_iter().zip(forge::logs(numbers, bytes)) {
        let file = disk.create(&names::log(dir, number)).expect("there is no such log yet");
        file.write_all_at(&[&log], 0).expect("the simulated disk has room");
    }
    let options = Options::default().memtable_bytes(4 << 10).cache_bytes(0);
    let entries = |db: &Db| db.range::<[u8]>(..).map(|entry| entry.expect("what was recovered can be read")).collect();
    let open = || Db::open_on(disk.clone(), dir, options.clone(), Runner::Manual);
    let Ok(db) = open() else { return false };
    let before: Vec<_> = entries(&db);
    db.flush().expect("what was recovered can be flushed");
    drop(db);
    let db = open().expect("what was recovered once can be opened again");
    assert!(before == entries(&db), "it has the same when it is opened again");
    true
}

/// An edit of a manifest.
pub fn edit(bytes: &[u8]) -> bool {
    let Some(edit) = Edit::decode(bytes) else { return false };
    assert_eq!(edit.encode(), bytes, "an edit has one encoding");
    true
}

/// What `CURRENT` says.
pub fn current(bytes: &[u8]) -> bool {
    let dir = Path::new("");
    let manifest = samples::manifest();
    let disk = disk_with(&[(&names::current(dir), bytes), (&names::manifest(dir, NUMBER), &manifest)]);
    manifest::read(&disk, dir).is_ok()
}

/// A manifest.
pub fn manifest_file(bytes: &[u8]) -> bool {
    let dir = Path::new("");
    let disk = disk_with(&[(&names::current(dir), &samples::current()), (&names::manifest(dir, NUMBER), bytes)]);
    let Ok(Some(edits)) = manifest::read(&disk, dir) else { return false };
    let home = Home::new(Arc::new(disk), dir, Arc::new(LruCache::new(0)));
    let mut version = Version::empty();
    for (_, edit) in &edits.edits {
        let Ok(next) = version.apply(edit, |meta| File::new(meta.clone(), &home)) else { return false };
        version = next;
    }
    true
}

/// Edits in a manifest, with valid checksums.
pub fn manifest_frames(bytes: &[u8]) -> bool {
    manifest_file(&forge::manifest(NUMBER, bytes))
}

/// The file of a table; the first byte says whether to hold it in memory.
pub fn whole_table(bytes: &[u8]) -> bool {
    let Some((held, bytes)) = bytes.split_first() else { return false };
    let path = names::table(Path::new(""), NUMBER);
    let disk = disk_with(&[(&path, bytes)]);
    let cache = Arc::new(LruCache::new(if held % 2 == 0 { 0 } else { 1 << 20 }));
    let Ok(table) = Table::open(&disk, &path, NUMBER, cache) else { return false };
    let (mut cursor, mut keys, mut steps) = (table.cursor(), Vec::new(), 0);
    let mut placed = cursor.first();
    while let (Ok(()), Some((internal, _))) = (&placed, cursor.entry()) {
        if keys.len() < 16 {
            keys.push(internal.to_vec());
        }
        steps += 1;
        assert!(steps <= bytes.len(), "a table has fewer entries than bytes");
        placed = cursor.next();
    }
    let taken = placed.is_ok() && steps > 0;
    let (mut cursor, mut steps) = (table.bulk_cursor(), 0);
    let mut placed = cursor.last();
    while let (Ok(()), Some(_)) = (&placed, cursor.entry()) {
        steps += 1;
        assert!(steps <= bytes.len(), "a table has fewer entries than bytes");
        placed = cursor.prev();
    }
    let mut made_up = bytes[..bytes.len().min(20)].to_vec();
    made_up.extend(key::trailer(5, Kind::Put).to_le_bytes());
    keys.push(made_up);
    for internal in keys {
        let (user_key, trailer) = key::split(&internal);
        let _ = table.search(user_key, table::hash(user_key), trailer >> 8).finish(Reach::Disk);
        let _ = cursor.seek(&internal);
        let _ = cursor.seek_before(&internal);
    }
    let _ = table.verify();
    taken
}

/// The last bytes of a table, with a valid checksum.
pub fn footer(bytes: &[u8]) -> bool {
    whole_table(&forge::footer(NUMBER, bytes))
}

/// A part of a table of which all the rest is valid.
fn part(place: impl FnOnce(&mut forge::Parts)) -> bool {
    let mut parts = forge::Parts::small();
    place(&mut parts);
    let mut bytes = vec![0];
    bytes.extend(parts.table(NUMBER));
    let taken = whole_table(&bytes);
    bytes[0] = 1;
    taken & whole_table(&bytes)
}

/// The directory of a table.
pub fn directory(bytes: &[u8]) -> bool {
    part(|parts| parts.directory = Some(bytes.to_vec()))
}

/// The properties of a table.
pub fn properties(bytes: &[u8]) -> bool {
    part(|parts| parts.properties = bytes.to_vec())
}

/// The index of a partition of a table.
pub fn index(bytes: &[u8]) -> bool {
    part(|parts| parts.index = Some(bytes.to_vec()))
}

/// The filter of a partition of a table.
pub fn filter(bytes: &[u8]) -> bool {
    part(|parts| parts.filter = bytes.to_vec())
}

/// A block of a table. The first byte says how it is compressed, the next two how long it is without that.
pub fn block(bytes: &[u8]) -> bool {
    let Some((&[codec, low, high], stored)) = bytes.split_first_chunk() else { return false };
    let length = if codec == 0 { stored.len() as u32 } else { u32::from(u16::from_le_bytes([low, high])) };
    part(|parts| parts.block = (stored.to_vec(), length, codec))
}
