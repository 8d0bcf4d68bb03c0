//! Owns the layout of a hybrid logical timestamp in 64 bits. Does not own the clock that mints it: see `Hlc`.

use core::fmt;

/// A hybrid logical timestamp: the upper 48 bits are milliseconds since the Unix epoch (enough until the year 10889),
/// the lower 16 bits a counter that orders events of the same millisecond.
///
/// The order of timestamps is the order of their bits. [`Timestamp::MIN`] means "never" wherever an absent entry has
/// a time. The split into 48 and 16 bits is that of Kulkarni et al., "Logical Physical Clocks" (OPODIS 2014), who take the 48
/// bits from an NTP timestamp.
///
/// ```
/// use kvorum_vclock::Timestamp;
///
/// let t = Timestamp::from_parts(1_000, u16::MAX);
/// assert_eq!(t.next(), Timestamp::from_parts(1_001, 0)); // the counter carries into the milliseconds
/// assert_eq!(t.to_string(), "1000.65535");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

const COUNTER_BITS: u32 = u16::BITS;

impl Timestamp {
    /// The smallest timestamp, which no event ever has.
    pub const MIN: Self = Self(0);

    /// The largest timestamp. Nothing can be minted above it.
    pub const MAX: Self = Self(u64::MAX);

    /// The largest number of milliseconds a timestamp can hold.
    pub const MAX_MILLIS: u64 = u64::MAX >> COUNTER_BITS;

    /// The timestamp with this 64-bit representation. Every pattern is valid.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64-bit representation, ordered as the timestamps are.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The timestamp of a millisecond since the Unix epoch and a counter within it.
    ///
    /// More than [`Timestamp::MAX_MILLIS`] saturates to [`Timestamp::MAX`], so the function never reverses an order.
    #[must_use]
    pub const fn from_parts(millis: u64, counter: u16) -> Self {
        if millis > Self::MAX_MILLIS {
            return Self::MAX;
        }
        // Widening only: `u64::from` is not const.
        Self((millis << COUNTER_BITS) | counter as u64)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The counter within the millisecond.
    #[must_use]
    pub const fn counter(self) -> u16 {
        // The mask makes the truncation exact.
        (self.0 & 0xFFFF) as u16
    }

    /// The next larger timestamp. A full counter carries into the milliseconds; [`Timestamp::MAX`] stays as it is.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Timestamp {
    /// `millis.counter`, both in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis(), self.counter())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_counter_carries_into_the_milliseconds_and_the_end_saturates() {
        assert_eq!(Timestamp::from_parts(7, 3).next(), Timestamp::from_parts(7, 4));
        assert_eq!(Timestamp::from_parts(7, u16::MAX).next(), Timestamp::from_parts(8, 0));
        assert_eq!(Timestamp::MAX.next(), Timestamp::MAX);
        assert_eq!(Timestamp::from_parts(Timestamp::MAX_MILLIS, u16::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_parts(Timestamp::MAX_MILLIS + 1, 0), Timestamp::MAX);
        assert_eq!(Timestamp::from_parts(0, 0), Timestamp::MIN);
    }

    #[test]
    fn it_is_shown_as_millis_dot_counter() {
        assert_eq!(Timestamp::from_parts(1_700_000_000_123, 42).to_string(), "1700000000123.42");
    }

    proptest! {
        #[test]
        fn parts_and_bits_round_trip(bits: u64) {
            let t = Timestamp::from_bits(bits);
            prop_assert_eq!(t.to_bits(), bits);
            prop_assert_eq!(Timestamp::from_parts(t.millis(), t.counter()), t);
        }

        #[test]
        fn the_order_is_by_millis_then_counter(a: u64, b: u64) {
            let (a, b) = (Timestamp::from_bits(a), Timestamp::from_bits(b));
            prop_assert_eq!(a.cmp(&b), (a.millis(), a.counter()).cmp(&(b.millis(), b.counter())));
        }
    }
}
