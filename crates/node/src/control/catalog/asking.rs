//! The part of all others: what their operators ask is asked of the founder, until there is an answer or no more time.

use core::time::Duration;

use kvorum_gossip::State;

use super::outcome::{ChangeError, ChangeErrorKind, ChangeOutcome};
use super::{ASK_AGAIN, Asked, Control, ControlEffect, MAX_ASKED, Requester, UNDECIDED, Waiting, emit};
use crate::{Address, CatalogChange, ControlBody, NodeId, Now};

impl Control {
    /// An operator asks this node for a change.
    pub(in crate::control) fn change_catalog(
        &mut self,
        now: Now,
        ticket: u64,
        change: CatalogChange,
        timeout: Duration,
        out: &mut impl Extend<ControlEffect>,
    ) {
        let until = now.elapsed.saturating_add(timeout);
        if self.keeper.founder() == Some(self.me) {
            self.wait(
                Waiting {
                    requester: Requester { node: self.me, ticket },
                    answer_to: None,
                    change,
                    until: until.min(now.elapsed + UNDECIDED),
                },
                out,
            );
        } else if self.keeper.asked.len() >= MAX_ASKED {
            let message = format!("{MAX_ASKED} changes of keyspaces are under way here already; try again later");
            emit(out, ControlEffect::CatalogChanged { ticket, outcome: Err(ChangeError::rejected(message)) });
        } else {
            self.keeper.asked.insert(ticket, Asked { change, until, sent: None });
        }
    }

    /// The founder answers a change of ours.
    pub(in crate::control) fn catalog_changed(
        &mut self,
        from: NodeId,
        ticket: u64,
        outcome: ChangeOutcome,
        out: &mut impl Extend<ControlEffect>,
    ) {
        if self.keeper.founder() == Some(from) && self.keeper.asked.remove(&ticket).is_some() {
            emit(out, ControlEffect::CatalogChanged { ticket, outcome });
        }
    }

    /// Elsewhere: asks the founder what has not been answered, and gives up what is out of time.
    pub(super) fn ask_founder(&mut self, now: Duration, out: &mut impl Extend<ControlEffect>) {
        if self.keeper.asked.is_empty() {
            return;
        }
        let founder = self.reachable_founder();
        let mut asked = core::mem::take(&mut self.keeper.asked);
        asked.retain(|&ticket, asked| {
            let outcome = match (&founder, asked.sent) {
                (_, Some(_)) if asked.until <= now => Err(ChangeError::indeterminate(format!(
                    "no answer from {} in time; the change may or may not have been made",
                    self.founder_name()
                ))),
                (Err(error), None) => Err(error.clone()),
                (_, None) if asked.until <= now => {
                    Err(ChangeError::rejected("there was no time to ask; nothing changed".to_owned()))
                }
                (Ok(address), sent) if sent.is_none_or(|sent| now >= sent + ASK_AGAIN) => {
                    asked.sent = Some(now);
                    let body = ControlBody::ChangeCatalog { ticket, change: asked.change.clone() };
                    self.send(Address::clone(address), body, out);
                    return true;
                }
                // It may have been done before the founder went away, and it may come back in time.
                (Err(_), Some(_)) => {
                    asked.sent = Some(now);
                    return true;
                }
                (Ok(_), _) => return true,
            };
            emit(out, ControlEffect::CatalogChanged { ticket, outcome });
            false
        });
        self.keeper.asked = asked;
    }

    fn founder_name(&self) -> String {
        self.keeper.founder().map_or_else(|| "the founder".to_owned(), |founder| self.member_name(founder))
    }

    /// A member's name, also of one that was not heard of since the start.
    fn member_name(&self, id: NodeId) -> String {
        let placed = || self.layout.iter().flat_map(|layout| layout.members()).find(|member| member.id == id);
        match self.gossip.member(&id) {
            Some(_) => self.name_of(id),
            None => placed().map_or_else(|| id.to_string(), |member| member.name.to_string()),
        }
    }

    /// Whether the cluster has a catalog that this node has not got yet.
    pub(in crate::control) fn lacks_catalog(&self) -> bool {
        self.keeper.founder().is_none() && self.members().any(|(_, meta)| meta.catalog > 0)
    }

    /// Where the founder is asked; or why it cannot be.
    fn reachable_founder(&self) -> Result<Address, ChangeError> {
        let Some(founder) = self.keeper.founder() else {
            return Err(if self.layout.is_none() || self.lacks_catalog() {
                let why = "this node does not know yet who decides about keyspaces";
                ChangeError::rejected(format!(
                    "the keyspaces cannot be changed now: {why}; try again when the cluster is ready"
                ))
            } else {
                let message = "the keyspaces of this cluster cannot be changed: it was founded by a version of kvnode without keyspaces, so that nobody decides about them; found a new cluster and import the data there";
                ChangeError { kind: ChangeErrorKind::Refused, message: message.to_owned() }
            });
        };
        let away = |state: State| {
            ChangeError::rejected(format!(
                "the keyspaces cannot be changed now: {}, which decides about them, is {state}; start it and try again",
                self.member_name(founder)
            ))
        };
        match self.gossip.member(&founder) {
            Some(member) if matches!(member.state(), State::Up | State::Suspect) => {
                Ok(Address::clone(member.address()))
            }
            Some(member) => Err(away(member.state())),
            None => self.known.get(&founder).cloned().ok_or_else(|| away(State::Down)),
        }
    }
}
