//! The tenure of this process: whether it may speak for its node, and what its peers remember of the processes before.
//!
//! **Comparing notes.** A process that is not its node's first asks its peers what they remember, before it serves. Members tell
//! their clock's durable ceiling by gossip; a process that starts with a lower one than somebody remembers runs on an
//! older copy of its data directory, and is in doubt. It raises its own ceiling only when it has compared, and asks those that could
//! not be reached when they are up again: doubt may come late.
//!
//! **Twins.** Two live processes with one id hear of each other as [`gossip::Event::Superseded`]. The *younger* of two is the
//! one with the larger (start, actor); both sides can tell. The older contests: gossip outranks the younger with the next
//! incarnation. The younger must find out whether the older is alive or only remembered. So each process begins with an
//! incarnation that nobody can guess, the number of its start above a part of its actor. What lies right above that one
//! was said by somebody who has heard it, and is alive: the younger stops for good. What lies elsewhere may be a memory of a
//! life that the data directory does not know of: the younger is in doubt, claims an incarnation above it, as hard to
//! guess, and waits for an answer to that.
//!
//! A twin stays up, silent, only to say so: ended, it would be started again by whoever looks after it, and speak up anew each time.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_gossip::{Incarnation, Record};
use kvorum_vclock::Timestamp;

use super::{Control, ControlEffect, MemberMeta, Note, emit, meta, note};
use crate::fitness::Bar;
use crate::{ActorId, Address, ControlBody, NodeId, Now};

/// How long a process waits for what its peers remember. When all of them are down, nobody will ever answer.
const NOTES_WITHIN: Duration = Duration::from_secs(3);
/// How long it waits to be contested when its node was alive a moment ago: some rounds of gossip, there and back.
const CONTEST_WITHIN: Duration = Duration::from_millis(800);
/// A node that was not heard of for so long is not alive any more.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);
/// How long a claim must stand.
const CLAIM_STANDS: Duration = Duration::from_secs(2);
/// Answers to an incarnation lie so close above it: each time it is contradicted or refuted it rises by one.
const ANSWERS: u64 = 1024;

/// What a peer remembers of the processes of a node before the one that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The tenure that asked. An answer may come when its process is no more, and then tells of later ones.
    pub by: ActorId,
    /// The highest durable ceiling of their clocks; none if it knows of none.
    pub ceiling: Option<Timestamp>,
    /// How long ago the last of them was heard of, in milliseconds; none if that is not known.
    pub silent_ms: Option<u64>,
}

/// What this node remembers of another one's processes.
#[derive(Clone, Debug)]
struct Memory {
    actor: ActorId,
    ceiling: Timestamp,
    /// Of the processes before that.
    earlier: Option<Timestamp>,
    /// Where it is reached, by peers and by clients.
    at: (Address, Address),
    /// Where the process before was, and until when it is reached there: the new one may be a copy that is about to give
    /// way, and answers meant for the original must not go astray.
    until_then: Option<((Address, Address), Duration)>,
}

#[derive(Debug)]
pub(super) struct Tenure {
    started: Duration,
    is_later_boot: bool,
    stage: Stage,
    /// The incarnation that this process began with, or claimed last.
    claim: Incarnation,
    floor: Timestamp,
    /// Who has answered, and whether all of them may have heard of another process a moment ago.
    answers: BTreeMap<NodeId, Answer>,
    memories: BTreeMap<NodeId, Memory>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    remembers: bool,
    is_quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The peers are asked what they remember.
    Comparing,
    /// A later life was remembered, and is claimed to be over.
    Claiming { until: Duration },
    /// It speaks for its node.
    Holding,
    /// An older process does.
    Twin,
}

/// An incarnation above all of the boots before that nobody can guess.
pub(super) fn claim(boot: u64, actor: ActorId) -> Incarnation {
    // Below it there is room for answers within the same boot.
    Incarnation(boot << 32 | (actor.0 >> 33))
}

impl Tenure {
    /// `is_first`: the node's first process has nothing to compare.
    pub(super) fn new(is_first: bool, claim: Incarnation, floor: Timestamp, started: Duration) -> Self {
        let stage = if is_first { Stage::Holding } else { Stage::Comparing };
        Self {
            started,
            is_later_boot: !is_first,
            stage,
            claim,
            floor,
            answers: BTreeMap::new(),
            memories: BTreeMap::new(),
        }
    }

