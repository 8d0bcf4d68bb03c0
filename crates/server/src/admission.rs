//! Owns how many requests a shard thread takes on when there is more to do than it can.
//!
//! Much may be under way and wait for disks and other data centres: then the thread has time, and takes on more. Where it has
//! not, a timer rings late, for the thread is at work or waits for a processor. What is late now and then is a burst; lateness
//! that never goes away is a *standing* queue (Nichols and Jacobson, "Controlling Queue Delay", 2012), in which every further
//! request only waits longer. Then as many are under way as are answered within a tenth of a second, and the rest is
//! refused at once.

use std::time::Duration;

/// How often it is looked at how late a timer rings, while many requests are under way.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// How many looks make a window. The least lateness among them counts.
const TICKS: u32 = 10;
/// More than that is too late.
const LATE: Duration = Duration::from_millis(5);
/// How much work may be under way then, in time.
const TARGET: Duration = Duration::from_millis(100);
/// So many may be under way in any case; as long as fewer are, nothing is looked at.
pub(crate) const LEAST: usize = 128;
/// A limit of so many times what is answered within the target holds nobody back, and ends.
const ENOUGH: usize = 8;

/// What a shard thread takes on.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// When the window began; none while few requests are under way.
    began: Option<Duration>,
    /// Of how many looks, and how late the timer was at the least.
    looks: u32,
    least_late: Duration,
    /// How many requests were answered in it.
    answered: usize,
    limit: Option<usize>,
}

impl Admission {
    /// How many requests may be under way; none if it does not matter.
    pub(crate) fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// A request was carried out, and is answered.
    pub(crate) fn answered(&mut self) {
        self.answered += 1;
    }

    /// A timer rang so late.
    pub(crate) fn look(&mut self, now: Duration, late: Duration) {
        let Some(began) = self.began else { return self.begin(now) };
        self.least_late = if self.looks == 0 { late } else { self.least_late.min(late) };
        self.looks += 1;
        if self.looks == TICKS {
            let share = TARGET.as_secs_f64() / now.saturating_sub(began).max(TICK).as_secs_f64();
            let answered = LEAST.max((self.answered as f64 * share) as usize);
            self.limit = match self.limit {
                _ if self.least_late > LATE => Some(answered),
                // It goes well: a little more, until it holds nobody back.
                Some(limit) if limit < ENOUGH * answered => Some(limit + limit / 2),
                _ => None,
            };
            self.begin(now);
        }
    }

    /// Few requests are under way.
    pub(crate) fn is_calm(&mut self) {
        *self = Self::default();
    }

    fn begin(&mut self, now: Duration) {
        (self.began, self.looks, self.answered) = (Some(now), 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The limit after a window in which so many were answered and the timer was late like this, in turn.
    fn window(admission: &mut Admission, start: Duration, answers: usize, late: &[u64]) -> (Duration, Option<usize>) {
        if admission.began.is_none() {
            admission.look(start, ms(0));
        }
        (0..answers).for_each(|_| admission.answered());
        let mut now = start;
        for late in late.iter().cycle().take(TICKS as usize) {
            now += TICK + ms(*late);
            admission.look(now, ms(*late));
        }
        (now, admission.limit())
    }

    #[test]
    fn a_thread_that_is_late_now_and_then_takes_whatever_comes() {
        for late in [&[0][..], &[80, 90, 80, 90, 5], &[5]] {
            assert_eq!(window(&mut Admission::default(), ms(0), 10_000, late).1, None, "{late:?}");
        }
    }

    #[test]
    fn one_that_always_is_takes_on_what_it_answers_in_a_tenth_of_a_second() {
        let limit = |answers, late| window(&mut Admission::default(), ms(0), answers, &[late]).1;
        assert_eq!(limit(3000, 10), Some(1500));
        assert_eq!(limit(3000, 20), Some(1000), "over 300 ms");
        assert_eq!(limit(10, 6), Some(LEAST));
    }

    #[test]
    fn the_limit_grows_when_all_goes_well_and_ends_when_it_holds_nobody_back() {
        let mut admission = Admission::default();
        let (mut now, mut limit) = window(&mut admission, ms(0), 3000, &[10]);
        let mut limits = Vec::new();
        while let Some(was) = limit {
            limits.push(was);
            (now, limit) = window(&mut admission, now, 1000, &[1]);
        }
        assert_eq!(limits[..3], [1500, 2250, 3375]);
        assert!(limits.len() < 12, "{limits:?}");
        // Too much again.
        (now, _) = window(&mut admission, now, 1000, &[10]);
        assert_eq!(window(&mut admission, now, 2000, &[10]).1, Some(1000));
    }

    #[test]
    fn it_is_forgotten_when_few_are_under_way() {
        let mut admission = Admission::default();
        window(&mut admission, ms(0), 3000, &[10]);
        admission.is_calm();
        assert_eq!(admission.limit(), None);
        assert_eq!(window(&mut admission, ms(5000), 200, &[10]).1, Some(LEAST), "a new window");
    }
}
