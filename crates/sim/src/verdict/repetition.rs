//! Whether writes that were asked for again by name took effect once.

use std::sync::Arc;

use kvorum_history::repetition::{Keeps, repetitions};
use kvorum_history::{OpId, Operation};
use kvorum_node::Mode;

use super::Violation;
use crate::client::Clients;
use crate::config::SimConfig;
use crate::report::Stats;
use crate::watch::Watch;

/// Judges it by all reads but pages, which leave nothing behind in the replicas they asked.
pub(crate) fn judge_repetition(
    config: &SimConfig,
    clients: &Clients,
    watch: &Watch,
    stats: &mut Stats,
    violations: &mut Vec<Violation>,
) {
    let is_named = |(write, _): &(usize, _)| clients.has_name(OpId(*write));
    violations.extend(
        watch.minted_again().filter(is_named).map(|(write, dots)| Violation::MintedAgain {
            write: OpId(write),
            versions: dots.iter().copied().collect(),
        }),
    );
    if !config.judges_repetition() {
        return;
    }
    let keeps = if config.mode == Mode::Causal { Keeps::Siblings } else { Keeps::One };
    let judged = |read: &Operation<Arc<str>>| !clients.is_of_a_scan(read.id);
    let mut found = repetitions(clients.history(), keeps, judged);
    // Writes of those who ask but once may be minted again.
    found.retain(|repetition| clients.has_name(repetition.write.id));
    // What is pruned from contexts may bring back what they replaced.
    let excused = if config.mode == Mode::Causal { stats.pruned } else { 0 };
    let excused = found.len().min(usize::try_from(excused).unwrap_or(usize::MAX));
    stats.shown_again += excused as u64;
    violations.extend(found.drain(excused..).map(|found| Violation::Repetition(Box::new(found))));
}
