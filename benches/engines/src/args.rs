//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::engines::Name;
use crate::figures::Workload;
use crate::prepare::End;
use crate::sizes::{SizeArgs, Sizes};

/// kvorum-lsm beside other embedded storage engines: the same data, the same memory, the same promises.
#[derive(Debug, Parser)]
#[command(
    name = "engines",
    version,
    after_help = "Examples:
  engines compare --short
  engines compare --rounds 5 --json engines.json
  engines run --engine lsm --workload fill1 --dir data"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run all engines by turns, and print medians and ratios
    #[command(after_help = "Examples:
  engines compare --short
  engines compare --engines lsm,rocksdb --workloads get1,get4 --rounds 5
  engines compare --dir /mnt/disk --json engines.json

Each engine runs each workload in a process of its own. Within a round the engines take turns, and another one goes first in
each. Data are made in a directory of their own, which is removed at the end. The exit code is 1 if an engine failed or gave a wrong
value, and 0 otherwise, whether bars are met or not.")]
    Compare(CompareArgs),
    /// Run one workload with one engine, and print one JSON object
    #[command(after_help = "Examples:
  engines run --engine fjall --workload sync16 --dir data --short
  engines run --engine lsm --workload get1,absent,scan100 --dir data

Workloads that only read (get1, get4, getall1, absent, scan100) may run on one database. The data stay in the directory.")]
    Run(RunArgs),
    /// Make the data that another process measures
    #[command(hide = true)]
    Prepare(PrepareArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// Which engines
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ENGINE,..", default_values_t = Name::value_variants().to_vec())]
    pub(crate) engines: Vec<Name>,
    /// Which workloads
    #[arg(
        long, value_enum, value_delimiter = ',', value_name = "WORKLOAD,..",
        default_values_t = Workload::value_variants().to_vec(), hide_default_value = true
    )]
    pub(crate) workloads: Vec<Workload>,
    /// How many rounds [default: 3, short: 1]
    #[arg(long, value_name = "R")]
    pub(crate) rounds: Option<NonZeroUsize>,
    /// Where the data are made: on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// What is printed
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Also write every run as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sizes: SizeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Which engine
    #[arg(long, value_enum)]
    pub(crate) engine: Name,
    /// Which workload
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WORKLOAD", required = true)]
    pub(crate) workload: Vec<Workload>,
    /// Where the data are made: a directory that is empty, or is not there yet
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) sizes: SizeArgs,
    /// End when the process that started this one does
    #[arg(long, hide = true)]
    pub(crate) die_with_parent: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PrepareArgs {
    /// Which engine
    #[arg(long, value_enum)]
    pub(crate) engine: Name,
    /// Where the data are made
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// How the process ends
    #[arg(long, value_enum)]
    pub(crate) end: End,
    /// All sizes, as JSON
    #[arg(long, value_name = "JSON", value_parser = |text: &str| serde_json::from_str::<Sizes>(text))]
    pub(crate) sizes: Sizes,
    /// End when the process that started this one does
    #[arg(long)]
    pub(crate) die_with_parent: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let line = ["engines", "compare", "--engines", "lsm,redb", "--workloads", "get1,reads-during-fill"];
        let Command::Compare(args) = Args::try_parse_from(line).unwrap().command else { panic!("another command") };
        assert_eq!(args.engines, [Name::Lsm, Name::Redb]);
        assert_eq!(args.workloads, [Workload::Get1, Workload::ReadsDuringFill]);
    }
}
