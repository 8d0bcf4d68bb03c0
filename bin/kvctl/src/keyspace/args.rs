//! Owns the command line of `kvctl keyspace`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use kvorum_client::{KeyspaceAlteration, Level, NewKeyspace};

use crate::args::Counting;
use crate::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyspaceCommand {
    /// Make a keyspace
    #[command(after_help = "Examples:
  kvctl keyspace create sessions --ttl 30m
  kvctl keyspace create carts --mode causal -w all
  kvctl keyspace create ledger --min-r 2 --min-w 2
  kvctl keyspace create accounts --strict        never a stand-in for a replica
  kvctl put -k sessions user:1 token             use it, through any node

A mode is for ever. lww: the last writer wins. causal: concurrent values are
kept side by side until a write replaces those it has seen. To create what
exists already, with the same settings, changes nothing; with other settings
it is refused.

--sloppy, the default: where too few replicas can be reached, other nodes stand
in for them. So writes are taken whatever fails, and what R + W > N promises
does not hold meanwhile. --strict: only replicas count, and a read returns only
what as many replicas as a write needs durably hold. A single put, get or del
may say otherwise.")]
    Create(CreateArgs),
    /// List all keyspaces
    #[command(after_help = "Examples:
  kvctl keyspace list
  kvctl keyspace list -o json")]
    List,
    /// Show one keyspace
    #[command(after_help = "Examples:
  kvctl keyspace show carts
  kvctl keyspace show carts -o json

Exits with 1 when it does not exist.")]
    Show {
        /// Its name
        name: String,
    },
    /// Change the settings of a keyspace; its mode stays
    #[command(after_help = "Examples:
  kvctl keyspace alter sessions --ttl 1h
  kvctl keyspace alter sessions --no-ttl
  kvctl keyspace alter carts -r one -w all
  kvctl keyspace alter carts -r default          a majority again
  kvctl keyspace alter ledger --min-w 1
  kvctl keyspace alter ledger --strict           only replicas count
  kvctl keyspace alter ledger --sloppy           stand-ins too, when needed

A lifetime holds for values that are written from now on. What --strict and
--sloppy mean, kvctl keyspace create --help tells.")]
    Alter(AlterArgs),
    /// Remove a keyspace and all its data
    #[command(after_help = "Examples:
  kvctl keyspace drop sessions
  kvctl keyspace drop sessions --yes

On a terminal it asks first, unless --yes is given. A keyspace that is made
later with the same name is empty.")]
    Drop(DropArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name: letters, digits, - _ . up to 64, a letter or digit first
    pub(crate) name: String,
    /// What becomes of concurrent writes
    #[arg(long, value_enum, default_value_t = ModeArg::Lww)]
    pub(crate) mode: ModeArg,
    /// Replicas per data centre; only the cluster's own, until layouts can change
    #[arg(long, value_name = "N|DC=N,...")]
    pub(crate) replication: Option<String>,
    /// How many replicas must answer a read that does not say [default: a majority]
    #[arg(short, long = "read-level", value_name = "LEVEL")]
    pub(crate) read: Option<Level>,
    /// How many replicas must hold a write that does not say [default: a majority]
    #[arg(short, long = "write-level", value_name = "LEVEL")]
    pub(crate) write: Option<Level>,
    /// The least number of replicas a read may ask for
    #[arg(long = "min-r", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) min_read: Option<u32>,
    /// The least number of replicas a write may ask for
    #[arg(long = "min-w", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) min_write: Option<u32>,
    /// How long values live that do not say, such as 500ms 30s 5m 2h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive)]
    pub(crate) ttl: Option<Duration>,
    #[command(flatten)]
    pub(crate) counting: Counting,
}

#[derive(Debug, Args)]
pub(crate) struct AlterArgs {
    /// Its name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) settings: AlterSettings,
}

/// At least one of them is needed.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct AlterSettings {
    /// How many replicas must answer a read that does not say; `default`: a majority
    #[arg(short, long = "read-level", value_name = "LEVEL|default", value_parser = level_or_default)]
    pub(crate) read: Option<LevelOrDefault>,
    /// How many replicas must hold a write that does not say; `default`: a majority
    #[arg(short, long = "write-level", value_name = "LEVEL|default", value_parser = level_or_default)]
    pub(crate) write: Option<LevelOrDefault>,
    /// The least number of replicas a read may ask for
    #[arg(long = "min-r", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) min_read: Option<u32>,
    /// The least number of replicas a write may ask for
    #[arg(long = "min-w", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) min_write: Option<u32>,
    /// How long values live that do not say
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_positive, conflicts_with = "no_ttl")]
    pub(crate) ttl: Option<Duration>,
    /// Values that do not say live for ever
    #[arg(long)]
    pub(crate) no_ttl: bool,
    // Flattened they would not belong to the group.
    /// Only the key's own replicas count, never stand-ins
    #[arg(long, conflicts_with = "sloppy")]
    pub(crate) strict: bool,
    /// Other nodes stand in for replicas that cannot be reached
    #[arg(long)]
    pub(crate) sloppy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    /// Its name
    pub(crate) name: String,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The modes that the command knows; which of them a cluster has is the cluster's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// The last writer wins
    Lww,
    /// Concurrent values are kept side by side
    Causal,
    /// Linearizable; refused until there is compare-and-set
    Strong,
}

