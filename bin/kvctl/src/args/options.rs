//! Owns the arguments and flags of single commands, and their validated values.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use kvorum_client::{Bytes, Consistency, Level};

use crate::format::Format;
use crate::{duration, token};

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
    /// Ask again, within --timeout, when it may or may not be applied
    #[arg(long)]
    pub(crate) retry: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Go on with every change of a member as it happens
    #[arg(long)]
    pub(crate) watch: bool,
    /// Show the whole status again each so often
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive, requires = "watch")]
    pub(crate) interval: Option<Duration>,
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
    /// Ask again, within --timeout, when it may or may not be applied
    #[arg(long)]
    pub(crate) retry: bool,
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

/// Whose answers count; what the keyspace says unless either is given.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Counting {
    /// Only the key's own replicas count, never stand-ins
    #[arg(long, conflicts_with = "sloppy")]
    pub(crate) strict: bool,
    /// Other nodes stand in for replicas that cannot be reached
    #[arg(long)]
    pub(crate) sloppy: bool,
}

impl Counting {
    pub(crate) fn consistency(self) -> Option<Consistency> {
        match (self.strict, self.sloppy) {
            (true, _) => Some(Consistency::Strict),
            (false, true) => Some(Consistency::Sloppy),
            (false, false) => None,
        }
    }
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
