//! The founder's part: it decides what becomes of changes, one after the other, and remembers what it has answered.

use core::time::Duration;
use std::sync::Arc;

use super::outcome::{ChangeError, ChangeOutcome, Changed};
use super::{Control, ControlEffect, Decision, MAX_WAITING, REMEMBERED, Requester, UNDECIDED, Waiting, emit};
use crate::{Address, Catalog, CatalogChange, Charter, ControlBody, Keyspace, NodeId, Now, Secret};

impl Control {
    /// This node founds the cluster: it will decide about its keyspaces.
    pub(in crate::control) fn found_catalog(&mut self, secret: Secret) {
        if self.keeper.newest_version() == 0 {
            let catalog = Catalog::found(Charter { founder: self.me, secret });
            self.adopt_catalog(Arc::new(catalog), None);
        }
    }

    /// Another node asks for a change.
    pub(in crate::control) fn change_catalog_for(
        &mut self,
        now: Now,
        node: NodeId,
        answer_to: Address,
        ticket: u64,
        change: CatalogChange,
        out: &mut impl Extend<ControlEffect>,
    ) {
        let requester = Requester { node, ticket };
        if self.keeper.founder() != Some(self.me) {
            let message = format!("{} does not decide about the keyspaces of this cluster", self.meta.name);
            self.answer(requester, Some(answer_to), Err(ChangeError::rejected(message)), out);
        } else {
            let until = now.elapsed + UNDECIDED;
            self.wait(Waiting { requester, answer_to: Some(answer_to), change, until }, out);
        }
    }

    /// Takes a change up, or answers it at once if it has been answered before or there is no room. A refusal is
    /// remembered as well: a repeat that comes late must not do what was said not to have been done.
    pub(super) fn wait(&mut self, waiting: Waiting, out: &mut impl Extend<ControlEffect>) {
        let Waiting { requester, .. } = waiting;
        let keeper = &self.keeper;
        let deciding = keeper.adopting.iter().filter_map(|adopting| adopting.decision.as_ref());
        if deciding
            .map(|decision| decision.requester)
            .chain(keeper.waiting.iter().map(|other| other.requester))
            .any(|other| other == requester)
        {
            return;
        }
        let earlier = keeper.answered.iter().find(|(other, _)| *other == requester);
        if let Some((_, outcome)) = earlier {
            self.answer(requester, waiting.answer_to, outcome.clone(), out);
        } else if keeper.waiting.len() < MAX_WAITING {
            self.keeper.waiting.push_back(waiting);
        } else {
            let message = format!("{} has too many changes of keyspaces to decide; try again later", self.meta.name);
            self.remember_and_answer(requester, waiting.answer_to, Err(ChangeError::rejected(message)), out);
        }
    }

    /// At the founder: decides what waits, until a decision has to be saved.
    pub(super) fn decide(&mut self, now: Duration, out: &mut impl Extend<ControlEffect>) {
        while self.keeper.adopting.is_none() && !self.keeper.waiting.is_empty() && self.knows_the_newest(now) {
            let Some(Waiting { requester, answer_to, change, .. }) = self.keeper.waiting.pop_front() else { return };
            match self.decided(&change) {
                Ok((next, keyspace)) if next.version() > self.keeper.held.version() => {
                    let decision = Decision { requester, answer_to, keyspace };
                    self.adopt_catalog(Arc::new(next), Some(decision));
                }
                Ok((same, keyspace)) => {
                    let changed = Changed { keyspace, version: same.version() };
                    self.remember_and_answer(requester, answer_to, Ok(changed), out);
                }
                Err(error) => self.remember_and_answer(requester, answer_to, Err(error), out),
            }
        }
        while let Some(late) = self.keeper.waiting.iter().position(|waiting| waiting.until <= now) {
            let Some(Waiting { requester, answer_to, .. }) = self.keeper.waiting.remove(late) else { return };
            let message = format!(
                "{} decides about keyspaces, and cannot now: its disk is slow, or it does not know yet what others know; nothing changed: try again",
                self.meta.name
            );
            self.remember_and_answer(requester, answer_to, Err(ChangeError::rejected(message)), out);
        }
    }

    /// Whether the founder may decide: it has heard of all members, or after a while of more than half of them, and none
    /// knows a newer catalog. Else a founder with an older copy of its data directory would give away numbers once more.
    fn knows_the_newest(&self, now: Duration) -> bool {
        let heard = |id| id == self.me || self.gossip.member(&id).is_some();
        let placed = || self.layout.iter().flat_map(|layout| layout.members());
        let newer = |version: u64| version > self.keeper.held.version();
        let (all, known) = (placed().count(), placed().filter(|member| heard(member.id)).count());
        (known == all || !self.is_in_grace(now) && 2 * known > all)
            && !self.members().any(|(_, meta)| newer(meta.catalog))
    }

    fn decided(&self, change: &CatalogChange) -> Result<(Catalog, Keyspace), ChangeError> {
        let (next, keyspace) = self.keeper.held.changed(change)?;
        if next.version() > self.keeper.held.version()
            && !matches!(change, CatalogChange::Drop { .. })
            && let Some(layout) = &self.layout
        {
            keyspace.settings.check(layout)?;
        }
        Ok((next, keyspace))
    }

    pub(super) fn remember_and_answer(
        &mut self,
        requester: Requester,
        answer_to: Option<Address>,
        outcome: ChangeOutcome,
        out: &mut impl Extend<ControlEffect>,
    ) {
        if self.keeper.answered.len() >= REMEMBERED {
            self.keeper.answered.pop_front();
        }
        self.keeper.answered.push_back((requester, outcome.clone()));
        self.answer(requester, answer_to, outcome, out);
    }

    pub(super) fn answer(
        &self,
        requester: Requester,
        answer_to: Option<Address>,
        outcome: ChangeOutcome,
        out: &mut impl Extend<ControlEffect>,
    ) {
        let Requester { ticket, .. } = requester;
        match answer_to {
            Some(address) => self.send(address, ControlBody::CatalogChanged { ticket, outcome }, out),
            None => emit(out, ControlEffect::CatalogChanged { ticket, outcome }),
        }
    }
}
