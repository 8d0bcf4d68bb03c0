//! The cache of hot records: whole records whose blocks are not in memory, so that reading one often costs one disk read and not many.
//! It keeps what is used most (TinyLFU), by weight.
//!
//! # When it is asked
//!
//! After [`Db::try_get`](kvorum_lsm::Db::try_get), and only if that would have to read. Asking here first would gain nothing where both know: a hit
//! costs as much processor time as finding the record in a cached block (1.0 to 1.1 microseconds against 1.1, records of 100 bytes, 200 000 of
//! them, measured on one core of two). And where this cache does not know, which is so for all that lies in a memtable or is read too seldom,
//! asking it would add 0.65 microseconds to the 0.7 of a read from a memtable. So a hit here is a disk read saved, and a miss a disk read
//! done.
//!
//! # Why it never tells of the past
//!
//! Keys share *stripes*, counters that only grow. A writer whose batch has become visible in the store counts the stripes of its keys up, and
//! only then is the batch reported durable. A reader that fills the cache notes the stripe's count *before* it reads the store, and the entry keeps
//! that count. An entry is believed only while the stripe still has it.
//!
//! Let a read begin after version `v` of a key was reported durable, and find an entry with an older version. Whoever made that entry did
//! not see `v` in the store, so it noted the stripe before `v` was counted: had its load seen that count, or a later one, then it would
//! have seen all that was visible before, `v` included (release and acquire). So the noted count is less than the one after
//! `v`, which the read, beginning later, sees at least. They differ, and the entry is not believed. There is no moment in which a filler has put
//! something in and not yet looked whether that was right.
//!
//! The price is that a write makes a few other keys' entries worthless, those of the same stripe. A record that is read often is
//! back after one read.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use foldhash::quality::RandomState;
use kvorum_node::{Record, StoredKey};
use moka::sync::Cache;

/// What an entry takes besides key and record: moka's maps, lists and counters, and what the allocator adds.
const ENTRY_BYTES: usize = 256;
/// One stripe for so many bytes of the cache: a good deal more stripes than entries of common size, so that few share one.
const BYTES_PER_STRIPE: u64 = 256;
const STRIPES: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 20;

/// See the module's documentation.
pub(super) struct HotRecords {
    entries: Cache<Bytes, Entry, RandomState>,
    stripes: Box<[AtomicU64]>,
    hash: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Clone)]
struct Entry {
    record: Record,
    /// What the stripe had before the record was read.
    noted: u64,
}

/// What the cache has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HotFigures {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

