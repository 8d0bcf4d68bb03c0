//! A host's disk: the store with the queue that feeds its log, and the files that outlive a process. It says what a crash
//! leaves over; when writes take effect is decided by who calls it.

use core::mem;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kvorum_lsm::disk::sim::SimDisk;
use kvorum_lsm::{Batch, Durability};
use kvorum_node::control::SavedState;
use kvorum_node::{ControlInput, HINTS_KEYSPACE, LogSeq, Record, StoreError, StoredKey};
use kvorum_vclock::Timestamp;

use crate::config::SimConfig;
use crate::event::HostIndex;
use crate::random::Random;
use crate::sabotage::Sabotage;

pub(crate) mod store;

use store::{Death, Store};

/// Under [`Sabotage::DurableTooEarly`] the log is really synced this often.
const SYNC_EVERY: Duration = Duration::from_millis(500);

pub(crate) struct Disk {
    /// What a new process reads before it does anything.
    pub(crate) boot: u64,
    pub(crate) state: SavedState,
    pub(crate) ceiling: Timestamp,
    pub(crate) in_doubt: Option<Arc<str>>,
    /// What of the node's data is missing until it has been pulled.
    lack: Option<Lack>,
    /// The id of the store that belongs to this node, and the one that the store itself carries, if there is one.
    store_id: u64,
    marker: Option<u64>,
    pub(crate) store: Store,
    log: Log,
    files: VecDeque<File>,
    sabotage: Option<Sabotage>,
    synced_at: Duration,
    stored: u64,
    /// How many troubles make it slow, and how many full.
    slow: u32,
    full: u32,
    backups: BTreeMap<u32, Backup>,
}

/// Why a disk lacks something that its node had acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It was lost, and its node knows that.
    Lost,
    /// It was set back to an old copy, which its node may not find out.
    SetBack,
}

/// A copy of a disk.
struct Backup {
    boot: u64,
    state: SavedState,
    ceiling: Timestamp,
    in_doubt: Option<Arc<str>>,
    store_id: u64,
    marker: Option<u64>,
    medium: SimDisk,
}

/// What all shards of a process hand to the log, which is one for all.
#[derive(Debug, Default)]
struct Log {
    /// Of each shard.
    appended: Vec<LogSeq>,
    /// In the order they came; the first `flushing` are on their way to the disk.
    pending: VecDeque<Append>,
    flushing: usize,
    /// Something could not be written: nothing more is.
    failed: bool,
}

#[derive(Debug)]
struct Append {
    shard: usize,
    seq: LogSeq,
    key: StoredKey,
    /// None erases what is stored.
    record: Option<Record>,
}

/// A state file that is written.
#[derive(Debug)]
pub(crate) enum File {
    State { version: u64, state: SavedState },
    Ceiling(Timestamp),
    Identity { boot: u64, in_doubt: Option<Arc<str>> },
}

/// What becomes of a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saving {
    Done,
    Failed,
    /// It was reported as failed, after it had taken its place.
    DoneAllTheSame,
}

impl Log {
    fn new(shards: usize) -> Self {
        Self { appended: vec![LogSeq(0); shards], ..Self::default() }
    }
}

impl Disk {
    pub(crate) fn new(state: SavedState, config: &SimConfig, host: HostIndex) -> Self {
        Self {
            boot: 0,
            state,
            ceiling: Timestamp::MIN,
            in_doubt: None,
            lack: None,
            store_id: 0,
            marker: None,
            store: Store::new(config, host),
            log: Log::new(usize::from(config.shards)),
            files: VecDeque::new(),
            sabotage: config.sabotage,
            synced_at: Duration::ZERO,
            stored: 0,
            slow: 0,
            full: 0,
            backups: BTreeMap::new(),
        }
    }

    /// A process starts: counts that, and looks whether the store is the one that belongs to the node, as the real shell
    /// does. `new_id` is for one that is new. Whether the node is in doubt for that from now on.
    pub(crate) fn begin_boot(&mut self, new_id: u64) -> bool {
        self.boot += 1;
        if self.marker == Some(self.store_id) {
            return false;
        }
        (self.store_id, self.marker) = (new_id, Some(new_id));
        let doubts = self.state.layout.is_some() && self.in_doubt.is_none();
        if doubts {
            self.in_doubt = Some("its store is gone".into());
        }
        doubts
    }

