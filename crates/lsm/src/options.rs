//! Owns the settings of a database: their meaning, their defaults, their limits, and what follows from them alone: how large levels and
//! filters should be ([`levels`]), and how fast writers and compactions may go ([`pace`]). It reads no file and no clock.

mod levels;
mod pace;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use levels::{LAST_LEVEL, LEVELS, LevelTargets};
pub(crate) use pace::{Pace, Pressure, TokenBucket};

use crate::error::{Error, Result};

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is on disk, and survives a loss of power. Writers that wait at the same time share one sync.
    #[default]
    Always,
    /// When the operating system has it: it survives the end of the process. It is synced within
    /// [`sync_interval`](Options::sync_interval), so a loss of power takes what was written since.
    Interval,
    /// As [`Interval`](Self::Interval), but nobody asks for a sync: a loss of power takes what the operating system had not
    /// written by itself, and what was not flushed into tables. The log of such writes is deleted when they are in tables, mostly before the
    /// system has written it. A later write that wants a sync waits for all that is not in tables yet, since it makes that durable too.
    Never,
}

/// How blocks are compressed. A block that hardly shrinks is stored as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast, and good enough for what is read often.
    Lz4,
    /// Smaller and slower; for what is many and read seldom.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// How a database uses memory, disk and processor.
///
/// Nothing here is written down: each setting may differ each time the database is opened, and holds for what is written from
/// then on.
///
/// | field | default | more of it |
/// |---|---|---|
/// | `memtable_bytes` | 64 MiB | writes less to disk, since more is overwritten in memory; takes longer to recover |
/// | `memtables` | 3 | takes longer bursts without delay; each is memory |
/// | `cache_bytes` | 64 MiB | reads less from disk |
/// | `block_bytes` | 4 KiB | compresses better and needs less index; each point read decodes more |
/// | `restart_interval` | 16 | packs keys closer; each search in a block decodes more |
/// | `compression` | Lz4 | (zstd) takes less disk; compactions and reads from disk cost more time |
/// | `bottom_compression` | Lz4 | (zstd) as above, where nine tenths of the data are |
/// | `uncompressed_levels` | 2 | spares compressing what is soon rewritten; takes more disk |
/// | `filter_bits` | 10 | spares more reads for keys that are not there; takes memory and disk |
/// | `level_base_bytes` | 256 MiB | makes fewer levels; each compaction of new tables takes longer |
/// | `level_multiplier` | 10 | makes fewer levels and less overhead on disk; rewrites more |
/// | `target_file_bytes` | 64 MiB | makes fewer files; compactions are less divisible and need more spare disk |
/// | `l0_compact` | 4 | rewrites less; reads look into more tables |
/// | `l0_slow` | 12 | takes longer bursts; reads look into more tables meanwhile |
/// | `l0_stop` | 36 | makes the slowing down gentler; as above |
/// | `debt_slow_bytes` | 16 GiB | takes longer bursts; takes more disk meanwhile |
/// | `debt_stop_bytes` | 64 GiB | makes the slowing down gentler; as above |
/// | `compaction_bytes_per_second` | None | lets compactions finish sooner; leaves the disk less to readers |
/// | `durability` | Always | (less of it) acknowledges sooner; loses the last writes with the power |
/// | `sync_interval` | 100 ms | syncs less often; a loss of power takes more |
/// | `workers` | 2 | compacts more at once; takes processors from readers |
///
/// ```
/// use kvorum_lsm::{Durability, Options};
///
/// let options = Options::default().cache_bytes(1 << 30).durability(Durability::Interval);
/// assert!(options.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// A memtable that holds so many bytes of memory is written to a table, and a new one begun. At least 4 KiB.
    pub memtable_bytes: usize,
    /// How many memtables there may be: the one that takes writes, and those being written to tables. At least 2.
    pub memtables: usize,
    /// Memory for blocks, and for the filters and indexes of open tables. 0 for none.
    pub cache_bytes: usize,
    /// A block of a table is closed when it has so many bytes. 256 bytes to 1 MiB.
    pub block_bytes: usize,
    /// Every so many entries of a block one stands with its whole key. 1 to 256.
    pub restart_interval: usize,
    /// How blocks of all levels but the last are compressed, below the [uncompressed](Self::uncompressed_levels) ones.
    pub compression: Compression,
    /// How blocks of the last level are compressed.
    pub bottom_compression: Compression,
    /// How many levels, counted from the newest tables on, are not compressed. The last level is not among them. At most 7.
    pub uncompressed_levels: usize,
    /// Bits of a filter per key, on average over all levels: where there is less data, each key gets more. 0 for no filters, at
    /// most 20.
    pub filter_bits: u8,
    /// The least size of a level that new tables are merged into. There is one more level when the topmost would be larger than four
    /// times this. At least 4 KiB; about [`memtable_bytes`](Self::memtable_bytes) times [`l0_compact`](Self::l0_compact) is good.
    pub level_base_bytes: u64,
    /// A level is so many times as large as the one above it. 2 to 100.
    pub level_multiplier: u64,
    /// Compactions begin a new table when one has so many bytes. At least 4 KiB.
    pub target_file_bytes: u64,
    /// So many new tables are merged into the first level. At least 1.
    pub l0_compact: usize,
    /// With more new tables than this, writers are delayed. At least [`l0_compact`](Self::l0_compact).
    pub l0_slow: usize,
    /// With so many new tables, writers wait for a compaction. More than [`l0_slow`](Self::l0_slow).
    pub l0_stop: usize,
    /// With more bytes than this to be compacted, writers are delayed.
    pub debt_slow_bytes: u64,
    /// With so many bytes to be compacted, writers wait for a compaction. More than
    /// [`debt_slow_bytes`](Self::debt_slow_bytes).
    pub debt_stop_bytes: u64,
    /// What all compactions together read and write, in bytes per second; none for no limit. Writing memtables to tables is
    /// not limited. At least 64 KiB.
    pub compaction_bytes_per_second: Option<u64>,
    /// What a write waits for if it does not say.
    pub durability: Durability,
    /// The time within which writes that do not wait for it are synced. At least 1 ms.
    pub sync_interval: Duration,
    /// Threads that flush and compact. 1 to 64.
    pub workers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memtable_bytes: 64 << 20,
            memtables: 3,
            cache_bytes: 64 << 20,
            block_bytes: 4 << 10,
            restart_interval: 16,
            compression: Compression::Lz4,
            bottom_compression: Compression::Lz4,
            uncompressed_levels: 2,
            filter_bits: 10,
            level_base_bytes: 256 << 20,
            level_multiplier: 10,
            target_file_bytes: 64 << 20,
            l0_compact: 4,
            l0_slow: 12,
            l0_stop: 36,
            debt_slow_bytes: 16 << 30,
            debt_stop_bytes: 64 << 30,
            compaction_bytes_per_second: None,
            durability: Durability::Always,
            sync_interval: Duration::from_millis(100),
            workers: 2,
        }
    }
}

