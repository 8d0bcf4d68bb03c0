//! The hybrid logical clock under wall clocks that jump, peers that drift and ceilings that are low.

use std::collections::BTreeSet;
use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

fn t(millis: u64, counter: u16) -> Timestamp {
    Timestamp::from_parts(millis, counter)
}

fn free_clock() -> Hlc {
    Hlc::new(Timestamp::MIN, Timestamp::MAX, 100)
}

#[test]
fn it_follows_the_wall_clock_and_counts_when_that_stands_still_or_goes_back() {
    let mut clock = free_clock();
    assert_eq!(clock.mint(50), Ok(t(50, 0)));
    assert_eq!(clock.mint(50), Ok(t(50, 1)));
    assert_eq!(clock.mint(20), Ok(t(50, 2)));
    assert_eq!(clock.mint(51), Ok(t(51, 0)));
}

#[test]
fn the_first_timestamp_is_above_the_floor_and_never_the_minimum() {
    assert_eq!(free_clock().mint(0), Ok(t(0, 1)));
    let mut restarted = Hlc::new(t(900, 7), Timestamp::MAX, 100);
    assert_eq!(restarted.last(), t(900, 7));
    assert_eq!(restarted.mint(500), Ok(t(900, 8)));
}

#[test]
fn a_full_counter_carries_into_the_milliseconds() {
    let mut clock = Hlc::new(t(50, u16::MAX - 1), Timestamp::MAX, 100);
    assert_eq!(clock.mint(50), Ok(t(50, u16::MAX)));
    assert_eq!(clock.mint(50), Ok(t(51, 0)));
    assert_eq!(clock.mint(51), Ok(t(51, 1)));
}

#[test]
fn the_ceiling_holds_until_it_is_raised_and_is_never_lowered() {
    let mut clock = Hlc::new(t(9, 0), t(10, 1), 100);
    assert_eq!(clock.mint(10), Ok(t(10, 0)));
    assert_eq!(clock.mint(10), Ok(t(10, 1)), "the ceiling itself may be minted");
    let before = clock.clone();
    assert_eq!(clock.mint(10), Err(Error::CeilingReached { needed: t(10, 2) }));
    assert_eq!(clock.mint(30), Err(Error::CeilingReached { needed: t(30, 0) }));
    assert_eq!(clock, before, "an error changes nothing");

    clock.raise_ceiling(t(5, 0));
    assert_eq!(clock.ceiling(), t(10, 1));
    clock.raise_ceiling(t(30, 0));
    assert_eq!(clock.mint(30), Ok(t(30, 0)), "the needed ceiling is enough");
}

#[test]
fn a_clock_without_a_lease_mints_nothing() {
    let mut clock = Hlc::new(t(9, 0), t(9, 0), 100);
    assert_eq!(clock.mint(0), Err(Error::CeilingReached { needed: t(9, 1) }));
}

#[test]
fn what_is_observed_is_passed_and_what_is_refused_is_not() {
    let mut clock = free_clock();
    assert_eq!(clock.observe(t(150, 3), 50), Ok(()), "exactly at the bound");
    assert_eq!(clock.mint(50), Ok(t(150, 4)));
    let before = clock.clone();
    assert_eq!(clock.observe(t(151, 0), 50), Err(Error::ClockDrift { ahead_ms: 101, max_ms: 100 }));
    assert_eq!(
        clock.observe(Timestamp::MAX, 50),
        Err(Error::ClockDrift { ahead_ms: Timestamp::MAX_MILLIS - 50, max_ms: 100 })
    );
    assert_eq!(clock, before, "a refused timestamp does not advance the clock");
    assert_eq!(clock.observe(t(2, 0), 50), Ok(()), "an old one is fine");
    assert_eq!(clock, before);
}

#[test]
fn minting_above_passes_what_is_stored_unless_it_drifts_too_far() {
    let mut clock = free_clock();
    assert_eq!(clock.mint_above(t(120, 9), 50), Ok(t(120, 10)));
    assert_eq!(clock.mint_above(t(80, 0), 50), Ok(t(120, 11)), "also above all it minted before");
    let before = clock.clone();
    assert_eq!(clock.mint_above(t(500, 0), 50), Err(Error::ClockDrift { ahead_ms: 450, max_ms: 100 }));
    assert_eq!(clock, before);
    // The wall clock went back by more than the bound; what the clock itself has passed is no drift.
    assert_eq!(clock.mint_above(t(120, 11), 0), Ok(t(120, 12)));

    let mut low = Hlc::new(Timestamp::MIN, t(60, 0), 100);
    assert_eq!(low.mint_above(t(70, 0), 50), Err(Error::CeilingReached { needed: t(70, 1) }));
    assert_eq!(low.last(), Timestamp::MIN);
}

#[test]
fn the_end_of_time_is_an_error_and_not_a_repeated_timestamp() {
    let mut clock = Hlc::new(Timestamp::MIN, Timestamp::MAX, u64::MAX);
    assert_eq!(clock.mint_above(Timestamp::MAX, 50), Err(Error::Overflow), "forged, but the next write goes on");
    assert_eq!(clock.mint(50), Ok(t(50, 0)));
    assert_eq!(clock.mint(Timestamp::MAX_MILLIS + 1), Err(Error::Overflow));
    assert_eq!(clock.mint(u64::MAX), Err(Error::Overflow));
    assert_eq!(clock.mint(50), Ok(t(50, 1)));

    clock.observe(Timestamp::MAX, 50).unwrap();
    let wedged = clock.clone();
    assert_eq!(clock.mint(50), Err(Error::Overflow), "without a drift bound it is at least a typed error");
    assert_eq!(clock, wedged);
}

