//! The faults are over, and everything must heal in bounded time: every node must get ready, every key be readable
//! and writable through the nodes, the replicas end up equal, and nothing be left half done.

use core::num::NonZeroU8;
use core::time::Duration;

use kvorum_history::{Moment, OpId, Outcome, convergence};
use kvorum_node::{Limits, Mode, Record, StoredKey, Version};
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;

use super::{Host, READY_WITHIN, World};
use crate::config::Levels;
use crate::event::HostIndex;
use crate::process::Process;
use crate::verdict::Violation;
use crate::watch::moment;
use crate::workload::KeyIndex;

/// How long clients may take to end what they had under way, with all they try again.
const IDLE_WITHIN: Duration = Duration::from_secs(15);
/// How long the last reads, and the last writes, may take, with all their attempts.
const DONE_WITHIN: Duration = Duration::from_secs(30);
/// How long they wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Longer than any request may last, so that nothing is under way any more.
const QUIET: Duration = Duration::from_secs(4);

impl World {
    /// Gives the moment from which on reads see everything. If an engine has reported what it had no cause for, that is all.
    pub(super) fn heal(&mut self) -> Moment {
        self.env.trace.record(self.env.now, format_args!("calm"));
        self.env.calm();
        self.clients.stop();
        for host in 0..self.hosts.len() {
            self.hosts[host].disk.calm();
            self.restart_if_failed(host);
        }
        self.start_all();
        if self.hosts.iter().any(|host| !host.disk.store.surprises().is_empty()) {
            // A node that cannot start says enough; nothing could be read through it.
            return moment(self.env.now);
        }
        let ready = self.run_until(READY_WITHIN, Self::all_ready);
        self.expect_ready(ready);
        if !self.run_until(IDLE_WITHIN, |world| world.clients.are_idle()) {
            self.violations.push(Violation::Restless);
        }
        let calm = moment(self.env.now);
        let in_doubt = |host: &&Host| host.process.as_ref().is_some_and(Process::is_in_doubt);
        self.env.stats.in_doubt = self.hosts.iter().filter(in_doubt).count() as u64;
        self.read_everything();
        self.scan_everything();
        self.run_to(self.env.now + QUIET);
        self.write_everything();
        self.run_to(self.env.now + QUIET);
        self.expect_nothing_left();
        self.expect_convergence();
        // Replicas may agree on something old.
        self.read_everything();
        calm
    }

    /// Reads every key through every node, again where it fails, for as long as that may take. Where quorums overlap
    /// they must be enough; where they need not, only all replicas together know everything.
    fn read_everything(&mut self) {
        let mut reads: Vec<(HostIndex, KeyIndex, Level)> = Vec::new();
        let (all, most) = self.most_that_answer();
        for host in 0..self.hosts.len() {
            for key in 0..self.clients.keys().len() {
                reads.push((host, key, all));
                if self.config.is_strict() && self.asked_for() < most {
                    reads.push((host, key, self.config.levels.read));
                }
            }
        }
        self.read(reads);
    }

    /// Reads these keys through these nodes, again where it fails.
    fn read(&mut self, reads: Vec<(HostIndex, KeyIndex, Level)>) {
        let read =
            |world: &mut Self, (host, key, level)| world.clients.read_once(host, key, level, TIMEOUT, &mut world.env);
        let is_read = |world: &Self, id: OpId| match world.clients.outcome(id) {
            Outcome::Pending => None,
            outcome => Some(matches!(outcome, Outcome::Read(_) | Outcome::ReadUnknown)),
        };
        let missing = self.until_done(reads, read, is_read);
        self.violations.extend(missing.into_iter().map(|(node, key, _)| Violation::Unreadable { node, key }));
    }

    /// All replicas, or as many as answer reads for certain while some nodes are in doubt; and how many these are.
    fn most_that_answer(&mut self) -> (Level, u32) {
        let in_doubt = |host: &&Host| host.process.as_ref().is_some_and(Process::is_in_doubt);
        let in_doubt = self.hosts.iter().filter(in_doubt).count() as u32;
        let most = u32::from(self.config.replication).saturating_sub(in_doubt);
        let level = NonZeroU8::new(most as u8).filter(|_| in_doubt > 0);
        (level.map_or(Level::All, Level::Number), most)
    }

    /// R of the clients' reads.
    fn asked_for(&self) -> u32 {
        Levels::count(self.config.levels.read, self.config.replication) as u32
    }

    /// Scans every partition through every node.
    fn scan_everything(&mut self) {
        let (level, _) = self.most_that_answer();
        let hosts = self.hosts.len();
        let partitions = (0..self.config.partitions as u16).map(PartitionId);
        let scans = partitions.flat_map(|partition| (0..hosts).map(move |host| (host, partition))).collect();
        let scan = |world: &mut Self, (host, partition)| {
            world.clients.scan_once(host, partition, level, TIMEOUT, &mut world.env)
        };
        let missing = self.until_done(scans, scan, |world, session| world.clients.has_scanned(session));
        let unscannable = |(node, PartitionId(partition))| Violation::Unscannable { node, partition };
        self.violations.extend(missing.into_iter().map(unscannable));
    }

