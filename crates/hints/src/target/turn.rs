//! Whose turn it is among a target's hints, and when the target is left alone because something failed.

use core::time::Duration;

use super::{Open, State, Target};
use crate::partition::Partition;
use crate::{Config, Kind, Seq};

/// The longest a target is left alone, unless the configuration says longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is to be done with the hint whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Send so many bytes.
    Send(u32),
    Drop,
}

impl<P: Ord + Clone> Target<P> {
    /// Whether a hint's turn can come now.
    pub(crate) fn has_turn(&self, now: Duration, config: &Config) -> bool {
        let in_flight = self.open.len() - self.waiting;
        self.is_ready(now)
            && in_flight < config.in_flight
            && (self.waiting > 0 || (self.page.is_some() && self.open.len() < config.in_flight))
    }

    /// The hint whose turn it is, which is in flight from now on: first the oldest of those that failed
    /// or changed, then the next row. To be called when [`Target::has_turn`] says so.
    pub(crate) fn turn(&mut self, too_old_before: Seq) -> Option<(P, Seq, Act)> {
        if self.waiting > 0 {
            let waiting = self.open.iter_mut().filter(|(_, open)| open.state == State::Waiting);
            let ((partition, seq), open) = waiting.min_by_key(|((_, seq), _)| *seq)?;
            self.waiting -= 1;
            return Some((partition.clone(), *seq, open.act(self.attempt, *seq < too_old_before)));
        }
        let page = self.page.as_mut()?;
        let (seq, bytes, kind) = page.rows.pop_front()?;
        let (partition, end) = (page.partition.clone(), page.end);
        let emptied = page.rows.is_empty();
        if let Some(it) = self.partitions.get_mut(&partition) {
            it.cursor = Some(if emptied { end } else { seq });
        }
        if emptied {
            self.page = None;
        }
        let mut open = Open { bytes, kind, state: State::Waiting };
        let act = open.act(self.attempt, seq < too_old_before);
        self.open.insert((partition.clone(), seq), open);
        Some((partition, seq, act))
    }

    /// When [`Target::has_turn`] or [`Target::next_read`] will have something that they have not now, if
    /// nothing is told before; apart from the throttle.
    pub(crate) fn wakes_at(&self, now: Duration) -> Option<Duration> {
        if !self.up || (self.sums.count == 0 && !self.sums.unread()) {
            return None;
        }
        if !self.is_ready(now) {
            return Some(self.paused_until);
        }
        if self.reading.is_some() || self.page.is_some() || !self.sums.unread() {
            return None;
        }
        self.partitions.values().filter_map(Partition::readable_at).min().filter(|at| *at > now)
    }

    pub(super) fn is_ready(&self, now: Duration) -> bool {
        self.up && self.paused_until <= now
    }

    /// The holder's store failed, and will for the next hint too: the sweep is over for this time.
    pub(super) fn own_failure(&mut self, now: Duration, config: &Config) {
        self.sweep = None;
        self.pause(now, config);
    }

    pub(super) fn pause(&mut self, now: Duration, config: &Config) {
        let doubled = config.retry_after.saturating_mul(1 << self.failures.min(16));
        self.paused_until = now.saturating_add(doubled.min(LONGEST_PAUSE.max(config.retry_after)));
        self.failures = self.failures.saturating_add(1);
        self.attempt = self.attempt.wrapping_add(1);
    }

    pub(super) fn resume(&mut self) {
        self.paused_until = Duration::ZERO;
        self.attempt = self.attempt.wrapping_add(1);
    }
}

impl Open {
    /// Puts it in flight.
    fn act(&mut self, attempt: u64, too_old: bool) -> Act {
        if self.kind == Kind::Spare && too_old {
            self.state = State::Dropping;
            return Act::Drop;
        }
        self.state = State::Sent(attempt);
        Act::Send(self.bytes)
    }
}
