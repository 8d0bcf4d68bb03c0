//! The `memory` engine: keeps nothing over a restart. Records lie in a hash map, since comparing keys down an ordered one
//! was a fifth of a whole put; a set keeps their keys in order for scans, and changes only when a key is new.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kvorum_node::{KeyRange, KeyspaceId, Page, Record, StoreError, StoredKey};

use super::{Batch, Engine, Submitted, TryGet, fill_page, keyspace_bounds};

/// How many keys are removed while the lock is held.
const DROP_AT_ONCE: usize = 256;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    records: HashMap<Bytes, Record, foldhash::fast::RandomState>,
    /// Exactly the keys of `records`.
    order: BTreeSet<Bytes>,
    bytes: u64,
}

impl Content {
    fn remove(&mut self, key: &[u8]) {
        self.order.remove(key);
        if let Some(record) = self.records.remove(key) {
            self.bytes -= (key.len() + record.as_bytes().len()) as u64;
        }
    }
}

impl MemoryEngine {
    fn content(&self) -> MutexGuard<'_, Content> {
        // A panic while the lock was held leaves a map that is still a map.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn try_get(&self, key: &StoredKey) -> TryGet {
        self.content().records.get(key.as_bytes()).map_or(TryGet::Absent, |record| TryGet::Hit(record.clone()))
    }

    fn get(&self, key: &StoredKey) -> Result<Option<Record>, StoreError> {
        Ok(self.content().records.get(key.as_bytes()).cloned())
    }

    fn scan(&self, range: &KeyRange, limit_bytes: u32) -> Result<Page, StoreError> {
        let content = self.content();
        let start = Bytes::clone(&range.start);
        let start = if range.after_start { Bound::Excluded(start) } else { Bound::Included(start) };
        let end = range.end.clone().map_or(Bound::Unbounded, Bound::Excluded);
        if is_empty(&start, &end) {
            return Ok(Page::default());
        }
        let rows = content.order.range((start, end)).map(|key| {
            let record = &content.records[key];
            let key = StoredKey::parse(Bytes::clone(key)).map_err(|bad| StoreError::Corruption(bad.to_string()))?;
            Ok((key, record.clone()))
        });
        fill_page(rows, limit_bytes)
    }

    fn submit(&self, batch: Batch) -> Submitted {
        let mut content = self.content();
        for (key, record) in batch.changes {
            let Some(record) = record else {
                content.remove(key.as_bytes());
                continue;
            };
            let key = Bytes::clone(key.as_bytes());
            content.bytes += (key.len() + record.as_bytes().len()) as u64;
            if let Some(before) = content.records.insert(Bytes::clone(&key), record) {
                content.bytes -= (key.len() + before.as_bytes().len()) as u64;
            } else {
                content.order.insert(key);
            }
        }
        Submitted::Durable
    }

    fn drop_keyspace(&self, keyspace: KeyspaceId) -> Result<bool, StoreError> {
        let (start, end) = keyspace_bounds(keyspace);
        let end = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let mut found = false;
        loop {
            // The shards wait for this lock, so it is held for a few keys at a time.
            let mut content = self.content();
            let range = content.order.range::<[u8], _>((Bound::Included(&start[..]), end));
            let keys: Vec<Bytes> = range.take(DROP_AT_ONCE).cloned().collect();
            if keys.is_empty() {
                return Ok(found);
            }
            found = true;
            keys.iter().for_each(|key| content.remove(key));
        }
    }

    fn size_bytes(&self) -> u64 {
        self.content().bytes
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Whether a range holds nothing; an ordered map refuses to be asked for a range that runs backwards, and a peer's
/// may.
fn is_empty(start: &Bound<Bytes>, end: &Bound<Bytes>) -> bool {
    match (start, end) {
        (Bound::Excluded(start) | Bound::Included(start), Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}
