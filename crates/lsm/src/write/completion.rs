//! Owns what one writer waits for: its batch is written, or it is its turn to write.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::yield_now;

use crate::error::Result;
use crate::key::Sequence;

/// What is called with the outcome.
pub(crate) type Callback = Box<dyn FnOnce(Result<Sequence>) + Send>;

/// Looks before a waiting thread lets others have its processor, and turns that it gives up before it sleeps. A group that is not synced
/// takes a few microseconds, to put a thread to sleep and wake it again takes more. One that is synced takes so long that neither helps.
const LOOKS: usize = 64;
const TURNS: usize = 32;

/// The state of a batch in the queue.
pub(crate) struct Completion {
    stage: Mutex<Stage>,
    changed: Condvar,
    /// There is something new for who waits: see the stage.
    settled: AtomicBool,
}

pub(super) struct Stage {
    result: Option<Result<Sequence>>,
    callback: Option<Callback>,
    /// A thread waits, and can lead.
    pub(super) waits: bool,
    /// It shall.
    leads: bool,
}

impl Completion {
    pub(super) fn new(callback: Option<Callback>) -> Self {
        let stage = Stage { result: None, callback, waits: false, leads: false };
        Self { stage: Mutex::new(stage), changed: Condvar::new(), settled: AtomicBool::new(false) }
    }

    pub(super) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome, if it is known.
    pub(crate) fn result(&self) -> Option<Result<Sequence>> {
        self.stage().result.clone()
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage().result.is_some()
    }

    pub(super) fn complete(&self, result: Result<Sequence>) {
        let mut stage = self.stage();
        let callback = stage.callback.take();
        stage.result = Some(result.clone());
        let waits = stage.waits;
        self.settled.store(true, Ordering::Release);
        drop(stage);
        if waits {
            self.changed.notify_all();
        }
        if let Some(callback) = callback {
            callback(result);
        }
    }

    /// Makes the thread that waits here the leader, if one does.
    pub(super) fn appoint(&self) -> bool {
        let mut stage = self.stage();
        if stage.waits && !stage.leads {
            stage.leads = true;
            self.settled.store(true, Ordering::Release);
            self.changed.notify_all();
            return true;
        }
        false
    }

    /// Waits for the outcome (false), or for the leadership (true), which then must be taken. If it is soon there, without sleeping.
    pub(super) fn wait_or_lead(&self, soon: bool) -> bool {
        if soon {
            self.watch();
        }
        let mut stage = self.stage();
        loop {
            if stage.leads {
                return true;
            }
            if stage.result.is_some() {
                return false;
            }
            stage = self.changed.wait(stage).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Watches for something new, for some microseconds.
    fn watch(&self) {
        for turn in 0..LOOKS + TURNS {
            if self.settled.load(Ordering::Acquire) {
                return;
            }
            if turn < LOOKS { spin_loop() } else { yield_now() }
        }
    }
}
