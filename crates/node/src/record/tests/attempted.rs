//! Records that remember attempts: encoding, laws, bounds, and bytes from elsewhere.

use proptest::prelude::*;

use super::super::attempts::{ATTEMPTS, ATTEMPTS_KEPT_MS};
use super::super::*;

fn dot(ms: u64, actor: u64) -> Dot<ActorId> {
    Dot { time: Timestamp::from_parts(ms, 0), actor: ActorId(actor) }
}

fn attempted(ms: u64, actor: u64, id: u64) -> Attempted {
    Attempted { dot: dot(ms, actor), id }
}

/// What is left of these attempts in a record whose own version is of that time.
fn kept(ms: u64, attempts: &[Attempted]) -> Vec<Attempted> {
    Record::lww(dot(ms, 1), Some(b"v"), None).remembering(attempts.iter().copied()).attempts().collect()
}

/// Has every accessor look at a record, and merges it with another.
fn look_at(record: &Record, other: &Record) {
    let versions: Vec<Version> = record.versions().collect();
    assert!(record.live_versions(5).count() <= versions.len());
    assert_eq!(record.is_live(5), record.live_versions(5).next().is_some());
    assert_eq!(record.dot().time, record.time());
    assert!(record.attempts().count() <= ATTEMPTS);
    assert_eq!(record.detached(), *record);
    assert_eq!(record.digest(), record.detached().digest());
    assert_eq!(record.without_values().versions().count(), versions.len());
    let _ = (record.context(), record.attempt(1), format!("{record:?}"));
    if let Some(stripped) = record.without_expired(5) {
        assert_eq!(stripped.without_expired(5), None);
    }
    let forgetful = record.remembering(core::iter::empty());
    assert_eq!((forgetful.attempts().count(), forgetful.dot()), (0, record.dot()));
    if let Some(merged) = merge(Some(record.clone()), Some(other.clone())) {
        assert!(merged.attempts().count() <= ATTEMPTS);
        assert_eq!(Record::parse(merged.as_bytes().clone()), Ok(merged));
    }
}

#[test]
fn the_encoding_is_pinned() {
    let record = Record::lww(dot(1, 9), Some(b"v"), None);
    let remembering = record.remembering([attempted(1, 9, 0x0102)].into_iter());
    let time = [0, 0, 0, 0, 0, 1, 0, 0];
    let actor = [0, 0, 0, 0, 0, 0, 0, 9];
    let pair = [&[4, 1, 0, 0, 0, 0, 0, 0, 1, 2][..], &time, &actor].concat();
    assert_eq!(remembering.as_bytes().as_ref(), [&pair[..], record.as_bytes()].concat());
    assert_eq!(Record::parse(remembering.as_bytes().clone()), Ok(remembering.clone()));
    assert_eq!(remembering.versions().next(), record.versions().next());
    assert_ne!(remembering.digest(), record.digest(), "who has forgotten it does not hold the same");
}

#[test]
fn a_damaged_list_of_attempts_is_refused() {
    let plain = Record::lww(dot(1, 9), Some(b"v"), None);
    let good = plain.remembering((0..3).map(|id| attempted(1, id, id))).as_bytes().to_vec();
    let parse = |bytes: &[u8]| Record::parse(Bytes::copy_from_slice(bytes));
    for len in 0..good.len() - 1 {
        assert!(matches!(parse(&good[..len]), Err(BadRecord::Truncated { .. })), "{len} bytes");
    }
    let of = |count: u8, body: &[u8]| [&[4, count][..], &vec![0; usize::from(count) * 24], body].concat();
    assert!(parse(&of(1, plain.as_bytes())).is_ok() && parse(&of(32, plain.as_bytes())).is_ok());
    assert_eq!(parse(&of(0, plain.as_bytes())), Err(BadRecord::BadFlags { flags: 0 }));
    assert_eq!(parse(&of(33, plain.as_bytes())), Err(BadRecord::BadFlags { flags: 33 }));
    assert_eq!(parse(&of(1, &good)), Err(BadRecord::UnknownKind { kind: 4 }));
    assert_eq!(parse(&of(1, &[7, 0])), Err(BadRecord::UnknownKind { kind: 7 }));
    assert_eq!(parse(&of(255, &[])), Err(BadRecord::Truncated { len: 2 + 255 * 24 }));
}

#[test]
fn the_newest_attempts_are_kept_and_none_that_is_long_over() {
    let many: Vec<Attempted> = (0..40).map(|n| attempted(1000 + n, 1, n)).collect();
    let newest: Vec<Attempted> = many[8..].iter().rev().copied().collect();
    assert_eq!(kept(1000, &many), newest);
    let (old, edge) = (attempted(999, 1, 1), attempted(1000, 1, 2));
    assert_eq!(kept(1000 + ATTEMPTS_KEPT_MS, &[old, edge]), [edge]);
    assert_eq!(kept(1000 + ATTEMPTS_KEPT_MS + 1, &[old, edge]), []);
    assert_eq!(kept(0, &[edge, edge, edge]), [edge], "each once");
    let plain = Record::lww(dot(u64::MAX >> 16, 1), None, None);
    assert_eq!(plain.remembering([edge].into_iter()), plain);
}

