//! Owns the bytes of a message, without the envelope.
//!
//! ```text
//! message  = kind:u8 digest(sender) address members:number list:u64le
//!            deltas:count delta* digests:count digest*
//!            0:u8 | 1:u8 0:u8 range | 1:u8 1:u8 id(after) range
//!            wanted:count digest*
//! range    = to_end:u8 count digest*
//! digest   = id incarnation:number heartbeat:number version:number
//! delta    = digest with version = upto, after:number
//!            left:u8 version:number address entries:count entry*
//! entry    = slot:u8 version-after:number tag:u8 content
//! content  = 0 | 1 key:bytes value:bytes | 2 id incarnation:number heartbeat:number
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{MAX_ADDRESS_BYTES, MAX_ID_BYTES, Reader, bytes_len, number_len, put_bytes, put_number};
use crate::codec::Codec;
use crate::error::DecodeError;
use crate::member::Incarnation;
use crate::message::{Delta, Digest, Message, MessageKind, Range};
use crate::record::{Content, MAX_KEY_BYTES, MAX_SLOTS, MAX_VALUE_BYTES, Record, Slot, Suspicion};

impl<I: Codec, A: Codec> Message<I, A> {
    /// Appends the bytes of this message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.kind {
            MessageKind::Syn => 0,
            MessageKind::Ack => 1,
            MessageKind::Ack2 => 2,
        });
        put_digest(&self.sender, out);
        self.address.encode(out);
        put_number(u64::from(self.members), out);
        out.extend_from_slice(&self.list.to_le_bytes());
        put_number(self.deltas.len() as u64, out);
        self.deltas.iter().for_each(|delta| put_delta(delta, out));
        put_digests(&self.digests, out);
        out.push(u8::from(self.range.is_some()));
        if let Some(range) = &self.range {
            out.push(u8::from(range.after.is_some()));
            if let Some(after) = &range.after {
                after.encode(out);
            }
            out.push(u8::from(range.to_end));
            put_digests(&range.digests, out);
        }
        put_digests(&self.wanted, out);
    }

    /// How many bytes [`encode`](Message::encode) appends.
    pub fn encoded_len(&self) -> usize {
        let range = self
            .range
            .as_ref()
            .map_or(0, |range| 2 + range.after.as_ref().map_or(0, Codec::encoded_len) + digests_len(&range.digests));
        let deltas: usize = self.deltas.iter().map(delta_len).sum();
        1 + digest_len(&self.sender)
            + self.address.encoded_len()
            + number_len(u64::from(self.members))
            + 8
            + number_len(self.deltas.len() as u64)
            + deltas
            + digests_len(&self.digests)
            + 1
            + range
            + digests_len(&self.wanted)
    }

    /// Reads a message that fills all of `bytes`.
    ///
    /// It allocates in proportion to the bytes, whatever the counts in them say.
    ///
    /// # Errors
    ///
    /// If the bytes are not those of a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = match reader.byte()? {
            0 => MessageKind::Syn,
            1 => MessageKind::Ack,
            2 => MessageKind::Ack2,
            tag => return Err(DecodeError::UnknownTag(tag)),
        };
        let sender = get_digest(&mut reader)?;
        let address = reader.value(MAX_ADDRESS_BYTES)?;
        let members = u32::try_from(reader.number()?).map_err(|_| DecodeError::NumberTooLarge)?;
        let list = u64::from_le_bytes(reader.array()?);
        let deltas = get_many(&mut reader, get_delta)?;
        let digests = get_many(&mut reader, get_digest)?;
        let range = get_flag(&mut reader)?.then(|| get_range(&mut reader)).transpose()?;
        let wanted = get_many(&mut reader, get_digest)?;
        reader.finish()?;
        Ok(Self { kind, sender, address, members, list, deltas, digests, range, wanted })
    }
}

fn get_flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        tag => Err(DecodeError::UnknownTag(tag)),
    }
}

/// A list. The count is not believed: nothing is reserved for more than has been read.
fn get_many<T>(
    reader: &mut Reader<'_>,
    mut get: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.number()?;
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(get(reader)?);
    }
    Ok(list)
}

fn put_digest<I: Codec>(digest: &Digest<I>, out: &mut Vec<u8>) {
    digest.id.encode(out);
    put_number(digest.incarnation.0, out);
    put_number(digest.heartbeat, out);
    put_number(digest.version, out);
}

/// How many bytes a digest takes.
pub(crate) fn digest_len<I: Codec>(digest: &Digest<I>) -> usize {
    let Digest { id, incarnation, heartbeat, version } = digest;
    id.encoded_len() + number_len(incarnation.0) + number_len(*heartbeat) + number_len(*version)
}

fn get_digest<I: Codec>(reader: &mut Reader<'_>) -> Result<Digest<I>, DecodeError> {
    let id = reader.value(MAX_ID_BYTES)?;
    let incarnation = Incarnation(reader.number()?);
    Ok(Digest { id, incarnation, heartbeat: reader.number()?, version: reader.number()? })
}

fn put_digests<I: Codec>(digests: &[Digest<I>], out: &mut Vec<u8>) {
    put_number(digests.len() as u64, out);
    digests.iter().for_each(|digest| put_digest(digest, out));
}

fn digests_len<I: Codec>(digests: &[Digest<I>]) -> usize {
    number_len(digests.len() as u64) + digests.iter().map(digest_len).sum::<usize>()
}

fn get_range<I: Codec>(reader: &mut Reader<'_>) -> Result<Range<I>, DecodeError> {
    let after = get_flag(reader)?.then(|| reader.value(MAX_ID_BYTES)).transpose()?;
    let to_end = get_flag(reader)?;
    Ok(Range { after, to_end, digests: get_many(reader, get_digest)? })
}

