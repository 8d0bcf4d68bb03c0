//! The same behaviour of every engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use kvorum_node::{ActorId, KeyRange, KeyspaceId, LogSeq, Record, ShardIndex, StoreError, StoredKey};
use kvorum_ring::PartitionId;
use kvorum_vclock::{Dot, Timestamp};

use super::{Batch, Completions, Durability, Engine, EngineKind, Expiry, Opening, Submitted};
use crate::memory::{MIN_MEMORY, Shares};

/// Remembers what was reported, and lets a test wait for it.
#[derive(Default)]
struct Reports {
    durable: Mutex<BTreeMap<u16, LogSeq>>,
    changed: Condvar,
}

impl Reports {
    fn wait(&self, shard: u16, seq: LogSeq) {
        let durable = self.durable.lock().unwrap();
        let (_durable, timeout) = self
            .changed
            .wait_timeout_while(durable, Duration::from_secs(10), |durable| {
                durable.get(&shard).is_none_or(|at| *at < seq)
            })
            .unwrap();
        assert!(!timeout.timed_out(), "shard {shard} never became durable up to {seq:?}");
    }
}

impl Completions for Reports {
    fn durable(&self, shard: ShardIndex, seq: LogSeq) {
        let before = self.durable.lock().unwrap().insert(shard.0, seq);
        assert!(before.is_none_or(|before| before < seq), "sequences are reported in order");
        self.changed.notify_all();
    }

    fn failed(&self, error: &StoreError) {
        panic!("{error}");
    }
}

fn open(kind: EngineKind, directory: &Path, reports: &Arc<Reports>) -> Arc<dyn Engine> {
    let opening = Opening {
        directory,
        durability: Durability::Always,
        memory: Shares::of(MIN_MEMORY),
        expiry: Expiry { unix_ms: Arc::new(|| 0), grace_ms: 0 },
        completions: Arc::clone(reports) as Arc<dyn Completions>,
    };
    kind.open(opening).unwrap()
}

fn key(partition: u16, name: &str) -> StoredKey {
    StoredKey::new(KeyspaceId(1), PartitionId(partition), name.as_bytes())
}

fn record(time: u64, value: &str) -> Record {
    Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(1) }, Some(value.as_bytes()), None)
}

fn store(engine: &dyn Engine, reports: &Reports, seq: u64, records: Vec<(StoredKey, Record)>) {
    let changes = records.into_iter().map(|(key, record)| (key, Some(record))).collect();
    let batch = Batch { shard: ShardIndex(0), seq: LogSeq(seq), changes };
    if engine.submit(batch) == Submitted::Pending {
        reports.wait(0, LogSeq(seq));
    }
}

const KINDS: &[EngineKind] = &[
    EngineKind::Lsm,
    EngineKind::Memory,
    #[cfg(feature = "sled")]
    EngineKind::Sled,
];

fn on_every_engine(test: impl Fn(&dyn Engine, &Reports)) {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let reports = Arc::new(Reports::default());
        let engine = open(*kind, directory.path(), &reports);
        test(&*engine, &reports);
        engine.close().unwrap();
    }
}

#[test]
fn what_is_durable_is_read() {
    on_every_engine(|engine, reports| {
        store(engine, reports, 2, vec![(key(0, "a"), record(1, "1")), (key(0, "a"), record(2, "2"))]);
        assert_eq!(engine.get(&key(0, "a")), Ok(Some(record(2, "2"))));
        assert_eq!(engine.get(&key(0, "b")), Ok(None));
    });
}

#[test]
fn a_scan_pages_through_one_partition_in_key_order() {
    on_every_engine(|engine, reports| {
        let rows = [(1, "b"), (0, "z"), (1, "a"), (1, "c"), (2, "a")]
            .map(|(partition, name)| (key(partition, name), record(1, name)));
        store(engine, reports, 5, rows.to_vec());
        let mut after: Option<Vec<u8>> = None;
        let mut seen = Vec::new();
        loop {
            let range = KeyRange::of_partition(KeyspaceId(1), PartitionId(1), b"", after.as_deref());
            let page = engine.scan(&range, 1).unwrap();
            seen.extend(page.rows.iter().map(|(key, _)| key.key().to_vec()));
            after = page.rows.last().map(|(key, _)| key.key().to_vec());
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, [b"a", b"b", b"c"]);
    });
}

