//! [`Write`]: one replicated write, sent to every replica at once.
//!
//! It owns who is sent to, where a stand-in is needed, when the write has ended, and which replicas
//! need a hint. It does not know what is written, stores no hint, and does not choose who stands in.

use core::time::Duration;

use crate::stand_ins::StandIns;
use crate::tally::Tally;
use crate::{Effect, Input, Outcome, ReplicaSet, Requirement};

#[cfg(test)]
mod tests;

/// What a [`Write`] is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteConfig {
    /// How many answers the write waits for.
    pub requirement: Requirement,
    /// All replicas that are to hold it in the end. Others never answer, whatever the requirement
    /// says.
    pub replicas: ReplicaSet,
    /// Those known to be down: not sent to, and counted as failed.
    pub down: ReplicaSet,
    /// How many stand-ins the caller can find; 0 for a strict write.
    pub stand_ins: usize,
    /// When the write has failed if it is not done. Absolute, in the epoch of `now`.
    pub deadline: Duration,
    /// How long after the start replicas may be silent before stand-ins are asked in their places,
    /// if the write needs them. Shorter costs more stand-ins, longer makes a write wait for a
    /// replica that has just died. Without stand-ins it means nothing.
    pub cover_after: Duration,
    /// How long after the write is done a silent replica is waited for before it is hinted, though
    /// never beyond the deadline. Shorter writes hints that were not needed, longer keeps the write
    /// in memory.
    pub settle_after: Duration,
}

/// One replicated write (Dynamo, sections 4.5, `put`, and 4.6, hinted handoff).
///
/// - **At the start** it goes to all replicas at once, since all of them are to hold it in the end;
///   the requirement only says how many answers the caller waits for.
/// - **A stand-in** is asked, as long as there are any, where the write could not succeed otherwise:
///   in the place of replicas that are down or have failed, and from `cover_after` on of silent
///   ones. As few as needed; each place at most once.
/// - **A hint** is wanted for every replica that has missed the write and that no stand-in keeps one
///   for: at once for one that is down or has failed, after `settle_after` for one that is silent.
/// - **After [`Effect::Done`]** the write lives on until [`is_settled`](Write::is_settled): only
///   hints are emitted then. Inputs are noted for ever: the truth may arrive late.
///
/// A place is one true replica: it counts once, whether the replica answered or a stand-in did it.
///
/// ```
/// use core::time::Duration;
/// use kvorum_quorum::{Effect, Input, Level, Outcome, ReplicaSet, Requirement, Write, WriteConfig};
///
/// let ms = Duration::from_millis;
/// let mut out = Vec::new();
/// // Replica 0 is known to be down, and nobody may stand in: the other two are both needed.
/// let config = WriteConfig {
///     requirement: Requirement::resolve(Level::Two, &[0, 0, 0], 0)?,
///     replicas: ReplicaSet::first(3),
///     down: ReplicaSet::single(0),
///     stand_ins: 0,
///     deadline: ms(1000),
///     cover_after: ms(20),
///     settle_after: ms(50),
/// };
/// let mut write = Write::start(ms(0), config, &mut out);
/// assert_eq!(out[..2], [Effect::Send { replica: 1 }, Effect::Send { replica: 2 }]);
/// assert_eq!(out[2..], [Effect::Hint { replica: 0 }]);
///
/// out.clear();
/// write.handle(ms(3), Input::Answer { replica: 1 }, &mut out);
/// write.handle(ms(5), Input::Error { replica: 2 }, &mut out);
/// // Replica 1 holds the write, so it is spread although it failed.
/// assert_eq!(out, [Effect::Done(Outcome::Impossible), Effect::Hint { replica: 2 }]);
/// assert!(write.is_settled());
/// # Ok::<(), kvorum_quorum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    tally: Tally,
    stand_ins: StandIns,
    asked: ReplicaSet,
    hinted: ReplicaSet,
    /// From when on silent replicas are not counted on.
    cover_at: Duration,
    settle_after: Duration,
    /// When silent replicas are hinted: the deadline until the write has been reached.
    settle_at: Duration,
    sloppy: bool,
}

