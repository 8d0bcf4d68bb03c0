//! Owns the command line, and which cells it asks for.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};

use crate::scenarios::{Cell, Lengths, Part};
use crate::variants::Variant;

/// From this size on, seeds are fewer.
const LARGE: usize = 500;

/// kvorum-gossip beside foca and chitchat, in one simulated network.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Sizes of clusters, at least 5 [default: 10,100,1000; with --short 10,50]
    #[arg(long, value_delimiter = ',')]
    pub(crate) nodes: Vec<usize>,
    /// How many seeds; clusters of 500 nodes and more take a fifth of them [default: 5; with --short 1]
    #[arg(long)]
    pub(crate) seeds: Option<u64>,
    /// Libraries and settings [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) variants: Vec<Variant>,
    /// What to do with the clusters [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) parts: Vec<Part>,
    /// Smaller clusters and less of everything: within three minutes
    #[arg(long)]
    pub(crate) short: bool,
    /// How many simulations at a time
    #[arg(long, default_value_t = 1)]
    pub(crate) jobs: usize,
    /// How many seconds of real time one simulation may take
    #[arg(long, default_value_t = 900)]
    pub(crate) patience: u64,
    /// Where to write all that was measured
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Runs one simulation and prints what came of it: what this program starts itself with
    #[arg(long, hide = true)]
    pub(crate) cell: Option<String>,
}

impl Args {
    pub(crate) fn cells(&self) -> Result<Vec<Cell>> {
        let sizes = if self.short { vec![10, 50] } else { vec![10, 100, 1000] };
        let sizes = if self.nodes.is_empty() { sizes } else { self.nodes.clone() };
        if let Some(size) = sizes.iter().find(|size| !(5..=10_000).contains(*size)) {
            bail!("a cluster of {size} nodes is not between 5 and 10000");
        }
        let seeds = self.seeds.unwrap_or(if self.short { 1 } else { 5 });
        let (variants, parts) = (or_all(&self.variants), or_all(&self.parts));
        let mut cells = Vec::new();
        for nodes in sizes {
            let seeds = if nodes >= LARGE { seeds.div_ceil(5) } else { seeds };
            for seed in 1..=seeds {
                for (loss_percent, part) in [(0, Part::Life), (20, Part::Life), (0, Part::Pauses), (0, Part::Heal)] {
                    let lengths = Lengths::of(nodes, self.short);
                    let cell = |variant: &Variant| Cell { variant: *variant, nodes, loss_percent, part, seed, lengths };
                    if parts.contains(&part) {
                        cells.extend(variants.iter().map(cell));
                    }
                }
            }
        }
        Ok(cells)
    }
}

fn or_all<T: ValueEnum + Clone>(chosen: &[T]) -> Vec<T> {
    if chosen.is_empty() { T::value_variants().to_vec() } else { chosen.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_says_which_cells_there_are() {
        let cells = |text: &str| Args::try_parse_from(text.split(' ')).unwrap().cells();
        assert_eq!(cells("gossip --short").unwrap().len(), 2 * 4 * 7);
        let some = cells("gossip --nodes 10,1000 --seeds 6 --variants kvorum,foca --parts life").unwrap();
        assert_eq!(some.len(), (6 + 2) * 2 * 2);
        assert!(some.iter().all(|cell| cell.part == Part::Life));
        assert!(cells("gossip --nodes 4").is_err());
    }
}
