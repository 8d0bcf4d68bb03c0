//! What is particular to this engine: coherence of the cache of hot records, expiry, failures.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex};

use kvorum_node::{ActorId, KeyspaceId, LogSeq, ShardIndex};
use kvorum_ring::PartitionId;
use kvorum_vclock::{Dot, Timestamp};

use super::*;
use crate::engine::Expiry;
use crate::memory::MIN_MEMORY;

/// What was reported.
#[derive(Default)]
struct Journal {
    durable: Mutex<u64>,
    changed: Condvar,
    failures: Mutex<Vec<StoreError>>,
}

impl Journal {
    fn wait(&self, seq: u64) {
        let wait =
            self.changed.wait_timeout_while(self.durable.lock().unwrap(), Duration::from_secs(20), |at| *at < seq);
        assert!(!wait.unwrap().1.timed_out(), "{seq} never became durable");
    }

    fn durable(&self) -> u64 {
        *self.durable.lock().unwrap()
    }
}

impl Completions for Journal {
    fn durable(&self, _: ShardIndex, seq: LogSeq) {
        *self.durable.lock().unwrap() = seq.0;
        self.changed.notify_all();
    }

    fn failed(&self, error: &StoreError) {
        self.failures.lock().unwrap().push(error.clone());
        self.changed.notify_all();
    }
}

fn key(name: &str) -> StoredKey {
    StoredKey::new(KeyspaceId(1), PartitionId(7), name.as_bytes())
}

fn record(time: u64, value: &[u8], expires_at_ms: Option<u64>) -> Record {
    Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(1) }, Some(value), expires_at_ms)
}

fn try_open(directory: &Path, clock: &Arc<AtomicU64>) -> Result<(LsmEngine, Arc<Journal>), StoreError> {
    open_with(directory, Durability::Always, clock)
}

fn open_with(
    directory: &Path,
    durability: Durability,
    clock: &Arc<AtomicU64>,
) -> Result<(LsmEngine, Arc<Journal>), StoreError> {
    let journal = Arc::new(Journal::default());
    let clock = Arc::clone(clock);
    let opening = Opening {
        directory,
        durability,
        memory: Shares::of(MIN_MEMORY),
        expiry: Expiry { unix_ms: Arc::new(move || clock.load(Ordering::Relaxed)), grace_ms: 60_000 },
        completions: Arc::clone(&journal) as Arc<dyn Completions>,
    };
    LsmEngine::open(opening).map(|engine| (engine, journal))
}

fn open(directory: &Path) -> (LsmEngine, Arc<Journal>) {
    try_open(directory, &Arc::default()).unwrap()
}

fn submit(engine: &LsmEngine, seq: u64, records: Vec<(StoredKey, Record)>) {
    let changes = records.into_iter().map(|(key, record)| (key, Some(record))).collect();
    engine.submit(Batch { shard: ShardIndex(0), seq: LogSeq(seq), changes });
}

/// The files of an engine whose names end so.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
}

#[test]
fn the_hot_cache_saves_reads_of_what_is_not_in_memory_and_never_hides_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, journal) = open(directory.path());
    submit(&engine, 1, vec![(key("a"), record(1, b"old", None))]);
    journal.wait(1);
    assert!(matches!(engine.try_get(&key("a")), TryGet::Hit(found) if found == record(1, b"old", None)), "a memtable");
    assert!(matches!(engine.try_get(&key("b")), TryGet::Absent));
    // A new process has nothing of its tables in memory.
    engine.db.flush().unwrap();
    engine.close().unwrap();
    let (engine, journal) = open(directory.path());
    let found = engine.try_get(&key("a"));
    assert!(matches!(found, TryGet::WouldBlock), "on disk alone, not {found:?}");
    assert_eq!(engine.get(&key("a")), Ok(Some(record(1, b"old", None))));
    assert_eq!(engine.hot.get(&key("a")), Some(record(1, b"old", None)));
    submit(&engine, 1, vec![(key("a"), record(2, b"new", None))]);
    journal.wait(1);
    assert_eq!(engine.hot.get(&key("a")), None, "a write makes the entry worthless");
    assert!(matches!(engine.try_get(&key("a")), TryGet::Hit(found) if found == record(2, b"new", None)));
    engine.db.flush().unwrap();
    assert_eq!(engine.get(&key("a")), Ok(Some(record(2, b"new", None))));
}

