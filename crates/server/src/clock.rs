//! The shell's clock: the one place that reads the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For tests only: how far the wall clock is off, in milliseconds.
const TEST_OFFSET: &str = "KVORUM_TEST_CLOCK_OFFSET_MS";

use kvorum_node::Now;

/// Time since the process's machines began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    offset_ms: i64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let offset_ms = std::env::var(TEST_OFFSET).ok().and_then(|offset| offset.parse().ok()).unwrap_or(0);
        if offset_ms != 0 {
            tracing::warn!("{TEST_OFFSET} is set: the wall clock is read with an offset of {offset_ms} ms");
        }
        Self { epoch: Instant::now(), offset_ms }
    }

    pub(crate) fn now(self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX).saturating_add_signed(self.offset_ms);
        Now { elapsed: self.epoch.elapsed(), unix_ms }
    }

    /// Sleeps until a machine's moment; for ever when it has none.
    pub(crate) async fn sleep_until(self, at: Option<Duration>) {
        match at {
            Some(at) => tokio::time::sleep_until((self.epoch + at).into()).await,
            None => std::future::pending().await,
        }
    }
}
