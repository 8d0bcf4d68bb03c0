//! Writes, one rule at a time; and against the oracle, in every order and at random.

use super::*;
use crate::Level;
use crate::oracle::{self, Case, Sets, of_first, requirement, set};
use std::vec;
use std::vec::Vec;

mod every_order;
mod judge;
mod random;
mod rules;

const START: Duration = Duration::from_millis(100);
const EARLY: Duration = Duration::from_millis(119);
const COVER: Duration = Duration::from_millis(120);
const SETTLE: Duration = Duration::from_millis(30);
const DEADLINE: Duration = Duration::from_millis(200);

fn config(case: &Case<'_>) -> WriteConfig {
    WriteConfig {
        requirement: requirement(case.sets),
        replicas: ReplicaSet::first(case.n),
        down: set(case.down),
        stand_ins: case.stand_ins,
        deadline: DEADLINE,
        cover_after: COVER - START,
        settle_after: SETTLE,
    }
}

fn start(case: &Case<'_>) -> (Write, Vec<Effect>) {
    let mut out = Vec::new();
    let write = Write::start(START, config(case), &mut out);
    (write, out)
}
