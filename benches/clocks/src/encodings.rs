//! Owns what is measured of bytes: contexts of three actors, and a record with a value of 100 bytes.

use std::hint::black_box;
use std::time::Duration;

use kvorum_vclock::{Context, Dot, Limits, Siblings, SiblingsView};

use crate::Subject::{Crdts, Kvorum};
use crate::data::{ACTORS, seconds_ago};
use crate::repeat::repeat;
use crate::{Operation, operation};

const LIMITS: Limits = Limits { bytes: 4_096, entries: 64 };

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation("context: encode", Some(150.0), &[(Kvorum, encode), (Crdts, encode_crdts)]),
        operation("context: decode", Some(150.0), &[(Kvorum, decode), (Crdts, decode_crdts)]),
        operation("record, 100 B value: encode", None, &[(Kvorum, encode_record)]),
        operation("record, 100 B value: decode", None, &[(Kvorum, decode_record)]),
        operation("record, 100 B value: view", None, &[(Kvorum, view_record)]),
        operation("record, 100 B value: view, ranges", None, &[(Kvorum, view_ranges)]),
    ]
}

/// How many bytes a context of three actors takes: kvorum-vclock's own encoding, and that of a `crdts` clock with the same
/// actors and times by postcard.
#[must_use]
pub fn context_bytes() -> (usize, usize) {
    let mut own = Vec::new();
    context().encode(&mut own);
    let mut buffer = [0; 128];
    let other = postcard::to_slice(&clock(), &mut buffer).expect("it fits");
    (own.len(), other.len())
}

fn context() -> Context<u64> {
    ACTORS.into_iter().zip([3_000, 200, 10].map(seconds_ago)).collect()
}

fn clock() -> crdts::VClock<u64> {
    context().iter().map(|(actor, time)| crdts::Dot::new(*actor, time.to_bits())).collect()
}

fn encode(times: u64) -> Duration {
    let context = context();
    let mut bytes = Vec::with_capacity(128);
    repeat(times, || {
        bytes.clear();
        black_box(&context).encode(&mut bytes);
        bytes.len()
    })
}

fn encode_crdts(times: u64) -> Duration {
    let clock = clock();
    let mut buffer = [0; 128];
    repeat(times, || postcard::to_slice(black_box(&clock), &mut buffer).map(|bytes| bytes.len()))
}

fn decode(times: u64) -> Duration {
    let mut bytes = Vec::new();
    context().encode(&mut bytes);
    assert_eq!(Context::decode_within(&bytes, LIMITS), Ok(context()));
    repeat(times, || Context::decode_within(black_box(&bytes), LIMITS))
}

fn decode_crdts(times: u64) -> Duration {
    let mut buffer = [0; 128];
    let bytes = postcard::to_slice(&clock(), &mut buffer).expect("it fits");
    assert_eq!(postcard::from_bytes::<crdts::VClock<u64>>(bytes), Ok(clock()));
    repeat(times, || postcard::from_bytes::<crdts::VClock<u64>>(black_box(bytes)))
}

fn record() -> Siblings<u64, Vec<u8>> {
    let mut record = Siblings::new();
    for (actor, age) in ACTORS.into_iter().zip([3_000, 200, 10]) {
        let dot = Dot { time: seconds_ago(age), actor };
        record.put(&record.context(), dot, vec![7; 100]).expect("later than all before");
    }
    record
}

fn encode_record(times: u64) -> Duration {
    let record = record();
    let mut bytes = Vec::with_capacity(256);
    repeat(times, || {
        bytes.clear();
        black_box(&record).encode(&mut bytes);
        bytes.len()
    })
}

fn decode_record(times: u64) -> Duration {
    let mut bytes = Vec::new();
    record().encode(&mut bytes);
    repeat(times, || Siblings::<u64, &[u8]>::decode_within(black_box(&bytes), LIMITS))
}

fn view_record(times: u64) -> Duration {
    let mut bytes = Vec::new();
    record().encode(&mut bytes);
    repeat(times, || SiblingsView::parse_within(black_box(&bytes), LIMITS).map(|view| view.len()))
}

fn view_ranges(times: u64) -> Duration {
    let mut bytes = Vec::new();
    record().encode(&mut bytes);
    let view = SiblingsView::parse_within(&bytes, LIMITS).expect("as it was encoded");
    repeat(times, || black_box(&view).ranges().map(|(_, range)| range.len()).sum::<usize>())
}