/// The slots of a record that changed between two versions, in the order of their versions.
fn in_order<I, A>(record: &Record<I, A>, after: u64, upto: u64) -> Vec<(usize, &Slot<I>)> {
    let mut slots: Vec<_> = record.between(after, upto).collect();
    slots.sort_unstable_by_key(|(_, slot)| slot.version);
    slots
}

fn put_delta<I: Codec, A: Codec>(delta: &Delta<I, A>, out: &mut Vec<u8>) {
    let Delta { id, heartbeat, after, upto, record, whole: _ } = delta;
    id.encode(out);
    put_number(record.incarnation.0, out);
    put_number(*heartbeat, out);
    put_number(*upto, out);
    put_number(*after, out);
    out.push(u8::from(record.left));
    put_number(record.address_version, out);
    record.address.encode(out);
    let slots = in_order(record, *after, *upto);
    put_number(slots.len() as u64, out);
    for (number, slot) in slots {
        out.push(number as u8);
        put_number(slot.version - after, out);
        match &slot.content {
            Content::Empty => out.push(0),
            Content::Meta { key, value } => {
                out.push(1);
                put_bytes(key.as_bytes(), out);
                put_bytes(value, out);
            }
            Content::Suspicion(Suspicion { target, incarnation, heartbeat }) => {
                out.push(2);
                target.encode(out);
                put_number(incarnation.0, out);
                put_number(*heartbeat, out);
            }
        }
    }
}

fn entry_len<I: Codec>(slot: &Slot<I>, after: u64) -> usize {
    let content = match &slot.content {
        Content::Empty => 0,
        Content::Meta { key, value } => bytes_len(key.as_bytes()) + bytes_len(value),
        Content::Suspicion(it) => it.target.encoded_len() + number_len(it.incarnation.0) + number_len(it.heartbeat),
    };
    2 + number_len(slot.version - after) + content
}

/// How many bytes the delta takes without the entries and their count.
fn head_len<I: Codec, A: Codec>(delta: &Delta<I, A>) -> usize {
    let Delta { id, heartbeat, after, upto, record, whole: _ } = delta;
    let numbers = [record.incarnation.0, *heartbeat, *upto, *after, record.address_version];
    id.encoded_len() + numbers.into_iter().map(number_len).sum::<usize>() + 1 + record.address.encoded_len()
}

fn delta_len<I: Codec, A: Codec>(delta: &Delta<I, A>) -> usize {
    let (mut count, mut entries) = (0, 0);
    for (_, slot) in delta.record.between(delta.after, delta.upto) {
        count += 1;
        entries += entry_len(slot, delta.after);
    }
    head_len(delta) + number_len(count) + entries
}

/// Shortens a delta until it takes at most `space` bytes, and tells how many it does take. None if not even its first
/// entry fits.
pub(crate) fn fit<I: Codec, A: Codec>(delta: &mut Delta<I, A>, space: usize) -> Option<usize> {
    let whole = delta_len(delta);
    if whole <= space {
        return Some(whole);
    }
    // Two bytes hold the count of any number of slots.
    let mut left = space.checked_sub(head_len(delta) + 2)?;
    let mut upto = None;
    for (_, slot) in in_order(&delta.record, delta.after, delta.upto) {
        let Some(less) = left.checked_sub(entry_len(slot, delta.after)) else { break };
        left = less;
        upto = Some(slot.version);
    }
    delta.upto = upto?;
    Some(delta_len(delta))
}

fn get_delta<I: Codec, A: Codec>(reader: &mut Reader<'_>) -> Result<Delta<I, A>, DecodeError> {
    let Digest { id, incarnation, heartbeat, version: upto } = get_digest(reader)?;
    let after = reader.number()?;
    if after > upto {
        return Err(DecodeError::VersionOutOfRange);
    }
    let left = get_flag(reader)?;
    let address_version = reader.number()?;
    let address = reader.value(MAX_ADDRESS_BYTES)?;
    let mut slots = Vec::new();
    for _ in 0..reader.number()? {
        let number = usize::from(reader.byte()?);
        if number >= MAX_SLOTS {
            return Err(DecodeError::TooLong { limit: MAX_SLOTS });
        }
        let version = after.checked_add(reader.number()?).filter(|version| *version > after && *version <= upto);
        let version = version.ok_or(DecodeError::VersionOutOfRange)?;
        slots.push((number, Slot { version, content: get_content(reader)? }));
    }
    let mut record = Record { incarnation, version: upto, left, address, address_version, slots: Vec::new() };
    // As many slots as the highest number says are made at once; that is no more than fit into a small page.
    slots.into_iter().for_each(|(number, slot)| record.place(number, slot));
    Ok(Delta { id, heartbeat, after, upto, record: Arc::new(record), whole: after == 0 })
}

fn get_content<I: Codec>(reader: &mut Reader<'_>) -> Result<Content<I>, DecodeError> {
    match reader.byte()? {
        0 => Ok(Content::Empty),
        1 => {
            let key = reader.str(MAX_KEY_BYTES)?.into();
            Ok(Content::Meta { key, value: reader.bytes(MAX_VALUE_BYTES)?.into() })
        }
        2 => {
            let target = reader.value(MAX_ID_BYTES)?;
            let incarnation = Incarnation(reader.number()?);
            Ok(Content::Suspicion(Suspicion { target, incarnation, heartbeat: reader.number()? }))
        }
        tag => Err(DecodeError::UnknownTag(tag)),
    }
}

#[cfg(test)]
mod tests;
