//! The keyspaces: who changes them, and how a change becomes known to all.
//!
//! Until layout epochs are agreed upon, the founder of the cluster decides, and nobody else: the catalog's charter
//! names it. It takes one change after the other, each on the newest catalog, and saves the result before it is used,
//! told or answered for. The others send it what their operators ask, again and again until there is an answer or no
//! more time; it remembers what it has answered, so that a repeat gets the first answer and nothing is done twice.
//!
//! Everybody else learns a new catalog as a layout is learned: who sees a higher version gossiped asks for it, saves
//! it, and only then uses it and says so. The higher version wins. A catalog with another charter belongs to
//! another cluster, whatever its version: to adopt it would be to drop the data of this one.

mod asking;
mod founder;
mod outcome;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kvorum_gossip::State;

pub use outcome::{ChangeError, ChangeErrorKind, ChangeOutcome, Changed};

use super::{Control, ControlEffect, Note, PATIENCE, due, emit, note};
use crate::{Address, Catalog, CatalogChange, ControlBody, Keyspace, NodeId, Now};

/// How long the founder's answer is awaited before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How long the founder keeps a change that it cannot decide yet. Longer than members that were not heard of yet are
/// waited for.
const UNDECIDED: Duration = Duration::from_secs(4);
/// How many changes of this node's operators may be under way.
const MAX_ASKED: usize = 64;
/// How many changes may wait for the founder's decision.
const MAX_WAITING: usize = 256;
/// How many answers the founder remembers.
const REMEMBERED: usize = 256;

/// What a node knows of the keyspaces, and the changes under way.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// In force: saved, published, and told.
    pub(super) held: Arc<Catalog>,
    /// To be in force when it is saved.
    adopting: Option<Adopting>,
    /// At the founder: what it has not decided yet, oldest first.
    waiting: VecDeque<Waiting>,
    /// At the founder: its last answers, oldest first.
    answered: VecDeque<(Requester, ChangeOutcome)>,
    /// Elsewhere: what the founder was asked, by ticket.
    asked: BTreeMap<u64, Asked>,
    last_fetch: Option<Duration>,
    /// How often a catalog was asked for: each time of the next member that has a newer one.
    fetches: usize,
    last_foreigner: Option<Duration>,
}

/// A catalog that is being saved.
#[derive(Debug)]
struct Adopting {
    catalog: Arc<Catalog>,
    /// The save that carries it.
    version: u64,
    /// The founder's own decision, to be answered when the save has come to an end.
    decision: Option<Decision>,
}

#[derive(Debug)]
struct Decision {
    requester: Requester,
    answer_to: Option<Address>,
    keyspace: Keyspace,
}

/// A change, as its node numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Requester {
    node: NodeId,
    ticket: u64,
}

#[derive(Debug)]
struct Waiting {
    requester: Requester,
    /// None for this node's own operators.
    answer_to: Option<Address>,
    change: CatalogChange,
    until: Duration,
}

#[derive(Debug)]
struct Asked {
    change: CatalogChange,
    until: Duration,
    /// When it was last sent.
    sent: Option<Duration>,
}

impl Keeper {
    pub(super) fn new(saved: Option<Arc<Catalog>>) -> Self {
        Self { held: saved.unwrap_or_default(), ..Self::default() }
    }

    /// What a save that is asked for now must carry.
    pub(super) fn to_save(&self) -> Option<Arc<Catalog>> {
        let newest = self.adopting.as_ref().map_or(&self.held, |adopting| &adopting.catalog);
        (newest.version() > 0).then(|| Arc::clone(newest))
    }

    fn newest_version(&self) -> u64 {
        self.adopting.as_ref().map_or(self.held.version(), |adopting| adopting.catalog.version())
    }

    fn founder(&self) -> Option<NodeId> {
        self.held.charter().map(|charter| charter.founder)
    }

    /// When something here falls due.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let asked = self.asked.values().map(|asked| {
            let again = asked.sent.map_or(asked.until, |sent| sent + ASK_AGAIN);
            again.min(asked.until)
        });
        asked.chain(self.waiting.iter().map(|waiting| waiting.until)).min()
    }
}

