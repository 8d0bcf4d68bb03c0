//! Pulling: while this node is in doubt it fetches what it may have lost from the other replicas of each of its
//! partitions, and merges it into what it has. Then it knows every write that it ever acknowledged, and its answers count
//! again.
//!
//! **From whom.** A write that was acknowledged is on W replicas, this node perhaps among them; of any N - W + 1 other
//! replicas at least one holds it, W being the least that any request may use. Those must not be in doubt themselves. Who
//! has pulled from *all* others, whatever they are, knows all there is left.
//!
//! **How.** One page at a time, checked by its digest, at a bounded pace; the next is asked for when the rows of the last
//! are durable here. What cannot be had now - its replicas are away - is tried again later, from where it stopped. A new
//! process begins anew.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use kvorum_ring::PartitionId;

use super::overlay::Merged;
use super::scan::PAGE_BYTES;
use super::{Base, Effect, Page, Pending, Report, Shard, Waiter, emit};
use crate::{Digest, KeyRange, KeyspaceId, Message, NodeId, Now, Op, Record, StoredKey, row_weight};

/// How long a page is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// When a partition is tried again whose replicas could not be asked, and how often progress is told.
const AGAIN: Duration = Duration::from_secs(1);

/// How far a node in doubt, or one of its shards, is with pulling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// The partitions that have been pulled.
    pub pulled: u32,
    /// All that must be.
    pub of: u32,
    /// The bytes that were fetched.
    pub bytes: u64,
}

impl PullProgress {
    /// Whether nothing is left to pull.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.pulled == self.of
    }
}

/// What is left to pull, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Pull {
    queue: VecDeque<Share>,
    of: usize,
    bytes: u64,
    /// The keyspaces that the shares were made for.
    keyspaces: BTreeSet<KeyspaceId>,
    /// The page under way.
    current: Option<Op>,
    /// When the next page may be asked for.
    next: Duration,
    /// How many shares were put off in a row: when it was all of them, there is a pause.
    put_off: usize,
    told: Option<Duration>,
    /// Whether the end was told, of what was known to be left.
    told_complete: bool,
}

/// One partition's.
#[derive(Debug)]
struct Share {
    partition: PartitionId,
    /// What is left of it; none until it is first looked at, for who is asked depends on who is there.
    stretches: Option<VecDeque<Stretch>>,
}

/// What one replica holds of one keyspace, after a key.
#[derive(Debug)]
struct Stretch {
    keyspace: KeyspaceId,
    from: NodeId,
    after: Option<Bytes>,
}

/// A page that was asked for.
#[derive(Debug)]
pub(super) struct PullPage {
    from: NodeId,
    range: KeyRange,
    deadline: Duration,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Asked,
    /// So many of its rows are not durable here yet.
    Storing {
        rows: usize,
        bytes: usize,
        /// Where the next page begins; none when this was the last.
        next: Option<Bytes>,
    },
}

impl PullPage {
    pub(super) fn waits_for(&self, node: NodeId) -> bool {
        self.from == node && matches!(self.stage, Stage::Asked)
    }
}

impl Shard {
    /// Begins to pull, or ends it, as the view wants it.
    pub(super) fn adopt_doubt(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        let wanted = self.view.fitness().in_doubt && self.view.layout.is_some();
        match (&self.pull, wanted) {
            (None, true) => {
                let partitions = self.own_partitions();
                let share = |partition| Share { partition, stretches: None };
                let queue: VecDeque<Share> = partitions.into_iter().map(share).collect();
                let keyspaces = self.view.catalog.keyspaces().iter().map(|keyspace| keyspace.id).collect();
                self.pull = Some(Pull { of: queue.len(), queue, keyspaces, next: now.elapsed, ..Pull::default() });
                self.pull_on(now, out);
            }
            (Some(_), false) => {
                if let Some(op) = self.pull.take().and_then(|pull| pull.current) {
                    self.end_background(op);
                }
            }
            _ => {}
        }
    }

    /// These have lost something in the midst of it: what was begun with begins anew, for they may have been asked.
    pub(super) fn pull_anew(&mut self) {
        for share in self.pull.iter_mut().flat_map(|pull| &mut pull.queue) {
            share.stretches = None;
        }
    }

    /// The partitions of this shard of which this node holds a replica, and not the only one.
    fn own_partitions(&self) -> Vec<PartitionId> {
        let Some(layout) = &self.view.layout else { return Vec::new() };
        let is_mine = |partition: &PartitionId| usize::from(partition.0) % self.shards == usize::from(self.me.shard.0);
        let shared = |partition: &PartitionId| self.holds(*partition) && self.view.replicas(*partition).count() > 1;
        layout.partitions().iter().filter(is_mine).filter(shared).collect()
    }

