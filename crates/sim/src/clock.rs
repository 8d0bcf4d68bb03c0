//! The wall clocks of hosts: skewed all the time, jumping now and then. Monotonic time is virtual time itself.

use core::time::Duration;

/// Virtual time 0 on an exact wall clock, in milliseconds since the Unix epoch.
const UNIX_EPOCH_MS: u64 = 1_700_000_000_000;

/// One host's wall clock; it outlives processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct WallClock {
    skew_ms: i64,
    /// The jumps that have not been undone, by the number of the trouble; the last one holds.
    jumps: Vec<(u32, i64)>,
}

impl WallClock {
    pub(crate) fn new(skew_ms: i64) -> Self {
        Self { skew_ms, jumps: Vec::new() }
    }

    /// Steps away from where it should be.
    pub(crate) fn jump(&mut self, id: u32, by_ms: i64) {
        self.jumps.push((id, by_ms));
    }

    /// That jump is undone.
    pub(crate) fn undo(&mut self, id: u32) {
        self.jumps.retain(|(jump, _)| *jump != id);
    }

    /// All of them are.
    pub(crate) fn settle(&mut self) {
        self.jumps.clear();
    }

    /// Milliseconds since the Unix epoch, as this clock has them.
    pub(crate) fn unix_ms(&self, virtual_time: Duration) -> u64 {
        let jumped_ms = self.jumps.last().map_or(0, |(_, by_ms)| *by_ms);
        exact_unix_ms(virtual_time).saturating_add_signed(self.skew_ms + jumped_ms)
    }
}

fn exact_unix_ms(virtual_time: Duration) -> u64 {
    UNIX_EPOCH_MS + virtual_time.as_millis() as u64
}

/// The virtual time at which an exact wall clock shows that.
pub(crate) fn virtual_time_of(unix_ms: u64) -> Duration {
    Duration::from_millis(unix_ms.saturating_sub(UNIX_EPOCH_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_by_its_skew_and_its_jump() {
        let second = Duration::from_secs(1);
        let mut clock = WallClock::new(-50);
        assert_eq!(clock.unix_ms(second), UNIX_EPOCH_MS + 950);
        clock.jump(1, 3000);
        clock.jump(2, -20);
        assert_eq!(clock.unix_ms(second), UNIX_EPOCH_MS + 930, "jumps do not add up");
        clock.undo(2);
        assert_eq!(clock.unix_ms(second), UNIX_EPOCH_MS + 3950);
        clock.settle();
        assert_eq!(virtual_time_of(clock.unix_ms(second)), Duration::from_millis(950));
    }
}
