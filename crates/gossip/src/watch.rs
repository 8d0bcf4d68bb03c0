//! Owns the wait for one member's next sign of life, and how long is too long: a phi accrual estimate (Hayashibara et al.
//! 2004) with the exponential tail that Cassandra uses, in integers. Whom to watch is `gossip/watching.rs`.

use crate::config::Config;

/// Counters that differ by no more may have been read in the same breath, by others on other ways. A suspicion is only
/// contradicted by a counter that is further ahead.
pub(crate) const SLACK: u64 = 4;
/// How many intervals are remembered.
const WINDOW: usize = 32;
/// How many intervals like everybody's a watcher assumes to have seen at the start.
const PRIOR: u64 = 4;
/// Patience doubles at most so often.
const MAX_BACKOFF: u32 = 6;
/// A doubling is taken back after so many signs of life at first hand.
const CALM: u32 = 64;

/// A wait, in microseconds since the caller's epoch.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// It follows from the rings, and ends when the rings change.
    pub(crate) ring: bool,
    /// Otherwise it ends then.
    pub(crate) until: u64,
    /// The last sign of life, and the counter at that time.
    alive_at: u64,
    counter: u64,
    /// When a first-hand rise was last seen; what comes next is an interval.
    rose_at: Option<u64>,
    /// The first failure seen on the data path since then.
    failed_at: Option<u64>,
    /// When this node was called upon to check somebody else's suspicion.
    called_at: Option<u64>,
    intervals: [u32; WINDOW],
    /// How many were ever seen.
    seen: usize,
    sum: u64,
    backoff: u32,
    calm: u32,
}

/// What is the same for all waits of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The mean interval over all members it watches, in microseconds.
    pub(crate) pace: u64,
    factor: f64,
    min: u64,
    max: u64,
    health: u64,
}

impl Patience {
    pub(crate) fn new(config: &Config, pace: u64, health: u64) -> Self {
        let micros = |span: core::time::Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self {
            pace,
            factor: config.phi * core::f64::consts::LN_10,
            min: micros(config.suspect_after_min),
            max: micros(config.suspect_after_max),
            health,
        }
    }

    /// How long a silence may last if signs of life come at this mean interval.
    pub(crate) fn wait(&self, mean: u64) -> u64 {
        let wait = (mean as f64 * self.factor) as u64;
        wait.clamp(self.min, self.max).saturating_mul(self.health)
    }
}

impl Watch {
    /// The wait begins now, with what is known by then.
    pub(crate) fn new(counter: u64, now: u64) -> Self {
        Self {
            ring: false,
            until: 0,
            alive_at: now,
            counter,
            rose_at: None,
            failed_at: None,
            called_at: None,
            intervals: [0; WINDOW],
            seen: 0,
            sum: 0,
            backoff: 0,
            calm: 0,
        }
    }

    pub(crate) fn counter(&self) -> u64 {
        self.counter
    }

    /// The member itself was heard with this counter. Returns the interval since it was the last time, if that is one.
    pub(crate) fn hear(&mut self, counter: u64, patience: &Patience, now: u64) -> Option<u64> {
        if counter <= self.counter {
            return None;
        }
        let interval = self.rose_at.map(|at| now.saturating_sub(at).min(patience.max));
        if let Some(interval) = interval {
            let place = self.seen % WINDOW;
            self.sum = self.sum - u64::from(self.intervals[place]) + interval.min(u64::from(u32::MAX));
            self.intervals[place] = interval.min(u64::from(u32::MAX)) as u32;
            self.seen += 1;
        }
        self.rose_at = Some(now);
        self.live(counter, now);
        self.calm += 1;
        if self.calm >= CALM {
            self.calm = 0;
            self.backoff = self.backoff.saturating_sub(1);
        }
        interval
    }

    /// Others have heard it with this counter. True if that is a sign of life.
    pub(crate) fn hear_say(&mut self, counter: u64, suspected: bool, now: u64) -> bool {
        if counter <= self.counter.saturating_add(SLACK) {
            return false;
        }
        self.live(counter, now);
        if suspected {
            // Only this node does not hear it: that is worth remembering.
            self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
            self.calm = 0;
        }
        true
    }

    /// It began a new life, with this counter.
    pub(crate) fn reborn(&mut self, counter: u64, now: u64) {
        self.rose_at = None;
        self.live(counter, now);
    }

    fn live(&mut self, counter: u64, now: u64) {
        self.alive_at = now;
        self.counter = counter;
        (self.failed_at, self.called_at) = (None, None);
    }

    /// A request to it failed. True if that is the first since its last sign of life.
    pub(crate) fn failed(&mut self, now: u64) -> bool {
        let is_first = self.failed_at.is_none();
        self.failed_at.get_or_insert(now);
        is_first
    }

    pub(crate) fn answered(&mut self) {
        self.failed_at = None;
    }

    /// Somebody else suspects it, at this counter.
    pub(crate) fn call(&mut self, counter: u64, now: u64) {
        self.called_at.get_or_insert(now);
        self.counter = self.counter.max(counter);
    }

    pub(crate) fn wait(&self, patience: &Patience) -> u64 {
        let seen = self.seen.min(WINDOW) as u64;
        let mean = (self.sum + PRIOR * patience.pace) / (seen + PRIOR);
        patience.wait(mean.max(patience.pace)).saturating_mul(1 << self.backoff)
    }

    /// When the wait has lasted too long. What is already suspicious is believed sooner: half the time if somebody else
    /// suspects it, a quarter if this node's own requests fail.
    pub(crate) fn due(&self, patience: &Patience) -> u64 {
        let wait = self.wait(patience);
        let called = self.called_at.map(|at| at.saturating_add(wait / 2));
        let failed = self.failed_at.map(|at| at.saturating_add(wait / 4));
        let due = [called, failed].into_iter().flatten().min().unwrap_or(u64::MAX);
        due.min(self.alive_at.saturating_add(wait))
    }

    /// `span` passed in which this node could not listen: it is not held against the member.
    pub(crate) fn excuse(&mut self, span: u64, now: u64) {
        let moments = [&mut self.rose_at, &mut self.failed_at, &mut self.called_at].into_iter().flatten();
        moments.chain([&mut self.alive_at]).for_each(|at| *at = now.min(at.saturating_add(span)));
    }
}

#[cfg(test)]
mod tests;
