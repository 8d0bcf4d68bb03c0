//! Owns what is to be done in the background and who does it: threads, or the caller, one job at a time. A job is found when
//! somebody is free, in the order of its urgency; what it does is the database's business.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::compaction::busy::Busy;
use crate::compaction::pick::Pick;

mod threads;

pub(crate) use threads::{Threads, stand_back};

/// Who does the background work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// One thread for the log, and as many workers as [`Options::workers`](crate::Options::workers) says.
    Threads,
    /// Whoever calls [`Db::run_one`](crate::Db::run_one). No thread is started and no clock is read, so that everything happens in an
    /// order that the caller decides. A write that has to wait for background work does that work itself.
    Manual,
}

/// Something to be done.
pub(crate) enum Job {
    /// Write the oldest sealed memtable to a table.
    Flush,
    /// Compact; the number is the reservation to be released.
    Compact(Box<Pick>, u64),
    /// Delete the files of tables that nobody uses any more.
    Clean,
}

/// What is being done, and who waits.
#[derive(Default)]
pub(crate) struct Jobs {
    state: Mutex<State>,
    /// Where workers wait for something to do.
    work: Condvar,
    /// Where others wait for something to be done.
    progress: Condvar,
    /// A memtable waits to be flushed, and nobody has begun.
    flush_waits: AtomicBool,
    closing: AtomicBool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) busy: Busy,
    pub(crate) flushing: bool,
    finished: u64,
}

impl State {
    /// How often something was finished.
    pub(crate) fn finished(&self) -> u64 {
        self.finished
    }
}

impl Jobs {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be something to do.
    pub(crate) fn wake(&self) {
        drop(self.state());
        self.work.notify_all();
    }

    /// A memtable is to be flushed.
    pub(crate) fn want_flush(&self) {
        self.flush_waits.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Whether a long job should let a flush go first.
    pub(crate) fn flush_waits(&self) -> bool {
        self.flush_waits.load(Ordering::Relaxed)
    }

    pub(crate) fn flush_began(&self) {
        self.flush_waits.store(false, Ordering::Relaxed);
    }

    /// Something was done; `change` says what, under the lock.
    pub(crate) fn finish(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.finished += 1;
        drop(state);
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// Waits until `ready` holds, asking again whenever something was done.
    pub(crate) fn wait_until(&self, mut ready: impl FnMut() -> bool) {
        let mut state = self.state();
        while !ready() && !self.is_closing() {
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until more was done than that.
    pub(crate) fn wait_for_more(&self, finished: u64) {
        let mut state = self.state();
        while state.finished == finished && !self.is_closing() {
            state = self.progress.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No job is begun from now on, and long ones stop.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        drop(self.state());
        self.work.notify_all();
        self.progress.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// A worker's life: does what `next` finds, until the end.
    pub(crate) fn serve(self: &Arc<Self>, next: impl Fn(&mut State) -> Option<Job>, mut perform: impl FnMut(Job)) {
        while !self.is_closing() {
            let mut state = self.state();
            let job = loop {
                if self.is_closing() {
                    return;
                }
                match next(&mut state) {
                    Some(job) => break job,
                    None => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            };
            drop(state);
            perform(job);
        }
    }
}
