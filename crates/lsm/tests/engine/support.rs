//! What the tests share: a seeded source of chance, settings that make everything happen early, and ways to look at all of a database.

use std::collections::BTreeMap;
use std::path::Path;

use kvorum_lsm::disk::Disk;
use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Db, Options, Range, Result, Runner};

/// All keys with their values.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Chance from a seed (splitmix64).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of a few keys that share prefixes.
    pub fn key(&mut self, keys: u64) -> Vec<u8> {
        format!("key/{:04}", self.below(keys)).into_bytes()
    }

    pub fn value(&mut self, longest: u64) -> Vec<u8> {
        let len = self.below(longest + 1) as usize;
        let byte = self.next();
        (0..len).map(|at| (byte >> (at % 8)) as u8).collect()
    }
}

/// Small memtables, tables and levels: a few hundred writes go through all levels.
pub fn tiny() -> Options {
    Options::default()
        .memtable_bytes(16 << 10)
        .cache_bytes(64 << 10)
        .block_bytes(512)
        .restart_interval(4)
        .level_base_bytes(4 << 10)
        .level_multiplier(3)
        .target_file_bytes(6 << 10)
        .l0_compact(2)
        .l0_slow(4)
        .l0_stop(8)
}

pub fn open(disk: &(impl Disk + Clone), dir: &Path) -> Result<Db> {
    Db::open_on(disk.clone(), dir, tiny(), Runner::Manual)
}

pub fn collect(range: Range) -> Result<Model> {
    range.collect()
}

pub fn everything(db: &Db) -> Result<Model> {
    collect(db.range::<[u8]>(..))
}

/// A disk with all that programs see now, also what is not durable: as it is when a process ends and the machine goes on.
pub fn as_programs_see(disk: &SimDisk, dirs: &[&Path]) -> SimDisk {
    let image = SimDisk::new(1);
    for dir in dirs {
        let Ok(names) = disk.list(dir) else { continue };
        image.create_dir(dir).unwrap();
        for path in names.iter().map(|name| dir.join(name)) {
            let file = image.create(&path).unwrap();
            file.write_all_at(&[&disk.read(&path).unwrap()], 0).unwrap();
            file.sync().unwrap();
        }
        image.sync_dir(dir).unwrap();
    }
    image.sync_dir(Path::new("")).unwrap();
    image
}
