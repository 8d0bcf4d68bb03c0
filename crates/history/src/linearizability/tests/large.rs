//! Large histories: what the search bears. The ones that are ignored measure, with
//! `cargo test --release -p kvorum-history large -- --ignored --nocapture`.

use super::generate::{Calls, Load, Play, Random, falsify, history, make_absurd};
use crate::linearizability::search::{self, Reach, Verdict};
use crate::linearizability::timeline::Timeline;
use crate::linearizability::{Unexplained, check, solve};
use crate::model::{Register, Set, Text};

/// Ten clients that hardly ever pause, a thousand operations.
const BUSY: Load = Load {
    operations: 1000,
    clients: 10,
    longest: 50,
    pause: 5,
    unknown_percent: 0,
    read_percent: 50,
    second_percent: 0,
    values: None,
};

/// What is wrong with a history.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Nothing,
    /// Some answer was changed, four fifths down the way. It may still fit.
    Changed,
    /// Some answer, four fifths down the way, never fits.
    Absurd,
}

fn build<M: Play>(model: &M, load: &Load, wrong: Wrong, seed: u64) -> Calls<M> {
    let random = &mut Random(seed);
    let mut calls = history(model, load, random);
    match wrong {
        Wrong::Nothing => {}
        Wrong::Changed => falsify(model, &mut calls, 8 * load.operations / 10, random),
        Wrong::Absurd => make_absurd(model, &mut calls, 8 * load.operations / 10),
    }
    calls
}

/// Checks some histories and says, if asked, how long the slowest took.
fn bear<M: Play>(what: &str, model: &M, load: &Load, measures: bool) {
    for wrong in [Wrong::Nothing, Wrong::Changed, Wrong::Absurd] {
        let (mut slowest, mut stuck) = (0.0_f64, 0);
        for seed in 0..if measures { 4 } else { 1 } {
            let calls = build(model, load, wrong, seed);
            let start = now();
            let found = check(model, &calls);
            slowest = slowest.max(now() - start);
            match found {
                Ok(_) => assert_ne!(wrong, Wrong::Absurd, "{what}, seed {seed}"),
                Err(Unexplained::Stuck(_)) => {
                    assert_ne!(wrong, Wrong::Nothing, "{what}, seed {seed}");
                    stuck += 1;
                }
                Err(undecided) => {
                    println!("{what}, {wrong:?}, seed {seed}: {undecided}");
                    assert!(measures, "{what}, seed {seed}");
                }
            }
        }
        if measures {
            println!("{what}, {wrong:?}: {stuck} of 4 stuck, the slowest {:.0} ms", slowest * 1000.0);
        }
    }
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it measures")]
fn now() -> f64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// The loads that differ in what makes a search hard.
fn bear_all<M: Play>(what: &str, model: &M, clients: u64, second_percent: u64, measures: bool) {
    for values in [None, Some(5)] {
        for read_percent in [10, 50] {
            for unknown_percent in [0, 10] {
                let values_text = values.map_or("unique".into(), |values| format!("{values}"));
                let name = format!(
                    "{what}, {clients} clients, {values_text} values, {read_percent} % reads, {unknown_percent} % unknown"
                );
                bear(
                    &name,
                    model,
                    &Load { clients, values, read_percent, unknown_percent, second_percent, ..BUSY },
                    measures,
                );
            }
        }
    }
}

#[test]
fn a_thousand_operations_of_ten_clients_are_judged_in_no_time() {
    bear_all("register", &Register { initial: 0 }, 10, 0, false);
    bear_all("set", &Set::default(), 10, 0, false);
    bear_all("text of appends", &Text, 10, 100, false);
    for unknown_percent in [0, 10] {
        let load = Load { unknown_percent, second_percent: 80, ..BUSY };
        bear("register with compare-and-set", &Register { initial: 0 }, &load, false);
        bear("text", &Text, &Load { unknown_percent, second_percent: 50, ..BUSY }, false);
    }
}

#[test]
fn a_search_that_forgets_layers_comes_to_the_same_verdict() {
    let load = Load { operations: 200, values: Some(5), unknown_percent: 10, second_percent: 50, ..BUSY };
    for seed in 0..20 {
        for (wrong, many) in [(Wrong::Nothing, 0), (Wrong::Nothing, 50), (Wrong::Absurd, 0)] {
            let calls = build(&Register { initial: 0 }, &load, wrong, seed);
            let reach = Reach { many, ..search::LONG };
            let verdict = solve(&Register { initial: 0 }, &calls, &Timeline::new(&calls), reach);
            assert_eq!(matches!(verdict, Verdict::Linearized(_)), wrong == Wrong::Nothing, "seed {seed}, {reach:?}");
        }
    }
}

#[test]
#[ignore = "measures"]
fn how_long_a_thousand_operations_take() {
    bear_all("set", &Set::default(), 10, 0, true);
    bear_all("text of appends", &Text, 10, 100, true);
    bear_all("register", &Register { initial: 0 }, 10, 0, true);
    bear_all("register with compare-and-set", &Register { initial: 0 }, 10, 80, true);
    bear_all("text", &Text, 10, 50, true);
}

#[test]
#[ignore = "measures"]
fn how_long_many_clients_take() {
    for clients in [20, 30] {
        bear_all("set", &Set::default(), clients, 0, true);
        bear_all("text of appends", &Text, clients, 100, true);
    }
    for unknown_percent in [0, 10] {
        let name = format!("register, 20 clients, unique values, 50 % reads, {unknown_percent} % unknown");
        bear(&name, &Register { initial: 0 }, &Load { clients: 20, unknown_percent, ..BUSY }, true);
    }
}

#[test]
#[ignore = "measures"]
fn how_long_a_hundred_thousand_operations_on_one_key_take() {
    let load = Load { operations: 100_000, ..BUSY };
    bear("register of 100 000", &Register { initial: 0 }, &load, true);
}
