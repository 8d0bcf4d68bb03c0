//! Owns what is done to a cluster and what is measured meanwhile. A cell is one such run, of one library with one seed.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;
use crate::peer::{MILLISECOND, Micros, Peer, SECOND};
use crate::process;
use crate::variants::Variant;
use crate::views::{Mistakes, Views};

/// All nodes start within this time.
const MASS_START: usize = 200 * MILLISECOND as usize;
/// One in so many nodes pauses now and then.
const PAUSING: usize = 10;
/// How long a partition lasts.
const PARTITION: Micros = 30 * SECOND;
/// Nodes that never crash, since others start with their help.
const STEADY: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// A mass start, rest, changes, newcomers, crashes
    Life,
    /// Some nodes pause now and then
    Pauses,
    /// One half is cut off from the other, and comes back
    Heal,
}

/// How long things take and how often they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lengths {
    pub(crate) limit_s: u64,
    pub(crate) warm_s: u64,
    pub(crate) rest_s: u64,
    pub(crate) pauses_s: u64,
    pub(crate) changes: u32,
    pub(crate) newcomers: usize,
    pub(crate) crashes: usize,
}

impl Lengths {
    /// What a cluster of this size can bear: the larger it is, the more happens in a second.
    pub(crate) fn of(nodes: usize, short: bool) -> Self {
        let lengths = |limit_s, warm_s, rest_s, pauses_s, changes, newcomers, crashes| Self {
            limit_s,
            warm_s,
            rest_s,
            pauses_s,
            changes,
            newcomers,
            crashes,
        };
        match (nodes, short) {
            (..=20, false) => lengths(300, 60, 300, 300, 5, 3, 3),
            (21..=200, false) => lengths(300, 60, 60, 120, 5, 3, 3),
            (_, false) => lengths(60, 10, 5, 20, 2, 1, 1),
            (..=20, true) => lengths(120, 30, 60, 60, 3, 1, 1),
            (_, true) => lengths(120, 20, 10, 30, 3, 1, 1),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) variant: Variant,
    pub(crate) nodes: usize,
    pub(crate) loss_percent: u32,
    pub(crate) part: Part,
    pub(crate) seed: u64,
    pub(crate) lengths: Lengths,
}

/// What was measured. Times are in milliseconds, and missing if the time limit came first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// From the mass start until all see all.
    pub(crate) starts: Vec<Option<f64>>,
    /// From a change of a node's metadata until all others have it.
    pub(crate) changes: Vec<Option<f64>>,
    /// From the start of one more node until all others take it for alive,
    pub(crate) newcomers: Vec<Option<f64>>,
    /// and until it takes them for alive too.
    pub(crate) both_ways: Vec<Option<f64>>,
    /// From a crash until nobody takes the node for alive.
    pub(crate) crashes: Vec<Option<f64>>,
    /// From the end of a partition until all see all.
    pub(crate) heals: Vec<Option<f64>>,
    pub(crate) rest: Option<Rest>,
    /// While nobody failed, how often that was seen differently, and over how many node-seconds.
    pub(crate) mistakes: Mistakes,
    pub(crate) watched_node_seconds: f64,
    /// Of the pairs of nodes, in how many one had the other's metadata before the time of rest.
    pub(crate) metadata_known: Option<f64>,
    pub(crate) largest_message: usize,
    pub(crate) errors: u64,
}

/// What a node takes while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rest {
    pub(crate) messages_per_node_second: f64,
    pub(crate) bytes_per_node_second: f64,
    pub(crate) largest_message: usize,
    pub(crate) cpu_us_per_node_second: f64,
    /// Resident memory for each member in each node's list.
    pub(crate) bytes_per_member: f64,
}

pub(crate) fn run<P: Peer>(settings: P::Settings, cell: &Cell) -> Result<Outcome> {
    let room = cell.nodes + if cell.part == Part::Life { cell.lengths.newcomers } else { 0 };
    let loss = f64::from(cell.loss_percent) / 100.0;
    let mut run = Run {
        cluster: Cluster::<P>::new(settings, cell.nodes, room, loss, cell.seed),
        cell,
        outcome: Outcome::default(),
    };
    let resident = process::resident_bytes()?;
    run.mass_start()?;
    match cell.part {
        Part::Life => {
            run.rest(resident)?;
            run.changes()?;
            run.newcomers()?;
            run.crashes()?;
        }
        Part::Pauses => run.pauses()?,
        Part::Heal => run.heal()?,
    }
    let Run { cluster, mut outcome, .. } = run;
    outcome.largest_message = outcome.largest_message.max(cluster.network.traffic.largest);
    outcome.errors = cluster.errors;
    Ok(outcome)
}

struct Run<'a, P: Peer> {
    cluster: Cluster<P>,
    cell: &'a Cell,
    outcome: Outcome,
}

