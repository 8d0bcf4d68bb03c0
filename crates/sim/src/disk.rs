//! A host's disk: the engine's durable records, the log that feeds them, and the files that outlive a process. It
//! says what a crash leaves over; when writes take effect is decided by who calls it.

use core::mem;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use kvorum_node::control::SavedState;
use kvorum_node::{ControlInput, KeyRange, LogSeq, Page, Record, StoredKey, row_weight};
use kvorum_vclock::Timestamp;

use crate::config::Sabotage;
use crate::random::Random;

/// Under [`Sabotage::NoSync`] the log is really synced this often.
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
}

#[derive(Debug, Default)]
struct Log {
    appended: LogSeq,
    /// In the order of their sequence; the first `flushing` are on their way to the disk.
    pending: VecDeque<(LogSeq, StoredKey, Record)>,
    flushing: usize,
}

/// A state file that is written.
#[derive(Debug)]
pub(crate) enum File {
    State { version: u64, state: SavedState },
    Ceiling(Timestamp),
}

impl Disk {
    pub(crate) fn new(state: SavedState, shards: usize, sabotage: Option<Sabotage>) -> Self {
        let logs = (0..shards).map(|_| Log::default()).collect();
        Self { state, logs, sabotage, ..Self::default() }
    }

    /// Queues a record for a shard's log.
    pub(crate) fn append(&mut self, shard: usize, seq: LogSeq, key: StoredKey, record: Record) {
        let log = &mut self.logs[shard];
        assert_eq!(seq.0, log.appended.0 + 1, "a shard hands out sequences in order, without gaps");
        log.appended = seq;
        log.pending.push_back((seq, key, record));
    }

    /// Begins to write everything queued as one group; whether there is anything to do.
    pub(crate) fn begin_flush(&mut self, shard: usize) -> bool {
        let log = &mut self.logs[shard];
        let begins = log.flushing == 0 && !log.pending.is_empty();
        if begins {
            log.flushing = log.pending.len();
        }
        begins
    }

    /// The group is durable, and reads see it.
    pub(crate) fn end_flush(&mut self, shard: usize, now: Duration) -> LogSeq {
        let group = mem::take(&mut self.logs[shard].flushing);
        assert!(group > 0, "only a group that was begun ends");
        let group: Vec<_> = self.logs[shard].pending.drain(..group).collect();
        let durable = group.last().expect("a group is not empty").0;
        for (_, key, record) in group {
            self.store_record(key, record);
        }
        if now.saturating_sub(self.synced_at) >= SYNC_EVERY {
            self.synced_at = now;
            self.unsynced.clear();
        }
        durable
    }

    fn store_record(&mut self, key: StoredKey, record: Record) {
        let before = self.store.insert(key.clone(), record);
        if self.sabotage == Some(Sabotage::NoSync) {
            self.unsynced.push((key, before));
        }
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
    pub(crate) fn end_file(&mut self, failed: bool) -> (ControlInput, bool) {
        let file = self.files.pop_front().expect("only a file that was begun ends");
        let input =
            if failed { ControlInput::SaveFailed { error: "the disk refused".to_owned() } } else { self.replace(file) };
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
