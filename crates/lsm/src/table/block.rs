//! Data blocks: some entries in order, so encoded that one is found without looking at most others.
//!
//! ```text
//! values     one behind the other
//! keys       each: bytes of the user key shared with the one before, bytes of its own, bytes of the value (varints); its own bytes
//! tags       each `tag width` bytes: sequence << 2 | kind, less the smallest of the block
//! buckets    one byte each: which restart has the user keys of this hash; 255 none, 254 more than one
//! restarts   of every `interval`th entry, which shares nothing: where its key begins and where its value does (u32 each)
//! tail       end of the values (u32) | entries (u32) | smallest tag (u64) | tag width (u8) | interval (u16) | buckets (u16)
//! ```
//!
//! A search goes through up to `interval` keys. With values between them each would be in another cache line, or several; so they lie
//! together, and the value is touched when it is found.
//!
//! Sequences of a block lie close together, so a tag takes some 3 bytes, and none where all sequences are the same. They stand apart
//! too, since a search looks at the tag of its own key alone. The buckets are those of RocksDB's data block hash index.
//!
//! The bytes have passed their checksum, but may be anything: what is wrong with them is found when it is met.

use core::cmp::Ordering;

mod builder;
mod cursor;

pub(super) use builder::BlockBuilder;
pub(super) use cursor::BlockCursor;

use super::damage::{Checked, Damage};
use super::slot::Uses;
use super::{hash, varint};
use crate::key::{self, Kind};

/// Bytes of the tail.
const TAIL: usize = 21;
/// Bytes of a restart.
const RESTART: usize = 8;
/// A bucket that no key fell into.
const EMPTY: u8 = 255;
/// A bucket with keys of several restarts, or a key that goes on behind one.
const AMBIGUOUS: u8 = 254;
/// Restarts that buckets can tell apart.
const MAX_INDEXED_RESTARTS: usize = 254;

const MALFORMED: Damage = Damage("an entry of a block is malformed");

/// A data block in memory.
///
/// The bytes are an allocation of their own, so that a slot that still remembers a block which is gone keeps only a few words.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    count: u32,
    interval: u32,
    /// Where keys, tags, buckets and restarts begin. Values begin at 0.
    keys: u32,
    tags: u32,
    buckets: u32,
    restarts: u32,
    smallest_tag: u64,
    tag_width: u32,
    uses: Uses,
}

/// A key as it stands in the block.
struct RawKey {
    shared: usize,
    /// Where its own bytes begin, and where they end and the next key begins.
    own: usize,
    end: usize,
    value_len: usize,
}