/// A level, or what the cluster takes when none is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelOrDefault(pub(crate) Option<Level>);

fn level_or_default(text: &str) -> Result<LevelOrDefault, String> {
    if text == "default" {
        return Ok(LevelOrDefault(None));
    }
    let level = text.parse::<Level>().map_err(|error| error.to_string())?;
    Ok(LevelOrDefault(Some(level)))
}

impl CreateArgs {
    pub(crate) fn into_keyspace(self) -> NewKeyspace {
        let mode = match self.mode {
            ModeArg::Lww => "lww",
            ModeArg::Causal => "causal",
            ModeArg::Strong => "strong",
        };
        let new = NewKeyspace::new(self.name).mode(mode).read(self.read).write(self.write).ttl(self.ttl);
        let new = new.min_read(self.min_read.unwrap_or(0)).min_write(self.min_write.unwrap_or(0));
        let new = new.consistency(self.counting.consistency());
        if let Some(replication) = self.replication { new.replication(replication) } else { new }
    }
}

impl AlterSettings {
    pub(crate) fn into_alteration(self) -> KeyspaceAlteration {
        let mut alteration = KeyspaceAlteration::new();
        if let Some(LevelOrDefault(read)) = self.read {
            alteration = alteration.read(read);
        }
        if let Some(LevelOrDefault(write)) = self.write {
            alteration = alteration.write(write);
        }
        if let Some(min_read) = self.min_read {
            alteration = alteration.min_read(min_read);
        }
        if let Some(min_write) = self.min_write {
            alteration = alteration.min_write(min_write);
        }
        if self.ttl.is_some() || self.no_ttl {
            alteration = alteration.ttl(self.ttl);
        }
        let counting = Counting { strict: self.strict, sloppy: self.sloppy };
        if let Some(consistency) = counting.consistency() {
            alteration = alteration.consistency(consistency);
        }
        alteration
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: KeyspaceCommand,
    }

    fn parse(line: &str) -> Result<KeyspaceCommand, clap::Error> {
        Line::try_parse_from(["keyspace"].into_iter().chain(line.split(' '))).map(|line| line.command)
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "create",
            "create a b",
            "create a --mode loose",
            "create a --ttl 0s",
            "create a --min-r 0",
            "create a --min-w 65",
            "create a -r default",
            "alter a",
            "alter --no-ttl",
            "alter a --ttl 5m --no-ttl",
            "alter a --mode causal",
            "alter a -r most",
            "alter a --strict --sloppy",
            "create a --strict --sloppy",
            "drop",
            "show",
            "list a",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_alteration_sets_what_was_named() {
        let settings = |line: &str| match parse(line).unwrap() {
            KeyspaceCommand::Alter(alter) => alter.settings,
            other => panic!("{other:?}"),
        };
        let alter = settings("alter carts -r default -w all --no-ttl");
        assert_eq!(alter.read, Some(LevelOrDefault(None)));
        assert_eq!(alter.write, Some(LevelOrDefault(Some(Level::All))));
        assert!(alter.no_ttl && alter.min_read.is_none());
        assert!(!alter.into_alteration().is_empty());
        for flag in ["--strict", "--sloppy"] {
            let alone = settings(&format!("alter carts {flag}"));
            assert!(!alone.into_alteration().is_empty(), "{flag}");
        }
    }
}
