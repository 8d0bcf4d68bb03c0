//! A batch of writes that happen together or not at all, encoded once: what the log writes is the buffer that was filled
//! here. It owns the encoding of operations and the limits of keys and values; sequence numbers are given later.
//!
//! ```text
//! operation = kind: 1 byte (0 delete, 1 put)
//!             key length: varint
//!             [value length: varint]      of a put alone
//!             key
//!             [value]
//! ```
//!
//! Operations lie back to back. A varint has seven bits to a byte, the lowest first, and the top bit set in all but its last.

use core::fmt;
use core::iter::FusedIterator;

use crate::error::{Error, Result};
use crate::key::Kind;

/// The longest key, in bytes; the shortest has one.
pub const MAX_KEY: usize = 64 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE: usize = 1 << 30;
/// The most bytes of all operations of one batch as they are encoded.
pub const MAX_BATCH: usize = 1 << 30;

/// How long a varint of 32 bits can be.
const MAX_VARINT: usize = 5;

/// Writes that happen together or not at all, in this order.
///
/// ```
/// use kvorum_lsm::{Batch, Operation};
///
/// let mut batch = Batch::new();
/// batch.put(b"color", b"blue")?;
/// batch.delete(b"colour")?;
/// let operations: Vec<_> = batch.iter().collect();
/// assert_eq!(operations, [Operation::Put { key: b"color", value: b"blue" }, Operation::Delete { key: b"colour" }]);
/// # Ok::<(), kvorum_lsm::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<u8>,
    len: u32,
}

/// One write of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation<'a> {
    /// A key has this value from then on.
    Put {
        /// The key.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
    /// A key has no value from then on.
    Delete {
        /// The key.
        key: &'a [u8],
    },
}

impl Batch {
    /// A batch without operations.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch without operations, but with room for this many bytes of them: keys, values, and up to 11 bytes for each
    /// operation.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { ops: Vec::with_capacity(bytes), len: 0 }
    }

    /// Adds a put. Among operations on the same key the last one counts.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the key is empty or longer than [`MAX_KEY`], the value longer than [`MAX_VALUE`], or the batch
    /// would be longer than [`MAX_BATCH`]. The batch is then as before.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if value.len() > MAX_VALUE {
            return Err(Error::Invalid("a value is at most 1 GiB long"));
        }
        self.make_room(key, 1 + 2 * MAX_VARINT + key.len() + value.len())?;
        self.ops.push(Kind::Put as u8);
        push_varint(&mut self.ops, key.len() as u32);
        push_varint(&mut self.ops, value.len() as u32);
        self.ops.extend_from_slice(key);
        self.ops.extend_from_slice(value);
        self.len += 1;
        Ok(())
    }

    /// Adds a delete, whether or not the key has a value.
    ///
    /// # Errors
    /// As of [`Self::put`].
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.make_room(key, 1 + MAX_VARINT + key.len())?;
        self.ops.push(Kind::Delete as u8);
        push_varint(&mut self.ops, key.len() as u32);
        self.ops.extend_from_slice(key);
        self.len += 1;
        Ok(())
    }

    /// How many operations it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes they take when encoded.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ops.len()
    }

    /// Removes all operations and keeps the room they had.
    pub fn clear(&mut self) {
        self.ops.clear();
        self.len = 0;
    }

    /// The operations in their order.
    pub fn iter(&self) -> Operations<'_> {
        Operations(self.view().ops())
    }

    pub(crate) fn view(&self) -> BatchView<'_> {
        BatchView { bytes: &self.ops, len: self.len }
    }

    /// Checks the limits and has room for so many bytes more.
    fn make_room(&mut self, key: &[u8], bytes: usize) -> Result<()> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(Error::Invalid("a key is 1 byte to 64 KiB long"));
        }
        if bytes > MAX_BATCH - self.ops.len() {
            return Err(Error::Invalid("a batch is at most 1 GiB long"));
        }
        self.ops.reserve(bytes);
        Ok(())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Operation<'a>;
    type IntoIter = Operations<'a>;

    fn into_iter(self) -> Operations<'a> {
        self.iter()
    }
}

