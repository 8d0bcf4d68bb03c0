//! How other threads reach a shard thread: the log thread, the disk pool, the control thread, other shard threads.
//! Mail is posted in batches and read in batches; nobody but the shard thread runs shard code.

use std::sync::{Mutex, PoisonError};

use kvorum_node::{ClientRef, Input, Response};
use tokio::sync::Notify;

/// What arrives.
#[derive(Debug)]
pub(crate) enum Mail {
    /// For the shard.
    Input(Input),
    /// For a client of this thread, from another thread's shard.
    Reply(ClientRef, Response),
    /// Finish what is under way and take no more requests.
    Drain,
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Vec<Mail>>,
    arrived: Notify,
}

impl Mailbox {
    pub(crate) fn post(&self, mail: impl IntoIterator<Item = Mail>) {
        let mut waiting = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = waiting.is_empty();
        waiting.extend(mail);
        if was_empty && !waiting.is_empty() {
            drop(waiting);
            self.arrived.notify_one();
        }
    }

    /// Waits for mail, and takes all of it.
    pub(crate) async fn take(&self) -> Vec<Mail> {
        loop {
            let mail = std::mem::take(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner));
            if !mail.is_empty() {
                return mail;
            }
            self.arrived.notified().await;
        }
    }
}
