//! Owns what travels between nodes. How it is encoded is the caller's business, and what is done
//! with it is `gossip/exchange.rs`.
//!
//! An exchange is push-pull and takes up to three messages: a [`Message::Syn`] says what its sender
//! knows, the [`Message::Ack`] carries what the receiver knows newer and asks for what the sender
//! knows newer, the [`Message::Ack2`] delivers that.

use alloc::vec::Vec;

use crate::member::{Incarnation, Profile};

/// A message holds, and a node knows, at most so many entries of one kind. What exceeds it is
/// ignored, so that a hostile peer can neither fill the memory nor hold up the machine for long.
pub const MAX_ENTRIES: usize = 65_536;

/// What one node sends to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<I, A, M> {
    /// Opens an exchange: what I know, in brief.
    Syn {
        /// Where the sender wants its answer.
        from: A,
        /// One per member the sender knows, itself included.
        digests: Vec<Digest<I>>,
    },
    /// Answers a `Syn`: what I know newer than you, and what I would like to have from you.
    Ack {
        /// Where the sender wants its answer.
        from: A,
        /// What the other side's digests lack.
        updates: Vec<Update<I, A, M>>,
        /// Members of whom the other side knows newer details.
        wanted: Vec<I>,
    },
    /// Answers an `Ack`: what you asked for. Also sent unasked, as a farewell.
    Ack2 {
        /// One per member wanted.
        updates: Vec<Update<I, A, M>>,
    },
}

/// What a node knows of a member, in brief.
///
/// The heartbeat in it is taken at its word; everything else is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest<I> {
    /// The member.
    pub id: I,
    /// Its highest incarnation known.
    pub incarnation: Incarnation,
    /// The highest heartbeat known of that incarnation.
    pub heartbeat: u64,
    /// The version of the details held for that incarnation; 0 if none are.
    pub version: u64,
}

/// What a node knows of a member. `(incarnation, heartbeat)`, compared in this order, tells which of
/// two is newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update<I, A, M> {
    /// The member.
    pub id: I,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its heartbeat counter.
    pub heartbeat: u64,
    /// It left, for good as far as this incarnation goes.
    pub left: bool,
    /// What it says of itself and others; only if the receiver's version is older.
    pub details: Option<Details<I, A, M>>,
}

/// What a member says, itself, of itself and of others. `(incarnation, version)`, compared in this
/// order, tells which of two is newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details<I, A, M> {
    /// Grows with every change of the rest; at least 1.
    pub version: u64,
    /// What it says of itself.
    pub profile: Profile<A, M>,
    /// Whom it suspects first-hand, and in which incarnation of theirs.
    pub suspects: Vec<(I, Incarnation)>,
}