    pub(super) fn bar(&self) -> Option<Bar> {
        match self.stage {
            Stage::Comparing => Some(Bar::ComparingNotes),
            Stage::Claiming { .. } => Some(Bar::Claiming),
            Stage::Holding => None,
            Stage::Twin => Some(Bar::Twin),
        }
    }

    /// Whether this is not the node's first process.
    pub(super) fn is_later_boot(&self) -> bool {
        self.is_later_boot
    }

    /// Whether it does not know yet what its peers remember.
    pub(super) fn is_comparing(&self) -> bool {
        self.stage == Stage::Comparing
    }

    pub(super) fn is_twin(&self) -> bool {
        self.stage == Stage::Twin
    }

    /// A member said this of itself.
    pub(super) fn remember(&mut self, id: NodeId, address: &Address, meta: &MemberMeta, now: Duration) {
        // It has not said yet who it is.
        if meta.actor == ActorId(0) {
            return;
        }
        let at = (Address::clone(address), Address::clone(&meta.client));
        let new = Memory { actor: meta.actor, ceiling: meta.ceiling, earlier: None, at, until_then: None };
        let memory = self.memories.entry(id).or_insert_with(|| new.clone());
        if memory.actor == meta.actor {
            memory.ceiling = memory.ceiling.max(meta.ceiling);
            memory.at = new.at;
            return;
        }
        let earlier = memory.earlier.max(Some(memory.ceiling));
        let before = memory.until_then.take().map_or_else(|| memory.at.clone(), |(before, _)| before);
        let until_then = (before != new.at).then(|| (before, now.saturating_add(CONTEST_WITHIN)));
        *memory = Memory { earlier, until_then, ..new };
    }

    /// Where members are reached for a while yet, although a new process says otherwise.
    pub(super) fn held(&self) -> impl Iterator<Item = (NodeId, &(Address, Address))> {
        self.memories.iter().filter_map(|(id, memory)| Some((*id, &memory.until_then.as_ref()?.0)))
    }

    /// Lets go of what has been held long enough; whether there was any.
    fn release(&mut self, now: Duration) -> bool {
        let mut released = false;
        for memory in self.memories.values_mut() {
            released |= memory.until_then.take_if(|(_, until)| *until <= now).is_some();
        }
        released
    }

    pub(super) fn forget(&mut self, id: NodeId) {
        self.memories.remove(&id);
    }

    /// Whether what the peers remember has been compared.
    fn has_compared(&self, others: &[NodeId], now: Duration) -> bool {
        let waited = now.saturating_sub(self.started);
        let mut answers = self.answers.values();
        let answered = answers.any(|answer| answer.remembers) || others.iter().all(|id| self.answers.contains_key(id));
        let is_quiet = self.answers.values().all(|answer| answer.is_quiet);
        waited >= NOTES_WITHIN || answered && (is_quiet || waited >= CONTEST_WITHIN)
    }
}

impl Control {
    /// Asks the peers that have not answered yet what they remember of this node.
    pub(super) fn ask_what_is_remembered(&self, out: &mut impl Extend<ControlEffect>) {
        if self.tenure.is_twin() || !self.tenure.is_later_boot {
            return;
        }
        // Who could not be reached at first is asked when it is up again: it may be the one that knows better.
        let asks = |id: &NodeId| {
            let is_live = || self.gossip.member(id).is_some_and(|member| member.state().is_live());
            *id != self.me
                && !self.tenure.answers.contains_key(id)
                && (self.tenure.stage == Stage::Comparing || is_live())
        };
        for (_, address) in self.known.iter().filter(|(id, _)| asks(id)) {
            self.send(Address::clone(address), ControlBody::Recall { actor: self.meta.actor }, out);
        }
    }

