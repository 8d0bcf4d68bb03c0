//! The shell's clock: the one place that reads the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kvorum_node::Now;

/// Time since the process's machines began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    pub(crate) fn now(self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { elapsed: self.epoch.elapsed(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Sleeps until a machine's moment; for ever when it has none.
    pub(crate) async fn sleep_until(self, at: Option<Duration>) {
        match at {
            Some(at) => tokio::time::sleep_until((self.epoch + at).into()).await,
            None => std::future::pending().await,
        }
    }
}
