//! A key is deleted, forgotten and written again while one replica is away with the old tombstone (Riak's *doomstone*: issue
//! 679 of `riak_kv`). If dots are counted anew for a key that is not there, the tombstone discards the new value. Times that
//! are never used twice make it harmless.

use kvorum_vclock::{Context, Dot, Hlc, Siblings, Timestamp};

/// `None` is a tombstone.
type Record = Siblings<&'static str, Option<&'static str>>;

fn shown(record: &Record) -> Vec<&'static str> {
    record.values().filter_map(|(_, value)| *value).collect()
}

/// How an actor names its next write of a key.
trait Dots {
    fn next(&mut self, record: &Record) -> Timestamp;
}

/// As a store does it that counts for each key, and starts again when the key is gone.
struct CountedPerKey;

impl Dots for CountedPerKey {
    fn next(&mut self, record: &Record) -> Timestamp {
        record.context().get(&"a").next()
    }
}

impl Dots for Hlc {
    fn next(&mut self, _: &Record) -> Timestamp {
        self.mint(1_000).expect("no ceiling")
    }
}

/// Writes, deletes, forgets and writes again at `a`, while another replica is away with one of the states on the way; then
/// that one returns. Says what is shown when all have exchanged.
fn story(mut dots: impl Dots, away_with: usize) -> Vec<&'static str> {
    let mut replica = Record::new();
    let mut states = vec![];
    let value = dots.next(&replica);
    replica.put(&Context::new(), Dot { actor: "a", time: value }, Some("first")).expect("never used before");
    states.push(replica.clone());
    let deleted = dots.next(&replica);
    let context = replica.context();
    replica.put(&context, Dot { actor: "a", time: deleted }, None).expect("never used before");
    states.push(replica.clone());

    // The replicas that are there agree, and forget: too early, since one is away.
    replica.forget(deleted, |_, value| value.is_none());
    assert_eq!(replica, Record::new());
    let again = dots.next(&replica);
    let context = replica.context();
    replica.put(&context, Dot { actor: "a", time: again }, Some("second")).expect("never used before");

    let mut away = states.swap_remove(away_with);
    away.merge(&replica);
    replica.merge(&away);
    assert_eq!(replica, away);
    shown(&replica)
}

const VALUE: usize = 0;
const TOMBSTONE: usize = 1;

fn clock() -> Hlc {
    Hlc::new(Timestamp::MIN, Timestamp::MAX, 500)
}

#[test]
fn a_lagging_tombstone_does_not_take_the_recreated_value_along() {
    assert_eq!(story(clock(), TOMBSTONE), ["second"]);
}

#[test]
fn dots_that_are_counted_anew_lose_the_recreated_value_to_a_lagging_tombstone() {
    assert_eq!(story(CountedPerKey, TOMBSTONE), [] as [&str; 0], "this is the doomstone");
}

/// Forgetting before all have the tombstone is what a stable time is there to prevent. It shows a deleted value again, and
/// even then loses nothing.
#[test]
fn a_lagging_value_returns_if_its_tombstone_was_forgotten_too_early_and_harms_no_other() {
    assert_eq!(story(clock(), VALUE), ["first", "second"]);
}

/// Deletes and writes by turns, with a replica that misses a different part each time: the last write always stands.
#[test]
fn no_delete_and_recreate_loses_a_later_write_whatever_a_replica_has_missed() {
    const ROUNDS: usize = 6;
    for missed in 0_u32..1 << (2 * ROUNDS) {
        let mut clock = clock();
        let (mut replica, mut lagging) = (Record::new(), Record::new());
        for round in 0..2 * ROUNDS {
            let value = (round % 2 == 1).then_some("written");
            let time = clock.mint(1_000).unwrap();
            let context = replica.context();
            replica.put(&context, Dot { actor: "a", time }, value).unwrap();
            if missed >> round & 1 == 0 {
                lagging.merge(&replica);
            }
        }
        replica.merge(&lagging);
        assert_eq!(shown(&replica), ["written"], "{missed:#b}");
        lagging.merge(&replica);
        assert_eq!(lagging, replica);
    }
}
