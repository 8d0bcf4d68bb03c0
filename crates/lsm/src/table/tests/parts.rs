//! The parts of a table, each for itself.

use super::*;
use crate::table::frame::{self, Framer};
use crate::table::hash;
use crate::table::separators::{self, SeparatorEncoder, separate};
use crate::table::varint::{self, Reader};

#[test]
fn the_hash_is_pinned() {
    // It is part of the format: were it another, filters of tables that exist would deny their keys.
    let hashes: Vec<u64> =
        [&b""[..], b"a", b"abc", b"abcd", b"abcdefgh", b"0123456789abcdef", b"0123456789abcdefg", &[7; 100]]
            .iter()
            .map(|key| hash(key))
            .collect();
    assert_eq!(hashes, PINNED_HASHES);
}

#[test]
fn hashes_of_like_keys_are_unlike() {
    let mut seen = std::collections::BTreeSet::new();
    for len in 0..70_usize {
        let zeros = vec![0; len];
        assert!(seen.insert(hash(&zeros)));
        for bit in 0..len * 8 {
            let mut key = zeros.clone();
            key[bit / 8] ^= 1 << (bit % 8);
            let hash = hash(&key);
            assert!(seen.insert(hash), "{len} bytes, bit {bit}");
            let changed = (hash ^ self::hash(&zeros)).count_ones();
            assert!((8..=56).contains(&changed), "{len} bytes, bit {bit}: {changed} bits change");
        }
    }
}

#[test]
fn numbers_survive_encoding() {
    let mut random = Random(1);
    let numbers = (0..64).map(|shift| u64::MAX >> shift).chain((0..200).map(|shift| random.next() >> (shift % 64)));
    for number in numbers.chain([0]) {
        let mut bytes = Vec::new();
        varint::put(number, &mut bytes);
        assert_eq!(varint::get64(&bytes, 0), Some((number, bytes.len())));
        assert_eq!(varint::get64(&bytes[..bytes.len() - 1], 0), None);
        let small = u32::try_from(number).ok().map(|number| (number, bytes.len()));
        assert_eq!(varint::get32(&bytes, 0), small);
        assert_eq!(varint::get32(&bytes[..bytes.len() - 1], 0), None);
    }
    assert_eq!(varint::get64(&[0x80; 20], 0), None);
    assert_eq!(varint::get64(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], 0), None);
    assert_eq!(varint::get64(&[], 5), None);
}

#[test]
fn separators_lie_between_their_keys() {
    let mut random = Random(5);
    for _ in 0..20_000 {
        let mut key = || {
            let len = random.below(5);
            random.bytes(len).iter().map(|byte| [0, 1, 127, 254, 255][usize::from(byte % 5)]).collect::<Vec<u8>>()
        };
        let (mut before, mut behind) = (key(), key());
        if before > behind {
            std::mem::swap(&mut before, &mut behind);
        }
        let mut found = Vec::new();
        let trailer = separate((&before, 77), &behind, &mut found);
        if before == behind {
            assert_eq!((found, trailer), (before, 77));
        } else {
            assert!(before <= found && found < behind, "{before:?} {found:?} {behind:?}");
            assert!(found.len() <= before.len().max(1) && trailer == 0);
        }
    }
}

#[test]
fn separators_find_what_a_linear_search_finds() {
    for seed in 0..300 {
        let _print = Seed(seed);
        let mut random = Random(seed);
        let prefix_len = random.below(12);
        let prefix = random.bytes(prefix_len);
        let any_key = |random: &mut Random| {
            let mut key = prefix.clone();
            let len = random.below(12);
            key.extend(random.bytes(len).iter().map(|byte| byte % 3));
            key
        };
        let mut keys: Vec<(Vec<u8>, std::cmp::Reverse<u64>)> = (0..1 + random.below(60))
            .map(|_| (any_key(&mut random), std::cmp::Reverse(random.pick(&[0, 0, 5, 9]))))
            .collect();
        keys.sort();
        keys.dedup();
        let mut encoder = SeparatorEncoder::default();
        keys.iter().for_each(|(key, trailer)| encoder.push(key, trailer.0, &[]));
        let decoded = separators::decode(&encoder.finish(), |_| Ok(())).unwrap_or_else(|_| panic!("sound"));
        assert_eq!(decoded.len(), keys.len());
        for _ in 0..100 {
            let mut target = (any_key(&mut random), std::cmp::Reverse(random.pick(&[0, 5, 6, 9, u64::MAX])));
            if random.below(4) == 0 {
                let len = random.below(target.0.len() + 1);
                target.0.truncate(len);
            }
            let expected = keys.iter().position(|key| *key >= target).unwrap_or(keys.len());
            assert_eq!(decoded.find(&target.0, target.1.0), expected);
        }
    }
}

#[test]
fn a_hostile_length_allocates_nothing() {
    // A compressed frame of a few bytes that claims to have been 4 GiB.
    let mut bytes = vec![0x1f, 0, 1, 0];
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    bytes.push(1);
    let checksum = frame::checksum(&bytes, 1, 2);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    let damage = frame::open(bytes, 1, 2).unwrap_err();
    assert_eq!(damage.0, "the length of a compressed block is impossible");

    let mut many = Vec::new();
    varint::put(u64::MAX, &mut many);
    many.extend_from_slice(&[0; 100]);
    assert!(separators::decode(&many, |_| Ok(())).is_err());
    assert!(Reader::new(&many).bytes(usize::MAX).is_err());
}

#[test]
fn blocks_are_compressed_if_that_saves_enough() {
    let mut random = Random(9);
    for compression in compressions() {
        for compressible in [0, 300, 600, 4000] {
            let mut raw = random.bytes(4000 - compressible);
            raw.resize(4000, 0);
            let (mut framer, mut frame) = (Framer::new(1, compression), Vec::new());
            let stored = framer.append(&raw, 50, &mut frame) as usize;
            assert_eq!(frame.len(), stored + frame::TRAILER);
            if compression != Compression::None && compressible >= 600 {
                assert!(stored <= 3520, "{compression:?}: {stored} with {compressible} to save");
            } else {
                assert_eq!(stored, 4000);
            }
            assert_eq!(frame::open(frame, 1, 50).unwrap_or_else(|damage| panic!("{damage:?}")), raw);
        }
    }
}

/// Of the keys in `the_hash_is_pinned`.
const PINNED_HASHES: [u64; 8] = [
    1_288_028_995_019_141_618,
    9_365_141_311_120_062_812,
    9_412_523_206_005_409_414,
    15_997_310_158_683_062_959,
    15_220_408_731_391_985_541,
    16_847_240_436_676_404_692,
    18_402_142_207_228_285_340,
    17_324_058_680_953_424_966,
];
