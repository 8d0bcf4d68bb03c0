//! The faults are over, and everything must heal in bounded time: every node must get ready and know what it lacked, every
//! hint be delivered, every key be readable and writable through the nodes, the replicas end up equal, and nothing be left
//! half done. What the nodes must do by themselves is waited for in `settle`; here they are asked.

use core::time::Duration;

use kvorum_history::{Moment, OpId, Outcome};
use kvorum_node::{Consistency, HINTS_KEYSPACE, Limits, Mode};
use kvorum_quorum::Level;
use kvorum_ring::PartitionId;

use super::{READY_WITHIN, World};
use crate::config::Levels;
use crate::event::HostIndex;
use crate::process::Process;
use crate::scenario::Scenario;
use crate::verdict::Violation;
use crate::watch::moment;
use crate::workload::KeyIndex;

/// How long clients may take to end what they had under way, with all they try again.
const IDLE_WITHIN: Duration = Duration::from_secs(15);
/// How long the last reads, and the last writes, may take, with all their attempts.
pub(super) const DONE_WITHIN: Duration = Duration::from_secs(30);
/// How long they wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Longer than any request may last, so that nothing is under way any more.
pub(super) const QUIET: Duration = Duration::from_secs(4);

impl World {
    /// Gives the moment from which on reads see everything. If an engine has reported what it had no cause for, that is all.
    pub(super) fn heal(&mut self) -> Moment {
        let rests_on_hints = self.config.scenario.is_some_and(Scenario::rests_on_hints);
        self.clients.stop();
        if rests_on_hints {
            // A coordinator keeps a hint only when a replica was silent for a while.
            self.run_to(self.env.now + QUIET);
        }
        self.env.trace.record(self.env.now, format_args!("calm"));
        self.env.calm();
        for host in 0..self.hosts.len() {
            self.hosts[host].disk.calm();
            self.restart_if_failed(host);
        }
        self.start_all();
        if self.hosts.iter().any(|host| !host.disk.store.surprises().is_empty()) {
            // A node that cannot start says enough; nothing could be read through it.
            return moment(self.env.now);
        }
        self.env.stats.hints = self.count_hints();
        if self.config.scenario == Some(Scenario::InterruptedHandoff) {
            self.interrupt_a_handoff();
        }
        let ready = self.run_until(READY_WITHIN, Self::all_ready);
        self.expect_ready(ready);
        if !self.run_until(IDLE_WITHIN, |world| world.clients.are_idle()) {
            self.violations.push(Violation::Restless);
        }
        self.end_doubts();
        if rests_on_hints {
            self.deliver_hints();
            self.expect_handed_over();
        } else if self.config.consistency == Consistency::Sloppy {
            // Where stand-ins count, all that there is of a write may be a hint.
            self.deliver_hints();
        }
        let calm = moment(self.env.now);
        self.read_everything();
        self.scan_everything();
        self.run_to(self.env.now + QUIET);
        // Others do not need hints, but deliver them all the same.
        self.deliver_hints();
        self.equalize();
        self.write_everything();
        self.run_to(self.env.now + QUIET);
        self.deliver_hints();
        self.expect_nothing_left();
        self.expect_convergence();
        // Replicas may agree on something old.
        self.read_everything();
        calm
    }

    /// The rows of hints on all disks.
    fn count_hints(&mut self) -> u64 {
        let partitions = self.config.partitions;
        let rows = self.hosts.iter_mut().map(|host| match host.process {
            Some(_) => host.disk.store.count_rows(HINTS_KEYSPACE, partitions),
            None => 0,
        });
        rows.sum::<usize>() as u64
    }

    /// Reads every key through every node, again where it fails, for as long as that may take. Where quorums overlap
    /// they must be enough; where they need not, only all replicas together know everything.
    fn read_everything(&mut self) {
        let mut reads: Vec<(HostIndex, KeyIndex, Level)> = Vec::new();
        let asks_less =
            Levels::count(self.config.levels.read, self.config.replication) < self.config.replication.into();
        for host in 0..self.hosts.len() {
            for key in 0..self.clients.keys().len() {
                reads.push((host, key, Level::All));
                if self.config.is_strict() && asks_less {
                    reads.push((host, key, self.config.levels.read));
                }
            }
        }
        self.read(reads, self.config.consistency);
    }

    /// Reads these keys through these nodes, again where it fails.
    pub(super) fn read(&mut self, reads: Vec<(HostIndex, KeyIndex, Level)>, consistency: Consistency) {
        let read = |world: &mut Self, (host, key, level)| {
            world.clients.read_once(host, key, level, consistency, TIMEOUT, &mut world.env)
        };
        let is_read = |world: &Self, id: OpId| match world.clients.outcome(id) {
            Outcome::Pending => None,
            outcome => Some(matches!(outcome, Outcome::Read(_) | Outcome::ReadUnknown)),
        };
        let missing = self.until_done(reads, read, is_read);
        self.violations.extend(missing.into_iter().map(|(node, key, _)| Violation::Unreadable { node, key }));
    }

    /// Scans every partition through every node.
    fn scan_everything(&mut self) {
        let hosts = self.hosts.len();
        let partitions = (0..self.config.partitions as u16).map(PartitionId);
        let scans = partitions.flat_map(|partition| (0..hosts).map(move |host| (host, partition))).collect();
        let scan = |world: &mut Self, (host, partition)| {
            world.clients.scan_once(host, partition, Level::All, TIMEOUT, &mut world.env)
        };
        let missing = self.until_done(scans, scan, |world, session| world.clients.has_scanned(session));
        let unscannable = |(node, PartitionId(partition))| Violation::Unscannable { node, partition };
        self.violations.extend(missing.into_iter().map(unscannable));
    }

    /// Overwrites every key in all replicas.
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
                self.read(again, self.config.consistency);
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
}
