//! Tables as a whole, against what a sorted map says, and damaged in every place.

mod damage;
mod filters;
mod memory;
mod model;
mod parts;
mod speed;

use std::path::Path;
use std::sync::Arc;

use super::{Block, Table, TableBuilder, TableMeta, TableOptions};
use crate::cache::{BlockCache, LruCache};
use crate::error::Result;
use crate::key::{self, Kind, Sequence};
use crate::options::Compression;
use memory::MemoryDisk;

/// Entries as they are added: internal key and value.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

const PATH: &str = "table";

/// What a table is written with, of all that changes its form.
#[derive(Clone, Copy, Debug)]
struct Form {
    options: TableOptions,
    partition_bytes: usize,
    number: u64,
}

/// Small blocks and partitions, so that few entries have many of them.
const SMALL: Form = Form {
    options: TableOptions { block_bytes: 256, restart_interval: 4, compression: Compression::None, filter_bits: 10 },
    partition_bytes: 64,
    number: 7,
};

fn compressions() -> Vec<Compression> {
    vec![
        Compression::None,
        Compression::Lz4,
        #[cfg(feature = "zstd")]
        Compression::Zstd,
    ]
}

fn write(disk: &MemoryDisk, entries: &Entries, form: Form) -> TableMeta {
    let builder = TableBuilder::new(disk, Path::new(PATH), form.number, form.options).unwrap();
    let mut builder = builder.with_partitions_of(form.partition_bytes);
    for (internal, value) in entries {
        builder.add(internal, value).unwrap();
    }
    builder.finish().unwrap()
}

/// A cache that pins any small table.
fn pinning_cache() -> Arc<dyn BlockCache> {
    Arc::new(LruCache::new(64 << 20))
}

/// A cache that holds nothing, and pins nothing.
fn no_cache() -> Arc<dyn BlockCache> {
    Arc::new(LruCache::new(0))
}

fn open(disk: &MemoryDisk, number: u64, cache: Arc<dyn BlockCache>) -> Result<Table> {
    Table::open(disk, Path::new(PATH), number, cache)
}

fn internal(user_key: &[u8], sequence: Sequence, kind: Kind) -> Vec<u8> {
    let mut internal = Vec::new();
    key::encode(user_key, sequence, kind, &mut internal);
    internal
}

/// A block of about so many bytes, for caches to hold.
pub(crate) fn some_block(bytes: usize) -> Arc<Block> {
    let mut builder = super::block::BlockBuilder::new(16);
    builder.add(b"key", 0, key::trailer(1, Kind::Put), &vec![0; bytes], false);
    builder.finish();
    Arc::new(Block::parse(builder.bytes().to_vec()).unwrap())
}

/// A table of numbers as keys, with values of 100 bytes.
pub(crate) fn some_table(entries: u64) -> (impl crate::disk::Disk, &'static str) {
    let disk = MemoryDisk::default();
    let entry = |number: u64| (internal(&number.to_be_bytes(), 1, Kind::Put), vec![0; 100]);
    let options = TableOptions { block_bytes: 4096, ..SMALL.options };
    write(&disk, &(0..entries).map(entry).collect(), Form { options, partition_bytes: 4096, number: 7 });
    (disk, PATH)
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Prints the seed of a test that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with seed {}", self.0);
        }
    }
}
