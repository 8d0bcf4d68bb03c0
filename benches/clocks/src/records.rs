//! Owns what is measured of records with siblings: three actors, values of eight bytes.

use std::hint::black_box;
use std::time::Duration;

use crdts::ctx::AddCtx;
use crdts::{CmRDT, CvRDT, MVReg};
use kvorum_vclock::{Causality, Context, Dot, Hlc, Siblings, Timestamp};

use crate::Subject::{Crdts, Kvorum};
use crate::data::{ACTORS, seconds_ago};
use crate::repeat::{repeat, repeat_on};
use crate::{Operation, operation};

type Register = MVReg<u64, u64>;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation(
            "sibling update: replaces one",
            Some(100.0),
            &[(Kvorum, |n| update(n, true)), (Crdts, |n| update_crdts(n, true))],
        ),
        operation(
            "sibling update: adds one",
            Some(100.0),
            &[(Kvorum, |n| update(n, false)), (Crdts, |n| update_crdts(n, false))],
        ),
        operation("sibling merge: nothing is new", None, &[(Kvorum, merge_old), (Crdts, merge_old_crdts)]),
        operation("sibling merge: one is new", None, &[(Kvorum, merge_new), (Crdts, merge_new_crdts)]),
        operation("sibling compare: strictly behind", None, &[(Kvorum, compare)]),
        operation("context of a record", None, &[(Kvorum, context), (Crdts, context_crdts)]),
        operation("hybrid clock: mint", None, &[(Kvorum, mint)]),
    ]
}

/// A record that three actors wrote in turn, each with the context of the one before, so that one value is left.
fn record() -> Siblings<u64, u64> {
    let mut record = Siblings::new();
    for (actor, age) in ACTORS.into_iter().zip([3_000, 200, 10]) {
        let dot = Dot { time: seconds_ago(age), actor };
        record.put(&record.context(), dot, age).expect("later than all before");
    }
    record
}

fn register() -> Register {
    let mut register = MVReg::new();
    for (actor, age) in ACTORS.into_iter().zip([3_000, 200, 10]) {
        let context = register.read_ctx().derive_add_ctx(actor);
        register.apply(register.write(age, context));
    }
    register
}

fn update(times: u64, with_context: bool) -> Duration {
    let record = record();
    let context = if with_context { record.context() } else { Context::new() };
    let dot = Dot { time: seconds_ago(0), actor: ACTORS[1] };
    let mut updated = record.clone();
    updated.put(&context, dot, 1).expect("later than all before");
    assert_eq!(updated.len(), if with_context { 1 } else { 2 });
    repeat_on(times, || record.clone(), |record| record.put(black_box(&context), dot, 1))
}

/// The clock that the update carries is copied before it, since it is consumed.
fn update_crdts(times: u64, with_context: bool) -> Duration {
    let register = register();
    let dot = register.read_ctx().derive_add_ctx(ACTORS[1]).dot;
    let mut clock = if with_context { register.read_ctx().add_clock } else { crdts::VClock::new() };
    clock.apply(dot);
    let mut updated = register.clone();
    updated.apply(register.write(1, AddCtx { clock: clock.clone(), dot }));
    assert_eq!(updated.read().val.len(), if with_context { 1 } else { 2 });
    repeat_on(
        times,
        || (register.clone(), Some(AddCtx { clock: clock.clone(), dot })),
        |(register, context)| {
            if let Some(context) = context.take() {
                register.apply(register.write(1, context));
            }
        },
    )
}

fn with_another() -> Siblings<u64, u64> {
    let mut other = record();
    other.put(&Context::new(), Dot { time: seconds_ago(0), actor: ACTORS[0] }, 1).expect("later than all before");
    other
}

fn register_with_another() -> Register {
    let mut register = register();
    let dot = crdts::Dot::new(ACTORS[0], 2);
    register.apply(register.write(1, AddCtx { clock: dot.into(), dot }));
    assert_eq!(register.read().val.len(), 2);
    register
}

fn merge_old(times: u64) -> Duration {
    let (record, other) = (with_another(), record());
    repeat_on(times, || record.clone(), |record| record.merge(black_box(&other)))
}

fn merge_old_crdts(times: u64) -> Duration {
    let (register, other) = (register_with_another(), self::register());
    repeat_on(times, || (register.clone(), other.clone()), |(register, other)| register.merge(std::mem::take(other)))
}

fn merge_new(times: u64) -> Duration {
    let (record, other) = (record(), with_another());
    repeat_on(times, || record.clone(), |record| record.merge(black_box(&other)))
}

fn merge_new_crdts(times: u64) -> Duration {
    let (register, other) = (register(), register_with_another());
    repeat_on(times, || (register.clone(), other.clone()), |(register, other)| register.merge(std::mem::take(other)))
}

fn compare(times: u64) -> Duration {
    let (record, other) = (record(), with_another());
    assert_eq!(record.compare(&other), Causality::Before);
    repeat(times, || black_box(&record).compare(black_box(&other)))
}

fn context(times: u64) -> Duration {
    let record = record();
    repeat(times, || black_box(&record).context())
}

fn context_crdts(times: u64) -> Duration {
    let register = register();
    repeat(times, || black_box(&register).read_ctx().add_clock)
}

fn mint(times: u64) -> Duration {
    let mut clock = Hlc::new(seconds_ago(10), Timestamp::MAX, 500);
    let wall_ms = seconds_ago(0).millis();
    repeat(times, || clock.mint(black_box(wall_ms)))
}
