//! Owns the settings of a [`Gossip`](crate::Gossip) and their limits. Where they come from (a file,
//! a command line) is the caller's business.

use core::time::Duration;

use crate::error::Error;

/// How often a node gossips, with how many, and how patient it is.
///
/// All members of a cluster should use the same values; nothing breaks if they do not, but the more
/// impatient ones then witness failures that the others do not see yet.
///
/// ```
/// use core::time::Duration;
/// use kvorum_gossip::Config;
///
/// let config = Config { suspect_after: Duration::from_secs(5), ..Config::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Mean time from one round to the next; each is drawn within a tenth of it, so that nodes
    /// started together do not stay in step. More than zero.
    ///
    /// Default 200 ms: news reaches 50 nodes in about half a second and 1000 in about one, while
    /// the traffic is `fan_out` exchanges five times a second whatever the size of the cluster.
    pub round_interval: Duration,
    /// How many random live members a round contacts. At least 1.
    ///
    /// Default 3: a message in five may be lost and news still reaches everybody in
    /// O(log members) rounds. Traffic grows in proportion, the number of rounds falls only with
    /// the logarithm, so a larger value buys little.
    pub fan_out: usize,
    /// A heartbeat that has not risen for so long makes this node a witness against its member. At
    /// least two round intervals.
    ///
    /// Default 2 s, which is ten rounds: a counter of a live member is late by a few rounds at
    /// most, and a dead one is noticed before its clients give up. First-hand
    /// [`Evidence::Failed`](crate::Evidence::Failed) cuts the wait to a quarter.
    pub suspect_after: Duration,
    /// Members that have been down or left for so long, and are not
    /// [kept](crate::Gossip::keep), are forgotten. For as long again what was known of them is not
    /// believed when somebody else repeats it. At least `suspect_after`.
    ///
    /// Default 24 h: longer than the usual outage, so that a node returning from one is still known,
    /// and far longer than any difference in when the members noticed.
    pub forget_after: Duration,
    /// While other members are live, one round in so many also contacts a member that is not, so
    /// that the two sides of a partition find each other again. At least 1.
    ///
    /// Default 5: each node tries once a second, so even two nodes meet soon after the network heals,
    /// and the dead cost little.
    pub retry_every: u32,
    /// While other members are live, one round in so many also contacts a seed, so that two islands
    /// founded from overlapping seeds become one cluster. At least 1.
    ///
    /// Default 25: every five seconds. Seeds carry this traffic from all nodes.
    pub seed_every: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            round_interval: Duration::from_millis(200),
            fan_out: 3,
            suspect_after: Duration::from_secs(2),
            forget_after: Duration::from_secs(24 * 60 * 60),
            retry_every: 5,
            seed_every: 25,
        }
    }
}

impl Config {
    /// Checks every limit stated at the fields.
    ///
    /// # Errors
    ///
    /// The first limit that does not hold.
    pub fn validate(&self) -> Result<(), Error> {
        if self.round_interval.is_zero() {
            return Err(Error::RoundIntervalZero);
        }
        if self.fan_out == 0 {
            return Err(Error::FanOutZero);
        }
        if self.suspect_after < self.round_interval.saturating_mul(2) {
            return Err(Error::SuspectAfterTooShort {
                suspect_after: self.suspect_after,
                round_interval: self.round_interval,
            });
        }
        if self.forget_after < self.suspect_after {
            return Err(Error::ForgetAfterTooShort {
                forget_after: self.forget_after,
                suspect_after: self.suspect_after,
            });
        }
        if self.retry_every == 0 || self.seed_every == 0 {
            return Err(Error::EveryZeroRounds);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_what_their_documentation_says() {
        let config = Config::default();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.round_interval, Duration::from_millis(200));
        assert_eq!(config.fan_out, 3);
        assert_eq!(config.suspect_after, config.round_interval * 10);
        assert_eq!(config.forget_after, Duration::from_secs(86_400));
        assert_eq!(config.round_interval * config.retry_every, Duration::from_secs(1));
        assert_eq!(config.round_interval * config.seed_every, Duration::from_secs(5));
    }

    #[test]
    fn each_limit_is_checked() {
        let good = Config::default;
        let round_interval = Duration::ZERO;
        assert_eq!(Config { round_interval, ..good() }.validate(), Err(Error::RoundIntervalZero));
        assert_eq!(Config { fan_out: 0, ..good() }.validate(), Err(Error::FanOutZero));
        let suspect_after = Duration::from_millis(399);
        assert!(matches!(Config { suspect_after, ..good() }.validate(), Err(Error::SuspectAfterTooShort { .. })));
        let forget_after = Duration::from_millis(1999);
        assert!(matches!(Config { forget_after, ..good() }.validate(), Err(Error::ForgetAfterTooShort { .. })));
        assert_eq!(Config { retry_every: 0, ..good() }.validate(), Err(Error::EveryZeroRounds));
        assert_eq!(Config { seed_every: 0, ..good() }.validate(), Err(Error::EveryZeroRounds));
    }
}
