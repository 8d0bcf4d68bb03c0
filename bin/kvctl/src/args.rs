//! Owns the command line: names, flags, help, and their validated values. What a command does with
//! them is in the command's own file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kvorum_client::{Bytes, Level, Retry};

use crate::duration;
use crate::exit::Failure;
use crate::format::Format;
use crate::keyspace::KeyspaceCommand;
use crate::token;

/// Reads and writes keys, imports and exports, and shows a cluster to its operators.
#[derive(Debug, Parser)]
#[command(
    name = "kvctl",
    version,
    after_help = "Examples:
  kvctl put user:1 Ada
  kvctl get user:1 -o json
  kvctl -e 127.0.0.1:7410 status
  KVORUM_ENDPOINT=n1:7400,n2:7400 kvctl import packages.tsv

Exit codes: 0 done, 1 not found, 2 usage, 3 unavailable, timed out or in
doubt, 4 refused, 5 anything else."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes, before or after its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// The nodes to go through, the first that works
    #[arg(
        short,
        long = "endpoint",
        value_name = "HOST:PORT",
        env = "KVORUM_ENDPOINT",
        default_value = "127.0.0.1:7400",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) endpoints: Vec<String>,
    /// The keyspace
    #[arg(short, long, value_name = "NAME", default_value = "default", global = true)]
    pub(crate) keyspace: String,
    /// text for people, json for programs
    #[arg(short, long, value_enum, default_value_t = Output::Text, global = true)]
    pub(crate) output: Output,
    /// How long each request may take, retries included
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "5s", global = true)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a key
    #[command(after_help = "Examples:
  kvctl put user:1 Ada
  kvctl put code:17 839201 --ttl 10m
  kvctl put config - -w all < config.json      the value from standard input
  kvctl put cart milk -k carts --context AQAAAAIB...   replaces what that get saw
  kvctl put -- -key -value                     what begins with a dash")]
    Put(PutArgs),
    /// Read a key
    #[command(after_help = "Examples:
  kvctl get user:1
  kvctl get user:1 -r all -o json
  kvctl put cart milk -k carts --context \"$(kvctl get cart -k carts --show-context)\"

Concurrent values of a causal keyspace are printed one to a line. A put with the
context of this get replaces them. Exits with 1 when the key does not exist.")]
    Get(GetArgs),
    /// Delete a key
    #[command(after_help = "Examples:
  kvctl del user:1
  kvctl del user:1 -w all
  kvctl del cart -k carts --context AQAAAAIB...        deletes what that get saw

In a causal keyspace, without --context, the key is read first, and what that
read has seen is deleted.")]
    Del(DelArgs),
    /// List keys and values
    #[command(after_help = "Examples:
  kvctl scan
  kvctl scan --prefix user: --limit 10
  kvctl scan --prefix user: --keys-only -r one
  kvctl scan -o json

A line is key<TAB>value, as import reads it; of concurrent values the newest.
The order is by partition, then by key. It is no snapshot: what is written
meanwhile may or may not be in it. JSON is one document of all rows, and of
the replicas of that page behind which the fewest stand. To find no key is no
failure.")]
    Scan(ScanArgs),
    /// Write the pairs of a file
    #[command(after_help = "Examples:
  kvctl import packages.tsv
  kvctl import dump.jsonl -w all
  kvctl import dump.tsv --from-line 40001      go on where an import stopped
  zcat dump.tsv.gz | kvctl import -

