//! Owns the bytes of a record whose actors are `u64` and whose values are bytes. Does not own the bytes of the values, nor
//! the order in which bytes are checked: see `cursor`.

use alloc::vec::Vec;

use super::Siblings;
use super::cursor::{Cursor, Item, head};
use super::entry::Entry;
use crate::codec::{FIXED, Times, put_fixed, put_varint, varint_len};
use crate::{Error, Limits, Timestamp};

impl<V: AsRef<[u8]>> Siblings<u64, V> {
    /// Appends the canonical encoding. Equal records have equal bytes. O(n).
    ///
    /// The number of actors; unless that is 0, the newest time of all discards and live dots (8 bytes, big-endian); then
    /// for each actor, ascending: its name (8 bytes, big-endian), its *head* (twice the number of live dots, and 1 more if
    /// there is a discard), the discard if there is one, and for each live dot, ascending: the time, the length of
    /// the value and its bytes. Times are written as how far they are below the newest. All numbers but those of 8 bytes are
    /// LEB128 varints.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let newest = self.newest_time();
        let times = Times::up_to(newest);
        out.reserve(self.encoded_len_up_to(&times));
        put_varint(out, self.entries.len() as u64);
        if self.entries.is_empty() {
            return;
        }
        put_fixed(out, newest.to_bits());
        for Entry { actor, discard, live } in &self.entries {
            put_fixed(out, *actor);
            put_varint(out, head(live.len(), *discard));
            if *discard > Timestamp::MIN {
                put_varint(out, times.difference(*discard));
            }
            for (time, value) in live {
                let value = value.as_ref();
                put_varint(out, times.difference(*time));
                put_varint(out, value.len() as u64);
                out.extend_from_slice(value);
            }
        }
    }

    /// How many bytes [`Siblings::encode`] appends, without encoding. O(n).
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded_len_up_to(&Times::up_to(self.newest_time()))
    }

    fn encoded_len_up_to(&self, times: &Times) -> usize {
        let time_len = |time: Timestamp| varint_len(times.difference(time));
        let newest = if self.entries.is_empty() { 0 } else { FIXED };
        let entries = self.entries.iter().map(|Entry { discard, live, .. }| {
            let discarded = if *discard > Timestamp::MIN { time_len(*discard) } else { 0 };
            let values = live.iter().map(|(time, value)| {
                let len = value.as_ref().len();
                time_len(*time) + varint_len(len as u64) + len
            });
            FIXED + varint_len(head(live.len(), *discard)) + discarded + values.sum::<usize>()
        });
        varint_len(self.entries.len() as u64) + newest + entries.sum::<usize>()
    }

    fn newest_time(&self) -> Timestamp {
        self.entries.iter().map(Entry::reached).max().unwrap_or_default()
    }
}

impl<'a, V: From<&'a [u8]>> Siblings<u64, V> {
    /// Reads what [`Siblings::encode`] wrote. All of `input` must be used. O(n), and never allocates more than twenty times
    /// the input's length, values not counted (a live dot takes two bytes at least).
    ///
    /// With `V = &[u8]` the values borrow from the input; [`Siblings::try_map`] then makes of them what they mean. A
    /// [`SiblingsView`](crate::SiblingsView) allocates nothing at all.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but a canonical encoding.
    pub fn decode(input: &'a [u8]) -> Result<Self, Error> {
        Self::decode_within(input, Limits::NONE)
    }

    /// The same with limits: an entry is an actor or a live dot.
    ///
    /// # Errors
    ///
    /// Those of [`Siblings::decode`], and [`Error::LimitExceeded`].
    pub fn decode_within(input: &'a [u8], limits: Limits) -> Result<Self, Error> {
        let mut cursor = Cursor::new(input, limits)?;
        let mut entries: Vec<Entry<u64, V>> = Vec::with_capacity(cursor.actors_left());
        while let Some(item) = cursor.next_item()? {
            match item {
                Item::Entry { actor, discard, live } => {
                    entries.push(Entry { actor, discard, live: Vec::with_capacity(live) });
                }
                Item::Live { time, value, .. } => {
                    let entry = entries.last_mut().expect("a live dot stands behind its actor");
                    entry.live.push((time, V::from(&input[value])));
                }
            }
        }
        let decoded = Self { entries };
        debug_assert!(decoded.is_canonical(), "decoded records are sorted, unique and above their discards");
        Ok(decoded)
    }
}
