//! Owns the loops around an operation. Does not own what is done.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How many operands are prepared at once: enough that reading the clock twice costs a fraction of a nanosecond for each, few
/// enough to stay in the nearest cache.
const BATCH: u64 = 64;

/// Repeats what changes nothing.
pub(crate) fn repeat<R>(times: u64, mut operation: impl FnMut() -> R) -> Duration {
    let begin = Instant::now();
    for _ in 0..times {
        black_box(operation());
    }
    begin.elapsed()
}

/// Repeats what consumes or changes its operand, on a fresh one each time. Making the operands, and dropping them and the
/// results, is not timed.
pub(crate) fn repeat_on<T, R>(
    times: u64,
    mut prepare: impl FnMut() -> T,
    mut operation: impl FnMut(&mut T) -> R,
) -> Duration {
    let mut time = Duration::ZERO;
    let mut results = Vec::with_capacity(BATCH as usize);
    for begin in (0..times).step_by(BATCH as usize) {
        let mut operands: Vec<T> = (begin..times.min(begin + BATCH)).map(|_| prepare()).collect();
        let begin = Instant::now();
        for operand in &mut operands {
            results.push(operation(black_box(operand)));
        }
        time += begin.elapsed();
        black_box(&operands);
        results.clear();
    }
    time
}
