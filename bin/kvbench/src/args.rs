//! Owns the command line: names, flags, help, and their validated values. What a command does with them is in the
//! command's own file.

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use kvorum_client::Level;

use crate::distribution::Kind;
use crate::duration;
use crate::keys::MAX_RECORDS;
use crate::workload::Workload;

/// Measures a Kvorum cluster: loads records, runs a workload against them; and checks recorded histories.
#[derive(Debug, Parser)]
#[command(
    name = "kvbench",
    version,
    after_help = "Examples:
  kvbench load --records 100000 --value-size 100
  kvbench run --workload a --records 100000 --value-size 100 --clients 64 --duration 30s
  kvbench check history.jsonl --model register

Exit codes: 0 done, or linearizable; 1 every operation failed, or not linearizable; 2 usage, or a history that cannot be
read; 3 the cluster cannot be reached or is unavailable, 4 refused
(limits), 5 anything else."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the records that `run` reads and updates
    #[command(after_help = "Examples:
  kvbench load --records 100000 --value-size 100
  kvbench load -e n1:7400,n2:7400 --records 10000000 --value-size 1KiB --clients 256 -w all

The keys are user000000000000, user000000000001 and so on; the values are random bytes.")]
    Load(LoadArgs),
    /// Run a workload and measure it
    #[command(after_help = "Examples:
  kvbench run --workload a --records 100000 --value-size 100 --clients 64 --duration 30s
  kvbench run --workload b --records 100000 --value-size 100 --clients 64 --duration 60s --rate 20000 --report b.json
  kvbench run -e n1:7400,n2:7400,n3:7400 --workload put --records 100000 --value-size 100 --clients 64 --ops 1000000 \\
              --distribution uniform --own-connections

Without --rate each client sends its next operation when the last is answered (closed loop), and latency counts from
there. With --rate operations begin at fixed times (open loop) and latency counts from the time at which an operation
was to begin, so that a stalled cluster is charged for everything that had to wait; at most --clients are outstanding.

By default the clients share the connections of one client library: one to each node, requests go to a replica of their
key. With --connections or --own-connections each connection is to one of the endpoints, in turn, and carries the
requests of its clients whatever the key: name every node with -e.")]
    Run(Box<RunArgs>),
    /// Tell whether a recorded history is linearizable
    #[command(after_help = "Examples:
  kvbench check history.jsonl --model register
  gunzip -c history.jsonl.gz | kvbench check - --model set -o json

The history has one event on each line, in the order in which they happened:
  {\"process\":3,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"k\",\"value\":7}
  {\"process\":3,\"type\":\"ok\",\"f\":\"write\"}

  process  a number; a process does one thing at a time
  type     invoke, and how it ended: ok; fail, certainly without effect; info, or no end at all: outcome unknown
  f        --model register: read, write, cas (value [old,new]; its ok has \"swapped\":true or false); at first null
           --model set:      add one element, read the array of all
           --model string:   write, append, read all; at first \"\"
  key      a string or a number; each key is an object of its own
  value    what is written, in invoke; what was read, in ok; any JSON, equal if written alike (1 and 1.0 are not)

Exit codes: 0 linearizable, 1 not linearizable, 2 usage or unreadable, 5 anything else, such as a history too concurrent
to decide.")]
    Check(CheckArgs),
}

/// The cluster, and the records in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// Nodes of the cluster
    #[arg(
        short,
        long = "endpoint",
        value_name = "HOST:PORT",
        env = "KVORUM_ENDPOINT",
        default_value = "127.0.0.1:7400",
        value_delimiter = ','
    )]
    pub(crate) endpoints: Vec<String>,
    /// The keyspace
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    pub(crate) keyspace: String,
    /// How long each operation may take, retries included
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive, default_value = "5s")]
    pub(crate) timeout: Duration,
    /// How many records there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_RECORDS))]
    pub(crate) records: u64,
    /// The length of each value, such as 100 or 4KiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) value_size: usize,
    /// How many replicas must hold each write: one two three quorum all local_quorum each_quorum or a number
    #[arg(short, long = "write-level", value_name = "LEVEL")]
    pub(crate) write: Option<Level>,
    /// Try writes again whose answer was lost: each takes effect at most once
    #[arg(long)]
    pub(crate) retry: bool,
    /// Only replicas count, nobody stands in for them
    #[arg(long)]
    pub(crate) strict: bool,
    /// What keys and values are drawn from; the same seed draws the same
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many clients write at a time
    #[arg(long, value_name = "C", default_value = "64")]
    pub(crate) clients: NonZeroUsize,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("length").required(true).args(["duration", "ops"])))]