impl HotRecords {
    /// A cache of at most so many bytes, the stripes among them.
    pub(super) fn new(capacity: u64) -> Self {
        let stripes = (capacity / BYTES_PER_STRIPE).clamp(*STRIPES.start(), *STRIPES.end()).next_power_of_two();
        let stripe_bytes = stripes * size_of::<AtomicU64>() as u64;
        let weigher = |key: &Bytes, entry: &Entry| {
            u32::try_from(ENTRY_BYTES + key.len() + entry.record.as_bytes().len()).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder()
            .max_capacity(capacity.saturating_sub(stripe_bytes))
            .weigher(weigher)
            .build_with_hasher(RandomState::default());
        Self {
            entries,
            stripes: (0..stripes).map(|_| AtomicU64::new(0)).collect(),
            hash: RandomState::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn stripe(&self, key: &[u8]) -> &AtomicU64 {
        &self.stripes[self.hash.hash_one(key) as usize & (self.stripes.len() - 1)]
    }

    /// The record of a key, if it is here and still the newest.
    pub(super) fn get(&self, key: &StoredKey) -> Option<Record> {
        let count = self.stripe(key.as_bytes()).load(Ordering::Acquire);
        let entry = self.entries.get(&key.as_bytes()[..]).filter(|entry| entry.noted == count);
        let counter = if entry.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        entry.map(|entry| entry.record)
    }

    /// Reads a record from the store, and keeps it.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) fn fill<E>(
        &self,
        key: &StoredKey,
        read: impl FnOnce() -> Result<Option<Record>, E>,
    ) -> Result<Option<Record>, E> {
        let noted = self.stripe(key.as_bytes()).load(Ordering::Acquire);
        let record = read()?;
        if let Some(record) = &record {
            // The key may be a slice of a whole message, which the cache must not keep.
            let key = Bytes::copy_from_slice(key.as_bytes());
            self.entries.insert(key, Entry { record: record.clone(), noted });
        }
        Ok(record)
    }

    /// A new version of a key is visible in the store, and not yet reported durable.
    pub(super) fn written(&self, key: &[u8]) {
        self.stripe(key).fetch_add(1, Ordering::Release);
    }

    /// Gives up all records whose keys begin so. One that is being read meanwhile may come in after this, and is then
    /// not asked for any more.
    pub(super) fn forget(&self, prefix: &[u8]) {
        for (key, _) in self.entries.iter().filter(|(key, _)| key.starts_with(prefix)) {
            self.entries.invalidate(&*key);
        }
    }

    pub(super) fn figures(&self) -> HotFigures {
        HotFigures {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            records: self.entries.entry_count(),
            bytes: self.entries.weighted_size() + size_of_val(&*self.stripes) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use kvorum_node::{ActorId, KeyspaceId};
    use kvorum_ring::PartitionId;
    use kvorum_vclock::{Dot, Timestamp};

    use super::*;

    fn key(name: &str) -> StoredKey {
        StoredKey::new(KeyspaceId(1), PartitionId(0), name.as_bytes())
    }

    fn record(time: u64, bytes: usize) -> Record {
        Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(1) }, Some(&vec![7; bytes]), None)
    }

    fn fill(hot: &HotRecords, key: &StoredKey, record: Record) {
        hot.fill(key, || Ok::<_, Infallible>(Some(record))).unwrap();
    }

    #[test]
    fn what_was_read_is_kept_until_it_is_written() {
        let hot = HotRecords::new(1 << 20);
        assert_eq!(hot.get(&key("a")), None);
        fill(&hot, &key("a"), record(1, 10));
        assert_eq!(hot.get(&key("a")), Some(record(1, 10)));
        hot.written(key("a").as_bytes());
        assert_eq!(hot.get(&key("a")), None);
        fill(&hot, &key("a"), record(2, 10));
        assert_eq!(hot.get(&key("a")), Some(record(2, 10)));
        assert_eq!((hot.figures().hits, hot.figures().misses), (2, 2));
    }

    #[test]
    fn what_was_read_before_a_write_is_not_believed_after_it() {
        let hot = HotRecords::new(1 << 20);
        // The write becomes visible while the filler has the old record in its hands.
        let old = hot.fill(&key("a"), || {
            hot.written(key("a").as_bytes());
            Ok::<_, Infallible>(Some(record(1, 10)))
        });
        assert_eq!(old, Ok(Some(record(1, 10))), "the reader itself began before");
        assert_eq!(hot.get(&key("a")), None);
    }

    #[test]
    fn what_is_forgotten_is_read_anew_and_the_rest_is_kept() {
        let hot = HotRecords::new(1 << 20);
        let neighbour = StoredKey::new(KeyspaceId(2), PartitionId(0), b"a");
        for key in [&key("a"), &key("b"), &neighbour] {
            fill(&hot, key, record(1, 10));
        }
        hot.forget(&1_u32.to_be_bytes());
        assert_eq!((hot.get(&key("a")), hot.get(&key("b"))), (None, None));
        assert_eq!(hot.get(&neighbour), Some(record(1, 10)));
    }

    #[test]
    fn it_holds_no_more_than_its_share() {
        let hot = HotRecords::new(1 << 20);
        for n in 0..10_000 {
            fill(&hot, &key(&n.to_string()), record(1, 1000));
        }
        hot.entries.run_pending_tasks();
        let figures = hot.figures();
        assert!(figures.bytes <= 1 << 20 && figures.records > 500, "{figures:?}");
    }

    /// One key, hammered: writers make versions visible, count them, and report them; readers must never see less than was reported
    /// when they began.
    #[test]
    fn threads_on_one_key_never_see_less_than_was_reported() {
        let hot = HotRecords::new(1 << 20);
        let (store, reported, done) = (Mutex::new(record(0, 8)), AtomicU64::new(0), AtomicBool::new(false));
        let key = key("hammered");
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut hits = 0_u64;
                        while !done.load(Ordering::Relaxed) {
                            let least = reported.load(Ordering::Acquire);
                            let seen = match hot.get(&key) {
                                Some(record) => {
                                    hits += 1;
                                    record
                                }
                                None => {
                                    let read = || Ok::<_, Infallible>(Some(store.lock().unwrap().clone()));
                                    hot.fill(&key, read).unwrap().unwrap()
                                }
                            };
                            assert!(seen.time().to_bits() >= least, "{seen:?} after {least} was reported");
                        }
                        hits
                    })
                })
                .collect();
            for version in 1..=30_000 {
                *store.lock().unwrap() = record(version, 8);
                hot.written(key.as_bytes());
                reported.store(version, Ordering::Release);
                if version % 64 == 0 {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::Relaxed);
            let hits: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
            assert!(hits > 0, "the cache was never of use, so this has shown nothing");
        });
    }
}
