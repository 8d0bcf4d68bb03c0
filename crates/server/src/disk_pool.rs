//! Reads that may wait for a disk, on threads that may wait. The queue is bounded by the operations that shards
//! admit, each of which has at most a few reads under way. What nobody waits for any more is not read.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvorum_node::{Input, KeyRange, Op, StoreError, StoredKey};

use crate::clock::Clock;
use crate::engine::Engine;
use crate::mailbox::{Mail, Mailbox};

/// A read, and whose it is.
pub(crate) struct Job {
    pub(crate) op: Op,
    pub(crate) read: Read,
    /// When nobody waits for it any more.
    pub(crate) until: Duration,
    /// Where the result goes.
    pub(crate) to: Arc<Mailbox>,
}

pub(crate) enum Read {
    Get(StoredKey),
    Scan(KeyRange, u32),
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    filled: Condvar,
}

impl Queue {
    fn jobs(&self) -> MutexGuard<'_, (VecDeque<Job>, bool)> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads. They end when the pool is dropped.
pub(crate) struct DiskPool {
    queue: Arc<Queue>,
}

impl DiskPool {
    pub(crate) fn start(engine: &Arc<dyn Engine>, clock: Clock, threads: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for number in 0..threads {
            let (engine, queue) = (Arc::clone(engine), Arc::clone(&queue));
            std::thread::Builder::new()
                .name(format!("kvorum-disk-{number}"))
                .spawn(move || work(&*engine, clock, &queue))?;
        }
        Ok(Self { queue })
    }

    pub(crate) fn submit(&self, job: Job) {
        self.queue.jobs().0.push_back(job);
        self.queue.filled.notify_one();
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        self.queue.jobs().1 = true;
        self.queue.filled.notify_all();
    }
}

/// The memory that a result holds.
fn weight(input: &Input) -> usize {
    match input {
        Input::Loaded { result: Ok(Some(record)), .. } => record.as_bytes().len(),
        Input::Scanned { result: Ok(page), .. } => {
            page.rows.iter().map(|(key, record)| kvorum_node::row_weight(key, record)).sum()
        }
        _ => 0,
    }
}

fn work(engine: &dyn Engine, clock: Clock, queue: &Queue) {
    loop {
        let job = {
            let mut jobs = queue.jobs();
            loop {
                if let Some(job) = jobs.0.pop_front() {
                    break job;
                }
                if jobs.1 {
                    return;
                }
                jobs = queue.filled.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let Job { op, read, until, to } = job;
        let input = match read {
            Read::Get(_) if until <= clock.now().elapsed => Input::Loaded { op, result: Err(StoreError::TooLate) },
            Read::Scan(..) if until <= clock.now().elapsed => Input::Scanned { op, result: Err(StoreError::TooLate) },
            Read::Get(key) => Input::Loaded { op, result: engine.get(&key) },
            Read::Scan(range, limit_bytes) => Input::Scanned { op, result: engine.scan(&range, limit_bytes) },
        };
        let bytes = weight(&input);
        to.post_heavy(Mail::Input(input), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryEngine;
    use kvorum_node::KeyspaceId;
    use kvorum_ring::PartitionId;

    #[test]
    fn what_nobody_waits_for_any_more_is_not_read() {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let pool = DiskPool::start(&engine, Clock::start(), 1).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let key = || StoredKey::new(KeyspaceId(1), PartitionId(0), b"k");
        let range = || KeyRange::of_partition(KeyspaceId(1), PartitionId(0), b"", None);
        for (until, is_read) in [(Duration::ZERO, false), (Duration::MAX, true)] {
            for read in [Read::Get(key()), Read::Scan(range(), 1000)] {
                let to = Arc::new(Mailbox::default());
                pool.submit(Job { op: Op::from_bits(7), read, until, to: Arc::clone(&to) });
                let mail = runtime.block_on(to.take());
                let [Mail::Input(input)] = &mail[..] else { panic!("one answer is expected") };
                match input {
                    Input::Loaded { result, .. } => assert_eq!(result.is_ok(), is_read, "{result:?}"),
                    Input::Scanned { result, .. } => assert_eq!(result.is_ok(), is_read, "{result:?}"),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
