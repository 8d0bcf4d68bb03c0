//! Any operations on a database, on a simulated disk that crashes now and then, against a sorted map. What was not durable may be lost in a
//! crash, but only from some moment on.
#![no_main]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Batch, Db, Durability, Options, Result, Runner, Snapshot};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A key of few, so that operations meet. Some share a prefix, some are a prefix of others.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Key(u8);

impl Key {
    fn bytes(self) -> Vec<u8> {
        let mut key = vec![b'a' + self.0 % 4; 1 + usize::from(self.0 / 4 % 8)];
        key.push(self.0 / 32);
        key
    }
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Write { entries: Vec<(Key, Option<u8>)>, durable: bool },
    Get(Key),
    Range(Key, Key, Vec<bool>),
    Snapshot,
    ReadSnapshot(Key),
    Work,
    Flush,
    Compact(Key, Key),
    Drop(Key, Option<Key>),
    Ingest(Vec<(Key, u8)>),
    Checkpoint,
    Reopen,
    Crash(u64),
}

#[derive(Arbitrary, Debug)]
struct Input {
    memtable: u8,
    cached: bool,
    filtered: bool,
    operations: Vec<Operation>,
}

struct Life {
    disk: SimDisk,
    options: Options,
    db: Db,
    /// The state after each change since what is durable, which comes first.
    states: Vec<Model>,
    snapshot: Option<(Snapshot, Model)>,
    copies: usize,
}

fn value(number: u8) -> Vec<u8> {
    vec![number; usize::from(number)]
}

fn all(db: &Db) -> Model {
    db.range::<[u8]>(..).collect::<Result<_>>().expect("the disk is whole")
}

fn open(disk: &SimDisk, dir: &Path, options: &Options) -> Db {
    Db::open_on(disk.clone(), dir, options.clone(), Runner::Manual).expect("no crash leaves what cannot be opened")
}

impl Life {
    fn state(&self) -> &Model {
        self.states.last().expect("there is a durable state")
    }

    fn change(&mut self, change: impl FnOnce(&mut Model), durable: bool) {
        let mut state = self.state().clone();
        change(&mut state);
        self.states.push(state);
        if durable {
            self.durable();
        }
    }

    fn durable(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    fn reopen(&mut self) {
        self.snapshot = None;
        self.db = open(&self.disk, Path::new("db"), &self.options);
    }

    fn perform(&mut self, operation: Operation) -> Result<()> {
        match operation {
            Operation::Write { entries, durable } => {
                let mut batch = Batch::new();
                for (key, number) in &entries {
                    match number {
                        Some(number) => batch.put(&key.bytes(), &value(*number))?,
                        None => batch.delete(&key.bytes())?,
                    }
                }
                // A batch of nothing asks for nothing.
                let durable = durable && !entries.is_empty();
                self.db.write(batch, if durable { Durability::Always } else { Durability::Never })?;
                let change = |state: &mut Model| {
                    for (key, number) in entries {
                        match number {
                            Some(number) => drop(state.insert(key.bytes(), value(number))),
                            None => drop(state.remove(&key.bytes())),
                        }
                    }
                };
                self.change(change, durable);
            }
            Operation::Get(key) => {
                let found = self.db.get(key.bytes())?;
                assert_eq!(found.as_deref(), self.state().get(&key.bytes()).map(Vec::as_slice));
            }
            Operation::Range(from, to, directions) => {
                let (from, to) = (from.bytes(), to.bytes());
                let mut range = self.db.range(from.as_slice()..to.as_slice());
                let mut expected: Vec<_> = self.state().iter().filter(|(key, _)| **key >= from && **key < to).collect();
                for forward in directions {
                    let found = if forward { range.next() } else { range.next_back() };
                    let wanted = match expected.is_empty() {
                        true => None,
                        false if forward => Some(expected.remove(0)),
                        false => expected.pop(),
                    };
                    assert_eq!(found.transpose()?, wanted.map(|(key, value)| (key.clone(), value.clone())));
                }
            }
            Operation::Snapshot => self.snapshot = Some((self.db.snapshot(), self.state().clone())),
            Operation::ReadSnapshot(key) => {
                if let Some((snapshot, then)) = &self.snapshot {
                    assert_eq!(snapshot.get(key.bytes())?.as_deref(), then.get(&key.bytes()).map(Vec::as_slice));
                    assert_eq!(snapshot.range::<[u8]>(..).collect::<Result<Model>>()?, *then);
                }
            }
            Operation::Work => drop(self.db.run_one()),
            Operation::Flush => {
                self.db.flush()?;
                self.durable();
            }
            Operation::Compact(from, to) => {
                self.db.compact_range(from.bytes().as_slice()..=to.bytes().as_slice())?;
                self.durable();
            }
            Operation::Drop(from, to) => {
                let (from, to) = (from.bytes(), to.map(Key::bytes));
                match &to {
                    Some(to) => self.db.drop_range(from.as_slice()..to.as_slice())?,
                    None => self.db.drop_range(from.as_slice()..)?,
                }
                let gone = |key: &Vec<u8>| *key >= from && to.as_ref().is_none_or(|to| key < to);
                if let Some((_, then)) = &mut self.snapshot {
                    then.retain(|key, _| !gone(key));
                }
                self.change(|state| state.retain(|key, _| !gone(key)), true);
            }
            Operation::Ingest(entries) => {
                let entries: Model = entries.into_iter().map(|(key, number)| (key.bytes(), value(number))).collect();
                let mut ingest = self.db.ingest()?;
                entries.iter().try_for_each(|(key, value)| ingest.put(key, value))?;
                ingest.finish()?;
                // What was written before is only durable if there was something to ingest.
                let durable = !entries.is_empty();
                self.change(|state| state.extend(entries), durable);
            }
            Operation::Checkpoint => {
                self.copies += 1;
                let dir = PathBuf::from(format!("copy{}", self.copies));
                self.db.checkpoint(&dir)?;
                self.durable();
                assert_eq!(all(&open(&self.disk, &dir, &self.options)), *self.state());
            }
            Operation::Reopen => {
                self.snapshot = None;
                self.db.close()?;
                self.durable();
                self.reopen();
                assert_eq!(all(&self.db), *self.state());
            }
            Operation::Crash(seed) => {
                self.disk = self.disk.crash(seed);
                self.reopen();
                let found = all(&self.db);
                assert!(self.states.contains(&found), "a crash leaves a state that there was");
                self.states = vec![found];
            }
        }
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    let memtable_bytes = 4096 + 512 * usize::from(input.memtable);
    let options = Options::default()
        .memtable_bytes(memtable_bytes)
        .cache_bytes(if input.cached { 64 << 10 } else { 0 })
        .filter_bits(if input.filtered { 10 } else { 0 })
        .block_bytes(256)
        .restart_interval(3)
        .level_base_bytes(4 << 10)
        .level_multiplier(2)
        .target_file_bytes(4 << 10)
        .l0_compact(2)
        .l0_slow(4)
        .l0_stop(8);
    let disk = SimDisk::new(1);
    let db = open(&disk, Path::new("db"), &options);
    let mut life = Life { disk, options, db, states: vec![Model::new()], snapshot: None, copies: 0 };
    for operation in input.operations {
        life.perform(operation).expect("the disk is whole");
    }
    assert_eq!(all(&life.db), *life.state());
    life.db.verify().expect("the tables are whole");
});
