//! The operations, for who wants criterion's statistics, or to see what a change of this crate does to it.

use clocks::operations;
use criterion::{Criterion, criterion_group, criterion_main};

fn all(criterion: &mut Criterion) {
    for operation in operations() {
        let mut group = criterion.benchmark_group(operation.name);
        for (subject, run) in operation.runs {
            group.bench_function(subject.name(), |bencher| bencher.iter_custom(run));
        }
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
