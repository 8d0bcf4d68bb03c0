//! Tests of one machine alone: what it does (`machine`), what it says of itself and hears of itself (`own`), how it meets
//! odd and hostile input (`hostile`), whom it has forgotten (`zombies`). Whole clusters are in `tests/cluster`.

mod hostile;
mod machine;
mod own;
mod zombies;

use alloc::sync::Arc;
use core::time::Duration;
use std::vec;
use std::vec::Vec;

use crate::record::{Content, Record, Suspicion};
use crate::{Config, Delta, Digest, Effect, Event, Gossip, Incarnation, Input, Message, MessageKind, Setup, State};

type Node = Gossip<u32, u32>;
type Packet = Message<u32, u32>;
type Effects = Vec<Effect<u32, u32>>;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Node `id` listens at this address.
fn address(id: u32) -> u32 {
    10_000 + id
}

fn node(id: u32, incarnation: u64, seeds: &[u32]) -> Node {
    let seeds = seeds.iter().copied().map(address).collect();
    let incarnation = Incarnation(incarnation);
    let setup = Setup { incarnation, seeds, random_seed: u64::from(id), ..Setup::new(id, address(id)) };
    Gossip::new(Config::default(), setup, ms(0)).unwrap()
}

/// What a member says, from the beginning, with one entry per version after the first.
fn record(id: u32, incarnation: u64, version: u64) -> Record<u32, u32> {
    let mut record = Record::new(Incarnation(incarnation), address(id));
    for entry in 2..=version {
        let key = std::format!("key {}", entry % 3);
        record.put((entry % 3) as usize, Content::Meta { key: key.into(), value: vec![entry as u8].into() });
    }
    record
}

fn delta_of(id: u32, heartbeat: u64, record: Record<u32, u32>) -> Delta<u32, u32> {
    Delta { id, heartbeat, after: 0, upto: record.version, record: Arc::new(record), whole: true }
}

fn delta(id: u32, incarnation: u64, heartbeat: u64, version: u64) -> Delta<u32, u32> {
    delta_of(id, heartbeat, record(id, incarnation, version))
}

/// A member that suspects these, each in an incarnation and at a counter.
fn accuser(id: u32, heartbeat: u64, targets: &[(u32, u64, u64)]) -> Delta<u32, u32> {
    let mut record = record(id, 1, 1);
    for (slot, (target, incarnation, heartbeat)) in targets.iter().enumerate() {
        let (target, incarnation, heartbeat) = (*target, Incarnation(*incarnation), *heartbeat);
        record.put(slot, Content::Suspicion(Suspicion { target, incarnation, heartbeat }));
    }
    // Its versions grow with what it has to say, so that a later accusation is news.
    record.version += heartbeat;
    delta_of(id, heartbeat, record)
}

fn digest(id: u32, incarnation: u64, heartbeat: u64, version: u64) -> Digest<u32> {
    Digest { id, incarnation: Incarnation(incarnation), heartbeat, version }
}

/// A message of member 99, which the receiver need not know.
fn message(kind: MessageKind, deltas: Vec<Delta<u32, u32>>) -> Packet {
    let (digests, wanted) = (vec![], vec![]);
    let sender = digest(99, 1, 0, 0);
    Message { kind, sender, address: address(99), members: 0, list: 0, deltas, digests, range: None, wanted }
}

/// Tells a node this at that time.
fn told(node: &mut Node, at: u64, deltas: Vec<Delta<u32, u32>>) -> Vec<Event<u32, u32>> {
    let mut out = Vec::new();
    node.handle(ms(at), Input::Message(message(MessageKind::Ack2, deltas)), &mut out);
    events(&out)
}

/// Member `id` itself is heard with this counter.
fn heard(node: &mut Node, at: u64, id: u32, heartbeat: u64) -> Vec<Event<u32, u32>> {
    let mut out = Vec::new();
    let held = node.member(&id).unwrap();
    let sender = digest(id, held.incarnation().0, heartbeat, held.record().version());
    let message = Message { sender, address: address(id), ..message(MessageKind::Ack, vec![]) };
    node.handle(ms(at), Input::Message(message), &mut out);
    events(&out)
}

/// Runs a node's rounds up to a time.
fn run_to(node: &mut Node, at: u64) -> Effects {
    let mut out = Vec::new();
    while let Some(due) = node.next_timeout().filter(|due| *due <= ms(at)) {
        node.handle_timeout(due, &mut out);
    }
    out
}

fn state(node: &Node, id: u32) -> Option<State> {
    node.member(&id).map(|member| member.state())
}

fn events(effects: &Effects) -> Vec<Event<u32, u32>> {
    let events = effects.iter().filter_map(|effect| match effect {
        Effect::Event(event) => Some(event.clone()),
        Effect::Send { .. } => None,
    });
    events.collect()
}

fn sent(effects: &Effects) -> Vec<(u32, &Packet)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message } => Some((*to - address(0), message)),
        Effect::Event(_) => None,
    });
    sent.collect()
}

/// Whom a node says it suspects.
fn suspects(node: &Node) -> Vec<u32> {
    node.member(node.me()).unwrap().record().suspicions().map(|it| it.target).collect()
}
