//! What a member says of itself, as entries of gossip: one key for each thing that changes by itself, so that a change
//! spreads alone. Texts are UTF-8, numbers varints.
//!
//! What others say is read defensively. An entry that makes no sense counts as absent, a key that is not known here is
//! ignored, and so is what follows behind what is known in a value: a later version may have put it there.

use std::sync::Arc;

use kvorum_gossip::{Codec, MAX_VALUE_BYTES, Reader, Record};
use kvorum_vclock::Timestamp;

use super::MemberMeta;
use crate::{ActorId, Address, NodeId};

const NAME: &str = "name";
const CLIENT: &str = "client";
const DC: &str = "dc";
const RACK: &str = "rack";
/// Weight, actor and beginning: what never changes while a process lives.
const ABOUT: &str = "about";
const CEILING: &str = "ceiling";
const EPOCH: &str = "epoch";
const CATALOG: &str = "catalog";
const DOUBT: &str = "doubt";
const PULL: &str = "pull";
const BYTES: &str = "bytes";
const FOUNDING: &str = "founding";

/// The longest name, data centre, rack or address that is believed.
const MAX_WORD_BYTES: usize = 255;
/// The store's size is told anew when it has changed by one part in so many.
const BYTES_PART: u64 = 20;

/// Whether a view shows what that entry tells.
pub(super) fn is_shown(key: &str) -> bool {
    !matches!(key, CEILING | PULL | BYTES)
}

/// Whether the store's size has changed by enough for the others to be told.
pub(super) fn is_worth_telling(told: u64, bytes: u64) -> bool {
    told.abs_diff(bytes) > told / BYTES_PART
}

/// All entries; those without a value are not there.
pub(super) fn entries(meta: &MemberMeta) -> [(&'static str, Option<Vec<u8>>); 12] {
    let some = |number: u64| (number > 0).then(|| numbers([number]));
    let mut about = numbers([meta.weight.into()]);
    meta.actor.0.to_be_bytes().encode(&mut about);
    meta.since_ms.encode(&mut about);
    [
        (NAME, Some(text(&meta.name))),
        (CLIENT, Some(text(&meta.client))),
        (DC, Some(text(&meta.dc))),
        (RACK, Some(text(&meta.rack))),
        (ABOUT, Some(about)),
        (CEILING, some(meta.ceiling.to_bits())),
        (EPOCH, some(meta.epoch)),
        (CATALOG, some(meta.catalog)),
        (DOUBT, meta.in_doubt.as_deref().map(text)),
        (PULL, (meta.to_pull > 0).then(|| numbers([meta.pulled.into(), meta.to_pull.into()]))),
        (BYTES, some(meta.bytes)),
        (FOUNDING, some(meta.founding.into())),
    ]
}

fn numbers<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers.iter().for_each(|number| number.encode(&mut bytes));
    bytes
}

/// As much of it as an entry holds.
fn text(text: &str) -> Vec<u8> {
    text.as_bytes()[..text.floor_char_boundary(MAX_VALUE_BYTES)].to_vec()
}

/// What a member says of itself, as far as it is known.
///
/// Who it is comes in several entries, and a part of them may come later. Until all are there it is called by its id, and
/// is nobody's actor and takes no data.
pub(super) fn read(id: NodeId, record: &Record<NodeId, Address>) -> MemberMeta {
    let get = |key: &str| record.get(key).map(|value| &**value);
    let word = |key: &str| get(key).and_then(word);
    let number = |key: &str| get(key).and_then(|value| Reader::new(value).number().ok()).unwrap_or(0);
    let about = get(ABOUT).and_then(about);
    let is_complete = about.is_some() && [NAME, CLIENT, DC, RACK].iter().all(|key| word(key).is_some());
    let About { weight, actor, since_ms } = about.filter(|_| is_complete).unwrap_or_default();
    let (pulled, to_pull) = get(PULL).and_then(pull).unwrap_or_default();
    MemberMeta {
        name: word(NAME).unwrap_or_else(|| id.to_string().into()),
        client: word(CLIENT).unwrap_or_default(),
        dc: word(DC).unwrap_or_default(),
        rack: word(RACK).unwrap_or_default(),
        weight,
        actor,
        since_ms,
        ceiling: Timestamp::from_bits(number(CEILING)),
        // Why is for people; that it is in doubt counts, however it is said.
        in_doubt: get(DOUBT).map(|why| String::from_utf8_lossy(why).into()),
        epoch: number(EPOCH),
        catalog: number(CATALOG),
        pulled,
        to_pull,
        bytes: number(BYTES),
        founding: u32::try_from(number(FOUNDING)).unwrap_or(0),
    }
}

/// The process that said it, and when that began; none if the record does not tell.
pub(super) fn process(record: &Record<NodeId, Address>) -> Option<(u64, ActorId)> {
    record.get(ABOUT).and_then(|value| about(value)).map(|about| (about.since_ms, about.actor))
}

#[derive(Clone, Copy)]
struct About {
    weight: u32,
    actor: ActorId,
    since_ms: u64,
}

impl Default for About {
    fn default() -> Self {
        Self { weight: 0, actor: ActorId(0), since_ms: 0 }
    }
}

fn about(value: &[u8]) -> Option<About> {
    let mut reader = Reader::new(value);
    let weight = u32::try_from(reader.number().ok()?).ok()?;
    let actor = ActorId(u64::from_be_bytes(<[u8; 8]>::decode(&mut reader).ok()?));
    Some(About { weight, actor, since_ms: reader.number().ok()? })
}

fn pull(value: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader::new(value);
    let mut next = || u32::try_from(reader.number().ok()?).ok();
    Some((next()?, next()?))
}

