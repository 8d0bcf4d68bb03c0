//! Owns the command line: names, help, and what holds for every command. The flags of each are in `args/options.rs`; what a
//! command does with them is in the command's own file.

mod options;

use std::ffi::OsString;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use kvorum_client::{Bytes, Retry};

pub(crate) use options::{Counting, DelArgs, ExportArgs, GetArgs, ImportArgs, PutArgs, ScanArgs, StatusArgs};

use crate::duration;
use crate::exit::Failure;
use crate::keyspace::KeyspaceCommand;

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
  kvctl put balance:1 500 --strict             only the key's own replicas count
  kvctl put balance:1 500 --retry              again if it may not be applied
  kvctl put cart milk -k carts --context AQAAAAIB...   replaces what that get saw
  kvctl put -- -key -value                     what begins with a dash

--sloppy, which holds unless the keyspace says otherwise: where too few replicas
can be reached, other nodes stand in for them. So writes are taken whatever
fails, and what R + W > N promises does not hold meanwhile; a note tells when a
stand-in answered. --strict: only replicas count, and a read returns only what
as many replicas as a write needs durably hold.

A write that the node may or may not have finished is an error, unless --retry
is given: then it is asked for again, under one number, so that it takes effect
at most once. When the nodes cannot tell, it stays an error.")]
    Put(PutArgs),
    /// Read a key
    #[command(after_help = "Examples:
  kvctl get user:1
  kvctl get user:1 -r all -o json
  kvctl get balance:1 --strict                 what replicas hold, or an error
  kvctl get cart --sloppy                      what can be had, of stand-ins too
  kvctl put cart milk -k carts --context \"$(kvctl get cart -k carts --show-context)\"

Concurrent values of a causal keyspace are printed one to a line. A put with the
context of this get replaces them. Exits with 1 when the key does not exist.

--sloppy, which holds unless the keyspace says otherwise: where too few replicas
can be reached, other nodes that stand in for them tell what they keep, and what
R + W > N promises does not hold meanwhile; a note tells when one answered.
--strict: only replicas count, and a read returns only what as many replicas as
a write needs durably hold.")]
    Get(GetArgs),
    /// Delete a key
    #[command(after_help = "Examples:
  kvctl del user:1
  kvctl del user:1 -w all
  kvctl del user:1 --strict --retry
  kvctl del cart -k carts --context AQAAAAIB...        deletes what that get saw

In a causal keyspace, without --context, the key is read first, and what that
read has seen is deleted. --strict, --sloppy and --retry are those of put.")]
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
  kvctl status -e n2:7400 -o json
  kvctl status --watch                         who is there, then every change
  kvctl status --watch -o json | jq .to

With --watch it goes on until Ctrl-C. On a terminal it prints the status, then
`12:00:01 n3 up -> suspect (seen by n1)` for each change; in a pipe a line for
each member, too. JSON is one object to a line, {\"at\",\"event\",\"name\",\"id\",
\"from\",\"to\",\"seen_by\"}; the event is present, joined, changed, restarted or
forgotten, and at is in milliseconds since 1970. Times of day are UTC. When the
node that is watched goes away, another endpoint or member is watched instead,
and a note says so.")]
    Status(StatusArgs),
    /// Show the balance of the layout, or where a key lives
    #[command(after_help = "Examples:
  kvctl ring
  kvctl ring user:1 -o json")]
    Ring {
        /// The key; without it, the balance
        key: Option<OsString>,
    },
    /// Show what each replica of a key holds, and the hints that wait for it
    #[command(after_help = "Examples:
  kvctl why user:1
  kvctl why cart -k carts -o json

Shows each replica's versions with their dots (actor and timestamp), deletions
and expired ones included, and its causal past: per actor, up to where it has
absorbed everything; and what other members keep for it that it has missed. Who
does not tell which hints it keeps is named on standard error, with -o json as
`silent`. At most 64 members are asked, those first that are likely to keep any.")]
    Why {
        /// The key
        key: OsString,
    },
    /// Show what nodes keep for others that were away
    #[command(after_help = "Examples:
  kvctl hints
  kvctl hints -o json

A node that stands in for another keeps what that one missed, as hints, until it
is back and has taken them. Every member is asked; who does not answer is named
on standard error, and the exit code is 3 if the member is up.")]
    Hints,
    /// Print the completion script of a shell
    #[command(after_help = "Examples:
  kvctl completions bash > /etc/bash_completion.d/kvctl
  kvctl completions zsh > ~/.zfunc/_kvctl")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// Somebody waits for a single request; a bulk command rather rides over a disturbance.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Command::Import(_) | Command::Export(_) => Retry::UntilTimeout,
            _ => Retry::OnceAround,
        }
    }

    /// Whether a write that may or may not be applied is asked for again.
    pub(crate) fn retry_indeterminate(&self) -> bool {
        match self {
            Command::Put(put) => put.retry,
            Command::Del(del) => del.retry,
            _ => false,
        }
    }
}

pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Args, clap::Error> {
    Args::try_parse_from(args)
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
mod tests;
