#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | module | owns |
//! |---|---|
//! | `db` | what users hold, and how each thing is done: `commit`, `read`, `background`, `install`, `open`, ... |
//! | `write` | the queue of writers, and who serves it |
//! | `jobs` | the background: what is to be done, who does it |
//! | `version` | which tables there are at one moment; edits, and the manifest they are written to |
//! | `compaction` | what to compact, and what of it survives |
//! | `log`, `batch` | the write-ahead log, and what is written to it |
//! | `memtable` | the newest writes, sorted, in memory |
//! | `table`, `cache` | sorted tables, and their blocks in memory |
//! | `iter` | from many sorted sources to what a user sees |
//! | `snapshot` | the moments that somebody still looks at |
//! | `options`, `metrics`, `names`, `key`, `cursor`, `error` | settings, figures, file names, and what all others speak |
//! | [`disk`] | the file system, real or simulated |
//!
//! # The path of a write
//!
//! [`Db::write`] puts the batch into the queue (`write`). Whoever finds no leader there leads: it takes all that is queued, and under the log's
//! lock (`db/commit`) lets the pace of the background hold it back if need be, seals the memtable if that is full, appends a frame for each
//! batch with one write to the log, syncs if somebody wants that, puts all operations into the memtable, and makes them visible by one
//! store of the last sequence number. Then it tells the others.
//!
//! A sealed memtable becomes a table of level 0 (`db/background`): the table is synced, then the directory, then an edit is appended to the
//! manifest and synced, then readers get the new version, and then the log segment is used again, or deleted if nobody has asked to sync it
//! (`db/install`). Compactions change the version in the same way.
//!
//! # The path of a read
//!
//! [`Db::get`] takes the current view, one `Arc` of memtables and version (`db/views`), and then the last visible sequence number. It looks
//! into the memtable, the sealed ones, the tables of level 0 from the newest on, and then into the one table of each level that can have the key;
//! the first version found is the newest one. In a table the filter comes first, then the index, then one block.

mod batch;
mod cache;
mod compaction;
mod cursor;
mod db;
pub mod disk;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod iter;
mod jobs;
mod key;
mod log;
mod memtable;
mod metrics;
mod names;
mod options;
mod snapshot;
mod table;
mod version;
mod write;

pub use batch::{Batch, MAX_BATCH, MAX_KEY, MAX_VALUE, Operation, Operations};
pub use compaction::filter::{CompactionFilter, Decision};
pub use db::{Builder, Db, IngestWriter, Repaired, Snapshot, Ticket, TryGet, Value, Verified, repair, repair_on};
pub use error::{Error, Result};
pub use iter::Range;
pub use jobs::Runner;
pub use key::Sequence;
pub use metrics::{LevelMetrics, Metrics};
pub use options::{Compression, Durability, Options};
