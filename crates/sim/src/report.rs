//! What a run comes to: counts, the digest of its trace, the fault schedule, and what was found wrong. It finds nothing
//! itself.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_history::History;

use crate::config::SimConfig;
use crate::faults::Trouble;
use crate::verdict::Violation;

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
    /// Of them, those whose machines lost power.
    pub power_losses: u64,
    /// Processes that could not start, for want of room or because their disk refused something.
    pub failed_starts: u64,
    /// Cuts that began.
    pub cuts: u64,
    /// Appended records that were not yet durable when their process died.
    pub undurable_appends: u64,
    /// Memtables that engines wrote to tables.
    pub flushes: u64,
    /// Compactions that wrote tables.
    pub compactions: u64,
    /// Bytes of torn writes that engines found at the end of a log and dropped.
    pub torn_bytes: u64,
    /// State files that could not be written.
    pub failed_saves: u64,
    /// Requests that were refused and tried again elsewhere.
    pub retried: u64,
    /// Requests for writes of which nobody knew what had become, made again by name.
    pub asked_again: u64,
    /// Writes that were acknowledged to who had asked again.
    pub confirmed: u64,
    /// Requests and answers that were lost with their client's connection.
    pub lost_clients: u64,
    /// Reads of a store that failed.
    pub failed_loads: u64,
    /// Logs that could not be written any more.
    pub failed_logs: u64,
    /// Processes that stood still for a while.
    pub pauses: u64,
    /// Clocks that jumped.
    pub clock_jumps: u64,
    /// Disks that were lost.
    pub lost_disks: u64,
    /// Disks that were set back to an old copy.
    pub restored_disks: u64,
    /// How often a node came to be in doubt.
    pub doubts: u64,
    /// How often a doubt ended because the node had pulled what it lacked.
    pub pulled: u64,
    /// Hints that nodes kept for others when the faults had ended.
    pub hints: u64,
    /// Entries of contexts that nodes pruned.
    pub pruned: u64,
    /// The most entries that the context of a written record had.
    pub context_entries: u64,
    /// Replaced values that were seen again, which pruning excuses.
    pub shown_again: u64,
    /// Histories of which the search for a linearization gave up.
    pub undecided: u64,
}

impl Stats {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        let Self {
            events,
            acknowledged,
            indeterminate,
            rejected,
            reads,
            failed_reads,
            messages,
            dropped,
            repeated,
            unsent,
            forwarded,
            crashes,
            power_losses,
            failed_starts,
            cuts,
            undurable_appends,
            flushes,
            compactions,
            torn_bytes,
            failed_saves,
            retried,
            asked_again,
            confirmed,
            lost_clients,
            failed_loads,
            failed_logs,
            pauses,
            clock_jumps,
            lost_disks,
            restored_disks,
            doubts,
            pulled,
            hints,
            pruned,
            context_entries,
            shown_again,
            undecided,
        } = other;
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
        self.power_losses += power_losses;
        self.failed_starts += failed_starts;
        self.cuts += cuts;
        self.undurable_appends += undurable_appends;
        self.flushes += flushes;
        self.compactions += compactions;
        self.torn_bytes += torn_bytes;
        self.failed_saves += failed_saves;
        self.retried += retried;
        self.asked_again += asked_again;
        self.confirmed += confirmed;
        self.lost_clients += lost_clients;
        self.failed_loads += failed_loads;
        self.failed_logs += failed_logs;
        self.pauses += pauses;
        self.clock_jumps += clock_jumps;
        self.lost_disks += lost_disks;
        self.restored_disks += restored_disks;
        self.doubts += doubts;
        self.pulled += pulled;
        self.hints += hints;
        self.pruned += pruned;
        self.context_entries = self.context_entries.max(*context_entries);
        self.shown_again += shown_again;
        self.undecided += undecided;
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
            "clients   {} requests tried again elsewhere, {} requests or answers lost",
            self.retried, self.lost_clients
        )?;
        writeln!(
            f,
            "messages  {} sent, {} dropped, {} repeated, {} unsent, {} requests forwarded",
            self.messages, self.dropped, self.repeated, self.unsent, self.forwarded
        )?;
        writeln!(
            f,
            "faults    {} crashes, {} of them with the power, while {} appends were not durable; {} cuts, {} pauses, {} clock jumps",
            self.crashes, self.power_losses, self.undurable_appends, self.cuts, self.pauses, self.clock_jumps
        )?;
        writeln!(
            f,
            "engines   {} flushes, {} compactions, {} bytes of torn writes dropped, {} failed starts",
            self.flushes, self.compactions, self.torn_bytes, self.failed_starts
        )?;
        write!(
            f,
            "disks     {} saves, {} loads and {} logs failed, {} disks lost, {} set back, {} doubts, {} ended by pulling; {} hints",
            self.failed_saves,
            self.failed_loads,
            self.failed_logs,
            self.lost_disks,
            self.restored_disks,
            self.doubts,
            self.pulled,
            self.hints
        )?;
        if self.context_entries > 0 {
            write!(
                f,
                "\nsiblings  contexts of up to {} entries, {} pruned, {} replaced values seen again",
                self.context_entries, self.pruned, self.shown_again
            )?;
        }
        if self.asked_again > 0 {
            write!(f, "\nretries   {} by name, {} writes confirmed by one", self.asked_again, self.confirmed)?;
        }
        if self.undecided > 0 { write!(f, "\nundecided {} linearizations", self.undecided) } else { Ok(()) }
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
    /// Of everything that was delivered and wanted: equal for equal runs. Of nothing, if the run was not traced.
    pub digest: u64,
    /// How many lines the trace has, if it was traced.
    pub trace_lines: u64,
    /// What went wrong, and when.
    pub schedule: Vec<Trouble>,
    /// What the clients asked and were told, in nanoseconds of virtual time.
    pub history: History<Arc<str>>,
    /// The node that each operation of the history was asked of first.
    pub asked: Vec<usize>,
    /// The replicas of each key, as the layout has them.
    pub replicas: BTreeMap<Arc<str>, Vec<usize>>,
    /// What was found wrong.
    pub violations: Vec<Violation>,
}