    /// What this node remembers of another one's earlier processes.
    pub(super) fn recall(&self, id: NodeId, actor: ActorId, now: Now) -> Remembered {
        let Some(memory) = self.tenure.memories.get(&id) else {
            return Remembered { by: actor, ceiling: None, silent_ms: None };
        };
        if memory.actor == actor {
            return Remembered { by: actor, ceiling: memory.earlier, silent_ms: None };
        }
        // Of those that this node does not watch it hears by chance: a long silence tells nothing.
        let is_watched = self.gossip.watched().any(|watched| *watched == id);
        let silent = self.gossip.member(&id).map(|member| {
            if is_watched || !member.state().is_live() { member.heartbeat_age(now.elapsed) } else { Duration::ZERO }
        });
        Remembered {
            by: actor,
            ceiling: memory.earlier.max(Some(memory.ceiling)),
            silent_ms: silent.map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// A peer tells what it remembers of this node.
    pub(super) fn recalled(&mut self, from: NodeId, remembered: Remembered, out: &mut impl Extend<ControlEffect>) {
        let Remembered { by, ceiling, silent_ms } = remembered;
        if by != self.meta.actor {
            return;
        }
        let is_quiet = silent_ms.is_some_and(|silent| Duration::from_millis(silent) >= ALIVE_WITHIN);
        let answer = Answer { remembers: ceiling.is_some(), is_quiet: is_quiet || ceiling.is_none() };
        self.tenure.answers.insert(from, answer);
        if ceiling > Some(self.tenure.floor) {
            self.doubt("its data directory is an older copy: its peers remember a later state of it", out);
        }
    }

    /// What follows for the tenure as time passes.
    pub(super) fn settle_tenure(&mut self, now: Duration) {
        self.view_is_stale |= self.tenure.release(now);
        match self.tenure.stage {
            Stage::Comparing => {
                let Some(layout) = &self.layout else { return };
                let others: Vec<NodeId> =
                    layout.members().iter().map(|member| member.id).filter(|id| *id != self.me).collect();
                if others.is_empty() || self.tenure.has_compared(&others, now) {
                    self.tenure.stage = Stage::Holding;
                    self.view_is_stale = true;
                }
            }
            Stage::Claiming { until } if now >= until => {
                self.tenure.stage = Stage::Holding;
                self.view_is_stale = true;
            }
            Stage::Claiming { .. } | Stage::Holding | Stage::Twin => {}
        }
    }

    /// Somebody else speaks for this node's id, or did so once. Gossip has outranked it.
    pub(super) fn superseded(
        &mut self,
        now: Now,
        foreign: Incarnation,
        record: Option<Arc<Record<NodeId, Address>>>,
        out: &mut impl Extend<ControlEffect>,
    ) {
        if self.tenure.is_twin() {
            return;
        }
        // The next process must begin above whatever is remembered now.
        self.boot = self.boot.max(foreign.0 >> 32);
        let other = record.and_then(|record| {
            let (since_ms, actor) = meta::process(&record)?;
            Some((since_ms, actor, Address::clone(record.address())))
        });
        let is_own = other.as_ref().is_some_and(|(_, actor, _)| *actor == self.meta.actor);
        let mine = (self.meta.since_ms, self.meta.actor);
        let is_younger = other.as_ref().is_some_and(|(since, actor, _)| mine > (*since, *actor));
        let answers = foreign > self.tenure.claim && foreign.0 - self.tenure.claim.0 <= ANSWERS;
        if is_own {
            self.identity_changed();
            return;
        }
        let address = other.map(|(_, _, address)| address);
        if is_younger && answers {
            self.tenure.stage = Stage::Twin;
            self.view_is_stale = true;
            note(out, Note::Twin { address: address.unwrap_or_default() });
        } else if is_younger || self.tenure.stage != Stage::Holding && !answers {
            self.boot += 1;
            self.tenure.claim = claim(self.boot, self.meta.actor);
            self.gossip.raise(self.tenure.claim);
            self.tenure.stage = Stage::Claiming { until: now.elapsed.saturating_add(CLAIM_STANDS) };
            self.view_is_stale = true;
            self.doubt("its data directory is an older copy: its peers remember a later life of it", out);
        } else {
            note(out, Note::Contested { address: address.unwrap_or_default() });
        }
        self.identity_changed();
    }

    /// A node that arrives with the name of a member that is down takes its place.
    pub(super) fn take_over(&mut self, now: Now, out: &mut impl Extend<ControlEffect>) {
        if self.taken_over {
            return;
        }
        let Some(namesake) = self.namesake() else { return };
        let Some(member) = self.gossip.member(&namesake) else { return };
        if member.state() != kvorum_gossip::State::Down {
            return;
        }
        let boot = member.incarnation().0 >> 32;
        self.taken_over = true;
        // The id it came with was never more than a name tag.
        self.leave(now, out);
        emit(out, ControlEffect::TakeOver { id: namesake, boot });
    }

    /// The member of the layout that has this node's name, if this node has no place of its own there.
    pub(super) fn namesake(&self) -> Option<NodeId> {
        let layout = self.layout.as_ref().filter(|layout| layout.index_of(self.me).is_none())?;
        layout.members().iter().find(|member| member.name == self.meta.name).map(|member| member.id)
    }
}
