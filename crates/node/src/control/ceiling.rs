//! The clock's durable ceiling: no shard mints a timestamp above it, and it is raised ahead of use. A process that
//! starts again begins above the ceiling it finds, so timestamps never go back whatever the wall clock does.
//! Whether the wall clock may be followed is judged by `clock`: a ceiling once raised after a wrong one would stay.

use core::time::Duration;

use kvorum_vclock::Timestamp;

/// How far ahead of the wall clock the ceiling is raised. Well below the drift that peers accept, for a node that
/// restarts at once begins at its old ceiling.
const LEASE: Duration = Duration::from_secs(10);
/// The least it is raised above the clock's floor, when that lies ahead of the wall clock: small, so that a node
/// that restarts again and again does not run away from its peers.
const STEP: Duration = Duration::from_secs(1);

/// The least a process that starts ahead of the wall clock is given at once, so that it need not refuse its first
/// write: 10 ms hold 655 360 timestamps.
const START: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Ceiling {
    floor: Timestamp,
    durable: Timestamp,
    saving: Option<Timestamp>,
    /// The highest that was ever asked to be saved. It may be on disk whatever came back, and must never be
    /// followed by a lower one: a shard that was told of the higher may be using it.
    asked: Timestamp,
}

impl Ceiling {
    pub(super) fn new(floor: Timestamp) -> Self {
        Self { floor, durable: floor, saving: None, asked: floor }
    }

    /// The ceiling to save now, if it is time to.
    pub(super) fn due(&mut self, unix_ms: u64) -> Option<Timestamp> {
        let half_used = unix_ms.saturating_add(millis(LEASE / 2)) >= self.durable.millis();
        let unused = self.durable == self.floor;
        if half_used || unused { self.raise_by(START, Timestamp::MIN, unix_ms) } else { None }
    }

    /// A shard's clock has reached the ceiling and wants timestamps up to `needed`.
    pub(super) fn raise(&mut self, needed: Timestamp, unix_ms: u64) -> Option<Timestamp> {
        self.raise_by(STEP, needed, unix_ms)
    }

    fn raise_by(&mut self, step: Duration, needed: Timestamp, unix_ms: u64) -> Option<Timestamp> {
        if self.saving.is_some() {
            return None;
        }
        let ahead = self.durable.max(needed).millis().saturating_add(millis(step));
        let leased = unix_ms.saturating_add(millis(LEASE));
        let wanted = if self.durable.max(needed).millis() > unix_ms { leased.max(ahead) } else { leased };
        let next = Timestamp::from_parts(wanted, 0).max(self.asked);
        if next <= self.durable {
            return None;
        }
        self.asked = next;
        self.saving = Some(next);
        self.saving
    }

    /// The ceiling is durable: shards may go up to it.
    pub(super) fn saved(&mut self, ceiling: Timestamp) -> Timestamp {
        self.saving = None;
        self.durable = self.durable.max(ceiling);
        self.durable
    }

    /// It could not be saved; it will be due again.
    pub(super) fn save_failed(&mut self) {
        self.saving = None;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_raised_ahead_of_use_and_once_at_a_time() {
        let mut ceiling = Ceiling::new(Timestamp::MIN);
        let first = ceiling.due(1_000).unwrap();
        assert_eq!(first.millis(), 11_000);
        assert_eq!(ceiling.due(1_000), None, "one save at a time");
        assert_eq!(ceiling.saved(first), first);
        assert_eq!(ceiling.due(5_999), None);
        assert_eq!(ceiling.due(6_000).map(Timestamp::millis), Some(16_000));
        ceiling.save_failed();
        assert!(ceiling.due(6_000).is_some(), "a failed save is tried again");
    }

    #[test]
    fn a_crash_loop_does_not_run_away_from_the_wall_clock() {
        let mut floor = Timestamp::MIN;
        for _ in 0..100 {
            let mut ceiling = Ceiling::new(floor);
            if let Some(next) = ceiling.due(1_000) {
                floor = ceiling.saved(next);
            }
        }
        assert!(floor.millis() <= 1_000 + 12_000, "the ceiling ran away to {floor}");
    }

    #[test]
    fn a_clock_ahead_of_the_wall_gets_room() {
        let mut ceiling = Ceiling::new(Timestamp::from_parts(50_000, 7));
        let first = ceiling.due(1_000).unwrap();
        assert_eq!(first.millis(), 50_010, "enough to serve at once");
        ceiling.saved(first);
        assert_eq!(ceiling.due(1_000), None, "it is far ahead already");
        let next = ceiling.raise(Timestamp::from_parts(50_010, 8), 1_000).unwrap();
        assert_eq!(next.millis(), 51_010);
    }

    #[test]
    fn a_lower_ceiling_never_follows_a_higher_one_to_disk() {
        let mut ceiling = Ceiling::new(Timestamp::MIN);
        let first = ceiling.due(1_000).unwrap();
        ceiling.saved(first);
        let high = ceiling.raise(Timestamp::from_parts(30_000, 0), 1_000).unwrap();
        assert_eq!(high.millis(), 31_000);
        // Another save failed; this one is still on its way and will succeed.
        ceiling.save_failed();
        let again = ceiling.due(9_000).unwrap();
        assert!(again >= high, "{again} would undo {high}");
        assert_eq!(ceiling.saved(high), high);
    }
}
