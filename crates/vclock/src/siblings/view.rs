//! Owns an encoded record that is read where it lies. Deliberately changes nothing: what is to be merged or written to is
//! decoded first.

use core::iter;
use core::ops::Range;

use super::Siblings;
use super::cursor::{Cursor, Item};
use crate::{Context, Dot, Error, Limits, Timestamp};

/// A record in the bytes that [`Siblings::encode`] wrote: checked once, then read without copying or allocating anything.
///
/// For who answers a read with a record as it came from a disk, and needs its context and where its values lie. Equal
/// views are equal records, because the encoding is canonical.
///
/// ```
/// use kvorum_vclock::{Context, Dot, Siblings, SiblingsView, Timestamp};
///
/// let dot = Dot { actor: 7, time: Timestamp::from_parts(1, 0) };
/// let mut record = Siblings::new();
/// record.put(&Context::new(), dot, b"red".as_slice())?;
/// let mut bytes = Vec::new();
/// record.encode(&mut bytes);
///
/// let view = SiblingsView::parse(&bytes)?;
/// assert_eq!(view.values().collect::<Vec<_>>(), [(dot, b"red".as_slice())]);
/// assert_eq!(view.ranges().map(|(_, range)| &bytes[range]).collect::<Vec<_>>(), [b"red"]);
/// assert_eq!(view.context(), record.context());
/// # Ok::<(), kvorum_vclock::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SiblingsView<'a> {
    bytes: &'a [u8],
    live: usize,
    actors: usize,
}

impl<'a> SiblingsView<'a> {
    /// Checks the bytes. All of `input` must be used. O(n).
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but a canonical encoding.
    pub fn parse(input: &'a [u8]) -> Result<Self, Error> {
        Self::parse_within(input, Limits::NONE)
    }

    /// The same with limits: an entry is an actor or a live dot.
    ///
    /// # Errors
    ///
    /// Those of [`SiblingsView::parse`], and [`Error::LimitExceeded`].
    pub fn parse_within(input: &'a [u8], limits: Limits) -> Result<Self, Error> {
        let mut cursor = Cursor::new(input, limits)?;
        let actors = cursor.actors_left();
        let mut live = 0;
        while let Some(item) = cursor.next_item()? {
            live += usize::from(matches!(item, Item::Live { .. }));
        }
        Ok(Self { bytes: input, live, actors })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many values are alive; more than one is a conflict. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no value is alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The live values with their dots, ascending by actor, then time, as [`Siblings::values`] gives them.
    pub fn values(&self) -> impl Iterator<Item = (Dot<u64>, &'a [u8])> + Clone + use<'a> {
        let bytes = self.bytes;
        self.ranges().map(move |(dot, range)| (dot, &bytes[range]))
    }

    /// Where in the bytes the live values lie, in the same order.
    pub fn ranges(&self) -> impl Iterator<Item = (Dot<u64>, Range<usize>)> + Clone + use<'a> {
        self.items().filter_map(|item| match item {
            Item::Live { actor, time, value } => Some((Dot { time, actor }, value)),
            Item::Entry { .. } => None,
        })
    }

    /// The actors with a discard timestamp, as [`Siblings::discards`] gives them.
    pub fn discards(&self) -> impl Iterator<Item = (u64, Timestamp)> + Clone + use<'a> {
        self.items().filter_map(|item| match item {
            Item::Entry { actor, discard, .. } if discard > Timestamp::MIN => Some((actor, discard)),
            _ => None,
        })
    }

    /// Everything the record has seen, see [`Siblings::context`]. O(n), and allocates the context.
    #[must_use]
    pub fn context(&self) -> Context<u64> {
        let mut reached = alloc::vec::Vec::with_capacity(self.actors);
        for item in self.items() {
            match item {
                Item::Entry { actor, discard, .. } => reached.push((actor, discard)),
                Item::Live { time, .. } => {
                    let last = reached.last_mut().expect("a live dot stands behind its actor");
                    last.1 = time;
                }
            }
        }
        Context::from_canonical(reached)
    }

    /// The record, with values that borrow from the bytes.
    #[must_use]
    pub fn to_siblings(&self) -> Siblings<u64, &'a [u8]> {
        Siblings::decode(self.bytes).expect("the bytes of a view have been checked")
    }

    fn items(&self) -> impl Iterator<Item = Item> + Clone + use<'a> {
        let mut cursor = Cursor::new(self.bytes, Limits::NONE).ok();
        // Nothing is refused here: the bytes have been checked.
        iter::from_fn(move || cursor.as_mut()?.next_item().ok()?)
    }
}
