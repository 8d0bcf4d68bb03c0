//! Keys that separate one block from the next, in memory: which block may hold an internal key, found without touching most keys.
//! The index of a partition and the directory of a table are both such keys with something beside each.
//!
//! A separator is a user key and a trailer. All of the block is at or before it, all of the next block behind it. Where the
//! blocks have different user keys the trailer is 0, which is behind all versions, and the user key is as short as it can be; it need
//! not be that of any entry.

use core::cmp::Ordering;
use core::hint::select_unpredictable;

use super::block::common_prefix;
use super::damage::{Checked, Damage};
use super::varint::{self, Reader};

/// What a list of separators cannot be shorter than: 3 numbers each.
const LEAST_ENCODED: usize = 3;

/// Separators in ascending order.
pub(super) struct Separators {
    /// What all user keys have in common.
    common: Box<[u8]>,
    /// The next 8 bytes of each user key, as a number that orders like them. Most searches look at nothing else.
    heads: Box<[u64]>,
    /// What follows the common bytes in each user key, and where each ends.
    rests: Box<[u8]>,
    ends: Box<[u32]>,
    /// The trailers; empty if all are 0.
    trailers: Box<[u64]>,
}

impl Separators {
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Bytes of memory that they take.
    pub(super) fn weight(&self) -> usize {
        self.common.len() + self.rests.len() + 4 * self.ends.len() + 8 * (self.heads.len() + self.trailers.len())
    }

    /// The first separator that is not before an internal key; their number if there is none.
    #[inline]
    pub(super) fn find(&self, user_key: &[u8], trailer: u64) -> usize {
        let Some(rest) = self.rest_of(user_key) else {
            return if *user_key < *self.common { 0 } else { self.len() };
        };
        let head = head(rest);
        let from = lower_bound(&self.heads, head);
        if self.heads.get(from) != Some(&head) {
            return from;
        }
        let alike = self.heads[from..].partition_point(|other| *other == head);
        self.find_in(from, from + alike, rest, trailer)
    }

