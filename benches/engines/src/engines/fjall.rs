//! fjall: one keyspace, levelled compaction, the same sizes as the others.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use fjall::compaction::Leveled;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry, RestartIntervalPolicy,
};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{BLOCK_BYTES, Durability, Engine, FILTER_BITS, L0_TABLES, Memory, WORKERS};

pub(super) struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

impl Fjall {
    pub(super) fn open(dir: &Path, memory: Memory) -> Result<Self> {
        let database = Database::builder(dir).cache_size(memory.cache_bytes).worker_threads(WORKERS).open()?;
        let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(FILTER_BITS.into()));
        let levels = Leveled::default()
            .with_l0_threshold(L0_TABLES as u8)
            // The first level is this times the threshold.
            .with_table_target_size(memory.buffer_bytes);
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(memory.buffer_bytes)
                .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES as u32))
                .data_block_restart_interval_policy(RestartIntervalPolicy::all(16))
                // Its default leaves the first level uncompressed too, which is its last level while the data are few.
                .data_block_compression_policy(CompressionPolicy::new([CompressionType::None, CompressionType::Lz4]))
                .filter_policy(FilterPolicy::all(filter))
                .compaction_strategy(Arc::new(levels))
        };
        let keyspace = database.keyspace("data", options)?;
        Ok(Self { database, keyspace })
    }
}

impl Engine for Fjall {
    fn put(&self, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
        self.keyspace.insert(key, value)?;
        if durability == Durability::Synced {
            self.database.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        found(self.keyspace.get(key)?.as_deref());
        Ok(())
    }

    fn scan(&self, from: &[u8], rows: usize, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        for entry in self.keyspace.range(from..).take(rows) {
            let (key, value) = entry.into_inner()?;
            row(&key, &value);
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(self.keyspace.rotate_memtable_and_wait()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}