/// A writer, readers of both kinds, flushes and compactions on one key: nobody who begins after a version was reported durable sees
/// an older one.
#[test]
fn threads_that_hammer_one_key_see_every_write_that_was_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, journal) = open(directory.path());
    submit(&engine, 1, vec![(key("k"), record(1, b"value", None))]);
    journal.wait(1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (engine, journal, done) = (&engine, &journal, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let least = journal.durable();
                    let seen = match engine.try_get(&key("k")) {
                        TryGet::Hit(record) if reader > 0 => record,
                        // One reader goes to the disk and fills the cache each time.
                        TryGet::Hit(_) | TryGet::WouldBlock => engine.get(&key("k")).unwrap().unwrap(),
                        other => panic!("{other:?}"),
                    };
                    assert!(seen.time().to_bits() >= least, "{seen:?} after {least} was reported");
                    if let Some(hot) = engine.hot.get(&key("k")) {
                        assert!(hot.time().to_bits() >= least, "{hot:?} is hot after {least} was reported");
                    }
                }
            });
        }
        for version in 2..=500 {
            submit(&engine, version, vec![(key("k"), record(version, b"value", None))]);
            journal.wait(version);
            if version % 20 == 0 {
                engine.db.flush().unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(engine.hot.figures().hits > 0, "the cache was never of use, so this has shown nothing");
}

#[test]
fn an_expired_value_is_taken_by_compaction_and_its_version_stays() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicU64::new(1_000));
    let (engine, journal) = try_open(directory.path(), &clock).unwrap();
    // What blake3 makes of anything cannot be compressed.
    let mut large = vec![0; 10_000];
    blake3::Hasher::new().finalize_xof().fill(&mut large);
    let names: Vec<String> = (0..100).map(|n| format!("k{n:03}")).collect();
    let expires_at = |n: usize| n.is_multiple_of(2).then_some(2_000);
    let rows = names.iter().enumerate().map(|(n, name)| (key(name), record(1, &large, expires_at(n))));
    submit(&engine, 1, rows.collect());
    journal.wait(1);
    engine.db.flush().unwrap();
    engine.db.compact_range::<[u8]>(..).unwrap();
    assert_eq!(engine.db.metrics().replaced, 0, "nothing has expired");
    let before = engine.size_bytes();

    clock.store(2_000 + 60_000, Ordering::Relaxed);
    // Something new, so that there is something to compact.
    submit(&engine, 2, vec![(key("k050"), record(2, &large, Some(2_000))), (key("new"), record(2, b"v", None))]);
    journal.wait(2);
    engine.db.flush().unwrap();
    engine.db.compact_range::<[u8]>(..).unwrap();
    assert!(engine.db.metrics().replaced >= 50, "{}", engine.db.metrics().replaced);
    assert!(engine.size_bytes() < before * 2 / 3, "{} of {before} bytes are left", engine.size_bytes());
    let figure = engine.figures().into_iter().find(|figure| figure.name == "kvorum_lsm_expired_cells").unwrap();
    assert_eq!(figure.numbers, [(None, crate::engine::Number::Whole(engine.db.metrics().replaced))]);

    for (n, name) in names.iter().enumerate() {
        let stored = engine.get(&key(name)).unwrap().unwrap();
        assert_eq!(stored.time().to_bits(), if name == "k050" { 2 } else { 1 }, "the version is still there");
        let version = stored.versions().next().unwrap();
        assert_eq!(version.expires_at_ms, expires_at(n));
        assert_eq!(version.is_live(2_000), n % 2 == 1, "{name}");
        assert_eq!(version.value.is_some(), n % 2 == 1, "{name}");
    }
    let range = KeyRange::of_partition(KeyspaceId(1), PartitionId(7), b"k", None);
    let page = engine.scan(&range, u32::MAX).unwrap();
    assert_eq!(page.rows.len(), 100);
    assert_eq!(page.rows.iter().filter(|(_, record)| record.is_live(2_000)).count(), 50);
}

