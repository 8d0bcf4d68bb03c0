//! Owns the scalar logical clock. Deliberately cannot tell concurrent from ordered events: that takes a `VClock`.

use crate::Error;

/// A Lamport clock: if one event happened before another, its number is smaller (the converse does not hold).
///
/// From Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System" (CACM 1978). Pair the number with
/// the actor for a total order.
///
/// ```
/// use kvorum_vclock::Lamport;
///
/// let (mut a, mut b) = (Lamport::new(), Lamport::new());
/// let sent = a.tick()?;
/// b.observe(sent);
/// assert!(b.tick()? > sent);
/// # Ok::<(), kvorum_vclock::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lamport(u64);

impl Lamport {
    /// A clock that has seen nothing; its first tick is 1.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// The largest number seen so far, 0 if none. `observe` it on a new clock to continue after a restart.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.0
    }

    /// The number of a new local event: larger than every number ticked or observed before.
    ///
    /// # Errors
    ///
    /// [`Error::Overflow`] once `u64::MAX` has been reached, which takes a forged observation.
    pub fn tick(&mut self) -> Result<u64, Error> {
        self.0 = self.0.checked_add(1).ok_or(Error::Overflow)?;
        Ok(self.0)
    }

    /// Takes note of a number received with a message, so that later ticks are larger.
    pub fn observe(&mut self, remote: u64) {
        self.0 = self.0.max(remote);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_forged_maximum_is_an_error_at_the_next_tick() {
        let mut clock = Lamport::new();
        clock.observe(u64::MAX - 1);
        assert_eq!(clock.tick(), Ok(u64::MAX));
        assert_eq!(clock.tick(), Err(Error::Overflow));
        assert_eq!(clock.last(), u64::MAX);
    }

    proptest! {
        /// Three processes; each step is a local event, or one that receives another's latest number.
        #[test]
        fn happened_before_implies_a_smaller_number(steps in prop::collection::vec((0usize..3, 0usize..3), 0..60)) {
            let mut clocks = [Lamport::new(); 3];
            // What each process has seen: the set of event indices in its causal past.
            let mut seen: [BTreeSet<usize>; 3] = Default::default();
            let mut numbers: Vec<u64> = vec![];
            for (me, from) in steps {
                clocks[me].observe(clocks[from].last());
                let theirs = seen[from].clone();
                seen[me].extend(theirs);
                let number = clocks[me].tick().unwrap();
                prop_assert!(seen[me].iter().all(|&event| numbers[event] < number));
                seen[me].insert(numbers.len());
                numbers.push(number);
            }
        }
    }
}
