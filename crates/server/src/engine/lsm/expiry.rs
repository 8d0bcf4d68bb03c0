//! What becomes of expired values when they are compacted: the value goes, the version stays.
//!
//! An expired cell reads as a tombstone with the same dot. It may not be dropped whole: another replica may still hold an older version of the
//! key, which would come back. Without its value it is a few bytes, sorts above every older version as before, and keeps its
//! expiry. As it is judged by wall clocks, which differ, a value is taken only when it has been expired for so long that every clock
//! within the allowed drift agrees.

use bytes::Bytes;
use kvorum_lsm::{CompactionFilter, Decision};
use kvorum_node::{RECORD_OVERHEAD, Record};

use crate::engine::Expiry;

impl CompactionFilter for Expiry {
    fn decide(&self, _key: &[u8], value: &[u8]) -> Decision {
        stripped(value, self).map_or(Decision::Keep, Decision::Replace)
    }
}

/// An expired record without its value; none if there is nothing to take away.
fn stripped(stored: &[u8], expiry: &Expiry) -> Option<Vec<u8>> {
    let expired_by = (expiry.unix_ms)().checked_sub(expiry.grace_ms)?;
    // The head of an `lww` record is a record with less of the value, or none: most values are not copied to be looked at.
    let head = &stored[..stored.len().min(RECORD_OVERHEAD)];
    let record = match Record::parse(Bytes::copy_from_slice(head)) {
        Ok(head) if !head.is_causal() => head,
        _ => Record::parse(Bytes::copy_from_slice(stored)).ok()?,
    };
    Some(record.without_expired(expired_by)?.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kvorum_node::ActorId;
    use kvorum_vclock::{Dot, Timestamp};

    use super::*;

    const NOW: u64 = 1_000_000;
    const GRACE: u64 = 60_000;

    fn decide(value: Option<&[u8]>, expires_at_ms: Option<u64>) -> (Record, Decision) {
        let expiry = Expiry { unix_ms: Arc::new(|| NOW), grace_ms: GRACE };
        let dot = Dot { time: Timestamp::from_bits(7), actor: ActorId(3) };
        let record = Record::lww(dot, value, expires_at_ms);
        let decision = expiry.decide(b"key", record.as_bytes());
        (record, decision)
    }

    #[test]
    fn only_a_value_that_expired_long_enough_ago_is_taken() {
        for value in [&b"v"[..], b"", &[7; 5000]] {
            let (record, decision) = decide(Some(value), Some(NOW - GRACE));
            let Decision::Replace(stored) = decision else { panic!("{decision:?}") };
            let left = Record::parse(stored.into()).unwrap();
            let version = kvorum_node::Version { value: None, ..record.versions().next().unwrap() };
            assert_eq!(left.versions().collect::<Vec<_>>(), [version]);
            assert!(
                left.covers(&record) && !record.covers(&left),
                "replicas that differ in this agree on what is left"
            );
            assert!(!record.is_live(NOW) && !left.is_live(NOW));
            assert_eq!(decide(Some(value), Some(NOW - GRACE + 1)).1, Decision::Keep, "not for long enough");
            assert_eq!(decide(Some(value), None).1, Decision::Keep, "it never expires");
        }
        assert_eq!(decide(None, Some(1)).1, Decision::Keep, "it has lost its value already");
        assert_eq!(decide(Some(b"v"), Some(u64::MAX)).1, Decision::Keep);
    }

    #[test]
    fn what_is_no_record_stays_as_it_is() {
        let expiry = Expiry { unix_ms: Arc::new(|| NOW), grace_ms: GRACE };
        for stored in [&b""[..], b"x", &[9; 40], &[1, 255, 0]] {
            assert_eq!(expiry.decide(b"key", stored), Decision::Keep);
        }
    }
}