impl<P: Peer> Run<'_, P> {
    fn limit(&self) -> Micros {
        self.cell.lengths.limit_s * SECOND
    }

    fn mass_start(&mut self) -> Result<()> {
        let (nodes, limit, warm) = (self.cell.nodes, self.limit(), self.cell.lengths.warm_s * SECOND);
        for node in 0..nodes {
            let wait = self.cluster.random_below(MASS_START);
            self.cluster.start_after(node, wait as Micros);
        }
        let end = self.cluster.run_until(limit, |views| views.running() == nodes && views.complete())?;
        self.outcome.starts.push(since(0, end));
        self.cluster.run(warm)?;
        self.outcome.metadata_known = Some(self.cluster.views.metadata_known());
        Ok(())
    }

    fn rest(&mut self, resident: u64) -> Result<()> {
        let (nodes, seconds) = (self.cell.nodes as f64, self.cell.lengths.rest_s);
        self.outcome.largest_message = self.cluster.network.traffic.largest;
        self.cluster.network.traffic = Default::default();
        let before = process::cpu();
        self.watch(seconds * SECOND)?;
        let cpu = process::cpu() - before;
        let (traffic, node_seconds) = (self.cluster.network.traffic, nodes * seconds as f64);
        let grown = process::resident_bytes()?.saturating_sub(resident) as f64;
        self.outcome.rest = Some(Rest {
            messages_per_node_second: traffic.messages as f64 / node_seconds,
            bytes_per_node_second: traffic.bytes as f64 / node_seconds,
            largest_message: traffic.largest,
            cpu_us_per_node_second: cpu.as_secs_f64() * 1e6 / node_seconds,
            bytes_per_member: grown / (nodes * nodes),
        });
        Ok(())
    }

    /// Lets time pass while every failure that is seen is a mistake.
    fn watch(&mut self, time: Micros) -> Result<()> {
        self.cluster.views.mistakes = Mistakes::default();
        self.cluster.run(time)?;
        self.outcome.mistakes = self.cluster.views.mistakes;
        self.outcome.watched_node_seconds = self.cell.nodes as f64 * time as f64 / SECOND as f64;
        Ok(())
    }

    fn changes(&mut self) -> Result<()> {
        for change in 0..self.cell.lengths.changes {
            let (node, version, begin) = (self.cluster.random_below(self.cell.nodes), change + 2, self.cluster.now);
            self.cluster.views.track(node, version);
            self.cluster.set_version(node, version)?;
            let end = self
                .cluster
                .run_until(self.limit().min(60 * SECOND), |views| views.reached() + 1 == views.running())?;
            self.outcome.changes.push(since(begin, end));
            self.cluster.run(2 * SECOND)?;
        }
        Ok(())
    }

    fn newcomers(&mut self) -> Result<()> {
        for node in self.cell.nodes..self.cell.nodes + self.cell.lengths.newcomers {
            let (begin, limit) = (self.cluster.now, self.limit());
            self.cluster.start(node)?;
            let end = self.cluster.run_until(limit, |views| views.seen_by(node) + 1 == views.running())?;
            self.outcome.newcomers.push(since(begin, end));
            let end = self.cluster.run_until(limit, |views| views.sees(node) + 1 == views.running())?;
            self.outcome.both_ways.push(since(begin, end));
            self.cluster.run(5 * SECOND)?;
        }
        Ok(())
    }

    fn crashes(&mut self) -> Result<()> {
        for _ in 0..self.cell.lengths.crashes {
            let node = loop {
                let node = STEADY + self.cluster.random_below(self.cell.nodes - STEADY);
                if self.cluster.views.is_running(node) {
                    break node;
                }
            };
            let (begin, limit) = (self.cluster.now, self.limit());
            self.cluster.crash(node);
            let end = self.cluster.run_until(limit, |views| views.seen_by(node) == 0)?;
            self.outcome.crashes.push(since(begin, end));
            self.cluster.run(2 * SECOND)?;
        }
        Ok(())
    }

    fn pauses(&mut self) -> Result<()> {
        let pausing = (self.cell.nodes / PAUSING).max(1);
        (self.cell.nodes - pausing..self.cell.nodes).for_each(|node| self.cluster.let_pause(node));
        self.watch(self.cell.lengths.pauses_s * SECOND)
    }

    fn heal(&mut self) -> Result<()> {
        self.cluster.network.cut(Some(self.cell.nodes / 2));
        self.cluster.run(PARTITION)?;
        self.cluster.network.cut(None);
        let begin = self.cluster.now;
        let end = self.cluster.run_until(self.limit(), Views::complete)?;
        self.outcome.heals.push(since(begin, end));
        Ok(())
    }
}

fn since(begin: Micros, end: Option<Micros>) -> Option<f64> {
    end.map(|end| (end - begin) as f64 / MILLISECOND as f64)
}
