//! The seal of a cluster with a key: only who has the key can say something on a control lane, or open a lane of data. It
//! does not hide what is said, nor does it tell an old frame that is sent again.
//!
//! Without a key nothing is sealed, and nothing sealed is taken.

use std::fmt::Write;

use kvorum_node::{ClusterId, NodeId, ShardIndex};
use kvorum_wire::v1;
use prost::Message;

use crate::cluster_key::ClusterKey;

const SEAL_BYTES: usize = 16;

/// Seals what leaves, and opens what comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seal {
    keys: Option<Keys>,
}

#[derive(Clone)]
struct Keys {
    frames: [u8; 32],
    lanes: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(secret)")
    }
}

/// Why something is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no seal.
    #[error("this cluster has a key, and the sender has none: start it with the --cluster-key-file of its members")]
    Unsealed,
    /// The seal was made with another key, or the frame was changed.
    #[error("the sender has another cluster key: its --cluster-key-file must hold the same key as that of the members")]
    OtherKey,
    /// There is a seal, and no key here.
    #[error(
        "the sender has a cluster key, and the receiver has none: start all members with the same --cluster-key-file"
    )]
    NoKeyHere,
    /// It is no frame.
    #[error("it cannot be understood")]
    Malformed,
}

impl Refusal {
    pub(crate) const ALL: [Self; 4] = [Self::Unsealed, Self::OtherKey, Self::NoKeyHere, Self::Malformed];

    /// In the words of metrics.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Unsealed => "unsealed",
            Self::OtherKey => "other_key",
            Self::NoKeyHere => "no_key_here",
            Self::Malformed => "malformed",
        }
    }
}

impl Seal {
    pub(crate) fn new(key: Option<&ClusterKey>) -> Self {
        let keys = key.map(|ClusterKey(key)| Keys {
            frames: blake3::derive_key("kvorum v1 control frame", key),
            lanes: blake3::derive_key("kvorum v1 lane", key),
        });
        Self { keys }
    }

    pub(crate) fn seal(&self, frame: &v1::ControlFrame) -> v1::SealedFrame {
        let frame = frame.encode_to_vec();
        let seal = self.keys.as_ref().map(|keys| mac(&keys.frames, &frame).to_vec()).unwrap_or_default();
        v1::SealedFrame { frame: frame.into(), seal: seal.into() }
    }

    pub(crate) fn open(&self, sealed: v1::SealedFrame) -> Result<v1::ControlFrame, Refusal> {
        self.check(|keys| &keys.frames, &sealed.frame, &sealed.seal)?;
        v1::ControlFrame::decode(sealed.frame).map_err(|_| Refusal::Malformed)
    }

    /// What the metadata of a lane carries, if there is a key.
    pub(crate) fn of_lane(&self, cluster: Option<ClusterId>, node: NodeId, shard: ShardIndex) -> Option<String> {
        let seal = mac(&self.keys.as_ref()?.lanes, &lane(cluster, node, shard));
        Some(seal.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    pub(crate) fn check_lane(
        &self,
        cluster: Option<ClusterId>,
        node: NodeId,
        shard: ShardIndex,
        seal: Option<&str>,
    ) -> Result<(), Refusal> {
        let digits = seal.unwrap_or_default().as_bytes();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        let bytes = bytes.filter(|bytes| bytes.len() <= SEAL_BYTES).ok_or(Refusal::Malformed)?;
        self.check(|keys| &keys.lanes, &lane(cluster, node, shard), &bytes)
    }

    fn check(&self, key: impl Fn(&Keys) -> &[u8; 32], bytes: &[u8], seal: &[u8]) -> Result<(), Refusal> {
        match &self.keys {
            None if seal.is_empty() => Ok(()),
            None => Err(Refusal::NoKeyHere),
            Some(_) if seal.is_empty() => Err(Refusal::Unsealed),
            Some(keys) => {
                // All bytes are compared, so that the time taken does not tell how many were right.
                let ours = mac(key(keys), bytes);
                let differ = ours.iter().zip(seal).fold(0, |differ, (a, b)| differ | (a ^ b));
                if differ == 0 && seal.len() == SEAL_BYTES { Ok(()) } else { Err(Refusal::OtherKey) }
            }
        }
    }
}

fn lane(cluster: Option<ClusterId>, node: NodeId, shard: ShardIndex) -> [u8; 24] {
    let mut bytes = [0; 24];
    let numbers = [cluster.map_or(0, |cluster| cluster.0), node.0, shard.0.into()];
    bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers).for_each(|(to, number)| *to = number.to_be_bytes());
    bytes
}

fn mac(key: &[u8; 32], bytes: &[u8]) -> [u8; SEAL_BYTES] {
    let hash = blake3::keyed_hash(key, bytes);
    let mut mac = [0; SEAL_BYTES];
    mac.copy_from_slice(&hash.as_bytes()[..SEAL_BYTES]);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: u8) -> Seal {
        Seal::new(Some(&ClusterKey([key; 32])))
    }