impl Control {
    /// Another member tells its catalog.
    pub(super) fn catalog_told(
        &mut self,
        now: Now,
        from: NodeId,
        catalog: Arc<Catalog>,
        out: &mut impl Extend<ControlEffect>,
    ) {
        let keeper = &mut self.keeper;
        let known = keeper.adopting.as_ref().map_or(&keeper.held, |adopting| &adopting.catalog).charter();
        if catalog.charter().is_none() || known.is_some() && known != catalog.charter() {
            if due(&mut keeper.last_foreigner, now.elapsed, 10 * PATIENCE) {
                note(out, Note::ForeignCatalog { from: self.name_of(from) });
            }
            return;
        }
        // What this node decides itself is newer than what it is told; once that is saved it asks again.
        let deciding = keeper.adopting.as_ref().is_some_and(|adopting| adopting.decision.is_some());
        if catalog.version() > keeper.newest_version() && !deciding {
            self.adopt_catalog(catalog, None);
        }
    }

    /// Begins to adopt a catalog: it is saved first.
    fn adopt_catalog(&mut self, catalog: Arc<Catalog>, decision: Option<Decision>) {
        // The save that carries it is the next one to be asked for.
        self.keeper.adopting = Some(Adopting { catalog, version: self.save_version + 1, decision });
        self.unsaved = true;
    }

    /// A save is durable, perhaps the one that carries a catalog.
    pub(super) fn catalog_saved(&mut self, version: u64, out: &mut impl Extend<ControlEffect>) {
        let Some(Adopting { catalog, decision, .. }) =
            self.keeper.adopting.take_if(|adopting| adopting.version <= version)
        else {
            return;
        };
        self.keeper.held = catalog;
        // Whoever was asked has answered: should there be a newer one already, it is asked for at once.
        self.keeper.last_fetch = None;
        self.meta.catalog = self.keeper.held.version();
        self.tell_meta();
        note(
            out,
            Note::CatalogAdopted { version: self.keeper.held.version(), keyspaces: self.keeper.held.keyspaces().len() },
        );
        if let Some(Decision { requester, answer_to, keyspace }) = decision {
            let changed = Changed { keyspace, version: self.keeper.held.version() };
            self.remember_and_answer(requester, answer_to, Ok(changed), out);
        }
    }

    /// A save has failed. Something learned will be saved again; a decision is withdrawn, for who asked should not
    /// wait for a disk to be mended.
    ///
    /// The failed save may have reached the disk all the same, so that a process that starts from it would know the
    /// change: who asked is told that it may or may not have been made. Nobody else ever sees two catalogs of one
    /// version: this process tells none before a later save of it has replaced whatever is there, and a process
    /// that starts from what is there knows nothing of this one's later decisions, for none was durable.
    pub(super) fn catalog_save_failed(&mut self, version: u64, error: &str, out: &mut impl Extend<ControlEffect>) {
        let failed = |adopting: &mut Adopting| adopting.decision.is_some() && adopting.version <= version;
        let decision = self.keeper.adopting.take_if(failed).and_then(|adopting| adopting.decision);
        if let Some(Decision { requester, answer_to, .. }) = decision {
            let message = format!(
                "{} cannot save the change ({error}), so that it may or may not have been made: mend its data directory",
                self.meta.name
            );
            // It is not remembered: to be asked again is to be asked anew.
            self.answer(requester, answer_to, Err(ChangeError::indeterminate(message)), out);
        }
    }

    /// What follows for the keyspaces from the state as it now is: fetches, decisions, questions, answers.
    pub(super) fn settle_catalog(&mut self, now: Now, out: &mut impl Extend<ControlEffect>) {
        self.fetch_catalog(now.elapsed, out);
        self.decide(now.elapsed, out);
        self.ask_founder(now.elapsed, out);
    }

    fn fetch_catalog(&mut self, now: Duration, out: &mut impl Extend<ControlEffect>) {
        let have = self.keeper.newest_version();
        let newer = || {
            let up = self.members().filter(|(member, _)| member.state() == State::Up && *member.id() != self.me);
            up.filter(|(_, meta)| meta.catalog > have)
        };
        // One after the other, for the first may be the one that cannot be reached from here.
        let Some(turn) = self.keeper.fetches.checked_rem(newer().count()) else { return };
        let to = newer().nth(turn).map(|(member, _)| Address::clone(member.address()));
        if let Some(to) = to.filter(|_| self.cluster.is_some())
            && due(&mut self.keeper.last_fetch, now, PATIENCE)
        {
            self.keeper.fetches = self.keeper.fetches.wrapping_add(1);
            self.send(to, ControlBody::FetchCatalog { have }, out);
        }
    }
}
