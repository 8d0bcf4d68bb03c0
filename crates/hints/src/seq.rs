//! [`Seq`]: the number of a hint, which orders it and dates it. Minting the next one is here as well.

/// How many of the lower bits are a counter.
const COUNTER_BITS: u32 = 20;

/// The number of a hint. Later hints of one [`Hints`](crate::Hints) have larger numbers.
///
/// The upper 44 bits are the milliseconds since the Unix epoch at which the hint was kept, the lower
/// 20 a counter. When the wall clock goes back, or more than a million hints are kept in a
/// millisecond, numbers go on rising by one: the order is exact, the date at least about right.
///
/// Written as eight bytes in big-endian order, numbers sort as they should in a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// When the hint was kept, in milliseconds since the Unix epoch.
    pub fn unix_ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// The first number of that millisecond. Times after the year 2527 count as the last that fits.
    pub(crate) fn first_of(unix_ms: u64) -> Self {
        Self(unix_ms.min(u64::MAX >> COUNTER_BITS) << COUNTER_BITS)
    }

    /// The number to be minted after `last`; `None` when there is none left.
    pub(crate) fn next(last: Option<Self>, unix_ms: u64) -> Option<Self> {
        let first = Self::first_of(unix_ms);
        last.map_or(Some(first), |last| Some(first.max(Self(last.0.checked_add(1)?))))
    }

    /// The number before this one; `None` when it is the first.
    pub(crate) fn before(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// The number after `this`; the last number has none and is its own.
    pub(crate) fn after(this: Option<Self>) -> Self {
        this.map_or(Self(0), |this| Self(this.0.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_tells_its_millisecond() {
        let seq = Seq::next(None, 1_700_000_000_123).expect("there are numbers left");
        assert_eq!((seq.unix_ms(), seq.0 & 0xf_ffff), (1_700_000_000_123, 0));
        let next = Seq::next(Some(seq), 1_700_000_000_123).expect("there are numbers left");
        assert_eq!((next.unix_ms(), next.0 & 0xf_ffff), (1_700_000_000_123, 1));
    }

    #[test]
    fn numbers_rise_when_the_clock_goes_back_or_the_counter_is_full() {
        let full = Seq((77 << 20) | 0xf_ffff);
        assert_eq!(Seq::next(Some(full), 77), Some(Seq(78 << 20)));
        assert_eq!(Seq::next(Some(full), 5), Some(Seq(78 << 20)));
        assert_eq!(Seq::next(Some(full), 80), Some(Seq(80 << 20)));
    }

    #[test]
    fn numbers_end_and_do_not_wrap() {
        assert_eq!(Seq::next(Some(Seq(u64::MAX)), 1), None);
        assert_eq!(Seq::next(None, u64::MAX).map(Seq::unix_ms), Some((1 << 44) - 1));
        assert_eq!(Seq(0).before(), None);
        assert_eq!(Seq::after(Some(Seq(u64::MAX))), Seq(u64::MAX));
        assert_eq!(Seq::after(None), Seq(0));
    }
}
