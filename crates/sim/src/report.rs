//! What a run comes to: counts, the digest of its trace, and what was found wrong. It finds nothing itself.

use core::fmt;
use core::time::Duration;

use crate::checker::LostWrite;
use crate::config::SimConfig;

/// What happened in a run, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events of the queue.
    pub events: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that may or may not have taken effect.
    pub indeterminate: u64,
    /// Writes that were refused.
    pub rejected: u64,
    /// Reads that succeeded; each key of a scan counts.
    pub reads: u64,
    /// Reads that failed.
    pub failed_reads: u64,
    /// Messages between nodes that were sent.
    pub messages: u64,
    /// Of them, those that vanished: in a storm, in a cut, or with a process.
    pub dropped: u64,
    /// Of them, those that arrived twice.
    pub repeated: u64,
    /// Messages that could not be sent, and whose senders knew.
    pub unsent: u64,
    /// Requests that a node handed to another.
    pub forwarded: u64,
    /// Processes that died.
    pub crashes: u64,
    /// Cuts that began.
    pub cuts: u64,
    /// Appended records that a crash took.
    pub lost_appends: u64,
    /// State files that could not be written.
    pub failed_saves: u64,
}

impl Stats {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        let Self { events, acknowledged, indeterminate, rejected, reads, failed_reads, messages, .. } = other;
        let Self { dropped, repeated, unsent, forwarded, crashes, cuts, lost_appends, failed_saves, .. } = other;
        self.events += events;
        self.acknowledged += acknowledged;
        self.indeterminate += indeterminate;
        self.rejected += rejected;
        self.reads += reads;
        self.failed_reads += failed_reads;
        self.messages += messages;
        self.dropped += dropped;
        self.repeated += repeated;
        self.unsent += unsent;
        self.forwarded += forwarded;
        self.crashes += crashes;
        self.cuts += cuts;
        self.lost_appends += lost_appends;
        self.failed_saves += failed_saves;
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "writes    {} acknowledged, {} indeterminate, {} rejected",
            self.acknowledged, self.indeterminate, self.rejected
        )?;
        writeln!(f, "reads     {} succeeded, {} failed", self.reads, self.failed_reads)?;
        writeln!(
            f,
            "messages  {} sent, {} dropped, {} repeated, {} unsent, {} requests forwarded",
            self.messages, self.dropped, self.repeated, self.unsent, self.forwarded
        )?;
        write!(
            f,
            "faults    {} crashes that took {} appends, {} cuts, {} failed saves",
            self.crashes, self.lost_appends, self.cuts, self.failed_saves
        )
    }
}

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged write was lost.
    Durability(Box<LostWrite>),
    /// After the faults had ended, a node did not get ready in time.
    NotReady {
        /// The node.
        node: usize,
    },
    /// After the faults had ended and all nodes were ready, a key could not be read through a node in time.
    Unreadable {
        /// The node.
        node: usize,
        /// The number of the key.
        key: usize,
    },
    /// When all was quiet, a shard still held operations, or records that it took for not yet durable.
    Unfinished {
        /// The node.
        node: usize,
        /// Its shard.
        shard: usize,
        /// Operations in flight.
        operations: usize,
        /// Keys in its overlay.
        overlaid: usize,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Durability(lost) => write!(f, "an acknowledged write was lost:\n{lost}"),
            Self::NotReady { node } => write!(f, "n{node} did not get ready after the faults had ended"),
            Self::Unreadable { node, key } => {
                write!(f, "key-{key} could not be read through n{node} after the faults had ended")
            }
            Self::Unfinished { node, shard, operations, overlaid } => {
                write!(
                    f,
                    "n{node}.{shard} still holds {operations} operations and {overlaid} overlaid keys when all is quiet"
                )
            }
        }
    }
}

/// What a run comes to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was run.
    pub config: SimConfig,
    /// What happened, counted.
    pub stats: Stats,
    /// How long it took, in virtual time.
    pub virtual_time: Duration,
    /// Of everything that was delivered and wanted: equal for equal runs.
    pub digest: u64,
    /// How many lines the trace has.
    pub trace_lines: u64,
    /// What was found wrong.
    pub violations: Vec<Violation>,
}

impl Report {
    /// The first few things found wrong, and how to see them again; for the message of a failed test.
    #[must_use]
    pub fn complaint(&self) -> String {
        let mut text = format!("{} violations; replay with: {}", self.violations.len(), self.config.replay());
        for violation in self.violations.iter().take(3) {
            text.push_str(&format!("\n{violation}"));
        }
        text
    }
}

impl SimConfig {
    /// The command that shows this run again, as far as the command line can say it.
    #[must_use]
    pub fn replay(&self) -> String {
        let drawn = Self::from_seed(self.seed);
        let mut command = format!("cargo run -p kvorum-sim -- --seed {}", self.seed);
        if self.nodes != drawn.nodes {
            command.push_str(&format!(" --nodes {}", self.nodes));
        }
        if self.replication != drawn.clone().with_nodes(self.nodes).replication {
            command.push_str(&format!(" --replication {}", self.replication));
        }
        if self.ticks != drawn.ticks {
            command.push_str(&format!(" --ticks {}", self.ticks));
        }
        if let Some(sabotage) = self.sabotage {
            command.push_str(&format!(" (with sabotage: {sabotage:?})"));
        }
        command + " --trace"
    }
}
