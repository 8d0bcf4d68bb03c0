//! Reads that may wait for a disk, on threads that may wait. The queue is bounded by the operations that shards
//! admit, each of which has at most a few reads under way.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use kvorum_node::{Input, KeyRange, Op, StoredKey};

use crate::engine::Engine;
use crate::mailbox::{Mail, Mailbox};

/// A read, and whose it is.
pub(crate) struct Job {
    pub(crate) op: Op,
    pub(crate) read: Read,
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
    pub(crate) fn start(engine: &Arc<dyn Engine>, threads: usize) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for number in 0..threads {
            let (engine, queue) = (Arc::clone(engine), Arc::clone(&queue));
            std::thread::Builder::new().name(format!("kvorum-disk-{number}")).spawn(move || work(&*engine, &queue))?;
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

fn work(engine: &dyn Engine, queue: &Queue) {
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
        let Job { op, read, to } = job;
        let input = match read {
            Read::Get(key) => Input::Loaded { op, result: engine.get(&key) },
            Read::Scan(range, limit_bytes) => Input::Scanned { op, result: engine.scan(&range, limit_bytes) },
        };
        let bytes = weight(&input);
        to.post_heavy(Mail::Input(input), bytes);
    }
}
