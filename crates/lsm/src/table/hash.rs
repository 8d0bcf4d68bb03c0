//! The hash of user keys that filters and blocks store the results of. It is part of the file format: the same on each machine and for
//! ever. Multiplying 64 by 64 bits and folding the halves of the product is the mixer of wyhash (Wang Yi, 2019).

/// Digits of pi, from the third hexadecimal place on, made odd.
const KEYS: [u64; 4] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7345, 0xa409_3822_299f_31d1, 0x082e_fa98_ec4e_6c89];

/// The hash of a user key. Takes some 2 ns for a short one.
#[inline]
pub(crate) fn hash(key: &[u8]) -> u64 {
    let len = key.len();
    let (mut a, mut b, mut seed) = (0, 0, KEYS[0]);
    if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        // Behind the pairs of words that are taken here, at most 16 bytes are left; the last 16 are taken even if some of them were.
        let mut rest = key;
        while let Some((pair, behind)) = rest.split_first_chunk::<16>()
            && !behind.is_empty()
        {
            let (low, high) = halves(pair);
            seed = fold(low ^ KEYS[1], high ^ seed);
            rest = behind;
        }
        (a, b) = match key.last_chunk::<16>() {
            Some(pair) => halves(pair),
            None => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        };
    } else if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (a, b) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
    } else if let (Some(first), Some(last)) = (key.first(), key.last()) {
        a = u64::from(*first) << 16 | u64::from(key[len / 2]) << 8 | u64::from(*last);
    }
    let mixed = fold(a ^ KEYS[2], b ^ seed);
    fold(mixed ^ KEYS[3], len as u64 ^ KEYS[1])
}

/// Maps a hash to a number below `count`, evenly (Lemire: Fast Random Integer Generation in an Interval, 2019).
#[inline]
pub(super) fn reduce(hash: u32, count: u32) -> u32 {
    ((u64::from(hash) * u64::from(count)) >> 32) as u32
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn halves(pair: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*pair);
    (both as u64, (both >> 64) as u64)
}
