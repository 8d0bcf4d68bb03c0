//! The verdict: which checkers judge which run, and what they found. The checkers themselves are in `kvorum-history`.

mod repetition;

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use kvorum_history::boundedness::Exceeded;
use kvorum_history::causality::{self, Anomaly, Findings};
use kvorum_history::convergence::Divergence;
use kvorum_history::durability::{LostWrite, Order, lost_writes};
use kvorum_history::linearizability::{Stuck, StuckKey, check_history};
use kvorum_history::quorum::{StaleRead, stale_reads};
use kvorum_history::repetition::Repetition;
use kvorum_history::tenure::Broken;
use kvorum_history::{History, Moment, OpId, Operation};
use kvorum_node::{ActorId, Mode, StoredKey};
use kvorum_vclock::{Dot, Timestamp};

pub(crate) use repetition::judge_repetition;

use crate::client::Clients;
use crate::config::SimConfig;
use crate::report::Stats;
use crate::watch::{Place, Watch};

/// Something that must not happen.
#[derive(Clone, Debug)]
pub enum Violation {
    /// After the faults had ended a read missed an acknowledged write, or saw what had been deleted.
    Lost(LostWrite<Arc<str>>),
    /// A read in the time of faults missed a write that was acknowledged before it began, though quorums overlap.
    Stale(StaleRead<Arc<str>>),
    /// A read of a key that keeps siblings missed an acknowledged one, or showed what had been replaced.
    Causality(Anomaly<Arc<str>>),
    /// A write that was asked for again by its name took effect more than once.
    Repetition(Box<Repetition<Arc<str>>>),
    /// One was given more than one version.
    MintedAgain {
        /// The write.
        write: OpId,
        /// Its versions.
        versions: Vec<Dot<ActorId>>,
    },
    /// Records remembered more than the bound of contexts allows.
    OversizedContexts {
        /// How many.
        records: u64,
    },
    /// A key with one replica did not behave as one register: this read or write cannot have answered as it did.
    NotLinearizable {
        /// It.
        stuck: Operation<Arc<str>>,
        /// What was under way at the same time, and the last write before.
        around: Vec<Operation<Arc<str>>>,
    },
    /// A storage engine reported damage that nobody made, or failed although its disk did not.
    Engine {
        /// The node.
        node: usize,
        /// What it reported.
        what: String,
    },
    /// After healing, replicas of a key differ.
    Divergence(Divergence<Arc<str>, usize>),
    /// A queue outgrew its limit.
    Unbounded(Exceeded<Place>),
    /// An actor was more than one tenure.
    Tenure(Broken<ActorId, StoredKey, Timestamp>),
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
    /// Nor could it be written.
    Unwritable {
        /// The node.
        node: usize,
        /// The number of the key.
        key: usize,
    },
    /// Nor could a partition be scanned.
    Unscannable {
        /// The node.
        node: usize,
        /// The partition.
        partition: u16,
    },
    /// A node still kept hints for others, long after all of them were there to take them.
    Undelivered {
        /// The node.
        node: usize,
        /// How many it said that it kept.
        told: u64,
        /// How many rows of hints its store held.
        rows: usize,
    },
    /// A node was still in doubt, long after all others were there to pull from.
    StillInDoubt {
        /// The node.
        node: usize,
    },
    /// After all hints had been delivered, a replica did not hold an acknowledged write, or what replaced it.
    NotHandedOver {
        /// The replica.
        node: usize,
        /// The write.
        write: Operation<Arc<str>>,
    },
    /// A client did not come to an end with what it had begun.
    Restless,
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

impl Violation {
    /// What kind it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lost(_) => "durability",
            Self::Stale(_) => "quorum",
            Self::Causality(_) => "causality",
            Self::Repetition(_) | Self::MintedAgain { .. } => "repetition",
            Self::NotLinearizable { .. } => "linearizability",
            Self::Engine { .. } => "engine",
            Self::Divergence(_) => "convergence",
            Self::Unbounded(_) | Self::OversizedContexts { .. } => "boundedness",
            Self::Tenure(_) => "tenure",
            Self::NotReady { .. } | Self::Unreadable { .. } | Self::Unwritable { .. } => "liveness",
            Self::Unscannable { .. } | Self::Restless | Self::Unfinished { .. } => "liveness",
            Self::Undelivered { .. } | Self::StillInDoubt { .. } => "liveness",
            Self::NotHandedOver { .. } => "handoff",
        }
    }

    /// The operations that show it.
    #[must_use]
    pub fn witnesses(&self) -> Vec<OpId> {
        match self {
            Self::Lost(lost) => lost.witnesses(),
            Self::Stale(stale) => stale.witnesses(),
            Self::Causality(anomaly) => anomaly.witnesses(),
            Self::Repetition(repetition) => repetition.witnesses(),
            Self::MintedAgain { write, .. } => vec![*write],
            Self::NotLinearizable { stuck, around } => {
                around.iter().chain([stuck]).map(|operation| operation.id).collect()
            }
            Self::NotHandedOver { write, .. } => vec![write.id],
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind())?;
        match self {
            Self::Lost(lost) => lost.fmt(f),
            Self::Stale(stale) => stale.fmt(f),
            Self::Causality(anomaly) => anomaly.fmt(f),
            Self::Repetition(repetition) => repetition.fmt(f),
            Self::MintedAgain { write, versions } => {
                write!(f, "{write:?} has a name and was minted as {} versions: {versions:?}", versions.len())
            }
            Self::OversizedContexts { records } => {
                write!(f, "{records} records were appended whose contexts are larger than they may be")
            }
            Self::NotLinearizable { stuck, around } => {
                write!(f, "no order explains {stuck}")?;
                around.iter().try_for_each(|operation| write!(f, "\n  beside      {operation}"))
            }
            Self::Engine { node, what } => {
                write!(f, "that of n{node} reported what nobody had given it cause for: {what}")
            }
            Self::Divergence(divergence) => divergence.fmt(f),
            Self::Unbounded(exceeded) => exceeded.fmt(f),
            Self::Tenure(broken) => broken.fmt(f),
            Self::NotReady { node } => write!(f, "n{node} did not get ready after the faults had ended"),
            Self::Unreadable { node, key } => {
                write!(f, "key {key} could not be read through n{node} after the faults had ended")
            }
            Self::Unwritable { node, key } => {
                write!(f, "key {key} could not be written through n{node} after the faults had ended")
            }
            Self::Unscannable { node, partition } => {
                write!(f, "partition {partition} could not be scanned through n{node} after the faults had ended")
            }
            Self::Undelivered { node, told, rows } => {
                write!(f, "n{node} still keeps {told} hints, {rows} rows of them, long after the faults had ended")
            }
            Self::StillInDoubt { node } => write!(f, "n{node} is still in doubt, long after the faults had ended"),
            Self::NotHandedOver { node, write } => {
                write!(f, "n{node} lacks what was acknowledged, when all hints are delivered: {write}")
            }
            Self::Restless => f.write_str("a client still asks on, long after the faults had ended"),
            Self::Unfinished { node, shard, operations, overlaid } => {
                write!(
                    f,
                    "n{node}.{shard} still holds {operations} operations and {overlaid} overlaid keys when all is quiet"
                )
            }
        }
    }
}

