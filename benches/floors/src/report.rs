//! Owns what a run against a floor measured: JSON as kvbench reports it, and one line for people.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::args::{Load, Target, Workload};
use crate::drive::Measured;

/// One run. Kvbench's reports are read as the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) target: String,
    pub(crate) workload: String,
    pub(crate) clients: usize,
    pub(crate) value_size: usize,
    pub(crate) records: u64,
    pub(crate) ops: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    /// Operations per second.
    pub(crate) throughput: f64,
    pub(crate) latency_us: BTreeMap<String, Percentiles>,
    /// Processor time of the clients, for each operation.
    pub(crate) client_cpu_us_per_op: f64,
    /// Of all servers together; a report of kvbench does not know it.
    #[serde(default)]
    pub(crate) server_cpu_us_per_op: f64,
}

/// In microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

impl Report {
    pub(crate) fn new(target: Target, workload: Workload, load: &Load, measured: &Measured) -> Report {
        let ops = measured.latencies.len();
        let seconds = measured.time.as_secs_f64();
        let per_op = |time: std::time::Duration| rounded(time.as_secs_f64() * 1e6 / ops.max(1) as f64, 2);
        Report {
            target: target.name().into(),
            workload: workload.name().into(),
            clients: load.clients.get(),
            value_size: load.value_size.into(),
            records: 0,
            ops,
            errors: 0,
            seconds,
            throughput: rounded(ops as f64 / seconds, 1),
            latency_us: [(workload.operation().into(), Percentiles::of(&measured.latencies))].into(),
            client_cpu_us_per_op: per_op(measured.client_cpu),
            server_cpu_us_per_op: per_op(measured.server_cpu),
        }
    }

    /// Of the only kind of operation.
    pub(crate) fn latency(&self) -> Result<Percentiles> {
        self.latency_us.values().next().copied().context("the report has no latencies: nothing succeeded")
    }
}

impl Percentiles {
    fn of(latencies: &Histogram<u64>) -> Percentiles {
        let quantile = |quantile| rounded(latencies.value_at_quantile(quantile) as f64 / 1e3, 1);
        Percentiles {
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: rounded(latencies.max() as f64 / 1e3, 1),
            mean: rounded(latencies.mean() / 1e3, 1),
        }
    }
}

pub(crate) fn write(value: &impl Serialize, path: &Path) -> Result<()> {
    let mut json = serde_json::to_string_pretty(value)?;
    json.push('\n');
    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}

pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_kvbench_is_read_as_one_of_ours() {
        let kvbench = r#"{"target":"kvorum","version":"0.1.0","workload":"put","clients":64,"value_size":100,
            "records":1000,"ops":10,"errors":0,"misses":0,"seconds":1.0,"throughput":10.0,
            "latency_us":{"update":{"p50":1.0,"p95":2.0,"p99":3.0,"p999":4.0,"max":5.0,"mean":1.5}},
            "client_cpu_us_per_op":3.0,"open_loop":null,"intervals":[],"config":{}}"#;
        let report: Report = serde_json::from_str(kvbench).unwrap();
        assert_eq!((report.throughput, report.latency().unwrap().p99), (10.0, 3.0));
        assert_eq!(report.server_cpu_us_per_op, 0.0);
    }
}
