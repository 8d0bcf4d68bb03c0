//! Owns the grammar of an encoded record: the one reader of its bytes, which checks them as it goes. Does not own what is
//! made of the items: a record that owns its values, or a view that borrows them.

use core::ops::Range;

use crate::codec::{FIXED, Reader, Times};
use crate::{Error, Limits, Timestamp};

/// The least that an actor takes: its name, its head, and a discard or the time of a live dot.
const LEAST_ENTRY: usize = FIXED + 2;
/// The least that a live dot takes: its time and the length of its value.
const LEAST_LIVE: usize = 2;

/// What an encoded record is made of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// An actor: its discard, and how many live dots follow.
    Entry { actor: u64, discard: Timestamp, live: usize },
    /// A live dot of the actor before it, and where in the input its value lies.
    Live { actor: u64, time: Timestamp, value: Range<usize> },
}

/// Reads one item after the other.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    reader: Reader<'a>,
    times: Times,
    actors_left: usize,
    live_left: usize,
    actor: Option<u64>,
    /// The discard or the last live dot of the present actor: the next one is above it.
    reached: Timestamp,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8], limits: Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(input, limits)?;
        let actors_left = reader.count(LEAST_ENTRY)?;
        reader.spend(actors_left)?;
        let newest = if actors_left == 0 { 0 } else { reader.fixed()? };
        let times = Times::up_to(Timestamp::from_bits(newest));
        Ok(Self { reader, times, actors_left, live_left: 0, actor: None, reached: Timestamp::MIN })
    }

    /// How many actors are still to come: never more than the rest of the input could hold.
    pub(super) fn actors_left(&self) -> usize {
        self.actors_left
    }

    /// The next item; none behind the last, where the input has to end.
    #[inline]
    pub(super) fn next_item(&mut self) -> Result<Option<Item>, Error> {
        if self.live_left > 0 {
            return self.live().map(Some);
        }
        if self.actors_left > 0 {
            return self.entry().map(Some);
        }
        if self.actor.is_some() {
            self.times.finish(&self.reader)?;
        }
        self.reader.finish()?;
        Ok(None)
    }

    #[inline]
    fn entry(&mut self) -> Result<Item, Error> {
        self.actors_left -= 1;
        let actor = self.reader.actor(self.actor)?;
        self.actor = Some(actor);
        let head = self.reader.varint()?;
        if head == 0 {
            return Err(self.reader.malformed("an entry that says nothing"));
        }
        let has_discard = head & 1 == 1;
        let live = self.reader.fitting(head >> 1, LEAST_LIVE)?;
        self.reader.spend(live)?;
        let discard = if has_discard { self.times.read(&mut self.reader)? } else { Timestamp::MIN };
        self.live_left = live;
        self.reached = discard;
        Ok(Item::Entry { actor, discard, live })
    }

    #[inline]
    fn live(&mut self) -> Result<Item, Error> {
        self.live_left -= 1;
        let time = self.times.read(&mut self.reader)?;
        if time <= self.reached {
            return Err(self.reader.malformed("dots that do not ascend"));
        }
        self.reached = time;
        let value = self.reader.bytes()?;
        Ok(Item::Live { actor: self.actor.unwrap_or_default(), time, value })
    }
}

/// How many live dots and whether there is a discard, in one number.
pub(super) const fn head(live: usize, discard: Timestamp) -> u64 {
    let has_discard = discard.to_bits() > Timestamp::MIN.to_bits();
    // Lengths fit 64 bits on every platform, and vectors of pairs are never half that long.
    ((live as u64) << 1) | has_discard as u64
}