    pub(super) fn pull_timeout(&self) -> Option<Duration> {
        let pull = self.pull.as_ref()?;
        let told = pull.told.map_or(Duration::ZERO, |told| told.saturating_add(AGAIN));
        let next = if pull.current.is_some() || pull.queue.is_empty() { Duration::MAX } else { pull.next };
        Some(next.min(told))
    }

    /// Asks for the next page when it is time, and tells how far it is.
    pub(super) fn pull_on(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        loop {
            let Some(pull) = &mut self.pull else { return };
            if pull.current.is_some() || pull.next > now.elapsed {
                break;
            }
            let Some(mut share) = pull.queue.pop_front() else {
                if !self.pull_is_behind(now) {
                    break;
                }
                continue;
            };
            let stretches = share.stretches.get_or_insert_with(|| self.pull_stretches(share.partition));
            let asked = stretches.front().map(|stretch| (stretch.from, self.view.is_up(stretch.from)));
            let Some(pull) = &mut self.pull else { return };
            match asked {
                None => pull.put_off = 0,
                Some((from, true)) => {
                    let range = stretches.front().expect("it was just looked at").range(share.partition);
                    pull.queue.push_front(share);
                    self.ask_for_page(now, from, range, out);
                }
                Some((_, false)) => {
                    // Others may do as well, and then it begins anew with them.
                    let partition = share.partition;
                    let others = self.pull_stretches(partition);
                    let Some(pull) = &mut self.pull else { return };
                    if others.iter().all(|stretch| self.view.is_up(stretch.from)) {
                        pull.queue.push_front(Share { partition, stretches: Some(others) });
                        continue;
                    }
                    pull.queue.push_back(share);
                    pull.put_off += 1;
                    if pull.put_off >= pull.queue.len() {
                        pull.put_off = 0;
                        pull.next = now.elapsed.saturating_add(AGAIN);
                    }
                }
            }
        }
        self.tell_pull(now, out);
    }

    /// What must be fetched of a partition, from whom.
    fn pull_stretches(&self, partition: PartitionId) -> VecDeque<Stretch> {
        let others: Vec<_> = self.view.replicas(partition).filter(|replica| replica.id != self.me.node).collect();
        let sound: Vec<_> = others.iter().filter(|replica| replica.up && !replica.in_doubt).collect();
        let replicas = others.len() + 1;
        let mut stretches = VecDeque::new();
        for keyspace in self.view.catalog.keyspaces() {
            let least_write = usize::from(keyspace.settings.min_write.max(1));
            let enough = (replicas + 1).saturating_sub(least_write);
            let from: Vec<NodeId> = if sound.len() >= enough {
                sound.iter().take(enough).map(|replica| replica.id).collect()
            } else {
                others.iter().map(|replica| replica.id).collect()
            };
            stretches.extend(from.into_iter().map(|from| Stretch { keyspace: keyspace.id, from, after: None }));
        }
        stretches
    }

    /// Everything is pulled that was begun with. Meanwhile this node may have learned of keyspaces that it did not know:
    /// they are pulled, too; and as long as others know more keyspaces than this one, it is not over.
    fn pull_is_behind(&mut self, now: Now) -> bool {
        let known: BTreeSet<KeyspaceId> = self.view.catalog.keyspaces().iter().map(|keyspace| keyspace.id).collect();
        let partitions = self.own_partitions();
        let Some(pull) = &mut self.pull else { return false };
        if known.is_subset(&pull.keyspaces) {
            return false;
        }
        pull.keyspaces = known;
        pull.queue = partitions.into_iter().map(|partition| Share { partition, stretches: None }).collect();
        pull.next = now.elapsed;
        true
    }

    fn tell_pull(&mut self, now: Now, out: &mut impl Extend<Effect>) {
        let newest = self.view.members.values().map(|member| member.catalog).max().unwrap_or(0);
        let is_current = newest <= self.view.catalog.version();
        let Some(pull) = &mut self.pull else { return };
        let due = pull.told.is_none_or(|told| now.elapsed.saturating_sub(told) >= AGAIN);
        let is_complete = pull.queue.is_empty() && pull.current.is_none() && is_current;
        // The end is told at once, and again, for reports may be lost.
        if due || is_complete && !pull.told_complete {
            (pull.told, pull.told_complete) = (Some(now.elapsed), is_complete);
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            // The last is not over before nothing else can come.
            let of = pull.of.max(usize::from(!is_complete));
            let left = pull.queue.len().max(usize::from(!is_complete)).min(of);
            let progress = PullProgress { pulled: count(of - left), of: count(of), bytes: pull.bytes };
            emit(out, Effect::Report(Report::Pull { shard: self.me.shard, progress }));
        }
    }

