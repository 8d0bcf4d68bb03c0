//! kvorum-lsm: its defaults, but for the memory and what follows from it.

use std::path::Path;

use anyhow::Result;
use kvorum_lsm::{Batch, Compression, Db, Options};

use super::{BLOCK_BYTES, BUFFERS, Durability, Engine, FILTER_BITS, L0_TABLES, Memory, WORKERS};

pub(super) struct Lsm(Db);

impl Lsm {
    pub(super) fn open(dir: &Path, memory: Memory) -> Result<Self> {
        let options = Options::default()
            .cache_bytes(memory.cache_bytes as usize)
            .memtable_bytes(memory.buffer_bytes as usize)
            .memtables(BUFFERS as usize)
            .target_file_bytes(memory.buffer_bytes)
            .level_base_bytes(memory.buffer_bytes * L0_TABLES)
            .l0_compact(L0_TABLES as usize)
            .filter_bits(FILTER_BITS)
            .block_bytes(BLOCK_BYTES as usize)
            .compression(Compression::Lz4)
            .bottom_compression(Compression::Lz4)
            .uncompressed_levels(2)
            .workers(WORKERS);
        Ok(Self(Db::open(dir, options)?))
    }
}

impl Engine for Lsm {
    fn put(&self, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key, value)?;
        let durability = match durability {
            Durability::Buffered => kvorum_lsm::Durability::Never,
            Durability::Synced => kvorum_lsm::Durability::Always,
        };
        self.0.write(batch, durability)?;
        Ok(())
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        found(self.0.get(key)?.as_deref());
        Ok(())
    }

    fn scan(&self, from: &[u8], rows: usize, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let mut range = self.0.range(from..);
        for _ in 0..rows {
            let Some((key, value)) = range.next_entry()? else { break };
            row(key, value);
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
