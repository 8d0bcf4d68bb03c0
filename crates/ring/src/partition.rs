//! Owns the division of the circle into Q equal slices and their names. It does not know who holds
//! a slice.

use core::fmt;

use crate::{Error, Token};

/// The number of a partition, counted clockwise from token 0.
///
/// Its type does not bound it by the number of partitions; ask [`Partitions::contains`] about one
/// that came from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub u16);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The division of the circle into Q slices of equal length (Dynamo, 2007, section 6.2, strategies
/// 2 and 3).
///
/// Q is chosen when a cluster is made and never changes. It is a power of two, so the partition of
/// a token is simply its top bits. More partitions spread load more evenly and move in smaller
/// pieces, fewer cost less to list; the default is 256, which serves some dozens of nodes.
///
/// ```
/// # use kvorum_ring::{PartitionId, Partitions, Token};
/// let partitions = Partitions::new(256)?;
/// assert_eq!(partitions.of(Token(0xabcd_0000_0000_0000)), PartitionId(0xab));
/// assert_eq!(partitions.start(PartitionId(0xab)), Token(0xab00_0000_0000_0000));
/// # Ok::<(), kvorum_ring::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partitions {
    /// Q is two to this power, `0..=16`.
    bits: u32,
}

impl Partitions {
    /// `count` partitions.
    ///
    /// # Errors
    /// [`Error::PartitionCount`] unless `count` is a power of two in `1..=65_536`.
    pub fn new(count: u32) -> Result<Partitions, Error> {
        let bits = count.trailing_zeros();
        if count.is_power_of_two() && bits <= u16::BITS {
            Ok(Partitions { bits })
        } else {
            Err(Error::PartitionCount { count })
        }
    }

    /// Q, the number of partitions.
    #[must_use]
    pub fn count(self) -> u32 {
        1 << self.bits
    }

    /// The partition in which a token lies.
    #[must_use]
    pub fn of(self, token: Token) -> PartitionId {
        // With one partition all 64 bits go, which a plain shift does not allow.
        PartitionId(token.0.checked_shr(u64::BITS - self.bits).unwrap_or(0) as u16)
    }

    /// The first token of a partition.
    ///
    /// # Panics
    /// If the partition is not one of these; ask [`contains`](Self::contains) about an id that came
    /// from outside.
    #[must_use]
    pub fn start(self, partition: PartitionId) -> Token {
        assert!(self.contains(partition), "only a partition of this division has a start here");
        Token(u64::from(partition.0).checked_shl(u64::BITS - self.bits).unwrap_or(0))
    }

    /// Whether there is a partition of this number.
    #[must_use]
    pub fn contains(self, partition: PartitionId) -> bool {
        u32::from(partition.0) < self.count()
    }

    /// Every partition once, clockwise from token 0.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = PartitionId> + Clone {
        let last = self.of(Token(u64::MAX));
        (0..=last.0).map(PartitionId)
    }
}

/// 256 partitions.
impl Default for Partitions {
    fn default() -> Self {
        Partitions { bits: 8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every division there is.
    fn divisions() -> impl Iterator<Item = Partitions> {
        (0..=16).map(|bits| Partitions::new(1 << bits).unwrap())
    }

    #[test]
    fn only_powers_of_two_up_to_65536_are_accepted() {
        for count in 0..=70_000 {
            let wanted = (0..=16).any(|bits| count == 1 << bits);
            assert_eq!(Partitions::new(count).is_ok(), wanted, "{count}");
        }
        for count in [1 << 17, 1 << 31, u32::MAX] {
            assert_eq!(Partitions::new(count), Err(Error::PartitionCount { count }));
        }
    }

    #[test]
    fn the_default_is_256() {
        assert_eq!(Partitions::new(256), Ok(Partitions::default()));
    }

    #[test]
    fn the_slices_are_equal_and_cover_the_circle_without_gap_or_overlap() {
        for partitions in divisions() {
            let count = u64::from(partitions.count());
            assert_eq!(partitions.iter().count() as u64, count);
            let mut expected_start = 0u128;
            for (partition, number) in partitions.iter().zip(0..=u16::MAX) {
                assert_eq!(partition, PartitionId(number));
                assert!(partitions.contains(partition));
                let start = partitions.start(partition);
                assert_eq!(u128::from(start.0), expected_start);
                expected_start += (1 << 64) / u128::from(count);
                let end = Token((expected_start - 1) as u64);
                assert_eq!((partitions.of(start), partitions.of(end)), (partition, partition));
            }
            assert_eq!(expected_start, 1 << 64);
        }
    }

    #[test]
    fn a_number_past_the_last_partition_is_not_contained() {
        assert!(!Partitions::new(1).unwrap().contains(PartitionId(1)));
        assert!(!Partitions::new(256).unwrap().contains(PartitionId(256)));
        assert!(Partitions::new(65_536).unwrap().contains(PartitionId(u16::MAX)));
    }

    #[test]
    #[should_panic(expected = "only a partition of this division")]
    fn the_start_of_a_foreign_partition_is_a_bug() {
        let _ = Partitions::new(4).unwrap().start(PartitionId(4));
    }
}
