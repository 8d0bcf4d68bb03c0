//! Owns the byte-level rules shared by all encodings: canonical LEB128 varints, counts that the input can hold, sorted
//! entries. Does not own the layout of any type: each type's `encode` and `decode` stand beside it.

use alloc::vec::Vec;

use crate::Error;

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

/// Reads untrusted bytes from front to back.
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Runs `read` over the input and insists that it uses all of it.
    pub(crate) fn whole<T>(
        input: &'a [u8],
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut reader = Reader { input, offset: 0 };
        let value = read(&mut reader)?;
        if reader.remaining() > 0 {
            return Err(reader.malformed("bytes after the end"));
        }
        Ok(value)
    }

    /// The error for something wrong at the present position.
    pub(crate) fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed { offset: self.offset, what }
    }

    /// The shortest varint of some `u64`; a longer spelling of the same number is refused.
    pub(crate) fn varint(&mut self) -> Result<u64, Error> {
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
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.remaining() / least_bytes)
            .ok_or_else(|| self.malformed("a count larger than the input"))
    }

    /// A length and that many bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let len = self.count(1)?;
        let bytes = &self.input[self.offset..self.offset + len];
        self.offset += len;
        Ok(bytes)
    }

    /// A varint above `previous`, or any if there is none: the next key of a sorted sequence without duplicates.
    pub(crate) fn ascending(&mut self, previous: Option<u64>) -> Result<u64, Error> {
        let next = self.varint()?;
        if previous.is_some_and(|previous| next <= previous) {
            return Err(self.malformed("keys that do not ascend"));
        }
        Ok(next)
    }

    /// A count and that many pairs of ascending actor and non-zero value.
    pub(crate) fn clock_entries(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        let count = self.count(2)?;
        let mut entries: Vec<(u64, u64)> = Vec::with_capacity(count);
        for _ in 0..count {
            let actor = self.ascending(entries.last().map(|(actor, _)| *actor))?;
            let value = self.varint()?;
            if value == 0 {
                return Err(self.malformed("an entry that says nothing"));
            }
            entries.push((actor, value));
        }
        Ok(entries)
    }

    fn remaining(&self) -> usize {
        self.input.len() - self.offset
    }
}

#[cfg(test)]
mod tests;
