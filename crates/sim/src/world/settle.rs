//! What nodes must do by themselves when the faults are over, in bounded time: those in doubt pull what they lack, and hints are
//! delivered; and what must be so then, before anybody asks. It looks at disks, and asks nothing of nodes but to make
//! replicas equal.

use core::time::Duration;
use std::sync::Arc;

use kvorum_history::convergence::Divergence;
use kvorum_history::{Operation, Outcome, Version, convergence};
use kvorum_node::{Consistency, HINTS_KEYSPACE, Record, StoredKey};
use kvorum_quorum::Level;

use super::heal::DONE_WITHIN;
use super::{Host, World};
use crate::client::knows;
use crate::disk::store::Death;
use crate::event::HostIndex;
use crate::process::Process;
use crate::verdict::Violation;

/// How long a node may be in doubt when all others are there. A replica that does not answer is asked again after ten
/// seconds, and doubt may come late.
const SURE_WITHIN: Duration = Duration::from_secs(60);
/// How long hints may take. A delivery that fails again and again is put off for up to half a minute.
const DELIVERED_WITHIN: Duration = Duration::from_secs(120);
/// Longer than nodes take to tell how many hints they keep.
const TOLD_AFTER: Duration = Duration::from_millis(250);
/// How often it is looked whether a delivery is under way that can be interrupted.
const WATCHED_EVERY: Duration = Duration::from_millis(5);

impl World {
    /// Nodes in doubt pull from the others, who are all there.
    pub(super) fn end_doubts(&mut self) {
        let is_in_doubt = |host: &Host| host.process.as_ref().is_some_and(Process::is_in_doubt);
        if !self.run_until(SURE_WITHIN, |world| !world.hosts.iter().any(is_in_doubt)) {
            let doubtful = self.hosts.iter().enumerate().filter(|(_, host)| is_in_doubt(host));
            self.violations.extend(doubtful.map(|(node, _)| Violation::StillInDoubt { node }));
        }
    }

    /// All hints reach those they are for. Nodes tell how many they keep, and no row of one is left on a disk.
    pub(super) fn deliver_hints(&mut self) {
        let until = self.env.now + DELIVERED_WITHIN;
        loop {
            let tells = |host: &Host| host.process.as_ref().map_or(0, Process::hints);
            self.run_until(until.saturating_sub(self.env.now), |world| world.hosts.iter().all(|host| tells(host) == 0));
            let told: Vec<u64> = self.hosts.iter().map(tells).collect();
            let rows: Vec<usize> = (0..self.hosts.len()).map(|host| self.hint_rows(host)).collect();
            let kept = told.into_iter().zip(rows).enumerate().filter(|(_, (told, rows))| *told > 0 || *rows > 0);
            let left: Vec<Violation> =
                kept.map(|(node, (told, rows))| Violation::Undelivered { node, told, rows }).collect();
            if left.is_empty() {
                return;
            }
            if self.env.now >= until {
                return self.violations.extend(left);
            }
            self.run_to(self.env.now + TOLD_AFTER);
        }
    }

    fn hint_rows(&mut self, host: HostIndex) -> usize {
        let Host { disk, process, .. } = &mut self.hosts[host];
        if process.is_some() { disk.store.count_rows(HINTS_KEYSPACE, self.config.partitions) } else { 0 }
    }

    /// A node that keeps hints dies when it has delivered some of them, and starts again a little later.
    pub(super) fn interrupt_a_handoff(&mut self) {
        let before: Vec<usize> = (0..self.hosts.len()).map(|host| self.hint_rows(host)).collect();
        let until = self.env.now + DELIVERED_WITHIN;
        while self.env.now < until {
            self.run_to(self.env.now + WATCHED_EVERY);
            let in_midst = |host: &HostIndex| (1..before[*host]).contains(&self.hint_rows(*host));
            let Some(holder) = (0..before.len()).find(in_midst) else { continue };
            let is_killed = self.env.disk_random.permille(500);
            self.crash(holder, if is_killed { Death::Killed } else { Death::PowerLost });
            let down_for = self.env.disk_random.millis(1, 1500);
            self.run_to(self.env.now + down_for);
            self.start_all();
            return;
        }
    }

