//! Owns a cluster of three kvnodes under test, on free ports and in a directory that goes away with it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::cpu;

/// A running cluster; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// `kvnode dev`, whose children the nodes are.
    parent: Child,
    /// Where clients connect, comma-separated.
    pub(crate) endpoints: String,
    /// The nodes.
    pub(crate) processes: Vec<u32>,
    _directory: TempDir,
}

impl Cluster {
    /// Starts it; it serves when this returns.
    pub(crate) fn start(kvnode: &Path) -> Result<Cluster> {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        let mut command = Command::new(kvnode);
        command.args(["dev", "--nodes", "3", "--base-port", "0", "--engine", "memory", "--log", "warn", "--dir"]);
        command.arg(directory.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KVORUM_")) {
            command.env_remove(variable);
        }
        let mut parent = command.spawn().with_context(|| format!("cannot start {}", kvnode.display()))?;
        let output = parent.stdout.take().context("its output is not ours")?;
        // From here on an early return stops it.
        let mut cluster = Cluster { parent, endpoints: String::new(), processes: Vec::new(), _directory: directory };
        let mut endpoints = Vec::new();
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read the output of kvnode")?;
            if line == "cluster ready" {
                cluster.endpoints = endpoints.join(",");
                cluster.processes = cpu::children(cluster.parent.id())?;
                break;
            }
            endpoints.extend(client_address(&line).map(str::to_owned));
        }
        if cluster.processes.len() != 3 || endpoints.len() != 3 {
            bail!("the cluster did not form: try `{} dev` by hand", kvnode.display());
        }
        Ok(cluster)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The nodes watch their standard input, which is its other end, and stop with it.
        let _ = self.parent.kill();
        let _ = self.parent.wait();
        while self.processes.iter().any(|process| Path::new(&format!("/proc/{process}")).exists()) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// Of `  n1  client 127.0.0.1:7400  peer ...`.
fn client_address(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.by_ref().find(|word| *word == "client")?;
    words.next().filter(|address| address.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_lines_about_nodes() {
        let line = "  n2  client 127.0.0.1:7410  peer 127.0.0.1:7411  http 127.0.0.1:7412  log ./kvorum-dev/n2.log";
        assert_eq!(client_address(line), Some("127.0.0.1:7410"));
        assert_eq!(client_address("starting 3 nodes in ./kvorum-dev"), None);
    }
}
