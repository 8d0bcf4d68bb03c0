//! Owns the settings of a [`Gossip`](crate::Gossip) and their limits. Where they come from (a file, a command line) is
//! the caller's business.

use core::time::Duration;

use crate::error::Error;

/// The most rings of watchers.
const MAX_WATCHERS: usize = 16;
/// The longest entry with the longest head around it fits.
const MIN_MESSAGE_BYTES: usize = 1200;

/// How often a node gossips, with how many, and how patient it is.
///
/// All members of a cluster should use the same values. Nothing breaks if they do not, but the more impatient ones then
/// witness failures that the others do not see yet.
///
/// ```
/// use kvorum_gossip::Config;
///
/// let config = Config { fan_out: 4, ..Config::default() };
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Mean time from one round to the next; each is drawn within a tenth of it, so that nodes started together do not
    /// stay in step. At least a millisecond.
    ///
    /// Default 200 ms.
    pub round_interval: Duration,
    /// How many random live members a round contacts. At least 1.
    ///
    /// Default 3: a message in five may be lost and news still reaches everybody in O(log members) rounds. Traffic grows
    /// in proportion, the number of rounds falls only with the logarithm, so a larger value buys little.
    pub fan_out: usize,
    /// By how many others each member is watched: contacted in every round, so that its silence is noticed at first
    /// hand. At most 16. With 0 nobody is watched, and failures are noticed by [`Evidence`](crate::Evidence) alone.
    ///
    /// Default 4: two must testify, and two of the watchers may be dead, cut off or slow themselves.
    pub watchers: usize,
    /// How unlikely a silence must be before a watcher suspects: it has lasted for `phi * ln(10)` times the mean interval
    /// between the signs of life that this watcher has seen (Hayashibara et al. 2004, with Cassandra's exponential tail).
    ///
    /// Default 4: about nine rounds while nothing is lost, about fourteen when a fifth of all messages is.
    pub phi: f64,
    /// No silence shorter than this is suspicious, however regular the member was. At least two round intervals.
    ///
    /// Default 1.6 s, which is eight rounds.
    pub suspect_after_min: Duration,
    /// Every silence longer than this is suspicious, however irregular the member was; a node that is slow itself waits
    /// up to nine times as long, and one that was wrong about a member for longer still.
    ///
    /// Default 10 s.
    pub suspect_after_max: Duration,
    /// How many first-hand witnesses make a member [`Down`](crate::State::Down): 1 or 2.
    ///
    /// Default 2: with 1, a node that cannot hear one other condemns it in the name of all.
    pub witnesses: u32,
    /// Whether a node doubts itself (Lifeguard, Dadgar et al. 2018): is more patient while its own rounds come late, its
    /// messages go unanswered or it is suspected; excuses everybody for the time in which it did not run; and when it hears
    /// nobody at all, takes that for its own fault.
    ///
    /// Default true. Turn it off to measure what it is good for.
    pub lifeguard: bool,
    /// Members that have been down or left for so long, and are not [kept](crate::Gossip::keep), are forgotten. For as
    /// long again what was known of them is not believed when somebody else repeats it. At least `suspect_after_max`.
    ///
    /// Default 24 h: longer than the usual outage, so that a node returning from one is still known, and far longer than
    /// any difference in when the members noticed.
    pub forget_after: Duration,
    /// While other members are live, one round in so many also contacts a member that is not, so that the two sides of a
    /// partition find each other again. At least 1.
    ///
    /// Default 5: each node tries once a second.
    pub retry_every: u32,
    /// While other members are live, one round in so many also contacts a seed, so that two islands founded from
    /// overlapping seeds become one cluster. At least 1.
    ///
    /// Default 25: every five seconds. Seeds carry this traffic from all nodes.
    pub seed_every: u32,
    /// A change is told `retell * log2(members + 1)` times by each node that learns of it. At least 1.
    ///
    /// Default 1: with each message of some fourteen in a round that is enough to reach nearly all, and what news misses the
    /// comparison of lists finds a moment later. Traffic while much changes grows in proportion.
    pub retell: u32,
    /// The largest message, with its [`Envelope`](crate::Envelope). At least 1 200.
    ///
    /// Default 1 400: it fits a datagram on any usual network.
    pub message_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            round_interval: Duration::from_millis(200),
            fan_out: 3,
            watchers: 4,
            phi: 4.0,
            suspect_after_min: Duration::from_millis(1600),
            suspect_after_max: Duration::from_secs(10),
            witnesses: 2,
            lifeguard: true,
            forget_after: Duration::from_secs(24 * 60 * 60),
            retry_every: 5,
            seed_every: 25,
            retell: 1,
            message_bytes: 1400,
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
        let (min, max) = (self.suspect_after_min, self.suspect_after_max);
        if self.round_interval < Duration::from_millis(1) {
            return Err(Error::RoundIntervalTooShort(self.round_interval));
        }
        if self.fan_out == 0 {
            return Err(Error::FanOutZero);
        }
        if self.watchers > MAX_WATCHERS {
            return Err(Error::TooManyWatchers { watchers: self.watchers, limit: MAX_WATCHERS });
        }
        if !(0.5..=100.0).contains(&self.phi) {
            return Err(Error::PhiOutOfRange(self.phi));
        }
        if min < self.round_interval.saturating_mul(2) || max < min {
            return Err(Error::SuspectAfterOutOfRange { min, max, round_interval: self.round_interval });
        }
        if !(1..=2).contains(&self.witnesses) {
            return Err(Error::WitnessesOutOfRange(self.witnesses));
        }
        if self.forget_after < max {
            return Err(Error::ForgetAfterTooShort { forget_after: self.forget_after, max });
        }
        if self.retry_every == 0 || self.seed_every == 0 || self.retell == 0 {
            return Err(Error::Zero);
        }
        if self.message_bytes < MIN_MESSAGE_BYTES {
            return Err(Error::MessageBytesTooFew { message_bytes: self.message_bytes, limit: MIN_MESSAGE_BYTES });
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
        assert_eq!((config.fan_out, config.watchers, config.witnesses, config.retell), (3, 4, 2, 1));
        assert_eq!(config.suspect_after_min, config.round_interval * 8);
        assert_eq!(config.suspect_after_max, Duration::from_secs(10));
        assert_eq!(config.forget_after, Duration::from_secs(86_400));
        assert_eq!(config.round_interval * config.retry_every, Duration::from_secs(1));
        assert_eq!(config.round_interval * config.seed_every, Duration::from_secs(5));
        assert_eq!(config.message_bytes, 1400);
        assert!(config.lifeguard && config.phi == 4.0);
    }

    #[test]
    fn each_limit_is_checked() {
        let good = Config::default;
        let refused = |config: Config| config.validate().unwrap_err();
        let nothing = Duration::ZERO;
        let too_short = Error::RoundIntervalTooShort(nothing);
        assert_eq!(refused(Config { round_interval: nothing, ..good() }), too_short);
        assert_eq!(refused(Config { fan_out: 0, ..good() }), Error::FanOutZero);
        let many = Error::TooManyWatchers { watchers: 17, limit: 16 };
        assert_eq!(refused(Config { watchers: 17, ..good() }), many);
        for phi in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(refused(Config { phi, ..good() }), Error::PhiOutOfRange(_)));
        }
        for (min, max) in [(399, 10_000), (3000, 2999)] {
            let (suspect_after_min, suspect_after_max) = (Duration::from_millis(min), Duration::from_millis(max));
            let error = refused(Config { suspect_after_min, suspect_after_max, ..good() });
            assert!(matches!(error, Error::SuspectAfterOutOfRange { .. }), "{error}");
        }
        for witnesses in [0, 3] {
            assert_eq!(refused(Config { witnesses, ..good() }), Error::WitnessesOutOfRange(witnesses));
        }
        let forget_after = Duration::from_millis(9999);
        assert!(matches!(refused(Config { forget_after, ..good() }), Error::ForgetAfterTooShort { .. }));
        assert_eq!(refused(Config { retry_every: 0, ..good() }), Error::Zero);
        assert_eq!(refused(Config { seed_every: 0, ..good() }), Error::Zero);
        assert_eq!(refused(Config { retell: 0, ..good() }), Error::Zero);
        assert!(matches!(refused(Config { message_bytes: 1199, ..good() }), Error::MessageBytesTooFew { .. }));
    }
}