    /// Every acknowledged write has arrived on the disk of every replica, and all replicas are equal: a write that is not
    /// acknowledged leaves hints, too.
    pub(super) fn expect_handed_over(&mut self) {
        if self.has_pruned() {
            return; // The last reads tell whether a write is lost.
        }
        let version = |write: &Operation<Arc<str>>| match write.outcome {
            Outcome::Written { version } => version,
            _ => None,
        };
        let writes: Vec<(Operation<Arc<str>>, Version)> = self
            .clients
            .history()
            .operations()
            .iter()
            .filter_map(|write| Some((write.clone(), version(write)?)))
            .collect();
        let copies = self.copies();
        for (write, version) in writes {
            for (_, node, held) in copies.iter().filter(|(key, ..)| *key == write.key) {
                if !held.as_ref().is_some_and(|held| knows(held, version)) {
                    self.violations.push(Violation::NotHandedOver { node: *node, write: write.clone() });
                }
            }
        }
        let divergences = self.divergences();
        self.violations.extend(divergences.into_iter().map(Violation::Divergence));
    }

    /// A write to all replicas made all of them equal.
    pub(super) fn expect_convergence(&mut self) {
        if self.has_pruned() {
            return self.equalize();
        }
        let divergences = self.divergences();
        self.violations.extend(divergences.into_iter().map(Violation::Divergence));
    }

    /// Whether a context was kept short: then a copy may not tell what it knows, and one that still holds what was replaced may
    /// bring it back.
    fn has_pruned(&self) -> bool {
        self.env.stats.pruned > 0
    }

    /// Replicas become equal when they are read: whoever is behind is repaired. It is tried again where a repair was lost to
    /// overload.
    pub(super) fn equalize(&mut self) {
        let until = self.env.now + DONE_WITHIN;
        loop {
            let divergences = self.divergences();
            if divergences.is_empty() {
                return;
            }
            if self.env.now >= until {
                return self.violations.extend(divergences.into_iter().map(Violation::Divergence));
            }
            let differs = |name: &Arc<str>| divergences.iter().any(|divergence| divergence.key == *name);
            let keys = self.clients.keys().iter().enumerate().filter(|(_, name)| differs(name));
            let reads = keys.map(|(key, _)| (key % self.hosts.len(), key, Level::All)).collect();
            self.read(reads, Consistency::Sloppy);
            self.run_to(self.env.now + TOLD_AFTER);
        }
    }

    /// The keys of which replicas hold different versions.
    pub(super) fn divergences(&mut self) -> Vec<Divergence<Arc<str>, HostIndex>> {
        // What a copy remembers of replaced versions depends on when it last pruned; what it tells a reader does not.
        let told = |record: Record| record.versions().collect::<Vec<_>>();
        convergence::divergences(self.copies().into_iter().map(|(key, host, held)| (key, host, held.map(told))))
    }

    /// What the disk of each replica of each key holds.
    fn copies(&mut self) -> Vec<(Arc<str>, HostIndex, Option<Record>)> {
        let Some(Host { process: Some(process), .. }) = self.hosts.first() else { return Vec::new() };
        let (view, keyspace) = (process.view(), self.config.keyspace());
        let mut copies = Vec::new();
        let mut wanted = Vec::new();
        for name in self.clients.keys() {
            let Some(partition) = view.partition_of(name.as_bytes()) else { continue };
            let key = StoredKey::new(keyspace, partition, name.as_bytes());
            let hosts = view.replicas(partition).map(|replica| self.env.host_of(replica.id));
            wanted.extend(hosts.map(|host| (Arc::clone(name), host, key.clone())));
        }
        for (name, host, key) in wanted {
            if let Host { disk, process: Some(_), .. } = &mut self.hosts[host] {
                copies.push((name, host, disk.store.load(&key).ok().flatten()));
            }
        }
        copies
    }
}