#[derive(Debug, Clone)]
enum Step {
    Mint { wall_ms: u64 },
    MintAbove { above: Timestamp, wall_ms: u64 },
    Observe { remote: Timestamp, wall_ms: u64 },
    Raise { ceiling: Timestamp },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let time = || {
        prop_oneof![
            8 => (0_u64..60, prop_oneof![0_u16..4, Just(u16::MAX)]).prop_map(|(millis, counter)| t(millis, counter)),
            1 => any::<u64>().prop_map(Timestamp::from_bits),
            1 => Just(Timestamp::MAX),
        ]
    };
    let wall = || prop_oneof![20 => 0_u64..60, 1 => any::<u64>()];
    let step = prop_oneof![
        4 => wall().prop_map(|wall_ms| Step::Mint { wall_ms }),
        2 => (time(), wall()).prop_map(|(above, wall_ms)| Step::MintAbove { above, wall_ms }),
        2 => (time(), wall()).prop_map(|(remote, wall_ms)| Step::Observe { remote, wall_ms }),
        2 => time().prop_map(|ceiling| Step::Raise { ceiling }),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn whatever_happens_it_increases_strictly_between_floor_and_ceiling(floor in 0_u64..40, drift in 0_u64..30, steps in steps()) {
        let floor = t(floor, 0);
        let mut clock = Hlc::new(floor, floor, drift);
        let mut newest = floor;
        let mut ceiling = floor;
        for step in steps {
            let before = clock.clone();
            let (minted, least, wall) = match step {
                Step::Mint { wall_ms } => (clock.mint(wall_ms), Timestamp::MIN, wall_ms),
                Step::MintAbove { above, wall_ms } => (clock.mint_above(above, wall_ms), above, wall_ms),
                Step::Observe { remote, wall_ms } => {
                    let within = remote.millis() <= wall_ms.saturating_add(drift);
                    prop_assert_eq!(clock.observe(remote, wall_ms).is_ok(), within);
                    if within {
                        newest = newest.max(remote);
                    } else {
                        prop_assert_eq!(&clock, &before);
                    }
                    continue;
                }
                Step::Raise { ceiling: raised } => {
                    clock.raise_ceiling(raised);
                    ceiling = ceiling.max(raised);
                    prop_assert_eq!(clock.ceiling(), ceiling);
                    continue;
                }
            };
            match minted {
                Ok(time) => {
                    prop_assert!(time > newest && time > least && time >= t(wall, 0));
                    prop_assert!(time <= ceiling);
                    newest = time;
                }
                Err(error) => {
                    prop_assert_eq!(&clock, &before);
                    match error {
                        Error::CeilingReached { needed } => prop_assert!(needed > ceiling),
                        Error::ClockDrift { ahead_ms, max_ms } => prop_assert!(ahead_ms > max_ms && max_ms == drift),
                        Error::Overflow => {
                            prop_assert!(newest.max(least) == Timestamp::MAX || wall > Timestamp::MAX_MILLIS);
                        }
                        other => prop_assert!(false, "{other:?} is not for a clock"),
                    }
                }
            }
            prop_assert_eq!(clock.last(), newest);
        }
    }

    /// Three nodes with skewed walls exchange timestamps: causes are below their effects, and no clock runs further ahead
    /// of the fastest wall than the number of events there could be.
    #[test]
    fn happened_before_implies_a_smaller_timestamp(
        skews in prop::array::uniform3(0_u64..50),
        steps in prop::collection::vec((0_usize..3, 0_usize..3, 0_u64..3), 0..60),
    ) {
        let mut clocks = [free_clock(), free_clock(), free_clock()];
        let mut seen: [BTreeSet<usize>; 3] = Default::default();
        let mut minted: Vec<Timestamp> = vec![];
        let mut now = 0;
        for (me, from, pause) in steps {
            now += pause;
            let wall = now + skews[me];
            clocks[me].observe(clocks[from].last(), wall).unwrap();
            let theirs = seen[from].clone();
            seen[me].extend(theirs);
            let time = clocks[me].mint(wall).unwrap();
            prop_assert!(seen[me].iter().all(|&event| minted[event] < time));
            prop_assert!(time.millis() <= now + 50, "it stays near wall time");
            seen[me].insert(minted.len());
            minted.push(time);
        }
    }

    /// Restarting with the last durable ceiling as the floor never repeats a timestamp, whatever the wall clock says.
    #[test]
    fn a_restart_at_the_ceiling_never_mints_twice(walls in prop::collection::vec((0_u64..30, any::<bool>()), 0..60)) {
        let mut durable = t(1, 0);
        let mut clock = Hlc::new(Timestamp::MIN, durable, 100);
        let mut newest = Timestamp::MIN;
        for (wall, restart) in walls {
            if restart {
                clock = Hlc::new(durable, durable, 100);
            }
            let time = match clock.mint(wall) {
                Err(Error::CeilingReached { needed }) => {
                    durable = t(needed.millis() + 10, 0);
                    clock.raise_ceiling(durable);
                    clock.mint(wall)
                }
                minted => minted,
            }
            .unwrap();
            prop_assert!(time > newest);
            newest = time;
        }
    }
}