impl Block {
    /// Takes a block apart, as far as finding its sections.
    pub(super) fn parse(bytes: Vec<u8>) -> Checked<Self> {
        let damage = Damage("the sections of a block do not fit");
        let tail: &[u8; TAIL] = bytes.last_chunk().ok_or(damage)?;
        let number = |from: usize, to: usize| {
            tail[from..to].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (keys, count, smallest_tag) = (number(0, 4), number(4, 8), number(8, 16));
        let (tag_width, interval, buckets) = (number(16, 17), number(17, 19), number(19, 21));
        if count == 0 || interval == 0 || tag_width > 8 {
            return Err(damage);
        }
        let before = |end: u64, len: u64| end.checked_sub(len).ok_or(damage);
        let restarts_at = before((bytes.len() - TAIL) as u64, count.div_ceil(interval) * RESTART as u64)?;
        let buckets_at = before(restarts_at, buckets)?;
        let tags_at = before(buckets_at, count * tag_width)?;
        if u32::try_from(bytes.len()).is_err() || keys > tags_at {
            return Err(damage);
        }
        Ok(Self {
            bytes,
            count: count as u32,
            interval: interval as u32,
            keys: keys as u32,
            tags: tags_at as u32,
            buckets: buckets_at as u32,
            restarts: restarts_at as u32,
            smallest_tag,
            tag_width: tag_width as u32,
            uses: Uses::default(),
        })
    }

    /// Bytes of memory that it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many entries it has; at least one.
    pub(super) fn entries(&self) -> u32 {
        self.count
    }

    /// Counts a use, and says whether the cache should hear of it.
    #[inline]
    pub(super) fn count_use(&self) -> bool {
        self.uses.count()
    }

    /// The newest version of a user key whose trailer is at or below the one given: its trailer, and where its value is.
    pub(super) fn search(&self, user_key: &[u8], hash: u64, trailer: u64) -> Checked<Option<(u64, (u32, u32))>> {
        let restart = match self.bucket(hash) {
            Some(EMPTY) => return Ok(None),
            Some(AMBIGUOUS) | None => self.restart_before(user_key, trailer)?,
            Some(restart) => u32::from(restart),
        };
        let (mut at, mut value) = self.restart(restart)?;
        let end = self.tags as usize;
        // What the wanted key and the one before have in common. All keys up to that one are smaller.
        let mut matched = 0;
        let mut index = restart * self.interval;
        while at < end {
            let raw = self.raw(at)?;
            if raw.shared == 0 {
                // Perhaps a restart, which says nothing of what it has in common with the key before.
                matched = 0;
            }
            match raw.shared.cmp(&matched) {
                // It differs from the wanted key where the one before does, which is smaller.
                Ordering::Greater => {}
                // It differs from the one before where that agrees with the wanted key, and is greater.
                Ordering::Less => return Ok(None),
                Ordering::Equal => {
                    let (wanted, own) = (&user_key[matched..], &self.bytes[raw.own..raw.end]);
                    let common = common_prefix(wanted, own);
                    matched += common;
                    match (wanted.get(common), own.get(common)) {
                        (None, None) => {
                            let found = self.trailer(index)?;
                            if found <= trailer {
                                return Ok(Some((found, self.value(value, &raw)?)));
                            }
                        }
                        (None, Some(_)) => return Ok(None),
                        (Some(wanted), Some(own)) if own > wanted => return Ok(None),
                        (Some(_), _) => {}
                    }
                }
            }
            (at, value, index) = (raw.end, value + raw.value_len, index + 1);
        }
        Ok(None)
    }

    /// The bucket of a hash; none if there are no buckets.
    #[inline]
    fn bucket(&self, hash: u64) -> Option<u8> {
        let count = self.restarts - self.buckets;
        (count > 0).then(|| self.bytes[(self.buckets + hash::reduce(hash as u32, count)) as usize])
    }

    fn restart_count(&self) -> u32 {
        self.count.div_ceil(self.interval)
    }

    /// Where a restart's key and value begin.
    #[inline]
    fn restart(&self, restart: u32) -> Checked<(usize, usize)> {
        let at = self.restarts as usize + RESTART * restart as usize;
        let bytes: Option<&[u8; RESTART]> =
            if restart < self.restart_count() { self.bytes[at..].first_chunk() } else { None };
        let both = u64::from_le_bytes(*bytes.ok_or(Damage("a block has no such restart"))?);
        Ok((both as u32 as usize, (both >> 32) as usize))
    }

    /// The last restart before an internal key; the first if none is.
    fn restart_before(&self, user_key: &[u8], trailer: u64) -> Checked<u32> {
        let (mut from, mut to) = (0, self.restart_count());
        while to - from > 1 {
            let middle = from.midpoint(to);
            let raw = self.raw(self.restart(middle)?.0)?;
            if raw.shared != 0 {
                return Err(MALFORMED);
            }
            let before = match self.bytes[raw.own..raw.end].cmp(user_key) {
                Ordering::Less => true,
                Ordering::Equal => self.trailer(middle * self.interval)? > trailer,
                Ordering::Greater => false,
            };
            if before {
                from = middle;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    /// The trailer of an entry, by its place among all. Its sequence and kind are checked.
    #[inline]
    fn trailer(&self, index: u32) -> Checked<u64> {
        if index >= self.count {
            return Err(MALFORMED);
        }
        let at = self.tags as usize + index as usize * self.tag_width as usize;
        // The tail follows, so 8 bytes are there.
        let word = self.bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(MALFORMED)?;
        let mask = if self.tag_width == 8 { u64::MAX } else { (1 << (8 * self.tag_width)) - 1 };
        let tag = self.smallest_tag.wrapping_add(u64::from_le_bytes(*word) & mask);
        let (sequence, kind) = (tag >> 2, Kind::from_byte(tag as u8 & 3));
        match kind {
            Some(kind) if sequence <= key::LAST_SEQUENCE => Ok(key::trailer(sequence, kind)),
            _ => Err(Damage("an entry has no valid sequence and kind")),
        }
    }

    /// The key at a place.
    #[inline]
    fn raw(&self, at: usize) -> Checked<RawKey> {
        let decode = || {
            let (shared, at) = varint::get32(&self.bytes, at)?;
            let (own, at) = varint::get32(&self.bytes, at)?;
            let (value, at) = varint::get32(&self.bytes, at)?;
            let end = at + own as usize;
            Some(RawKey { shared: shared as usize, own: at, end, value_len: value as usize })
        };
        decode().filter(|raw| raw.end <= self.tags as usize).ok_or(MALFORMED)
    }

    /// Where a key's value is, that begins at a place.
    #[inline]
    fn value(&self, start: usize, key: &RawKey) -> Checked<(u32, u32)> {
        let end = start + key.value_len;
        if end <= self.keys as usize { Ok((start as u32, end as u32)) } else { Err(MALFORMED) }
    }
}

/// How a tag is made of a trailer.
fn tag(trailer: u64) -> u64 {
    trailer >> 8 << 2 | trailer & 3
}

/// How many bytes two keys have in common from the start.
#[inline]
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (mut common, mut a_rest, mut b_rest) = (0, a, b);
    while let (Some((x, a_next)), Some((y, b_next))) =
        (a_rest.split_first_chunk::<8>(), b_rest.split_first_chunk::<8>())
    {
        let difference = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if difference != 0 {
            return common + difference.trailing_zeros() as usize / 8;
        }
        (common, a_rest, b_rest) = (common + 8, a_next, b_next);
    }
    common + a_rest.iter().zip(b_rest).take_while(|(x, y)| x == y).count()
}
