//! Owns what readers look at: the memtables and the version of this moment, as one immutable thing. A reader takes it in a few
//! nanoseconds and keeps it as long as it likes; a writer exchanges it for the next.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key::Sequence;
use crate::memtable::Memtable;
use crate::version::Version;

/// A memtable that takes nothing in any more and is to be written to a table.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) memtable: Arc<Memtable>,
    /// The last sequence in it.
    pub(crate) last: Sequence,
    /// The first log that holds nothing of it, nor of what is older.
    pub(crate) next_log: u64,
}

/// All there is to read at one moment.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) memtable: Arc<Memtable>,
    /// Newest first.
    pub(crate) sealed: Arc<[Sealed]>,
    pub(crate) version: Arc<Version>,
}

/// Readers of different threads meet here as seldom as this is large.
const SLOTS: usize = 8;

/// A view for some of the threads, with a counter of its users of its own: one that all threads count up and down would cost
/// more than the rest of a read.
#[repr(align(128))]
struct Slot(Mutex<Arc<Share>>);

struct Share {
    view: Arc<View>,
}

/// The view of this moment.
pub(crate) struct Views {
    slots: [Slot; SLOTS],
    /// Held by who makes the next one.
    next: Mutex<()>,
}

/// A view that a reader holds.
#[derive(Clone)]
pub(crate) struct Held(Arc<Share>);

impl Deref for Held {
    type Target = View;

    fn deref(&self) -> &View {
        &self.0.view
    }
}

impl Views {
    pub(crate) fn new(view: View) -> Self {
        let view = Arc::new(view);
        Self { slots: std::array::from_fn(|_| Slot(Mutex::new(share(&view)))), next: Mutex::new(()) }
    }

    /// The view of this moment.
    pub(crate) fn load(&self) -> Held {
        Held(lock(&self.slots[slot()].0).clone())
    }

    /// Makes the next view of this one, for all readers who come from now on.
    pub(crate) fn update(&self, next: impl FnOnce(&View) -> View) {
        let _one_at_a_time = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let view = Arc::new(next(&self.load()));
        for slot in &self.slots {
            let last = std::mem::replace(&mut *lock(&slot.0), share(&view));
            // Memory is given back outside the lock.
            drop(last);
        }
    }
}

fn share(view: &Arc<View>) -> Arc<Share> {
    Arc::new(Share { view: view.clone() })
}

fn lock(slot: &Mutex<Arc<Share>>) -> MutexGuard<'_, Arc<Share>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which slot is this thread's.
fn slot() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    SLOT.with(|slot| {
        if slot.get() == usize::MAX {
            slot.set(THREADS.fetch_add(1, Ordering::Relaxed) % SLOTS);
        }
        slot.get()
    })
}
