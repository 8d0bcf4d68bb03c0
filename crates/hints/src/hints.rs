//! [`Hints`]: all hints of one holder. It owns admission, numbering, the sums over all targets, the
//! throttle, whose turn it is, and when a sweep begins; what concerns one target is in `target`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt::Debug;
use core::ops::Bound::{Excluded, Unbounded};
use core::time::Duration;

use crate::bucket::Bucket;
use crate::partition::Sums;
use crate::target::{Act, Target, Wanted};
use crate::{Config, Effect, Input, Kind, Seq, Summary, Taken};

/// How long it is from one sweep for spare hints that are too old to the next.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The hints that one node keeps for others (Dynamo, section 4.6).
///
/// `T` names a target, `P` a partition. The caller keeps the hints in its store: for each (target,
/// partition, key) one *content* row with the merged record, and one *order* row, whose key ends in
/// the hint's [`Seq`] and which names the key. A second write of the key merges into the content row
/// and is no new hint ([`grew`](Hints::grew)); the order rows in key order are oldest first.
///
/// **Order.** Of a target's partitions the one with the oldest hint comes first, and within it the
/// oldest hint; this is decided page by page. A hint that failed is the first to be sent again.
/// **Progress.** While a target is up and has hints, some of them are in flight, or a read is
/// outstanding, or [`next_timeout`](Hints::next_timeout) says when it goes on.
///
/// It holds counters for each (target, partition) that has hints, and of the hints themselves the
/// numbers of at most `in_flight + page` per target (in a rare case twice as many). An input costs O(targets) at least, and
/// O(partitions of a target) when the next of its partitions to be read is chosen.
///
/// ```
/// use core::time::Duration;
/// use kvorum_hints::{Config, Effect, Hints, Input, Kind, Taken};
///
/// let mut hints = Hints::new(Config { bytes: 100, ..Config::default() });
/// let Taken::New(_) = hints.take(1, "b", 7, 60, Kind::Owed) else { panic!("there is room") };
/// // There is no room for this one; the target will have to compare partition 8 with other replicas.
/// assert_eq!(hints.take(1, "b", 8, 60, Kind::Spare), Taken::Refused);
/// assert_eq!(hints.take_dirty(), [("b", 8)]);
/// ```
#[derive(Clone, Debug)]
pub struct Hints<T, P> {
    config: Config,
    /// The latest time that was told.
    now: Duration,
    last: Option<Seq>,
    sums: Sums,
    targets: BTreeMap<T, Target<P>>,
    dirty: BTreeSet<(T, P)>,
    bucket: Bucket,
    /// Whose turn it was last.
    turn: Option<T>,
    swept_at: Option<Duration>,
    /// Whether a hint was taken for a target that is up.
    look: bool,
}

impl<T: Ord + Clone + Debug, P: Ord + Clone + Debug> Hints<T, P> {
    /// No hints yet, and no target that could be reached.
    pub fn new(config: Config) -> Self {
        let config = config.raised();
        Self {
            config,
            now: Duration::ZERO,
            last: None,
            sums: Sums::default(),
            targets: BTreeMap::new(),
            dirty: BTreeSet::new(),
            bucket: Bucket::full(config.bytes_per_second),
            turn: None,
            swept_at: None,
            look: false,
        }
    }

    /// Whether one more hint is kept, of so many bytes (keys and rows included), and under which number.
    ///
    /// It counts from now on: the caller stores its rows, in the order of their numbers. A spare hint
    /// that is refused makes (target, partition) dirty. An owed one that is refused has not stood in
    /// for anybody, and must not be counted towards W.
    pub fn take(&mut self, unix_ms: u64, target: T, partition: P, bytes: u32, kind: Kind) -> Taken {
        let fits = self.sums.bytes.saturating_add(u64::from(bytes)) <= self.config.bytes;
        let Some(seq) = Seq::next(self.last, unix_ms).filter(|_| fits) else {
            if kind == Kind::Spare {
                self.dirty.insert((target, partition));
            }
            return Taken::Refused;
        };
        self.last = Some(seq);
        let now = self.now;
        self.entry(target, |it| it.take(now, partition, seq, bytes, kind));
        Taken::New(seq)
    }

