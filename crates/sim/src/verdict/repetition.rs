//! Whether writes that were asked for again by name took effect once.

use std::collections::BTreeSet;
use std::sync::Arc;

use kvorum_history::Operation;
use kvorum_history::durability::LostWrite;
use kvorum_history::repetition::{Keeps, repetitions};
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
    if !config.judges_repetition() {
        return;
    }
    let keeps = if config.mode == Mode::Causal { Keeps::Siblings } else { Keeps::One };
    let judged = |read: &Operation<Arc<str>>| !clients.is_of_a_scan(read.id);
    let mut found = repetitions(clients.history(), keeps, judged);
    // A coordinator that meets a newer version mints again above it, and needs no second request for that.
    let minted_again = watch.minted_again();
    stats.minted_again += minted_again.len() as u64;
    let before = found.len();
    found.retain(|repetition| !minted_again.contains(&repetition.write.id.0));
    stats.seen_twice += (before - found.len()) as u64;
    // What is pruned from contexts may bring back what they replaced.
    let excused = if config.mode == Mode::Causal { stats.pruned } else { 0 };
    let excused = found.len().min(usize::try_from(excused).unwrap_or(usize::MAX));
    stats.shown_again += excused as u64;
    violations.extend(found.drain(excused..).map(|found| Violation::Repetition(Box::new(found))));
}

/// Takes out the reads of a write to which its coordinator gave a second version, and counts them. While that coordinator is
/// still at work another one, asked for the same write, finds the first version, and acknowledges it; what is written next may
/// then be overwritten by the second.
pub(super) fn set_apart(contradictions: &mut Vec<LostWrite<Arc<str>>>, minted_again: &BTreeSet<usize>) -> u64 {
    let before = contradictions.len();
    contradictions.retain(|contradiction| {
        contradiction.returned.as_ref().is_none_or(|write| !minted_again.contains(&write.id.0))
    });
    (before - contradictions.len()) as u64
}