/// Judges a run by its history and by what was watched. `calm` is when the last reads began.
pub(crate) fn judge(
    config: &SimConfig,
    clients: &Clients,
    watch: &Watch,
    calm: Moment,
    stats: &mut Stats,
    violations: &mut Vec<Violation>,
) {
    // Where reads and writes overlap, every read knows each acknowledged version; where they need not, or stand-ins count,
    // only the last reads do, which ask all replicas. Where two writes need not overlap, no coordinator can know what
    // was acknowledged, and clocks order blind writes.
    let history = clients.history();
    let strict = config.is_strict();
    if config.mode == Mode::Causal {
        let judged = |read: &Operation<Arc<str>>| strict || read.invoked >= calm;
        let Findings { anomalies, excused } = causality::examine(history, judged, stats.pruned);
        stats.shown_again += excused.len() as u64;
        stats.context_entries = watch.most_context_entries;
        violations.extend(anomalies.into_iter().map(Violation::Causality));
        judge_watch(watch, violations);
        return;
    }
    let mut contradictions = lost_writes(history, if strict { Moment(0) } else { calm }, Order::Versions);
    if strict {
        contradictions.extend(stale_reads(history, |_| true));
    }
    let mut told = BTreeSet::new();
    contradictions.retain(|contradiction| told.insert(contradiction.read.id));
    violations.extend(contradictions.into_iter().map(|contradiction| match contradiction.read.invoked >= calm {
        true => Violation::Lost(contradiction),
        false => Violation::Stale(contradiction),
    }));
    if config.judges_linearizability()
        && let Err(StuckKey { reason, .. }) = check_history(history)
    {
        match reason.stuck() {
            Some(stuck) => violations.push(not_linearizable(history, stuck)),
            // A search that gave up says nothing; that is counted, so that it does not become the rule.
            None => stats.undecided += 1,
        }
    }
    judge_watch(watch, violations);
}

fn judge_watch(watch: &Watch, violations: &mut Vec<Violation>) {
    violations.extend(watch.meter.exceeded().iter().cloned().map(Violation::Unbounded));
    violations.extend(watch.tenures.broken().iter().cloned().map(Violation::Tenure));
    if watch.oversized_contexts > 0 {
        violations.push(Violation::OversizedContexts { records: watch.oversized_contexts });
    }
}

/// The operation that has no place in any order, and what may have to do with it.
fn not_linearizable(history: &History<Arc<str>>, found: &Stuck<OpId>) -> Violation {
    let operation = |id: &OpId| &history.operations()[id.0];
    let stuck = operation(&found.call);
    let beside = |other: &&Operation<Arc<str>>| {
        other.id != stuck.id && other.is_write() && other.completed.is_none_or(|completed| completed >= stuck.invoked)
    };
    let last = found.linearized.iter().map(operation).rfind(|before| before.is_write() && !beside(before));
    let around = last.into_iter().chain(found.prefix.iter().map(operation).filter(beside)).cloned().collect();
    Violation::NotLinearizable { stuck: stuck.clone(), around }
}
