//! Reads, one rule at a time; and against the oracle, in every order and at random.

use super::*;
use crate::Level;
use crate::oracle::{self, Case, Sets, of_first, requirement, set};
use std::vec;
use std::vec::Vec;

mod every_order;
mod judge;
mod random;
mod rules;
mod sloppy;

const START: Duration = Duration::from_millis(100);
const HEDGE: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_millis(1000);

/// A hedge each time it has passed, whatever the budget says.
const EACH: Hedge = Hedge { early: HEDGE, late: HEDGE };

fn config(case: &Case<'_>, hedge: Option<Hedge>) -> ReadConfig {
    ReadConfig {
        requirement: requirement(case.sets),
        replicas: ReplicaSet::first(case.n),
        down: set(case.down),
        stand_ins: case.stand_ins,
        deadline: DEADLINE,
        hedge,
    }
}

fn start(case: &Case<'_>, hedge: Option<Hedge>) -> (Read, Vec<Effect>) {
    let mut out = Vec::new();
    let read = Read::start(START, config(case, hedge), &mut out);
    (read, out)
}

fn sends(replicas: impl IntoIterator<Item = usize>) -> Vec<Effect> {
    replicas.into_iter().map(|replica| Effect::Send { replica }).collect()
}

fn done(outcome: Outcome) -> Vec<Effect> {
    vec![Effect::Done(outcome)]
}
