//! Owns what a run measured, as programs read it. The names are a contract.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::args::RunArgs;
use crate::connections::Sharing;
use crate::distribution::Kind;
use crate::exit::{Exit, Failure};
use crate::progress::per_second;
use crate::recorder::{Percentiles, Recorder};
use crate::workload::Operation;

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) target: &'static str,
    pub(crate) version: &'static str,
    pub(crate) workload: &'static str,
    pub(crate) clients: usize,
    pub(crate) value_size: usize,
    pub(crate) records: u64,
    /// Operations that succeeded, begun after the warm-up.
    pub(crate) ops: u64,
    pub(crate) errors: u64,
    /// How long it took until operations were refused for overload, in microseconds from when they really began; only if any were.
    pub(crate) refusal_us: Option<Percentiles>,
    /// Reads that found nothing; they count as operations.
    pub(crate) misses: u64,
    /// From the end of the warm-up to the end of the last operation.
    pub(crate) seconds: f64,
    /// Operations per second.
    pub(crate) throughput: f64,
    /// By kind of operation; only kinds that occurred.
    pub(crate) latency_us: BTreeMap<&'static str, Percentiles>,
    /// Processor time of this program for each operation, failed ones included.
    pub(crate) client_cpu_us_per_op: f64,
    /// Present in an open loop.
    pub(crate) open_loop: Option<OpenLoop>,
    /// One for each second.
    pub(crate) intervals: Vec<Interval>,
    pub(crate) config: Config,
}

/// How an open loop went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct OpenLoop {
    /// Operations per second asked for.
    pub(crate) rate: u64,
    /// Operations that were due before the end and never begun, because all clients were waiting.
    pub(crate) not_begun: u64,
    /// Whether nearly everything that was asked for was done.
    pub(crate) kept_up: bool,
}

/// A second, or what was left of one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Interval {
    /// When it ended, since the end of the warm-up.
    pub(crate) at: f64,
    pub(crate) throughput: f64,
    pub(crate) errors: u64,
    /// Of all operations, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// How the run was asked for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Config {
    pub(crate) endpoints: Vec<String>,
    pub(crate) keyspace: String,
    pub(crate) distribution: Kind,
    /// `per-node`, `own`, or how many.
    pub(crate) connections: Sharing,
    pub(crate) read_level: Option<String>,
    pub(crate) write_level: Option<String>,
    pub(crate) rate: Option<u64>,
    pub(crate) duration_s: Option<f64>,
    pub(crate) ops: Option<u64>,
    pub(crate) warm_up_s: f64,
    pub(crate) timeout_s: f64,
    pub(crate) seed: u64,
}

impl Config {
    pub(crate) fn new(args: &RunArgs, connections: Sharing) -> Config {
        let target = &args.target;
        Config {
            endpoints: target.endpoints.clone(),
            keyspace: target.keyspace.clone(),
            distribution: args.distribution,
            connections,
            read_level: args.read.map(|level| level.to_string()),
            write_level: target.write.map(|level| level.to_string()),
            rate: args.rate,
            duration_s: args.duration.map(|duration| duration.as_secs_f64()),
            ops: args.ops.map(NonZeroU64::get),
            warm_up_s: args.warm_up.as_secs_f64(),
            timeout_s: target.timeout.as_secs_f64(),
            seed: target.seed,
        }
    }
}

/// What was measured beside the operations themselves.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
    /// Of an open loop.
    pub(crate) not_begun: u64,
    pub(crate) intervals: Vec<Interval>,
}

impl Report {
    pub(crate) fn new(args: &RunArgs, connections: Sharing, recorder: &Recorder, measured: Measured) -> Report {
        let ops = recorder.ops();
        let kinds = [(Operation::Read, &recorder.reads), (Operation::Update, &recorder.updates)];
        let occurred = kinds.iter().filter(|(_, latencies)| latencies.count() > 0);
        let throughput = per_second(ops, measured.time);
        let open_loop = args.rate.map(|rate| {
            let not_begun = measured.not_begun;
            let begun = ops + recorder.errors;
            let kept_up = per_second(begun, measured.time) >= 0.99 * rate as f64 && not_begun <= begun / 100;
            OpenLoop { rate, not_begun, kept_up }
        });
        Report {
            target: "kvorum",
            version: env!("CARGO_PKG_VERSION"),
            workload: args.workload.name(),
            clients: args.clients.get(),
            value_size: args.target.value_size,
            records: args.target.records,
            ops,
            errors: recorder.errors,
            refusal_us: (recorder.refusals.count() > 0).then(|| recorder.refusals.percentiles()),
            misses: recorder.misses,
            seconds: rounded(measured.time.as_secs_f64(), 6),
            throughput: rounded(throughput, 1),
            latency_us: occurred.map(|(kind, latencies)| (kind.name(), latencies.percentiles())).collect(),
            client_cpu_us_per_op: rounded(measured.cpu.as_secs_f64() * 1e6 / (ops + recorder.errors).max(1) as f64, 2),
            open_loop,
            intervals: measured.intervals,
            config: Config::new(args, connections),
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut json = serde_json::to_string_pretty(self).expect("a report has no keys but strings");
        json.push('\n');
        std::fs::write(path, json).map_err(|error| {
            Failure::new(Exit::Other, format!("cannot write the report to {}: {error}", path.display()))
        })
    }
}

pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
