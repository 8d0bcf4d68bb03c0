//! Owns what is asked of a storage engine here, and which engines there are. How each is set up has a file of its own; what they are given in
//! common is [`Memory`].

mod fjall;
mod lsm;
mod redb;
mod rocksdb;
mod sled;

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// There is one memtable that takes writes, and two that may be on their way to a table.
pub(crate) const BUFFERS: u64 = 3;
/// So many new tables are merged into the first level, and that is as large as they are together.
pub(crate) const L0_TABLES: u64 = 4;
/// Bits of a Bloom filter for each key.
pub(crate) const FILTER_BITS: u8 = 10;
/// Uncompressed bytes of a block of a table.
pub(crate) const BLOCK_BYTES: u64 = 4 << 10;
/// Threads that flush and compact.
pub(crate) const WORKERS: usize = 2;

/// What every engine may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// For what was read from disk.
    pub(crate) cache_bytes: u64,
    /// For each of [`BUFFERS`] memtables, in engines that have them.
    pub(crate) buffer_bytes: u64,
}

/// When a put counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The operating system has it: it outlives the process, not the machine. Some engines promise less, see [`Name::less`].
    Buffered,
    /// It is on disk.
    Synced,
}

/// An open database.
pub(crate) trait Engine: Send + Sync {
    fn put(&self, key: &[u8], value: &[u8], durability: Durability) -> Result<()>;

    /// Shows the value of a key, or that there is none, without a copy that the engine can do without.
    fn get(&self, key: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) -> Result<()>;

    /// Shows up to so many pairs in ascending order, from a key on.
    fn scan(&self, from: &[u8], rows: usize, row: &mut dyn FnMut(&[u8], &[u8])) -> Result<()>;

    /// Puts many pairs when it is not the puts that are measured.
    fn load(&self, pairs: &mut dyn Iterator<Item = (crate::data::Key, crate::data::Value)>) -> Result<()> {
        for (key, value) in pairs {
            self.put(&key, &value, Durability::Buffered)?;
        }
        Ok(())
    }

    /// Begins to write what is in memory to its final place, if it has one, and waits for the writing. Compaction may go on behind.
    fn flush(&self) -> Result<()>;

    /// Ends everything in good order.
    fn close(self: Box<Self>) -> Result<()>;
}

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    /// kvorum-lsm, that the others are compared with
    Lsm,
    /// fjall, an LSM-tree in Rust
    Fjall,
    /// RocksDB, an LSM-tree in C++
    Rocksdb,
    /// sled, a Bw-tree on a log, in Rust
    Sled,
    /// redb, a copy-on-write B+tree in Rust
    Redb,
}

impl Name {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Name::Lsm => "lsm",
            Name::Fjall => "fjall",
            Name::Rocksdb => "rocksdb",
            Name::Sled => "sled",
            Name::Redb => "redb",
        }
    }

    /// Opens a database in a directory, or makes a new one there.
    pub(crate) fn open(self, dir: &Path, memory: Memory) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Name::Lsm => Box::new(lsm::Lsm::open(dir, memory)?),
            Name::Fjall => Box::new(fjall::Fjall::open(dir, memory)?),
            Name::Rocksdb => Box::new(rocksdb::Rocks::open(dir, memory)?),
            Name::Sled => Box::new(sled::Sled::open(dir, memory)?),
            Name::Redb => Box::new(redb::Redb::open(dir, memory)?),
        })
    }

    /// What a buffered put of this engine lacks: it is acknowledged while only the process has it.
    pub(crate) fn less(self) -> Option<&'static str> {
        match self {
            Name::Lsm | Name::Fjall | Name::Rocksdb => None,
            Name::Sled => Some("a buffered put may still be in a log buffer of the process"),
            Name::Redb => Some("a buffered put is only in the memory of the process"),
        }
    }

    /// The version that this was built with, as the lock file has it.
    pub(crate) fn version(self) -> String {
        let package = match self {
            Name::Lsm => "kvorum-lsm",
            Name::Fjall => "fjall",
            // Its version holds that of the C++ library.
            Name::Rocksdb => "librocksdb-sys",
            Name::Sled => "sled",
            Name::Redb => "redb",
        };
        locked_version(include_str!("../Cargo.lock"), package).unwrap_or("unknown").to_owned()
    }
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    const TINY: Memory = Memory { cache_bytes: 1 << 20, buffer_bytes: 256 << 10 };

    #[test]
    fn every_engine_keeps_what_was_put() {
        for name in Name::value_variants() {
            let dir = tempfile::tempdir().unwrap();
            let engine = name.open(dir.path(), TINY).unwrap();
            let count = 4000;
            engine.load(&mut (0..count).map(|number| (data::key(number), data::value(number, 0)))).unwrap();
            for number in (0..count).step_by(2) {
                let durability = if number % 400 == 0 { Durability::Synced } else { Durability::Buffered };
                engine.put(&data::key(number), &data::value(number, 1), durability).unwrap();
            }
            check(*name, &*engine, count);
            engine.flush().unwrap();
            engine.close().unwrap();
            let engine = name.open(dir.path(), TINY).unwrap();
            check(*name, &*engine, count);
            engine.close().unwrap();
        }
    }

    fn check(name: Name, engine: &dyn Engine, count: u64) {
        let version = |number: u64| u32::from(number.is_multiple_of(2));
        for number in 0..count {
            let mut right = false;
            let mut found = |value: Option<&[u8]>| {
                right = value.is_some_and(|value| data::is_value(value, number, version(number)));
            };
            engine.get(&data::key(number), &mut found).unwrap();
            assert!(right, "{name:?} {number}");
        }
        let mut absent = false;
        engine.get(&data::key(count), &mut |value| absent = value.is_none()).unwrap();
        assert!(absent, "{name:?}");
        let sorted = data::sorted(0..count);
        for (from, rows) in [(0, 100), (1234, 100), (count as usize - 10, 10)] {
            let mut seen = Vec::new();
            let mut row = |key: &[u8], value: &[u8]| seen.push((key.to_vec(), value.to_vec()));
            engine.scan(&data::key_at(sorted[from].0), 100, &mut row).unwrap();
            let wanted = sorted[from..from + rows].iter().map(|(_, number)| *number);
            let wanted =
                wanted.map(|number| (data::key(number).to_vec(), data::value(number, version(number)).to_vec()));
            assert_eq!(seen, wanted.collect::<Vec<_>>(), "{name:?} from {from}");
        }
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock =
            "[[package]]\nname = \"sled-x\"\nversion = \"1.0\"\n\n[[package]]\nname = \"sled\"\nversion = \"0.34.7\"\n";
        assert_eq!(locked_version(lock, "sled"), Some("0.34.7"));
        assert_eq!(locked_version(lock, "redb"), None);
        assert!(Name::value_variants().iter().all(|name| name.version() != "unknown"));
    }
}