    /// What follows the common bytes in a user key, if it begins with them.
    #[inline]
    fn rest_of<'a>(&self, user_key: &'a [u8]) -> Option<&'a [u8]> {
        let (start, rest) = user_key.split_at_checked(self.common.len())?;
        (common_prefix(start, &self.common) == start.len()).then_some(rest)
    }

    fn find_in(&self, mut from: usize, mut to: usize, rest: &[u8], trailer: u64) -> usize {
        while from < to {
            let middle = from.midpoint(to);
            if self.compare(middle, rest, trailer).is_lt() {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// How a separator compares to an internal key, of which the common bytes are taken away.
    pub(super) fn compare(&self, index: usize, rest: &[u8], trailer: u64) -> Ordering {
        self.rest(index).cmp(rest).then(trailer.cmp(&self.trailer(index)))
    }

    /// The same for a whole internal key.
    pub(super) fn compare_whole(&self, index: usize, user_key: &[u8], trailer: u64) -> Ordering {
        match self.rest_of(user_key) {
            Some(rest) => self.compare(index, rest, trailer),
            None => (*self.common).cmp(user_key),
        }
    }

    fn rest(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rests[start as usize..self.ends[index] as usize]
    }

    fn trailer(&self, index: usize) -> u64 {
        self.trailers.get(index).copied().unwrap_or(0)
    }
}

/// The first 8 bytes of a key as a number; shorter keys are filled up with zeros, so equal numbers say nothing.
#[inline]
fn head(rest: &[u8]) -> u64 {
    match rest.first_chunk() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            let mut chunk = [0; 8];
            chunk[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(chunk)
        }
    }
}

/// The separator between two internal keys, of which the first is less: appended to `into`, but for the trailer, which it gives.
pub(super) fn separate(before: (&[u8], u64), behind: &[u8], into: &mut Vec<u8>) -> u64 {
    let (key, trailer) = before;
    if key == behind {
        into.extend_from_slice(key);
        return trailer;
    }
    let common = common_prefix(key, behind);
    match (key.get(common), behind.get(common)) {
        // One byte more than they have in common is enough, if the next key goes on behind it.
        (Some(_), Some(_)) if behind.len() > common + 1 => into.extend_from_slice(&behind[..=common]),
        (Some(low), Some(high)) if low + 1 < *high => {
            into.extend_from_slice(&key[..common]);
            into.push(low + 1);
        }
        _ => into.extend_from_slice(key),
    }
    0
}

/// How many numbers of a sorted list are less than one. Without branches that depend on them: half of these would be mispredicted,
/// which costs more than all the rest of a search.
#[inline]
fn lower_bound(sorted: &[u64], number: u64) -> usize {
    let (mut from, mut len) = (0, sorted.len());
    while len > 1 {
        let half = len / 2;
        from = select_unpredictable(sorted[from + half - 1] < number, from + half, from);
        len -= half;
    }
    from + usize::from(sorted.get(from).is_some_and(|last| *last < number))
}

/// Separators with numbers beside them, as they stand in the file: the count, then each as bytes shared with the one before, bytes
/// of its own, those, the trailer, and its numbers; all numbers are varints.
#[derive(Default)]
pub(super) struct SeparatorEncoder {
    count: u64,
    bytes: Vec<u8>,
    last: Vec<u8>,
}

impl SeparatorEncoder {
    pub(super) fn push(&mut self, user_key: &[u8], trailer: u64, numbers: &[u64]) {
        let shared = common_prefix(&self.last, user_key);
        varint::put(shared as u64, &mut self.bytes);
        varint::put((user_key.len() - shared) as u64, &mut self.bytes);
        self.bytes.extend_from_slice(&user_key[shared..]);
        varint::put(trailer, &mut self.bytes);
        numbers.iter().for_each(|number| varint::put(*number, &mut self.bytes));
        self.last.truncate(shared);
        self.last.extend_from_slice(&user_key[shared..]);
        self.count += 1;
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// All of it; the encoder is empty then.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let Self { count, bytes, .. } = core::mem::take(self);
        let mut whole = Vec::with_capacity(bytes.len() + 5);
        varint::put(count, &mut whole);
        whole.extend_from_slice(&bytes);
        whole
    }
}

/// Decodes separators; `beside` takes the numbers beside each.
pub(super) fn decode(bytes: &[u8], mut beside: impl FnMut(&mut Reader<'_>) -> Checked<()>) -> Checked<Separators> {
    let mut reader = Reader::new(bytes);
    let count = reader.number()?;
    if count == 0 || count > (reader.left() / LEAST_ENCODED) as u64 {
        return Err(Damage("a list of separators has an impossible length"));
    }
    let count = count as usize;
    let (mut key, mut trailers, mut keys, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::with_capacity(count));
    let mut last: Option<(core::ops::Range<usize>, u64)> = None;
    for _ in 0..count {
        let (shared, own) = (reader.number32()? as usize, reader.number32()? as usize);
        if shared > key.len() {
            return Err(Damage("a separator shares more than there is"));
        }
        key.truncate(shared);
        key.extend_from_slice(reader.bytes(own)?);
        let trailer = reader.number()?;
        if let Some((before, before_trailer)) = last
            && keys[before].cmp(&key[..]).then(trailer.cmp(&before_trailer)).is_ge()
        {
            return Err(Damage("separators are not in order"));
        }
        last = Some((keys.len()..keys.len() + key.len(), trailer));
        keys.extend_from_slice(&key);
        ends.push(u32::try_from(keys.len()).map_err(|_| Damage("a list of separators is too long"))?);
        trailers.push(trailer);
        beside(&mut reader)?;
    }
    reader.end()?;
    Ok(arrange(&keys, &ends, trailers))
}

/// Separators, of which the user keys stand one behind the other, in the form that is searched.
fn arrange(keys: &[u8], ends: &[u32], mut trailers: Vec<u64>) -> Separators {
    let starts = core::iter::once(0).chain(ends.iter().copied());
    let user_keys = || starts.clone().zip(ends).map(|(start, end)| &keys[start as usize..*end as usize]);
    // In order, so what the first and the last have in common all have.
    let (first, last) = (user_keys().next().unwrap_or(&[]), user_keys().last().unwrap_or(&[]));
    let common = common_prefix(first, last);
    let (mut rests, mut rest_ends) =
        (Vec::with_capacity(keys.len() - common * ends.len()), Vec::with_capacity(ends.len()));
    for user_key in user_keys() {
        rests.extend_from_slice(&user_key[common..]);
        rest_ends.push(rests.len() as u32);
    }
    if trailers.iter().all(|trailer| *trailer == 0) {
        trailers = Vec::new();
    }
    Separators {
        common: first[..common].into(),
        heads: user_keys().map(|user_key| head(&user_key[common..])).collect(),
        rests: rests.into(),
        ends: rest_ends.into(),
        trailers: trailers.into(),
    }
}
