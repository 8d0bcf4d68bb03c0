//! Owns calls of the kvbench program: against a cluster, with its report read back.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::{Load, Workload};
use crate::cluster::Cluster;
use crate::cpu;
use crate::report::Report;

/// How often it is looked whether kvbench is done, and how far its servers' cost may be off.
const LOOK: Duration = Duration::from_millis(5);

/// The program, and what does not change between its runs.
#[derive(Debug)]
pub(crate) struct Kvbench<'a> {
    pub(crate) program: PathBuf,
    pub(crate) load: &'a Load,
    pub(crate) records: u64,
}

impl Kvbench<'_> {
    /// Loads the records.
    pub(crate) fn load(&self, cluster: &Cluster) -> Result<()> {
        let status = self.command("load", cluster).stdout(Stdio::null()).status();
        if !status.with_context(|| format!("cannot start {}", self.program.display()))?.success() {
            bail!("the records could not be loaded");
        }
        Ok(())
    }

    /// Runs one workload.
    pub(crate) fn run(&self, cluster: &Cluster, workload: Workload, own_connections: bool) -> Result<Report> {
        let file = tempfile::NamedTempFile::new().context("cannot make a file")?;
        let mut command = self.command("run", cluster);
        command.args(["--workload", workload.name(), "--distribution", "uniform"]);
        command.args(["--clients", &self.load.clients.to_string()]);
        command.args(["--duration", &millis(self.load.duration), "--warm-up", &millis(self.load.warm_up)]);
        if own_connections {
            command.arg("--own-connections");
        }
        command.arg("--report").arg(file.path()).stdout(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let server_cpu = self.watch(&mut child, &cluster.processes)?;
        if !child.wait().context("cannot wait for kvbench")?.success() {
            bail!("kvbench failed");
        }
        read(file.path(), server_cpu, self.load.duration)
    }

    fn command(&self, name: &str, cluster: &Cluster) -> Command {
        let mut command = Command::new(&self.program);
        command.args([name, "-e", &cluster.endpoints, "--records", &self.records.to_string()]);
        command.args(["--value-size", &self.load.value_size.to_string()]);
        command
    }

    /// What the servers cost in the middle of the measurement: from a little after its begin to a little before its end,
    /// as a share of one second.
    fn watch(&self, child: &mut Child, servers: &[u32]) -> Result<f64> {
        let edge = self.load.duration / 10;
        std::thread::sleep(self.load.warm_up + edge);
        let (before, from) = (cpu::of(servers)?, Instant::now());
        std::thread::sleep(self.load.duration - 3 * edge);
        let (after, to) = (cpu::of(servers)?, Instant::now());
        while child.try_wait().context("cannot wait for kvbench")?.is_none() {
            std::thread::sleep(LOOK);
        }
        Ok((after - before).as_secs_f64() / (to - from).as_secs_f64())
    }
}

/// A report, completed by what the servers cost: `server_cpu` seconds in each.
fn read(path: &Path, server_cpu: f64, asked: Duration) -> Result<Report> {
    let text = std::fs::read_to_string(path).context("cannot read the report of kvbench")?;
    let mut report: Report = serde_json::from_str(&text).context("the report of kvbench is not as expected")?;
    if report.errors > 0 || report.seconds > asked.as_secs_f64() * 1.1 {
        bail!("{} operations failed, in {:.1} s: that is no measurement", report.errors, report.seconds);
    }
    report.server_cpu_us_per_op = crate::report::rounded(server_cpu * 1e6 / report.throughput, 2);
    Ok(report)
}

fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
