//! Owns what a [`Gossip`](crate::Gossip) can be told and what it can want. What the messages in them
//! look like is `message.rs`.

use crate::member::{Incarnation, Profile, State};
use crate::message::Message;

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<I, A, M> {
    /// A message arrived. Messages may be lost, repeated, reordered and late.
    Message(Message<I, A, M>),
    /// The caller has seen at first hand, on a path other than gossip, whether a member works.
    /// About an unknown member, or about this node itself, it is ignored.
    Evidence {
        /// The member it is about.
        id: I,
        /// What was seen.
        evidence: Evidence,
    },
    /// This node leaves the cluster for good. It marks itself [`State::Left`] and tells
    /// `3 * fan_out` members at once. Its rounds go on, without a heartbeat, so that the farewell
    /// also survives the loss of these messages: run them for a second or so before stopping. A
    /// second `Leave` does nothing.
    Leave,
}

/// What the data path has seen of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A connection broke or a request timed out. If the member's heartbeat does not rise within a
    /// quarter of `suspect_after` from now, this node suspects it. Of several failures since the
    /// last rise the first counts.
    Failed,
    /// A request was answered: earlier failures count no more. It does not stand in for a
    /// heartbeat.
    Answered,
}

/// Something the machine wants done, or wants known.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<I, A, M> {
    /// Send this message, without waiting and without trying again.
    Send {
        /// Where to.
        to: A,
        /// What.
        message: Message<I, A, M>,
    },
    /// Something the caller may want to act upon.
    Event(Event<I, A, M>),
}

/// A change in what this node believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<I, A, M> {
    /// A member was heard of for the first time, or again after it was forgotten. It is `up` until
    /// a [`StateChanged`](Event::StateChanged), possibly in the same batch, says otherwise.
    Joined {
        /// The member.
        id: I,
    },
    /// The judgement about a member changed; about this node itself only when it leaves.
    StateChanged {
        /// The member.
        id: I,
        /// The state before.
        from: State,
        /// The state now.
        to: State,
    },
    /// A member says something new of itself.
    ProfileChanged {
        /// The member.
        id: I,
    },
    /// A known member speaks with a higher incarnation: it was restarted, or it refuted a
    /// suspicion. Both look alike from outside, so treat it as a new process.
    Restarted {
        /// The member.
        id: I,
    },
    /// A member was down or gone for `forget_after` and is in the list no more.
    Forgotten {
        /// The member.
        id: I,
    },
    /// Somebody suspected this node, which is alive and says so with a raised incarnation.
    Refuted {
        /// The new incarnation. Remember it: the next process of this node must start above it.
        incarnation: Incarnation,
    },
    /// Somebody speaks for this node's id as no record it ever issued could: another live process
    /// has the same id, or others remember a later life than this one was started with. This node's
    /// incarnation is now higher than that; see [`Gossip::incarnation`](crate::Gossip::incarnation).
    ///
    /// Whether the other is alive shows when it answers in turn: who starts with, or
    /// [raises](crate::Gossip::raise) to, an incarnation that nobody can guess, is outranked by the one next to it
    /// only by somebody who has heard of it.
    Superseded {
        /// The foreign incarnation.
        incarnation: Incarnation,
        /// What the other says of itself, if anybody knows.
        profile: Option<Profile<A, M>>,
    },
}