    /// What is missing and was not pulled yet, as far as the disk tells.
    pub(crate) fn lack(&self) -> Option<Lack> {
        self.lack
    }

    /// Queues a record for the log, or the removal of what is stored.
    pub(crate) fn append(&mut self, shard: usize, seq: LogSeq, key: StoredKey, record: Option<Record>) {
        let log = &mut self.log;
        assert!(!log.failed, "nothing is appended to a log that is known to have failed");
        assert_eq!(seq.0, log.appended[shard].0 + 1, "a shard hands out sequences in order, without gaps");
        log.appended[shard] = seq;
        log.pending.push_back(Append { shard, seq, key, record });
    }

    /// Begins to write everything queued as one group; whether there is anything to do.
    pub(crate) fn begin_flush(&mut self) -> bool {
        let log = &mut self.log;
        let begins = log.flushing == 0 && !log.pending.is_empty() && !log.failed;
        if begins {
            log.flushing = log.pending.len();
        }
        begins
    }

    /// The group is durable, and reads see it: gives up to where, for each shard that had something in it. Or the log
    /// has failed, and what becomes of the group shows when the next process reads it.
    ///
    /// # Errors
    /// If it could not be written.
    pub(crate) fn end_flush(&mut self, now: Duration) -> Result<BTreeMap<usize, LogSeq>, StoreError> {
        if self.log.failed {
            return Ok(BTreeMap::new()); // It did so meanwhile, and the process was told.
        }
        let group = mem::take(&mut self.log.flushing);
        assert!(group > 0, "only a group that was begun ends");
        let batches = self.batches(group);
        let is_synced = self.sabotage != Some(Sabotage::DurableTooEarly) || now - self.synced_at >= SYNC_EVERY;
        let written = self.store.write(batches, if is_synced { Durability::Always } else { Durability::Never });
        self.note_failure(written)?;
        if is_synced {
            self.synced_at = now;
        }
        Ok(self.log.pending.drain(..group).map(|Append { shard, seq, .. }| (shard, seq)).collect())
    }

    /// Does one piece of the engine's background work; whether there was any.
    ///
    /// # Errors
    /// If it failed, and the log with it.
    pub(crate) fn work(&mut self) -> Result<bool, StoreError> {
        if self.log.failed {
            return Ok(false);
        }
        let worked = self.store.work();
        self.note_failure(worked)
    }