#[command(group(ArgGroup::new("sharing").args(["connections", "own_connections"])))]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many replicas must answer each read
    #[arg(short, long = "read-level", value_name = "LEVEL")]
    pub(crate) read: Option<Level>,
    /// What the clients do
    #[arg(long, value_enum)]
    pub(crate) workload: Workload,
    /// Which records they choose
    #[arg(long, value_enum, default_value_t = Kind::Zipfian)]
    pub(crate) distribution: Kind,
    /// How many clients there are, each with one operation at a time
    #[arg(long, value_name = "C")]
    pub(crate) clients: NonZeroUsize,
    /// How long to measure
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub(crate) duration: Option<Duration>,
    /// How many operations to measure
    #[arg(long, value_name = "N")]
    pub(crate) ops: Option<NonZeroU64>,
    /// How long to run before that
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    pub(crate) warm_up: Duration,
    /// Open loop: so many operations per second, whether the cluster keeps up or not
    #[arg(long, value_name = "OPS", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) rate: Option<u64>,
    /// The clients share so many connections
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<NonZeroUsize>,
    /// Each client has a connection of its own
    #[arg(long)]
    pub(crate) own_connections: bool,
    /// Also write what was measured as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The history; - is standard input
    #[arg(value_name = "HISTORY.jsonl")]
    pub(crate) history: PathBuf,
    /// What each key holds
    #[arg(long, value_enum)]
    pub(crate) model: Model,
    /// text for people, json for programs
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// What a key may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    /// Read, write and compare-and-set a value
    Register,
    /// Add elements, read all
    Set,
    /// Write, append to and read a text
    String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Args, clap::Error> {
    Args::try_parse_from(args)
}

/// A length in memory, such as `100` or `64KiB`.
fn parse_size(text: &str) -> Result<usize, String> {
    /// Far beyond the limit of any cluster, and harmless to allocate.
    const LONGEST: u64 = 64 * 1024 * 1024;
    let size: ByteSize = text.parse().map_err(|_| "a size is a number and a unit, such as 100 or 64KiB")?;
    usize::try_from(size.0).ok().filter(|_| size.0 <= LONGEST).ok_or_else(|| "at most 64MiB".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        super::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_flags_of_a_run_are_understood() {
        let line = "kvbench run -e a:1,b:2 --workload b --records 1000 --value-size 1KiB --clients 64 --duration 5s \
                    --warm-up 0s --rate 5000 --distribution uniform -r one -w all --own-connections --report x.json";
        let words: Vec<&str> = line.split_whitespace().collect();
        let Command::Run(run) = parse(&words.join(" ")).unwrap().command else { panic!("it is a run") };
        assert_eq!(run.target.endpoints, ["a:1", "b:2"]);
        assert_eq!((run.target.records, run.target.value_size, run.clients.get()), (1000, 1024, 64));
        assert_eq!((run.duration, run.warm_up), (Some(Duration::from_secs(5)), Duration::ZERO));
        assert_eq!((run.rate, run.read, run.target.write), (Some(5000), Some(Level::One), Some(Level::All)));
        assert!(run.own_connections && run.connections.is_none() && run.ops.is_none());
    }

    #[test]
    fn a_history_may_come_from_standard_input() {
        let Command::Check(check) = parse("kvbench check - --model set -o json").unwrap().command else { panic!() };
        assert_eq!((check.history, check.model, check.output), (PathBuf::from("-"), Model::Set, Output::Json));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let run = "kvbench run --workload a --records 10 --value-size 10 --clients 1";
        assert!(parse(&format!("{run} --ops 5")).is_ok());
        for line in [
            "kvbench".to_owned(),
            "kvbench load --records 10".to_owned(),
            "kvbench check".to_owned(),
            "kvbench check h.jsonl".to_owned(),
            "kvbench check h.jsonl --model queue".to_owned(),
            "kvbench check h.jsonl --model set -o yaml".to_owned(),
            "kvbench load --records 0 --value-size 10".to_owned(),
            "kvbench load --records 10 --value-size 10 --clients 0".to_owned(),
            "kvbench load --records 10 --value-size 1TiB".to_owned(),
            run.to_owned(),
            format!("{run} --ops 5 --duration 5s"),
            format!("{run} --ops 0"),
            format!("{run} --duration 0s"),
            format!("{run} --duration 5"),
            format!("{run} --ops 5 --rate 0"),
            format!("{run} --ops 5 --connections 0"),
            format!("{run} --ops 5 --connections 2 --own-connections"),
            format!("{run} --ops 5 --workload z"),
            format!("{run} --ops 5 -r most"),
        ] {
            assert!(parse(&line).is_err(), "{line}");
        }
    }
}
