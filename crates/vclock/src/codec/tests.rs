//! Hostile bytes, for every type that decodes them.

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{Context, Siblings, VClock};

/// Re-encodes what each decoder accepts, so that a difference shows an encoding that is not canonical.
fn accepted_as(bytes: &[u8]) -> [Option<Vec<u8>>; 3] {
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut out = vec![];
        encode(&mut out);
        out
    };
    [
        VClock::decode(bytes).ok().map(|clock| encoded(&|out| clock.encode(out))),
        Context::decode(bytes).ok().map(|context| encoded(&|out| context.encode(out))),
        Siblings::<u64, &[u8]>::decode(bytes).ok().map(|record| encoded(&|out| record.encode(out))),
    ]
}

/// How many of the three decoders accept the bytes, having checked that they accept nothing but canonical ones.
fn acceptances(bytes: &[u8]) -> [usize; 3] {
    accepted_as(bytes).map(|accepted| {
        if let Some(again) = &accepted {
            assert_eq!(again, bytes, "an accepted encoding must be the only one");
        }
        usize::from(accepted.is_some())
    })
}

/// Why a clock is refused, and where.
fn refusal(bytes: &[u8]) -> (usize, &'static str) {
    match VClock::decode(bytes) {
        Err(Error::Malformed { offset, what }) => (offset, what),
        other => panic!("{other:?} from {bytes:?}"),
    }
}

/// The same for a record.
fn record_refusal(bytes: &[u8]) -> (usize, &'static str) {
    match Siblings::<u64, Vec<u8>>::decode(bytes) {
        Err(Error::Malformed { offset, what }) => (offset, what),
        other => panic!("{other:?} from {bytes:?}"),
    }
}

/// All strings of up to six bytes that matter to varints and counts.
#[test]
fn every_short_string_is_refused_or_canonical() {
    const ALPHABET: [u8; 7] = [0, 1, 2, 3, 0x80, 0x81, 0xFF];
    let mut strings: Vec<Vec<u8>> = vec![vec![]];
    let mut total = [0; 3];
    for _ in 0..=6 {
        for string in &strings {
            for (sum, accepted) in total.iter_mut().zip(acceptances(string)) {
                *sum += accepted;
            }
        }
        strings = strings
            .iter()
            .flat_map(|string| ALPHABET.map(|byte| [string.as_slice(), &[byte]].concat()))
            .filter(|string| string.len() <= 6)
            .collect();
    }
    // Otherwise this test would hold for a decoder that refuses everything.
    assert!(total.iter().all(|accepted| *accepted > 50), "{total:?}");
}

#[test]
fn what_is_not_canonical_is_refused_where_it_goes_wrong() {
    assert!(VClock::decode(&[2, 1, 5, 2, 6]).is_ok());
    assert_eq!(refusal(&[]), (0, "the input ends inside a number"));
    assert_eq!(refusal(&[2, 1, 5, 2, 6, 0]), (5, "bytes after the end"));
    assert_eq!(refusal(&[2, 2, 5, 1, 6]), (4, "keys that do not ascend"));
    assert_eq!(refusal(&[2, 1, 5, 1, 6]), (4, "keys that do not ascend"));
    assert_eq!(refusal(&[1, 1, 0]), (3, "an entry that says nothing"));
    assert_eq!(refusal(&[1, 0x81, 0x00, 5]), (2, "a number spelt longer than needed"));
    assert_eq!(refusal(&[1, 1, 0x85]), (3, "the input ends inside a number"));
    assert_eq!(refusal(&[3, 1, 5, 2, 6]), (1, "a count larger than the input"));

    // Actor 1, discard 4, dots at 5 and 6 with one byte each.
    assert!(Siblings::<u64, Vec<u8>>::decode(&[1, 1, 4, 2, 5, 1, 9, 6, 1, 9]).is_ok());
    assert_eq!(record_refusal(&[1, 1, 4, 1, 4, 1, 9]), (5, "keys that do not ascend"), "a dot that is discarded");
    assert_eq!(record_refusal(&[1, 1, 0, 1, 0, 1, 9]), (5, "keys that do not ascend"), "a dot that never was");
    assert_eq!(record_refusal(&[1, 1, 4, 2, 6, 0, 5, 0]), (7, "keys that do not ascend"));
    assert_eq!(record_refusal(&[1, 1, 0, 0]), (4, "an entry that says nothing"));
    assert_eq!(record_refusal(&[1, 1, 4, 1, 5, 2, 9]), (6, "a count larger than the input"));
}

#[test]
fn varints_reach_their_limit_and_not_beyond() {
    let mut bytes = vec![1];
    put_varint(&mut bytes, u64::MAX);
    put_varint(&mut bytes, u64::MAX);
    assert_eq!(bytes.len(), 21);
    assert_eq!(VClock::decode(&bytes).unwrap().get(&u64::MAX), u64::MAX);

    let nine = [0xFF_u8; 9];
    assert_eq!(refusal(&[&[1], nine.as_slice(), &[0x02], &[1]].concat()), (10, "a number above 64 bits"));
    assert_eq!(refusal(&[&[1], nine.as_slice(), &[0x81, 0x01], &[1]].concat()), (11, "a number above 64 bits"));
}

#[test]
fn a_forged_count_is_refused_before_anything_is_allocated_for_it() {
    for forged in [u64::MAX, u64::MAX / 16, 1 << 40] {
        let mut bytes = vec![];
        put_varint(&mut bytes, forged);
        let after_count = bytes.len();
        bytes.extend([1; 64]);
        assert_eq!(refusal(&bytes), (after_count, "a count larger than the input"));
        assert_eq!(record_refusal(&bytes), (after_count, "a count larger than the input"));

        // The same as a number of dots, and as the length of a value.
        for prefix in [vec![1, 1, 0], vec![1, 1, 0, 1, 1]] {
            let mut bytes = prefix;
            put_varint(&mut bytes, forged);
            bytes.extend([1; 64]);
            assert_eq!(record_refusal(&bytes).1, "a count larger than the input");
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        acceptances(&bytes);
    }

    /// Damage to a valid encoding reaches deeper into the decoders than noise does.
    #[test]
    fn damaged_encodings_never_panic_and_are_refused_or_canonical(
        entries in prop::collection::btree_map(any::<u64>(), 1..=u64::MAX, 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = vec![];
        entries.into_iter().collect::<VClock<u64>>().encode(&mut bytes);
        let whole = bytes.clone();
        prop_assert_eq!(acceptances(&whole[..cut.index(whole.len())])[0], 0, "a part of an encoding is not one");
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        acceptances(&bytes);
    }
}