/// The operations of a [`Batch`], in their order.
#[derive(Clone)]
pub struct Operations<'a>(Ops<'a>);

impl<'a> Iterator for Operations<'a> {
    type Item = Operation<'a>;

    fn next(&mut self) -> Option<Operation<'a>> {
        self.0.next().map(|(kind, key, value)| match kind {
            Kind::Put => Operation::Put { key, value },
            Kind::Delete => Operation::Delete { key },
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Operations<'_> {}
impl FusedIterator for Operations<'_> {}

/// Encoded operations that are known to be well formed.
#[derive(Clone, Copy, Default)]
pub(crate) struct BatchView<'a> {
    bytes: &'a [u8],
    len: u32,
}

/// What is wrong with encoded operations, and at which byte of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) offset: usize,
    pub(crate) what: &'static str,
}

impl<'a> BatchView<'a> {
    /// Checks bytes from anywhere: they are exactly so many operations, within the limits.
    pub(crate) fn decode(bytes: &'a [u8], len: u32) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let malformed = |rest: &[u8], what| Malformed { offset: bytes.len() - rest.len(), what };
        if bytes.len() > MAX_BATCH {
            return Err(malformed(bytes, "a batch is longer than 1 GiB"));
        }
        for _ in 0..len {
            let before = rest;
            split_op(&mut rest).map_err(|what| malformed(before, what))?;
        }
        if rest.is_empty() {
            Ok(Self { bytes, len })
        } else {
            Err(malformed(rest, "a batch goes on behind its last operation"))
        }
    }

    /// How many operations there are.
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }

    /// As they are encoded.
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Kind, key and value of each; a delete has the empty value.
    pub(crate) fn ops(self) -> Ops<'a> {
        Ops { rest: self.bytes, len: self.len }
    }
}

/// The operations of a [`BatchView`].
#[derive(Clone)]
pub(crate) struct Ops<'a> {
    rest: &'a [u8],
    len: u32,
}

impl<'a> Iterator for Ops<'a> {
    type Item = (Kind, &'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.len = self.len.checked_sub(1)?;
        Some(split_op(&mut self.rest).expect("a batch is encoded by us or was checked when it was read"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len as usize, Some(self.len as usize))
    }
}

impl ExactSizeIterator for Ops<'_> {}
impl FusedIterator for Ops<'_> {}

/// Takes the first operation off encoded ones. If it is malformed, they are as before or shorter.
#[inline]
fn split_op<'a>(rest: &mut &'a [u8]) -> Result<(Kind, &'a [u8], &'a [u8]), &'static str> {
    let (&kind, behind) = rest.split_first().ok_or("a batch ends before its last operation")?;
    *rest = behind;
    let kind = Kind::from_byte(kind).ok_or("an operation is of no known kind")?;
    let key_len = split_varint(rest)?;
    let value_len = if kind == Kind::Put { split_varint(rest)? } else { 0 };
    if !(1..=MAX_KEY).contains(&key_len) {
        return Err("a key is empty or too long");
    }
    let (key, behind) = rest.split_at_checked(key_len).ok_or("a key ends behind its batch")?;
    let (value, behind) = behind.split_at_checked(value_len).ok_or("a value ends behind its batch")?;
    *rest = behind;
    Ok((kind, key, value))
}

#[inline]
fn push_varint(into: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[inline]
fn split_varint(rest: &mut &[u8]) -> Result<usize, &'static str> {
    let mut number = 0;
    for (place, byte) in rest.iter().take(MAX_VARINT).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            *rest = &rest[place + 1..];
            return u32::try_from(number).map(|number| number as usize).map_err(|_| "a length does not fit 32 bits");
        }
    }
    Err("a length has no end")
}

#[cfg(test)]
mod tests;
