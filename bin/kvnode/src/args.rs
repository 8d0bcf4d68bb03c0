//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::settings::Settings;

/// A node of Kvorum, a leaderless replicated key-value store.
#[derive(Debug, Parser)]
#[command(
    name = "kvnode",
    version,
    after_help = "\
Examples:
  kvnode dev                                  a local cluster of three nodes
  kvnode run --data-dir /var/lib/kvorum       one node: founds a cluster
  kvnode run --seeds 10.0.0.1:7401            one more: joins that member's cluster"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node in the foreground.
    Run(Box<RunArgs>),
    /// Run a local cluster as child processes, for development.
    Dev(Box<DevArgs>),
}

#[derive(Debug, Parser)]
#[command(after_help = "\
Every setting can also stand in the --config file (keys as the flags: `data-dir = \"...\"`) or in a KVORUM_* variable.
Flags win over variables, variables over the file.

Examples:
  kvnode run                                  found a cluster of one node in ./kvorum-data
  kvnode run --initial-nodes 3                found a cluster that is complete when three nodes are present
  kvnode run --seeds 10.0.0.1:7401            join the cluster of the member at that peer address
  kvnode run --listen 0.0.0.0:7400 --advertise db1.example:7400 \\
             --peer-listen 0.0.0.0:7401 --peer-advertise db1.example:7401

It prints one line when it serves:
  ready name=n1 id=... client=127.0.0.1:7400 peer=127.0.0.1:7401 http=127.0.0.1:7402")]
pub(crate) struct RunArgs {
    /// Read settings from this TOML file
    #[arg(long, env = "KVORUM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Stop when standard input ends: how a parent process makes sure that its nodes do not outlive it
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

#[derive(Debug, Parser)]
#[command(after_help = "\
Node i, from 0, has the name n{i+1}, its data in DIR/n{i+1}, its log in DIR/n{i+1}.log, and the ports base + 10 i for
clients, +1 for peers, +2 for HTTP. Started again on the same directory it finds the data again. Ctrl-C stops all nodes.
Any other setting of `kvnode run` may be given, and holds for every node.

Examples:
  kvnode dev                                  three nodes on the ports from 7400
  kvnode dev --nodes 5 --dir /tmp/k5 --base-port 8400
  kvnode dev --engine memory                  keeps nothing over a restart")]
pub(crate) struct DevArgs {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) nodes: u16,

    /// Where their data and logs are kept
    #[arg(long, default_value = "./kvorum-dev", value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// The first node's client port; 0 takes whatever ports are free
    #[arg(long, default_value_t = 7400, value_name = "PORT")]
    pub(crate) base_port: u16,

    #[command(flatten)]
    pub(crate) settings: Settings,
}
