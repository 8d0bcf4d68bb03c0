//! `floors compare`: Kvorum and the floor by turns, in one run. Other work on the machine, and its clock, change from
//! minute to minute; a ratio within a round hardly does.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::args::{CompareArgs, Target, Workload};
use crate::cluster::Cluster;
use crate::compare_report::{Cell, Comparison};
use crate::kvbench::Kvbench;
use crate::report::{Report, write};
use crate::run::measure;

/// What is run against the cluster, and the least ratio to the floor that is aimed at.
pub(crate) const CELLS: [Cell; 4] = [
    Cell { workload: Workload::Put, own_connections: false, bar: Some(0.8) },
    Cell { workload: Workload::Get, own_connections: false, bar: Some(0.9) },
    Cell { workload: Workload::Put, own_connections: true, bar: Some(0.4) },
    Cell { workload: Workload::Get, own_connections: true, bar: None },
];

/// One round's reports.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) floor: Report,
    /// In the order of `CELLS`.
    pub(crate) cells: Vec<Report>,
}

pub(crate) fn compare(args: &CompareArgs) -> Result<()> {
    let kvnode = program("kvnode", args.kvnode.as_deref())?;
    let program = program("kvbench", args.kvbench.as_deref())?;
    let kvbench = Kvbench { program, load: &args.load, records: args.records };
    let mut rounds = Vec::new();
    for number in 1..=args.rounds.get() {
        let round = round(&kvnode, &kvbench).with_context(|| format!("round {number}"))?;
        let ratios = round.cells.iter().map(|cell| format!("{:.2}", cell.throughput / round.floor.throughput));
        let ratios = ratios.collect::<Vec<_>>().join(" ");
        eprintln!("round {number} of {}: floor {:.0} ops/s, ratios {ratios}", args.rounds, round.floor.throughput);
        rounds.push(round);
    }
    let comparison = Comparison::new(&args.load, args.records, &rounds)?;
    print!("{}", comparison.text());
    args.report.as_deref().map_or(Ok(()), |path| write(&comparison, path))
}

fn round(kvnode: &Path, kvbench: &Kvbench<'_>) -> Result<Round> {
    let floor = measure(Target::QuorumEcho, Workload::Put, kvbench.load)?;
    let cluster = Cluster::start(kvnode)?;
    kvbench.load(&cluster)?;
    let run = |cell: &Cell| kvbench.run(&cluster, cell.workload, cell.own_connections);
    let cells = CELLS.iter().map(run).collect::<Result<_>>()?;
    Ok(Round { floor, cells })
}

/// A program of the workspace, as given or where cargo puts it.
fn program(name: &str, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let places = [PathBuf::from("target/release").join(name), workspace.join("target/release").join(name)];
    let Some(found) = places.into_iter().find(|place| place.is_file()) else {
        bail!(
            "there is no {name} in target/release: build it with `cargo build --release --bin {name}`, or give --{name}"
        );
    };
    Ok(found)
}
