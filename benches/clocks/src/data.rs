//! Owns the data: actors and times as a store has them. Does not own any clock made of them.

use kvorum_vclock::Timestamp;

/// Three replicas' actors: random, as tenures are, in ascending order.
pub(crate) const ACTORS: [u64; 3] = [0x1D52_9A07_C4E8_3B61, 0x8F3C_0B7E_52D9_A146, 0xE4A1_6C38_07BF_95D2];

/// An actor that none of them has heard of.
pub(crate) const STRANGER: u64 = 0x5A90_E17D_3C46_B82F;

/// In the year 2027.
const NOW_MS: u64 = 1_800_000_000_000;

/// When a version was written that is so many seconds old.
pub(crate) fn seconds_ago(seconds: u64) -> Timestamp {
    Timestamp::from_parts(NOW_MS - seconds * 1_000, (seconds % 3) as u16)
}

/// Counters of the three actors, or none for those whose counter is 0.
pub(crate) fn counters(counters: [u64; 3]) -> impl Iterator<Item = (u64, u64)> {
    ACTORS.into_iter().zip(counters).filter(|(_, counter)| *counter > 0)
}
