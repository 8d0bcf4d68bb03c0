//! How other threads reach a shard thread: the log thread, the disk pool, the control thread, other shard threads.
//! Mail is posted in batches and read in batches; nobody but the shard thread runs shard code.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvorum_node::{ClientRef, Input, Response};
use tokio::sync::Notify;

/// What was read from disks may wait here in this many bytes before those who read more wait in turn.
const HEAVY_BYTES: usize = 8 << 20;
/// How long they wait: a shard that has stopped takes no more mail.
const PATIENCE: Duration = Duration::from_secs(1);

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
    state: Mutex<State>,
    arrived: Notify,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    mail: Vec<Mail>,
    /// The weight of what [`Mailbox::post_heavy`] has posted.
    heavy_bytes: usize,
}

impl Mailbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn post(&self, mail: impl IntoIterator<Item = Mail>) {
        self.post_into(self.state(), mail);
    }

    /// Posts what holds much memory, from a thread that may wait: a shard that falls behind is not buried.
    pub(crate) fn post_heavy(&self, mail: Mail, bytes: usize) {
        let is_full = |state: &mut State| state.heavy_bytes > HEAVY_BYTES;
        let room = self.taken.wait_timeout_while(self.state(), PATIENCE, is_full);
        let (mut state, _) = room.unwrap_or_else(PoisonError::into_inner);
        state.heavy_bytes += bytes;
        self.post_into(state, [mail]);
    }

    fn post_into(&self, mut state: MutexGuard<'_, State>, mail: impl IntoIterator<Item = Mail>) {
        let was_empty = state.mail.is_empty();
        state.mail.extend(mail);
        if was_empty && !state.mail.is_empty() {
            drop(state);
            self.arrived.notify_one();
        }
    }

    /// Waits for mail, and takes all of it.
    pub(crate) async fn take(&self) -> Vec<Mail> {
        loop {
            let State { mail, heavy_bytes } = std::mem::take(&mut *self.state());
            if heavy_bytes > HEAVY_BYTES {
                self.taken.notify_all();
            }
            if !mail.is_empty() {
                return mail;
            }
            self.arrived.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn heavy_mail_waits_until_what_came_before_is_taken_and_light_mail_does_not() {
        let mailbox = Arc::new(Mailbox::default());
        mailbox.post_heavy(Mail::Drain, HEAVY_BYTES + 1);
        let other = Arc::clone(&mailbox);
        let poster = std::thread::spawn(move || other.post_heavy(Mail::Drain, 1));
        mailbox.post([Mail::Drain]);
        assert_eq!(mailbox.take().await.len(), 2);
        assert_eq!(mailbox.take().await.len(), 1);
        poster.join().unwrap();
    }

    #[test]
    fn heavy_mail_does_not_wait_for_ever() {
        let mailbox = Mailbox::default();
        mailbox.post_heavy(Mail::Drain, HEAVY_BYTES + 1);
        let start = Instant::now();
        mailbox.post_heavy(Mail::Drain, 1);
        assert!(start.elapsed() >= PATIENCE);
        assert_eq!(mailbox.state().mail.len(), 2);
    }
}
