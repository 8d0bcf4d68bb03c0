//! What kvorum-vclock allocates. It stands here because counting needs an allocator of its own, with a little unsafe code that
//! kvorum-vclock itself does without.

use allocation_counter::{AllocationInfo, measure};
use kvorum_vclock::{Causality, Context, Dot, Limits, Siblings, SiblingsView, Timestamp, VClock};

fn t(bits: u64) -> Timestamp {
    Timestamp::from_bits(bits)
}

/// Numbers that look random and are the same each time (splitmix64).
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

/// A record of many actors, or of one with many dots; values of up to three bytes.
fn record(actors: u64, dots: u64) -> Vec<u8> {
    let mut record = Siblings::new();
    for actor in 0..actors {
        for dot in 1..=dots {
            let value = vec![7; (dot % 4) as usize];
            record.put(&Context::new(), Dot { actor, time: t(dot) }, value).expect("ascending times");
        }
    }
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

/// The most that decoding the bytes as anything may allocate at once, and in all.
fn check(bytes: &[u8]) {
    let bound = |factor: u64, what: &str, info: &AllocationInfo| {
        let most = factor * bytes.len() as u64;
        assert!(info.bytes_total <= most, "{what}: {info:?} for {} bytes", bytes.len());
    };
    bound(2, "clock", &measure(|| drop(VClock::decode(bytes))));
    bound(2, "context", &measure(|| drop(Context::decode(bytes))));
    bound(20, "record that borrows", &measure(|| drop(Siblings::<u64, &[u8]>::decode(bytes))));
    bound(21, "record that owns", &measure(|| drop(Siblings::<u64, Vec<u8>>::decode(bytes))));
    let mut live = Ok(0);
    bound(0, "view", &measure(|| live = SiblingsView::parse(bytes).map(|view| view.values().count())));
    assert_eq!(live, Siblings::<u64, &[u8]>::decode(bytes).map(|record| record.len()));
}

#[test]
fn decoding_whatever_bytes_allocates_a_small_multiple_of_their_length() {
    let mut next = numbers(1);
    let mut accepted = 0;
    for (actors, dots) in [(0, 0), (1, 1), (1, 500), (500, 1), (40, 12)] {
        let bytes = record(actors, dots);
        check(&bytes);
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + next() % 3 {
                let place = (next() % damaged.len() as u64) as usize;
                damaged[place] = next() as u8;
            }
            check(&damaged);
            accepted += usize::from(SiblingsView::parse(&damaged).is_ok());
        }
    }
    assert!(accepted > 50, "damage to values is no damage to the record: {accepted}");
    for len in 0..300 {
        check(&(0..len).map(|_| next() as u8).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_refused_for_its_size_allocates_less_than_the_limits() {
    let bytes = record(500, 3);
    let limits = Limits { bytes: bytes.len(), entries: 100 };
    let info = measure(|| assert!(Siblings::<u64, Vec<u8>>::decode_within(&bytes, limits).is_err()));
    assert_eq!(info.bytes_total, 0, "the actors alone are too many");
    let bytes = record(1, 500);
    let info = measure(|| assert!(Siblings::<u64, Vec<u8>>::decode_within(&bytes, limits).is_err()));
    assert!(info.bytes_total < 100, "{info:?}: the dots are counted before there is room for them");
}

#[test]
fn comparing_and_merging_what_is_not_new_allocate_nothing() {
    let clock: VClock<u64> = (0..5).map(|actor| (actor, 7)).collect();
    let older: VClock<u64> = (1..4).map(|actor| (actor, 6)).collect();
    let mut merged = clock.clone();
    let mut record = Siblings::new();
    record.put(&Context::new(), Dot { actor: 1, time: t(1) }, 7_u64).expect("the first");
    let behind = record.clone();
    record.put(&record.context(), Dot { actor: 2, time: t(2) }, 8).expect("the second");
    let mut repaired = record.clone();
    let info = measure(|| {
        assert_eq!(older.compare(&clock), Causality::Before);
        merged.merge(&older);
        assert_eq!(behind.compare(&record), Causality::Before);
        repaired.merge(&behind);
    });
    assert_eq!((info.count_total, merged, repaired), (0, clock, record));
}
