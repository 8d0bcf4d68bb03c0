//! Who can read what.

use super::*;
use crate::member::Incarnation;
use crate::message::{Digest, MessageKind};
use proptest::prelude::*;
use std::string::ToString;
use std::vec;

type Packet = Message<u32, u32>;

fn message() -> Packet {
    let sender = Digest { id: 1, incarnation: Incarnation(2), heartbeat: 3, version: 4 };
    let (deltas, digests, wanted) = (vec![], vec![], vec![]);
    Message { kind: MessageKind::Syn, sender, address: 5, members: 1, list: 0, deltas, digests, range: None, wanted }
}

fn tag(name: &str) -> ClusterTag {
    ClusterTag::new(name.as_bytes()).unwrap()
}

#[test]
fn the_bytes_of_an_envelope_are_these() {
    let body = [&[0, 1, 2, 3, 4, 5, 1][..], &[0; 8], &[0; 4]].concat();
    let plain = Envelope::new(tag("ab")).seal(&message());
    assert_eq!(plain, [&[1, 0, 2, b'a', b'b'][..], &body].concat());
    let sealed = Envelope::new(tag("ab")).with_key([9; 32]).seal(&message());
    let signed = [&[1, 1, 2, b'a', b'b'][..], &body].concat();
    let code = blake3::keyed_hash(&[9; 32], &signed);
    assert_eq!(sealed, [&signed[..], &code.as_bytes()[..16]].concat());
}

#[test]
fn each_reason_to_refuse_has_its_name() {
    let ours = Envelope::new(tag("ours"));
    let keyed = ours.clone().with_key([1; 32]);
    let open = |envelope: &Envelope, bytes: &[u8]| envelope.open::<u32, u32>(bytes);
    let bytes = ours.seal(&message());
    assert_eq!(open(&ours, &bytes), Ok(message()));
    assert_eq!(open(&keyed, &bytes), Err(OpenError::NotAuthenticated));
    let error = open(&Envelope::new(tag("theirs")), &bytes).unwrap_err();
    assert_eq!(error.to_string(), "the message belongs to cluster ours");
    let sealed = keyed.seal(&message());
    assert_eq!(open(&keyed, &sealed), Ok(message()));
    assert_eq!(open(&ours, &sealed), Err(OpenError::NoKeyHere));
    assert_eq!(open(&ours.clone().with_key([2; 32]), &sealed), Err(OpenError::NotAuthenticated));
    let other = Envelope::new(tag("theirs")).with_key([3; 32]);
    assert_eq!(open(&other, &sealed), Err(OpenError::OtherCluster(tag("ours"))), "rather than a wrong key");
    assert_eq!(open(&ours, &[2, 0, 0]), Err(OpenError::UnknownVersion(2)));
    assert_eq!(open(&ours, &[]), Err(OpenError::Malformed(DecodeError::Truncated)));
    assert_eq!(open(&ours, &bytes[..8]), Err(OpenError::Malformed(DecodeError::Truncated)));
    assert_eq!(open(&keyed, &sealed[..10]), Err(OpenError::Malformed(DecodeError::Truncated)));
    assert_eq!(open(&ours, &[1, 7]), Err(OpenError::Malformed(DecodeError::UnknownTag(7))));
}

#[test]
fn a_newcomer_is_let_in_and_learns_where_it_is_but_not_by_another_newcomer() {
    let (newcomer, member) = (Envelope::new(ClusterTag::default()), Envelope::new(7.into()));
    let bytes = newcomer.seal(&message());
    assert_eq!(member.open(&bytes), Ok(message()));
    assert_eq!(newcomer.open::<u32, u32>(&bytes), Err(OpenError::OtherCluster(ClusterTag::default())));
    let answer = member.seal(&message());
    assert_eq!(newcomer.open(&answer), Ok(message()));
    assert_eq!(Envelope::tag_of(&answer), Some(7.into()));
    assert_eq!(Envelope::tag_of(b"no message"), None);
}

#[test]
fn tags_and_envelopes_show_what_may_be_seen() {
    assert_eq!(tag("prod-1").to_string(), "prod-1");
    assert_eq!(ClusterTag::from(255).to_string(), "000000000000000000000000000000ff");
    assert_eq!(ClusterTag::default().to_string(), "(none yet)");
    assert_eq!(ClusterTag::new(&[0; 17]), None);
    let shown = std::format!("{:?}", Envelope::new(tag("x")).with_key([42; 32]));
    assert!(shown.contains("secret") && !shown.contains("42"), "{shown}");
}

proptest! {
    #[test]
    fn no_changed_byte_goes_unnoticed(at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let envelope = Envelope::new(tag("ours")).with_key([1; 32]);
        let mut bytes = envelope.seal(&message());
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(envelope.open::<u32, u32>(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_opened_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let opened = Envelope::new(tag("ours")).open::<u32, u32>(&[&[1, 0, 4][..], b"ours", &bytes].concat());
        prop_assert!(opened.is_ok() || matches!(opened, Err(OpenError::Malformed(_))));
        let _ = Envelope::tag_of(&bytes);
    }
}