    fn frame() -> v1::ControlFrame {
        v1::ControlFrame { from: 7, reply_to: "p:1".to_owned(), ..v1::ControlFrame::default() }
    }

    #[test]
    fn only_the_same_key_opens_and_every_mistake_is_told_apart() {
        let none = Seal::default();
        assert_eq!(with(1).open(with(1).seal(&frame())), Ok(frame()));
        assert_eq!(none.open(none.seal(&frame())), Ok(frame()));
        assert_eq!(with(1).open(with(2).seal(&frame())), Err(Refusal::OtherKey));
        assert_eq!(with(1).open(none.seal(&frame())), Err(Refusal::Unsealed));
        assert_eq!(none.open(with(1).seal(&frame())), Err(Refusal::NoKeyHere));
        let garbage = v1::SealedFrame { frame: vec![0xff; 9].into(), seal: Vec::new().into() };
        assert_eq!(none.open(garbage), Err(Refusal::Malformed));
    }

    #[test]
    fn no_byte_of_a_sealed_frame_can_be_changed_or_left_out() {
        let sealed = with(1).seal(&frame());
        for at in 0..sealed.frame.len() {
            let mut bytes = sealed.frame.to_vec();
            bytes[at] ^= 1;
            let changed = v1::SealedFrame { frame: bytes.into(), ..sealed.clone() };
            assert_eq!(with(1).open(changed), Err(Refusal::OtherKey));
        }
        for len in 1..SEAL_BYTES {
            let cut = v1::SealedFrame { seal: sealed.seal.slice(..len), ..sealed.clone() };
            assert_eq!(with(1).open(cut), Err(Refusal::OtherKey), "a seal of {len} bytes");
        }
        let longer = v1::SealedFrame { seal: [&sealed.seal[..], &[0]].concat().into(), ..sealed };
        assert_eq!(with(1).open(longer), Err(Refusal::OtherKey));
    }

    #[test]
    fn a_lane_is_opened_for_the_node_and_the_shard_that_it_was_sealed_for() {
        let (cluster, node, shard) = (Some(ClusterId(1)), NodeId(2), ShardIndex(3));
        let seal = with(1).of_lane(cluster, node, shard);
        assert_eq!(seal.as_ref().map(String::len), Some(2 * SEAL_BYTES));
        let check = |key: &Seal, cluster, node| key.check_lane(cluster, node, shard, seal.as_deref());
        assert_eq!(check(&with(1), cluster, node), Ok(()));
        assert_eq!(check(&with(1), cluster, NodeId(3)), Err(Refusal::OtherKey));
        assert_eq!(check(&with(1), None, node), Err(Refusal::OtherKey));
        assert_eq!(check(&with(2), cluster, node), Err(Refusal::OtherKey));
        assert_eq!(check(&Seal::default(), cluster, node), Err(Refusal::NoKeyHere));
        assert_eq!(with(1).check_lane(cluster, node, shard, None), Err(Refusal::Unsealed));
        assert_eq!(Seal::default().of_lane(cluster, node, shard), None);
        assert_eq!(Seal::default().check_lane(cluster, node, shard, None), Ok(()));
        for evil in ["xy", "abc", "+1", "é", &"a".repeat(1000)] {
            assert!(with(1).check_lane(cluster, node, shard, Some(evil)).is_err(), "{evil}");
        }
    }

    #[test]
    fn a_key_for_frames_seals_no_lane() {
        let Keys { frames, lanes } = with(1).keys.unwrap();
        assert!(frames != lanes && frames != [1; 32]);
    }
}
