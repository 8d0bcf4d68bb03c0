//! Owns what a comparison found: medians over its rounds, as a table and as JSON.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use crate::args::{Load, Workload};
use crate::compare::{CELLS, Round};
use crate::report::{Report, rounded};

/// One row of what is run against the cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) workload: Workload,
    pub(crate) own_connections: bool,
    /// The least ratio that is aimed at.
    pub(crate) bar: Option<f64>,
}

/// A whole comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    rounds: usize,
    clients: usize,
    value_size: u16,
    records: u64,
    seconds: f64,
    /// The floor first.
    rows: Vec<Row>,
}

/// Medians over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    name: String,
    throughput: f64,
    /// To the floor of the same round.
    ratio: f64,
    /// The least and the largest of the rounds.
    ratio_range: [f64; 2],
    /// The floor's processor time for an operation, servers and client, to this one's: what the ratio would be if nothing
    /// else ran on the machine and nobody ever waited.
    cpu_ratio: f64,
    bar: Option<f64>,
    p50_us: f64,
    p99_us: f64,
    server_cpu_us_per_op: f64,
    client_cpu_us_per_op: f64,
}

impl Comparison {
    pub(crate) fn new(load: &Load, records: u64, rounds: &[Round]) -> Result<Comparison> {
        let floors: Vec<&Report> = rounds.iter().map(|round| &round.floor).collect();
        let mut rows = vec![Row::new("quorum-echo-3".into(), None, &floors, &floors)?];
        for (index, cell) in CELLS.iter().enumerate() {
            let reports: Vec<&Report> = rounds.iter().map(|round| &round.cells[index]).collect();
            rows.push(Row::new(cell.name(), cell.bar, &reports, &floors)?);
        }
        let (clients, value_size, seconds) = (load.clients.get(), load.value_size, load.duration.as_secs_f64());
        Ok(Comparison { rounds: rounds.len(), clients, value_size, records, seconds, rows })
    }

    pub(crate) fn text(&self) -> String {
        let Comparison { rounds, clients, value_size, records, seconds, .. } = self;
        let mut text = format!(
            "medians of {rounds} alternating rounds: {clients} clients, {value_size} B, {records} records, {seconds} s each\n\
             {:<24}{:>9}{:>8}{:>14}{:>6}{:>8}{:>9}{:>9}{:>14}{:>14}\n",
            "", "ops/s", "ratio", "range", "bar", "by CPU", "p50 us", "p99 us", "server us/op", "client us/op"
        );
        for row in &self.rows {
            let [least, largest] = row.ratio_range;
            let bar = row.bar.map_or(String::new(), |bar| format!("{bar:.1}"));
            let line = format!(
                "{:<24}{:>9.0}{:>8.2}{:>14}{bar:>6}{:>8.2}{:>9.0}{:>9.0}{:>14.1}{:>14.1}",
                row.name,
                row.throughput,
                row.ratio,
                format!("{least:.2} - {largest:.2}"),
                row.cpu_ratio,
                row.p50_us,
                row.p99_us,
                row.server_cpu_us_per_op,
                row.client_cpu_us_per_op
            );
            writeln!(text, "{line}").expect("a string takes everything");
        }
        text
    }
}

impl Cell {
    /// "kvorum put, shared".
    fn name(self) -> String {
        let connections = if self.own_connections { "own" } else { "shared" };
        format!("kvorum {}, {connections}", self.workload.name())
    }
}

impl Row {
    fn new(name: String, bar: Option<f64>, reports: &[&Report], floors: &[&Report]) -> Result<Row> {
        let pairs = || reports.iter().zip(floors);
        let mut ratios: Vec<f64> = pairs().map(|(report, floor)| report.throughput / floor.throughput).collect();
        ratios.sort_by(f64::total_cmp);
        let latencies = reports.iter().map(|report| report.latency()).collect::<Result<Vec<_>>>()?;
        let of = |value: fn(&Report) -> f64| median(reports.iter().map(|report| value(report)));
        Ok(Row {
            name,
            throughput: of(|report| report.throughput),
            ratio: rounded(median(ratios.iter().copied()), 3),
            ratio_range: [ratios[0], ratios[ratios.len() - 1]].map(|ratio| rounded(ratio, 3)),
            cpu_ratio: rounded(median(pairs().map(|(report, floor)| cpu(floor) / cpu(report))), 3),
            bar,
            p50_us: median(latencies.iter().map(|latency| latency.p50)),
            p99_us: median(latencies.iter().map(|latency| latency.p99)),
            server_cpu_us_per_op: of(|report| report.server_cpu_us_per_op),
            client_cpu_us_per_op: of(|report| report.client_cpu_us_per_op),
        })
    }
}

/// Servers and client together, in microseconds for an operation.
fn cpu(report: &Report) -> f64 {
    report.server_cpu_us_per_op + report.client_cpu_us_per_op
}

/// Of an even number, the mean of the middle two.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::Target;
    use crate::drive::Measured;

    fn report(ops: u64) -> Report {
        let mut latencies = hdrhistogram::Histogram::new(3).unwrap();
        latencies.record_n(500_000, ops).unwrap();
        let (time, cpu) = (Duration::from_secs(1), Duration::from_millis(10));
        let measured = Measured { latencies, time, client_cpu: cpu, server_cpu: 2 * cpu };
        Report::new(Target::QuorumEcho, Workload::Put, &load(), &measured)
    }

    fn load() -> Load {
        let (duration, warm_up) = (Duration::from_secs(1), Duration::ZERO);
        Load { clients: 64.try_into().unwrap(), duration, warm_up, value_size: 100 }
    }

    #[test]
    fn a_ratio_is_the_median_of_those_of_the_rounds() {
        let round = |floor, put| Round { floor: report(floor), cells: [put, floor, floor, floor].map(report).to_vec() };
        // The machine was half as fast in the second round: the ratio is hardly touched, though the medians differ.
        let rounds = [round(1000, 1500), round(500, 800), round(1000, 1400)];
        let comparison = Comparison::new(&load(), 10, &rounds).unwrap();
        let put = &comparison.rows[1];
        assert_eq!((put.ratio, put.ratio_range, put.throughput), (1.5, [1.4, 1.6], 1400.0));
        assert_eq!((comparison.rows[0].ratio, comparison.rows[0].cpu_ratio), (1.0, 1.0));
        assert!((put.cpu_ratio - 1.5).abs() < 0.1, "the same processor time, so many more operations: {put:?}");
        assert!((comparison.rows[0].p50_us - 500.0).abs() < 1.0);
        assert_eq!(comparison.text().lines().count(), 7, "{}", comparison.text());
    }

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    }
}
