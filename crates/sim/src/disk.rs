//! A host's disk: the engine's durable records, the log that feeds them, and the files that outlive a process. It
//! says what a crash leaves over; when writes take effect is decided by who calls it.

use core::mem;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use kvorum_node::control::SavedState;
use kvorum_node::{ControlInput, KeyRange, LogSeq, Page, Record, StoreError, StoredKey, row_weight};
use kvorum_vclock::Timestamp;

use crate::random::Random;
use crate::sabotage::Sabotage;

/// Under [`Sabotage::DurableTooEarly`] the log is really synced this often.
const SYNC_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// What a new process reads before it does anything.
    pub(crate) boot: u64,
    pub(crate) state: SavedState,
    pub(crate) ceiling: Timestamp,
    store: BTreeMap<StoredKey, Record>,
    /// One per shard.
    logs: Vec<Log>,
    files: VecDeque<File>,
    sabotage: Option<Sabotage>,
    /// What each record that is not really synced has replaced, oldest first.
    unsynced: Vec<(StoredKey, Option<Record>)>,
    synced_at: Duration,
    stored: u64,
    /// How many troubles make it slow, and how many full.
    slow: u32,
    full: u32,
    /// The next group of any log cannot be synced.
    sync_fails: bool,
    backups: BTreeMap<u32, Backup>,
}

/// A copy of a disk.
#[derive(Debug)]
struct Backup {
    boot: u64,
    state: SavedState,
    ceiling: Timestamp,
    store: BTreeMap<StoredKey, Record>,
}

#[derive(Debug, Default)]
struct Log {
    appended: LogSeq,
    /// In the order of their sequence; the first `flushing` are on their way to the disk.
    pending: VecDeque<(LogSeq, StoredKey, Record)>,
    flushing: usize,
    /// A group could not be written: nothing more is.
    failed: bool,
}

/// A state file that is written.
#[derive(Debug)]
pub(crate) enum File {
    State { version: u64, state: SavedState },
    Ceiling(Timestamp),
}

/// What becomes of a state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saving {
    Done,
    Failed,
    /// It was reported as failed, after it had taken its place.
    DoneAllTheSame,
}

impl Disk {
    pub(crate) fn new(state: SavedState, shards: usize, sabotage: Option<Sabotage>) -> Self {
        let logs = (0..shards).map(|_| Log::default()).collect();
        Self { state, logs, sabotage, ..Self::default() }
    }

    /// Queues a record for a shard's log.
    pub(crate) fn append(&mut self, shard: usize, seq: LogSeq, key: StoredKey, record: Record) {
        let log = &mut self.logs[shard];
        assert!(!log.failed, "nothing is appended to a log that is known to have failed");
        assert_eq!(seq.0, log.appended.0 + 1, "a shard hands out sequences in order, without gaps");
        log.appended = seq;
        log.pending.push_back((seq, key, record));
    }

    /// Begins to write everything queued as one group; whether there is anything to do.
    pub(crate) fn begin_flush(&mut self, shard: usize) -> bool {
        let log = &mut self.logs[shard];
        let begins = log.flushing == 0 && !log.pending.is_empty() && !log.failed;
        if begins {
            log.flushing = log.pending.len();
        }
        begins
    }

    /// The group is durable, and reads see it; or the log has failed, and what becomes of the group shows when the
    /// next process reads it.
    ///
    /// # Errors
    /// If it could not be written.
    pub(crate) fn end_flush(&mut self, shard: usize, now: Duration) -> Result<LogSeq, StoreError> {
        let group = mem::take(&mut self.logs[shard].flushing);
        assert!(group > 0, "only a group that was begun ends");
        let sync_fails = mem::take(&mut self.sync_fails);
        if sync_fails || self.is_full() {
            if self.sabotage == Some(Sabotage::FailureHidden) {
                let lost: Vec<_> = self.logs[shard].pending.drain(..group).collect();
                return Ok(lost.last().expect("a group is not empty").0);
            }
            self.logs[shard].failed = true;
            let why = if sync_fails { "the disk did not sync" } else { "no space left on device" };
            return Err(StoreError::Io(why.to_owned()));
        }
        let group: Vec<_> = self.logs[shard].pending.drain(..group).collect();
        let durable = group.last().expect("a group is not empty").0;
        for (_, key, record) in group {
            self.store_record(key, record);
        }
        if now.saturating_sub(self.synced_at) >= SYNC_EVERY {
            self.synced_at = now;
            self.unsynced.clear();
        }
        Ok(durable)
    }

