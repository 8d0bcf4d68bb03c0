//! Owns how ids, addresses and numbers become bytes. What a message is made of is `codec/message.rs`.
//!
//! Numbers are LEB128 varints (seven bits a byte, the lowest first), byte strings follow their length.

mod message;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::error::DecodeError;

pub(crate) use message::{digest_len, fit};

/// The longest encoding of an id.
pub const MAX_ID_BYTES: usize = 64;
/// The longest encoding of an address. Two of these, two ids and the longest entry fit into the smallest message.
pub const MAX_ADDRESS_BYTES: usize = 128;

/// How an id or an address is written into a message.
///
/// All members of a cluster must agree on it, and equal values must have equal bytes: the order of watchers follows from
/// them.
///
/// ```
/// use kvorum_gossip::{Codec, DecodeError, Reader};
///
/// #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
/// struct NodeId(u32);
///
/// impl Codec for NodeId {
///     fn encode(&self, out: &mut Vec<u8>) {
///         self.0.encode(out);
///     }
///     fn encoded_len(&self) -> usize {
///         self.0.encoded_len()
///     }
///     fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
///         u32::decode(reader).map(NodeId)
///     }
/// }
/// ```
pub trait Codec: Sized {
    /// Appends the bytes of this value.
    fn encode(&self, out: &mut Vec<u8>);
    /// How many bytes [`encode`](Codec::encode) appends.
    fn encoded_len(&self) -> usize;
    /// Reads a value back.
    ///
    /// # Errors
    ///
    /// If the bytes are none that [`encode`](Codec::encode) makes.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// What is left of some bytes that are being decoded.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    ///
    /// If there are not so many.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next byte.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take(1).map(|byte| byte[0])
    }

    /// The next varint.
    ///
    /// # Errors
    ///
    /// If the bytes end, or it has more than 64 bits.
    pub fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(DecodeError::NumberTooLarge);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::NumberTooLarge)
    }

    /// The next byte string, of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// If the bytes end, or it is longer.
    pub fn bytes(&mut self, limit: usize) -> Result<&'a [u8], DecodeError> {
        match usize::try_from(self.number()?) {
            Ok(len) if len <= limit => self.take(len),
            _ => Err(DecodeError::TooLong { limit }),
        }
    }

    /// The next string, of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// If the bytes end, it is longer, or not UTF-8.
    pub fn str(&mut self, limit: usize) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes(limit)?).map_err(|_| DecodeError::NotUtf8)
    }

    /// The next value, which may take at most `limit` bytes.
    fn value<T: Codec>(&mut self, limit: usize) -> Result<T, DecodeError> {
        let before = self.remaining();
        let value = T::decode(self)?;
        if before - self.remaining() > limit {
            return Err(DecodeError::TooLong { limit });
        }
        Ok(value)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    /// That nothing is left.
    fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }
}

/// Appends a varint.
pub(crate) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes a varint takes.
pub(crate) fn number_len(number: u64) -> usize {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

pub(crate) fn bytes_len(bytes: &[u8]) -> usize {
    number_len(bytes.len() as u64) + bytes.len()
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        /// A varint.
        impl Codec for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                put_number(u64::from(*self), out);
            }

            fn encoded_len(&self) -> usize {
                number_len(u64::from(*self))
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Self::try_from(reader.number()?).map_err(|_| DecodeError::NumberTooLarge)
            }
        }
    )*};
}

numbers!(u16, u32, u64);

impl<const N: usize> Codec for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn encoded_len(&self) -> usize {
        N
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array()
    }
}

macro_rules! strings {
    ($($string:ty),*) => {$(
        impl Codec for $string {
            fn encode(&self, out: &mut Vec<u8>) {
                put_bytes(self.as_bytes(), out);
            }

            fn encoded_len(&self) -> usize {
                bytes_len(self.as_bytes())
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.str(MAX_ADDRESS_BYTES).map(Self::from)
            }
        }
    )*};
}

strings!(String, Arc<str>);

/// One byte for the family, then the address and the port. Scope and flow of an IPv6 address mean nothing to others and
/// are left out.
impl Codec for SocketAddr {
    fn encode(&self, out: &mut Vec<u8>) {
        match self.ip() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
        out.extend_from_slice(&self.port().to_be_bytes());
    }

    fn encoded_len(&self) -> usize {
        if self.is_ipv4() { 7 } else { 19 }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ip = match reader.byte()? {
            4 => IpAddr::from(reader.array::<4>()?),
            6 => IpAddr::from(reader.array::<16>()?),
            tag => return Err(DecodeError::UnknownTag(tag)),
        };
        Ok(Self::new(ip, u16::from_be_bytes(reader.array()?)))
    }
}

#[cfg(test)]
mod tests;