#[test]
fn attempts_survive_expiry_merging_and_being_replaced() {
    let record = Record::lww(dot(1, 1), Some(b"v"), Some(5)).remembering([attempted(1, 1, 7)].into_iter());
    let stripped = record.without_expired(5).unwrap();
    assert_eq!((stripped.attempt(7), stripped.is_live(0)), (Some(dot(1, 1)), false));
    assert_eq!(merge(Some(record.clone()), Some(stripped.clone())), Some(stripped.clone()));
    assert!(stripped.covers(&record));
    let newer = Record::lww(dot(2, 2), Some(b"w"), None);
    let merged = merge(Some(record.clone()), Some(newer.clone())).unwrap();
    assert_eq!((merged.attempt(7), merged.versions().next()), (Some(dot(1, 1)), newer.versions().next()));
    assert!(merged.covers(&newer) && !newer.covers(&merged) && !record.covers(&merged));

    let blind = Context::new();
    let (sibling, _) = Record::causal(None, &blind, dot(1, 1), Some(b"v"), Some(5), usize::MAX).unwrap();
    let sibling = sibling.remembering([attempted(1, 1, 7)].into_iter());
    let (other, _) = Record::causal(None, &sibling.context(), dot(3, 2), Some(b"w"), None, usize::MAX).unwrap();
    let merged = merge(Some(sibling.clone()), Some(other.clone())).unwrap();
    assert_eq!((merged.attempt(7), merged.versions().count()), (Some(dot(1, 1)), 1), "replaced, not forgotten");
    assert_eq!(sibling.without_expired(5).unwrap().attempt(7), Some(dot(1, 1)));
}

/// Records whose versions and attempts lie up to half an hour apart.
fn remembered() -> impl Strategy<Value = Record> {
    let ms = || (0u64..4).prop_map(|n| n * ATTEMPTS_KEPT_MS / 2);
    let attempt = (ms(), 0u64..3, 0u64..3).prop_map(|(ms, actor, id)| attempted(ms, actor, id));
    let attempts = prop_oneof![
        prop::collection::vec(attempt, 0..4).boxed(),
        (0u64..3).prop_map(|from| (from..from + 33).map(|n| attempted(n, 1, n)).collect::<Vec<_>>()).boxed(),
    ];
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..3));
    (ms(), 0u64..3, value, attempts).prop_map(|(ms, actor, value, attempts)| {
        Record::lww(dot(ms, actor), value.as_deref(), None).remembering(attempts.into_iter())
    })
}

/// What replicas may come to hold of a key with siblings, each with attempts that it remembers.
fn siblings() -> impl Strategy<Value = Vec<Record>> {
    let attempt = (0u64..4, 0u64..3, 0u64..3).prop_map(|(n, actor, id)| attempted(n * ATTEMPTS_KEPT_MS / 2, actor, id));
    let attempts = prop::collection::vec(prop::collection::vec(attempt, 0..4), 3);
    (super::histories(), attempts).prop_map(|(replicas, attempts)| {
        let pairs = replicas.iter().zip(attempts);
        pairs.map(|(record, attempts)| record.remembering(attempts.into_iter())).collect()
    })
}

/// Records as they are, with some bytes changed, cut off or made up.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let change = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let any_record = prop_oneof![remembered().boxed(), siblings().prop_map(|mut replicas| replicas.remove(0)).boxed()];
    let changed =
        (any_record, change, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(record, change, cut, cuts)| {
            let mut bytes = record.as_bytes().to_vec();
            change.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
            bytes.truncate(if cuts { cut.index(bytes.len()) } else { bytes.len() });
            bytes
        });
    let byte = prop_oneof![3 => 0u8..6, 1 => any::<u8>()];
    let body = prop::collection::vec(byte.clone(), 0..60);
    let listed = (0u8..4, body).prop_map(|(count, body)| {
        let pairs = (0..usize::from(count) * 24).map(|n| n as u8);
        [4, count].into_iter().chain(pairs).chain(body).collect()
    });
    prop_oneof![changed.boxed(), listed.boxed(), prop::collection::vec(byte, 0..80).boxed()]
}

fn assert_join(a: &Record, b: &Record, c: &Record) {
    let join = |a: &Record, b: &Record| merge(Some(a.clone()), Some(b.clone())).unwrap();
    let ab = join(a, b);
    assert_eq!(join(b, a), ab);
    assert_eq!(join(&ab, a), ab);
    assert_eq!(join(&ab, c), join(a, &join(b, c)));
    assert!(ab.covers(a) && ab.covers(b));
    assert_eq!(Record::parse(ab.as_bytes().clone()), Ok(ab));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn merging_what_is_remembered_is_a_join(a in remembered(), b in remembered(), c in remembered()) {
        assert_join(&a, &b, &c);
    }

    #[test]
    fn merging_siblings_that_remember_is_a_join(replicas in siblings()) {
        for (a, b, c) in [(0, 1, 2), (2, 0, 1), (1, 1, 0)] {
            let of = |n: usize| &replicas[n % replicas.len()];
            assert_join(of(a), of(b), of(c));
        }
    }

    #[test]
    fn whatever_bytes_are_taken_can_be_looked_at(bytes in hostile(), other in remembered()) {
        if let Ok(record) = Record::parse(bytes.clone().into()) {
            prop_assert_eq!(record.as_bytes().as_ref(), &bytes[..]);
            look_at(&record, &other);
            look_at(&other, &record);
        }
    }
}

#[test]
fn the_hostile_bytes_are_often_enough_a_record() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut kinds = [0; 5];
    for _ in 0..2000 {
        let bytes = proptest::strategy::Strategy::new_tree(&hostile(), &mut runner).unwrap();
        let bytes = proptest::strategy::ValueTree::current(&bytes);
        if let Ok(record) = Record::parse(bytes.into()) {
            kinds[usize::from(record.0[0])] += 1;
            kinds[usize::from(record.body()[0])] += usize::from(record.0[0] == 4);
        }
    }
    assert!(kinds[1] > 100 && kinds[2] > 100 && kinds[4] > 100, "{kinds:?}");
}
