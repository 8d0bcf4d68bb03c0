//! sled: its defaults, but for the cache, and that it does not sync by itself.

use std::path::Path;

use anyhow::Result;

use super::{Durability, Engine, Memory};

pub(super) struct Sled(sled::Db);

impl Sled {
    pub(super) fn open(dir: &Path, memory: Memory) -> Result<Self> {
        let config = sled::Config::new().path(dir).cache_capacity(memory.cache_bytes).flush_every_ms(None);
        Ok(Self(config.open()?))
    }
}

impl Engine for Sled {
    fn put(&self, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
        self.0.insert(key, value)?;
        if durability == Durability::Synced {
            self.0.flush()?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        found(self.0.get(key)?.as_deref());
        Ok(())
    }

    fn scan(&self, from: &[u8], rows: usize, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        for entry in self.0.range(from..).take(rows) {
            let (key, value) = entry?;
            row(&key, &value);
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.0.flush()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.flush()
    }
}
