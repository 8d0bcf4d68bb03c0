//! Owns how far a run is: what counts, when it is over, and what has been recorded. The clients ask it before and tell
//! it after each operation.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::recorder::Recorder;

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Live {
    state: Mutex<State>,
    /// Told when the last operation of a run with a number of operations has begun.
    pub(crate) all_begun: Notify,
}

#[derive(Debug)]
struct State {
    /// Absent while warming up.
    counting_since: Option<Instant>,
    /// How many operations may still begin and count, where there is a number of them.
    left: Option<u64>,
    stopped: bool,
    /// Since the last tick.
    interval: Recorder,
}

impl Live {
    pub(crate) fn new(ops: Option<u64>) -> Live {
        let state = State { counting_since: None, left: ops, stopped: false, interval: Recorder::new() };
        Live { state: Mutex::new(state), all_begun: Notify::new() }
    }

    /// The warm-up is over: operations that begin from now on count.
    pub(crate) fn start_counting(&self, now: Instant) {
        self.lock().counting_since = Some(now);
    }

    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
    }

    /// Whether an operation that was to begin at `start` counts; nothing if it is not to begin any more.
    pub(crate) fn begin(&self, start: Instant) -> Option<bool> {
        let mut state = self.lock();
        if state.stopped {
            return None;
        }
        let counts = state.counting_since.is_some_and(|since| start >= since);
        if counts && let Some(left) = &mut state.left {
            *left -= 1;
            if *left == 0 {
                state.stopped = true;
                self.all_begun.notify_one();
            }
        }
        Some(counts)
    }

    /// Hands out what has been recorded in this interval: to add an operation, or to take it all.
    pub(crate) fn recorded<T>(&self, with: impl FnOnce(&mut Recorder) -> T) -> T {
        with(&mut self.lock().interval)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_began_while_warming_up_does_not_count() {
        let live = Live::new(None);
        let start = Instant::now();
        assert_eq!(live.begin(start), Some(false));
        live.start_counting(start + Duration::from_millis(1));
        assert_eq!(live.begin(start), Some(false), "it was to begin before");
        assert_eq!(live.begin(start + Duration::from_millis(1)), Some(true));
        live.stop();
        assert_eq!(live.begin(start + Duration::from_millis(2)), None);
    }

    #[test]
    fn a_number_of_operations_is_kept_exactly() {
        let live = Live::new(Some(3));
        let now = Instant::now();
        assert_eq!(live.begin(now), Some(false));
        live.start_counting(now);
        let counted = (0..10).filter(|_| live.begin(now) == Some(true)).count();
        assert_eq!(counted, 3);
        assert_eq!(live.begin(now), None);
    }
}
