//! The words exchanged with the caller: what it asks and is answered, what it tells, what it is to do.
//!
//! It owns no behaviour, and no payload: keys and records stay with the caller.

use alloc::vec::Vec;

use crate::Seq;

/// What a hint is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// It stood in for a replica and was counted towards W: somebody was told that the write is safe
    /// because of it. Never dropped, only delivered.
    Owed,
    /// W true replicas hold the write; the hint only spares the target a comparison of replicas later.
    /// Dropped when it is too old.
    Spare,
}

/// The answer of [`Hints::take`](crate::Hints::take).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Taken {
    /// Keep it under this number.
    New(Seq),
    /// There is no room.
    Refused,
}

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Input<T, P> {
    /// At start: a hint that a process before this one kept. Each is to be reported once; if a hint is
    /// reported twice, counters are too high until its partition has been read to the end.
    Recovered {
        /// For whom it is.
        target: T,
        /// The partition of its key.
        partition: P,
        /// Its number.
        seq: Seq,
        /// How large it is.
        bytes: u32,
        /// What it is good for.
        kind: Kind,
    },
    /// The target can be reached (again). Until this is said, it cannot.
    Up(T),
    /// The target cannot be reached. What is in flight fails by [`Input::Failed`], or is delivered
    /// after all.
    Down(T),
    /// The target will never be one again. Its hints are not counted any more, and answers about them
    /// are ignored; their rows, and what is owed by them, are the caller's to move.
    Forgotten(T),
    /// The answer to [`Effect::Read`]: rows in ascending order. Rows may become visible to reads late,
    /// but only in the order of their numbers; a row that was visible has to stay until the hint is
    /// delivered or dropped.
    Page {
        /// As in the effect.
        target: T,
        /// As in the effect.
        partition: P,
        /// At most as many as asked for, each with its size.
        rows: Vec<(Seq, u32, Kind)>,
        /// Whether there are more behind the last.
        more: bool,
    },
    /// The answer to [`Effect::Read`] that could not be done.
    PageFailed {
        /// As in the effect.
        target: T,
        /// As in the effect.
        partition: P,
    },
    /// An answer to [`Effect::Send`]: the hint is durable at the target. To [`Effect::Drop`]: done.
    /// Either way the caller is erasing its rows. Also right when there was no such hint.
    Delivered {
        /// As in the effect.
        target: T,
        /// As in the effect.
        partition: P,
        /// As in the effect.
        seq: Seq,
    },
    /// An answer to [`Effect::Send`]: it was delivered, but a newer write had merged into it meanwhile,
    /// so that it stays and must be sent again. To [`Effect::Drop`]: it has become owed meanwhile, and
    /// stays.
    Changed {
        /// As in the effect.
        target: T,
        /// As in the effect.
        partition: P,
        /// As in the effect.
        seq: Seq,
    },
    /// An answer to [`Effect::Send`] or [`Effect::Drop`]: it was not done, as far as is known.
    Failed {
        /// As in the effect.
        target: T,
        /// As in the effect.
        partition: P,
        /// As in the effect.
        seq: Seq,
    },
}

/// What the caller has to do, in the order given.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Effect<T, P> {
    /// Read order rows of this partition. To be answered with [`Input::Page`] or [`Input::PageFailed`].
    Read {
        /// Whose hints.
        target: T,
        /// Which of them.
        partition: P,
        /// Only rows after this number; all when it is `None`.
        after: Option<Seq>,
        /// At most so many rows.
        limit: usize,
    },
    /// Send this hint to the target. To be answered with [`Input::Delivered`], [`Input::Changed`] or
    /// [`Input::Failed`].
    Send {
        /// To whom.
        target: T,
        /// The partition of its key.
        partition: P,
        /// Its number.
        seq: Seq,
    },
    /// Erase it undelivered: it is spare and too old. (target, partition) is dirty now. To be answered
    /// like [`Effect::Send`]: with [`Input::Changed`], and without erasing anything, if the caller knows
    /// that the hint has become owed, which a row read before that does not show.
    Drop {
        /// Whose hint.
        target: T,
        /// The partition of its key.
        partition: P,
        /// Its number.
        seq: Seq,
    },
}

/// What is kept for one target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Summary<T> {
    /// For whom.
    pub target: T,
    /// How many hints.
    pub count: u64,
    /// How large they are together.
    pub bytes: u64,
    /// How many of them are owed.
    pub owed: u64,
    /// The oldest; while hints are delivered, a number between the last one sent and the next one,
    /// which is not read yet. `None` when there are none.
    pub oldest: Option<Seq>,
}
