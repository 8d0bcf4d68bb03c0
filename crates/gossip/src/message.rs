//! Owns what travels between nodes. Its bytes are `codec/message.rs`, what goes into one is `gossip/compose.rs`, and what
//! is done with it `gossip/exchange.rs`.
//!
//! An exchange is push-pull: a [`MessageKind::Syn`] is always answered by an [`MessageKind::Ack`], and that by an
//! [`MessageKind::Ack2`] if there is something to answer. All carry the same parts, most of them empty most of the time.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::member::Incarnation;
use crate::record::Record;

/// What one node sends to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<I, A> {
    /// Its place in the exchange.
    pub kind: MessageKind,
    /// The sender's own record in brief. Its counter is a sign of life at first hand.
    pub sender: Digest<I>,
    /// Where the sender wants its answer.
    pub address: A,
    /// How many members the sender knows that are neither down nor gone, itself included.
    pub members: u32,
    /// A sum over what it knows of those. Equal lists have equal sums.
    pub list: u64,
    /// Records, or parts of records.
    pub deltas: Vec<Delta<I, A>>,
    /// Other members in brief.
    pub digests: Vec<Digest<I>>,
    /// All members between two ids in brief, when the lists differ.
    pub range: Option<Range<I>>,
    /// Members of which the sender wants what is newer than this.
    pub wanted: Vec<Digest<I>>,
}

/// A message's place in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Opens it.
    Syn,
    /// Answers a `Syn`, always and at once.
    Ack,
    /// Says what was asked for, or asks for what was offered. Also sent unasked, as a farewell.
    Ack2,
}

/// What a node knows of a member, in brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest<I> {
    /// The member.
    pub id: I,
    /// Its highest incarnation known.
    pub incarnation: Incarnation,
    /// The highest heartbeat known of that incarnation.
    pub heartbeat: u64,
    /// How much of its record is known.
    pub version: u64,
}

/// All that the sender knows with ids greater than `after`, up to the last digest's id or to the end of all ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range<I> {
    /// Where it begins, exclusive; at the smallest id if there is none.
    pub after: Option<I>,
    /// The members, in the order of their ids.
    pub digests: Vec<Digest<I>>,
    /// Whether no larger id is known.
    pub to_end: bool,
}

/// A part of a member's record: all that changed in it after one version, up to another.
///
/// Who has at least `after` of that incarnation has `upto` when it has taken it in; others must ask.
#[derive(Clone, Debug)]
pub struct Delta<I, A> {
    pub(crate) id: I,
    pub(crate) heartbeat: u64,
    pub(crate) after: u64,
    pub(crate) upto: u64,
    /// What holds the entries. It may hold more, which is no part of the delta.
    pub(crate) record: Arc<Record<I, A>>,
    /// Whether the record holds everything up to its version, so that it can be shared as it is.
    pub(crate) whole: bool,
}

impl<I, A> Delta<I, A> {
    /// The member.
    pub fn id(&self) -> &I {
        &self.id
    }

    /// Its incarnation.
    pub fn incarnation(&self) -> Incarnation {
        self.record.incarnation
    }

    /// Its heartbeat.
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat
    }

    /// What the receiver must have already.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// What it has then.
    pub fn upto(&self) -> u64 {
        self.upto
    }
}

/// Equal if their encodings are.
impl<I: PartialEq, A: PartialEq> PartialEq for Delta<I, A> {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |it: &Self| (it.heartbeat, it.after, it.upto, it.record.incarnation, it.record.address_version);
        self.id == other.id
            && numbers(self) == numbers(other)
            && self.record.left == other.record.left
            && self.record.address == other.record.address
            && self.record.between(self.after, self.upto).eq(other.record.between(other.after, other.upto))
    }
}
