//! Owns the way from a key to its point on the circle, hash tags included. It knows no partition
//! and no node.

use core::fmt;

/// A point on the circle of 2^64 points that keys and virtual nodes share (Karger et al.,
/// "Consistent Hashing and Random Trees", 1997). Clockwise is upward; after `u64::MAX` comes 0.
///
/// ```
/// # use kvorum_ring::Token;
/// assert_eq!(Token::of(b"{user1}:cart"), Token::of(b"{user1}:orders"));
/// assert_ne!(Token::of(b"user1:cart"), Token::of(b"user1:orders"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

impl Token {
    /// The token of a key: the first 64 bits, big endian, of the blake3 hash of the key or, if it
    /// has one, of its hash tag.
    ///
    /// The hash tag is what stands between the first `{` and the first `}` after it, unless that is
    /// empty; keys with one tag share a partition. This is the rule of the Redis Cluster
    /// specification, "Hash tags", in every corner: `{}{a}` has no tag, since only the first `{`
    /// counts, and the tag of `{{a}}` is `{a`.
    ///
    /// Any bytes are a key, the empty ones too. Linear in the length of what is hashed.
    #[must_use]
    pub fn of(key: &[u8]) -> Token {
        Token::from_digest(&blake3::hash(hash_tag(key).unwrap_or(key)))
    }

    /// The first eight bytes of a digest as a point.
    pub(crate) fn from_digest(digest: &blake3::Hash) -> Token {
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        Token(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// Sixteen hexadecimal digits, so that tokens sort as text, too.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let after = &key[open + 1..];
    let length = after.iter().position(|&byte| byte == b'}')?;
    (length > 0).then(|| &after[..length])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first two are published vectors of blake3, the others come from a second implementation.
    /// If one changes, every stored key is in the wrong partition.
    #[test]
    fn tokens_never_change() {
        assert_eq!(Token::of(b""), Token(0xaf13_49b9_f5f9_a1a6));
        assert_eq!(Token::of(b"abc"), Token(0x6437_b3ac_3846_5133));
        assert_eq!(Token::of(b"{user1}:cart"), Token::of(b"user1"));
        assert_eq!(Token::of(b"user1"), Token(0x542f_806f_7253_ee80));
        assert_eq!(Token::of(&[0xff; 1024]), Token(0x0eff_eb00_0de1_b929));
    }

    #[test]
    fn the_hash_tag_follows_redis_cluster_in_every_corner() {
        let cases: [(&str, Option<&str>); 14] = [
            ("", None),
            ("plain", None),
            ("{user1000}.following", Some("user1000")),
            ("a{b}c", Some("b")),
            ("{a}{b}", Some("a")),
            ("foo{}{bar}", None),
            ("foo{{bar}}zap", Some("{bar")),
            ("foo{bar}{zap}", Some("bar")),
            ("{", None),
            ("}", None),
            ("}{", None),
            ("}a{b}", Some("b")),
            ("{abc", None),
            ("{}", None),
        ];
        for (key, tag) in cases {
            assert_eq!(hash_tag(key.as_bytes()), tag.map(str::as_bytes), "{key}");
        }
    }

    #[test]
    fn a_token_is_shown_as_sixteen_digits() {
        assert_eq!(Token(0xab).to_string(), "00000000000000ab");
    }

    proptest! {
        #[test]
        fn keys_with_one_tag_share_a_token(
            before in "[^{]{0,9}",
            tag in "[^}]{1,9}",
            after in ".{0,9}",
        ) {
            let key = format!("{before}{{{tag}}}{after}");
            let of_the_tag = Token::from_digest(&blake3::hash(tag.as_bytes()));
            prop_assert_eq!(Token::of(key.as_bytes()), of_the_tag);
        }

        #[test]
        fn a_key_without_a_brace_is_hashed_whole(key in "[^{]{0,40}") {
            let of_the_whole = Token::from_digest(&blake3::hash(key.as_bytes()));
            prop_assert_eq!(Token::of(key.as_bytes()), of_the_whole);
        }
    }
}
