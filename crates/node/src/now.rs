//! Time, as the shell tells it.

use core::time::Duration;

/// The moment of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since the machine's own epoch: for deadlines and intervals.
    pub elapsed: Duration,
    /// The wall clock, in milliseconds since the Unix epoch: for dots and expiry. It may jump.
    pub unix_ms: u64,
}
