//! The command line.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::duration;

/// What the messages of a replicated store cost when there is no store.
#[derive(Debug, Parser)]
#[command(
    name = "floors",
    version,
    after_help = "Examples:
  floors run --clients 64 --duration 5s --value-size 100
  floors compare --rounds 5 --report ratios.json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be one server, in the foreground
    #[command(after_help = "Examples:
  floors serve --listen 127.0.0.1:7500
  floors serve --listen 127.0.0.1:7500 --peer-listen 127.0.0.1:7501 --peers 127.0.0.1:7511,127.0.0.1:7521

Without peers it is an echo: every frame is sent back. With two peers each frame is copied to both and sent back when the
first has acknowledged its copy. It prints one line that begins with `ready` when it serves.")]
    Serve(ServeArgs),
    /// Start the servers, drive them, and stop them
    #[command(after_help = "Examples:
  floors run --clients 64 --duration 5s --value-size 100
  floors run --target echo --clients 1 --duration 5s --value-size 1024 --report echo.json")]
    Run(RunArgs),
    /// Measure Kvorum as ratios to quorum-echo-3, in alternating rounds
    #[command(after_help = "Examples:
  cargo build --release --bin kvnode --bin kvbench && floors compare --rounds 5
  floors compare --kvnode ./kvnode --kvbench ./kvbench --rounds 3 --duration 3s --report ratios.json

Each round starts quorum-echo-3, drives it and stops it, then starts three kvnodes (engine memory, N = 3, quorum), loads
them, runs puts and gets on shared connections and on one connection for each client, and stops them. A ratio is the
median over the rounds, each against the floor of its own round. Everything is on the loopback device.")]
    Compare(CompareArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Where peers connect
    #[arg(long, value_name = "ADDRESS", requires = "peers")]
    pub(crate) peer_listen: Option<SocketAddr>,
    /// Where the peers listen for peers
    #[arg(long, value_name = "ADDRESS,ADDRESS", value_delimiter = ',', requires = "peer_listen")]
    pub(crate) peers: Vec<SocketAddr>,
    /// Stop when standard input ends: how a parent process makes sure that its servers do not outlive it
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

/// How long and how hard.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Load {
    /// How many clients there are, each with one frame in flight on a connection of its own
    #[arg(long, value_name = "C", default_value = "64")]
    pub(crate) clients: NonZeroUsize,
    /// How long to measure
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive, default_value = "5s")]
    pub(crate) duration: Duration,
    /// How long to run before that
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    pub(crate) warm_up: Duration,
    /// The length of a frame's payload
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(crate) value_size: u16,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Which servers
    #[arg(long, value_enum, default_value_t = Target::QuorumEcho)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) load: Load,
    /// What the frames stand for; they are the same, the report names them differently
    #[arg(long, value_enum, default_value_t = Workload::Put)]
    pub(crate) workload: Workload,
    /// Also write what was measured as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// One process that sends every frame back
    Echo,
    /// Three processes; each frame is copied to two peers and sent back after the first acknowledgement
    #[value(name = "quorum-echo-3")]
    QuorumEcho,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Reported as updates
    Put,
    /// Reported as reads
    Get,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) load: Load,
    /// How many rounds
    #[arg(long, value_name = "R", default_value = "3")]
    pub(crate) rounds: NonZeroU32,
    /// How many records are loaded
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) records: u64,
    /// The kvnode program [default: the one in target/release]
    #[arg(long, value_name = "FILE")]
    pub(crate) kvnode: Option<PathBuf>,
    /// The kvbench program [default: the one in target/release]
    #[arg(long, value_name = "FILE")]
    pub(crate) kvbench: Option<PathBuf>,
    /// Also write what was measured as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Target::Echo => "echo",
            Target::QuorumEcho => "quorum-echo-3",
        }
    }
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Put => "put",
            Workload::Get => "get",
        }
    }

    /// As kvbench calls the operation.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Workload::Put => "update",
            Workload::Get => "read",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }
}