#[test]
fn a_range_that_runs_backwards_is_empty() {
    on_every_engine(|engine, reports| {
        store(engine, reports, 1, vec![(key(0, "a"), record(1, "1"))]);
        let mut range = KeyRange::of_partition(KeyspaceId(1), PartitionId(0), b"", None);
        range.end = Some(vec![0].into());
        assert!(engine.scan(&range, 100).unwrap().rows.is_empty());
    });
}

#[test]
fn a_dropped_keyspace_is_gone_and_its_neighbours_are_whole() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let in_keyspace = |id, n: u32| StoredKey::new(KeyspaceId(id), PartitionId(n as u16 % 3), &n.to_be_bytes());
        let last = u32::MAX;
        let whole = |engine: &dyn Engine, id| (0..3000).all(|n| engine.get(&in_keyspace(id, n)).unwrap().is_some());
        let empty = |engine: &dyn Engine, id| (0..3000).all(|n| engine.get(&in_keyspace(id, n)).unwrap().is_none());
        let reports = Arc::new(Reports::default());
        let engine = open(*kind, directory.path(), &reports);
        for (seq, id) in (1..).zip([6, 7, 8, last - 1, last]) {
            let rows = (0..3000).map(|n| (in_keyspace(id, n), record(1, "v"))).collect();
            store(&*engine, &reports, seq, rows);
            // What was read may be in a cache.
            assert!(whole(&*engine, id), "{kind}");
        }
        let before = engine.size_bytes();
        assert_eq!(engine.drop_keyspace(KeyspaceId(7)), Ok(true), "{kind}");
        assert_eq!(engine.drop_keyspace(KeyspaceId(7)), Ok(false), "once more there is nothing to do");
        assert_eq!(engine.drop_keyspace(KeyspaceId(5)), Ok(false));
        assert_eq!(engine.drop_keyspace(KeyspaceId(last)), Ok(true));
        // A write that was on its way.
        store(&*engine, &reports, 6, vec![(in_keyspace(7, 1), record(2, "late"))]);
        assert_eq!(engine.drop_keyspace(KeyspaceId(7)), Ok(true));
        for id in [7, last] {
            assert!(empty(&*engine, id), "{kind}");
            for partition in 0..3 {
                let range = KeyRange::of_partition(KeyspaceId(id), PartitionId(partition), b"", None);
                assert!(engine.scan(&range, 100).unwrap().rows.is_empty(), "{kind}");
            }
        }
        for id in [6, 8, last - 1] {
            assert!(whole(&*engine, id), "{kind}");
        }
        if *kind == EngineKind::Memory {
            assert_eq!(engine.size_bytes(), before / 5 * 3);
        }
        engine.close().unwrap();
        drop(engine);
        if *kind != EngineKind::Memory {
            let engine = open(*kind, directory.path(), &Arc::new(Reports::default()));
            assert!(empty(&*engine, 7) && empty(&*engine, last), "{kind}: it does not come back");
            assert!([6, 8, last - 1].into_iter().all(|id| whole(&*engine, id)), "{kind}");
            engine.close().unwrap();
        }
    }
}

#[test]
fn a_closed_store_is_found_again() {
    for kind in KINDS.iter().filter(|kind| **kind != EngineKind::Memory) {
        let directory = tempfile::tempdir().unwrap();
        for seq in 1..=2 {
            let reports = Arc::new(Reports::default());
            let engine = open(*kind, directory.path(), &reports);
            store(&*engine, &reports, 1, vec![(key(0, &seq.to_string()), record(seq, "v"))]);
            assert_eq!(engine.get(&key(0, "1")), Ok(Some(record(1, "v"))), "{kind}");
            engine.close().unwrap();
        }
    }
}

#[test]
fn batches_of_several_shards_are_each_reported_in_their_order() {
    on_every_engine(|engine, reports| {
        let threads = 4_u16;
        std::thread::scope(|scope| {
            for shard in 0..threads {
                scope.spawn(move || {
                    for seq in 1..=200 {
                        let changes = vec![(key(shard, "counter"), Some(record(seq, &seq.to_string())))];
                        let batch = Batch { shard: ShardIndex(shard), seq: LogSeq(seq), changes };
                        if engine.submit(batch) == Submitted::Pending && seq % 50 == 0 {
                            reports.wait(shard, LogSeq(seq));
                        }
                    }
                });
            }
        });
        for shard in 0..threads {
            assert_eq!(engine.get(&key(shard, "counter")), Ok(Some(record(200, "200"))));
        }
    });
}
