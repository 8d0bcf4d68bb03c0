//! Random runs against the model store: writes, returns, failures, crashes and time, in any order.

use core::time::Duration;
use std::vec::Vec;

use proptest::prelude::*;

use super::world::{Fate, World};
use crate::{Config, Kind};

#[derive(Clone, Debug)]
enum Step {
    Write {
        target: u8,
        key: u8,
        bytes: u32,
        kind: Kind,
    },
    Up(u8),
    Down(u8, Fate),
    Forget(u8),
    Page {
        which: usize,
        fails: bool,
    },
    Arrive {
        which: usize,
        fate: Fate,
    },
    /// So many answers without a failure.
    Answers(usize),
    Flush(usize),
    Advance(u64),
    Crash,
}

const TARGETS: u8 = 3;

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![4 => Just(Fate::Arrives), 1 => Just(Fate::AnswerLost), 2 => Just(Fate::Lost)]
}

fn write() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(Kind::Owed), Just(Kind::Spare)];
    let write = (0..TARGETS, 0..40_u8, 0..200_u32, kind);
    write.prop_map(|(target, key, bytes, kind)| Step::Write { target, key, bytes, kind })
}

fn steps(faults: u32) -> impl Strategy<Value = Vec<Step>> {
    let advance = prop_oneof![4 => 1..50_u64, 2 => 50..2000_u64, 1 => 2000..90_000_u64];
    let well = prop_oneof![
        10 => write(),
        3 => (0..TARGETS).prop_map(Step::Up),
        5 => any::<usize>().prop_map(|which| Step::Page { which, fails: false }),
        5 => any::<usize>().prop_map(|which| Step::Arrive { which, fate: Fate::Arrives }),
        2 => (1..20_usize).prop_map(Step::Answers),
        4 => (1..20_usize).prop_map(Step::Flush),
        4 => advance.prop_map(Step::Advance),
    ];
    let faulty = prop_oneof![
        3 => (0..TARGETS, fate()).prop_map(|(target, fate)| Step::Down(target, fate)),
        1 => (0..TARGETS).prop_map(Step::Forget),
        1 => any::<usize>().prop_map(|which| Step::Page { which, fails: true }),
        6 => (any::<usize>(), fate()).prop_map(|(which, fate)| Step::Arrive { which, fate }),
        1 => Just(Step::Crash),
    ];
    let step = prop_oneof![33 => well, faults => faulty];
    proptest::collection::vec(step, 0..300)
}

fn config() -> impl Strategy<Value = Config> {
    let sizes = (500..5000_u64, 1..6_usize, 1..6_usize);
    (sizes, 200..20_000_u64, 0..60_000_u64, 1..600_u64).prop_map(
        |((bytes, in_flight, page), bytes_per_second, max_age_ms, retry_ms)| Config {
            bytes,
            max_age: Duration::from_millis(max_age_ms),
            in_flight,
            bytes_per_second,
            retry_after: Duration::from_millis(retry_ms),
            page,
        },
    )
}

fn run(world: &mut World, steps: Vec<Step>) {
    for step in steps {
        match step {
            Step::Write { target, key, bytes, kind } => world.write(target, key, bytes, kind),
            Step::Up(target) => world.up(target),
            Step::Down(target, fate) => world.down(target, fate),
            Step::Forget(target) => world.forget(target),
            Step::Page { which, fails } => {
                if let Some(index) = which.checked_rem(world.reads.len()) {
                    world.page(index, fails);
                }
            }
            Step::Arrive { which, fate } => arrive(world, which, fate),
            Step::Answers(count) => {
                for _ in 0..count {
                    if !world.reads.is_empty() {
                        world.page(0, false);
                    }
                    arrive(world, 0, Fate::Arrives);
                }
            }
            Step::Flush(entries) => world.flush(entries),
            Step::Advance(ms) => {
                // No log is silent for a minute.
                if ms > 2000 {
                    world.flush(usize::MAX);
                }
                world.advance(Duration::from_millis(ms));
            }
            Step::Crash => world.crash(),
        }
    }
}

fn arrive(world: &mut World, which: usize, fate: Fate) {
    let place = which.checked_rem(world.flights.len()).and_then(|index| world.flights.keys().nth(index).copied());
    if let Some(place) = place {
        world.arrive(place, fate);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    /// Counters are exact, limits hold, and nothing owed is lost.
    #[test]
    fn with_faults_and_rows_that_are_visible_at_once(config in config(), steps in steps(10)) {
        let mut world = World::new(config, true);
        run(&mut world, steps);
        world.settle(TARGETS);
    }

    /// The same while reads lag behind: a row may be invisible, outdated, or erased.
    #[test]
    fn with_faults_and_rows_that_become_visible_late(config in config(), steps in steps(10)) {
        let mut world = World::new(config, false);
        run(&mut world, steps);
        world.settle(TARGETS);
    }

    /// Each partition's hints are sent oldest first.
    #[test]
    fn without_faults(config in config(), steps in steps(0), at_once in any::<bool>()) {
        let mut world = World::new(config, at_once);
        run(&mut world, steps);
        world.settle(TARGETS);
    }
}
