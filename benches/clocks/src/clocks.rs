//! Owns what is measured of vector clocks: comparing and merging clocks of three actors.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use crdts::{CvRDT, Dot};
use kvorum_vclock::{Causality, VClock};

use crate::Subject::{Crdts, Kvorum, Vclock};
use crate::data::{STRANGER, counters};
use crate::repeat::{repeat, repeat_on};
use crate::{Operation, operation};

type Theirs = vclock::VClock<u64, u64>;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation(
            "compare: an ancestor",
            Some(30.0),
            &[
                (Kvorum, |n| compare(n, ANCESTOR, Causality::Before)),
                (Vclock, |n| compare_vclock(n, ANCESTOR, Some(Ordering::Less))),
                (Crdts, |n| compare_crdts(n, ANCESTOR, Some(Ordering::Less))),
            ],
        ),
        operation(
            "compare: equal",
            Some(30.0),
            &[
                (Kvorum, |n| compare(n, ONE, Causality::Equal)),
                (Vclock, |n| compare_vclock(n, ONE, Some(Ordering::Equal))),
                (Crdts, |n| compare_crdts(n, ONE, Some(Ordering::Equal))),
            ],
        ),
        operation(
            "compare: concurrent",
            Some(30.0),
            &[
                (Kvorum, |n| compare(n, OTHER, Causality::Concurrent)),
                (Vclock, |n| compare_vclock(n, OTHER, None)),
                (Crdts, |n| compare_crdts(n, OTHER, None)),
            ],
        ),
        operation(
            "merge: nothing is new",
            Some(30.0),
            &[
                (Kvorum, |n| merge(n, &kvorum(ANCESTOR))),
                (Vclock, |n| merge_vclock(n, &theirs(ANCESTOR))),
                (Crdts, |n| merge_crdts(n, &crdts(ANCESTOR))),
            ],
        ),
        operation(
            "merge: a counter is new",
            Some(30.0),
            &[
                (Kvorum, |n| merge(n, &kvorum(OTHER))),
                (Vclock, |n| merge_vclock(n, &theirs(OTHER))),
                (Crdts, |n| merge_crdts(n, &crdts(OTHER))),
            ],
        ),
        operation(
            "merge: an actor is new",
            Some(30.0),
            &[
                (Kvorum, |n| merge(n, &[(STRANGER, 4)].into_iter().collect())),
                (Vclock, |n| merge_vclock(n, &Theirs::from(HashMap::from([(STRANGER, 4)])))),
                (Crdts, |n| merge_crdts(n, &crdts::VClock::from(Dot::new(STRANGER, 4)))),
            ],
        ),
    ]
}

const ONE: [u64; 3] = [7, 3, 12];
const ANCESTOR: [u64; 3] = [7, 2, 12];
const OTHER: [u64; 3] = [7, 4, 11];

fn kvorum(entries: [u64; 3]) -> VClock<u64> {
    counters(entries).collect()
}

fn theirs(entries: [u64; 3]) -> Theirs {
    Theirs::from(counters(entries).collect::<HashMap<_, _>>())
}

fn crdts(entries: [u64; 3]) -> crdts::VClock<u64> {
    counters(entries).map(|(actor, counter)| Dot::new(actor, counter)).collect()
}

fn compare(times: u64, left: [u64; 3], answer: Causality) -> Duration {
    let (left, right) = (kvorum(left), kvorum(ONE));
    assert_eq!(left.compare(&right), answer);
    repeat(times, || black_box(&left).compare(black_box(&right)))
}

fn compare_vclock(times: u64, left: [u64; 3], answer: Option<Ordering>) -> Duration {
    let (left, right) = (theirs(left), theirs(ONE));
    assert_eq!(left.partial_cmp(&right), answer);
    repeat(times, || black_box(&left).partial_cmp(black_box(&right)))
}

fn compare_crdts(times: u64, left: [u64; 3], answer: Option<Ordering>) -> Duration {
    let (left, right) = (crdts(left), crdts(ONE));
    assert_eq!(left.partial_cmp(&right), answer);
    repeat(times, || black_box(&left).partial_cmp(black_box(&right)))
}

fn merge(times: u64, other: &VClock<u64>) -> Duration {
    let one = kvorum(ONE);
    repeat_on(times, || one.clone(), |clock| clock.merge(black_box(other)))
}

fn merge_vclock(times: u64, other: &Theirs) -> Duration {
    let one = theirs(ONE);
    repeat_on(times, || one.clone(), |clock| clock.merge(black_box(other)))
}

/// `merge` takes its argument by value: a copy of it is prepared with each operand, so that copying is not timed.
fn merge_crdts(times: u64, other: &crdts::VClock<u64>) -> Duration {
    let one = crdts(ONE);
    repeat_on(times, || (one.clone(), other.clone()), |(clock, other)| clock.merge(std::mem::take(other)))
}