    fn ask_for_page(&mut self, now: Now, from: NodeId, range: KeyRange, out: &mut impl Extend<Effect>) {
        let deadline = now.elapsed.saturating_add(PATIENCE);
        let page = PullPage { from, range: range.clone(), deadline, stage: Stage::Asked };
        let op = self.begin_background(Pending::Pull(page));
        self.deadlines.add(now.elapsed, deadline, op);
        if let Some(pull) = &mut self.pull {
            pull.current = Some(op);
        }
        let message = Message::Scan { op, range, limit_bytes: PAGE_BYTES, puller: Some(self.actor) };
        self.ask(from, self.view.tag(), deadline, message, out);
    }

    /// A replica tells what it holds.
    pub(super) fn pull_reply(
        &mut self,
        now: Now,
        node: NodeId,
        op: Op,
        page: Page,
        digest: Option<Digest>,
        out: &mut impl Extend<Effect>,
    ) {
        let Some(Pending::Pull(asked)) = self.ops.get_mut(op) else { return };
        if !asked.waits_for(node) {
            return;
        }
        let Page { rows, more } = page;
        let is_sound = digest == Some(Digest::of_rows(&rows))
            && rows.iter().all(|(key, _)| asked.range.contains(key.as_bytes()))
            && rows.is_sorted_by(|(a, _), (b, _)| a < b)
            && !(more && rows.is_empty());
        if !is_sound || self.log.failure().is_some() {
            return self.pull_failed(now, op, out);
        }
        let bytes = rows.iter().map(|(key, record)| row_weight(key, record)).sum();
        let next = rows.last().map(|(key, _)| key.key()).filter(|_| more);
        // One more than there are, so that it does not end while they are being handed out.
        asked.stage = Stage::Storing { rows: rows.len() + 1, bytes, next };
        for (key, record) in rows {
            self.pull_row(now, op, &key, record, out);
        }
        self.pull_stored(now, op, out);
    }

    fn pull_row(&mut self, now: Now, op: Op, key: &StoredKey, record: Record, out: &mut impl Extend<Effect>) {
        let then = Merged::Pulled(op);
        match self.overlay.base_for(key, Waiter::Merge { record: record.detached(), then }) {
            Base::Known(newest, seq) => self.merge_quietly(now, key, record, (newest, Some(seq)), then, out),
            Base::Waiting => {}
            Base::Unknown => self.load_base_quietly(key.clone(), out),
        }
    }

    /// One row of a page is durable here.
    pub(super) fn pull_stored(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Pull(PullPage { stage: Stage::Storing { rows, .. }, .. })) = self.ops.get_mut(op) else {
            return;
        };
        *rows -= 1;
        if *rows > 0 {
            return;
        }
        let Some(Pending::Pull(PullPage { stage: Stage::Storing { bytes, next, .. }, .. })) = self.end_background(op)
        else {
            unreachable!("it was looked at just now")
        };
        let pace = self.limits.pull_bytes_per_second.max(1);
        let Some(pull) = &mut self.pull else { return };
        pull.current = None;
        pull.put_off = 0;
        pull.bytes += bytes as u64;
        pull.next = now.elapsed.saturating_add(Duration::from_micros(bytes as u64 * 1_000_000 / pace));
        if let Some(stretches) = pull.queue.front_mut().and_then(|share| share.stretches.as_mut()) {
            match (stretches.front_mut(), next) {
                (Some(stretch), Some(next)) => stretch.after = Some(next),
                (_, None) => drop(stretches.pop_front()),
                (None, _) => {}
            }
        }
        self.pull_on(now, out);
    }

    /// A page will not come, or cannot be used, or stored: later again.
    pub(super) fn pull_failed(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        if !matches!(self.ops.get_mut(op), Some(Pending::Pull(_))) {
            return;
        }
        self.end_background(op);
        if let Some(pull) = &mut self.pull {
            pull.current = None;
            pull.next = now.elapsed.saturating_add(AGAIN);
            // Others may have what they need.
            if let Some(share) = pull.queue.pop_front() {
                pull.queue.push_back(share);
            }
        }
        self.pull_on(now, out);
    }

    /// A page that was not answered in time. What is being stored here is waited for as long as it takes.
    pub(super) fn pull_overdue(&mut self, now: Now, op: Op, out: &mut impl Extend<Effect>) {
        let Some(Pending::Pull(page)) = self.ops.get_mut(op) else { return };
        match page.stage {
            Stage::Asked if now.elapsed >= page.deadline => {
                let from = page.from;
                self.report_failed(now, from, out);
                self.pull_failed(now, op, out);
            }
            Stage::Asked => self.deadlines.add(now.elapsed, page.deadline, op),
            Stage::Storing { .. } => {}
        }
    }
}

impl Stretch {
    fn range(&self, partition: PartitionId) -> KeyRange {
        KeyRange::of_partition(self.keyspace, partition, &[], self.after.as_deref())
    }
}