    /// A further write merged into a hint that is kept: its size and kind before and after.
    ///
    /// This is not refused for lack of room, so that [`bytes`](Hints::bytes) may come to exceed the
    /// limit; then no further hint is taken. What is owed stays owed, whatever `after` says. A hint
    /// that was reported [`Input::Delivered`] is not kept any more: the write is a new one.
    pub fn grew(&mut self, target: &T, partition: &P, seq: Seq, before: (u32, Kind), after: (u32, Kind)) {
        self.change(target, |it| it.grew(partition, seq, before, after));
    }

    /// Counts what has happened, and says what is to be done next.
    ///
    /// What makes no sense is ignored: an answer to what was not asked or was answered before, a target
    /// or partition without hints, rows out of order.
    pub fn handle(&mut self, now: Duration, unix_ms: u64, input: Input<T, P>, out: &mut impl Extend<Effect<T, P>>) {
        self.now = self.now.max(now);
        let (now, config) = (self.now, self.config);
        match input {
            Input::Recovered { target, partition, seq, bytes, kind } => {
                self.last = self.last.max(Some(seq));
                self.entry(target, |it| it.recover(partition, seq, bytes, kind));
            }
            Input::Up(target) => self.entry(target, Target::up),
            Input::Down(target) => self.change(&target, Target::down),
            Input::Forgotten(target) => self.forget(&target),
            Input::Page { target, partition, rows, more } => {
                self.change(&target, |it| it.page(now, &config, &partition, rows, more));
            }
            Input::PageFailed { target, partition } => {
                self.change(&target, |it| it.page_failed(now, &config, &partition));
            }
            Input::Delivered { target, partition, seq } => {
                self.change(&target, |it| it.delivered(&config, &partition, seq));
            }
            Input::Changed { target, partition, seq } => {
                self.change(&target, |it| it.changed(&partition, seq));
            }
            Input::Failed { target, partition, seq } => {
                self.change(&target, |it| it.failed(now, &config, &partition, seq));
            }
        }
        self.go_on(unix_ms, out);
    }

    /// Says what is to be done by now; too early, nothing.
    pub fn handle_timeout(&mut self, now: Duration, unix_ms: u64, out: &mut impl Extend<Effect<T, P>>) {
        self.now = self.now.max(now);
        self.go_on(unix_ms, out);
    }

    /// When to call [`handle_timeout`](Hints::handle_timeout), which may be at once; `None` when there is
    /// nothing to wait for. [`take`](Hints::take) can make it earlier. Costs as much as an input.
    pub fn next_timeout(&self) -> Option<Duration> {
        let look = self.look.then_some(self.now);
        let sweep = (self.sums.spare() > 0).then(|| self.next_sweep().unwrap_or(self.now));
        let throttled = self.targets.values().any(|it| it.has_turn(self.now, &self.config));
        let throttled = throttled.then(|| self.bucket.gives_at());
        let targets = self.targets.values().filter_map(|it| it.wakes_at(self.now)).min();
        [look, sweep, throttled, targets].into_iter().flatten().min()
    }

    /// The targets that have hints, in order. Costs O(partitions) for each.
    pub fn summaries(&self) -> impl Iterator<Item = Summary<T>> {
        let with_any = self.targets.iter().filter(|(_, it)| it.sums().count > 0);
        with_any.map(|(target, it)| {
            let Sums { count, bytes, owed, .. } = *it.sums();
            Summary { target: target.clone(), count, bytes, owed, oldest: it.oldest() }
        })
    }

    /// The bytes of all hints.
    pub fn bytes(&self) -> u64 {
        self.sums.bytes
    }

    /// The number of all hints.
    pub fn len(&self) -> u64 {
        self.sums.count
    }

    /// Whether there are no hints.
    pub fn is_empty(&self) -> bool {
        self.sums.count == 0
    }

