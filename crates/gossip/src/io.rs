//! Owns what a [`Gossip`](crate::Gossip) can be told and what it can want. What the messages in them look like is
//! `message.rs`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::member::{Incarnation, State};
use crate::message::Message;
use crate::record::Record;

/// Who a node is and whom it may know, when it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup<I, A> {
    /// Its id.
    pub id: I,
    /// Where it receives gossip.
    pub address: A,
    /// Must be higher than any this id has spoken with before; if it is not, the others' memory of the earlier life wins
    /// until [`Event::Superseded`] corrects it.
    pub incarnation: Incarnation,
    /// Addresses of nodes to find the others by; its own among them is ignored.
    pub seeds: Vec<A>,
    /// Members, with their addresses, remembered from an earlier run; they are contacted like seeds.
    pub known: Vec<(I, A)>,
    /// Determines all random choices. Give each node a different one.
    pub random_seed: u64,
}

impl<I, A> Setup<I, A> {
    /// A node in its first incarnation that knows nobody, with 0 for the random seed.
    pub fn new(id: I, address: A) -> Self {
        Self { id, address, incarnation: Incarnation(1), seeds: Vec::new(), known: Vec::new(), random_seed: 0 }
    }
}

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<I, A> {
    /// A message arrived. Messages may be lost, repeated, reordered and late.
    Message(Message<I, A>),
    /// The caller has seen at first hand, on a path other than gossip, whether a member works. About an unknown member, or
    /// about this node itself, it is ignored.
    Evidence {
        /// The member it is about.
        id: I,
        /// What was seen.
        evidence: Evidence,
    },
    /// Somebody may be at this address: opens one exchange with it at once.
    Contact(A),
    /// This node leaves the cluster for good. It marks itself [`State::Left`] and tells `3 * fan_out` members at once. Its
    /// rounds go on, without a heartbeat, so that the farewell also survives the loss of these messages: run them for a
    /// second or so before stopping. A second `Leave` does nothing.
    Leave,
}

/// What the data path has seen of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A connection broke, a request timed out or a probe failed. This node contacts the member at once, watches it for a
    /// while, and suspects it if it shows no sign of life within a quarter of the usual wait from now. Of several failures
    /// since the last sign of life the first counts.
    Failed,
    /// A request was answered: earlier failures count no more. It does not stand in for a heartbeat.
    Answered,
}

/// Something the machine wants done, or wants known.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect<I, A> {
    /// Send this message, without waiting and without trying again.
    Send {
        /// Where to.
        to: A,
        /// What.
        message: Message<I, A>,
    },
    /// Something the caller may want to act upon.
    Event(Event<I, A>),
}

/// A change in what this node believes.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<I, A> {
    /// A member was heard of for the first time, or again after it was forgotten. It is `up` until a
    /// [`StateChanged`](Event::StateChanged), possibly in the same batch, says otherwise. Of a long record a part may come
    /// later, as [`MetaChanged`](Event::MetaChanged).
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
    /// A member has set or removed metadata entries.
    MetaChanged {
        /// The member.
        id: I,
        /// Which, in order and without repetition.
        keys: Vec<Arc<str>>,
    },
    /// A member receives gossip elsewhere.
    AddressChanged {
        /// The member.
        id: I,
    },
    /// A known member speaks with a higher incarnation: it was restarted, or had to contradict its own death. Both look
    /// alike from outside, so treat it as a new process. Its metadata begin anew.
    Restarted {
        /// The member.
        id: I,
    },
    /// A member was down or gone for `forget_after` and is in the list no more.
    Forgotten {
        /// The member.
        id: I,
    },
    /// Others hold on to the belief that this node is dead, which says with a raised incarnation that it is not. (A
    /// suspicion that is merely wrong is refuted by a jump of the heartbeat, and makes no event.)
    Refuted {
        /// The new incarnation. Remember it: the next process of this node must start above it.
        incarnation: Incarnation,
    },
    /// Somebody speaks for this node's id as no record it ever issued could: another live process has the same id, or
    /// others remember a later life than this one was started with. This node's incarnation is now higher than that; see
    /// [`Gossip::incarnation`](crate::Gossip::incarnation).
    ///
    /// Whether the other is alive shows when it answers in turn: who starts with, or [raises](crate::Gossip::raise) to, an
    /// incarnation that nobody can guess, is outranked by the one next to it only by somebody who has heard of it.
    Superseded {
        /// The foreign incarnation.
        incarnation: Incarnation,
        /// What the other says of itself, as much of it as one message holds, if anybody knows.
        record: Option<Arc<Record<I, A>>>,
    },
}
