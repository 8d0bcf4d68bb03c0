//! Owns the way of an open loop's clients to their next operation: each takes the next of the schedule, and waits when
//! that is not due yet. One task watches the clock for all of them.
//!
//! A client that is late takes its operation at once, with the time at which it was to begin: from there its latency
//! counts, so that operations which had to wait because the cluster stalled are charged with the stall (Tene, "How not
//! to measure latency", 2013). No more operations are outstanding than there are clients.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::schedule::Schedule;

/// Where clients take their operations.
#[derive(Debug)]
pub(crate) struct Turnstile {
    pub(crate) schedule: Schedule,
    state: Mutex<State>,
    /// A client waits again after none did.
    waiting: Notify,
    timer: Timer,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    idle: VecDeque<Waker>,
    closed: bool,
}

impl Turnstile {
    pub(crate) fn new(schedule: Schedule) -> io::Result<Turnstile> {
        Ok(Turnstile { schedule, state: Mutex::default(), waiting: Notify::new(), timer: Timer::new()? })
    }

    /// When the caller's next operation was to begin: now or earlier. Nothing once closed.
    pub(crate) async fn next(&self) -> Option<Instant> {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.closed {
                return Poll::Ready(None);
            }
            let intended = self.schedule.intended(state.taken);
            if intended <= Instant::now() {
                state.taken += 1;
                return Poll::Ready(Some(intended));
            }
            if state.idle.is_empty() {
                self.waiting.notify_one();
            }
            state.idle.push_back(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Lets clients through when their time has come, until closed.
    pub(crate) async fn watch(&self) -> io::Result<()> {
        loop {
            let (intended, someone_waits) = {
                let state = self.lock();
                if state.closed {
                    return Ok(());
                }
                (self.schedule.intended(state.taken), !state.idle.is_empty())
            };
            if !someone_waits {
                // Whoever is busy looks at the clock when he is not any more.
                self.waiting.notified().await;
                continue;
            }
            let left = intended.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                self.timer.wait(left).await?;
            }
            self.admit();
            // They take their operations before this task looks again.
            tokio::task::yield_now().await;
        }
    }

    /// Operations that were due before `now` and that nobody has taken are dropped.
    pub(crate) fn drop_arrears(&self, now: Instant) {
        let mut state = self.lock();
        state.taken = state.taken.max(self.schedule.due(now));
    }

    /// No client takes another operation. Returns the number of the next.
    pub(crate) fn close(&self) -> u64 {
        let (idle, taken) = {
            let mut state = self.lock();
            state.closed = true;
            (std::mem::take(&mut state.idle), state.taken)
        };
        idle.into_iter().for_each(Waker::wake);
        self.waiting.notify_one();
        taken
    }

    fn admit(&self) {
        let admitted: Vec<Waker> = {
            let mut state = self.lock();
            let due = self.schedule.due(Instant::now()).saturating_sub(state.taken);
            let count = usize::try_from(due).unwrap_or(usize::MAX).min(state.idle.len());
            state.idle.drain(..count).collect()
        };
        admitted.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernel's timer: the runtime's own counts in milliseconds, longer than most operations take.
#[derive(Debug)]
struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that change their descriptor; an `OwnedFd` cannot"
    )]
    fn new() -> io::Result<Timer> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Timer(AsyncFd::new(timer)?))
    }

    /// `left` is longer than nothing: the kernel would take that as never.
    async fn wait(&self, left: Duration) -> io::Result<()> {
        let tv_sec = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
        let it_value = Timespec { tv_sec, tv_nsec: left.subsec_nanos().into() };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0u8; 8])?));
            if let Ok(read) = read {
                return read.map(drop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const RATE: u64 = 2000;

    fn started() -> Arc<Turnstile> {
        let turnstile = Arc::new(Turnstile::new(Schedule::new(Instant::now(), RATE)).unwrap());
        let watched = Arc::clone(&turnstile);
        tokio::spawn(async move { watched.watch().await.unwrap() });
        turnstile
    }

    #[tokio::test]
    async fn operations_are_let_through_in_order_and_never_early() {
        let turnstile = started();
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let turnstile = Arc::clone(&turnstile);
                tokio::spawn(async move {
                    let mut taken = Vec::new();
                    while let Some(intended) = turnstile.next().await {
                        assert!(intended <= Instant::now());
                        taken.push(intended);
                        if taken.len() == 50 {
                            turnstile.close();
                        }
                    }
                    taken
                })
            })
            .collect();
        let mut taken = Vec::new();
        for client in clients {
            taken.extend(client.await.unwrap());
        }
        taken.sort_unstable();
        let expected: Vec<Instant> =
            (0..taken.len() as u64).map(|number| turnstile.schedule.intended(number)).collect();
        assert_eq!(taken, expected);
        assert_eq!(turnstile.close(), taken.len() as u64);
    }

    #[tokio::test]
    async fn a_client_that_was_held_up_catches_up_and_keeps_the_intended_times() {
        let turnstile = started();
        let first = turnstile.next().await.unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let begin = Instant::now();
        // 20 ms at this rate are 40 operations: all are there at once, with their own times.
        for number in 1..=40 {
            assert_eq!(turnstile.next().await, Some(first + Duration::from_secs(1) * number / RATE as u32));
        }
        assert!(begin.elapsed() < Duration::from_millis(20), "{:?}", begin.elapsed());
        assert_eq!(turnstile.close(), 41);
        assert_eq!(turnstile.next().await, None);
    }

    #[tokio::test]
    async fn arrears_can_be_dropped() {
        let turnstile = started();
        std::thread::sleep(Duration::from_millis(20));
        let now = Instant::now();
        turnstile.drop_arrears(now);
        assert!(turnstile.next().await.is_some_and(|intended| intended > now));
    }

    #[tokio::test]
    async fn closing_wakes_whoever_waits() {
        let schedule = Schedule::new(Instant::now() + Duration::from_secs(3600), 1);
        let turnstile = Arc::new(Turnstile::new(schedule).unwrap());
        let waiting = {
            let turnstile = Arc::clone(&turnstile);
            tokio::spawn(async move { turnstile.next().await })
        };
        tokio::task::yield_now().await;
        assert_eq!(turnstile.close(), 0);
        assert_eq!(waiting.await.unwrap(), None);
    }
}
