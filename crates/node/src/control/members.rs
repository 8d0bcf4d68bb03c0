//! The members as gossip tells of them: what they say of themselves, decoded beside the gossip; what becomes of them; and
//! what this node says of itself. What follows for layout, keyspaces and tenure is decided elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvorum_gossip::{self as gossip, Evidence, Input, State};

use super::events::{EventLog, MemberChange};
use super::{Control, ControlEffect, MemberMeta, Note, meta, note};
use crate::{Address, ControlBody, NodeId, ViewMember};

/// A member as gossip has it.
pub(super) type Member<'a> = gossip::Member<'a, NodeId, Address>;

/// The states by which members are counted.
pub const STATES: [State; 5] = [State::Up, State::Suspect, State::Unreachable, State::Down, State::Left];

/// What the others say of themselves.
#[derive(Debug, Default)]
pub(super) struct Members {
    metas: BTreeMap<NodeId, MemberMeta>,
}

impl Control {
    /// What has happened to the members since the start.
    #[must_use]
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    /// All members with what they say of themselves, this node included.
    pub(super) fn members(&self) -> impl Iterator<Item = (Member<'_>, &MemberMeta)> {
        self.gossip.members().filter_map(|member| Some((member, self.meta_of(member.id())?)))
    }

    /// What a member says of itself.
    pub(super) fn meta_of(&self, id: &NodeId) -> Option<&MemberMeta> {
        if *id == self.me { Some(&self.meta) } else { self.members.metas.get(id) }
    }

    pub(super) fn name_of(&self, id: NodeId) -> String {
        self.meta_of(&id).map_or_else(|| id.to_string(), |meta| meta.name.to_string())
    }

    /// Tells the others what has changed in what this node says of itself.
    pub(super) fn tell_meta(&mut self) {
        self.view_is_stale = true;
        for (key, value) in meta::entries(&self.meta) {
            match value {
                Some(value) => drop(self.gossip.set(key, value).expect("an entry keeps to the limits of gossip")),
                None => drop(self.gossip.remove(key)),
            }
        }
    }

    /// The bytes that the store takes. The others are told seldom.
    pub(super) fn measured(&mut self, bytes: u64) {
        if meta::is_worth_telling(self.meta.bytes, bytes) {
            self.meta.bytes = bytes;
            self.tell_meta();
        }
    }

    /// Hands something to gossip, and does what it wants.
    pub(super) fn gossips(&mut self, input: Input<NodeId, Address>, out: &mut impl Extend<ControlEffect>) {
        let mut effects = Vec::new();
        self.gossip.handle(self.now.elapsed, input, &mut effects);
        self.carry_out(effects, out);
    }

    /// The connection to an address is there, or is gone. Gossip hears of it when that is news about a member.
    pub(super) fn lane(&mut self, address: &Address, is_up: bool, out: &mut impl Extend<ControlEffect>) {
        let is_there = |member: &Member<'_>| member.address() == address && *member.id() != self.me;
        let there: Vec<_> = self.gossip.members().filter(is_there).collect();
        let inputs: Vec<_> = if is_up {
            let is_news = there.iter().any(|member| !member.state().is_live());
            is_news.then(|| Input::Contact(Address::clone(address))).into_iter().collect()
        } else {
            let live = there.iter().filter(|member| member.state().is_live());
            live.map(|member| Input::Evidence { id: *member.id(), evidence: Evidence::Failed }).collect()
        };
        inputs.into_iter().for_each(|input| self.gossips(input, out));
    }

    pub(super) fn carry_out(
        &mut self,
        effects: Vec<gossip::Effect<NodeId, Address>>,
        out: &mut impl Extend<ControlEffect>,
    ) {
        for effect in &effects {
            if let gossip::Effect::Event(
                gossip::Event::Joined { id } | gossip::Event::Restarted { id } | gossip::Event::MetaChanged { id, .. },
            ) = effect
            {
                self.read(*id);
            }
        }
        for effect in effects {
            match effect {
                gossip::Effect::Send { to, message } => self.send(to, ControlBody::Gossip(message), out),
                gossip::Effect::Event(event) => self.event(event, out),
            }
        }
    }

    /// Reads anew what a member says of itself.
    fn read(&mut self, id: NodeId) {
        if let Some(member) = self.gossip.member(&id).filter(|_| id != self.me) {
            self.members.metas.insert(id, meta::read(id, member.record()));
        }
    }

    fn event(&mut self, event: gossip::Event<NodeId, Address>, out: &mut impl Extend<ControlEffect>) {
        let quiet =
            matches!(&event, gossip::Event::MetaChanged { keys, .. } if !keys.iter().any(|key| meta::is_shown(key)));
        self.view_is_stale |= !quiet;
        match event {
            gossip::Event::Joined { id } => self.arrived(id, MemberChange::Joined, out),
            gossip::Event::Restarted { id } => self.arrived(id, MemberChange::Restarted, out),
            gossip::Event::MetaChanged { id, .. } | gossip::Event::AddressChanged { id } => self.remember(id),
            gossip::Event::StateChanged { id, from, to } => {
                self.log(id, MemberChange::State { from, to });
                note(out, Note::MemberChanged { name: self.name_of(id), from, to });
            }
            gossip::Event::Forgotten { id } => {
                self.log(id, MemberChange::Forgotten);
                self.members.metas.remove(&id);
                self.tenure.forget(id);
                self.unsaved |= self.known.remove(&id).is_some();
            }
            gossip::Event::Refuted { .. } => {
                self.events.refuted();
                note(out, Note::Refuted);
            }
            gossip::Event::Superseded { incarnation, record } => {
                self.events.superseded();
                self.superseded(self.now, incarnation, record, out);
            }
        }
    }

    fn arrived(&mut self, id: NodeId, change: MemberChange, out: &mut impl Extend<ControlEffect>) {
        self.remember(id);
        self.log(id, change);
        note(out, Note::MemberJoined { name: self.name_of(id), id });
    }

    fn log(&mut self, id: NodeId, change: MemberChange) {
        let name: Arc<str> = self.name_of(id).into();
        self.events.add(self.now.unix_ms, id, name, change);
    }

    fn remember(&mut self, id: NodeId) {
        let Some(member) = self.gossip.member(&id).filter(|_| id != self.me) else { return };
        let address = Address::clone(member.address());
        if let Some(meta) = self.members.metas.get(&id) {
            self.tenure.remember(id, &address, meta, self.now.elapsed);
        }
        let before = self.known.insert(id, Address::clone(&address));
        self.unsaved |= before != Some(address);
    }

    /// How many members there are in each state.
    pub(super) fn states(&self) -> [u64; STATES.len()] {
        let mut counts = [0; STATES.len()];
        for member in self.gossip.members() {
            let place = STATES.iter().position(|state| *state == member.state());
            place.into_iter().for_each(|place| counts[place] += 1);
        }
        counts
    }
}

pub(super) fn view_member(member: Member<'_>, meta: &MemberMeta) -> ViewMember {
    ViewMember {
        name: Arc::clone(&meta.name),
        peer: Address::clone(member.address()),
        client: Address::clone(&meta.client),
        actor: meta.actor,
        dc: Arc::clone(&meta.dc),
        state: member.state(),
        catalog: meta.catalog,
        in_doubt: meta.in_doubt.is_some(),
    }
}