    fn store_record(&mut self, key: StoredKey, record: Record) {
        self.stored += 1;
        if self.sabotage == Some(Sabotage::ForgottenRecords) && self.stored.is_multiple_of(10) {
            return;
        }
        let before = self.store.insert(key.clone(), record);
        if self.sabotage == Some(Sabotage::DurableTooEarly) {
            self.unsynced.push((key, before));
        }
    }

    /// The newest record of a key that a shard has appended, whether it is durable or not.
    pub(crate) fn newest(&self, shard: usize, key: &StoredKey) -> Option<&Record> {
        let pending = self.logs[shard].pending.iter().rev().find(|(_, pending, _)| pending == key);
        pending.map(|(_, _, record)| record).or_else(|| self.store.get(key))
    }

    pub(crate) fn load(&self, key: &StoredKey) -> Option<Record> {
        self.store.get(key).cloned()
    }

    pub(crate) fn scan(&self, range: &KeyRange, limit_bytes: u32) -> Page {
        let mut found = self.store.iter().filter(|(key, _)| range.contains(key.as_bytes())).peekable();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some((key, record)) = found.next_if(|_| bytes < limit_bytes as usize) {
            bytes += row_weight(key, record);
            rows.push((key.clone(), record.clone()));
        }
        Page { rows, more: found.peek().is_some() }
    }

    /// Queues a state file; whether the disk was idle, so that writing it begins now.
    pub(crate) fn begin_file(&mut self, file: File) -> bool {
        self.files.push_back(file);
        self.files.len() == 1
    }

    /// The oldest state file under way is durable, or has failed; and whether another follows.
    pub(crate) fn end_file(&mut self, outcome: Saving) -> (ControlInput, bool) {
        let file = self.files.pop_front().expect("only a file that was begun ends");
        let failed = ControlInput::SaveFailed { error: "the disk refused".to_owned() };
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
    }

    pub(crate) fn fail_next_sync(&mut self) {
        self.sync_fails = true;
    }

    /// A sync that was to fail and has not been asked for need not.
    pub(crate) fn sync_again(&mut self) {
        self.sync_fails = false;
    }

    /// Nothing is wrong with it any more.
    pub(crate) fn calm(&mut self) {
        (self.slow, self.full, self.sync_fails) = (0, 0, false);
    }

    /// All data is gone, while no process runs. Identity and layout are kept elsewhere.
    pub(crate) fn lose(&mut self) -> u64 {
        self.ceiling = Timestamp::MIN;
        mem::take(&mut self.store).len() as u64
    }

    /// Copies all that is durable.
    pub(crate) fn back_up(&mut self, id: u32) {
        let Self { boot, ceiling, .. } = *self;
        self.backups.insert(id, Backup { boot, state: self.state.clone(), ceiling, store: self.store.clone() });
    }

    /// Puts an earlier copy back, while no process runs.
    pub(crate) fn restore(&mut self, id: u32) {
        let Backup { boot, state, ceiling, store } = self.backups.remove(&id).expect("only what was copied comes back");
        (self.boot, self.state, self.ceiling, self.store) = (boot, state, ceiling, store);
    }

    /// The process is gone. Of each log a prefix of what was not durable may have reached the disk all the same, and
    /// so may the state file that was being written. Gives how many appended records are lost.
    pub(crate) fn crash(&mut self, random: &mut Random) -> u64 {
        let mut lost = 0;
        for shard in 0..self.logs.len() {
            let Log { mut pending, .. } = mem::take(&mut self.logs[shard]);
            let survive = if random.permille(500) { 0 } else { random.index(pending.len() + 1) };
            lost += (pending.len() - survive) as u64;
            for (_, key, record) in pending.drain(..survive) {
                self.store_record(key, record);
            }
        }
        for (key, before) in mem::take(&mut self.unsynced).into_iter().rev() {
            lost += 1;
            match before {
                Some(before) => self.store.insert(key, before),
                None => self.store.remove(&key),
            };
        }
        if self.sabotage == Some(Sabotage::WipedAtRestart) {
            lost += mem::take(&mut self.store).len() as u64;
        }
        if let Some(file) = mem::take(&mut self.files).pop_front()
            && random.permille(500)
        {
            self.replace(file);
        }
        lost
    }
}

#[cfg(test)]
mod tests;
