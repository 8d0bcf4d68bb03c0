//! [`Write`]: one replicated write, sent to every replica at once.
//!
//! It owns who is sent to and when the write has ended. It does not know what is written, keeps no
//! hint for a replica that missed it, and chooses no stand-in for one that is down.

use core::time::Duration;

use crate::tally::Tally;
use crate::{Effect, Input, Outcome, ReplicaSet, Requirement};

#[cfg(test)]
mod tests;

/// One replicated write (Dynamo, section 4.5, `put`).
///
/// It goes to all replicas at once, since all of them are to hold it in the end; the requirement
/// only says how many answers the caller waits for.
///
/// After [`Effect::Done`] it may be kept to learn what became of the other replicas: late inputs
/// still change [`answered`](Write::answered), [`failed`](Write::failed) and [`open`](Write::open),
/// and nothing else.
///
/// ```
/// use core::time::Duration;
/// use kvorum_quorum::{Effect, Input, Level, Outcome, ReplicaSet, Requirement, Write};
///
/// let two = Requirement::resolve(Level::Two, &[0, 0, 0], 0)?;
/// let (now, deadline) = (Duration::ZERO, Duration::from_secs(1));
/// let mut out = Vec::new();
/// // Replica 0 is known to be down: the other two are both needed.
/// let (replicas, down) = (ReplicaSet::first(3), ReplicaSet::single(0));
/// let mut write = Write::start(now, two, replicas, down, deadline, &mut out);
/// assert_eq!(out, [Effect::Send { replica: 1 }, Effect::Send { replica: 2 }]);
///
/// out.clear();
/// write.handle(now, Input::Error { replica: 2 }, &mut out);
/// assert_eq!(out, [Effect::Done(Outcome::Impossible)]);
/// # Ok::<(), kvorum_quorum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    tally: Tally,
    asked: ReplicaSet,
}

impl Write {
    /// Starts a write to `replicas`, all at once.
    ///
    /// Those known to be `down` are not sent to and count as failed. `deadline` is absolute, in the
    /// same epoch as `now`. Replicas outside `replicas` never answer, whatever the
    /// requirement says.
    ///
    /// **When the write cannot succeed, nothing is sent:** if the requirement is impossible without
    /// the replicas that are down, the only effect is `Done(Impossible)`; if the deadline has
    /// passed (`now` is at or after it), which is checked first, the only effect is
    /// `Done(TimedOut)`. No replica has then seen the write, and the caller may report that it was
    /// certainly not applied. [`asked`](Write::asked) is empty in exactly these cases, also later;
    /// after any other failure the write may have been applied.
    pub fn start(
        now: Duration,
        requirement: Requirement,
        replicas: ReplicaSet,
        down: ReplicaSet,
        deadline: Duration,
        out: &mut impl Extend<Effect>,
    ) -> Write {
        let tally = Tally::start(now, requirement, replicas, down, deadline, out);
        let mut write = Write { tally, asked: ReplicaSet::EMPTY };
        write.send_to_open(out);
        write
    }

    /// Counts what happened to a replica, and ends the write when that decides it.
    ///
    /// At or after the deadline the write ends as [`Outcome::TimedOut`] whatever the input says, as
    /// if [`handle_timeout`](Write::handle_timeout) had been called first.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut impl Extend<Effect>) {
        self.tally.handle(now, input, out);
    }

    /// Ends the write when the deadline has come; too early, it does nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
    }

    /// When to call [`handle_timeout`](Write::handle_timeout); `None` once the write has ended.
    pub fn next_timeout(&self) -> Option<Duration> {
        (!self.tally.is_done()).then_some(self.tally.deadline)
    }

    /// Forgets every answer and sends again to all replicas that have not failed.
    ///
    /// For a coordinator that had to mint a newer timestamp: the answers so far were given to a
    /// version that is no longer the one to be acknowledged. What comes in from now on must concern
    /// the new version: the caller tells the two apart, and drops what still arrives for the old
    /// one. The deadline stays. Once the write has ended this does nothing.
    pub fn resend(&mut self, out: &mut impl Extend<Effect>) {
        if !self.tally.is_done() {
            self.tally.answered = ReplicaSet::EMPTY;
            self.send_to_open(out);
        }
    }

    /// The replicas the write was ever sent to. Empty means that it was certainly not applied.
    pub fn asked(&self) -> ReplicaSet {
        self.asked
    }

    /// The replicas that have answered, also after the end.
    pub fn answered(&self) -> ReplicaSet {
        self.tally.answered
    }

    /// The replicas that were down at the start or have failed since, and have not answered after
    /// all.
    pub fn failed(&self) -> ReplicaSet {
        self.tally.failed
    }

    /// The replicas that were sent to and have neither answered nor failed: those that are silent.
    pub fn open(&self) -> ReplicaSet {
        self.asked.intersection(self.tally.unsettled())
    }

    /// How the write ended; `None` while it is under way.
    pub fn outcome(&self) -> Option<Outcome> {
        self.tally.outcome
    }

    /// What the write needs.
    pub fn requirement(&self) -> &Requirement {
        &self.tally.requirement
    }

    fn send_to_open(&mut self, out: &mut impl Extend<Effect>) {
        if !self.tally.is_done() {
            let open = self.tally.unsettled();
            self.asked = self.asked.union(open);
            out.extend(open.iter().map(|replica| Effect::Send { replica }));
        }
    }
}