impl Write {
    /// Starts a write to all its replicas at once.
    ///
    /// The effects are, in this order, a `Send` to every replica that is not down, a `StandIn` in as
    /// few places of those that are down as make the requirement possible, lowest positions first,
    /// and a `Hint` for the others that are down.
    ///
    /// **When the write cannot succeed, nothing is sent:** if the requirement is impossible without
    /// the replicas that are down and with all the stand-ins there are, the only effect is
    /// `Done(Impossible)`; if the deadline has passed (`now` is at or after it), which is checked
    /// first, the only effect is `Done(TimedOut)`. Nobody has then seen the write, and the caller
    /// may report that it was certainly not applied. [`is_unsent`](Write::is_unsent) is true in
    /// exactly these cases, also later; after any other failure the write may have been applied.
    pub fn start(now: Duration, config: WriteConfig, out: &mut impl Extend<Effect>) -> Write {
        let WriteConfig { requirement, replicas, down, stand_ins, deadline, cover_after, settle_after } = config;
        let mut write = Write {
            tally: Tally::new(requirement, replicas, down, deadline),
            stand_ins: StandIns::new(stand_ins),
            asked: ReplicaSet::EMPTY,
            hinted: ReplicaSet::EMPTY,
            cover_at: now.saturating_add(cover_after),
            settle_after,
            settle_at: deadline,
            sloppy: false,
        };
        write.tally.expire(now, out);
        if !write.tally.is_done() {
            let up = write.tally.unsettled();
            match write.cover_failed(up) {
                Some(places) => {
                    write.asked = up;
                    out.extend(up.iter().map(|replica| Effect::Send { replica }));
                    write.stand_ins.ask(places, out);
                    write.hint(now, out);
                }
                None => write.tally.end(Outcome::Impossible, out),
            }
        }
        write
    }

    /// Notes what happened at a place; asks stand-ins, ends the write, and hints, as that decides.
    ///
    /// At or after the deadline the write ends as [`Outcome::TimedOut`] whatever the input says, as
    /// if [`handle_timeout`](Write::handle_timeout) had been called first; but a replica whose
    /// answer this is gets no hint.
    pub fn handle(&mut self, now: Duration, input: Input, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
        self.tally.note(input);
        self.stand_ins.note(input);
        self.decide(now, out);
        self.hint(now, out);
    }

