//! Records: encoding, laws, expiry.

mod attempted;

use super::*;
use proptest::prelude::*;

fn values(record: &Record, unix_ms: u64) -> Vec<String> {
    let text = |version: Version| String::from_utf8(version.value.unwrap().to_vec()).unwrap();
    record.live_versions(unix_ms).map(text).collect()
}

fn record() -> impl Strategy<Value = Record> {
    (0u64..4, 0u64..3, prop::option::of(prop::collection::vec(any::<u8>(), 0..3)), prop::option::of(0u64..9)).prop_map(
        |(time, actor, value, expires)| {
            Record::lww(Dot { time: Timestamp::from_bits(time), actor: ActorId(actor) }, value.as_deref(), expires)
        },
    )
}

#[test]
fn the_encoding_is_pinned() {
    let dot = Dot { time: Timestamp::from_bits(0x0102_0304_0506_0708), actor: ActorId(9) };
    let bytes = Record::lww(dot, Some(b"v"), Some(5)).as_bytes().clone();
    assert_eq!(bytes.as_ref(), [1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5, b'v']);
}

#[test]
fn an_expired_value_is_not_seen() {
    let dot = Dot { time: Timestamp::from_bits(1), actor: ActorId(1) };
    let record = Record::lww(dot, Some(b"v"), Some(100));
    assert_eq!(values(&record, 99), ["v"]);
    assert_eq!(values(&record, 100), [""; 0]);
}

/// A cell, and when it was written by whom; some expire, some are deletions.
fn write() -> impl Strategy<Value = (u64, u64, Option<Vec<u8>>, Option<u64>)> {
    (0u64..3, 1u64..6, prop::option::of(prop::collection::vec(any::<u8>(), 0..3)), prop::option::of(0u64..9))
}

/// What replicas may come to hold: each write has seen what was there or nothing, replicas merge now and then, and expired
/// values are taken away at some and not yet at others.
fn histories() -> impl Strategy<Value = Vec<Record>> {
    let step = (0usize..3, write(), any::<bool>(), 0usize..3, any::<bool>());
    prop::collection::vec(step, 1..12).prop_map(|steps| {
        let mut replicas: Vec<Option<Record>> = vec![None; 3];
        for (n, (at, (_, _, value, expires), sees, from, strips)) in (1u64..).zip(steps) {
            // An actor of its own for each replica, whose clock goes on.
            let dot = Dot { time: Timestamp::from_bits(n), actor: ActorId(at as u64) };
            let seen = replicas[at].as_ref().filter(|_| sees).map(Record::context).unwrap_or_default();
            let (record, _) =
                Record::causal(replicas[at].as_ref(), &seen, dot, value.as_deref(), expires, usize::MAX).unwrap();
            replicas[at] = merge(Some(record), replicas[from].clone());
            if strips {
                let stripped = replicas[at].as_ref().and_then(|record| record.without_expired(5));
                replicas[at] = stripped.or(replicas[at].take());
            }
        }
        replicas.into_iter().flatten().collect()
    })
}

#[test]
fn the_encoding_of_a_causal_record_begins_with_its_kind() {
    let dot = Dot { time: Timestamp::from_bits(300), actor: ActorId(9) };
    let (record, pruned) = Record::causal(None, &Context::new(), dot, Some(b"v"), Some(5), usize::MAX).unwrap();
    assert_eq!((record.as_bytes()[0], pruned), (2, 0));
    let cell = [2, 0, 0, 0, 0, 0, 0, 0, 5, b'v'];
    assert!(record.as_bytes().ends_with(&cell), "{:?}", record.as_bytes());
}

#[test]
fn an_expired_sibling_is_not_seen_and_the_others_are() {
    let dot = |actor| Dot { time: Timestamp::from_bits(1), actor: ActorId(actor) };
    let blind = Context::new();
    let (record, _) = Record::causal(None, &blind, dot(1), Some(b"short"), Some(100), usize::MAX).unwrap();
    let (record, _) = Record::causal(Some(&record), &blind, dot(2), Some(b"long"), None, usize::MAX).unwrap();
    assert_eq!(values(&record, 99), ["long", "short"]);
    assert_eq!(values(&record, 100), ["long"]);
    assert_eq!(record.without_expired(99), None);
    let stripped = record.without_expired(100).unwrap();
    assert_eq!((values(&stripped, 0), stripped.context()), (vec!["long".to_owned()], record.context()));
    assert!(stripped.covers(&record) && !record.covers(&stripped), "what is taken away does not come back");
    assert_eq!(merge(Some(record.clone()), Some(stripped.clone())), Some(stripped.clone()));
    assert_eq!(merge(Some(stripped.clone()), Some(record)), Some(stripped));
}

proptest! {
    #[test]
    fn causal_records_merge_as_a_join_and_are_read_back(replicas in histories()) {
        for a in &replicas {
            prop_assert_eq!(&Record::parse(a.as_bytes().clone()).unwrap(), a);
            for b in &replicas {
                let ab = merge(Some(a.clone()), Some(b.clone())).unwrap();
                prop_assert_eq!(&merge(Some(b.clone()), Some(a.clone())).unwrap(), &ab);
                prop_assert!(ab.covers(a) && ab.covers(b));
                prop_assert_eq!(&merge(Some(ab.clone()), Some(a.clone())).unwrap(), &ab);
                for c in &replicas {
                    let bc = merge(Some(b.clone()), Some(c.clone()));
                    prop_assert_eq!(merge(Some(ab.clone()), Some(c.clone())), merge(Some(a.clone()), bc));
                }
            }
        }
    }

    #[test]
    fn what_is_encoded_is_read_back(time: u64, actor: u64, value: Option<Vec<u8>>, expires: Option<u64>) {
        let dot = Dot { time: Timestamp::from_bits(time), actor: ActorId(actor) };
        let record = Record::parse(Record::lww(dot, value.as_deref(), expires).as_bytes().clone()).unwrap();
        let versions: Vec<Version> = record.versions().collect();
        prop_assert_eq!(versions, [Version { dot, value: value.map(Bytes::from), expires_at_ms: expires }]);
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_panic(bytes in prop::collection::vec(prop_oneof![Just(1u8), Just(2), Just(3), any::<u8>()], 0..40)) {
        if let Ok(record) = Record::parse(bytes.clone().into()) {
            prop_assert_eq!(record.as_bytes().as_ref(), &bytes[..]);
            if let (false, Some(version)) = (record.is_causal(), record.versions().next()) {
                prop_assert_eq!(Record::lww(version.dot, version.value.as_deref(), version.expires_at_ms), record);
            }
        }
    }

    #[test]
    fn merge_is_a_join(a in prop::option::of(record()), b in prop::option::of(record()), c in prop::option::of(record())) {
        prop_assert_eq!(merge(a.clone(), b.clone()), merge(b.clone(), a.clone()));
        prop_assert_eq!(merge(a.clone(), a.clone()), a.clone());
        prop_assert_eq!(merge(merge(a.clone(), b.clone()), c.clone()), merge(a, merge(b, c)));
    }
}
