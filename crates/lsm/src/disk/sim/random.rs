//! Randomness from a seed: one small generator, so that a disk's fate replays. It knows nothing of what is drawn.

/// A SplitMix64 generator (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a seed for one purpose.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut base = Self(seed ^ purpose.wrapping_add(1).wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(base.next())
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero. The bias is far below what a simulation could notice.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// An index into something that has `len` elements.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// One of two, equally likely.
    pub(crate) fn coin(&mut self) -> bool {
        self.next() >> 63 == 0
    }
}

/// How much of what was not made durable a crash spares: nothing and everything are as likely as any mixture, since a
/// mixture of many parts would all but never be either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mercy {
    Nothing,
    Everything,
    Some,
}

impl Mercy {
    pub(super) fn draw(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Nothing,
            1 => Self::Everything,
            _ => Self::Some,
        }
    }

    /// Whether one part is spared.
    pub(super) fn spares(self, random: &mut Random) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some => random.coin(),
        }
    }

    /// Which of the states a thing went through is found again: 0 is the durable one, `last` the present one.
    pub(super) fn pick(self, last: usize, random: &mut Random) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Everything => last,
            Self::Some => random.index(last + 1),
        }
    }
}
