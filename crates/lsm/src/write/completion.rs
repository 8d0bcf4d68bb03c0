//! Owns what one writer waits for: its batch is written, or it is its turn to write.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::key::Sequence;

/// What is called with the outcome.
pub(crate) type Callback = Box<dyn FnOnce(Result<Sequence>) + Send>;

/// The state of a batch in the queue.
pub(crate) struct Completion {
    stage: Mutex<Stage>,
    changed: Condvar,
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
        Self { stage: Mutex::new(stage), changed: Condvar::new() }
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
            self.changed.notify_all();
            return true;
        }
        false
    }

    /// Waits for the outcome (false), or for the leadership (true), which then must be taken.
    pub(super) fn wait_or_lead(&self) -> bool {
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
}
