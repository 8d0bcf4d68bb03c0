//! Owns the threads of a database: they are joined before it is gone.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

#[derive(Default)]
pub(crate) struct Threads(Mutex<Vec<JoinHandle<()>>>);

impl Threads {
    pub(crate) fn spawn(&self, name: &str, life: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = Builder::new().name(name.to_owned()).spawn(life)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Waits until they have all ended; a thread that calls this does not wait for itself.
    pub(crate) fn join(&self) {
        let threads = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.thread().id() != std::thread::current().id() {
                // A panic has been reported by the thread itself, and the database is poisoned.
                let _ = thread.join();
            }
        }
    }
}

/// Lets this thread go behind others when there are not processors enough for all. Who compacts for seconds would otherwise keep readers
/// waiting for whole time slices of the scheduler, again and again; and who writes faster than is compacted is slowed down all the same.
#[cfg(target_os = "linux")]
pub(crate) fn stand_back() {
    /// Of 19.
    const NICENESS: i32 = 10;
    // On Linux this is the thread alone. If it is refused the thread works as others do.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Elsewhere a thread has no priority of its own that could be lowered in so simple a way.
#[cfg(not(target_os = "linux"))]
pub(crate) fn stand_back() {}
