//! Owns what is put around a message: which cluster it belongs to, and proof that a member wrote it.
//!
//! ```text
//! envelope = version:u8 (1) authenticated:u8 tag:bytes message [mac:16]
//! mac      = blake3 keyed hash of all before it, cut to 16 bytes
//! ```

use alloc::vec::Vec;
use core::fmt;

use crate::codec::{Codec, Reader, bytes_len, put_bytes};
use crate::error::{DecodeError, OpenError};
use crate::message::Message;

/// The version of the format that this crate speaks.
const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
/// The longest name of a cluster.
const MAX_TAG_BYTES: usize = 16;
/// The most that an envelope adds to a message.
pub(crate) const ENVELOPE_BYTES: usize = 2 + 1 + MAX_TAG_BYTES + MAC_BYTES;

/// What tells one cluster from another: up to 16 bytes, for example a UUID, or a short name.
///
/// The empty tag, which is the default, is that of a newcomer who does not know yet to which cluster its seeds belong.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterTag {
    len: u8,
    bytes: [u8; MAX_TAG_BYTES],
}

impl ClusterTag {
    /// The tag with these bytes; none if there are more than 16.
    #[must_use]
    pub fn new(tag: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_TAG_BYTES];
        bytes.get_mut(..tag.len())?.copy_from_slice(tag);
        Some(Self { len: tag.len() as u8, bytes })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl From<u128> for ClusterTag {
    fn from(number: u128) -> Self {
        Self { len: MAX_TAG_BYTES as u8, bytes: number.to_be_bytes() }
    }
}

impl fmt::Display for ClusterTag {
    /// As text if it is printable, otherwise in hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.as_bytes()) {
            Ok("") => f.write_str("(none yet)"),
            Ok(text) if text.chars().all(|c| c.is_ascii_graphic()) => f.write_str(text),
            _ => self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl fmt::Debug for ClusterTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterTag({self})")
    }
}

/// Seals messages for one cluster, and opens those of its members.
///
/// With a key, messages carry a code that only holders of the key can make, so nobody else can invent or change one. It
/// does not hide what they say. Nor does it stop somebody from sending an old message again, which does no harm: records
/// of a member only ever grow, so an old one changes nothing, an old counter is no sign of life, and the answer goes to
/// where the member was. Only who has forgotten a member, and the certificate of that too, can be made to ask about it
/// once more, and soon finds it silent.
///
/// ```
/// use kvorum_gossip::{ClusterTag, Envelope, Message, OpenError};
///
/// # fn main() -> Result<(), OpenError> {
/// # let node = kvorum_gossip::Gossip::<u32, u32>::new(Default::default(), kvorum_gossip::Setup::new(1, 7), Default::default());
/// # let (mut node, mut out) = (node.unwrap(), vec![]);
/// # node.handle(Default::default(), kvorum_gossip::Input::Contact(9), &mut out);
/// # let Some(kvorum_gossip::Effect::Send { message, .. }) = out.pop() else { panic!() };
/// let (ours, theirs) = (ClusterTag::from(7), ClusterTag::from(8));
/// let bytes = Envelope::new(ours).with_key([1; 32]).seal(&message);
/// assert_eq!(Envelope::new(ours).with_key([1; 32]).open(&bytes)?, message);
///
/// let open = |envelope: Envelope| envelope.open::<u32, u32>(&bytes).unwrap_err();
/// assert_eq!(open(Envelope::new(ours).with_key([2; 32])), OpenError::NotAuthenticated);
/// assert_eq!(open(Envelope::new(ours)), OpenError::NoKeyHere);
/// assert_eq!(open(Envelope::new(theirs).with_key([1; 32])), OpenError::OtherCluster(ours));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Envelope {
    tag: ClusterTag,
    key: Option<[u8; 32]>,
}

impl fmt::Debug for Envelope {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("tag", &self.tag).field("key", &self.key.map(|_| "secret")).finish()
    }
}

