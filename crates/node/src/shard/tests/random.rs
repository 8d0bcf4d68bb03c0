//! Several shards in a small world (`random/world.rs`), run from seeds and checked at the end. Whatever happens, every request
//! ends once, what was acknowledged is there, and replicas that heard everything agree.

mod faults;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::bench::value_of;
use crate::{Explanation, FailureKind};
use faults::Faults;
use world::{Call, KEYS, Node, World};

impl World {
    fn acknowledged(&self) -> usize {
        let is_written = |call: &&Call| matches!(call.completed, Some((_, Response::Written { .. })));
        self.calls.iter().filter(is_written).count()
    }

    fn known_values(&self) -> BTreeSet<&str> {
        self.calls.iter().filter_map(|call| call.value.as_deref()).collect()
    }

    fn check(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            assert_eq!(node.shard.operations(), 0, "operations are left at node {}", number + 1);
            assert_eq!(node.shard.overlaid_keys(), 0, "keys are overlaid at node {}", number + 1);
        }
        let known = self.known_values();
        for call in &self.calls {
            let Some((_, response)) = &call.completed else {
                assert!(call.is_lost, "a request got no answer");
                continue;
            };
            match response {
                Response::Value { record: Some(record), .. } => {
                    assert!(known.contains(core::str::from_utf8(&value_of(record).unwrap()).unwrap()));
                }
                Response::Failed(failure) if failure.kind == FailureKind::Rejected => {
                    let value = call.value.as_deref().map(str::as_bytes);
                    let stored = self
                        .nodes
                        .iter()
                        .flat_map(|node| node.store.values())
                        .any(|record| value_of(record).as_deref() == value);
                    assert!(!stored, "a rejected write is stored: {}", failure.message);
                }
                Response::Why(told) => check_explanation(told),
                _ => {}
            }
        }
    }

    /// What was acknowledged is held by two replicas, seen by later reads, and followed by later writes, as far as those
    /// calls ask for it.
    fn check_key(&self, key: usize, counts: impl Fn(&Call) -> bool) {
        let calls: Vec<&Call> = self.calls.iter().filter(|call| call.key == key && counts(call)).collect();
        for call in &calls {
            let (completed, dot) = match &call.completed {
                Some((completed, Response::Written { dot, .. })) => (completed, *dot),
                // What a strict read has returned, every later one returns.
                Some((completed, Response::Value { record: Some(record), .. })) if call.is_strict => {
                    (completed, record.dot())
                }
                _ => continue,
            };
            let name = super::bench::key(&format!("k{key}"));
            let held = |node: &&Node| node.store.get(&name).is_some_and(|held| held.dot() >= dot);
            assert!(self.nodes.iter().filter(held).count() >= 2, "an acknowledged write is held by too few");
            for later in calls.iter().filter(|later| later.invoked > *completed) {
                match &later.completed {
                    Some((_, Response::Written { dot: next, .. })) => {
                        assert!(*next > dot, "a write that began later must win: {next:?}, {dot:?}");
                    }
                    Some((_, Response::Value { record: seen, .. })) => {
                        let seen = seen.as_ref().map(Record::dot);
                        assert!(seen >= Some(dot), "an acknowledged write is not seen: {seen:?}, {dot:?}");
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whatever was kept is delivered, and without any read, replicas hold the same: the newest that was acknowledged, strictly or not, or
    /// something newer that may have been.
    fn check_converged(&self) {
        for (number, node) in (1..).zip(&self.nodes) {
            let hints = node.store.keys().filter(|key| key.keyspace() == HINTS_KEYSPACE).count();
            assert_eq!(hints, 0, "rows of hints are left at node {number}");
            let expected = if number <= 3 { self.nodes[0].store.clone() } else { BTreeMap::new() };
            assert_eq!(node.store, expected, "node {number} differs");
        }
        for call in &self.calls {
            let Some((_, Response::Written { dot, .. })) = &call.completed else { continue };
            let held = self.nodes[0].store.get(&super::bench::key(&format!("k{}", call.key)));
            assert!(held.map(Record::dot) >= Some(*dot), "an acknowledged write is lost: {dot:?}, {held:?}");
        }
    }
}

/// Whatever was lost, late or repeated: what is told belongs where it stands, and was told by who is not called silent.
fn check_explanation(told: &Explanation) {
    for replica in &told.replicas {
        for (holder, hint) in &replica.hints {
            assert!(hint.target == replica.node && *holder != replica.node && !hint.versions.is_empty(), "{told:?}");
            assert!(!told.silent.contains(holder), "{told:?}");
        }
    }
}

/// Runs one world to its end and checks it. A seed that fails is printed and replays.
fn run(seed: u64, faults: Faults) -> World {
    println!("seed {seed}");
    let mut world = World::new(seed, faults);
    world.run(1500);
    world.check();
    (0..KEYS).for_each(|key| world.check_key(key, |_| true));
    world
}

#[test]
fn replicas_that_heard_everything_agree() {
    let mut acknowledged = 0;
    for seed in 0..300 {
        let world = run(seed, Faults { repetition: true, ..Faults::default() });
        assert_eq!(world.nodes[0].store, world.nodes[1].store);
        assert_eq!(world.nodes[1].store, world.nodes[2].store);
        assert!(world.nodes[3].store.is_empty(), "it is no replica");
        acknowledged += world.acknowledged();
    }
    assert!(acknowledged > 5000, "{acknowledged} writes are too few to tell");
}

#[test]
fn what_is_acknowledged_survives_loss_and_repetition() {
    let mut acknowledged = 0;
    for seed in 1000..1300 {
        acknowledged += run(seed, Faults { loss: true, repetition: true, ..Faults::default() }).acknowledged();
    }
    assert!(acknowledged > 5000, "{acknowledged} writes are too few to tell");
}

/// How often what the runs are about has come to pass.
#[derive(Debug, Default)]
struct Seen {
    strict: usize,
    sloppy: usize,
    hints: usize,
    lost: usize,
    /// The hints that operators were told of.
    told: usize,
}

/// Runs worlds in which nodes are away.
fn run_with_absences(seeds: core::ops::Range<u64>, faults: Faults) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        println!("seed {seed}");
        let mut world = World::new(seed, Faults { absence: true, ..faults });
        world.run(4000);
        if faults.crashes {
            // A coordinator that crashed leaves those who missed its write to reads, and to whoever compares replicas.
            world.read_all();
        }
        world.check();
        world.check_converged();
        (0..KEYS).for_each(|key| world.check_key(key, |call| call.is_strict));
        let written = world.calls.iter().filter_map(|call| match &call.completed {
            Some((_, Response::Written { replicas, .. })) => Some((call.is_strict, replicas.sloppy)),
            _ => None,
        });
        for (is_strict, sloppy) in written {
            assert!(!(is_strict && sloppy), "a strict write is never sloppy");
            (seen.strict, seen.sloppy) = (seen.strict + usize::from(is_strict), seen.sloppy + usize::from(sloppy));
        }
        let explanations = world.calls.iter().filter_map(|call| match &call.completed {
            Some((_, Response::Why(told))) => Some(told),
            _ => None,
        });
        seen.told += explanations.flat_map(|told| &told.replicas).map(|replica| replica.hints.len()).sum::<usize>();
        seen.hints += world.most_hints;
        seen.lost += world.calls.iter().filter(|call| call.is_lost).count();
    }
    seen
}

#[test]
fn strict_calls_find_what_they_acknowledged_and_all_replicas_become_equal() {
    let seen = run_with_absences(2000..2060, Faults::default());
    assert!(seen.strict > 600 && seen.sloppy > 120 && seen.hints > 600 && seen.told > 600, "too few to tell: {seen:?}");
}

#[test]
fn the_same_with_loss_and_repetition() {
    let seen = run_with_absences(3000..3060, Faults { loss: true, repetition: true, ..Faults::default() });
    assert!(seen.strict > 600 && seen.sloppy > 120 && seen.hints > 600 && seen.told > 600, "too few to tell: {seen:?}");
}

#[test]
fn the_same_when_nodes_crash() {
    let seen = run_with_absences(4000..4060, Faults { crashes: true, ..Faults::default() });
    assert!(seen.strict > 600 && seen.sloppy > 120 && seen.lost > 30 && seen.told > 600, "too few to tell: {seen:?}");
}
