//! Owns what a run measured, as people read it.

use std::fmt::Write;

use crate::connections::Sharing;
use crate::progress::{grouped, latency, per_second};
use crate::recorder::{Latencies, Recorder};
use crate::report::Report;

/// A table, and what is odd about the run.
pub(crate) fn text(report: &Report, recorder: &Recorder, sharing: Sharing) -> String {
    let mut text = heading(report, sharing);
    let header = ["", "ops", "ops/s", "mean", "p50", "p95", "p99", "p99.9", "max"].map(str::to_owned);
    let mut rows = vec![header];
    let kinds = [("read", &recorder.reads), ("update", &recorder.updates)];
    let kinds: Vec<_> = kinds.into_iter().filter(|(_, latencies)| latencies.count() > 0).collect();
    rows.extend(kinds.iter().map(|(name, latencies)| row(name, latencies, report.seconds)));
    if kinds.len() > 1 {
        rows.push(row("all", &recorder.all(), report.seconds));
    }
    for row in &rows {
        let mut line = format!("{:<6}", row[0]);
        row[1..].iter().for_each(|cell| put(&mut line, format_args!(" {cell:>11}")));
        put(&mut text, format_args!("{}\n", line.trim_end()));
    }
    let errors = if report.errors == 1 { "1 error".into() } else { format!("{} errors", grouped(report.errors)) };
    let cpu = report.client_cpu_us_per_op;
    put(
        &mut text,
        format_args!("{errors} in {:.1} s; {cpu:.1} us of this program's CPU per operation\n", report.seconds),
    );
    if recorder.refusals.count() > 0 {
        let it = recorder.refusals.percentiles();
        let (count, [p50, p99, max]) = (grouped(recorder.refusals.count()), [it.p50, it.p99, it.max].map(latency));
        put(
            &mut text,
            format_args!("{count} of them were refused for overload, after {p50} (p50), {p99} (p99), {max} (max)\n"),
        );
    }
    remarks(report).iter().for_each(|remark| put(&mut text, format_args!("note: {remark}\n")));
    text
}

fn heading(report: &Report, sharing: Sharing) -> String {
    let clients = if report.clients == 1 { "1 client".into() } else { format!("{} clients", report.clients) };
    let distribution = format!("{:?}", report.config.distribution).to_lowercase();
    let pace = report.config.rate.map_or("closed loop".into(), |rate| format!("open loop at {} ops/s", grouped(rate)));
    format!(
        "workload {}: {clients} {}, {} records of {} B, {distribution}, {pace}\n",
        report.workload,
        sharing.text(),
        grouped(report.records),
        report.value_size,
    )
}

fn row(name: &str, latencies: &Latencies, seconds: f64) -> [String; 9] {
    let count = latencies.count();
    let throughput = per_second(count, std::time::Duration::from_secs_f64(seconds));
    let it = latencies.percentiles();
    let [mean, p50, p95, p99, p999, max] = [it.mean, it.p50, it.p95, it.p99, it.p999, it.max].map(latency);
    [name.into(), grouped(count), grouped(throughput.round() as u64), mean, p50, p95, p99, p999, max]
}

/// What a reader should know before he believes the numbers.
fn remarks(report: &Report) -> Vec<String> {
    let mut remarks = Vec::new();
    if report.misses > 0 {
        let misses = grouped(report.misses);
        remarks.push(format!("{misses} reads found nothing; load as many records first, with `kvbench load`"));
    }
    if let Some(open) = report.open_loop.filter(|open| !open.kept_up) {
        let done = grouped(report.throughput.round() as u64);
        let mut remark = format!("the cluster did not keep up: {done} of {} operations per second", grouped(open.rate));
        if open.not_begun > 0 {
            let waited = grouped(open.not_begun);
            put(
                &mut remark,
                format_args!(
                    "; {waited} were due and never begun, and are in no latency (all {} clients were waiting; more may help)",
                    report.clients
                ),
            );
        }
        remarks.push(remark);
    }
    remarks
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}