impl Envelope {
    /// For the cluster with this tag, without authentication.
    ///
    /// With the empty tag it opens messages of every cluster, and other clusters open what it seals: so a newcomer gets
    /// in, and learns from [`tag_of`](Envelope::tag_of) where it is. It opens none of other newcomers.
    #[must_use]
    pub fn new(tag: ClusterTag) -> Self {
        Self { tag, key: None }
    }

    /// The same with a key, which all members must share.
    #[must_use]
    pub fn with_key(self, key: [u8; 32]) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The bytes to send. They are at most [`Config::message_bytes`](crate::Config::message_bytes).
    #[must_use]
    pub fn seal<I: Codec, A: Codec>(&self, message: &Message<I, A>) -> Vec<u8> {
        let len = 2 + bytes_len(self.tag.as_bytes()) + message.encoded_len() + MAC_BYTES;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend([VERSION, u8::from(self.key.is_some())]);
        put_bytes(self.tag.as_bytes(), &mut bytes);
        message.encode(&mut bytes);
        if let Some(key) = &self.key {
            let mac = mac(key, &bytes);
            bytes.extend_from_slice(&mac);
        }
        bytes
    }

    /// The message in `bytes`.
    ///
    /// # Errors
    ///
    /// If it is not for this cluster, not authenticated as it should be, or no message.
    pub fn open<I: Codec, A: Codec>(&self, bytes: &[u8]) -> Result<Message<I, A>, OpenError> {
        let Opened { authenticated, tag, body } = head(bytes)?;
        let is_newcomer = |tag: ClusterTag| tag == ClusterTag::default();
        // Of two newcomers neither can let the other in.
        if is_newcomer(tag) && is_newcomer(self.tag) || tag != self.tag && !is_newcomer(tag) && !is_newcomer(self.tag) {
            return Err(OpenError::OtherCluster(tag));
        }
        let body = match (&self.key, authenticated) {
            (None, false) => body,
            (None, true) => return Err(OpenError::NoKeyHere),
            (Some(_), false) => return Err(OpenError::NotAuthenticated),
            (Some(key), true) => {
                let (signed, code) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(DecodeError::Truncated)?;
                let (body, _) = body.split_last_chunk::<MAC_BYTES>().ok_or(DecodeError::Truncated)?;
                // All bytes are compared, so that the time taken does not tell how many were right.
                let differ = mac(key, signed).iter().zip(code).fold(0, |differ, (a, b)| differ | (a ^ b));
                if differ != 0 {
                    return Err(OpenError::NotAuthenticated);
                }
                body
            }
        };
        Ok(Message::decode(body)?)
    }

    /// Which cluster sealed `bytes`, if they were sealed at all. It says so itself: believe it when it was opened.
    #[must_use]
    pub fn tag_of(bytes: &[u8]) -> Option<ClusterTag> {
        head(bytes).ok().map(|head| head.tag)
    }
}

struct Opened<'a> {
    authenticated: bool,
    tag: ClusterTag,
    /// The message, and the code if there is one.
    body: &'a [u8],
}

fn head(bytes: &[u8]) -> Result<Opened<'_>, OpenError> {
    let mut reader = Reader::new(bytes);
    let version = reader.byte()?;
    if version != VERSION {
        return Err(OpenError::UnknownVersion(version));
    }
    let authenticated = match reader.byte()? {
        0 => false,
        1 => true,
        tag => return Err(DecodeError::UnknownTag(tag).into()),
    };
    let tag = ClusterTag::new(reader.bytes(MAX_TAG_BYTES)?).ok_or(DecodeError::TooLong { limit: MAX_TAG_BYTES })?;
    Ok(Opened { authenticated, tag, body: &bytes[bytes.len() - reader.remaining()..] })
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> [u8; MAC_BYTES] {
    let hash = blake3::keyed_hash(key, bytes);
    let mut mac = [0; MAC_BYTES];
    mac.copy_from_slice(&hash.as_bytes()[..MAC_BYTES]);
    mac
}

#[cfg(test)]
mod tests;
