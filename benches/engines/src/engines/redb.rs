//! redb: one table, a transaction for each put and each read. It has no log: what is not synced is in the memory of the process only.

use std::path::Path;

use anyhow::Result;
use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};

use super::{Durability, Engine, Memory};
use crate::data::{Key, Value};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("data");

/// A transaction of so many puts where puts are not measured.
const LOAD: usize = 10_000;

pub(super) struct Redb(Database);

impl Redb {
    pub(super) fn open(dir: &Path, memory: Memory) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let database = Database::builder().set_cache_size(memory.cache_bytes as usize).create(dir.join("redb"))?;
        let redb = Self(database);
        // Readers want the table to be there.
        let begun = redb.begin(Durability::Synced)?;
        begun.open_table(TABLE)?;
        begun.commit()?;
        Ok(redb)
    }

    fn begin(&self, durability: Durability) -> Result<WriteTransaction> {
        let mut begun = self.0.begin_write()?;
        begun.set_durability(match durability {
            Durability::Buffered => redb::Durability::None,
            Durability::Synced => redb::Durability::Immediate,
        })?;
        Ok(begun)
    }
}

impl Engine for Redb {
    fn put(&self, key: &[u8], value: &[u8], durability: Durability) -> Result<()> {
        let begun = self.begin(durability)?;
        begun.open_table(TABLE)?.insert(key, value)?;
        Ok(begun.commit()?)
    }

    fn get(&self, key: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        found(table.get(key)?.as_ref().map(redb::AccessGuard::value));
        Ok(())
    }

    fn scan(&self, from: &[u8], rows: usize, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        for entry in table.range(from..)?.take(rows) {
            let (key, value) = entry?;
            row(key.value(), value.value());
        }
        Ok(())
    }

    fn load(&self, pairs: &mut dyn Iterator<Item = (Key, Value)>) -> Result<()> {
        let mut pairs = pairs.peekable();
        while pairs.peek().is_some() {
            let begun = self.begin(Durability::Buffered)?;
            {
                let mut table = begun.open_table(TABLE)?;
                for (key, value) in pairs.by_ref().take(LOAD) {
                    table.insert(key.as_slice(), value.as_slice())?;
                }
            }
            begun.commit()?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(self.begin(Durability::Synced)?.commit()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.flush()?;
        Ok(self.0.close()?)
    }
}
