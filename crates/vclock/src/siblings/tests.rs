//! The laws of sibling sets, held against whole histories and against naive sets.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::string::String;
use std::{format, vec, vec::Vec};

use proptest::prelude::*;

use self::oracle::{Step, World};
use super::*;

mod oracle;

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

/// Figure 3 of the Dynamo paper, with values.
#[test]
fn the_history_of_the_dynamo_paper() {
    let mut sx = Siblings::new();
    sx.put(&Context::new(), dot("sx", 1), "D1").unwrap();
    let seen_d1 = sx.context();
    sx.put(&seen_d1, dot("sx", 2), "D2").unwrap();
    assert_eq!(alive(&sx), ["D2"]);
    let seen_d2 = sx.context();

    let (mut sy, mut sz) = (sx.clone(), sx.clone());
    sy.put(&seen_d2, dot("sy", 1), "D3").unwrap();
    sz.put(&seen_d2, dot("sz", 1), "D4").unwrap();
    sx.merge(&sy);
    sx.merge(&sz);
    assert_eq!(alive(&sx), ["D3", "D4"], "both are handed to the client");
    let seen_both = sx.context();
    assert_eq!(
        seen_both.iter().collect::<Vec<_>>(),
        [(&"sx", t(2)), (&"sy", t(1)), (&"sz", t(1))],
        "the context is the merged clock"
    );

    sx.put(&seen_both, dot("sx", 3), "D5").unwrap();
    assert_eq!(alive(&sx), ["D5"]);
    for replica in [&mut sy, &mut sz] {
        replica.merge(&sx);
        assert_eq!(replica, &sx);
    }
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

/// The same story, told to the oracle: the check over histories must be able to fail.
#[test]
fn the_oracle_complains_when_the_prefix_rule_is_broken() {
    let history = |fresh| {
        let mut world = World::new(2, 2);
        let blind = |replica| Step::Write { client: 0, replica, gap: 0 };
        for step in [
            blind(0),
            Step::Send { replica: 0 },
            blind(0),
            Step::Send { replica: 0 },
            Step::Restart { message: 0, replica: 0, fresh },
            blind(0),
            Step::Read { client: 1, replica: 0 },
            Step::Write { client: 1, replica: 0, gap: 0 },
            Step::Deliver { message: 1, replica: 0 },
        ] {
            world.step(step);
        }
        world.check_all()
    };
    assert_eq!(history(true), Ok(()));
    assert!(history(false).is_err());
}

/// All histories of six steps of one reader, one blind writer and two replicas.
#[test]
fn alive_are_exactly_the_maximal_writes_in_all_short_histories() {
    let mut steps: Vec<Vec<Step>> = vec![];
    for replica in 0..2 {
        steps.push(vec![Step::Read { client: 0, replica }]);
        steps.push(vec![Step::Write { client: 0, replica, gap: 0 }]);
        steps.push(vec![Step::Write { client: 1, replica, gap: 1 }]);
    }
    let mut visited = 0;
    explore(&World::new(2, 2), &steps, 6, &mut visited);
    assert_eq!(visited, (1..=6).map(|depth| 8_u32.pow(depth)).sum::<u32>());
}

fn explore(world: &World, steps: &[Vec<Step>], depth: u32, visited: &mut u32) {
    if depth == 0 {
        return;
    }
    let mut visit = |next: World| {
        *visited += 1;
        assert_eq!(next.check_all(), Ok(()));
        explore(&next, steps, depth - 1, visited);
    };
    for step in steps.iter().flatten() {
        let mut next = world.clone();
        next.step(*step);
        visit(next);
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let mut next = world.clone();
        let sender = next.replicas[from].clone();
        next.replicas[to].absorb(&sender);
        visit(next);
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || 0_usize..3;
    let m = || 0_usize..64;
    let step = prop_oneof![
        4 => (n(), n()).prop_map(|(client, replica)| Step::Read { client, replica }),
        1 => n().prop_map(|client| Step::Forget { client }),
        6 => (n(), n(), 0_u64..3).prop_map(|(client, replica, gap)| Step::Write { client, replica, gap }),
        3 => n().prop_map(|replica| Step::Send { replica }),
        4 => (m(), n()).prop_map(|(message, replica)| Step::Deliver { message, replica }),
        1 => (m(), n()).prop_map(|(message, replica)| Step::Restart { message, replica, fresh: true }),
    ];
    prop::collection::vec(step, 0..50)
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

/// Every record of one actor with times up to three, and of two actors with times up to two.
#[test]
fn merging_agrees_with_the_definition_on_all_small_records() {
    let states = |limit: u64| {
        let mut states = BTreeSet::new();
        for discard in 0..=limit {
            for subset in 0_u64..1 << limit {
                let times: BTreeSet<u64> = (1..=limit).filter(|n| subset >> (n - 1) & 1 == 1 && *n > discard).collect();
                states.insert((discard, times));
            }
        }
        states
    };
    let mut naives: BTreeSet<Naive> = states(3).into_iter().map(|state| Naive::from([(1, state)])).collect();
    for first in states(2) {
        for second in states(2) {
            naives.insert(Naive::from([(1, first.clone()), (2, second)]));
        }
    }
    let records: Vec<_> = naives.iter().map(from_naive).collect();
    assert_eq!(records.len(), 15 + 49);
    for left in &records {
        for right in &records {
            assert_eq!(to_naive(&merged(left, right)), naive_merge(&to_naive(left), &to_naive(right)));
        }
    }
}

proptest! {
    #[test]
    fn alive_are_exactly_the_maximal_writes_in_random_histories(
        steps in steps(),
        order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut world = World::new(3, 3);
        for step in steps {
            world.step(step);
            prop_assert_eq!(world.check_all(), Ok::<(), String>(()));
        }
        // Everything that was ever sent, merged in any order, is one and the same record.
        let states: Vec<_> = world.replicas.iter().chain(&world.messages).cloned().collect();
        let mut forward = states[0].clone();
        states.iter().for_each(|state| forward.absorb(state));
        let mut shuffled = states[order[0] % states.len()].clone();
        for place in order.iter().filter(|place| **place < states.len()) {
            shuffled.absorb(&states[*place]);
        }
        for state in states.iter().skip(order.len()) {
            shuffled.absorb(state);
        }
        prop_assert_eq!(world.check(&forward), Ok::<(), String>(()));
        prop_assert_eq!(forward.record, shuffled.record);
    }

    #[test]
    fn merging_commutes_associates_and_is_idempotent(a in records(), b in records(), c in records()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &a), a.clone());
        prop_assert_eq!(to_naive(&merged(&a, &b)), naive_merge(&to_naive(&a), &to_naive(&b)));
        let mut both = a.context();
        both.merge(&b.context());
        prop_assert_eq!(merged(&a, &b).context(), both, "merging sees what either side has seen");
    }

    #[test]
    fn encoding_round_trips_and_borrows(record in records()) {
        let mut bytes = vec![];
        record.encode(&mut bytes);
        let borrowed = Siblings::<u64, &[u8]>::decode(&bytes).unwrap();
        prop_assert_eq!(borrowed.try_map(|_, value| Ok::<_, Infallible>(value.to_vec())), Ok(record.clone()));
        prop_assert_eq!(Siblings::<u64, Vec<u8>>::decode(&bytes), Ok(record));
        for end in 0..bytes.len() {
            prop_assert!(Siblings::<u64, &[u8]>::decode(&bytes[..end]).is_err(), "a part of an encoding is not one");
        }
    }

    /// Values are bytes of any content, and times of any size.
    #[test]
    fn extreme_dots_and_values_round_trip(actor: u64, discard in 0..u64::MAX, above in 1_u64..=u64::MAX, value: Vec<u8>) {
        let mut record = Siblings::new();
        record.put(&Context::from_iter([(actor, t(discard))]), Dot { actor, time: t(discard.saturating_add(above)) }, value).unwrap();
        let mut bytes = vec![];
        record.encode(&mut bytes);
        prop_assert_eq!(Siblings::<u64, Vec<u8>>::decode(&bytes), Ok(record));
    }

    #[test]
    fn forgetting_drops_exactly_what_is_stable_and_absent(record in records(), stable in 0_u64..12) {
        // Even times play the tombstones.
        let absent = |dot: &Dot<u64>| dot.time <= t(stable) && dot.time.to_bits().is_multiple_of(2);
        let mut forgotten = record.clone();
        let count = forgotten.forget(t(stable), |dot, _| dot.time.to_bits().is_multiple_of(2));
        let dots: Vec<_> = record.values().map(|(dot, _)| dot).filter(|dot| !absent(dot)).collect();
        prop_assert_eq!(forgotten.values().map(|(dot, _)| dot).collect::<Vec<_>>(), dots);
        let discards: Vec<_> = record.discards().filter(|(_, time)| *time > t(stable)).collect();
        prop_assert_eq!(forgotten.discards().collect::<Vec<_>>(), discards);
        let size = |record: &Siblings<u64, Vec<u8>>| record.len() + record.discards().count();
        prop_assert_eq!(size(&record) - size(&forgotten), count);
        prop_assert!(forgotten.is_canonical());
    }

    #[test]
    fn pruning_drops_the_oldest_discards_and_no_value(record in records(), keep in 0_usize..6) {
        let mut pruned = record.clone();
        let count = pruned.prune(keep);
        let mut discards: Vec<_> = record.discards().map(|(actor, time)| (time, *actor)).collect();
        discards.sort_unstable();
        let mut left: Vec<_> = discards.split_off(count).into_iter().map(|(time, actor)| (actor, time)).collect();
        left.sort_unstable();
        prop_assert_eq!(pruned.discards().map(|(actor, time)| (*actor, time)).collect::<Vec<_>>(), left);
        prop_assert_eq!(pruned.discards().count(), keep.min(record.discards().count()));
        prop_assert_eq!(alive(&pruned), alive(&record));
        prop_assert!(pruned.is_canonical());
    }
}

/// Thirty thousand tenures write one key; record and context stay within their bound and the last write survives.
#[test]
fn a_pruned_record_stays_bounded_under_ever_new_actors() {
    let mut record = Siblings::new();
    for write in 1_u64..30_000 {
        let mut context = record.context();
        context.prune(16);
        record.put(&context, Dot { actor: write * 7_919 % 30_011, time: t(write) }, write).unwrap();
        record.prune(16);
        assert!(record.discards().count() <= 16);
        assert_eq!(alive(&record), [write]);
    }
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
