//! Owns the keys: `user` and the record's number in twelve digits, as YCSB with ordered inserts and zero padding.

use bytes::{Bytes, BytesMut};

/// The twelve digits' worth.
pub(crate) const MAX_RECORDS: u64 = 1_000_000_000_000;

const PREFIX: &[u8; 4] = b"user";
const LENGTH: usize = 16;
/// Keys are cut from pieces of this length, so that most cost no allocation.
const PIECE: usize = 64 * 1024;

/// Makes keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    piece: BytesMut,
}

impl Keys {
    /// The key of a record.
    pub(crate) fn key(&mut self, record: u64) -> Bytes {
        if self.piece.capacity() < LENGTH {
            self.piece = BytesMut::with_capacity(PIECE);
        }
        self.piece.extend_from_slice(&format(record));
        self.piece.split().freeze()
    }
}

/// Without the formatting machinery, which would cost more than the rest of the operation's preparation.
fn format(record: u64) -> [u8; LENGTH] {
    assert!(record < MAX_RECORDS, "record numbers have twelve digits");
    let mut key = [0; LENGTH];
    key[..PREFIX.len()].copy_from_slice(PREFIX);
    let mut rest = record;
    for digit in key[PREFIX.len()..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_user_and_twelve_digits() {
        let mut keys = Keys::default();
        for record in [0, 7, 42, 1_234_567_890, MAX_RECORDS - 1] {
            assert_eq!(keys.key(record), std::format!("user{record:012}"));
        }
    }

    #[test]
    fn keys_stay_what_they_are_while_more_are_made() {
        let mut keys = Keys::default();
        let made: Vec<Bytes> = (0..10_000).map(|record| keys.key(record)).collect();
        assert!(made.iter().zip(0u64..).all(|(key, record)| *key == std::format!("user{record:012}")));
    }
}
