//! Owns the settings of [`Hints`](crate::Hints). Where they come from (a file, a command line) is the
//! caller's business.

use core::time::Duration;

use crate::Seq;

/// How much is kept, for how long, and how it is sent.
///
/// ```
/// use kvorum_hints::Config;
///
/// let config = Config { bytes: 64 << 20, ..Config::default() };
/// assert_eq!(config.in_flight, 64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many bytes all hints together may have. Nothing is evicted to make room: past this, a hint
    /// is refused, and with it a write that needed this node to stand in.
    ///
    /// Default 1 GiB: half an hour of 500 KiB a second, which outlasts a restart or an upgrade.
    pub bytes: u64,
    /// A spare hint older than this is dropped undelivered. Owed ones are kept however old they are.
    ///
    /// Default 3 h: after a longer absence most keys were written again anyhow, and comparing the
    /// replicas costs less than sending every write.
    pub max_age: Duration,
    /// How many hints may be sent to one target and not answered; at least 1, and 0 counts as 1.
    ///
    /// Default 64: it hides the round trip, and a returning node has no more than these from each
    /// holder to deal with at once.
    pub in_flight: usize,
    /// How many bytes of hints are sent a second, to all targets together; at least 1, and 0 counts
    /// as 1. A tenth of a second's worth may be sent at once.
    ///
    /// Default 32 MiB: a full store is sent in half a minute, and clients keep most of the network.
    pub bytes_per_second: u64,
    /// How long a target is left alone after a failed delivery, or after its hints could not be read.
    /// It doubles with each failure in a row, up to 30 s (or up to this value, if it is longer). At
    /// least 1 ms, and less counts as 1 ms.
    ///
    /// Default 500 ms: a target that is up and fails is overloaded, or gone and not yet known to be.
    pub retry_after: Duration,
    /// How many rows are read at a time; at least 1, and 0 counts as 1. So many numbers are held in
    /// memory per target, beside `in_flight`.
    ///
    /// Default 256: a read serves four full windows of hints.
    pub page: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            max_age: Duration::from_secs(3 * 60 * 60),
            in_flight: 64,
            bytes_per_second: 32 << 20,
            retry_after: Duration::from_millis(500),
            page: 256,
        }
    }
}

impl Config {
    /// The same with what cannot work raised to the least that does.
    pub(crate) fn raised(self) -> Self {
        Self {
            in_flight: self.in_flight.max(1),
            bytes_per_second: self.bytes_per_second.max(1),
            retry_after: self.retry_after.max(Duration::from_millis(1)),
            page: self.page.max(1),
            ..self
        }
    }

    /// Spare hints before this number are too old at that time.
    pub(crate) fn too_old_before(&self, unix_ms: u64) -> Seq {
        let max_age_ms = u64::try_from(self.max_age.as_millis()).unwrap_or(u64::MAX);
        Seq::first_of(unix_ms.saturating_sub(max_age_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_their_documentation_says() {
        let config = Config::default();
        assert_eq!(config.bytes, 1_073_741_824);
        assert_eq!(config.max_age, Duration::from_secs(10_800));
        assert_eq!((config.in_flight, config.page), (64, 256));
        assert_eq!(config.bytes_per_second, 33_554_432);
        assert_eq!(config.retry_after, Duration::from_millis(500));
        assert_eq!(config.raised(), config);
    }

    #[test]
    fn zeroes_are_raised_to_the_least_that_works() {
        let zero = Config {
            bytes: 0,
            max_age: Duration::ZERO,
            in_flight: 0,
            bytes_per_second: 0,
            retry_after: Duration::ZERO,
            page: 0,
        };
        let least =
            Config { in_flight: 1, bytes_per_second: 1, retry_after: Duration::from_millis(1), page: 1, ..zero };
        assert_eq!(zero.raised(), least);
    }
}
