//! The `sled` engine: the tree-structured alternative (sled 0.34), flushed before each acknowledgement.
//!
//! One log thread takes whatever all shards have submitted, applies it as one batch and flushes once: group commit.
//! sled's flush ends in `sync_file_range` on Linux, which is weaker than fsync: the pages reach the disk, but a
//! drive's own cache and a file's length are not forced out. A node says so when it starts.

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_node::{KeyRange, KeyspaceId, Page, Record, StoreError, StoredKey};

use super::{Batch, Completions, Durability, Engine, Opening, Submitted, TryGet, fill_page, keyspace_bounds};

/// How many keys are removed in one batch.
const DROP_AT_ONCE: usize = 1024;

/// How long the files of a tree that was closed may still be held.
const LET_GO: Duration = Duration::from_secs(2);

/// See the module's documentation.
pub struct SledEngine {
    db: ::sled::Db,
    queue: Arc<Queue>,
    log_thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    filled: Condvar,
}

#[derive(Default)]
struct QueueState {
    batches: Vec<Batch>,
    closing: bool,
    failure: Option<StoreError>,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for batches; none when the engine is closing and all have been taken.
    fn take(&self) -> Option<Vec<Batch>> {
        let mut state = self.state();
        while state.batches.is_empty() {
            if state.closing {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::take(&mut state.batches))
    }
}

/// Opens the tree. Its threads may hold the files for a moment after it was closed in this process.
fn open_when_let_go(settings: &::sled::Config) -> ::sled::Result<::sled::Db> {
    let given_up = Instant::now() + LET_GO;
    loop {
        match settings.open() {
            Err(::sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") && Instant::now() < given_up =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

impl SledEngine {
    /// Opens or creates the tree in a directory, and starts its log thread.
    ///
    /// # Errors
    /// When the tree cannot be opened.
    pub fn open(opening: Opening<'_>) -> Result<Self, StoreError> {
        let Opening { directory, durability, memory, completions, .. } = opening;
        let flush_every_ms = (durability == Durability::Interval).then_some(500);
        let settings = ::sled::Config::new()
            .path(directory)
            // It has no memtables; how much it takes besides its cache, nobody can tell it.
            .cache_capacity(memory.total() - memory.process)
            .flush_every_ms(flush_every_ms);
        let db = open_when_let_go(&settings).map_err(|error| {
            StoreError::Io(format!("{}: {error}; check the free space and the permissions there", directory.display()))
        })?;
        let queue = Arc::new(Queue::default());
        let log_thread = {
            let (db, queue) = (db.clone(), Arc::clone(&queue));
            std::thread::Builder::new()
                .name("kvorum-log".to_owned())
                .spawn(move || write_batches(&db, &queue, durability, &*completions))
                .map_err(|error| StoreError::Io(format!("cannot start the log thread: {error}")))?
        };
        Ok(Self { db, queue, log_thread: Mutex::new(Some(log_thread)) })
    }
}

/// The log thread. The first failure is the last thing it reports: what a failed flush has left behind is unknown,
/// so nothing after it may be acknowledged.
fn write_batches(db: &::sled::Db, queue: &Queue, durability: Durability, completions: &dyn Completions) {
    while let Some(batches) = queue.take() {
        if let Err(error) = write_group(db, durability, &batches) {
            let error = io_error(&error);
            queue.state().failure = Some(error.clone());
            completions.failed(&error);
            return;
        }
        for batch in batches {
            completions.durable(batch.shard, batch.seq);
        }
    }
}

fn write_group(db: &::sled::Db, durability: Durability, batches: &[Batch]) -> ::sled::Result<()> {
    let mut group = ::sled::Batch::default();
    for (key, record) in batches.iter().flat_map(|batch| &batch.changes) {
        match record {
            Some(record) => group.insert(&key.as_bytes()[..], &record.as_bytes()[..]),
            None => group.remove(&key.as_bytes()[..]),
        }
    }
    db.apply_batch(group)?;
    if durability == Durability::Always {
        db.flush()?;
    }
    Ok(())
}

impl Engine for SledEngine {
    fn try_get(&self, _key: &StoredKey) -> TryGet {
        // sled does not tell whether a page is in memory.
        TryGet::WouldBlock
    }

    fn get(&self, key: &StoredKey) -> Result<Option<Record>, StoreError> {
        self.db
            .get(key.as_bytes())
            .map_err(|error| io_error(&error))?
            .map(|value| record(key.as_bytes(), &value))
            .transpose()
    }

    fn scan(&self, range: &KeyRange, limit_bytes: u32) -> Result<Page, StoreError> {
        let start: &[u8] = &range.start;
        let start = if range.after_start { Bound::Excluded(start) } else { Bound::Included(start) };
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.db.range::<&[u8], _>((start, end)).map(|row| {
            let (key, value) = row.map_err(|error| io_error(&error))?;
            let record = record(&key, &value)?;
            let key = StoredKey::parse(Bytes::copy_from_slice(&key))
                .map_err(|bad| StoreError::Corruption(bad.to_string()))?;
            Ok((key, record))
        });
        fill_page(rows, limit_bytes)
    }

    fn submit(&self, batch: Batch) -> Submitted {
        self.queue.state().batches.push(batch);
        self.queue.filled.notify_one();
        Submitted::Pending
    }

    fn drop_keyspace(&self, keyspace: KeyspaceId) -> Result<bool, StoreError> {
        let (start, end) = keyspace_bounds(keyspace);
        let end = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let mut found = false;
        loop {
            let mut removal = ::sled::Batch::default();
            let mut count = 0;
            for key in self.db.range::<&[u8], _>((Bound::Included(&start[..]), end)).keys().take(DROP_AT_ONCE) {
                removal.remove(key.map_err(|error| io_error(&error))?);
                count += 1;
            }
            if count == 0 {
                break;
            }
            found = true;
            self.db.apply_batch(removal).map_err(|error| io_error(&error))?;
        }
        if found {
            self.db.flush().map_err(|error| io_error(&error))?;
        }
        Ok(found)
    }

    fn size_bytes(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.queue.state().closing = true;
        self.queue.filled.notify_one();
        let log_thread = self.log_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if log_thread.is_some_and(|thread| thread.join().is_err()) {
            return Err(StoreError::Io("the log thread panicked".to_owned()));
        }
        if let Some(error) = self.queue.state().failure.clone() {
            return Err(error);
        }
        self.db.flush().map_err(|error| io_error(&error))?;
        Ok(())
    }
}

impl fmt::Debug for SledEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledEngine").finish_non_exhaustive()
    }
}

fn record(key: &[u8], value: &[u8]) -> Result<Record, StoreError> {
    Record::parse(Bytes::copy_from_slice(value))
        .map_err(|bad| StoreError::Corruption(format!("{}: {bad}", key.escape_ascii())))
}

fn io_error(error: &::sled::Error) -> StoreError {
    match error {
        ::sled::Error::Corruption { .. } => StoreError::Corruption(error.to_string()),
        error => StoreError::Io(error.to_string()),
    }
}
