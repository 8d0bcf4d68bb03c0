//! Messages there and back, their bytes, and bytes that are no messages.

use super::*;
use proptest::prelude::*;
use std::string::String;
use std::vec;

type Packet = Message<u32, String>;

fn digest(id: u32) -> Digest<u32> {
    Digest { id, incarnation: Incarnation(2), heartbeat: 300, version: 4 }
}

fn record() -> Record<u32, String> {
    let mut record = Record::new(Incarnation(2), String::from("h:1"));
    record.put(0, Content::Meta { key: "rack".into(), value: b"r1"[..].into() });
    record.put(1, Content::Suspicion(Suspicion { target: 9, incarnation: Incarnation(1), heartbeat: 200 }));
    record.put(0, Content::Empty);
    record.put(0, Content::Meta { key: "dc".into(), value: b"x"[..].into() });
    record
}

fn delta(record: Record<u32, String>, after: u64) -> Delta<u32, String> {
    Delta { id: 7, heartbeat: 5, after, upto: record.version, record: Arc::new(record), whole: true }
}

fn message() -> Packet {
    Message {
        kind: MessageKind::Ack,
        sender: digest(1),
        address: "h:1".into(),
        members: 3,
        list: 0x0102,
        deltas: vec![delta(record(), 0)],
        digests: vec![digest(5)],
        range: Some(Range { after: Some(6), digests: vec![digest(7)], to_end: true }),
        wanted: vec![digest(8)],
    }
}

fn bytes(message: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    assert_eq!(bytes.len(), message.encoded_len());
    bytes
}

#[test]
fn the_bytes_of_a_message_are_these() {
    let digest = |id| [id, 2, 0xac, 2, 4];
    let expected = [
        &[1][..],                  // Ack
        &digest(1),                // the sender
        b"\x03h:1",                // its address
        &[3],                      // members
        &[2, 1, 0, 0, 0, 0, 0, 0], // list
        &[1],                      // one delta
        &[7, 2, 5, 5, 0],          // id, incarnation, heartbeat, upto, after
        &[0, 1],                   // not left, version of the address
        b"\x03h:1",
        &[2],                      // two entries
        &[1, 3, 2, 9, 1, 0xc8, 1], // slot 1, version 3: a suspicion of 9 in incarnation 1 at 200
        &[0, 5, 1],                // slot 0, version 5: metadata
        b"\x02dc\x01x",
        &[1], // one digest
        &digest(5),
        &[1, 1, 6, 1, 1], // a range after 6 to the end, one digest
        &digest(7),
        &[1], // one wanted
        &digest(8),
    ];
    assert_eq!(bytes(&message()), expected.concat());
}

#[test]
fn a_message_comes_back() {
    let message = message();
    assert_eq!(Packet::decode(&bytes(&message)), Ok(message.clone()));
    let mut other = message.clone();
    other.deltas = vec![delta(record(), 3)];
    other.range = None;
    let decoded = Packet::decode(&bytes(&other)).unwrap();
    assert_eq!(decoded, other, "a delta is what lies between its versions");
    assert_ne!(decoded, message);
    assert!(!decoded.deltas[0].whole);
}

#[test]
fn no_beginning_of_a_message_is_one_and_nothing_may_follow() {
    let mut bytes = bytes(&message());
    for len in 0..bytes.len() {
        assert_eq!(Packet::decode(&bytes[..len]), Err(DecodeError::Truncated), "{len}");
    }
    bytes.push(0);
    assert_eq!(Packet::decode(&bytes), Err(DecodeError::TrailingBytes(1)));
}

#[test]
fn counts_are_not_believed() {
    let mut message = message();
    (message.deltas, message.digests, message.range, message.wanted) = (vec![], vec![], None, vec![]);
    let bytes = bytes(&message);
    let head = &bytes[..bytes.len() - 4];
    let huge = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    for lists in 0..4 {
        let forged = [head, &[0, 0, 0, 0][..lists], &huge].concat();
        let error = Packet::decode(&forged).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated | DecodeError::UnknownTag(255)), "{error}");
    }
}

#[test]
fn entries_lie_within_their_delta() {
    let forged = |slot: usize, version: u64, upto: u64| {
        let mut record = Record::new(Incarnation(2), String::from("h:1"));
        record.place(slot, Slot { version, content: Content::Empty });
        record.version = upto;
        let mut message = message();
        let mut delta = delta(record, 3);
        delta.upto = upto.max(version);
        let at = delta_head(&delta);
        message.deltas = vec![delta];
        let mut bytes = bytes(&message);
        let start = 1 + 5 + 4 + 1 + 8 + 1;
        bytes[start + at] = upto as u8;
        Packet::decode(&bytes)
    };
    // The byte of `upto` within a delta: after the id, the incarnation and the heartbeat.
    fn delta_head(_: &Delta<u32, String>) -> usize {
        3
    }
    assert!(forged(0, 5, 5).is_ok());
    assert_eq!(forged(0, 6, 5), Err(DecodeError::VersionOutOfRange));
    assert_eq!(forged(0, 4, 2), Err(DecodeError::VersionOutOfRange), "it ends before it begins");
    assert_eq!(forged(MAX_SLOTS, 5, 5), Err(DecodeError::TooLong { limit: MAX_SLOTS }));
}

#[test]
fn a_delta_is_cut_in_the_order_of_versions() {
    let mut record = Record::new(Incarnation(1), String::from("h:1"));
    for slot in (0..20).rev() {
        record.put(slot, Content::Meta { key: "key".into(), value: vec![0; 50].into() });
    }
    let whole = delta(record, 0);
    let mut held: Option<Arc<Record<u32, String>>> = None;
    let mut pieces = 0;
    while held.as_ref().is_none_or(|held| held.version < whole.record.version) {
        let mut piece = Delta { after: held.as_ref().map_or(0, |it| it.version), ..whole.clone() };
        let len = fit(&mut piece, 300).unwrap();
        assert_eq!(len, delta_len(&piece));
        assert!(len <= 300);
        // Through its bytes, as it would travel.
        let sent = Message { deltas: vec![piece], ..message() };
        let piece = Packet::decode(&bytes(&sent)).unwrap().deltas.remove(0);
        match &mut held {
            None => held = Record::begin(&piece),
            Some(held) => drop(held.join(&piece)),
        }
        pieces += 1;
    }
    assert_eq!(pieces, 5);
    assert_eq!(held.as_deref(), Some(&*whole.record));
    assert_eq!(fit(&mut whole.clone(), 40), None, "not even one entry");
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = Packet::decode(&bytes) {
            let mut again = Vec::new();
            message.encode(&mut again);
            prop_assert_eq!(Packet::decode(&again), Ok(message));
        }
    }

    /// Most of these are nearly messages.
    #[test]
    fn changed_bytes_are_a_message_or_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = bytes(&message());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut.index(4) == 0 {
            bytes.remove(cut.index(bytes.len()));
        }
        if let Ok(message) = Packet::decode(&bytes) {
            let mut again = Vec::new();
            message.encode(&mut again);
            prop_assert_eq!(again.len(), message.encoded_len());
            prop_assert_eq!(Packet::decode(&again), Ok(message));
        }
    }
}
