//! Owns the bytes of a record whose actors are `u64` and whose values are bytes. Does not own the bytes of the values.

use alloc::vec::Vec;

use super::Siblings;
use super::entry::Entry;
use crate::codec::{Reader, put_varint};
use crate::{Error, Timestamp};

impl<V: AsRef<[u8]>> Siblings<u64, V> {
    /// Appends the canonical encoding. Equal records have equal bytes.
    ///
    /// The number of actors, then for each, ascending: the actor, its discard (0 if none), the number of live dots, and
    /// for each of them, ascending: the time, the length of the value and its bytes. All numbers are LEB128 varints.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.entries.len() as u64);
        for entry in &self.entries {
            put_varint(out, entry.actor);
            put_varint(out, entry.discard.to_bits());
            put_varint(out, entry.live.len() as u64);
            for (time, value) in &entry.live {
                let value = value.as_ref();
                put_varint(out, time.to_bits());
                put_varint(out, value.len() as u64);
                out.extend_from_slice(value);
            }
        }
    }
}

impl<'a, V: From<&'a [u8]>> Siblings<u64, V> {
    /// Reads what [`Siblings::encode`] wrote. All of `input` must be used. O(n), and never allocates more than a small
    /// multiple of the input's length.
    ///
    /// With `V = &[u8]` the values borrow from the input; [`Siblings::try_map`] then makes of them what they mean.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but a canonical encoding.
    pub fn decode(input: &'a [u8]) -> Result<Self, Error> {
        let decoded = Self { entries: Reader::whole(input, entries)? };
        assert!(decoded.is_canonical(), "decoded records are sorted, unique and above their discards");
        Ok(decoded)
    }
}

fn entries<'a, V: From<&'a [u8]>>(reader: &mut Reader<'a>) -> Result<Vec<Entry<u64, V>>, Error> {
    let count = reader.count(3)?;
    let mut entries: Vec<Entry<u64, V>> = Vec::with_capacity(count);
    for _ in 0..count {
        let actor = reader.ascending(entries.last().map(|entry| entry.actor))?;
        let discard = Timestamp::from_bits(reader.varint()?);
        let live = live(reader, discard)?;
        let entry = Entry { actor, discard, live };
        if entry.is_vacant() {
            return Err(reader.malformed("an entry that says nothing"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn live<'a, V: From<&'a [u8]>>(reader: &mut Reader<'a>, discard: Timestamp) -> Result<Vec<(Timestamp, V)>, Error> {
    let count = reader.count(2)?;
    let mut live = Vec::with_capacity(count);
    let mut previous = discard;
    for _ in 0..count {
        let time = Timestamp::from_bits(reader.ascending(Some(previous.to_bits()))?);
        live.push((time, V::from(reader.bytes()?)));
        previous = time;
    }
    Ok(live)
}
