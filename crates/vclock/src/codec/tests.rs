//! Hostile bytes, for every type that decodes them.

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{Context, Siblings, SiblingsView, VClock};

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
        Siblings::<u64, &[u8]>::decode(bytes).ok().map(|record| {
            let view = SiblingsView::parse(bytes).expect("a view accepts what the decoder accepts");
            assert_eq!(view.to_siblings(), record);
            encoded(&|out| record.encode(out))
        }),
    ]
}

/// How many of the three decoders accept the bytes, having checked that they accept nothing but canonical ones.
fn acceptances(bytes: &[u8]) -> [usize; 3] {
    assert_eq!(SiblingsView::parse(bytes).err(), Siblings::<u64, &[u8]>::decode(bytes).err());
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

/// All strings of up to six tokens: bytes that matter to varints and counts, and numbers of eight bytes.
#[test]
fn every_short_string_is_refused_or_canonical() {
    let tokens: [&[u8]; 8] = [&[0], &[1], &[2], &[4], &[0x80], &[0xFF], &actor(1), &actor(2)];
    let mut strings: Vec<Vec<u8>> = vec![vec![]];
    let mut total = [0; 3];
    for len in 0..=6 {
        for string in &strings {
            for (sum, accepted) in total.iter_mut().zip(acceptances(string)) {
                *sum += accepted;
            }
        }
        if len < 6 {
            strings =
                strings.iter().flat_map(|string| tokens.map(|token| [string.as_slice(), token].concat())).collect();
        }
    }
    // Otherwise this test would hold for a decoder that refuses everything.
    assert!(total.iter().all(|accepted| *accepted > 10), "{total:?}");
}

/// Numbers of eight bytes whose last byte is given, written after one another with what stands between.
fn actor(low: u8) -> [u8; 8] {
    [0, 0, 0, 0, 0, 0, 0, low]
}

fn bytes_of(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn what_is_not_canonical_is_refused_where_it_goes_wrong() {
    let clock = |count: u8, entries: &[(u8, &[u8])], rest: &[u8]| {
        let entries: Vec<u8> = entries.iter().flat_map(|(name, counter)| [&actor(*name), *counter].concat()).collect();
        bytes_of(&[&[count], &entries, rest])
    };
    assert!(VClock::decode(&clock(2, &[(1, &[5]), (2, &[6])], &[])).is_ok());
    assert_eq!(refusal(&[]), (0, "the input ends inside a number"));
    assert_eq!(refusal(&clock(2, &[(1, &[5]), (2, &[6])], &[0])), (19, "bytes after the end"));
    assert_eq!(refusal(&clock(2, &[(2, &[5]), (1, &[6])], &[])), (18, "keys that do not ascend"));
    assert_eq!(refusal(&clock(2, &[(1, &[5]), (1, &[6])], &[])), (18, "keys that do not ascend"));
    assert_eq!(refusal(&clock(1, &[(1, &[0])], &[])), (10, "an entry that says nothing"));
    assert_eq!(refusal(&clock(1, &[(1, &[0x85, 0x00])], &[])), (10, "a number spelt longer than needed"));
    assert_eq!(refusal(&clock(1, &[(1, &[0x85])], &[])), (10, "the input ends inside a number"));
    assert_eq!(refusal(&clock(3, &[(1, &[5]), (2, &[6])], &[])), (1, "a count larger than the input"));
}

#[test]
fn a_context_that_is_not_canonical_is_refused_where_it_goes_wrong() {
    let refusal = |bytes: &[u8]| match Context::decode(bytes) {
        Err(Error::Malformed { offset, what }) => (offset, what),
        other => panic!("{other:?} from {bytes:?}"),
    };
    // Actor 1 at the newest time, 9, and actor 2 at 9 - 4.
    let canonical = bytes_of(&[&[2], &actor(9), &actor(1), &[0], &actor(2), &[4]]);
    let t = Timestamp::from_bits;
    assert_eq!(Context::decode(&canonical), Ok(Context::from_iter([(1, t(9)), (2, t(5))])));
    assert_eq!(Context::decode(&[0]), Ok(Context::new()));
    assert_eq!(refusal(&bytes_of(&[&[0], &actor(9)])), (1, "bytes after the end"));
    assert_eq!(refusal(&bytes_of(&[&[1], &actor(9), &actor(1), &[1]])), (18, "no entry at the newest time"));
    assert_eq!(refusal(&bytes_of(&[&[1], &actor(9), &actor(1), &[9]])), (18, "a time before all times"));
    assert_eq!(refusal(&bytes_of(&[&[1], &actor(9), &actor(1), &[10]])), (18, "a time before all times"));
    assert_eq!(refusal(&bytes_of(&[&[1], &actor(0), &actor(1), &[0]])), (18, "a time before all times"));
    assert_eq!(refusal(&bytes_of(&[&[1], &actor(9)])), (1, "a count larger than the input"));
    let unsorted = bytes_of(&[&[2], &actor(9), &actor(2), &[0], &actor(1), &[4]]);
    assert_eq!(refusal(&unsorted), (26, "keys that do not ascend"));
    assert_eq!(refusal(&[&canonical, [0].as_slice()].concat()), (27, "bytes after the end"));
}

/// One actor of a record: name 1, newest time 9, then its head and what follows.
fn one_actor(rest: &[u8]) -> Vec<u8> {
    bytes_of(&[&[1], &actor(9), &actor(1), rest])
}

#[test]
fn a_record_that_is_not_canonical_is_refused_where_it_goes_wrong() {
    // Discard 4, dots at 8 and 9 with one byte each.
    let record = Siblings::<u64, Vec<u8>>::decode(&one_actor(&[5, 5, 1, 1, 77, 0, 1, 78])).unwrap();
    let t = Timestamp::from_bits;
    assert_eq!(record.discards().collect::<Vec<_>>(), [(&1, t(4))]);
    assert_eq!(
        record.values().map(|(dot, value)| (dot.time, value.clone())).collect::<Vec<_>>(),
        [(t(8), vec![77]), (t(9), vec![78])]
    );
    assert_eq!(Siblings::<u64, Vec<u8>>::decode(&[0]), Ok(Siblings::new()));
    assert_eq!(record_refusal(&[0, 0]), (1, "bytes after the end"));
    assert_eq!(
        record_refusal(&one_actor(&[3, 0, 0, 1, 77])),
        (20, "dots that do not ascend"),
        "a dot that is discarded"
    );
    assert_eq!(record_refusal(&one_actor(&[4, 0, 0, 1, 0])), (21, "dots that do not ascend"));
    assert_eq!(record_refusal(&one_actor(&[2, 9, 1, 77])), (19, "a time before all times"), "a dot that never was");
    assert_eq!(record_refusal(&one_actor(&[1, 9, 0])), (19, "a time before all times"), "a discard of nothing");
    assert_eq!(record_refusal(&one_actor(&[0, 0, 0])), (18, "an entry that says nothing"));
    assert_eq!(record_refusal(&one_actor(&[2, 0, 2, 77])), (20, "a count larger than the input"));
    assert_eq!(record_refusal(&one_actor(&[2, 1, 1, 77])), (21, "no entry at the newest time"));
    assert_eq!(record_refusal(&one_actor(&[1, 0, 0])), (19, "bytes after the end"));
}

#[test]
fn varints_reach_their_limit_and_not_beyond() {
    let clock: VClock<u64> = [(u64::MAX, u64::MAX)].into_iter().collect();
    let mut bytes = vec![];
    clock.encode(&mut bytes);
    assert_eq!(bytes.len(), 1 + 8 + 10);
    assert_eq!(VClock::decode(&bytes), Ok(clock));

    let nine = [0xFF_u8; 9];
    let counter = |last: &[u8]| bytes_of(&[&[1], &actor(1), &nine, last]);
    assert_eq!(refusal(&counter(&[0x02])), (18, "a number above 64 bits"));
    assert_eq!(refusal(&counter(&[0x81, 0x01])), (19, "a number above 64 bits"));
}

#[test]
fn the_length_of_a_varint_is_what_is_appended() {
    for bits in 0..=64_u32 {
        let limit = 1_u64.checked_shl(bits).unwrap_or(0);
        for value in [limit.wrapping_sub(1), limit, limit.wrapping_add(1)] {
            let mut out = vec![];
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }
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
        for prefix in [one_actor(&[]), one_actor(&[2, 0])] {
            let mut bytes = prefix;
            put_varint(&mut bytes, forged);
            bytes.extend([1; 64]);
            assert_eq!(record_refusal(&bytes).1, "a count larger than the input");
        }
    }
}

#[test]
fn what_is_past_a_limit_is_refused_and_what_reaches_it_is_not() {
    let mut record = Siblings::new();
    for (actor, time) in [(1, 5), (1, 6), (2, 7)] {
        let dot = crate::Dot { actor, time: Timestamp::from_bits(time) };
        record.put(&Context::new(), dot, vec![0; 10]).unwrap();
    }
    let mut bytes = vec![];
    record.encode(&mut bytes);
    let exactly = Limits { bytes: bytes.len(), entries: 5 };
    assert_eq!(Siblings::decode_within(&bytes, exactly).as_ref(), Ok(&record));
    assert_eq!(SiblingsView::parse_within(&bytes, exactly), SiblingsView::parse(&bytes));
    let entries = Limits { entries: 4, ..exactly };
    let bytes_less = Limits { bytes: bytes.len() - 1, ..exactly };
    for (limits, what, limit) in [(entries, "entries", 4), (bytes_less, "bytes", bytes.len() - 1)] {
        let refused = Error::LimitExceeded { what, limit };
        assert_eq!(Siblings::<u64, Vec<u8>>::decode_within(&bytes, limits), Err(refused));
        assert_eq!(SiblingsView::parse_within(&bytes, limits), Err(refused));
    }

    let context = record.context();
    let mut bytes = vec![];
    context.encode(&mut bytes);
    assert_eq!(Context::decode_within(&bytes, Limits { entries: 2, ..Limits::NONE }), Ok(context));
    let refused = Err(Error::LimitExceeded { what: "entries", limit: 1 });
    assert_eq!(Context::decode_within(&bytes, Limits { entries: 1, ..Limits::NONE }), refused);
    let clock: VClock<u64> = [(1, 1), (2, 1)].into_iter().collect();
    let mut bytes = vec![];
    clock.encode(&mut bytes);
    let refused = Err(Error::LimitExceeded { what: "bytes", limit: 18 });
    assert_eq!(VClock::decode_within(&bytes, Limits { bytes: 18, ..Limits::NONE }), refused);
}

fn damaged(mut bytes: Vec<u8>, damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (place, byte) in damage {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
    bytes
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
        near in prop::collection::btree_map(0..5_u64, 1..20_u64, 1..5),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut encodings = vec![];
        for entries in [entries, near] {
            let (mut clock, mut context, mut record) = (vec![], vec![], vec![]);
            entries.clone().into_iter().collect::<VClock<u64>>().encode(&mut clock);
            let seen: Context<u64> = entries.iter().map(|(actor, time)| (*actor, Timestamp::from_bits(*time))).collect();
            seen.encode(&mut context);
            let mut siblings = Siblings::new();
            for (actor, time) in seen.iter() {
                siblings.put(&Context::new(), crate::Dot { actor: *actor, time }, vec![7; (time.to_bits() % 5) as usize]).unwrap();
            }
            siblings.encode(&mut record);
            encodings.extend([clock, context, record]);
        }
        for (number, whole) in encodings.into_iter().enumerate() {
            let decoder = number % 3;
            prop_assert_eq!(acceptances(&whole)[decoder], 1);
            prop_assert_eq!(acceptances(&whole[..cut.index(whole.len())])[decoder], 0, "a part of an encoding is not one");
            acceptances(&damaged(whole, &damage));
        }
    }
}
