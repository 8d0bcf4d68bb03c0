//! The JSON report keeps its promises.

use std::ffi::OsString;
use std::time::Instant;

use serde_json::Value;

use super::*;
use crate::args::{Command, parse};

fn args(extra: &str) -> RunArgs {
    let line = format!("kvbench run --workload a --records 1000 --value-size 100 --clients 8 --duration 2s {extra}");
    match parse(line.split_whitespace().map(OsString::from)).unwrap().command {
        Command::Run(run) => *run,
        Command::Load(_) | Command::Check(_) => panic!("it is a run"),
    }
}

fn recorder(reads: u64, updates: u64, errors: u64) -> Recorder {
    let mut recorder = Recorder::new();
    let start = Instant::now();
    for (operation, count) in [(Operation::Read, reads), (Operation::Update, updates)] {
        (0..count).for_each(|_| recorder.succeeded(operation, start, start + Duration::from_micros(500)));
    }
    (0..errors).for_each(|_| recorder.failed(start, || "refused".into()));
    recorder
}

fn measured(not_begun: u64) -> Measured {
    let time = Duration::from_secs(2);
    Measured { time, cpu: Duration::from_millis(10), not_begun, intervals: Vec::new() }
}

fn json(args: &RunArgs, recorder: &Recorder, not_begun: u64) -> Value {
    serde_json::to_value(Report::new(args, Sharing::PerNode, recorder, measured(not_begun))).unwrap()
}

#[test]
fn it_has_the_fields_of_the_contract() {
    let report = json(&args(""), &recorder(1500, 500, 500), 0);
    assert_eq!(report["target"], "kvorum");
    assert_eq!(report["workload"], "a");
    for (field, value) in [("clients", 8), ("value_size", 100), ("records", 1000), ("ops", 2000), ("errors", 500)] {
        assert_eq!(report[field], value, "{field}");
    }
    assert_eq!((report["seconds"].as_f64(), report["throughput"].as_f64()), (Some(2.0), Some(1000.0)));
    assert_eq!(report["client_cpu_us_per_op"].as_f64(), Some(4.0));
    for kind in ["read", "update"] {
        for percentile in ["p50", "p95", "p99", "p999", "max", "mean"] {
            let latency = report["latency_us"][kind][percentile].as_f64().unwrap();
            assert!((latency - 500.0).abs() < 1.0, "{kind} {percentile}: {latency}");
        }
    }
    assert_eq!(report["config"]["connections"], "per-node");
    assert_eq!(report["open_loop"], Value::Null);
}

#[test]
fn kinds_that_did_not_occur_are_left_out() {
    let report = json(&args(""), &recorder(0, 10, 0), 0);
    assert!(report["latency_us"].get("read").is_none() && report["latency_us"].get("update").is_some());
    let nothing = json(&args(""), &recorder(0, 0, 7), 0);
    assert_eq!((nothing["ops"].as_u64(), nothing["throughput"].as_f64()), (Some(0), Some(0.0)));
}

#[test]
fn an_open_loop_says_whether_the_cluster_kept_up() {
    let kept_up =
        |rate: &str, not_begun| json(&args(rate), &recorder(1000, 1000, 0), not_begun)["open_loop"]["kept_up"].clone();
    assert_eq!(kept_up("--rate 1000", 0), true);
    assert_eq!(kept_up("--rate 1000", 21), false);
    assert_eq!(kept_up("--rate 1100", 0), false);
}
