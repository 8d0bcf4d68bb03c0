//! Owns how much a caller is ready to decode. Does not own the decoding.

/// The most that a decoder accepts. Input from strangers is cheap to make and dear to keep: a megabyte of bytes can be
/// forty thousand entries, each of which every later merge would carry along.
///
/// ```
/// use kvorum_vclock::{Context, Error, Limits, Timestamp};
///
/// let context = Context::from_iter((1..=3_u64).map(|actor| (actor, Timestamp::from_parts(5, 0))));
/// let mut bytes = Vec::new();
/// context.encode(&mut bytes);
/// assert_eq!(Context::decode_within(&bytes, Limits { bytes: 1024, entries: 3 }), Ok(context));
/// assert_eq!(
///     Context::decode_within(&bytes, Limits { bytes: 1024, entries: 2 }),
///     Err(Error::LimitExceeded { what: "entries", limit: 2 })
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// The most bytes of input, values included.
    pub bytes: usize,
    /// The most entries: one for each actor and, in a record, one for each live dot.
    pub entries: usize,
}

impl Limits {
    /// Accepts whatever fits the memory. What is decoded then still takes no more than a small multiple of the input.
    pub const NONE: Self = Self { bytes: usize::MAX, entries: usize::MAX };
}

impl Default for Limits {
    /// [`Limits::NONE`].
    fn default() -> Self {
        Self::NONE
    }
}