    fn note_failure<T: Default>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() && self.sabotage == Some(Sabotage::FailureHidden) {
            return Ok(T::default());
        }
        self.log.failed |= result.is_err();
        result
    }

    /// The oldest queued records, as the shards handed them over.
    fn batches(&mut self, count: usize) -> Vec<Batch> {
        let (mut batches, mut last) = (Vec::new(), None);
        for Append { shard, key, record, .. } in self.log.pending.iter().take(count) {
            self.stored += 1;
            let is_forgotten = match self.sabotage {
                Some(Sabotage::ForgottenRecords) => self.stored.is_multiple_of(10),
                Some(Sabotage::HintsForgotten) => key.keyspace() == HINTS_KEYSPACE,
                _ => false,
            };
            if is_forgotten {
                continue;
            }
            if last.replace(*shard) != Some(*shard) {
                batches.push(Batch::new());
            }
            let batch = batches.last_mut().expect("each shard begins one");
            let put = match record {
                Some(record) => batch.put(key.as_bytes(), record.as_bytes()),
                None => batch.delete(key.as_bytes()),
            };
            put.expect("the engine takes larger keys and records than these");
        }
        batches
    }

    /// The newest record of a key that was appended, whether it is durable or not.
    pub(crate) fn newest(&mut self, key: &StoredKey) -> Option<Record> {
        let pending = self.log.pending.iter().rev().find(|append| append.key == *key);
        pending.map_or_else(|| self.store.load(key).ok().flatten(), |append| append.record.clone())
    }

    /// Queues a state file; whether the disk was idle, so that writing it begins now.
    pub(crate) fn begin_file(&mut self, file: File) -> bool {
        self.files.push_back(file);
        self.files.len() == 1
    }

    /// The oldest state file under way is durable, or has failed; and whether another follows.
    pub(crate) fn end_file(&mut self, outcome: Saving) -> (ControlInput, bool) {
        let file = self.files.pop_front().expect("only a file that was begun ends");
        let version = if let File::State { version, .. } = &file { Some(*version) } else { None };
        let error = "the disk refused".to_owned();
        let failed = match &file {
            File::Identity { .. } => ControlInput::IdentitySaved(Err(error)),
            File::State { .. } | File::Ceiling(_) => ControlInput::SaveFailed { version, error },
        };
        let input = match outcome {
            Saving::Done => self.replace(file),
            Saving::Failed => failed,
            Saving::DoneAllTheSame => {
                self.replace(file);
                failed
            }
        };
        (input, !self.files.is_empty())
    }

    fn replace(&mut self, file: File) -> ControlInput {
        match file {
            File::State { version, state } => {
                self.state = state;
                ControlInput::Saved { version }
            }
            File::Ceiling(ceiling) => {
                self.ceiling = ceiling;
                ControlInput::CeilingSaved(ceiling)
            }
            File::Identity { boot, in_doubt } => {
                if self.in_doubt.is_some() && in_doubt.is_none() {
                    self.lack = None; // It has pulled.
                }
                (self.boot, self.in_doubt) = (self.boot.max(boot), in_doubt);
                ControlInput::IdentitySaved(Ok(()))
            }
        }
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.slow > 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full > 0
    }

    pub(crate) fn set_slow(&mut self, slow: bool) {
        self.slow = if slow { self.slow + 1 } else { self.slow.saturating_sub(1) };
    }

    pub(crate) fn set_full(&mut self, full: bool) {
        self.full = if full { self.full + 1 } else { self.full.saturating_sub(1) };
        self.store.set_full(self.is_full());
    }

    /// Nothing is wrong with it any more.
    pub(crate) fn calm(&mut self) {
        (self.slow, self.full) = (0, 0);
        self.store.set_full(false);
        self.store.withdraw();
    }

    /// All data is gone, while no process runs. Identity and layout are kept elsewhere.
    pub(crate) fn lose(&mut self) {
        self.ceiling = Timestamp::MIN;
        self.marker = None;
        self.store.lose();
        if self.state.layout.is_some() {
            // Who had none held nothing for anybody.
            self.lack = Some(Lack::Lost);
        }
    }

    /// Copies all that is durable, and of the rest what a loss of power would leave.
    pub(crate) fn back_up(&mut self, id: u32) {
        let Self { boot, ceiling, store_id, marker, .. } = *self;
        let (state, in_doubt) = (self.state.clone(), self.in_doubt.clone());
        let backup = Backup { boot, state, ceiling, in_doubt, store_id, marker, medium: self.store.copy() };
        self.backups.insert(id, backup);
    }

    /// Puts an earlier copy back, while no process runs.
    pub(crate) fn restore(&mut self, id: u32) {
        let Backup { boot, state, ceiling, in_doubt, store_id, marker, medium } =
            self.backups.remove(&id).expect("only what was copied comes back");
        (self.boot, self.state, self.ceiling) = (boot, state, ceiling);
        (self.in_doubt, self.store_id, self.marker) = (in_doubt, store_id, marker);
        self.store.restore(medium);
        self.lack = Some(Lack::SetBack);
    }

    /// The process is gone. The group that was on its way may have reached the disk all the same, whole or in part, and so
    /// may the state file that was being written. Gives how many appended records were not durable.
    pub(crate) fn crash(&mut self, death: Death, random: &mut Random) -> u64 {
        let in_flight = self.batches(self.log.flushing);
        self.store.die(death, in_flight);
        if self.sabotage == Some(Sabotage::WipedAtRestart) {
            self.store.lose();
        }
        if let Some(file) = mem::take(&mut self.files).pop_front()
            && random.permille(500)
        {
            self.replace(file);
        }
        let shards = self.log.appended.len();
        mem::replace(&mut self.log, Log::new(shards)).pending.len() as u64
    }
}

#[cfg(test)]
mod tests;
