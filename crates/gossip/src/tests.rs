//! Tests of the whole machine: alone (`machine`), against odd input (`hostile`), and as clusters in
//! virtual time (`cluster`, `forgetting`) on a simulated `network`.

mod cluster;
mod forgetting;
mod hostile;
mod machine;
mod network;

use core::time::Duration;
use std::vec::Vec;

use crate::{Config, Details, Effect, Event, Gossip, Incarnation, Message, Profile, Update};

type Node = Gossip<u32, u32, u32>;
type Effects = Vec<Effect<u32, u32, u32>>;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Node `id` listens at this address.
fn address(id: u32) -> u32 {
    10_000 + id
}

fn profile(id: u32, meta: u32) -> Profile<u32, u32> {
    Profile { address: address(id), meta }
}

fn node(id: u32, incarnation: u64, seeds: &[u32], now: Duration) -> Node {
    let seeds = seeds.iter().copied().map(address).collect();
    let profile = profile(id, 0);
    let incarnation = Incarnation(incarnation);
    let seed = u64::from(id);
    let config = Config::default();
    Gossip::new(config, id, incarnation, profile, seeds, Vec::new(), seed, now)
}

/// What a member says of itself, as others repeat it.
fn update(id: u32, incarnation: u64, heartbeat: u64, version: u64) -> Update<u32, u32, u32> {
    Update {
        id,
        incarnation: Incarnation(incarnation),
        heartbeat,
        left: false,
        details: Some(Details { version, profile: profile(id, 0), suspects: Vec::new() }),
    }
}

fn ack2(updates: impl Into<Vec<Update<u32, u32, u32>>>) -> Message<u32, u32, u32> {
    Message::Ack2 { updates: updates.into() }
}

fn events(effects: &Effects) -> Vec<Event<u32, u32, u32>> {
    let events = effects.iter().filter_map(|effect| match effect {
        Effect::Event(event) => Some(event.clone()),
        Effect::Send { .. } => None,
    });
    events.collect()
}