#[test]
fn damage_is_told_with_file_and_place_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, journal) = open(directory.path());
    let rows = (0..2000).map(|n| (key(&format!("k{n}")), record(1, &[7; 200], None)));
    submit(&engine, 1, rows.collect());
    journal.wait(1);
    engine.db.flush().unwrap();
    engine.close().unwrap();
    drop(engine);

    // In a table: only who reads there notices.
    let table = files(directory.path(), ".table").pop().unwrap();
    let whole = std::fs::read(&table).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    std::fs::write(&table, &damaged).unwrap();
    let (engine, _) = open(directory.path());
    let errors: Vec<_> = (0..2000).filter_map(|n| engine.get(&key(&format!("k{n}"))).err()).collect();
    assert!(!errors.is_empty() && errors.len() < 100, "{} errors", errors.len());
    let StoreError::Corruption(what) = &errors[0] else { panic!("{:?}", errors[0]) };
    assert!(what.contains(table.to_str().unwrap()) && what.contains(" at byte "), "{what}");
    let range = KeyRange::of_partition(KeyspaceId(1), PartitionId(7), b"", None);
    assert!(matches!(engine.scan(&range, u32::MAX), Err(StoreError::Corruption(_))));
    engine.close().unwrap();
    drop(engine);
    std::fs::write(&table, &whole).unwrap();

    // In the manifest: the store is not opened.
    let current = std::fs::read_to_string(directory.path().join("CURRENT")).unwrap();
    let manifest = directory.path().join(current.split_whitespace().next().unwrap());
    let mut bytes = std::fs::read(&manifest).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&manifest, &bytes).unwrap();
    let Err(StoreError::Corruption(what)) = try_open(directory.path(), &Arc::default()) else { panic!("it opened") };
    for words in [manifest.to_str().unwrap(), " at byte ", "restore the data directory"] {
        assert!(what.contains(words), "{what}");
    }
}

#[test]
fn each_durability_syncs_when_it_says_and_closing_makes_all_durable() {
    for durability in [Durability::Always, Durability::Interval, Durability::Never] {
        let directory = tempfile::tempdir().unwrap();
        let (engine, journal) = open_with(directory.path(), durability, &Arc::default()).unwrap();
        for seq in 1..=10 {
            submit(&engine, seq, vec![(key("k"), record(seq, b"v", None))]);
            journal.wait(seq);
        }
        let syncs = engine.db.metrics().log_syncs;
        assert_eq!(syncs >= 10, durability == Durability::Always, "{durability:?}: {syncs} syncs");
        engine.close().unwrap();
        drop(engine);
        let (engine, _) = open(directory.path());
        assert_eq!(engine.get(&key("k")), Ok(Some(record(10, b"v", None))), "{durability:?}");
    }
}

#[test]
fn a_store_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (_engine, _) = open(directory.path());
    let Err(StoreError::Io(what)) = try_open(directory.path(), &Arc::default()) else { panic!("it opened twice") };
    assert!(what.contains("in use") && what.contains("--data-dir"), "{what}");
}

#[test]
fn after_close_nothing_is_taken_and_that_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let (engine, journal) = open(directory.path());
    engine.close().unwrap();
    for seq in 1..=3 {
        submit(&engine, seq, vec![(key("a"), record(1, b"v", None))]);
    }
    assert_eq!(journal.durable(), 0);
    assert_eq!(journal.failures.lock().unwrap().len(), 1);
}

#[test]
fn the_settings_fit_whatever_the_memory() {
    for budget in [0, MIN_MEMORY, 256 << 20, 8 << 30, 1 << 40] {
        options(&Shares::of(budget)).validate().unwrap();
    }
}