    /// Does what has become due: asks stand-ins in the places of silent replicas, ends the write at
    /// the deadline, or hints those that are still silent after the end. Too early, it does nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        self.tally.expire(now, out);
        self.decide(now, out);
        self.hint(now, out);
    }

    /// A replica that has answered may have lost since what it held: its answer counts no more until it
    /// comes again. Says whether it is to be sent to again; nothing is changed once the write is done.
    pub fn withdraw(&mut self, replica: usize) -> bool {
        !self.tally.is_done() && self.tally.answered.remove(replica)
    }

    /// When to call [`handle_timeout`](Write::handle_timeout); `None` once the write is settled.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.is_settled() {
            None
        } else if self.tally.is_done() {
            Some(self.settle_at)
        } else {
            let somebody_to_cover = !self.choose_silent().is_empty();
            Some(if somebody_to_cover { self.cover_at.min(self.tally.deadline) } else { self.tally.deadline })
        }
    }

    /// The replicas the write was ever sent to. Those it was sent to a stand-in for are not among
    /// them: see [`is_unsent`](Write::is_unsent).
    pub fn asked(&self) -> ReplicaSet {
        self.asked
    }

    /// Whether the write was never sent to anybody, replica or stand-in, and never will be: it was
    /// certainly not applied.
    pub fn is_unsent(&self) -> bool {
        self.asked.is_empty() && self.stand_ins.asked.is_empty()
    }

    /// The replicas that have themselves answered, also after the end.
    pub fn answered(&self) -> ReplicaSet {
        self.tally.answered
    }

    /// The replicas that were down at the start or have failed since, and have not answered after
    /// all. Whether a stand-in did it in their places makes no difference.
    pub fn failed(&self) -> ReplicaSet {
        self.tally.failed
    }

    /// The replicas that were sent to and have neither answered nor failed: those that are silent.
    pub fn open(&self) -> ReplicaSet {
        self.asked.intersection(self.tally.unsettled())
    }

    /// The places in which a stand-in did it, also after the end.
    pub fn stood_in(&self) -> ReplicaSet {
        self.stand_ins.done
    }

    /// The replicas for which a hint was wanted.
    pub fn hinted(&self) -> ReplicaSet {
        self.hinted
    }

    /// Whether the write was reached only with the help of stand-ins: when it was, the true replicas
    /// that had answered were not enough. What answers later does not change it.
    pub fn is_sloppy(&self) -> bool {
        self.sloppy
    }

    /// Whether the write is done and nothing more can follow, since every replica has answered, is
    /// stood in for or is hinted, or nothing was ever sent: the caller may forget it.
    pub fn is_settled(&self) -> bool {
        self.tally.is_done() && (self.is_unsent() || self.missing().is_empty())
    }

    /// How the write ended; `None` while it is under way.
    pub fn outcome(&self) -> Option<Outcome> {
        self.tally.outcome
    }

    /// What the write needs.
    pub fn requirement(&self) -> &Requirement {
        &self.tally.requirement
    }

    /// Ends the write if its fate is known, and asks the stand-ins it needs.
    fn decide(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        if self.tally.is_done() {
            return;
        }
        if self.tally.is_met(self.has()) {
            self.sloppy = !self.tally.is_met(self.tally.answered);
            self.settle_at = now.saturating_add(self.settle_after).min(self.tally.deadline);
            return self.tally.end(Outcome::Reached, out);
        }
        let Some(places) = self.cover_failed(self.open()) else {
            return self.tally.end(Outcome::Impossible, out);
        };
        self.stand_ins.ask(places, out);
        if now >= self.cover_at {
            self.stand_ins.ask(self.choose_silent(), out);
        }
    }

    /// The places of failed replicas to cover so that the write stays possible with the `open` ones;
    /// `None` when it is not, whatever is covered.
    fn cover_failed(&self, open: ReplicaSet) -> Option<ReplicaSet> {
        let coming = self.has().union(self.stand_ins.pending()).union(open);
        // Who is hinted already has been taken care of.
        let better = self.tally.failed.difference(self.hinted);
        let (requirement, most) = (&self.tally.requirement, self.stand_ins.left);
        let places = self.stand_ins.choose(requirement, coming, better, self.tally.failed, most);
        self.tally.is_met(coming.union(places)).then_some(places)
    }

    /// The places of silent replicas to cover once these are not counted on any more.
    fn choose_silent(&self) -> ReplicaSet {
        let certain = self.has().union(self.stand_ins.pending());
        let (requirement, most) = (&self.tally.requirement, self.stand_ins.left);
        self.stand_ins.choose(requirement, certain, self.open(), ReplicaSet::EMPTY, most)
    }

    /// Wants a hint for every replica that is given up. A place whose stand-in is still at it is given
    /// up only when the whole write is.
    fn hint(&mut self, now: Duration, out: &mut impl Extend<Effect>) {
        if self.is_unsent() {
            return;
        }
        let waits = match self.tally.outcome {
            None => true,
            Some(Outcome::Reached) => now < self.settle_at,
            Some(Outcome::Impossible | Outcome::TimedOut) => false,
        };
        let missing = self.missing();
        let given_up = self.tally.failed.difference(self.stand_ins.pending());
        let hints = if waits { missing.intersection(given_up) } else { missing };
        self.hinted = self.hinted.union(hints);
        out.extend(hints.iter().map(|replica| Effect::Hint { replica }));
    }

    /// The places in which it is done.
    fn has(&self) -> ReplicaSet {
        self.tally.answered.union(self.stand_ins.done)
    }

    /// The replicas that nobody has taken care of: not known to hold the write, nor hinted.
    fn missing(&self) -> ReplicaSet {
        self.tally.replicas.difference(self.has()).difference(self.hinted)
    }
}
