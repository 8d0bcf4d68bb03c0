//! The context as clients hold it: opaque bytes that say which versions of a key they have seen, signed so that nobody
//! can make one up. One that claims more than was read would erase versions nobody has seen.
//!
//! ```text
//! 1 | keyspace id (4, BE) | entries, as `kvorum-vclock` encodes a context | MAC (8)
//! MAC: the first 8 bytes of blake3, keyed with the cluster's secret, over "kvorum context", the length of the stored key
//! (4, BE), the stored key, and all that stands before the MAC
//! ```
//!
//! The key is signed too, though not carried: times of one key mean nothing for another.

use bytes::Bytes;
use kvorum_vclock::Context;

use crate::{KeyspaceId, Secret, StoredKey};

const VERSION: u8 = 1;
const HEAD: usize = 1 + 4;
const MAC: usize = 8;

/// The longest context that is looked at, in bytes; far beyond any that is handed out.
pub const MAX_CONTEXT_BYTES: usize = 16 << 10;

/// Why a context is refused. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadContext {
    /// It is too short or too long to be one.
    #[error(
        "the context has {len} bytes, so it is none that this cluster hands out; use the one of a read of this key"
    )]
    Length {
        /// How long it is.
        len: usize,
    },
    /// Made by a newer version, or damaged.
    #[error("the context is of version {version}, which this node does not know; read the key again")]
    Version {
        /// Its first byte.
        version: u8,
    },
    /// Handed out in another keyspace.
    #[error("the context belongs to another keyspace (id {theirs}, not {ours}); use the one of a read of this key")]
    Keyspace {
        /// Where it was handed out.
        theirs: u32,
        /// Where it was used.
        ours: u32,
    },
    /// Its signature does not fit.
    #[error("the context is damaged, or of another key or cluster; use the one of a read of this key")]
    Signature,
}

/// Signs what a reader of a key has seen.
#[must_use]
pub fn seal(secret: &Secret, key: &StoredKey, context: &Context<u64>) -> Bytes {
    let mut token = Vec::with_capacity(HEAD + 20 * context.len() + 8 + MAC);
    token.push(VERSION);
    token.extend_from_slice(&key.keyspace().0.to_be_bytes());
    context.encode(&mut token);
    let mac = mac(secret, key, &token);
    token.extend_from_slice(&mac);
    Bytes::from(token)
}

/// Reads what a client hands back.
///
/// # Errors
/// When it was not handed out by this cluster for this key.
pub fn open(secret: &Secret, key: &StoredKey, token: &[u8]) -> Result<Context<u64>, BadContext> {
    if token.len() < HEAD + 1 + MAC || token.len() > MAX_CONTEXT_BYTES {
        return Err(BadContext::Length { len: token.len() });
    }
    if token[0] != VERSION {
        return Err(BadContext::Version { version: token[0] });
    }
    let theirs = KeyspaceId(u32::from_be_bytes([token[1], token[2], token[3], token[4]]));
    if theirs != key.keyspace() {
        return Err(BadContext::Keyspace { theirs: theirs.0, ours: key.keyspace().0 });
    }
    let (signed, signature) = token.split_at(token.len() - MAC);
    // An attempt costs a request, so what comparing byte by byte might tell is not worth hiding; blake3's own comparison
    // of whole hashes is of no use for a part of one.
    if signature != mac(secret, key, signed) {
        return Err(BadContext::Signature);
    }
    // What this cluster has signed it has also encoded.
    Context::decode(&signed[HEAD..]).map_err(|_| BadContext::Signature)
}

fn mac(secret: &Secret, key: &StoredKey, signed: &[u8]) -> [u8; MAC] {
    let key = key.as_bytes();
    let mut hasher = blake3::Hasher::new_keyed(&secret.0);
    hasher.update(b"kvorum context");
    hasher.update(&(key.len() as u32).to_be_bytes());
    hasher.update(key);
    hasher.update(signed);
    let mut mac = [0; MAC];
    mac.copy_from_slice(&hasher.finalize().as_bytes()[..MAC]);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvorum_ring::PartitionId;
    use kvorum_vclock::Timestamp;
    use proptest::prelude::*;

    fn key(keyspace: u32, name: &str) -> StoredKey {
        StoredKey::new(KeyspaceId(keyspace), PartitionId(3), name.as_bytes())
    }

    fn context(entries: usize) -> Context<u64> {
        (0..entries as u64)
            .map(|i| (0xdead_beef_0000_0001 + i, Timestamp::from_parts(1_790_000_000_000 + i, 3)))
            .collect()
    }

    #[test]
    fn it_is_read_back_by_any_node_of_the_cluster_for_the_same_key_alone() {
        let secret = Secret([7; 32]);
        let token = seal(&secret, &key(2, "cart"), &context(3));
        assert_eq!(open(&secret, &key(2, "cart"), &token), Ok(context(3)));
        assert_eq!(open(&secret, &key(3, "cart"), &token), Err(BadContext::Keyspace { theirs: 2, ours: 3 }));
        for other in ["other", "cast"] {
            assert_eq!(open(&secret, &key(2, other), &token), Err(BadContext::Signature), "{other}");
        }
        assert_eq!(open(&Secret([8; 32]), &key(2, "cart"), &token), Err(BadContext::Signature));
    }

    #[test]
    fn any_flipped_or_missing_byte_is_noticed() {
        let secret = Secret([7; 32]);
        let token = seal(&secret, &key(2, "cart"), &context(3));
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut bytes = token.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(open(&secret, &key(2, "cart"), &bytes).is_err());
            }
            assert!(open(&secret, &key(2, "cart"), &token[..at]).is_err());
        }
    }

    #[test]
    fn three_entries_fit_into_64_bytes() {
        let token = seal(&Secret([7; 32]), &key(2, "cart"), &context(3));
        assert!(token.len() <= 64, "{} bytes", token.len());
    }

    proptest! {
        #[test]
        fn made_up_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 1..80)) {
            prop_assert!(open(&Secret([7; 32]), &key(2, "cart"), &bytes).is_err());
        }
    }
}
