//! Owns kvorum-gossip's part in the comparison.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use kvorum_gossip::{ClusterTag, Config, Effect, Envelope, Event, Gossip, Input, Setup, State};

use crate::peer::{Change, Micros, Outbox, Peer, Sent, Start, address, at, metadata, name, named, version_of};

const KEY: &str = "meta";

type Effects = Vec<Effect<Arc<str>, SocketAddr>>;

pub(crate) struct Kvorum {
    gossip: Gossip<Arc<str>, SocketAddr>,
    envelope: Envelope,
    effects: Effects,
    me: usize,
}

impl Peer for Kvorum {
    type Packet = Vec<u8>;
    type Settings = Config;

    fn start(config: &Config, start: &Start, _: &mut Outbox<Vec<u8>>) -> Result<Self> {
        let setup = Setup {
            seeds: start.seeds.iter().map(|seed| address(*seed)).collect(),
            random_seed: start.random_seed,
            ..Setup::new(Arc::from(name(start.index)), address(start.index))
        };
        let mut gossip = Gossip::new(config.clone(), setup, Duration::from_micros(start.now))?;
        gossip.set(KEY, metadata(start.index, 1).into_bytes())?;
        let tag = ClusterTag::new(b"benchmark").context("the tag is too long")?;
        Ok(Self { gossip, envelope: Envelope::new(tag), effects: Vec::new(), me: start.index })
    }

    fn next_timeout(&self) -> Micros {
        self.gossip.next_timeout().map_or(Micros::MAX, |due| due.as_micros() as Micros)
    }

    fn handle_timeout(&mut self, now: Micros, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        self.gossip.handle_timeout(Duration::from_micros(now), &mut self.effects);
        self.take_effects(out)
    }

    fn handle_packet(&mut self, now: Micros, _: usize, packet: Vec<u8>, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        let message = self.envelope.open(&packet)?;
        self.gossip.handle(Duration::from_micros(now), Input::Message(message), &mut self.effects);
        self.take_effects(out)
    }

    fn set_version(&mut self, _: Micros, version: u32, _: &mut Outbox<Vec<u8>>) -> Result<()> {
        self.gossip.set(KEY, metadata(self.me, version).into_bytes())?;
        Ok(())
    }

    #[cfg(test)]
    fn live(&self) -> std::collections::BTreeSet<usize> {
        let live = self.gossip.members().filter(|member| member.state().is_live());
        live.filter_map(|member| named(member.id())).filter(|member| *member != self.me).collect()
    }
}

impl Kvorum {
    fn take_effects(&mut self, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => {
                    let packet = self.envelope.seal(&message);
                    out.sent.push(Sent { to: at(to), bytes: packet.len(), packet });
                }
                Effect::Event(event) => self.take_event(event, out)?,
            }
        }
        self.effects = effects;
        Ok(())
    }

    fn take_event(&self, event: Event<Arc<str>, SocketAddr>, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        match event {
            Event::StateChanged { id, to, .. } => {
                let member = named(&id).context("an id that nobody has")?;
                let gone = Change::Gone { member, sure: to != State::Unreachable };
                out.changes.push(if to.is_live() { Change::Live(member) } else { gone });
            }
            Event::Joined { id } => {
                out.changes.push(Change::Live(named(&id).context("an id that nobody has")?));
                self.take_metadata(&id, out)?;
            }
            Event::Restarted { id } | Event::MetaChanged { id, .. } => self.take_metadata(&id, out)?,
            Event::AddressChanged { .. }
            | Event::Forgotten { .. }
            | Event::Refuted { .. }
            | Event::Superseded { .. } => {}
        }
        Ok(())
    }

    fn take_metadata(&self, id: &Arc<str>, out: &mut Outbox<Vec<u8>>) -> Result<()> {
        let bytes = self.gossip.member(id).and_then(|member| member.get(KEY));
        if let Some(version) = bytes.and_then(version_of) {
            let member = named(id).context("an id that nobody has")?;
            out.changes.push(Change::Version { member, version });
        }
        Ok(())
    }
}