    /// What became dirty since the last call, each once, in order: a spare hint was refused or dropped,
    /// and the target lacks the write unless it learns it by comparing its replica with another.
    pub fn take_dirty(&mut self) -> Vec<(T, P)> {
        core::mem::take(&mut self.dirty).into_iter().collect()
    }

    fn go_on(&mut self, unix_ms: u64, out: &mut impl Extend<Effect<T, P>>) {
        let (now, config, end) = (self.now, self.config, self.config.too_old_before(unix_ms));
        self.look = false;
        if self.sums.spare() > 0 && self.next_sweep().is_none_or(|at| at <= now) {
            self.swept_at = Some(now);
            self.targets.values_mut().for_each(|it| it.begin_sweep(end));
        }
        for (target, it) in &mut self.targets {
            let before = *it.sums();
            while let Some((partition, seq)) = it.next_drop() {
                self.dirty.insert((target.clone(), partition.clone()));
                out.extend([Effect::Drop { target: target.clone(), partition, seq }]);
            }
            let read = it.next_read(now, &config);
            out.extend(read.map(|read| to_read(target, read)));
            self.sums.replace(before, *it.sums());
        }
        while self.bucket.gives(now) {
            let Some(target) = self.next_turn() else { break };
            let Some(it) = self.targets.get_mut(&target) else { break };
            let Some((partition, seq, act)) = it.turn(end) else { break };
            self.turn = Some(target.clone());
            out.extend([match act {
                Act::Send(bytes) => {
                    self.bucket.take(now, bytes);
                    Effect::Send { target: target.clone(), partition, seq }
                }
                Act::Drop => {
                    self.dirty.insert((target.clone(), partition.clone()));
                    Effect::Drop { target: target.clone(), partition, seq }
                }
            }]);
            let read = it.next_read(now, &config);
            out.extend(read.map(|read| to_read(&target, read)));
        }
    }

    /// The first target after the one whose turn was last, in a circle, that has something to send.
    fn next_turn(&self) -> Option<T> {
        let mut behind = self.turn.as_ref().map(|turn| self.targets.range((Excluded(turn), Unbounded)));
        let behind = behind.iter_mut().flatten();
        let mut circle = behind.chain(&self.targets);
        circle.find(|(_, it)| it.has_turn(self.now, &self.config)).map(|(target, _)| target.clone())
    }

    fn next_sweep(&self) -> Option<Duration> {
        self.swept_at.map(|at| at.saturating_add(SWEEP_EVERY))
    }

    fn forget(&mut self, target: &T) {
        if let Some(it) = self.targets.remove(target) {
            self.sums.replace(*it.sums(), Sums::default());
        }
        self.dirty.retain(|(dirty, _)| dirty != target);
    }

    fn entry(&mut self, target: T, change: impl FnOnce(&mut Target<P>)) {
        self.targets.entry(target.clone()).or_insert_with(Target::new);
        self.change(&target, change);
    }

    /// Changes a target, if there is one, and with it the sums. A target that is down and has no hints is
    /// removed.
    fn change(&mut self, target: &T, change: impl FnOnce(&mut Target<P>)) {
        let Some(it) = self.targets.get_mut(target) else { return };
        let before = *it.sums();
        change(it);
        self.sums.replace(before, *it.sums());
        self.look |= it.is_up();
        if it.sums().count == 0 && !it.sums().unread() && !it.is_up() {
            self.targets.remove(target);
        }
    }
}

#[cfg(test)]
impl<T: Ord + Clone + Debug, P: Ord + Clone + Debug> Hints<T, P> {
    /// Every sum is that of its parts, and no more numbers are in memory than promised.
    pub(crate) fn assert_consistent(&self) {
        let mut sums = Sums::default();
        for it in self.targets.values() {
            it.assert_consistent(&self.config);
            sums.replace(Sums::default(), *it.sums());
        }
        assert_eq!(sums, self.sums);
    }
}

fn to_read<T: Clone, P>(target: &T, wanted: Wanted<P>) -> Effect<T, P> {
    let Wanted { partition, after, limit } = wanted;
    Effect::Read { target: target.clone(), partition, after, limit }
}
