//! Owns the queue of writes and who serves it. Whoever comes while nobody leads becomes the leader, takes the whole queue and
//! has it written together; whoever comes meanwhile waits in the queue for the next group. So a lone writer does its own work
//! without any hop, and many writers share one sync. How a group is written is the database's business.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::key::Sequence;
use crate::options::Durability;

mod completion;
#[cfg(test)]
mod tests;

pub(crate) use completion::{Callback, Completion};

/// So many groups in a row a leader writes for others, as long as nobody waits for a sync; then it has its own life to live.
const ROUNDS: usize = 16;

/// A batch in the queue.
pub(crate) struct Request {
    pub(crate) batch: Batch,
    pub(crate) durability: Durability,
    /// Whom to tell; none for the leader's own.
    done: Option<Arc<Completion>>,
}

impl Request {
    /// Acknowledges it, or says why not.
    fn complete(&mut self, result: Result<Sequence>) {
        if let Some(done) = self.done.take() {
            done.complete(result);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.complete(Err(Error::Poisoned("a writer panicked".into())));
    }
}

/// Writes a group, and gives the sequence number of the last operation of each.
pub(crate) trait Commit {
    /// The sequence number before the first operation of the group.
    fn commit(&self, group: &[Request]) -> Result<Sequence>;
    /// Does what is due from time to time, and says when to ask again; none if there will be nothing to do until
    /// [`rouse`](Queue::rouse) is called.
    fn tick(&self) -> Option<Duration>;
}

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Where the log thread waits.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<Request>,
    led: bool,
    /// The log thread has been woken and has not looked yet.
    roused: bool,
    closed: bool,
}

/// The right to write groups.
struct Lead<'a> {
    queue: &'a Queue,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.queue.hand_over();
    }
}

impl Queue {
    /// Writes a batch, and perhaps others' too. Waits for that.
    pub(crate) fn write(&self, commit: &impl Commit, batch: Batch, durability: Durability) -> Result<Sequence> {
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        if state.led || !state.pending.is_empty() {
            let done = self.push(&mut state, batch, durability, None);
            drop(state);
            return self.wait(commit, &done, durability != Durability::Always);
        }
        state.led = true;
        drop(state);
        let lead = Lead { queue: self };
        let own = [Request { batch, durability, done: None }];
        let result = commit.commit(&own).map(|before| before + own[0].batch.len() as u64);
        lead.serve(commit, if durability == Durability::Always { 0 } else { ROUNDS });
        result
    }

    /// Puts a batch into the queue. Waits for nothing.
    pub(crate) fn submit(
        &self,
        batch: Batch,
        durability: Durability,
        callback: Option<Callback>,
    ) -> Result<Arc<Completion>> {
        let mut state = self.state();
        if state.closed {
            return Err(closed());
        }
        let done = self.push(&mut state, batch, durability, callback);
        if !state.led && !state.roused {
            state.roused = true;
            self.idle.notify_one();
        }
        Ok(done)
    }

    /// Waits until a batch is written; writes it if nobody else does. `soon` says that this is not expected to take long.
    pub(crate) fn wait(&self, commit: &impl Commit, done: &Completion, soon: bool) -> Result<Sequence> {
        let mut state = self.state();
        if !state.led && !done.is_done() {
            state.led = true;
            drop(state);
            Lead { queue: self }.serve(commit, ROUNDS);
        } else {
            // Still under the queue's lock: the leader looks for waiting ones under it.
            done.stage().waits = true;
            drop(state);
            if done.wait_or_lead(soon) {
                Lead { queue: self }.serve(commit, ROUNDS);
            }
        }
        done.result().expect("the leader has written everything that was in the queue")
    }

    /// Writes what is in the queue. Gives whether there was anything.
    pub(crate) fn serve_once(&self, commit: &impl Commit) -> bool {
        let mut state = self.state();
        if state.led || state.pending.is_empty() {
            return false;
        }
        state.led = true;
        drop(state);
        Lead { queue: self }.serve(commit, ROUNDS);
        true
    }

    /// The log thread's life: serves what was submitted, until the queue is closed and empty.
    pub(crate) fn serve_all(&self, commit: &impl Commit) {
        loop {
            let again = commit.tick();
            let mut state = self.state();
            // Whoever leads finds out itself whether there is more to do, and rouses this thread if so.
            let has_work = |state: &State| !state.led && !state.pending.is_empty();
            if !has_work(&state) && !state.closed && !state.roused {
                state = match again {
                    Some(time) => self.idle.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
                    None => self.idle.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
            }
            state.roused = false;
            if has_work(&state) {
                state.led = true;
                drop(state);
                Lead { queue: self }.serve(commit, ROUNDS);
            } else if state.closed {
                return;
            }
        }
    }

    /// Lets the log thread ask what is due.
    pub(crate) fn rouse(&self) {
        self.state().roused = true;
        self.idle.notify_one();
    }

    /// Takes nothing in from now on.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.idle.notify_all();
    }

    fn push(
        &self,
        state: &mut State,
        batch: Batch,
        durability: Durability,
        callback: Option<Callback>,
    ) -> Arc<Completion> {
        let done = Arc::new(Completion::new(callback));
        state.pending.push(Request { batch, durability, done: Some(done.clone()) });
        done
    }

    /// Ends a leadership: the next is whoever waits in the queue, or else the log thread.
    fn hand_over(&self) {
        let mut state = self.state();
        for request in &state.pending {
            if request.done.as_ref().is_some_and(|done| done.appoint()) {
                return;
            }
        }
        state.led = false;
        if !state.pending.is_empty() && !state.roused {
            state.roused = true;
            self.idle.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead<'_> {
    /// Writes so many groups, if there are any, and fewer if one of them was synced.
    fn serve(self, commit: &impl Commit, rounds: usize) {
        for _ in 0..rounds {
            let mut group = std::mem::take(&mut self.queue.state().pending);
            if group.is_empty() {
                break;
            }
            let synced = group.iter().any(|request| request.durability == Durability::Always);
            match commit.commit(&group) {
                Ok(before) => {
                    let mut last = before;
                    for request in &mut group {
                        last += request.batch.len() as u64;
                        request.complete(Ok(last));
                    }
                }
                Err(error) => group.iter_mut().for_each(|request| request.complete(Err(error.clone()))),
            }
            if synced {
                break;
            }
        }
    }
}

fn closed() -> Error {
    Error::Invalid("the database is closed")
}