    /// Overwrites every key in all replicas, which makes them equal: nothing else does so yet.
    fn write_everything(&mut self) {
        let hosts = self.hosts.len();
        let writes: Vec<(HostIndex, KeyIndex)> = (0..self.clients.keys().len()).map(|key| (key % hosts, key)).collect();
        let write =
            |world: &mut Self, (host, key)| world.clients.write_once(host, key, Level::All, TIMEOUT, &mut world.env);
        let is_written = |world: &Self, id: OpId| match world.clients.outcome(id) {
            Outcome::Pending => None,
            outcome => Some(matches!(outcome, Outcome::Written { .. })),
        };
        let until = self.env.now + DONE_WITHIN;
        let mut missing = writes;
        while !missing.is_empty() && self.env.now < until {
            missing = self.pass(missing, &write, &is_written);
            if self.config.mode == Mode::Causal {
                // An attempt that nobody knows the end of may have left a sibling: the next must have seen it.
                let again = missing.iter().map(|(host, key)| (*host, *key, Level::All)).collect();
                self.read(again);
            }
        }
        self.violations.extend(missing.into_iter().map(|(node, key)| Violation::Unwritable { node, key }));
    }

    /// Asks until it is done, for as long as that may take; gives what is not. `is_done` tells whether what was asked
    /// succeeded, when it has ended.
    fn until_done<T: Copy, A: Copy>(
        &mut self,
        mut missing: Vec<T>,
        ask: impl Fn(&mut Self, T) -> A,
        is_done: impl Fn(&Self, A) -> Option<bool>,
    ) -> Vec<T> {
        let until = self.env.now + DONE_WITHIN;
        while !missing.is_empty() && self.env.now < until {
            missing = self.pass(missing, &ask, &is_done);
        }
        missing
    }

    /// Asks for each once; gives what did not succeed.
    fn pass<T: Copy, A: Copy>(
        &mut self,
        wanted: Vec<T>,
        ask: &impl Fn(&mut Self, T) -> A,
        is_done: &impl Fn(&Self, A) -> Option<bool>,
    ) -> Vec<T> {
        // Not more at once than the narrowest limits take: asked all together again and again, they would meet
        // overload again and again.
        let Limits { operations, undurable_bytes, .. } = self.config.limits;
        let at_once = (operations / 2).min(undurable_bytes / self.config.most_pair_bytes()).max(1);
        let mut missing = Vec::new();
        for now in wanted.chunks(at_once) {
            let asked: Vec<(T, A)> = now.iter().map(|what| (*what, ask(self, *what))).collect();
            self.run_until(2 * TIMEOUT, |world| asked.iter().all(|(_, asked)| is_done(world, *asked).is_some()));
            let failed = asked.into_iter().filter(|(_, asked)| is_done(self, *asked) != Some(true));
            missing.extend(failed.map(|(what, _)| what));
        }
        missing
    }

    fn expect_nothing_left(&mut self) {
        for (node, host) in self.hosts.iter().enumerate() {
            let shards = host.process.iter().flat_map(Process::unfinished).enumerate();
            let unfinished = shards.filter(|(_, (operations, overlaid))| operations + overlaid > 0);
            let violation =
                |(shard, (operations, overlaid))| Violation::Unfinished { node, shard, operations, overlaid };
            self.violations.extend(unfinished.map(violation));
        }
    }

    fn expect_convergence(&mut self) {
        let Some(Host { process: Some(process), .. }) = self.hosts.first() else { return };
        let view = process.view();
        let mut replicas = Vec::new();
        for name in self.clients.keys() {
            let Some(partition) = view.partition_of(name.as_bytes()) else { continue };
            let key = StoredKey::new(self.config.keyspace(), partition, name.as_bytes());
            let hosts = view.replicas(partition).map(|replica| self.env.host_of(replica.id));
            replicas.extend(hosts.map(|host| (name.clone(), host, key.clone())));
        }
        let mut copies = Vec::new();
        for (name, host, key) in replicas {
            let Host { disk, process: Some(_), .. } = &mut self.hosts[host] else { continue };
            let held = disk.store.load(&key).ok().flatten();
            copies.push((name, host, held.as_ref().map(told)));
        }
        self.violations.extend(convergence::divergences(copies).into_iter().map(Violation::Divergence));
    }
}

/// What a copy tells a reader. What it remembers of replaced versions depends on when it last pruned.
fn told(record: &Record) -> Vec<Version> {
    record.versions().collect()
}
