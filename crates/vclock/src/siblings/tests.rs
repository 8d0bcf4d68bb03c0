//! Stories of one record or two, and what the other tests of records share: any record at all, and the plainest form of one.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::string::String;
use std::{format, vec, vec::Vec};

use proptest::prelude::*;

use super::*;

mod encoding;
mod forgetting;
mod histories;
mod laws;
mod oracle;
mod pruning;

fn t(bits: u64) -> Timestamp {
    Timestamp::from_bits(bits)
}

fn dot(actor: &'static str, bits: u64) -> Dot<&'static str> {
    Dot { actor, time: t(bits) }
}

fn alive<A: Ord + Clone, V: Clone>(record: &Siblings<A, V>) -> Vec<V> {
    record.values().map(|(_, value)| value.clone()).collect()
}

fn merged<A: Ord + Clone, V: Clone>(left: &Siblings<A, V>, right: &Siblings<A, V>) -> Siblings<A, V> {
    let mut merged = left.clone();
    merged.merge(right);
    merged
}

/// Any record that could exist, reachable or not. The value is determined by the dot, as one event's is.
fn records() -> impl Strategy<Value = Siblings<u64, Vec<u8>>> {
    let entry = (0_u64..8, prop::collection::btree_set(1_u64..12, 0..4));
    prop::collection::btree_map(0_u64..5, entry, 0..5).prop_map(|actors| from_naive(&actors))
}

/// Per actor the discard and the live times: what a record is, in the plainest form.
type Naive = BTreeMap<u64, (u64, BTreeSet<u64>)>;

fn from_naive(actors: &Naive) -> Siblings<u64, Vec<u8>> {
    let mut record = Siblings::new();
    let discards: Context<u64> = actors.iter().map(|(actor, (discard, _))| (*actor, t(*discard))).collect();
    record.discard(&discards);
    for (actor, (discard, times)) in actors {
        for time in times.iter().filter(|time| *time > discard) {
            let value = format!("{time}@{actor}").into_bytes();
            record.put(&Context::new(), Dot { actor: *actor, time: t(*time) }, value).unwrap();
        }
    }
    record
}

fn to_naive(record: &Siblings<u64, Vec<u8>>) -> Naive {
    let mut actors = Naive::new();
    for (actor, time) in record.discards() {
        actors.entry(*actor).or_default().0 = time.to_bits();
    }
    for (dot, _) in record.values() {
        actors.entry(dot.actor).or_default().1.insert(dot.time.to_bits());
    }
    actors
}

/// The definition of merging, word for word: larger discards, union of the dots above them.
fn naive_merge(left: &Naive, right: &Naive) -> Naive {
    let mut merged = left.clone();
    for (actor, (discard, times)) in right {
        let slot = merged.entry(*actor).or_default();
        slot.0 = slot.0.max(*discard);
        slot.1.extend(times);
    }
    for (discard, times) in merged.values_mut() {
        times.retain(|time| time > discard);
    }
    merged
}

#[test]
fn blind_writes_of_one_actor_are_siblings_of_each_other() {
    let mut record = Siblings::new();
    record.put(&Context::new(), dot("a", 5), "one").unwrap();
    record.put(&Context::new(), dot("a", 9), "two").unwrap();
    assert_eq!(alive(&record), ["one", "two"], "minting discards nothing");
    let context = Context::from_iter([("a", t(5))]);
    record.put(&context, dot("a", 12), "three").unwrap();
    assert_eq!(alive(&record), ["two", "three"], "the context of a reader of `one` covers `one` only");
}

#[test]
fn a_dot_that_was_reached_already_is_refused_and_changes_nothing() {
    let mut record = Siblings::new();
    record.put(&Context::from_iter([("b", t(4))]), dot("a", 5), "v").unwrap();
    let before = record.clone();
    let mut refused = |context: &[(&'static str, Timestamp)], dot| {
        let answer = record.put(&context.iter().copied().collect(), dot, "w");
        assert_eq!(record, before);
        answer
    };
    let covered = |time, covered| Err(Error::DotCovered { time: t(time), covered: t(covered) });
    assert_eq!(refused(&[], dot("a", 5)), covered(5, 5), "the live dot itself");
    assert_eq!(refused(&[], dot("a", 3)), covered(3, 5), "before the live dot");
    assert_eq!(refused(&[], dot("b", 4)), covered(4, 4), "at the discard");
    assert_eq!(refused(&[("a", t(7))], dot("a", 7)), covered(7, 7), "at the writer's own context");
    assert_eq!(refused(&[("a", Timestamp::MAX)], dot("a", 8)), covered(8, u64::MAX), "a forged context");
    assert_eq!(refused(&[], dot("c", 0)), covered(0, 0), "a time that nothing has");
}

#[test]
fn the_newest_value_is_the_last_by_time_then_actor() {
    let mut record = Siblings::new();
    assert_eq!(record.newest(), None);
    record.put(&Context::new(), dot("b", 5), 1).unwrap();
    record.put(&Context::new(), dot("a", 5), 2).unwrap();
    assert_eq!(record.newest(), Some((dot("b", 5), &1)));
    record.put(&Context::new(), dot("a", 6), 3).unwrap();
    assert_eq!(record.newest(), Some((dot("a", 6), &3)));
    assert_eq!(record.newest().map(|(dot, _)| dot), record.values().map(|(dot, _)| dot).max());
}

#[test]
fn a_context_from_elsewhere_discards_what_has_not_arrived_yet() {
    let mut late = Siblings::new();
    late.put(&Context::new(), dot("a", 1), "old").unwrap();
    let mut record = Siblings::new();
    record.put(&late.context(), dot("b", 1), "new").unwrap();
    record.merge(&late);
    assert_eq!(alive(&record), ["new"]);
    assert_eq!(record.discards().collect::<Vec<_>>(), [(&"a", t(1))]);
}

/// The story behind the prefix rule. A coordinator's write reaches another replica but not its own disk; it restarts and
/// writes again. What a reader of the second write then overwrites depends on who the coordinator says it is.
#[test]
fn a_restarted_coordinator_must_be_a_new_actor_or_its_lost_write_is_erased_unseen() {
    let story = |actor_after_restart: &'static str| {
        let mut own_disk = Siblings::new();
        own_disk.put(&Context::new(), dot("n", 1), "first").unwrap();
        let mut other = own_disk.clone();
        // Reaches `other`, is lost with the coordinator's memory. Acknowledged by `other`, seen by nobody.
        other.put(&Context::new(), dot("n", 2), "unseen").unwrap();
        own_disk.put(&Context::new(), dot(actor_after_restart, 3), "second").unwrap();

        // A client reads the coordinator's record and overwrites what it saw.
        assert_eq!(alive(&own_disk), ["first", "second"]);
        let context = own_disk.context();
        own_disk.put(&context, dot("c", 4), "third").unwrap();
        own_disk.merge(&other);
        alive(&own_disk).into_iter().collect::<BTreeSet<_>>()
    };
    assert_eq!(story("n, second tenure"), BTreeSet::from(["third", "unseen"]));
    assert_eq!(story("n"), BTreeSet::from(["third"]), "this is the loss that the rule prevents");
}

#[test]
fn a_dot_is_covered_while_it_is_alive_and_when_it_is_gone() {
    let mut record = Siblings::new();
    record.put(&Context::new(), dot("a", 5), "one").unwrap();
    record.put(&Context::from_iter([("b", t(3))]), dot("a", 7), "two").unwrap();
    assert_eq!(record.get(&dot("a", 5)), Some(&"one"));
    assert_eq!([dot("a", 6), dot("b", 3), dot("c", 1)].map(|dot| record.get(&dot)), [None; 3]);
    let covered = [dot("a", 5), dot("a", 6), dot("a", 7), dot("b", 3)];
    assert!(covered.iter().all(|dot| record.covers(dot)), "a prefix of what each actor wrote");
    assert!([dot("a", 8), dot("b", 4), dot("c", 1)].iter().all(|dot| !record.covers(dot)));
}

/// A record from a stranger with the largest time there is: whoever writes next goes on, and replaces it if it was read.
#[test]
fn a_forged_maximal_time_wedges_nobody_but_the_actor_it_names() {
    let mut record = Siblings::new();
    record.put(&Context::new(), dot("forged", u64::MAX), "forged").unwrap();
    record.put(&Context::new(), dot("a", 5), "blind").unwrap();
    assert_eq!(alive(&record), ["blind", "forged"]);
    let seen = record.context();
    record.put(&seen, dot("a", 6), "both seen").unwrap();
    assert_eq!(alive(&record), ["both seen"]);
    let refused = record.put(&Context::new(), dot("forged", u64::MAX), "again");
    assert_eq!(refused, Err(Error::DotCovered { time: Timestamp::MAX, covered: Timestamp::MAX }), "and says why");
}

#[test]
fn the_first_failed_conversion_is_the_answer() {
    let mut record = Siblings::new();
    record.put(&Context::new(), dot("a", 1), "7").unwrap();
    record.put(&Context::new(), dot("b", 1), "x").unwrap();
    assert!(record.try_map(|_, value| value.parse::<u32>()).is_err());
    let lengths = record.try_map(|dot, value| Ok::<_, Infallible>((dot.actor, value.len()))).unwrap();
    assert_eq!(alive(&lengths), [("a", 1), ("b", 1)]);
}
