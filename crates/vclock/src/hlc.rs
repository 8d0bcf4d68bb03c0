//! Owns the hybrid logical clock: the strictly increasing timestamps of one actor. Deliberately reads no wall clock and
//! keeps nothing durable: the caller brings the wall time and leases the ceiling.

use crate::{Error, Timestamp};

/// A hybrid logical clock: it follows the wall clock when it can, and counts when the wall clock stands still, goes back or
/// lags behind what has been observed.
///
/// From Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks" (OPODIS 2014), in their compact form of 64
/// bits, where a full counter carries into the physical part. Two things are added. A *drift bound*: a remote timestamp too far ahead of the wall clock is refused, so that one broken clock
/// cannot carry away all others. A *leased ceiling*: nothing is minted above it, so a caller that makes each ceiling
/// durable before raising to it can restart with the last ceiling as the floor and never mint a timestamp twice.
///
/// The local wall clock is *not* judged here: a wall clock that leaps ahead shows as [`Error::CeilingReached`] with a far
/// `needed`, and who raises the ceiling decides.
///
/// ```
/// use kvorum_vclock::{Error, Hlc, Timestamp};
///
/// let mut clock = Hlc::new(Timestamp::MIN, Timestamp::from_parts(2_000, 0), 500);
/// let first = clock.mint(1_000)?;
/// let second = clock.mint(900)?; // the wall clock went back
/// assert!(second > first);
///
/// assert_eq!(clock.mint(3_000), Err(Error::CeilingReached { needed: Timestamp::from_parts(3_000, 0) }));
/// clock.raise_ceiling(Timestamp::from_parts(4_000, 0)); // once that is durable
/// assert_eq!(clock.mint(3_000)?.millis(), 3_000);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hlc {
    last: Timestamp,
    ceiling: Timestamp,
    max_drift_ms: u64,
}

impl Hlc {
    /// A clock that mints strictly above `floor` and never above `ceiling`, and accepts remote timestamps up to
    /// `max_drift_ms` milliseconds ahead of the wall clock.
    ///
    /// A ceiling at or below the floor is allowed: then nothing is minted until it is raised.
    #[must_use]
    pub const fn new(floor: Timestamp, ceiling: Timestamp, max_drift_ms: u64) -> Self {
        Self { last: floor, ceiling, max_drift_ms }
    }

    /// A timestamp for a new event, strictly above everything minted or observed before and not below the wall time.
    ///
    /// # Errors
    ///
    /// [`Error::CeilingReached`] if the ceiling must be raised first; [`Error::Overflow`] if no larger timestamp exists
    /// or `wall_ms` is above [`Timestamp::MAX_MILLIS`]. The clock is unchanged then.
    pub fn mint(&mut self, wall_ms: u64) -> Result<Timestamp, Error> {
        self.mint_above(Timestamp::MIN, wall_ms)
    }

    /// Like [`Hlc::mint`], and also strictly above `above`: the timestamp of a write that has to come after one already
    /// stored.
    ///
    /// # Errors
    ///
    /// Those of [`Hlc::mint`], and [`Error::ClockDrift`] if only a timestamp beyond the drift bound would do: others
    /// would refuse the write, and this clock would stay ahead for good. The clock is unchanged then.
    pub fn mint_above(&mut self, above: Timestamp, wall_ms: u64) -> Result<Timestamp, Error> {
        // What this clock has passed already cannot carry it away any further.
        if above > self.last {
            self.check_drift(above, wall_ms)?;
        }
        let newest = self.last.max(above);
        if newest == Timestamp::MAX || wall_ms > Timestamp::MAX_MILLIS {
            return Err(Error::Overflow);
        }
        let minted = newest.next().max(Timestamp::from_parts(wall_ms, 0));
        if minted > self.ceiling {
            return Err(Error::CeilingReached { needed: minted });
        }
        assert!(minted > self.last, "minted timestamps increase strictly");
        self.last = minted;
        Ok(minted)
    }

    /// Takes note of a timestamp received from elsewhere, so that later ones minted here are above it. It may lie above
    /// the ceiling; minting then waits for a higher one.
    ///
    /// # Errors
    ///
    /// [`Error::ClockDrift`] if `remote` is more than the drift bound ahead of the wall clock. The clock is unchanged
    /// then.
    pub fn observe(&mut self, remote: Timestamp, wall_ms: u64) -> Result<(), Error> {
        self.check_drift(remote, wall_ms)?;
        self.last = self.last.max(remote);
        Ok(())
    }

    /// Allows minting up to `ceiling`, which the caller has made durable. Never lowers the ceiling.
    pub fn raise_ceiling(&mut self, ceiling: Timestamp) {
        self.ceiling = self.ceiling.max(ceiling);
    }

    /// The largest timestamp minted or observed, at first the floor. Everything minted later is above it.
    #[must_use]
    pub const fn last(&self) -> Timestamp {
        self.last
    }

    /// The largest timestamp that may be minted.
    #[must_use]
    pub const fn ceiling(&self) -> Timestamp {
        self.ceiling
    }

    /// Whether `remote` is within the drift bound of the wall clock.
    fn check_drift(&self, remote: Timestamp, wall_ms: u64) -> Result<(), Error> {
        let ahead_ms = remote.millis().saturating_sub(wall_ms);
        if ahead_ms > self.max_drift_ms {
            return Err(Error::ClockDrift { ahead_ms, max_ms: self.max_drift_ms });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