/// It stands in logs and lists.
fn word(value: &[u8]) -> Option<Arc<str>> {
    let text = core::str::from_utf8(value).ok()?;
    let is_word = (1..=MAX_WORD_BYTES).contains(&text.len()) && !text.contains(char::is_control);
    is_word.then(|| text.into())
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use kvorum_gossip::{Config, Gossip, Setup};

    use super::*;

    const ID: NodeId = NodeId(0xab);

    fn full() -> MemberMeta {
        MemberMeta {
            name: "n1".into(),
            client: "c:1".into(),
            dc: "dc1".into(),
            rack: "r1".into(),
            weight: 3,
            actor: ActorId(u64::MAX - 4),
            since_ms: 1 << 40,
            ceiling: Timestamp::from_bits(u64::MAX),
            in_doubt: Some("why".into()),
            epoch: 5,
            catalog: 11,
            pulled: 15,
            to_pull: 16,
            bytes: 1 << 50,
            founding: 7,
        }
    }

    /// What others read of a member with these entries.
    fn seen<'a>(entries: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> MemberMeta {
        let mut gossip = Gossip::new(Config::default(), Setup::new(ID, Address::from("p:1")), Duration::ZERO).unwrap();
        for (key, value) in entries {
            gossip.set(key, value).unwrap();
        }
        read(ID, gossip.member(&ID).unwrap().record())
    }

    fn present(meta: &MemberMeta) -> impl Iterator<Item = (&'static str, Vec<u8>)> + use<> {
        entries(meta).into_iter().filter_map(|(key, value)| Some((key, value?)))
    }

    #[test]
    fn what_a_member_says_is_what_others_read() {
        let plain = MemberMeta {
            ceiling: Timestamp::MIN,
            in_doubt: None,
            epoch: 0,
            catalog: 0,
            pulled: 0,
            to_pull: 0,
            bytes: 0,
            founding: 0,
            ..full()
        };
        assert_eq!(present(&plain).count(), 5, "what there is nothing to say of takes no room");
        for meta in [full(), plain] {
            assert_eq!(seen(present(&meta)), meta);
        }
    }

    #[test]
    fn an_entry_that_makes_no_sense_counts_as_absent_whatever_its_bytes() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut byte = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_le_bytes()[3]
        };
        for (key, value) in present(&full()) {
            for round in 0..200 {
                let garbage: Vec<u8> = match round {
                    0 => Vec::new(),
                    1 => vec![0xff; 512],
                    _ => (0..usize::from(byte()) % 20).map(|_| byte()).collect(),
                };
                let others = present(&full()).filter(|(other, _)| *other != key);
                let read = seen(others.chain([(key, garbage)]));
                assert!(!read.name.is_empty(), "a member is always called something");
                let is_whole = read.actor != ActorId(0) && read.weight > 0;
                assert!(!is_whole || !read.client.is_empty() && !read.dc.is_empty() && !read.rack.is_empty());
            }
            // Cut short it never becomes something else.
            for len in 0..value.len() {
                let others = present(&full()).filter(|(other, _)| *other != key);
                seen(others.chain([(key, value[..len].to_vec())]));
            }
        }
        let numbers = seen(present(&full()).map(|(key, value)| match key {
            EPOCH | CATALOG | BYTES | FOUNDING | PULL => (key, vec![0x80]),
            _ => (key, value),
        }));
        let zero = MemberMeta { epoch: 0, catalog: 0, bytes: 0, founding: 0, pulled: 0, to_pull: 0, ..full() };
        assert_eq!(numbers, zero);
    }

    #[test]
    fn who_has_said_a_part_of_itself_takes_no_part_yet() {
        for missing in [NAME, CLIENT, DC, RACK, ABOUT] {
            let read = seen(present(&full()).filter(|(key, _)| *key != missing));
            assert_eq!((read.weight, read.actor, read.since_ms), (0, ActorId(0), 0), "without {missing}");
        }
        let nobody = seen([]);
        assert_eq!((&*nobody.name, &*nobody.client), ("00000000000000ab", ""));
        let evil = seen(present(&full()).map(|(key, value)| (key, if key == NAME { b"a\nb".to_vec() } else { value })));
        assert_eq!(&*evil.name, "00000000000000ab", "no line of a log is forged");
    }

    #[test]
    fn later_versions_may_say_more_and_earlier_ones_less() {
        let later = present(&full()).map(|(key, mut value)| {
            if matches!(key, ABOUT | EPOCH | PULL) {
                value.extend([1, 2, 3]);
            }
            (key, value)
        });
        assert_eq!(seen(later.chain([("mood", vec![7])])), full());
        let earlier = present(&full()).filter(|(key, _)| !matches!(*key, CATALOG | PULL | BYTES));
        assert_eq!(seen(earlier), MemberMeta { catalog: 0, pulled: 0, to_pull: 0, bytes: 0, ..full() });
    }

    #[test]
    fn long_texts_are_cut_to_what_an_entry_holds() {
        let meta = MemberMeta { in_doubt: Some("ä".repeat(400).into()), ..full() };
        assert_eq!(seen(present(&meta)).in_doubt.map(|why| why.chars().count()), Some(256));
    }

    #[test]
    fn the_store_s_size_is_told_when_it_has_changed_by_some_percent() {
        assert!(is_worth_telling(0, 1));
        assert!(!is_worth_telling(1_000_000, 1_000_000));
        assert!(!is_worth_telling(1_000_000, 1_040_000) && !is_worth_telling(1_000_000, 960_000));
        assert!(is_worth_telling(1_000_000, 1_060_000) && is_worth_telling(1_000_000, 900_000));
    }
}