/// One method for each field, so that settings can be changed in a chain.
macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {
        impl Options {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters! {
    memtable_bytes: usize,
    memtables: usize,
    cache_bytes: usize,
    block_bytes: usize,
    restart_interval: usize,
    compression: Compression,
    bottom_compression: Compression,
    uncompressed_levels: usize,
    filter_bits: u8,
    level_base_bytes: u64,
    level_multiplier: u64,
    target_file_bytes: u64,
    l0_compact: usize,
    l0_slow: usize,
    l0_stop: usize,
    debt_slow_bytes: u64,
    debt_stop_bytes: u64,
    compaction_bytes_per_second: Option<u64>,
    durability: Durability,
    sync_interval: Duration,
    workers: usize,
}

impl Options {
    /// Checks every limit stated at the fields. Opening a database does so first.
    ///
    /// # Errors
    /// [`Error::Option`] with the first field that is outside its limits.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            ("memtable_bytes", self.memtable_bytes >= 4 << 10, "be at least 4 KiB"),
            ("memtables", self.memtables >= 2, "be at least 2"),
            ("block_bytes", (256..=1 << 20).contains(&self.block_bytes), "be from 256 bytes to 1 MiB"),
            ("restart_interval", (1..=256).contains(&self.restart_interval), "be from 1 to 256"),
            ("uncompressed_levels", self.uncompressed_levels <= LEVELS, "be at most 7"),
            ("filter_bits", self.filter_bits <= levels::MAX_FILTER_BITS, "be at most 20"),
            ("level_base_bytes", self.level_base_bytes >= 4 << 10, "be at least 4 KiB"),
            ("level_multiplier", (2..=100).contains(&self.level_multiplier), "be from 2 to 100"),
            ("target_file_bytes", self.target_file_bytes >= 4 << 10, "be at least 4 KiB"),
            ("l0_compact", self.l0_compact >= 1, "be at least 1"),
            ("l0_slow", self.l0_slow >= self.l0_compact, "be at least l0_compact"),
            ("l0_stop", self.l0_stop > self.l0_slow, "be more than l0_slow"),
            ("debt_stop_bytes", self.debt_stop_bytes > self.debt_slow_bytes, "be more than debt_slow_bytes"),
            (
                "compaction_bytes_per_second",
                self.compaction_bytes_per_second.is_none_or(|rate| rate >= 64 << 10),
                "be at least 64 KiB",
            ),
            ("sync_interval", self.sync_interval >= Duration::from_millis(1), "be at least 1 ms"),
            ("workers", (1..=64).contains(&self.workers), "be from 1 to 64"),
        ];
        match checks.iter().find(|(_, holds, _)| !holds) {
            Some((name, _, must)) => Err(Error::Option { name, must }),
            None => Ok(()),
        }
    }
}