tsv: key<TAB>value; tab, newline, carriage return and backslash are written
\\t \\n \\r \\\\; before anything else a backslash is a backslash.
jsonl: {\"key\":..,\"value\":..} to a line, with \"key_encoding\":\"base64\" or
\"encoding\":\"base64\" where it is no UTF-8, and \"expires_at\" in milliseconds
since 1970.

Bad lines are reported with their number, the rest goes on, and the exit code
is 4. The last line of a key wins. A write in doubt is tried again within the
timeout, since the same pair once more does no harm. When a pair cannot be
stored the import stops and says how to go on. In a causal keyspace it writes
blindly: it adds to what is there.")]
    Import(ImportArgs),
    /// Read all pairs into a file or to standard output
    #[command(after_help = "Examples:
  kvctl export > dump.tsv
  kvctl export dump.jsonl
  kvctl export dump.jsonl --resume             go on with an export that broke

A file takes its name when it is whole; until then it is FILE.partial. The
order is by partition, then by key. It is no snapshot: what is written
meanwhile may or may not be in it. tsv carries neither expiry nor concurrent
values; jsonl does, though import does not take concurrent values back yet.")]
    Export(ExportArgs),
    /// Make, list, alter and drop keyspaces
    #[command(after_help = "Examples:
  kvctl keyspace create sessions --ttl 30m
  kvctl put -k sessions user:1 token
  kvctl keyspace list
  kvctl keyspace drop sessions

The node that founded the cluster decides about keyspaces; while it is down
they cannot be changed, and are used as ever.")]
    Keyspace {
        #[command(subcommand)]
        command: KeyspaceCommand,
    },
    /// Show the members of the cluster as a node sees them
    #[command(after_help = "Examples:
  kvctl status
  kvctl status -e n2:7400 -o json")]
    Status,
    /// Show the balance of the layout, or where a key lives
    #[command(after_help = "Examples:
  kvctl ring
  kvctl ring user:1 -o json")]
    Ring {
        /// The key; without it, the balance
        key: Option<OsString>,
    },
    /// Show what each replica of a key holds
    #[command(after_help = "Examples:
  kvctl why user:1
  kvctl why cart -k carts -o json

Shows each replica's versions with their dots (actor and timestamp), deletions
and expired ones included, and its causal past: per actor, up to where it has
absorbed everything.")]
    Why {
        /// The key
        key: OsString,
    },
    /// Print the completion script of a shell
    #[command(after_help = "Examples:
  kvctl completions bash > /etc/bash_completion.d/kvctl
  kvctl completions zsh > ~/.zfunc/_kvctl")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct PutArgs {
    /// The key
    pub(crate) key: OsString,
    /// The value; - reads it from standard input
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: OsString,
    /// How long it lives, such as 500ms 30s 5m 2h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub(crate) ttl: Option<Duration>,
    /// It lives for ever, whatever lifetime the keyspace gives
    #[arg(long, conflicts_with = "ttl")]
    pub(crate) no_ttl: bool,
    /// Replace what the get has seen that showed this
    #[arg(long, value_name = "CONTEXT", value_parser = token::parse)]
    pub(crate) context: Option<Bytes>,
    /// How many replicas must hold it: one two three quorum all local_quorum each_quorum or a number
    #[arg(short, long = "write-level", value_name = "LEVEL")]
    pub(crate) write: Option<Level>,
    #[command(flatten)]
    pub(crate) counting: Counting,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The key
    pub(crate) key: OsString,
    /// Print what this get has seen, for the --context of a put or del, and not the values
    #[arg(long)]
    pub(crate) show_context: bool,
    /// How many replicas must answer: one two three quorum all local_quorum each_quorum or a number
    #[arg(short, long = "read-level", value_name = "LEVEL")]
    pub(crate) read: Option<Level>,
    #[command(flatten)]
    pub(crate) counting: Counting,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DelArgs {
    /// The key
    pub(crate) key: OsString,
    /// Delete what the get has seen that showed this
    #[arg(long, value_name = "CONTEXT", value_parser = token::parse)]
    pub(crate) context: Option<Bytes>,
    /// How many replicas must hold the deletion
    #[arg(short, long = "write-level", value_name = "LEVEL")]
    pub(crate) write: Option<Level>,
    #[command(flatten)]
    pub(crate) counting: Counting,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ScanArgs {
    /// Only keys that begin with this; any bytes
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<OsString>,
    /// At most so many keys
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// Leave the values away
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// How many replicas must answer for each partition
    #[arg(short, long = "read-level", value_name = "LEVEL")]
    pub(crate) read: Option<Level>,
}

/// Which replicas count.
#[derive(Debug, clap::Args)]
pub(crate) struct Counting {
    /// Only the key's own replicas count, never stand-ins; this is what holds without it too
    #[arg(long, conflicts_with = "sloppy")]
    pub(crate) strict: bool,
    /// Stand-ins count while replicas are down; refused, since no stand-ins exist yet
    #[arg(long)]
    pub(crate) sloppy: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The file; - is standard input
    pub(crate) file: PathBuf,
    /// How many replicas must hold each pair
    #[arg(short, long = "write-level", value_name = "LEVEL")]
    pub(crate) write: Option<Level>,
    /// By default jsonl for files of that name, tsv for others
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Skip the lines before this one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from_line: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The file; - or nothing is standard output
    pub(crate) file: Option<PathBuf>,
    /// How many replicas must answer for each partition
    #[arg(short, long = "read-level", value_name = "LEVEL")]
    pub(crate) read: Option<Level>,
    /// By default jsonl for files of that name, tsv for others
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Go on with an export to the same file that broke, if there is one
    #[arg(long, requires = "file")]
    pub(crate) resume: bool,
}

impl Command {
    /// Somebody waits for a single request; a bulk command rather rides over a disturbance.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Command::Import(_) | Command::Export(_) => Retry::UntilTimeout,
            _ => Retry::OnceAround,
        }
    }
}

pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Args, clap::Error> {
    let args = Args::try_parse_from(args)?;
    match &args.command {
        Command::Put(PutArgs { counting, .. })
        | Command::Get(GetArgs { counting, .. })
        | Command::Del(DelArgs { counting, .. })
            if counting.sloppy =>
        {
            let message =
                "--sloppy cannot be kept: no stand-ins exist yet, only the key's own replicas count; leave it away";
            Err(clap::Error::raw(ErrorKind::InvalidValue, message))
        }
        _ => Ok(args),
    }
}

/// An argument as the bytes that were typed.
pub(crate) fn bytes(argument: OsString) -> Bytes {
    argument.into_encoded_bytes().into()
}

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "kvctl", &mut script);
    crate::output::print(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        super::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        let flags = "-e a:1,b:2 -k sessions -o json --timeout 300ms";
        for line in [format!("kvctl {flags} get key"), format!("kvctl get key {flags}")] {
            let global = parse(&line).unwrap().global;
            assert_eq!(global.endpoints, ["a:1", "b:2"]);
            assert_eq!((global.keyspace.as_str(), global.output), ("sessions", Output::Json));
            assert_eq!(global.timeout, Duration::from_millis(300));
        }
    }

    #[test]
    fn values_may_be_negative_numbers_or_a_dash() {
        for value in ["-5", "-", "-1.5"] {
            let args = parse(&format!("kvctl put key {value} -w all")).unwrap();
            let Command::Put(put) = args.command else { panic!("{args:?}") };
            assert_eq!((put.value, put.write), (value.into(), Some(Level::All)));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "kvctl",
            "kvctl frob",
            "kvctl get",
            "kvctl get a b",
            "kvctl get a -r most",
            "kvctl get a -r 65",
            "kvctl put a b --ttl 0s",
            "kvctl put a b --ttl 5",
            "kvctl status --timeout 5x",
            "kvctl import f --from-line 0",
            "kvctl import f --format csv",
            "kvctl export --resume",
            "kvctl scan prefix",
            "kvctl scan --limit 0",
            "kvctl scan --limit -1",
            "kvctl scan -r most",
            "kvctl get a --strict --sloppy",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn strict_is_what_holds_and_sloppy_is_refused_until_there_are_stand_ins() {
        for command in ["put a b", "get a", "del a"] {
            assert!(parse(&format!("kvctl {command} --strict")).is_ok(), "{command}");
            let refused = parse(&format!("kvctl {command} --sloppy")).unwrap_err();
            assert!(refused.to_string().contains("no stand-ins exist yet"), "{refused}");
        }
        assert!(parse("kvctl scan --sloppy").is_err());
    }

    #[test]
    fn a_prefix_may_be_any_bytes() {
        use std::os::unix::ffi::OsStringExt;
        let line = ["kvctl", "scan", "--prefix"].map(OsString::from).into_iter();
        let args = super::parse(line.chain([OsString::from_vec(b"\xff\n".to_vec())])).unwrap();
        let Command::Scan(scan) = args.command else { panic!("{args:?}") };
        assert_eq!(bytes(scan.prefix.unwrap()), b"\xff\n"[..]);
    }
}
