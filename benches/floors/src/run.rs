//! `floors run`: one floor, started, driven and stopped.

use anyhow::Result;

use crate::args::{Load, RunArgs, Target, Workload};
use crate::drive::drive;
use crate::processes::Servers;
use crate::report::{Report, write};

pub(crate) fn run(args: &RunArgs) -> Result<()> {
    let report = measure(args.target, args.workload, &args.load)?;
    let latency = report.latency()?;
    println!(
        "{} {}: {} clients each with its own connection, {} B, {} s",
        report.target, report.workload, report.clients, report.value_size, report.seconds
    );
    println!(
        "{:.0} ops/s, p50 {:.0} us, p99 {:.0} us; CPU us/op: servers {:.1}, client {:.1}",
        report.throughput, latency.p50, latency.p99, report.server_cpu_us_per_op, report.client_cpu_us_per_op
    );
    args.report.as_deref().map_or(Ok(()), |path| write(&report, path))
}

/// Starts the servers of a floor, drives them and stops them.
pub(crate) fn measure(target: Target, workload: Workload, load: &Load) -> Result<Report> {
    let servers = Servers::start(target)?;
    let measured = drive(load, &servers.addresses, &servers.processes())?;
    Ok(Report::new(target, workload, load, &measured))
}
