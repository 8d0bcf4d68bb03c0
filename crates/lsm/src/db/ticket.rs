//! Owns what a writer gets that does not want to wait: the outcome, later.

use core::fmt;
use std::sync::Arc;

use super::engine::Engine;
use crate::batch::Batch;
use crate::error::Result;
use crate::key::Sequence;
use crate::options::Durability;
use crate::write::{Callback, Completion};

/// A batch that was handed over. It is written whether or not the ticket is kept.
pub struct Ticket {
    engine: Arc<Engine>,
    done: Arc<Completion>,
}

impl Ticket {
    pub(super) fn submit(
        engine: &Arc<Engine>,
        batch: Batch,
        durability: Durability,
        callback: Option<Callback>,
    ) -> Result<Self> {
        let done = engine.queue.submit(batch, durability, callback)?;
        Ok(Self { engine: engine.clone(), done })
    }

    /// The number of the batch's last operation once it is written, or why that failed; none as long as that is open.
    #[must_use]
    pub fn poll(&self) -> Option<Result<Sequence>> {
        self.done.result()
    }

    /// Waits for the outcome.
    ///
    /// # Errors
    /// As of [`Db::write`](crate::Db::write).
    pub fn wait(self) -> Result<Sequence> {
        self.engine.queue.wait(&*self.engine, &self.done, false)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("outcome", &self.poll()).finish_non_exhaustive()
    }
}