impl Report {
    /// The first of each kind of thing found wrong, the faults that led to it, and how to see it again; for the message of a
    /// failed test.
    #[must_use]
    pub fn complaint(&self) -> String {
        let mut kinds: BTreeMap<&str, Vec<&Violation>> = BTreeMap::new();
        for violation in &self.violations {
            kinds.entry(violation.kind()).or_default().push(violation);
        }
        let counts: Vec<String> = kinds.iter().map(|(kind, found)| format!("{} of {kind}", found.len())).collect();
        let mut text = format!("violations: {}; replay with: {}", counts.join(", "), self.config.replay());
        for violation in kinds.values().map(|found| found[0]) {
            text.push_str(&format!("\n{violation}"));
            for id in violation.witnesses() {
                text.push_str(&format!("\n  #{} was asked of n{}", id.0, self.asked[id.0]));
            }
        }
        for trouble in &self.schedule {
            text.push_str(&format!("\n{trouble}"));
        }
        text
    }
}

impl SimConfig {
    /// The command that shows this run again; if the command line cannot say all that makes it, it tells so, and what
    /// the run is.
    #[must_use]
    pub fn replay(&self) -> String {
        let drawn = Self::from_seed(self.seed);
        let mut command = format!("cargo run -p kvorum-sim -- --seed {}", self.seed);
        let mut said = drawn.clone();
        if self.nodes != drawn.nodes {
            said = said.with_nodes(self.nodes);
            command.push_str(&format!(" --nodes {}", self.nodes));
        }
        if self.replication != said.replication {
            said = said.with_replication(self.replication, self.nodes);
            command.push_str(&format!(" --replication {}", self.replication));
        }
        if self.mode != said.mode && self.scenario.is_none() {
            said = said.with_mode(self.mode);
            command.push_str(&format!(" --mode {}", self.mode));
        }
        if self.consistency != said.consistency {
            said = said.with_consistency(self.consistency);
            command.push_str(&format!(" --consistency {}", self.consistency));
        }
        if let Some(scenario) = self.scenario {
            said = said.with_scenario(scenario);
            command.push_str(&format!(" --scenario {}", scenario.name()));
        }
        if self.ticks != said.ticks {
            command.push_str(&format!(" --ticks {}", self.ticks));
        }
        if let Some(only) = &self.only_faults {
            let ids: Vec<String> = only.iter().map(u32::to_string).collect();
            command.push_str(&format!(" --only-faults={}", ids.join(",")));
        }
        if let Some(sabotage) = self.sabotage {
            command.push_str(&format!(" --sabotage {}", sabotage.name()));
        }
        command.push_str(" --trace");
        let Self { ticks, only_faults, sabotage, traced, .. } = self.clone();
        let said = Self { ticks, only_faults, sabotage, traced, ..said };
        if format!("{said:?}") != format!("{self:?}") {
            command.push_str(&format!(" (not quite: it was {self:?})"));
        }
        command
    }
}
