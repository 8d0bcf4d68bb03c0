//! LEB128 numbers, and a reader of small structures that are made of them.

use super::damage::{Checked, Damage};

/// Appends a number: 7 bits a byte, the lowest first, each byte but the last with its top bit set.
pub(super) fn put(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// The number at a place, and the place behind it. None if it does not end within the bytes or has more than 32 bits.
#[inline]
pub(super) fn get32(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((u32::from(first), at + 1));
    }
    let second = *bytes.get(at + 1)?;
    if second < 0x80 {
        return Some((u32::from(first & 0x7f) | u32::from(second) << 7, at + 2));
    }
    let (number, next) = get64(bytes, at)?;
    Some((u32::try_from(number).ok()?, next))
}

/// The same for 64 bits.
pub(super) fn get64(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.get(at..)?.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * index);
        if *byte < 0x80 {
            return Some((number, at + index + 1));
        }
    }
    None
}

/// Reads one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn number(&mut self) -> Checked<u64> {
        let (number, next) = get64(self.bytes, self.at).ok_or(Damage("a number does not end"))?;
        self.at = next;
        Ok(number)
    }

    pub(super) fn number32(&mut self) -> Checked<u32> {
        u32::try_from(self.number()?).map_err(|_| Damage("a number is too large"))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Checked<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or(Damage("a length is too large"))?;
        let bytes = self.bytes.get(self.at..end).ok_or(Damage("a length is too large"))?;
        self.at = end;
        Ok(bytes)
    }

    /// Checks that nothing is left.
    pub(super) fn end(self) -> Checked<()> {
        if self.left() == 0 { Ok(()) } else { Err(Damage("there is more than there should be")) }
    }
}
