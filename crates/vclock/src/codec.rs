//! Owns the byte-level rules shared by all encodings: canonical LEB128 varints, counts that the input can hold, sorted
//! entries, times as differences from the newest. Does not own the layout of any type: each type's `encode` and `decode`
//! stand beside it.

use alloc::vec::Vec;
use core::ops::Range;

use crate::{Error, Limits, Timestamp};

/// The length of an actor, and of the newest time: both are spread over all 64 bits, so a varint would be longer.
pub(crate) const FIXED: usize = 8;

/// Appends a number of fixed length, the highest byte first.
pub(crate) fn put_fixed(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends `value` as an unsigned LEB128 varint: seven bits to a byte, the lowest first, the top bit set on all bytes
/// but the last. At most ten bytes.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The mask makes the truncation exact.
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`put_varint`] appends.
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Times that are written as what is missing to the newest of them: small for whatever happened lately.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    newest: u64,
    /// Whether some time was the newest itself, as it must be.
    met: bool,
}

impl Times {
    pub(crate) const fn up_to(newest: Timestamp) -> Self {
        Self { newest: newest.to_bits(), met: false }
    }

    pub(crate) const fn difference(&self, time: Timestamp) -> u64 {
        self.newest - time.to_bits()
    }

    /// The next time, which is never [`Timestamp::MIN`].
    #[inline]
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Result<Timestamp, Error> {
        let difference = reader.varint()?;
        let bits = self.newest.checked_sub(difference).filter(|bits| *bits > 0);
        self.met |= difference == 0;
        bits.map(Timestamp::from_bits).ok_or_else(|| reader.malformed("a time before all times"))
    }

    /// To be called behind the last time: the newest must have been among them, or there were two encodings of the same.
    pub(crate) fn finish(&self, reader: &Reader<'_>) -> Result<(), Error> {
        if self.met { Ok(()) } else { Err(reader.malformed("no entry at the newest time")) }
    }
}

/// Reads untrusted bytes from front to back.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
    entries_left: usize,
    limits: Limits,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8], limits: Limits) -> Result<Self, Error> {
        if input.len() > limits.bytes {
            return Err(Error::LimitExceeded { what: "bytes", limit: limits.bytes });
        }
        Ok(Self { input, offset: 0, entries_left: limits.entries, limits })
    }

    /// Runs `read` over the input and insists that it uses all of it.
    pub(crate) fn whole<T>(
        input: &'a [u8],
        limits: Limits,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = Reader::new(input, limits)?;
        let value = read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Insists that nothing is left.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.remaining() > 0 { Err(self.malformed("bytes after the end")) } else { Ok(()) }
    }

    /// The error for something wrong at the present position.
    pub(crate) fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed { offset: self.offset, what }
    }

    /// A number of fixed length.
    #[inline]
    pub(crate) fn fixed(&mut self) -> Result<u64, Error> {
        let bytes = self.input[self.offset..].first_chunk::<FIXED>();
        let bytes = bytes.ok_or_else(|| self.malformed("the input ends inside a number"))?;
        self.offset += FIXED;
        Ok(u64::from_be_bytes(*bytes))
    }

    /// The shortest varint of some `u64`; a longer spelling of the same number is refused.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Error> {
        match self.input.get(self.offset) {
            Some(byte) if *byte < 0x80 => {
                self.offset += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.input.get(self.offset).ok_or_else(|| self.malformed("the input ends inside a number"))?;
            let bits = u64::from(byte & 0x7F);
            if (bits << shift) >> shift != bits {
                return Err(self.malformed("a number above 64 bits"));
            }
            if byte == 0 && shift > 0 {
                return Err(self.malformed("a number spelt longer than needed"));
            }
            value |= bits << shift;
            self.offset += 1;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number above 64 bits"))
    }

    /// A number of items to follow, each at least `least_bytes` long: refused before anything is allocated for it when
    /// the rest of the input could not hold them.
    pub(crate) fn count(&mut self, least_bytes: usize) -> Result<usize, Error> {
        let count = self.varint()?;
        self.fitting(count, least_bytes)
    }

    /// Checks such a number that was read as a part of another.
    #[inline]
    pub(crate) fn fitting(&self, count: u64, least_bytes: usize) -> Result<usize, Error> {
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.remaining() / least_bytes)
            .ok_or_else(|| self.malformed("a count larger than the input"))
    }

    /// Takes note of that many entries.
    #[inline]
    pub(crate) fn spend(&mut self, entries: usize) -> Result<(), Error> {
        let left = self.entries_left.checked_sub(entries);
        self.entries_left = left.ok_or(Error::LimitExceeded { what: "entries", limit: self.limits.entries })?;
        Ok(())
    }

    /// A length and that many bytes: where they lie in the input.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<Range<usize>, Error> {
        let len = self.count(1)?;
        let start = self.offset;
        self.offset += len;
        Ok(start..self.offset)
    }

    /// An actor above `previous`, or any if there is none: the next key of a sorted sequence without duplicates.
    #[inline]
    pub(crate) fn actor(&mut self, previous: Option<u64>) -> Result<u64, Error> {
        let next = self.fixed()?;
        if previous.is_some_and(|previous| next <= previous) {
            return Err(self.malformed("keys that do not ascend"));
        }
        Ok(next)
    }

    /// A count and that many pairs of ascending actor and non-zero counter.
    pub(crate) fn counters(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        let count = self.count(FIXED + 1)?;
        self.spend(count)?;
        let mut entries: Vec<(u64, u64)> = Vec::with_capacity(count);
        for _ in 0..count {
            let actor = self.actor(entries.last().map(|(actor, _)| *actor))?;
            let value = self.varint()?;
            if value == 0 {
                return Err(self.malformed("an entry that says nothing"));
            }
            entries.push((actor, value));
        }
        Ok(entries)
    }

    /// A count and, unless it is 0, the newest time and that many pairs of ascending actor and time.
    pub(crate) fn reached_times(&mut self) -> Result<Vec<(u64, Timestamp)>, Error> {
        let count = self.count(FIXED + 1)?;
        self.spend(count)?;
        let mut entries: Vec<(u64, Timestamp)> = Vec::with_capacity(count);
        if count > 0 {
            let mut times = Times::up_to(Timestamp::from_bits(self.fixed()?));
            for _ in 0..count {
                let actor = self.actor(entries.last().map(|(actor, _)| *actor))?;
                entries.push((actor, times.read(self)?));
            }
            times.finish(self)?;
        }
        Ok(entries)
    }

    fn remaining(&self) -> usize {
        self.input.len() - self.offset
    }
}

#[cfg(test)]
mod tests;
