//! Owns what all simulations together say: the outcomes of those alike, and their medians.

use serde::Serialize;

use crate::scenarios::{Cell, Outcome, Part, Rest};
use crate::variants::Variant;
use crate::views::Mistakes;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) runs: Vec<Run>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) cell: Cell,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) failed: Option<String>,
}

/// All runs that differ in their seeds only.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) nodes: usize,
    pub(crate) loss_percent: u32,
    pub(crate) part: Part,
    pub(crate) variant: Variant,
    /// How many runs came to their end, and how many did not.
    pub(crate) finished: usize,
    pub(crate) failed: usize,
    pub(crate) starts: Quantiles,
    pub(crate) changes: Quantiles,
    pub(crate) newcomers: Quantiles,
    pub(crate) both_ways: Quantiles,
    pub(crate) crashes: Quantiles,
    pub(crate) heals: Quantiles,
    pub(crate) rest: Option<Rest>,
    pub(crate) mistakes: Mistakes,
    pub(crate) watched_node_seconds: f64,
    pub(crate) metadata_known: f64,
    pub(crate) largest_message: usize,
    pub(crate) errors: u64,
}

/// Times in milliseconds; missing if what they measure did not happen before the limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) median: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Report {
    pub(crate) fn new(cells: Vec<Cell>, results: Vec<anyhow::Result<Outcome>>) -> Self {
        let runs = cells.into_iter().zip(results).map(|(cell, result)| match result {
            Ok(outcome) => Run { cell, outcome: Some(outcome), failed: None },
            Err(error) => Run { cell, outcome: None, failed: Some(format!("{error:#}")) },
        });
        let runs: Vec<Run> = runs.collect();
        let mut keys: Vec<_> = runs.iter().map(|run| key(&run.cell)).collect();
        keys.sort();
        keys.dedup();
        let rows = keys.into_iter().map(|wanted| {
            let alike: Vec<&Run> = runs.iter().filter(|run| key(&run.cell) == wanted).collect();
            Row::of(wanted, &alike)
        });
        Self { rows: rows.collect(), runs }
    }
}

type Key = (Part, usize, u32, Variant);

fn key(cell: &Cell) -> Key {
    (cell.part, cell.nodes, cell.loss_percent, cell.variant)
}

impl Row {
    fn of((part, nodes, loss_percent, variant): Key, runs: &[&Run]) -> Self {
        let outcomes: Vec<&Outcome> = runs.iter().filter_map(|run| run.outcome.as_ref()).collect();
        let times = |of: fn(&Outcome) -> &Vec<Option<f64>>| {
            Quantiles::of(outcomes.iter().flat_map(|outcome| of(outcome).iter().copied()).collect())
        };
        let mut mistakes = Mistakes::default();
        for one in outcomes.iter().map(|outcome| outcome.mistakes) {
            mistakes.incidents += one.incidents;
            mistakes.views += one.views;
            mistakes.healthy_views += one.healthy_views;
            mistakes.unsure_views += one.unsure_views;
            mistakes.pausing_views += one.pausing_views;
        }
        let known = Quantiles::of(outcomes.iter().map(|outcome| outcome.metadata_known).collect());
        Self {
            nodes,
            loss_percent,
            part,
            variant,
            finished: outcomes.len(),
            failed: runs.len() - outcomes.len(),
            starts: times(|outcome| &outcome.starts),
            changes: times(|outcome| &outcome.changes),
            newcomers: times(|outcome| &outcome.newcomers),
            both_ways: times(|outcome| &outcome.both_ways),
            crashes: times(|outcome| &outcome.crashes),
            heals: times(|outcome| &outcome.heals),
            rest: rest(&outcomes),
            mistakes,
            watched_node_seconds: outcomes.iter().map(|outcome| outcome.watched_node_seconds).sum(),
            metadata_known: known.median.unwrap_or(0.0),
            largest_message: outcomes.iter().map(|outcome| outcome.largest_message).max().unwrap_or(0),
            errors: outcomes.iter().map(|outcome| outcome.errors).sum(),
        }
    }
}

fn rest(outcomes: &[&Outcome]) -> Option<Rest> {
    let rests: Vec<Rest> = outcomes.iter().filter_map(|outcome| outcome.rest).collect();
    let median = |of: fn(&Rest) -> f64| Quantiles::of(rests.iter().map(|rest| Some(of(rest))).collect()).median;
    Some(Rest {
        messages_per_node_second: median(|rest| rest.messages_per_node_second)?,
        bytes_per_node_second: median(|rest| rest.bytes_per_node_second)?,
        largest_message: rests.iter().map(|rest| rest.largest_message).max()?,
        cpu_us_per_node_second: median(|rest| rest.cpu_us_per_node_second)?,
        bytes_per_member: median(|rest| rest.bytes_per_member)?,
    })
}

impl Quantiles {
    /// By the nearest rank. What did not happen counts as longer than everything.
    fn of(mut times: Vec<Option<f64>>) -> Self {
        times.sort_by(|a, b| a.unwrap_or(f64::INFINITY).total_cmp(&b.unwrap_or(f64::INFINITY)));
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            times.get(rank.saturating_sub(1)).copied().flatten()
        };
        Self { count: times.len(), median: at(0.5), p99: at(0.99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_take_what_never_happened_for_the_longest() {
        let quantiles = Quantiles::of(vec![None, Some(3.0), Some(1.0), Some(2.0)]);
        assert_eq!(quantiles, Quantiles { count: 4, median: Some(2.0), p99: None });
        assert_eq!(Quantiles::of(vec![]), Quantiles { count: 0, median: None, p99: None });
        assert_eq!(Quantiles::of((1..=200).map(|time| Some(f64::from(time))).collect()).p99, Some(198.0));
    }
}
