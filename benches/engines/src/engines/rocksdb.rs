//! RocksDB: levelled compaction with dynamic level sizes, the same sizes as the others, filters and indexes inside of the cache.

use std::path::Path;

use anyhow::Result;
use rocksdb::{
    BlockBasedOptions, BlockBasedTablePinningTier, Cache, DB, DBCompactionStyle, DBCompressionType, Options,
    ReadOptions, WriteOptions,
};

use super::{BLOCK_BYTES, BUFFERS, Durability, Engine, FILTER_BITS, L0_TABLES, Memory, WORKERS};

/// As RocksDB's default.
const LEVELS: usize = 7;

pub(super) struct Rocks {
    db: DB,
    // Made once, since each is memory that C++ allocates.
    read: ReadOptions,
    buffered: WriteOptions,
    synced: WriteOptions,
}

impl Rocks {
    pub(super) fn open(dir: &Path, memory: Memory) -> Result<Self> {
        let (buffered, mut synced) = (WriteOptions::default(), WriteOptions::default());
        synced.set_sync(true);
        Ok(Self { db: DB::open(&options(memory), dir)?, read: ReadOptions::default(), buffered, synced })
    }
}

fn options(memory: Memory) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(memory.buffer_bytes as usize);
    options.set_max_write_buffer_number(BUFFERS as i32);
    options.set_max_background_jobs(WORKERS as i32);
    options.set_compaction_style(DBCompactionStyle::Level);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_level_zero_file_num_compaction_trigger(L0_TABLES as i32);
    options.set_max_bytes_for_level_base(memory.buffer_bytes * L0_TABLES);
    options.set_target_file_size_base(memory.buffer_bytes);
    // Counted from the base level on. The last level is compressed even if it is the base level.
    let mut compression = [DBCompressionType::Lz4; LEVELS];
    compression[..2].fill(DBCompressionType::None);
    options.set_compression_per_level(&compression);
    options.set_bottommost_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&tables(memory));
    options
}

fn tables(memory: Memory) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&Cache::new_hyper_clock_cache(memory.cache_bytes as usize, 0));
    tables.set_block_size(BLOCK_BYTES as usize);
    tables.set_bloom_filter(FILTER_BITS.into(), false);
    // Else they are beside the cache, without a limit. Pinned, they cost no search in the cache.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_unpartitioned_pinning_tier(BlockBasedTablePinningTier::All);
    tables.set_format_version(6);
    tables
}

impl Engine for Rocks {
    fn put(&self, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
        let options = match durability {
            Durability::Buffered => &self.buffered,
            Durability::Synced => &self.synced,
        };
        Ok(self.db.put_opt(key, value, options)?)
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        found(self.db.get_pinned_opt(key, &self.read)?.as_deref());
        Ok(())
    }

    fn scan(&self, from: &[u8], rows: usize, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let mut iterator = self.db.raw_iterator();
        iterator.seek(from);
        for _ in 0..rows {
            let Some((key, value)) = iterator.item() else { break };
            row(key, value);
            iterator.next();
        }
        Ok(iterator.status()?)
    }

    fn flush(&self) -> Result<()> {
        Ok(self.db.flush()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}
