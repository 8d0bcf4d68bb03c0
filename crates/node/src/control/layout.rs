//! The layout: the founder makes the first one, everybody else fetches it, and it holds when it is saved.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use kvorum_gossip::State;

use super::{Control, ControlEffect, Note, PATIENCE, due, note};
use crate::{Address, ControlBody, Layout, LayoutMember};

impl Control {
    /// A save is durable, perhaps the one that carries a layout.
    pub(super) fn layout_saved(&mut self, version: u64, out: &mut impl Extend<ControlEffect>) {
        if self.adopting.as_ref().is_some_and(|(_, saving)| *saving <= version)
            && let Some((layout, _)) = self.adopting.take()
        {
            let share = layout.share(self.me);
            note(out, Note::LayoutAdopted { epoch: layout.epoch(), partitions: layout.partitions().count(), share });
            self.meta.epoch = layout.epoch();
            self.meta.founding = 0;
            self.layout = Some(layout);
            self.keep_layout_members();
            self.tell_meta();
        }
    }

    /// Begins to adopt a layout: it is saved first.
    pub(super) fn adopt(&mut self, layout: Arc<Layout>) {
        let newest = self.adopting.as_ref().map_or(self.epoch(), |(layout, _)| layout.epoch());
        if layout.epoch() > newest {
            // The save that carries it is the next one to be asked for.
            self.adopting = Some((layout, self.save_version + 1));
            self.unsaved = true;
        }
    }

    /// The members that may found the cluster: present, willing, one per name.
    pub(super) fn founders(&self) -> Vec<LayoutMember> {
        let mut names = BTreeSet::from([Arc::clone(&self.meta.name)]);
        let present = self.members().filter(|(member, meta)| member.state() == State::Up && meta.weight > 0);
        present
            .filter(|(member, meta)| *member.id() == self.me || names.insert(Arc::clone(&meta.name)))
            .map(|(member, meta)| LayoutMember {
                id: *member.id(),
                name: Arc::clone(&meta.name),
                dc: Arc::clone(&meta.dc),
                rack: Arc::clone(&meta.rack),
                weight: meta.weight,
            })
            .collect()
    }

    /// Makes the first layout, if this node is to and enough are present.
    pub(super) fn found(&mut self, out: &mut impl Extend<ControlEffect>) {
        let Some(founding) = self.founding.as_ref().filter(|_| self.layout.is_none() && self.adopting.is_none()) else {
            return;
        };
        // A founder that has lost its memory must not found twice: somebody has the layout and will be asked for it.
        let is_founded = self.members().any(|(_, meta)| meta.epoch > 0);
        if is_founded || self.cluster.is_none() {
            return;
        }
        let founders = self.founders();
        if founders.len() < founding.nodes as usize {
            return;
        }
        let layout = Layout::found(founding.partitions, &founding.replication, founders);
        match layout.and_then(|layout| layout.with_pair_bytes(founding.pair_bytes)) {
            Ok(layout) => {
                let secret = founding.secret;
                self.adopt(Arc::new(layout));
                self.found_catalog(secret);
            }
            Err(error) => {
                self.founding = None;
                note(out, Note::BadLayout { error: error.to_string() });
            }
        }
    }

    /// Asks for a newer layout, if a member has one.
    pub(super) fn fetch_layout(&mut self, now: Duration, out: &mut impl Extend<ControlEffect>) {
        let have = self.adopting.as_ref().map_or(self.epoch(), |(layout, _)| layout.epoch());
        let newer = || self.members().filter(|(member, meta)| member.state() == State::Up && meta.epoch > have);
        // One after the other, for the first may be the one that cannot be reached from here.
        let Some(turn) = self.fetches.checked_rem(newer().count()) else { return };
        let to = newer().nth(turn).map(|(member, _)| Address::clone(member.address()));
        if let Some(to) = to.filter(|_| self.cluster.is_some())
            && due(&mut self.last_fetch, now, PATIENCE)
        {
            self.fetches = self.fetches.wrapping_add(1);
            self.send(to, ControlBody::FetchLayout { have }, out);
        }
    }

    /// Members of the layout are never forgotten, however long they are away.
    pub(super) fn keep_layout_members(&mut self) {
        if let Some(layout) = &self.layout {
            self.gossip.keep(layout.members().iter().map(|member| member.id).collect());
        }
    }
}
